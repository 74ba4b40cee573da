"""docs/site-file.md says what the vocabulary and the rules say, and its examples are valid."""

import re
from pathlib import Path

from scripts.site_reference import PAGE, page
from yaoki.site.examine import examine
from yaoki.site.lint import RULES
from yaoki.site.vocabulary import SERVICE, VIP


def test_the_generated_parts_are_up_to_date() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "run python -m scripts.site_reference"


def test_every_rule_and_key_is_on_the_page() -> None:
    text = PAGE.read_text()
    names = [rule.id for rule in RULES]
    names += [key.name for record in (VIP, SERVICE) for key in record.keys.values() if key.offered]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_the_smallest_useful_file_has_no_error_and_no_warning(tmp_path: Path) -> None:
    (example, *_) = re.findall(r"```yaml\n(version: 1\n.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path / "site.yaml"
    path.write_text(example)
    assert examine(path).problems == ()
