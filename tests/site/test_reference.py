"""docs/site-file.md says what the vocabulary and the rules say, and its examples are valid."""

import re
from pathlib import Path

from scripts.site_reference import PAGE
from yaoki.site.examine import examine
from yaoki.site.lint import RULES
from yaoki.site.vocabulary import SERVICE, VIP


def test_every_rule_and_key_is_on_the_page() -> None:
    text = PAGE.read_text()
    names = [rule.id for rule in RULES]
    names += [key.name for record in (VIP, SERVICE) for key in record.keys.values() if key.offered]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_id_that_an_operator_meets_is_on_the_page() -> None:
    met = {
        rule
        for golden in (Path(__file__).parent / "broken").glob("*.txt")
        for rule in re.findall(
            r"^\S+: (?:error|warning|notice): .* \[([a-z0-9-]+)\]$", golden.read_text(), re.MULTILINE
        )
    }
    assert len(met) > 40
    assert {rule for rule in met if f"`{rule}`" not in PAGE.read_text()} == set()


def test_the_smallest_useful_file_has_no_error_and_no_warning(tmp_path: Path) -> None:
    (example, *_) = re.findall(r"```yaml\n(version: 1\n.*?)```", PAGE.read_text(), re.DOTALL)
    path = tmp_path / "site.yaml"
    path.write_text(example)
    assert examine(path).problems == ()
