"""The links of a node's processes, wired as the runtime wires its sockets.

The main process connects to the others, and the speaker to the lease keeper, where there is one. The speaker repeats
its state to whoever connects and goes on without; a check worker has nobody to report to without its link, and ends.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

from yaoki.node.brain_messages import (
    BrainInput,
    KeeperLost,
    KeeperReached,
    SpeakerBack,
    SpeakerLost,
    WorkerBack,
    WorkerLost,
)
from yaoki.node.holder_messages import HolderOrder, HolderReport, KeeperBack
from yaoki.node.lease_messages import HolderBack, HolderGone, KeeperOrder
from yaoki.node.messages import ShardInput, SpeakerOrder
from yaoki.sim.chance import Chance
from yaoki.sim.faults import Between
from yaoki.sim.keeper import Keeper
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
    keeper: Keeper | None,
    *,
    timeline: Timeline,
    chance: Chance,
    carry: Callable[[object], object],
    worker_alone: Callable[[], None],
    changed: Callable[[], None],
) -> dict[Between, Link]:
    """The links of a node; `worker_alone` is called when the worker's has ended, `changed` when one begins or ends."""
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
    links = {Between.SPEAKER: to_speaker, Between.WORKER: to_worker}
    if keeper is None:
        return links
    make = partial(Link, timeline, chance, carry=carry, changed=changed)
    return links | _leases(main, speaker, keeper, make)


def _leases(main: MainProcess, speaker: Speaker, keeper: Keeper, make: Callable[..., Link]) -> dict[Between, Link]:
    def end_of_keeper(up: Callable[[], None], down: Callable[[], None]) -> End:
        return End(
            alive=lambda: keeper.process.machine is not None,
            running=lambda: keeper.process.running,
            take=lambda message: keeper.order(cast("KeeperOrder | HolderOrder", message)),
            up=up,
            down=down,
        )

    to_keeper = make(
        client=_end_of_main(main, KeeperReached(), KeeperLost(_WHY)),
        server=end_of_keeper(keeper.reached, lambda: None),
    )
    to_holder = make(
        client=End(
            alive=lambda: speaker.process.machine is not None,
            running=lambda: speaker.process.running,
            take=lambda message: speaker.process.give(cast(HolderReport, message)),
            up=lambda: speaker.process.give(KeeperBack()),
            down=lambda: None,
        ),
        server=end_of_keeper(lambda: keeper.order(HolderBack()), lambda: keeper.order(HolderGone())),
    )
    return {Between.KEEPER: to_keeper, Between.HOLDER: to_holder}


def _end_of_main(main: MainProcess, back: BrainInput, lost: BrainInput) -> End:
    return End(
        alive=lambda: main.process.machine is not None,
        running=lambda: main.process.running,
        take=lambda message: main.process.give(cast(BrainInput, message)),
        up=lambda: main.process.give(back),
        down=lambda: main.process.give(lost),
    )
