"""VRRP (RFC 9568, RFC 3768): wire form, parameters and the virtual-router machine.

The speaker process that runs these is composed in yaoki.node.speaker_brain and driven by yaoki.runtime.speaker.
"""
