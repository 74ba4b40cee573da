"""Regenerates the generated pages of docs/ and checks the links of every document: `make docs`.

A link leads to a file of the tree, and its fragment to a heading there; links to other hosts are not followed.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from scripts import rfc_coverage, site_reference

ROOT = Path(__file__).parents[1]
GENERATED: Mapping[Path, Callable[[], str]] = {
    site_reference.PAGE: lambda: site_reference.page(site_reference.PAGE.read_text()),
    rfc_coverage.PAGE: rfc_coverage.page,
}
"""How each generated page should be."""
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def documents() -> tuple[Path, ...]:
    """Every page that people read."""
    return tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]))


def broken_links(page: Path) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for target, fragment in _LINK.findall(_FENCE.sub("", page.read_text())):
        path = page.parent / target if target else page
        if not path.exists() or (fragment and fragment not in _anchors(path)):
            yield target + (f"#{fragment}" if fragment else "")


def _anchors(page: Path) -> set[str]:
    """What a heading is called in a link: small letters, words joined by hyphens, no punctuation."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def main() -> int:
    """Write what has changed; the result is the exit status."""
    for path, make in GENERATED.items():
        text = make()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"docs: wrote {path.relative_to(ROOT)}\n")
    broken = [f"{path.relative_to(ROOT)}: no {link}" for path in documents() for link in broken_links(path)]
    sys.stderr.writelines(f"docs: {line}\n" for line in broken)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
