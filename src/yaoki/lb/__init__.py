"""The layer-4 balancer: virtual services, real servers, scheduling, and the plan from what is to what shall be.

Planes (nftables, and BPF for direct return) live in yaoki.linux and take the same Desired.
"""
