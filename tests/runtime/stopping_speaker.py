"""A speaker that stops itself (SIGSTOP) right before it carries out an effect, or refreshes gates: the kind of effect,
or `RefreshedGates`, is the name of a file in its run directory, which is removed then."""

import os
import signal
import sys
from pathlib import Path

from yaoki.node.messages import RefreshGate
from yaoki.runtime import speaker
from yaoki.runtime.speaker_kernel import KernelEffect, SpeakerKernel
from yaoki.runtime.speaker_voice import SpeakerVoice

_carry_out, _due = SpeakerKernel.perform, SpeakerVoice.due


def _stop(before: str) -> None:
    order = Path(sys.argv[sys.argv.index("--run-dir") + 1]) / before
    if order.exists():
        order.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)


def _stop_or_carry_out(kernel: SpeakerKernel, effect: KernelEffect) -> None:
    _stop(type(effect).__name__)
    _carry_out(kernel, effect)


def _stop_or_refresh(voice: SpeakerVoice) -> tuple[RefreshGate, ...]:
    due = _due(voice)
    if due:
        _stop("RefreshedGates")
    return due


if __name__ == "__main__":
    SpeakerKernel.perform = _stop_or_carry_out  # type: ignore[assignment, method-assign]
    SpeakerVoice.due = _stop_or_refresh  # type: ignore[assignment, method-assign]
    sys.exit(speaker.main())
