"""What an interface's driver says of XDP, without anything being attached: the generic netlink family `netdev`.

It came with Linux 6.3; the tcx hook, without which there is nothing of XDP here, with 6.6.
"""

import struct
import sys
from typing import Final

from yaoki.core.error import ActuatorError
from yaoki.linux.attributes import attribute, attributes
from yaoki.linux.bpf.hooks import Interface
from yaoki.linux.netlink_question import ask

BASIC: Final = 1
"""NETDEV_XDP_ACT_BASIC: programs can pass, drop and send back."""

# linux/netlink.h, linux/genetlink.h, linux/netdev.h
_NETLINK_GENERIC = 16
_CONTROL, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2
_GET_DEVICE, _INDEX, _FEATURES = 1, 1, 3
_HEADER = struct.Struct("=BBH")


def features_of(interface: Interface) -> int:
    """Bits of NETDEV_XDP_ACT_...; 0: its driver runs no program. Raises ActuatorError."""
    change = f"XDP: ask what the driver of {interface.name} can do"
    named = _HEADER.pack(_GET_FAMILY, 1, 0) + attribute(_FAMILY_NAME, b"netdev\0")
    (family,) = struct.unpack("=H", _first(ask(_NETLINK_GENERIC, _CONTROL, named, change=change), _FAMILY_ID, change))
    device = _HEADER.pack(_GET_DEVICE, 1, 0) + attribute(_INDEX, struct.pack("=I", interface.index))
    features = _first(ask(_NETLINK_GENERIC, family, device, change=change), _FEATURES, change)
    return int.from_bytes(features, sys.byteorder)


def _first(answers: list[bytes], kind: int, change: str) -> bytes:
    for answer in answers:
        for found, value in attributes(answer[_HEADER.size :]):
            if found == kind:
                return value
    raise ActuatorError(change, "the kernel does not say")
