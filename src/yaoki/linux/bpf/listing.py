"""Connections and remembered sources in the program's tables."""

from collections.abc import Collection
from datetime import timedelta

from yaoki.lb.connection import ConnectionState, Gathering
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.held import Held
from yaoki.linux.bpf.layout import FlowState
from yaoki.linux.bpf.tables import Tables

_STATES = {
    FlowState.OPENING: ConnectionState.OPENING,
    FlowState.ESTABLISHED: ConnectionState.ESTABLISHED,
    FlowState.CLOSING: ConnectionState.CLOSING,
}


def gather(tables: Tables, services: Collection[Held], tick: int, gathering: Gathering) -> None:
    """Those of these services that have not idled out by a tick. Raises ActuatorError."""
    owners = {(seat.number, seat.stamp): each for each in services for seat in each.seats.values()}
    families = tuple(dict.fromkeys(each.actual.key.family for each in services))
    for family in families:
        for octets, value in tables.remembered_flows(family):
            ((number, stamp, seen, state),) = layout.flow_words(value)
            owner = owners.get((number, stamp))
            if owner is None or not owner.lasts(seen, state, tick):
                continue
            server = owner.server(number, stamp)
            if server is None or not gathering.has_room():
                continue
            source, port = layout.read_client(family, octets)
            idle = max(0, tick - seen)
            gathering.keep(
                owner.actual.key,
                (layout.read_address(source), port),
                server,
                _STATES[FlowState(state)],
                idle=_duration(idle),
                expires=_duration(owner.limits[state] - idle),
            )
    for each in services:
        if (persistence := each.actual.service.persistence) is None:
            continue
        for address, entry in tables.remembered_sources(each.actual.key.family, each.id):
            idle = max(0, tick - entry.seen)
            server = each.server(entry.server, entry.stamp)
            left = each.rendered.service.persistence - idle
            if server is not None and left >= 0:
                gathering.keep_source(each.actual.key, (address, persistence.prefix_length), server, _duration(left))


def _duration(ticks: int) -> timedelta:
    return timedelta(seconds=round(ticks * layout.TICK_NS / 1_000_000_000, 1))
