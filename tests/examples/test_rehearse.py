"""How the run of examples/stateful-pair counts, and that its service keeps a log over a crash."""

from pathlib import Path

from kv import DiskLog
from rehearse import HERE, Outcome, outcome
from replica import Record
from yaoki.site.load import load_site


def test_a_write_that_was_accepted_and_is_not_there_is_lost() -> None:
    writes = [(10.0, 1, "db1: kept"), (10.5, 2, None), (13.0, 3, "db2: kept"), (13.5, 4, "db2: kept")]
    kept = {"1": "value 1", "2": "value 2", "3": "another"}
    assert outcome(writes, kept) == Outcome(accepted=3, lost=2, pause_s=3.0)


def test_a_log_is_read_back_without_a_record_that_was_torn(tmp_path: Path) -> None:
    file = tmp_path / "log"
    log = DiskLog(file)
    log.append([Record(1, "", ""), Record(1, "a", "ü\n1")])
    log.append([Record(2, "b", "2")])
    with file.open("a") as torn:
        torn.write('[2, "c"')
    again = DiskLog(file)
    assert again.records == log.records
    again.cut(1)
    again.append([Record(3, "d", "4")])
    assert DiskLog(file).records == [Record(1, "", ""), Record(3, "d", "4")]


def test_the_unsafe_site_differs_in_what_makes_it_unsafe_only() -> None:
    safe, unsafe = (load_site(HERE / name).site for name in ("site.yaml", "unsafe.yaml"))
    assert (safe.networks, safe.machines, safe.store) == (unsafe.networks, unsafe.machines, unsafe.store)
    (one,), (other,) = safe.vips, unsafe.vips
    assert (one.addresses, one.election, one.members) == (other.addresses, other.election, other.members)
