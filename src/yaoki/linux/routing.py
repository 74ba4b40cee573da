"""What a balancer needs of the kernel's routing: neighbours asked for again soon; and where it is its servers' gateway,
that it forwards, and never tells them a shorter way.

A redirect would send a server's replies past the balancer, where they would leave untranslated. Redirects of IPv6 know
no parameter; the nat table drops them.
"""

from collections.abc import Iterable

from yaoki.core.address import Family
from yaoki.linux.sysctl import SysctlKeeper

ASK_AGAIN_MS = 100
"""How long the kernel waits for a neighbour's answer before it asks again, instead of a second.

An interface that loses its carrier forgets its neighbours. A request lost in that moment would leave a server out of
reach for a second, and every check of it failing, long after the carrier is back.
"""


def ask_again_soon(sysctls: SysctlKeeper, family: Family, interfaces: Iterable[str]) -> None:
    """Resolve the neighbours on these interfaces without long pauses; one that is not there is passed over. Raises
    ActuatorError."""
    for name in interfaces:
        parameter = f"net/ipv{family.value}/neigh/{name}/retrans_time_ms"
        if sysctls.has(parameter) and int(sysctls.read(parameter)) > ASK_AGAIN_MS:
            sysctls.set(parameter, str(ASK_AGAIN_MS))


def enable(sysctls: SysctlKeeper, family: Family, interfaces: Iterable[str]) -> None:
    """Let translated packets of a family pass through. Raises ActuatorError."""
    if family is Family.IPV4:
        if sysctls.read("net/ipv4/ip_forward") != "1":
            # The kernel changes this one along with forwarding.
            sysctls.remember("net/ipv4/conf/all/accept_redirects")
        sysctls.set("net/ipv4/ip_forward", "1")
        for name in ("all", *interfaces):
            sysctls.set(f"net/ipv4/conf/{name}/send_redirects", "0")
        return
    for name in interfaces:
        # A host that forwards drops what it learnt from router advertisements, unless told 2 (ip-sysctl).
        if sysctls.read(f"net/ipv6/conf/{name}/accept_ra") == "1":
            sysctls.set(f"net/ipv6/conf/{name}/accept_ra", "2")
    sysctls.set("net/ipv6/conf/all/forwarding", "1")
