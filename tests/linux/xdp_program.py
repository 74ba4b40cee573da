"""An XDP program that passes all frames, put into the driver of an interface of the namespace that this runs in.

    python tests/linux/xdp_program.py eth0           attach it
    python tests/linux/xdp_program.py eth0 off       take it away, with whatever else is there

It plays somebody else's program; and at the far end of a veth it is what lets XDP at the near end send.
"""

import socket
import sys
import tempfile
from pathlib import Path

from yaoki.linux.bpf import xdp
from yaoki.linux.bpf.build import build
from yaoki.linux.bpf.hooks import Interface
from yaoki.linux.bpf.object import load

NAME = "pass_all"
_SOURCE = f"""
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("xdp") int {NAME}(struct xdp_md *frame) {{ (void)frame; return XDP_PASS; }}
char licence[] SEC("license") = "GPL";
"""


def main() -> None:
    interface = Interface(sys.argv[1], socket.if_nametoindex(sys.argv[1]))
    if sys.argv[2:] == ["off"]:
        found = xdp.program_at(xdp.look(interface))
        assert found is not None
        xdp.detach(found, interface)
        return
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "other.bpf.c").write_text(_SOURCE)
        xdp.attach(load(build("other", Path(directory))).programs[NAME], interface)


if __name__ == "__main__":
    main()
