"""The two links of a node's processes, wired as the runtime wires its sockets.

The main process connects to both others. The speaker repeats its state to whoever connects and goes on without; a check
worker has nobody to report to without its link, and ends.
"""

from collections.abc import Callable
from typing import cast

from yaoki.node.brain_messages import BrainInput, SpeakerBack, SpeakerLost, WorkerBack, WorkerLost
from yaoki.node.messages import ShardInput, SpeakerOrder
from yaoki.sim.chance import Chance
from yaoki.sim.faults import Between
from yaoki.sim.link import End, Link
from yaoki.sim.main_process import MainProcess
from yaoki.sim.speaker import Speaker
from yaoki.sim.timeline import Timeline
from yaoki.sim.worker import Worker

_WHY = "connection closed"


def wire(
    main: MainProcess,
    speaker: Speaker,
    worker: Worker,
    *,
    timeline: Timeline,
    chance: Chance,
    carry: Callable[[object], object],
    worker_alone: Callable[[], None],
    changed: Callable[[], None],
) -> dict[Between, Link]:
    """Both links of a node; `worker_alone` is called when the worker's has ended, `changed` when one begins or ends."""
    to_speaker = Link(
        timeline,
        chance,
        client=_end_of_main(main, SpeakerBack(), SpeakerLost(_WHY)),
        server=End(
            alive=lambda: speaker.process.machine is not None,
            running=lambda: speaker.process.running,
            take=lambda message: speaker.order(cast(SpeakerOrder, message)),
            up=speaker.reached,
            down=lambda: None,
        ),
        carry=carry,
        changed=changed,
    )
    to_worker = Link(
        timeline,
        chance,
        client=_end_of_main(main, WorkerBack(), WorkerLost(_WHY)),
        server=End(
            alive=lambda: worker.process.machine is not None,
            running=lambda: worker.process.running,
            take=lambda message: worker.order(cast(ShardInput, message)),
            up=lambda: None,
            down=worker_alone,
        ),
        carry=carry,
        changed=changed,
    )
    return {Between.SPEAKER: to_speaker, Between.WORKER: to_worker}


def _end_of_main(main: MainProcess, back: SpeakerBack | WorkerBack, lost: SpeakerLost | WorkerLost) -> End:
    return End(
        alive=lambda: main.process.machine is not None,
        running=lambda: main.process.running,
        take=lambda message: main.process.give(cast(BrainInput, message)),
        up=lambda: main.process.give(back),
        down=lambda: main.process.give(lost),
    )
