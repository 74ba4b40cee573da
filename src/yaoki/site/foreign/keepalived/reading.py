"""One node's file as its configuration: lines, statements, then each part by its own reader."""

from yaoki.core.error import Problem
from yaoki.site.foreign.keepalived.blocks import Statement, read_blocks
from yaoki.site.foreign.keepalived.configuration import Configuration
from yaoki.site.foreign.keepalived.global_part import read_globals
from yaoki.site.foreign.keepalived.instances import InstanceReader
from yaoki.site.foreign.keepalived.library import Library
from yaoki.site.foreign.keepalived.lines import LineReader
from yaoki.site.foreign.keepalived.report import Outcome, Report
from yaoki.site.foreign.keepalived.virtual_servers import VirtualServerReader

_UNKNOWN_BLOCKS = {
    "static_ipaddress": "a node's own addresses are set by its distribution",
    "static_routes": "routes are set by the distribution",
    "static_rules": "rules are set by the distribution",
    "track_group": "it is for static addresses",
    "garp_group": "announcements are few and spread by themselves",
    "bfd_instance": "BFD is not spoken",
    "track_file": "files are not tracked; write a script check",
    "vrrp_track_file": "files are not tracked; write a script check",
    "vrrp_track_process": "processes are not tracked; write a script check",
    "linkbeat_interfaces": "the kernel tells of its links",
    "interface_up_down_delays": "an interface counts as soon as the kernel says so",
    "SSL": "https checks need no certificate of their own",
}
_READ = {
    "global_defs", "vrrp_instance", "vrrp_sync_group", "vrrp_script", "virtual_server", "virtual_server_group",
}  # fmt: skip


def read_configuration(
    library: Library, file: str, *, name: str | None, report: Report, problems: list[Problem]
) -> tuple[Configuration, str | None]:
    """What a file and those that it includes say, and its router_id. Without a name its conditions are not decided.

    What is no keepalived syntax goes to `problems`, and the rest is read all the same.
    """
    reader = LineReader(library, problems, config_id=name)
    statements = read_blocks(reader.read(file), problems)
    for passed in reader.passed_over:
        outcome = Outcome.NOT_NEEDED if passed.known else Outcome.NOT_TAKEN
        report.line(passed.where, passed.text, outcome, passed.why)
    defaults = read_globals(statements, report)
    instances = InstanceReader(report, defaults)
    configuration = Configuration(
        name or "",
        file,
        statements,
        instances=instances.instances(statements),
        groups=instances.groups(statements),
        scripts=instances.scripts(statements),
        servers=VirtualServerReader(report).read(statements),
    )
    _unknown(statements, report)
    return configuration, defaults.router_id


def _unknown(statements: tuple[Statement, ...], report: Report) -> None:
    for block in statements:
        if block.keyword in _READ and block.block is not None:
            continue
        why = "it needs a block" if block.keyword in _READ else _UNKNOWN_BLOCKS.get(block.keyword)
        report.whole_not_taken(block, why or "it is of keepalived's own running")
