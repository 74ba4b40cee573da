"""The generated pages are current, every link leads somewhere, and the marks behind the pages make sense."""

from pathlib import Path

import pytest

from scripts.docs import GENERATED, ROOT, broken_links, documents
from scripts.rfc_coverage import DUTIES, NOT_OURS, marks


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_page_is_current(path: Path) -> None:
    assert path.read_text() == GENERATED[path](), "run make docs"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_a_document_lead_somewhere(path: Path) -> None:
    assert list(broken_links(path)) == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, with `code`\n[a](#a-heading-with-code) [b](#nowhere) [c](gone.md) [d](page.md#gone)\n"
    )
    assert list(broken_links(page)) == ["#nowhere", "gone.md", "page.md#gone"]


def test_sections_followed_duty_by_duty_are_marked_by_a_known_duty() -> None:
    found = marks()
    assert len(found) > 40
    unknown = [mark for mark in found if (mark.number, mark.section) in DUTIES and mark.duty]
    assert [mark for mark in unknown if mark.duty not in DUTIES[mark.number, mark.section]] == []
    assert [mark for mark in found if mark.duty and (mark.number, mark.section) not in DUTIES] == []


def test_what_is_not_ours_is_a_duty_and_has_no_test() -> None:
    held = {(mark.number, mark.section, mark.duty) for mark in marks()}
    for number, section, duty in NOT_OURS:
        assert duty in DUTIES[number, section]
        assert (number, section, duty) not in held
