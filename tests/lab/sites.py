"""Sites that the tests of the lab are about: a pair of balancers, the same with one thing changed, and the example."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yaoki.lab.site_variant import plain_site
from yaoki.site.load import load_site
from yaoki.site.model import Site

EXAMPLE = Path(__file__).parents[2] / "examples" / "web-pair" / "site.yaml"
PAIR = Path(__file__).parent / "pair.yaml"


def example() -> Site:
    return load_site(EXAMPLE).site


def pair() -> Site:
    return load_site(PAIR).site


def changed(
    directory: Path, change: Callable[[dict[str, Any]], None], *, name: str = "yketest", base: Path = PAIR
) -> Path:
    """The file of the pair (or another site) with one thing changed, and a name of its own for its lab."""
    plain = plain_site(base)
    plain["site"] = name
    change(plain)
    file = directory / f"{name}.yaml"
    file.write_text(json.dumps(plain, indent=1))
    return file


def site_with(directory: Path, change: Callable[[dict[str, Any]], None]) -> Site:
    return load_site(changed(directory, change)).site
