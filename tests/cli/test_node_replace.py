"""How `yaoki node replace` writes the site file."""

from pathlib import Path

import pytest

from yaoki.cli.node_replace import put_in_place
from yaoki.cli.site_file import former
from yaoki.core.error import UsageError
from yaoki.site.rewriting import Rewriting


def test_the_new_file_takes_the_place_of_the_old_one_which_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    for text in ("first", "second", "third"):
        file.touch(0o640)
        before = file.read_text()
        put_in_place(Rewriting(file, before, text, ""))
        assert (file.read_text(), file.stat().st_mode & 0o777) == (text, 0o640)
        assert former(file).read_text() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == [".site.yaml.before", "site.yaml"]


def test_a_file_that_cannot_be_replaced_is_told_in_a_sentence() -> None:
    # A file system where nobody can make a file.
    file = Path("/proc/version")
    with pytest.raises(UsageError, match=r"/proc/version cannot be replaced: .*; nothing was changed"):
        put_in_place(Rewriting(file, file.read_text(), "text", ""))


def test_what_somebody_wrote_while_the_nodes_were_asked_stays(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text("theirs")
    with pytest.raises(UsageError, match="has been changed meanwhile"):
        put_in_place(Rewriting(file, "as it was", "as it shall be", ""))
    assert [each.name for each in tmp_path.iterdir()] == ["site.yaml"]
    assert file.read_text() == "theirs"
