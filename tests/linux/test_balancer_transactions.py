"""What a change touches, what it leaves alone, and what clean-up leaves behind: nothing."""

import os
import select
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.lb.samples import server, service, trio
from tests.linux.world import CODEC, PREFIX, VIP4, World, run
from tests.runtime.network import eventually
from yaoki.lb.service import Desired, Duty, Forward, Protocol, Scheduler, VirtualService
from yaoki.linux.balancer import RENDERING

pytestmark = pytest.mark.netns

DIRECT = Forward.DIRECT


@contextmanager
def nft_monitor(name: str) -> Iterator[list[str]]:
    """Every change of the ruleset of a namespace; the list is filled when the block ends. Changes of a table that is
    nobody's tell when the monitor has begun, and when all is told."""
    inside = ["ip", "netns", "exec", PREFIX + name, "nft"]
    process = subprocess.Popen([*inside, "monitor"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    output, told = process.stdout.fileno(), b""

    def listened(mark: str) -> bool:
        nonlocal told
        run(*inside, f"add table inet {mark}; delete table inet {mark}")
        while select.select([output], [], [], 0.1)[0]:
            told += os.read(output, 65536)
        return f"delete table inet {mark}\n".encode() in told

    seen: list[str] = []
    try:
        eventually(lambda: listened("begun"), what="it has begun")
        yield seen
        eventually(lambda: listened("ended"), what="it has told all")
        lines = [line for line in told.decode().splitlines() if line and not line.startswith("#")]
        seen += [line for line in lines if line.split()[-1] not in {"begun", "ended"}]
    finally:
        process.terminate()
        process.communicate(timeout=10)


def on_port(wanted: VirtualService, port: int, name: str) -> VirtualService:
    """The same service on another port; direct servers move along."""
    servers = tuple(replace(s, port=port) if s.forward is DIRECT else s for s in wanted.servers)
    return replace(wanted, name=name, key=replace(wanted.key, port=port), servers=servers)


def rich() -> tuple[VirtualService, ...]:
    """One service of each sort."""
    return (
        trio(),
        trio(Forward.FULLNAT, Duty.SERVE, Duty.DRAIN, Duty.OUT, family=6),
        on_port(trio(mask=24, protocol=Protocol.UDP, weights=(3000, 2000, 1000)), 53, "dns"),
        on_port(trio(DIRECT, family=6, scheduler=Scheduler.SOURCE_HASH), 443, "tls"),
        on_port(trio(DIRECT, Duty.DRAIN, mask=16), 25, "mail"),
        on_port(trio(DIRECT, *[Duty.OUT] * 3, protocol=Protocol.UDP, resolved=False), 123, "ntp"),
        on_port(service(server(1, DIRECT), replace(server(2, DIRECT), mac=server(1, DIRECT).mac)), 110, "shared"),
    )


@pytest.mark.parametrize("forward", [Forward.NAT, Forward.FULLNAT, DIRECT], ids=str)
def test_a_change_of_one_service_touches_no_other(nat: World, forward: Forward) -> None:
    other = on_port(trio(forward, mask=32), 81, "other")
    nat.balance(trio(forward), other)
    with nft_monitor("lb") as seen:
        nat.balance(trio(forward, Duty.OUT), other)
        nat.balance(trio(forward, weights=(500, 1000, 1000)), other)
        nat.balance(other)
        nat.balance(trio(forward, mask=24), other)
    assert len(seen) > 10
    assert [line for line in seen if "/81" in line or "tcp . 81" in line or ". 81 ." in line] == []


@pytest.mark.parametrize("forward", [Forward.NAT, DIRECT], ids=str)
def test_a_change_deletes_neither_counters_nor_flows_nor_hooks(nat: World, forward: Forward) -> None:
    nat.balance(trio(forward))
    with nft_monitor("lb") as seen:
        nat.balance(trio(forward, Duty.OUT))
        nat.balance(trio(forward, Duty.DRAIN, weights=(0, 2000, 1000)))
    changed = Counter(" ".join(line.split()[:2]) for line in seen if " __" not in line)
    assert set(changed) <= {"add rule", "delete rule", "add element", "delete element"}
    assert [line for line in seen if "flows/" in line and "element" in line] == []
    assert [line for line in seen if "counters_" in line] == []


def test_a_restarted_plane_finds_everything_and_touches_nothing(nat: World) -> None:
    nat.balance(*rich())
    with nft_monitor("lb") as seen:
        nat.agents["lb"].ask("new_balancer")
        found = CODEC.decode(nat.agents["lb"].ask("observed").encode(), Desired)
        nat.agents["lb"].ask("new_balancer")
        done = nat.balance(*rich())
    assert sorted(found.services, key=lambda s: str(s.key)) == sorted(rich(), key=lambda s: str(s.key))
    assert done["changes"] == []
    assert seen == []


def test_the_same_wish_twice_changes_nothing_the_second_time(nat: World) -> None:
    nat.balance(*rich())
    before = nat.ruleset()
    assert nat.balance(*rich())["changes"] == []
    assert nat.ruleset() == before


def test_a_restarted_plane_changes_and_removes_what_an_earlier_one_made(nat: World) -> None:
    """It knows every object of a service from the kernel alone."""
    nat.balance(*rich())
    nat.agents["lb"].ask("new_balancer")
    nat.balance(*(replace(s, servers=s.servers[1:], persistence=None) for s in rich()))
    nat.agents["lb"].ask("new_balancer")
    nat.balance()
    left = nat.ruleset()
    assert [line for line in left.splitlines() if "192.0.2" in line or "2001" in line or "ingress" in line] == []


def test_counters_survive_changes_and_restarts(nat: World) -> None:
    balancer = nat.agents["lb"]
    nat.balance(trio(protocol=Protocol.UDP))
    nat.names(4, "udp", times=6)
    before = balancer.ask("counters")
    assert [packets for packets, _ in before.values()] == [2, 2, 2]
    nat.balance(trio(Forward.NAT, Duty.OUT, protocol=Protocol.UDP))
    balancer.ask("new_balancer")
    nat.balance(trio(Forward.NAT, Duty.OUT, protocol=Protocol.UDP, weights=(0, 1000, 500)))
    assert balancer.ask("counters") == before
    nat.balance(trio(protocol=Protocol.UDP))
    nat.names(4, "udp", times=3)
    assert [packets for packets, _ in balancer.ask("counters").values()] == [3, 3, 3]


def test_a_server_that_leaves_takes_its_counter_along(nat: World) -> None:
    nat.balance(service(server(1), server(2)))
    nat.balance(service(server(2)))
    assert list(nat.agents["lb"].ask("counters")) == ["tcp/192.0.2.50:80 192.0.2.22:8080"]


@pytest.mark.req("B-14")
def test_a_running_flow_loses_nothing_to_a_hundred_changes(nat: World) -> None:
    nat.balance(trio(protocol=Protocol.UDP))
    nat.agents["client"].ask("start_stream", name="s", address=VIP4, port=80)
    for number in range(100):
        other = on_port(trio(), 1000 + number % 3, f"other{number % 3}")
        nat.balance(trio(protocol=Protocol.UDP, weights=(1000, 1000 + number, 500)), other)
    found = nat.agents["client"].ask("stop_stream", name="s")
    assert found["sent"] >= 50, "the stream runs while the changes are made"
    assert len(found["answers"]) == found["sent"]
    assert len(set(found["answers"])) == 1


def test_a_transaction_that_the_kernel_refuses_changes_nothing(nat: World) -> None:
    nat.balance(trio())
    before = nat.ruleset()
    nowhere = replace(on_port(trio(DIRECT), 443, "tls"), interface="eth7")
    with pytest.raises(AssertionError, match="nft: service"):
        nat.balance(trio(weights=(1, 2, 3)), nowhere)
    assert nat.ruleset() == before
    assert nat.names(4, "tcp", times=3) == ["s1", "s2", "s3"]


def test_what_cannot_be_carried_out_is_refused_with_the_reason(nat: World) -> None:
    with pytest.raises(AssertionError, match="direct and tunnel go with each other only"):
        nat.balance(service(server(1), server(2, DIRECT)))


def test_without_the_library_the_program_does_the_same(nat: World) -> None:
    nat.agents["lb"].ask("new_balancer", program=True)
    nat.balance(*rich())
    assert nat.names(4, "tcp", times=3) == ["s1", "s2", "s3"]
    before = nat.ruleset()
    nat.agents["lb"].ask("new_balancer")
    assert nat.balance(*rich())["changes"] == []
    assert nat.ruleset() == before
    nat.agents["lb"].ask("new_balancer", program=True)
    with pytest.raises(AssertionError, match="nft: service"):
        nat.balance(replace(on_port(trio(DIRECT), 443, "tls"), interface="eth7"))


def test_a_ruleset_that_somebody_flushed_is_put_back(nat: World) -> None:
    nat.balance(trio())
    nat.inside("lb", "nft", "flush", "ruleset")
    nat.balance(trio(weights=(2000, 1000, 1000)))
    assert Counter(nat.names(4, "tcp", times=4)) == {"s1": 2, "s2": 1, "s3": 1}


def test_tables_written_another_way_are_replaced(nat: World) -> None:
    nat.balance(trio())
    nat.inside("lb", "nft", f"delete chain inet yaoki-nat {RENDERING}")
    nat.inside("lb", "nft", "add chain inet yaoki-nat rendering/0")
    nat.agents["lb"].ask("new_balancer")
    assert nat.balance(trio())["changes"] == ["add service web (tcp/192.0.2.50:80)"]
    assert nat.names(4, "tcp", times=3) == ["s1", "s2", "s3"]


@pytest.mark.parametrize("restarted", [False, True])
def test_an_interface_that_came_back_is_hooked_again(nat: World, *, restarted: bool) -> None:
    """Rules send to an interface by its index, and one that came back has another."""
    nat.ip("lb", "link add dummy0 type veth peer name dummy1")
    wanted = replace(trio(DIRECT), interface="dummy0")
    nat.balance(wanted)
    nat.ip("lb", "link del dummy0")
    nat.ip("lb", "link add dummy0 type veth peer name dummy1")
    try:
        if restarted:
            nat.agents["lb"].ask("new_balancer")
        nat.balance(wanted)
        index = nat.ip("lb", "link show dummy0").partition(":")[0]
        ruleset = nat.ruleset()
        assert ruleset.count('hook ingress device "dummy0"') == 1
        assert f"chain ingress/dummy0/{index} " in ruleset
        assert 'fwd to "dummy0"' in ruleset
    finally:
        nat.balance()
        nat.ip("lb", "link del dummy0")


def test_rules_of_others_are_left_alone(nat: World) -> None:
    nat.inside("lb", "nft", "add table inet mine")
    nat.inside("lb", "nft", "add chain inet mine c { type filter hook input priority 0; }")
    nat.balance(*rich())
    nat.agents["lb"].ask("cleanup")
    assert "table inet mine" in nat.ruleset()
    nat.inside("lb", "nft", "delete table inet mine")


def sysctls(world: World) -> str:
    return world.inside(
        "lb", "sh", "-c", "sysctl -a 2>/dev/null | grep -E '^net.ipv[46].(conf|ip_forward|neigh.*retrans)' | sort"
    )


def test_clean_up_leaves_nothing(nat: World) -> None:
    nat.agents["lb"].ask("cleanup")
    before = sysctls(nat)
    nat.balance(*rich())
    assert nat.agents["lb"].ask("read", path="/proc/sys/net/ipv4/ip_forward") == "1"
    assert nat.agents["lb"].ask("read", path="/proc/sys/net/ipv4/neigh/eth0/retrans_time_ms") == "100"
    nat.names(4, "tcp", times=3)
    nat.agents["lb"].ask("cleanup")
    assert nat.ruleset() == ""
    assert sysctls(nat) == before
    assert "dport=80 " not in nat.inside("lb", "conntrack", "-L", check=False)


def test_clean_up_of_nothing_is_no_error(nat: World) -> None:
    nat.agents["lb"].ask("cleanup")
    nat.agents["lb"].ask("cleanup")
    assert nat.ruleset() == ""


def test_a_dead_server_is_out_within_a_moment(nat: World) -> None:
    """Tens of milliseconds from the verdict to the kernel; the bound is generous for a loaded machine."""
    nat.balance(*rich(), trio(protocol=Protocol.UDP))
    took = sorted(
        nat.balance(*rich(), trio(Forward.NAT, duty, protocol=Protocol.UDP))["seconds"]
        for duty in [Duty.OUT, Duty.SERVE] * 5
    )
    assert took[len(took) // 2] < 0.2
