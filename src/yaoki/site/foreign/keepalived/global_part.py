"""global_defs: what sets defaults for all instances; most of the rest is keepalived's own housekeeping."""

from collections.abc import Iterable
from dataclasses import dataclass

from yaoki.site.foreign.keepalived.blocks import Statement
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.values import account, flag, number

_MAIL = "Yaoki sends no mail: run a hook on the events that matter"
_ANNOUNCING = "Yaoki announces at takeover, again afterwards and on every sign of doubt, by its own schedule"
_NOT_TAKEN = {
    "notification_email": _MAIL,
    "notification_email_from": _MAIL,
    "smtp_server": _MAIL,
    "smtp_helo_name": _MAIL,
    "smtp_connect_timeout": _MAIL,
    "smtp_alert": _MAIL,
    "smtp_alert_vrrp": _MAIL,
    "smtp_alert_checker": _MAIL,
    "no_email_faults": _MAIL,
    "vrrp_mcast_group4": "Yaoki advertises to 224.0.0.18, as RFC 9568 has it",
    "vrrp_mcast_group6": "Yaoki advertises to ff02::12, as RFC 9568 has it",
    "lvs_sync_daemon": "flows are copied to the members of a VIP without being asked for (copy-flows)",
    "net_namespace": "start the node process in that namespace",
    "startup_script": "start it from the unit of the node process",
    "shutdown_script": "start it from the unit of the node process",
    "enable_dbus": "ask the control socket: yaoki -j status",
    "enable_snmp_vrrp": "metrics are served in Prometheus' form",
    "enable_snmp_checker": "metrics are served in Prometheus' form",
    "snmp_socket": "metrics are served in Prometheus' form",
    "vrrp_notify_fifo": "yaoki events follows the stream of events",
    "notify_fifo": "yaoki events follows the stream of events",
    "lvs_notify_fifo": "yaoki events follows the stream of events",
}
_NOT_NEEDED = {
    "vrrp_garp_master_delay": _ANNOUNCING,
    "vrrp_garp_master_repeat": _ANNOUNCING,
    "vrrp_garp_lower_prio_delay": _ANNOUNCING,
    "vrrp_garp_lower_prio_repeat": _ANNOUNCING,
    "vrrp_garp_master_refresh": _ANNOUNCING,
    "vrrp_garp_master_refresh_repeat": _ANNOUNCING,
    "vrrp_garp_interval": _ANNOUNCING,
    "vrrp_gna_interval": _ANNOUNCING,
    "vrrp_min_garp": _ANNOUNCING,
    "vrrp_garp_extra_if": _ANNOUNCING,
    "vrrp_strict": "the rules of RFC 9568 hold always",
    "vrrp_skip_check_adv_addr": "another address list is an event, and never makes a second owner",
    "vrrp_iptables": "Yaoki has a table of its own in nftables",
    "vrrp_ipsets": "Yaoki has a table of its own in nftables",
    "nftables": "Yaoki has a table of its own in nftables",
    "vrrp_priority": "the speaker asks for real-time priority by itself",
    "vrrp_rt_priority": "the speaker asks for real-time priority by itself",
    "vrrp_rlimit_rttime": "the speaker asks for real-time priority by itself",
    "vrrp_no_swap": "the speaker locks its memory by itself",
    "checker_priority": "check workers run at normal priority",
    "checker_rt_priority": "check workers run at normal priority",
    "dynamic_interfaces": "interfaces may come and go",
    "enable_script_security": "hooks and checks run as nobody unless the site says otherwise",
    "process_names": "processes have names of their own",
    "use_pid_dir": "there are no pid files",
    "lvs_flush": "what Yaoki owns in the kernel is marked, and only that is adopted or removed",
    "lvs_flush_on_stop": "what Yaoki owns in the kernel is marked, and only that is adopted or removed",
}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What global_defs sets for the whole file."""

    router_id: str | None = None
    version: int | None = None
    script_user: str | None = None


def read_globals(statements: Iterable[Statement], report: Report) -> Defaults:
    """The defaults, with a remark on every statement of the global blocks."""
    router_id = script_user = None
    version = None
    for block in statements:
        if block.keyword != "global_defs":
            continue
        report.taken(block, "its defaults")
        for item in block.items:
            match item.keyword:
                case "router_id":
                    router_id = item.first()
                    report.taken(item, "the node's name, unless NAME=FILE gives another or two files have the same")
                case "vrrp_version":
                    version = number(item.first(), 2, 3) or version
                    report.taken(item, "version, at every VIP without its own")
                case "script_user":
                    script_user = account(item.first())
                    report.taken(item, "user, at hooks and script checks; its group is the account's")
                case "vrrp_strict" | "vrrp_min_garp" if flag(item.first()) is None:
                    report.not_taken(item, "its value is neither on nor off")
                case keyword if keyword in _NOT_NEEDED:
                    report.not_needed(item, _NOT_NEEDED[keyword])
                case keyword:
                    why = _NOT_TAKEN.get(keyword, "it is of keepalived's own running")
                    report.whole_not_taken(item, why)
    return Defaults(router_id, version, script_user)
