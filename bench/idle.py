"""What an idle node takes: CPU and memory of all its processes, with adverts every 100 ms, beside keepalived.

The pair of bench/vip.py (VIPs only, so that keepalived can play it), and examples/web-pair with its services
and their checks, for which there is no peer that does all of it.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.check_cost import cpu_s, resident_mib
from bench.row import Row
from bench.vip import SITE
from yaoki.lab.lab import Lab
from yaoki.lab.peers_keepalived import Keepalived
from yaoki.lab.software import NodeSoftware, Part
from yaoki.lab.software_yaoki import Yaoki
from yaoki.site.load import load_site

WEB_PAIR = Path(__file__).parents[1] / "examples" / "web-pair" / "site.yaml"
NODES = ("lb1", "lb2")
SETTLE_S = 10.0


def rows(quick: bool) -> list[Row]:
    """CPU in percent of one core and resident memory, of the owner and of its backup."""
    window_s = 5.0 if quick else 30.0
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "site.yaml"
        file.write_text(SITE.format(interval_ms=100))
        ours = idle(file, Yaoki, window_s)
        theirs = idle(file, Keepalived, window_s)
    full = idle(WEB_PAIR, Yaoki, window_s)
    found: list[Row] = []
    for node, role in zip(NODES, ("owner", "backup"), strict=True):
        found += [
            Row(f"idle {role} of a VIP pair: CPU", ours[node][0], "% of a core", theirs[node][0], "keepalived"),
            Row(f"idle {role} of a VIP pair: memory", ours[node][1], "MiB", theirs[node][1], "keepalived"),
            Row(f"idle {role} of examples/web-pair: CPU", full[node][0], "% of a core"),
            Row(f"idle {role} of examples/web-pair: memory", full[node][1], "MiB"),
        ]
    return found


def idle(file: Path, software: Callable[[Lab], NodeSoftware], window_s: float) -> dict[str, tuple[float, float]]:
    """CPU percent and MiB of each node's processes, over a window after the pair has settled."""
    with running(file, software) as nodes:
        time.sleep(SETTLE_S)
        pids = {node: nodes.processes(node, Part.ALL) for node in NODES}
        before = {node: sum(map(cpu_s, pids[node])) for node in NODES}
        began = time.monotonic()
        time.sleep(window_s)
        took = time.monotonic() - began
        return {
            node: (100 * (sum(map(cpu_s, pids[node])) - before[node]) / took, sum(map(resident_mib, pids[node])))
            for node in NODES
        }


@contextmanager
def running(file: Path, software: Callable[[Lab], NodeSoftware]) -> Iterator[NodeSoftware]:
    """The site in a lab with its nodes started; gone afterwards."""
    lab = Lab(load_site(file).site, file)
    try:
        lab.up()
        nodes = software(lab)
        for node in NODES:
            nodes.start(node)
        yield nodes
    finally:
        lab.down()
