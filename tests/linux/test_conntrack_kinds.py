"""Flows are told apart by service, server and state, and by nothing else."""

import struct

import pytest

from yaoki.linux.attributes import attribute, nest
from yaoki.linux.conntrack_kinds import kind_of

V4, V6 = (1, 2), (3, 4)
CLIENT, VIP, SERVER = bytes((198, 51, 100, 9)), bytes((192, 0, 2, 50)), bytes((10, 0, 0, 21))


def tuple_(kind: int, source: bytes, destination: bytes, ports: tuple[int, int], protocol: int = 6) -> bytes:
    source_kind, destination_kind = V4 if len(source) == 4 else V6
    return nest(
        kind,
        nest(1, attribute(source_kind, source), attribute(destination_kind, destination)),
        nest(
            2, attribute(1, bytes((protocol,))), *(attribute(n, struct.pack("!H", p)) for n, p in enumerate(ports, 2))
        ),
    )


def entry(
    *, client: bytes = CLIENT, port: int = 40000, vip: bytes = VIP, service: int = 80, server: bytes = SERVER,
    at: int = 8080, state: int = 3, protocol: int = 6, seconds: int = 100,
) -> bytes:  # fmt: skip
    """As the kernel writes one, with what does not matter in between."""
    return (
        bytes((len(client) == 16, 0, 0, 0))
        + tuple_(1, client, vip, (port, service), protocol)
        + tuple_(2, server, client, (at, port), protocol)
        + attribute(3, b"\0\0\0\x0e")
        + attribute(7, struct.pack("!I", seconds))
        + nest(4, nest(1, attribute(1, bytes((state,))), attribute(2, b"\x07")))
    )


def long(address: bytes) -> bytes:
    return bytes(12) + address


@pytest.mark.parametrize("wide", [False, True])
def test_what_is_the_clients_makes_no_difference_and_all_else_does(*, wide: bool) -> None:
    as_is = long if wide else bytes
    plain = {"client": as_is(CLIENT), "vip": as_is(VIP), "server": as_is(SERVER)}
    kind = kind_of(entry(**plain))  # type: ignore[arg-type] # addresses are octets
    others = {"client": as_is(bytes((203, 0, 113, 7))), "port": 1, "seconds": 5}
    assert kind_of(entry(**plain | others)) == kind  # type: ignore[arg-type] # as above
    differing = {
        "vip": as_is(CLIENT), "service": 81, "server": as_is(VIP), "at": 81, "state": 4, "protocol": 17
    }  # fmt: skip
    kinds = {kind_of(entry(**plain | {name: value})) for name, value in differing.items()}  # type: ignore[arg-type] # as above
    assert len(kinds) == len(differing)
    assert kind not in kinds


def test_an_entry_that_is_laid_out_in_another_way_is_a_kind_of_its_own() -> None:
    zone = tuple_(1, CLIENT, VIP, (40000, 80)) + attribute(3, b"\0\x07\0\0")
    turned = nest(
        1,
        nest(1, attribute(2, VIP), attribute(1, CLIENT)),
        nest(2, attribute(1, b"\x06"), attribute(2, b"\x9c\x40"), attribute(3, b"\0\x50")),
    ) + tuple_(2, SERVER, CLIENT, (8080, 40000))
    for strange in (b"", bytes(4), bytes(4) + zone, bytes(4) + turned):
        assert kind_of(strange) == strange
