"""FreeBSD: the VIP as an alias of lo0; nothing else.

FreeBSD answers ARP and neighbour solicitations only for addresses of the interface where they arrive, and takes packets
for any of its addresses wherever they arrive, so lo0 is quiet by itself.
"""

from collections.abc import Iterable

from yaoki.core.address import IPInterface
from yaoki.lb.realserver.procedure import Procedure, Step, asked_beside, listening_note
from yaoki.lb.realserver.task import RealServerTask


def procedure(task: RealServerTask) -> Procedure:
    """The steps."""
    path = f"/etc/rc.conf.d/netif/yaoki-{task.service.replace('-', '_')}"
    aliases = " ".join(f"{_family(vip)} {_alone(vip)}" for vip in task.vips)
    kept = f'ifconfig_lo0_aliases="${{ifconfig_lo0_aliases}} {aliases}"'
    setup = (
        Step("Look: none of the addresses is there yet.", ("ifconfig -a | grep inet",)),
        Step("The VIP on the loopback, as one address and no prefix.", tuple(map(_add, task.vips))),
        Step(
            "The same after a restart.",
            ("mkdir -p /etc/rc.conf.d/netif", f"cat > {path} <<'END'", kept, "END"),
        ),
    )
    confirm = (
        Step("Both are 0: packets are taken on whatever interface they arrive.", _hosts(task)),
        Step("The service listens on the VIP, or on every address.", (f"sockstat -l -p {task.port}",)),
        asked_beside(task),
    )
    undo = [Step("What a restart would bring back.", (f"rm -f {path}",))]
    if task.given_up:
        undo.append(Step("The VIP leaves the loopback.", tuple(map(_remove, task.given_up))))
    shared = (Step("The VIP leaves the loopback.", tuple(map(_remove, task.shared))),) if task.shared else ()
    return Procedure(task, setup, confirm, tuple(undo), shared, notes=tuple(_notes(task)))


def _alone(vip: IPInterface) -> str:
    return f"{vip.ip}/{vip.max_prefixlen}"


def _family(vip: IPInterface) -> str:
    return "inet" if vip.version == 4 else "inet6"


def _add(vip: IPInterface) -> str:
    return f"ifconfig lo0 {_family(vip)} {_alone(vip)} alias"


def _remove(vip: IPInterface) -> str:
    return f"ifconfig lo0 {_family(vip)} {vip.ip} -alias"


def _hosts(task: RealServerTask) -> tuple[str, ...]:
    """The parameter has another name since FreeBSD 14."""
    if not task.of_version(4):
        return ()
    return ("sysctl -i net.inet.ip.check_interface net.inet.ip.rfc1122_strong_es",)


def _notes(task: RealServerTask) -> Iterable[str]:
    yield listening_note(task)
    yield (
        f"Not as old instructions have it: `ifconfig {task.interface} alias VIP down` takes the whole interface down, "
        "and with it the server off the network."
    )
