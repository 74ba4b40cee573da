"""What a balancer that is its servers' gateway needs of the kernel: it forwards, and never tells them a shorter way.

A redirect would send a server's replies past the balancer, where they would leave untranslated. Redirects of IPv6 know
no parameter; the nat table drops them.
"""

from collections.abc import Iterable

from yaoki.core.address import Family
from yaoki.linux.sysctl import SysctlKeeper


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
