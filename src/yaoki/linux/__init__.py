"""The only package that touches the kernel: netlink, nftables, sockets, neighbours, sysctls, namespaces.

Every actuator observes and applies; none decides. Never imported by yaoki.sim or yaoki.node.
"""
