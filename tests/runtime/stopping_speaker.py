"""A speaker that stops itself (SIGSTOP) right before it carries out an effect: the kind of effect is the name of a file
in its run directory, which is removed then."""

import os
import signal
import sys
from pathlib import Path

from yaoki.runtime import speaker
from yaoki.runtime.speaker_kernel import KernelEffect, SpeakerKernel

_carry_out = SpeakerKernel.perform


def _stop_or_carry_out(kernel: SpeakerKernel, effect: KernelEffect) -> None:
    order = Path(sys.argv[sys.argv.index("--run-dir") + 1]) / type(effect).__name__
    if order.exists():
        order.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)
    _carry_out(kernel, effect)


if __name__ == "__main__":
    SpeakerKernel.perform = _stop_or_carry_out  # type: ignore[assignment, method-assign]
    sys.exit(speaker.main())
