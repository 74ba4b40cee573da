"""The lease keeper as a process: killed, stopped, restarted, ended; and three real etcd, of which one fails.

What is measured is printed: run with -s to see it.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.election.etcd_cluster import EtcdCluster
from tests.election.keeper_process import KeeperNode, figure, until
from yaoki.core.instant import Instant
from yaoki.election.events import LossReason
from yaoki.election.lease_params import LeaseParams, wait_out
from yaoki.election.store import LocalStore, StoreSpec
from yaoki.node.holder_messages import (
    HolderReport,
    LeaseOver,
    LeaseValid,
)
from yaoki.node.lease_messages import (
    EndLeases,
    LeaseState,
    RepeatLeaseStatus,
)
from yaoki.node.messages import Published
from yaoki.node.speaker_events import OrderUnreadable
from yaoki.runtime.driver import monotonic_now
from yaoki.runtime.part_process import EXIT_RUNS_ALREADY

D = timedelta(seconds=1.5)
MS = timedelta(milliseconds=1)
LONG = 2 * D
"""Where a machine that stands still for two seconds shall cost no lease."""

NOISE = timedelta(milliseconds=500)
"""What a busy machine may add to a takeover."""

ATTEMPTS = 3
"""A machine that stutters adds more, by chance; a keeper that waits for too long does so every time."""

ELECTIONS = 4
"""Of etcd, of which one keeps the lease: a vote may be split, and a second one ends later than a lease does."""

Play = Callable[[KeeperNode, KeeperNode], Awaitable[None]]


def run(tmp_path: Path, store: StoreSpec, play: Play, *, duration: timedelta = D) -> None:
    """Two nodes share a lease; `play` goes on from there, with who owns it first."""

    async def whole() -> None:
        params = LeaseParams.usual(f"vip/{tmp_path.name}", duration)
        first, second = (KeeperNode(name, tmp_path / name, store, params) for name in ("lb1", "lb2"))
        first.others, second.others = [second], [first]
        try:
            await first.start()
            first.wanting = True
            await until(lambda: first.answers)
            await second.start()
            second.wanting = True
            if isinstance(store, LocalStore):
                await play(first, second)
                return
            await play(*await owner_and_other(first, second))
        finally:
            await first.close()
            await second.close()
        if not isinstance(store, LocalStore):
            assert first.conflicts + second.conflicts == []

    asyncio.run(whole())


async def owner_and_other(first: KeeperNode, second: KeeperNode) -> tuple[KeeperNode, KeeperNode]:
    """The same two, when one owns and the other waits. Who stands still for long enough loses a short lease."""
    orders = ((first, second), (second, first))
    await until(lambda: any(one.answers and other.state is LeaseState.WAITING for one, other in orders))
    return orders[second.answers]


def told(node: KeeperNode, since: Instant) -> list[HolderReport]:
    return [report for at, report in node.heard if at >= since]


# --- without etcd -----------------------------------------------------------------------------------------------------


def test_a_lone_node_holds_its_leases_in_memory_and_ends_in_order(tmp_path: Path) -> None:
    async def play(first: KeeperNode, _: KeeperNode) -> None:
        await until(lambda: first.state is LeaseState.HELD)
        first.give_up()
        await until(lambda: bool(first.losses()))
        assert [loss.reason for loss in first.losses()] == [LossReason.GIVEN_UP]
        first.signal(signal.SIGTERM)
        assert await first.exit_status() == 0

    run(tmp_path, LocalStore(), play)


def test_what_cannot_be_read_is_told_and_changes_nothing(tmp_path: Path) -> None:
    async def play(first: KeeperNode, _: KeeperNode) -> None:
        first.main.send(b'{"is":"Unheard"}')
        first.link.send(b"?!")
        first.order(RepeatLeaseStatus())
        unread = [OrderUnreadable.__name__] * 2
        await until(
            lambda: (
                [type(each.event.body).__name__ for each in first.reports if isinstance(each, Published)][-2:] == unread
            )
        )
        assert first.answers

    run(tmp_path, LocalStore(), play)


def test_a_second_keeper_of_one_node_ends_at_once(tmp_path: Path) -> None:
    async def play(*_: KeeperNode) -> None:
        command = [sys.executable, "-m", "yaoki.runtime.lease_keeper", "--node", "lb1"]
        again = await asyncio.to_thread(
            subprocess.run, [*command, "--run-dir", str(tmp_path / "lb1")], capture_output=True, text=True, timeout=30
        )
        assert again.returncode == EXIT_RUNS_ALREADY
        assert "runs already" in again.stderr

    run(tmp_path, LocalStore(), play)


# --- with three etcd --------------------------------------------------------------------------------------------------

peers = pytest.mark.peers


@pytest.fixture(scope="module")
def cluster() -> Iterator[EtcdCluster]:
    with EtcdCluster() as cluster:
        yield cluster


@pytest.fixture
def store(cluster: EtcdCluster) -> StoreSpec:
    cluster.wait_for_leader()
    return cluster.spec


@peers
@pytest.mark.req("B-21")
@pytest.mark.parametrize("duration", [D, 500 * MS, 250 * MS], ids=lambda d: f"{d / MS:.0f}ms")
def test_when_the_owner_is_killed_the_other_takes_over(tmp_path: Path, store: StoreSpec, duration: timedelta) -> None:
    async def play(first: KeeperNode, second: KeeperNode) -> None:
        took = []
        for _ in range(ATTEMPTS):
            await asyncio.sleep(2 * duration.total_seconds())
            owner, other = await owner_and_other(first, second)
            killed = monotonic_now()
            owner.die()
            await until(lambda: other.answers)  # noqa: B023 - called at once
            took.append(monotonic_now() - killed)
            figure(f"owner killed, D = {duration / MS:.0f} ms: taken over after {took[-1] / MS:.0f} ms")
            if took[-1] <= 1.1 * duration + NOISE:
                return
            await owner.start_anew()
        pytest.fail(f"taken over after {took}")

    run(tmp_path, store, play, duration=duration)


@peers
@pytest.mark.req("B-21")
def test_an_owner_that_was_stopped_says_first_of_all_that_it_has_lost(tmp_path: Path, store: StoreSpec) -> None:
    async def play(first: KeeperNode, second: KeeperNode) -> None:
        epoch = first.holder.epoch
        first.signal(signal.SIGSTOP)
        stopped = monotonic_now()
        try:
            await until(lambda: second.answers)
            figure(f"owner stopped: taken over after {(monotonic_now() - stopped) / MS:.0f} ms")
            await asyncio.sleep(1)
        finally:
            woken = monotonic_now()
            first.signal(signal.SIGCONT)
        await until(lambda: bool(first.losses()))
        over = next(report for report in told(first, woken))
        assert isinstance(over, LeaseOver)
        assert (over.epoch, over.reason) == (epoch, LossReason.EXPIRED)
        await asyncio.sleep(2 * D.total_seconds())
        assert second.answers
        assert not second.losses()
        assert epoch is not None
        assert second.holder.epoch is not None
        assert second.holder.epoch > epoch

    run(tmp_path, store, play, duration=LONG)


@peers
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=lambda how: how.name)
def test_the_owner_keeps_its_lease_while_etcd_elects_a_leader(
    tmp_path: Path, cluster: EtcdCluster, store: StoreSpec, how: signal.Signals
) -> None:
    async def election(first: KeeperNode) -> bool:
        """Whether the lease was kept while there was one."""
        leader, losses = await asyncio.to_thread(cluster.wait_for_leader), len(first.losses())
        began = monotonic_now()
        cluster.kill(leader) if how is signal.SIGKILL else cluster.pause(leader)
        try:
            await asyncio.sleep(4)
        finally:
            cluster.restart(leader) if how is signal.SIGKILL else cluster.resume(leader)
        kept = len(first.losses()) == losses
        gap = f"{first.longest_gap(began) / MS:.0f} ms" if kept else "more"
        figure(f"etcd's leader {how.name}: longest time without a renewal {gap} of {D / MS:.0f} ms")
        return kept

    async def play(first: KeeperNode, second: KeeperNode) -> None:
        for _ in range(ELECTIONS):
            if await election(first):
                assert first.answers
                assert first.state is LeaseState.HELD
                return
            assert first.losses()[-1].reason is LossReason.EXPIRED
            second.give_up()
            await until(lambda: first.answers)
            second.wanting = True
        pytest.fail(f"{ELECTIONS} elections of etcd cost the lease each")

    run(tmp_path, store, play)


@peers
def test_a_planned_hand_over_takes_a_few_milliseconds(tmp_path: Path, store: StoreSpec) -> None:
    async def play(first: KeeperNode, second: KeeperNode) -> None:
        began = monotonic_now()
        first.give_up()
        await until(lambda: second.answers)
        took = monotonic_now() - began
        figure(f"planned hand-over: {took / MS:.0f} ms")
        assert took < LONG / 2, "the lease did not run out"

    run(tmp_path, store, play, duration=LONG)


@peers
def test_a_keeper_that_is_killed_and_started_again_resumes_the_lease_under_its_epoch(
    tmp_path: Path, store: StoreSpec
) -> None:
    async def play(first: KeeperNode, second: KeeperNode) -> None:
        epoch = first.holder.epoch
        began = monotonic_now()
        first.signal(signal.SIGKILL)
        await first.exit_status()
        await first.start()
        await until(lambda: any(isinstance(report, LeaseValid) for report in told(first, began)))
        figure(f"keeper killed and started again: next grant after {(monotonic_now() - began) / MS:.0f} ms")
        assert first.holder.epoch == epoch
        assert not first.losses()
        assert not any(isinstance(report, LeaseValid) for _, report in second.heard)

    run(tmp_path, store, play, duration=2 * LONG)


@peers
def test_the_death_of_the_brain_costs_nothing_and_a_new_one_is_told_everything(
    tmp_path: Path, store: StoreSpec
) -> None:
    async def play(first: KeeperNode, _: KeeperNode) -> None:
        first.main.close()
        await asyncio.sleep(3 * D.total_seconds())
        assert first.answers
        assert not first.losses()

    run(tmp_path, store, play, duration=LONG)


@peers
def test_a_holder_that_comes_back_is_told_at_once(tmp_path: Path, store: StoreSpec) -> None:
    async def play(first: KeeperNode, _: KeeperNode) -> None:
        await asyncio.sleep(0.3)
        first.link._connection.close("as if it had died")  # type: ignore[union-attr]
        back = monotonic_now()
        await until(lambda: any(isinstance(report, LeaseValid) for report in told(first, back)))
        assert not first.losses()

    run(tmp_path, store, play, duration=LONG)


@peers
def test_a_keeper_that_is_ended_waits_for_its_holder_and_leaves_the_lease_free(
    tmp_path: Path, store: StoreSpec
) -> None:
    async def play(first: KeeperNode, second: KeeperNode) -> None:
        first.order(EndLeases())
        await asyncio.sleep(0.5)
        assert first.answers
        first.give_up()
        began = monotonic_now()
        assert await first.exit_status() == 0
        await until(lambda: second.answers)
        assert monotonic_now() - began < wait_out(LONG) / 2

    run(tmp_path, store, play, duration=LONG)


@peers
def test_a_keeper_that_is_terminated_while_its_holder_goes_on_lets_the_lease_run_out(
    tmp_path: Path, store: StoreSpec
) -> None:
    async def play(first: KeeperNode, second: KeeperNode) -> None:
        first.signal(signal.SIGTERM)
        assert await first.exit_status() == 0
        await until(lambda: second.answers)
        assert not first.answers
        await until(lambda: second.state is LeaseState.HELD)

    run(tmp_path, store, play)
