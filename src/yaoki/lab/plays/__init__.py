"""What the machines that do not run Yaoki are in the lab: real nginx, a small echo server, clients.

Every answer bears the name of the machine that gave it, so that a probe knows who answered.
"""
