"""Windows Server 2012 and later, in PowerShell: what yaoki.lb.realserver.windows_2008 does, in other words."""

from yaoki.lb.realserver import netsh
from yaoki.lb.realserver.procedure import Procedure, Shell, Step, asked_beside
from yaoki.lb.realserver.task import RealServerTask

_SINGLE_QUOTES = "'\u2018\u2019\u201a\u201b"
"""What PowerShell takes for a single quote."""


def procedure(task: RealServerTask) -> Procedure:
    """Windows Server 2012 and later, in PowerShell."""
    real, adapter = _single(task.interface), _single(task.loopback)
    rule, local = _rule(task), ", ".join(f"'{vip.ip}'" for vip in task.vips)
    families = _families(task)
    setup = (
        Step(
            "Note what holds now: WeakHostReceive. The undo is right where this says Disabled.",
            (f"Get-NetIPInterface -InterfaceAlias {real} | Format-Table AddressFamily, WeakHostReceive, WeakHostSend",),
            Shell.POWERSHELL,
        ),
        Step(
            "Add the adapter, unless it is there; or with hdwwiz: Microsoft, Microsoft KM-TEST Loopback Adapter.",
            (
                "Install-Module -Name LoopbackAdapter -MinimumVersion 1.2.0.0 -Scope CurrentUser",
                "Import-Module -Name LoopbackAdapter",
                f"New-LoopbackAdapter -Name {adapter} -Force",
            ),
            Shell.POWERSHELL,
        ),
        Step(
            "Take packets for the VIP on the real interface, and answer through it; the adapter is the last choice of "
            "any route, and asks nobody for its addresses.",
            tuple(
                line
                for family in families
                for line in (
                    f"Set-NetIPInterface -InterfaceAlias {real} -AddressFamily {family} -WeakHostReceive Enabled",
                    f"Set-NetIPInterface -InterfaceAlias {adapter} -AddressFamily {family} -WeakHostReceive Enabled "
                    f"-WeakHostSend Enabled -AutomaticMetric Disabled -InterfaceMetric {netsh.METRIC} -DadTransmits 0",
                )
            ),
            Shell.POWERSHELL,
        ),
        Step(
            "Nobody shall find the server under the VIP in DNS, nor share files through it.",
            (
                f"Set-DnsClient -InterfaceAlias {adapter} -RegisterThisConnectionsAddress $false",
                f"Disable-NetAdapterBinding -Name {adapter} -ComponentID ms_msclient, ms_server",
            ),
            Shell.POWERSHELL,
        ),
        Step(
            "The VIP, as one address and no prefix, and no source of what the server sends by itself.",
            tuple(
                f"New-NetIPAddress -InterfaceAlias {adapter} -IPAddress '{vip.ip}' -PrefixLength {vip.max_prefixlen} "
                "-SkipAsSource $true"
                for vip in task.vips
            ),
            Shell.POWERSHELL,
        ),
        Step(
            "The firewall lets requests to the VIP in.",
            (
                f"New-NetFirewallRule -DisplayName {rule} -Direction Inbound -Action Allow "
                f"-Protocol {task.protocol.value.upper()} -LocalPort {task.port} -LocalAddress {local}",
            ),
            Shell.POWERSHELL,
        ),
    )
    undo, shared = _undo(task)
    confirm = (
        Step(
            "The VIP is on the adapter and on no other.",
            tuple(
                f"Get-NetIPAddress -IPAddress '{vip.ip}' | Format-Table InterfaceAlias, IPAddress" for vip in task.vips
            ),
            Shell.POWERSHELL,
        ),
        Step(
            "The service listens on the VIP, or on every address.",
            (f"netstat -an | findstr /c:':{task.port} '",),
            Shell.POWERSHELL,
        ),
        asked_beside(task),
    )
    return Procedure(task, setup, confirm, undo, shared, notes=tuple(netsh.notes(task)))


def _undo(task: RealServerTask) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """What is undone for this service, and what once no other needs it."""
    real, adapter = _single(task.interface), _single(task.loopback)
    rule = _rule(task)
    undo = [Step("The firewall as it was.", (f"Remove-NetFirewallRule -DisplayName {rule}",), Shell.POWERSHELL)]
    gone = tuple(
        f"Remove-NetIPAddress -InterfaceAlias {adapter} -IPAddress '{vip.ip}' -Confirm:$false" for vip in task.given_up
    )
    if gone:
        undo.append(Step("The VIP leaves the adapter.", gone, Shell.POWERSHELL))
    strong = tuple(
        f"Set-NetIPInterface -InterfaceAlias {real} -AddressFamily {family} -WeakHostReceive Disabled"
        for family in _families(task)
    )
    last = (
        Step("The real interface as it was.", strong, Shell.POWERSHELL),
        Step("The adapter goes.", (f"Remove-LoopbackAdapter -Name {adapter} -Force",), Shell.POWERSHELL),
    )
    return (tuple(undo), last) if task.others else ((*undo, *last), ())


def _families(task: RealServerTask) -> tuple[str, ...]:
    return tuple(f"IPv{version}" for version in task.versions)


def _rule(task: RealServerTask) -> str:
    return _single(f"yaoki {task.service}")


def _single(name: str) -> str:
    """A name in PowerShell's single quotes, within which only these themselves mean anything."""
    return "'" + "".join(c * 2 if c in _SINGLE_QUOTES else c for c in name) + "'"
