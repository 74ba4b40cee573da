"""Sites that the tests of the lab are about: the example, and small ones with one thing changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yaoki.lab.site_variant import plain_site
from yaoki.site.load import load_site
from yaoki.site.model import Site

EXAMPLE = Path(__file__).parents[2] / "examples" / "web-pair" / "site.yaml"


def example() -> Site:
    return load_site(EXAMPLE).site


def changed(directory: Path, change: Callable[[dict[str, Any]], None], *, name: str = "yketest") -> Path:
    """The file of the example site with one thing changed, and a name of its own for its lab."""
    plain = plain_site(EXAMPLE)
    plain["site"] = name
    change(plain)
    file = directory / f"{name}.yaml"
    file.write_text(json.dumps(plain, indent=1))
    return file


def site_with(directory: Path, change: Callable[[dict[str, Any]], None]) -> Site:
    return load_site(changed(directory, change)).site
