"""A large site file to measure with: 50 nodes in 25 pairs on 5 networks, each pair with a VIP and its services.

`python bench/big_site.py SERVERS` prints the file with so many servers per service; `big_site()` makes it.
"""

import sys

PAIRS = 25
NETWORKS = 5
PER_NETWORK = PAIRS // NETWORKS
MOST_SERVERS = 20
_HALVES = ("192.0.2.", "198.51.100.", "203.0.113.")


def big_site(*, services: int = 1_000, servers: int = 3) -> str:
    """The text of a site file with 50 nodes and `services` virtual services of `servers` real servers each."""
    per_pair = services // PAIRS
    lines = ["version: 1", "site: big", "", "networks:"]
    for network in range(NETWORKS):
        lines.append(f'  front-{network}: {{prefixes: [{_prefix4(network)}, "{_prefix6(network)}"]}}')
    lines.append("nodes:")
    for pair in range(PAIRS):
        for member in (1, 2):
            lines.append(f"  lb-{pair}-{member}: {{interfaces: {{eth0: {_interface(pair, member)}}}}}")
    lines.append("hosts:")
    for pair in range(PAIRS):
        lines += [f"  web-{pair}-{server}: {_server(pair, 4 + server)}" for server in range(servers)]
    lines += ["checks:", "  page: {kind: http, path: /healthz, interval: 1s, timeout: 300ms}", "vips:"]
    for pair in range(PAIRS):
        members = f"{{lb-{pair}-1: {{priority: 150}}, lb-{pair}-2: {{priority: 100}}}}"
        lines += [
            f"  vip-{pair}:",
            f"    network: front-{pair // PER_NETWORK}",
            f'    addresses: [{_address4(pair, 3)}, "{_address6(pair, 3)}"]',
            f"    vrid: {pair + 1}",
            "    advertise: 100ms",
            f"    members: {members}",
        ]
    lines.append("services:")
    for pair in range(PAIRS):
        for number in range(per_pair):
            lines += [
                f"  service-{pair}-{number}:",
                f"    vip: vip-{pair}",
                f"    listen: tcp/{8000 + number}",
                "    check: page",
                "    slo: {outage: 1s, server-outage: 5s}",
                "    servers:",
                *(f"      web-{pair}-{server}: {{port: {9000 + number}, weight: 1000}}" for server in range(servers)),
            ]
    return "\n".join(lines) + "\n"


def _prefix4(network: int) -> str:
    return f"{_HALVES[network // 2]}{128 * (network % 2)}/25"


def _prefix6(network: int) -> str:
    return f"2001:db8:{network:x}::/64"


def _address4(pair: int, number: int) -> str:
    """Of the 126 addresses of a network each pair has 24: two nodes, the VIP and the servers."""
    network, share = divmod(pair, PER_NETWORK)
    return f"{_HALVES[network // 2]}{128 * (network % 2) + (MOST_SERVERS + 4) * share + number}"


def _address6(pair: int, number: int) -> str:
    network, share = divmod(pair, PER_NETWORK)
    return f"2001:db8:{network:x}::{share + 1:x}:{number:x}"


def _server(pair: int, number: int) -> str:
    return f"{{gateway: vip-{pair}, interfaces: {{eth0: {_interface(pair, number)}}}}}"


def _interface(pair: int, number: int) -> str:
    addresses = f'[{_address4(pair, number)}, "{_address6(pair, number)}"]'
    return f"{{network: front-{pair // PER_NETWORK}, addresses: {addresses}}}"


if __name__ == "__main__":
    print(big_site(servers=int(sys.argv[1]) if len(sys.argv) > 1 else 3), end="")
