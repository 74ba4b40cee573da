"""Wire forms: Ethernet, ARP, IPv4, IPv6, ICMP, neighbour discovery, UDP and TCP headers, checksums; the
authentication trailer of what VRRP routers and nodes tell each other.

Decoders return a value or `Malformed(reason, offset)`; they never raise on what a peer sent.
"""
