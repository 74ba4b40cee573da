"""Broken site files, each with the exact text that its operator reads (the .txt beside it).

After a change of wording, `YAOKI_WRITE_GOLDENS=1 pytest tests/site/test_broken_files.py` writes the texts anew; read
the difference before you commit it.
"""

import os
from contextlib import chdir
from pathlib import Path

import pytest

from yaoki.site.drawing import draw
from yaoki.site.examine import examine
from yaoki.site.lint import RULES

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(BROKEN.glob("*.yaml"))


@pytest.mark.req("Z-01")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_broken_file_gets_its_exact_message(file: Path) -> None:
    with chdir(BROKEN):
        said = "\n\n".join(draw(problem) for problem in examine(Path(file.name)).problems) + "\n"
    golden = file.with_suffix(".txt")
    if os.environ.get("YAOKI_WRITE_GOLDENS"):
        golden.write_text(said)
    assert said.strip(), "the file is not broken"
    assert said == golden.read_text()


def test_there_are_at_least_forty() -> None:
    assert len(FILES) >= 40
    assert {golden.stem for golden in BROKEN.glob("*.txt")} == {file.stem for file in FILES}


def test_every_lint_rule_has_its_broken_file() -> None:
    said = "".join(golden.read_text() for golden in BROKEN.glob("*.txt"))
    assert [rule.id for rule in RULES if f"[{rule.id}]" not in said] == []
