"""`yaoki import` as a person and as a program meet it."""

import json
from pathlib import Path

import pytest

from yaoki.cli import main
from yaoki.core.event import Severity
from yaoki.site.examine import examine

INSTANCE = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority %d
    use_ipvlan
    virtual_ipaddress {
        192.0.2.50/24
    }
}
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name, priority in (("a.conf", 150), ("b.conf", 100)):
        (tmp_path / name).write_text(INSTANCE % priority)
    return [f"lb1={tmp_path / 'a.conf'}", f"lb2={tmp_path / 'b.conf'}"]


def test_the_site_goes_to_stdout_and_the_report_to_stderr(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "keepalived", "--site", "tokyo", *files]) == 0
    said = capsys.readouterr()
    (tmp_path / "site.yaml").write_text(said.out)
    examination = examine(tmp_path / "site.yaml")
    assert examination.count(Severity.ERROR) == 0
    assert examination.loaded is not None
    assert examination.loaded.site.name == "tokyo"
    lines = said.err.splitlines()
    assert f"{tmp_path / 'a.conf'}:5: taken: priority 150: priority" in lines
    assert any(line.startswith(f"{tmp_path / 'b.conf'}:6: not-taken: use_ipvlan: ") for line in lines)
    assert lines[-1].endswith("2 not-taken, 2 gap")


def test_quiet_tells_only_what_was_not_taken_as_it_is(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--own", "lb1:eth0=192.0.2.11/24", "--own", "lb2:eth0=192.0.2.12/24"]
    assert main(["import", "-q", "keepalived", *own, *files]) == 0
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()[:-1]] == ["not-taken", "not-taken"]


def test_strict_fails_on_what_was_left_out(files: list[str]) -> None:
    assert main(["import", "--strict", "keepalived", *files]) == 1


def test_a_program_gets_one_json_value(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-j", "import", "keepalived", *files]) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert answer["site"].startswith("# Imported from keepalived: ")
    assert answer["remarks"][0].keys() == {"file", "line", "statement", "outcome", "text"}
    assert said.err == ""


def test_a_file_that_is_no_configuration_is_drawn_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "k").write_text("global_defs {\n  router_id 'x\n}\n")
    assert main(["import", "keepalived", str(tmp_path / "k")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("k:2:3: error: a quote is opened and not closed on its line [keepalived-syntax]")
    assert lines[-1] == "  cure: close it"
    assert main(["import", "keepalived", str(tmp_path / "none")]) == 1


@pytest.mark.parametrize("own", ["lb1", "lb1:eth0=192.0.2.1", "eth0=192.0.2.1/24", "lb1:eth0=here/24"])
def test_an_own_address_that_cannot_be_read_is_a_mistake_of_the_command(own: str, files: list[str]) -> None:
    assert main(["import", "keepalived", "--own", own, *files]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--site", "A b", "lb1={}"], '--site "A b" is not a name of small letters'),
        (["--site", "", "lb1={}"], '--site "" is not a name of small letters'),
        (["lb1={}", "lb1={}"], "two files are said to be of lb1"),
    ],
)
def test_names_that_no_site_could_have_are_mistakes_of_the_command(
    words: list[str], said: str, files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = files[0].partition("=")[2]
    assert main(["import", "keepalived", *(word.format(file) for word in words)]) == 2
    assert said in capsys.readouterr().err


def test_a_table_of_ipvsadm_is_imported_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lb1.rules").write_text(
        "-A -t 192.0.2.50:http -s wrr\n-a -t 192.0.2.50:http -r 192.0.2.21:http -g -w 1\n"
    )
    own = ["--own", "lb1:eth1=192.0.2.11/25"]
    assert main(["import", "-q", "ipvsadm", "--site", "tokyo", *own, str(tmp_path / "lb1.rules")]) == 0
    said = capsys.readouterr()
    (tmp_path / "site.yaml").write_text(said.out)
    loaded = examine(tmp_path / "site.yaml").loaded
    assert loaded is not None
    assert (loaded.site.services[0].port, str(loaded.site.networks[0].prefixes[0])) == (80, "192.0.2.0/25")
    assert "vrid and priorities are made up" in said.err
