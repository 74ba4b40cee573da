"""Findings about the servers of direct return in words: each with its evidence and, if something is wrong, its cure."""

from collections.abc import Callable, Mapping

from yaoki.lb.proof import Finding, Saying

Words = Callable[[Finding], str]

SENTENCES: Mapping[Saying, Words] = {
    Saying.THIS_NODE_ALONE: lambda f: f"this node has {f.address}, and nobody else answered for it",
    Saying.OWNER_ALONE: lambda f: f"{f.who} alone answers for {f.address}, at {f.mac}",
    Saying.NOBODY: lambda f: f"nobody answers for {f.address}",
    Saying.TWO_OWNERS: lambda f: f"{f.who} answers for {f.address} beside another owner",
    Saying.STRANGER: lambda f: f"{f.mac}, which is nobody's in the site file, claims {f.address}",
    Saying.SILENT: lambda f: f"{f.server} was silent when {f.address} was asked for",
    Saying.LEAKS: lambda f: f"{f.server} claims {f.address} by an {f.seen}, at {f.mac}",
    Saying.NAMES_VIP: lambda f: f"{f.server} asks its neighbours in the name of {f.address}, at {f.mac}",
    Saying.NO_MAC: lambda f: f"{f.server} does not answer for its own address, so it could not be asked ({f.seen})",
    Saying.NO_WAY: lambda f: f"{f.server} could not be asked: no way to it is known, for {f.through} ({f.seen})",
    Saying.NO_SOURCE: lambda f: (
        f"{f.server} could not be asked for {f.address}: this node has no own address beside it"
    ),
    Saying.TAKEN: lambda f: f"{f.server} takes packets for {f.address} ({f.seen}, {_where(f)})",
    Saying.NOT_TAKEN: lambda f: (
        f"{f.server} takes no packet for {f.address}: no answer "
        + (f"to what goes through {f.through} by {f.mac}" if f.through else f"from {f.mac}")
        + f" ({f.seen})"
    ),
    Saying.LISTENING: lambda f: f"the service of {f.server} listens on {f.address}",
    Saying.OWN_ADDRESS_ONLY: lambda f: (
        f"the service of {f.server} listens on its own address and not on {f.address} ({f.seen})"
    ),
    Saying.NOWHERE: lambda f: f"the service of {f.server} does not listen, neither on {f.address} ({f.seen})",
    Saying.FILTERED: lambda f: f"{f.server} answers an echo to {f.address}, and its service there is silent ({f.seen})",
    Saying.PROHIBITED: lambda f: f"{f.server} refuses the service on {f.address} as prohibited ({f.seen})",
    Saying.UNPROVEN: lambda f: f"the service of {f.server} did not answer a datagram for {f.address} ({f.seen})",
    Saying.STRAIGHT: lambda f: f"{f.server} answers from {f.address}, straight from {f.mac}",
    Saying.PLAIN: lambda f: f"{f.server} answers from {f.address} outside any tunnel, by way of {f.who or f.mac}",
    Saying.DETOUR: lambda f: f"the answer of {f.server} came from {f.mac}, {f.who or 'which nobody knows'}",
}

_SETUP = "set it up: yaoki realserver setup {service} {server}"

CURES: Mapping[Saying, str] = {
    Saying.NOBODY: "no member of the VIP has it: yaoki status",
    Saying.TWO_OWNERS: "two members have the VIP at once: yaoki events, on both",
    Saying.STRANGER: "find the machine with this MAC and take the address off it",
    Saying.LEAKS: _SETUP + " (arp_ignore; the VIP on the loopback only)",
    Saying.NAMES_VIP: _SETUP + " (arp_announce)",
    Saying.NO_MAC: "is it switched on, plugged in, and on the VIP's network?",
    Saying.NO_WAY: "give this node a route to it, by an Ethernet interface, and look whether the next hop answers",
    Saying.NO_SOURCE: "give this node's interface an address in a prefix of the VIP's network",
    Saying.NOT_TAKEN: _SETUP + " (the VIP on the loopback)",
    Saying.OWN_ADDRESS_ONLY: "have the service listen on the VIP as well, or on every address",
    Saying.NOWHERE: "start the service, and have it listen on the VIP as well as on its own address",
    Saying.FILTERED: "look for a packet filter on {server} that lets the service through for its own address only",
    Saying.PROHIBITED: "look for a packet filter on {server} that refuses the VIP",
    Saying.UNPROVEN: "name a check of kind udp at the service: what it sends is sent through this path, too",
    Saying.DETOUR: "something between takes its packets: proxy ARP, a bridge that rewrites MACs, or a second interface",
}
"""Of every saying that is not right."""
THROUGH_TUNNELS: Mapping[Saying, str] = {
    Saying.NOT_TAKEN: _SETUP
    + " (the end of the tunnel, the VIP on the loopback); on the way no filter may drop its packets, those to it or"
    " those that it sends as the VIP (rp_filter of routers)",
}
"""Where more may be the cause."""


def _where(finding: Finding) -> str:
    return f"through {finding.through}" if finding.through else f"at {finding.mac}"


def sentence(finding: Finding) -> str:
    """What was found, with the evidence."""
    return SENTENCES[finding.saying](finding)


def cure(finding: Finding, service: str) -> str:
    """What to do about it; empty if nothing is wrong."""
    through = THROUGH_TUNNELS.get(finding.saying) if finding.through else None
    return (through or CURES.get(finding.saying, "")).format(service=service, server=finding.server)
