"""The sites that the tests of the simulator simulate."""

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from yaoki.sim.topology import Topology, shape_of
from yaoki.site.load import load_site

SITES = Path(__file__).parent / "sites"
EXAMPLE = Path(__file__).parents[2] / "examples" / "web-pair" / "site.yaml"


@cache
def shape(name: str) -> Topology:
    """By name: "two-nodes" (the one that is built in), "example", or a file of tests/simulation/sites."""
    if name == "two-nodes":
        with as_file(files("yaoki.sim").joinpath("two-nodes.yaml")) as path:
            return _shape(path)
    return _shape(EXAMPLE if name == "example" else SITES / f"{name}.yaml")


def _shape(path: Path) -> Topology:
    return shape_of(load_site(path).site)
