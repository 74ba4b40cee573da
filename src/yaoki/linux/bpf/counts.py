"""What the program has counted, of whatever is in the kernel now: servers, services, and packets that no server got."""

from collections.abc import Mapping

from yaoki.linux.bpf import installation
from yaoki.linux.bpf.layout import Reason
from yaoki.linux.bpf.records import ServiceRecord
from yaoki.linux.server_count import PlaneCounts, ServerCount, ServiceCount

Decoded = Mapping[bytes, ServiceRecord]
"""Records by their texts: of a thousand services few have changed since they were counted last."""


def read_counts(known: Decoded) -> tuple[PlaneCounts, dict[bytes, ServiceRecord]]:
    """The counts, and the records that they were read by; `known` ones are not decoded again. Raises ActuatorError."""
    installed = installation.find()
    if installed is None:
        return PlaneCounts(), {}
    try:
        tables = installed.tables
        counts = list(tables.server_counts())
        services = {key: tables.service_count(entry.id) for key, entry in tables.services()}
        unsent = tables.reasons()
        decoded = installed.records.decoded(known)
    finally:
        installed.close()
    del unsent[Reason.SENT]
    servers = tuple(
        ServerCount(record.service.key, *place, counts[seat.number].packets, counts[seat.number].octets)
        for record in decoded.values()
        for place, seat in record.seats.items()
    )
    totals = tuple(ServiceCount(key, each.packets, each.octets, each.flows) for key, each in services.items())
    return PlaneCounts(servers, totals, unsent), decoded
