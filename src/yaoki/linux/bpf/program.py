"""Programs in the kernel, and trying one on a frame without a network (BPF_PROG_TEST_RUN)."""

import os
import struct
from dataclasses import dataclass

from yaoki.linux.bpf.syscall import Command, address, bpf, buffer, room

MOST_OUTPUT = 65_536
_RUN = struct.Struct("=IIIIQQII")
_LENGTH_AT, _DURATION_AT = 12, 36


@dataclass(frozen=True, slots=True)
class TestRun:
    """What a program answered, the frame as it left it, and nanoseconds for each of the repeats."""

    __test__ = False

    verdict: int
    frame: bytes
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Program:
    """A program, by a descriptor that it owns."""

    descriptor: int
    name: str

    def test_run(self, frame: bytes, *, repeat: int = 1) -> TestRun:
        """Run it on a frame that comes in at the loopback interface. Raises ActuatorError."""
        given, returned = buffer(frame), room(MOST_OUTPUT)
        attributes = _RUN.pack(
            self.descriptor, 0, len(frame), MOST_OUTPUT, address(given), address(returned), repeat, 0
        )
        _, after = bpf(Command.PROGRAM_TEST_RUN, attributes, change=f"BPF program {self.name}: test run")
        verdict, length = struct.unpack_from("=i", after, 4)[0], struct.unpack_from("=I", after, _LENGTH_AT)[0]
        return TestRun(verdict, returned.raw[:length], struct.unpack_from("=I", after, _DURATION_AT)[0])

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self.descriptor)
