"""Keeps health probes out of connection tracking: an nft table of its own, by the mark that probe sockets bear.

A thousand checks a second would fill the table of flows with entries that live for two minutes each. Packets that
probes send are known by their mark, answers by the socket that awaits them (`socket mark`; raw sockets are not found
by it, but an ICMP reply to an untracked request makes no entry). To look for a socket is dear, so it is done only for
packets to an address that probes are sent from, which the rules remember themselves: what is forwarded pays for one
look into a small set. What a probe sends and gets is `ct state untracked`, which a packet filter of the operator's has
to let pass.

Invariants: a table that is as it should be is not touched; no other table is.
"""

import subprocess

from yaoki.core.error import ActuatorError

PROBE_MARK = 0x59410001
TABLE = "yaoki-probes"
_SECONDS = 10
"""Time limit of one call of nft."""

_RULES = f"""table inet {TABLE} {{
	set sources4 {{
		type ipv4_addr
		size 256
		flags dynamic,timeout
		timeout 1h
	}}

	set sources6 {{
		type ipv6_addr
		size 256
		flags dynamic,timeout
		timeout 1h
	}}

	chain output {{
		type filter hook output priority raw; policy accept;
		meta mark != {PROBE_MARK:#010x} return
		notrack
		update @sources4 {{ ip saddr }}
		update @sources6 {{ ip6 saddr }}
	}}

	chain prerouting {{
		type filter hook prerouting priority raw; policy accept;
		ip daddr @sources4 socket mark {PROBE_MARK:#010x} notrack
		ip6 daddr @sources6 socket mark {PROBE_MARK:#010x} notrack
	}}
}}
"""
"""As `nft list` prints it."""


def ensure() -> None:
    """Make the table as it should be. Raises ActuatorError."""
    if _nft("--terse", "list", "table", "inet", TABLE, missing_is_fine=True) == _RULES:
        return
    script = f"table inet {TABLE}\ndelete table inet {TABLE}\n{_RULES}"
    _nft("-f", "-", script=script)


def remove() -> None:
    """Take the table away; no error if it is not there. Raises ActuatorError."""
    _nft("-f", "-", script=f"table inet {TABLE}\ndelete table inet {TABLE}\n")


def _nft(*arguments: str, script: str = "", missing_is_fine: bool = False) -> str:
    doing = f"nft {' '.join(arguments)} (table inet {TABLE})"
    try:
        done = subprocess.run(
            ["nft", *arguments], input=script, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise ActuatorError(doing, "nft is not installed", errno=error.errno) from error
    except subprocess.TimeoutExpired as error:
        raise ActuatorError(doing, f"no answer within {_SECONDS} s") from error
    if done.returncode != 0:
        if missing_is_fine:
            return ""
        raise ActuatorError(doing, done.stderr.strip().partition("\n")[0])
    return done.stdout
