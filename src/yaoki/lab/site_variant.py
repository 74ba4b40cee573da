"""Changed copies of a site file, for what a rehearsal does to a running site: drain, remove, add, reconfigure.

Works on the file's plain content, includes joined, and writes JSON as every YAML reader reads it: characters beyond
U+FFFF as themselves, for which JSON has two codes and YAML one. The original is not touched.
"""

import json
import re
from pathlib import Path
from typing import Any

from yaoki.core.error import Problem, SiteError
from yaoki.lb.service import Forward, PlaneWish
from yaoki.site.document import Broken, Mapping, Node, Scalar, Sequence
from yaoki.site.include import Includer
from yaoki.site.strict_yaml import json_value

EXTRA_SERVICE = "rehearsal"
_EXTRA_PORT = 4880
"""The port on which a reconfiguration adds a service; the first free one from here on."""

_CODED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What JSON may hold as it is and YAML may not."""

Plain = dict[str, Any]


def plain_site(file: Path) -> Plain:
    """The content of a site file. Raises SiteError if it cannot be read."""
    problems: list[Problem] = []
    root = Includer(problems).read(file)
    if problems or root is None:
        raise SiteError(problems)
    plain = _plain(root)
    assert isinstance(plain, dict)
    return {key: value for key, value in plain.items() if key != "include"}


def drained(site: Plain, host: str) -> Plain:
    """The host has weight 0 in every service."""
    changed = _copy(site)
    for service in changed.get("services", {}).values():
        if host in service.get("servers", {}):
            service["servers"][host] = {**(service["servers"][host] or {}), "weight": 0}
    return changed


def without_server(site: Plain, host: str) -> Plain:
    """The host is in no service, except where it is the only one."""
    changed = _copy(site)
    for service in changed.get("services", {}).values():
        servers = service.get("servers", {})
        if host in servers and len(servers) > 1:
            del servers[host]
    return changed


def with_extra_service(site: Plain) -> Plain:
    """One more virtual service beside the first TCP service (or the first of all), on the same VIP and servers."""
    changed = _copy(site)
    services = changed["services"]
    model = next((s for s in services.values() if s["listen"].startswith("tcp/")), next(iter(services.values())))
    protocol = model["listen"].partition("/")[0]
    taken = {service["listen"] for service in services.values()}
    port = next(p for p in range(_EXTRA_PORT, 65536) if f"{protocol}/{p}" not in taken)
    name = next(
        n for n in (EXTRA_SERVICE, *(f"{EXTRA_SERVICE}-{i}" for i in range(len(services)))) if n not in services
    )
    services[name] = {**model, "listen": f"{protocol}/{port}"}
    return changed


def on_plane(site: Plain, plane: str) -> Plain:
    """Every service on this balancer plane, as far as it can be: tunnels are on BPF."""
    changed = _copy(site)
    for service in changed.get("services", {}).values():
        service.pop("plane", None)
        if plane == PlaneWish.NFTABLES and _has_tunnel(service):
            service["plane"] = PlaneWish.BPF.value
    return {**changed, "balancer": {**(changed.get("balancer") or {}), "plane": plane}}


def write(site: Plain, file: Path) -> Path:
    """Write a site file; the result is its path."""
    text = json.dumps(site, indent=1, ensure_ascii=False)
    file.write_text(_CODED.sub(lambda found: f"\\u{ord(found[0]):04x}", text), encoding="utf-8")
    return file


def _has_tunnel(service: Plain) -> bool:
    when_down = service.get("when-all-down")
    sorry = when_down if isinstance(when_down, dict) else {}
    said = (service, sorry, *(server or {} for server in service["servers"].values()))
    return Forward.TUNNEL.value in [each.get("forward") for each in said]


def _copy(site: Plain) -> Plain:
    found = json.loads(json.dumps(site))
    assert isinstance(found, dict)
    return found


def _plain(node: Node) -> object:
    match node:
        case Scalar():
            return json_value(node) if node.plain else node.text
        case Sequence():
            return [_plain(item) for item in node.items]
        case Mapping():
            return {key: _plain(value) for key, (_, value) in node.items.items()}
        case Broken():
            return None
