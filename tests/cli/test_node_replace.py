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
        before = file.read_text() if file.exists() else None
        file.touch(0o640)
        put_in_place(Rewriting(file, text, ""))
        assert (file.read_text(), file.stat().st_mode & 0o777) == (text, 0o640)
        assert before is None or former(file).read_text() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == [".site.yaml.before", "site.yaml"]


def test_a_file_that_cannot_be_replaced_is_told_in_a_sentence() -> None:
    # A file system where nobody can make a file.
    with pytest.raises(UsageError, match=r"/sys/kernel/notes cannot be replaced: .*; nothing was changed"):
        put_in_place(Rewriting(Path("/sys/kernel/notes"), "text", ""))
