"""The commands for one address and one file, as a person types them on Linux."""

from yaoki.core.address import IPInterface


def alone(vip: IPInterface) -> str:
    """The address with the length of one address."""
    return f"{vip.ip}/{vip.max_prefixlen}"


def add(vip: IPInterface) -> str:
    """Put it on the loopback. Deprecated, IPv6 is never the source of what the server sends by itself."""
    if vip.version == 4:
        return f"ip address replace {alone(vip)} dev lo"
    return f"ip -6 address replace {alone(vip)} dev lo nodad preferred_lft 0"


def delete(vip: IPInterface) -> str:
    """Take it off the loopback."""
    return f"ip{' -6' if vip.version == 6 else ''} address del {alone(vip)} dev lo"


def here(path: str, text: str) -> tuple[str, ...]:
    """Write a file of several lines, none of which is END."""
    return (f"cat > {path} <<'END'", *text.splitlines(), "END")
