"""Which machine of the site this one is: by its addresses."""

from collections.abc import Set as AbstractSet

from yaoki.core.address import IPAddress
from yaoki.site.model import Machine, Site


def machine_with(site: Site, addresses: AbstractSet[IPAddress]) -> Machine | None:
    """The machine of the site most of whose addresses are among these; None if no machine has any of them."""
    best: tuple[int, Machine | None] = (0, None)
    for machine in site.machines:
        held = sum(address.ip in addresses for interface in machine.interfaces for address in interface.addresses)
        if held > best[0]:
            best = (held, machine)
    return best[1]
