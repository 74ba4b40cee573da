"""The flow copier's machine: what it tells, what it takes, whom it asks and for how long."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.lb.flow import CopiedService, DirectService, Flow, Stage, hash_of, hashed_client
from yaoki.lb.flow_datagram import (
    Ask,
    Coming,
    DatagramFlaw,
    End,
    FlowDatagram,
    Hello,
    Message,
    Told,
    decode,
    encode,
)
from yaoki.lb.flow_events import (
    FlowDatagramRefused,
    FlowEventsLost,
    FlowsCaughtUp,
    FlowsNotCaughtUp,
    FlowsNotTaken,
    FlowsNotTold,
    NotCaughtUp,
    NotTaken,
)
from yaoki.lb.flow_peer import ASK_EVERY, ASK_TRIES, BULK_LIMIT, BULK_SILENCE, HELLO_EVERY, PEER_SILENCE
from yaoki.lb.schedulers import Pick
from yaoki.lb.service import Protocol, ServiceKey, SourcePersistence
from yaoki.linux.nftables_nat import masked_address
from yaoki.node.flow_copier import (
    COPY_KEPT_S,
    FLOWS_TAKEN,
    OPENINGS_TOLD,
    OTHERS_KEPT_S,
    TELL_AGAIN,
    FlowCopier,
)
from yaoki.node.flow_messages import (
    AddressesHeld,
    ChangeServices,
    ConfigureFlows,
    CopierEffect,
    CopierInput,
    CopyState,
    DatagramArrived,
    EventsOverrun,
    FlowsPut,
    FlowsSeen,
    FlowStatus,
    KeepPaths,
    PutFlows,
    ReadTable,
    RememberSources,
    RepeatFlowStatus,
    SendDatagram,
    TableFilled,
    TableRead,
    WatchFlows,
)
from yaoki.node.flow_reading import AFTER_CHANGE, AFTER_MOVE, AFTER_OVERRUN, REFRESH_EVERY
from yaoki.node.flow_sources import GATHER_FOR, masked
from yaoki.node.messages import Published
from yaoki.packet.authentication import SignatureFlaw
from yaoki.vrrp.peer_params import PeerParams, PeerPath

VIP = ip_address("192.0.2.50")
WEB = ServiceKey(VIP, Protocol.TCP, 80)
ALIVE, DEAD = (ip_address("10.0.0.21"), 8080), (ip_address("10.0.0.22"), 8080)
FRONT = PeerPath("eth0", ip_address("192.0.2.11"), ip_address("192.0.2.12"))
BACK = PeerPath("eth1", ip_address("10.0.0.11"), ip_address("10.0.0.12"))
WISH = ConfigureFlows((PeerParams("lb2", ("web-vip",), (FRONT, BACK)),), (CopiedService(WEB, (ALIVE,)),))
SILENT_WISH = ConfigureFlows((), ())
ESTABLISHED_S = 432_000
BOOT, PEER_BOOT = 11, 22


def flow(number: int = 0, stage: Stage = Stage.ESTABLISHED, seconds: int = 432_000) -> Flow:
    return Flow(WEB, ip_address("198.51.100.9"), 1024 + number, *ALIVE, stage, seconds)


class Hands:
    """Drives one copier, and answers for its peer."""

    def __init__(self, wish: ConfigureFlows | None = WISH) -> None:
        self.machine = FlowCopier("lb1/flows", BOOT, ESTABLISHED_S)
        self.now = Instant(0)
        self.sequence = 0
        self.effects: list[CopierEffect] = []
        if wish is not None:
            self.give(wish)

    def give(self, input_: CopierInput) -> list[CopierEffect]:
        self.effects = self.machine.handle(self.now, input_)
        return self.effects

    def wait(self, time: timedelta) -> list[CopierEffect]:
        """Let time pass, the table being empty; everything that was wanted meanwhile."""
        until, effects = self.now + time, list[CopierEffect]()
        while (deadline := self.machine.deadline()) is not None and deadline.at <= until:
            self.now = max(self.now, deadline.at)
            got = self.give(TimerFired())
            if any(isinstance(effect, ReadTable) for effect in got):
                got = [*got, *self.give(TableRead((), last=True))]
            effects += got
        self.now = until
        return effects

    def hear(self, message: Message, *, boot: int = PEER_BOOT, path: PeerPath = FRONT) -> list[CopierEffect]:
        self.sequence += 1
        payload = encode(FlowDatagram(boot, self.sequence, message))
        return self.give(DatagramArrived(path.interface, path.peer, 255, payload))

    def caught_up(self) -> "Hands":
        self.hear(End(self.request, 0))
        return self

    @property
    def request(self) -> int:
        return max(message.request for message in sent(self.machine_asked) if isinstance(message, Ask))

    @property
    def machine_asked(self) -> list[CopierEffect]:
        return self.effects

    @property
    def status(self) -> FlowStatus:
        return self.machine.status(self.now)


def sent(effects: Sequence[CopierEffect], path: PeerPath = FRONT) -> list[Message]:
    found = [decode(effect.payload) for effect in effects if isinstance(effect, SendDatagram) and effect.path == path]
    return [datagram.message for datagram in found if isinstance(datagram, FlowDatagram)]


def events(effects: Sequence[CopierEffect]) -> list[EventBody]:
    return [effect.event.body for effect in effects if isinstance(effect, Published)]


def put(effects: Sequence[CopierEffect]) -> list[PutFlows]:
    return [effect for effect in effects if isinstance(effect, PutFlows)]


def test_a_start_asks_on_every_path_and_greets() -> None:
    hands = Hands()
    assert KeepPaths((FRONT, BACK)) in hands.effects
    assert WatchFlows((WEB,), frozenset({ALIVE})) in hands.effects
    assert sent(hands.effects) == sent(hands.effects, BACK) == [Ask(1), Hello()]
    assert hands.status.catching_up


def test_a_peer_that_is_not_there_holds_nobody_up_for_long() -> None:
    hands = Hands()
    effects = hands.wait(ASK_TRIES * ASK_EVERY)
    assert [m for m in sent(effects) if isinstance(m, Ask)] == [Ask(1)] * (ASK_TRIES - 1)
    assert events(effects) == [FlowsNotCaughtUp("lb2", NotCaughtUp.SILENT, 0)]
    assert not hands.status.catching_up
    assert [peer.state for peer in hands.status.peers] == [CopyState.SILENT]


def test_all_is_told() -> None:
    hands = Hands()
    hands.hear(Coming(1))
    assert put(hands.hear(Told((flow(1), flow(2))))) == [
        PutFlows(tuple(flow(number, seconds=COPY_KEPT_S) for number in (1, 2)), owned=False)
    ]
    hands.now += timedelta(milliseconds=200)
    assert events(hands.hear(End(1, 2))) == [FlowsCaughtUp("lb2", 2, timedelta(milliseconds=200))]
    (peer,) = hands.status.peers
    assert (peer.state, peer.copied, peer.taken, hands.status.catching_up) == (CopyState.FOLLOWING, 2, 2, False)


def test_who_breaks_off_is_not_waited_for() -> None:
    hands = Hands()
    hands.hear(Coming(1))
    hands.hear(Told((flow(1),)))
    effects = hands.wait(BULK_SILENCE)
    assert events(effects) == [FlowsNotCaughtUp("lb2", NotCaughtUp.BROKEN_OFF, 1)]
    assert not hands.status.catching_up


def test_who_never_ends_is_not_waited_for() -> None:
    hands = Hands()
    hands.hear(Coming(1))
    told: list[EventBody] = []
    for _ in range(2 * int(BULK_LIMIT / BULK_SILENCE)):
        told += events(hands.hear(Coming(1)))
        told += events(hands.wait(BULK_SILENCE / 2))
        if not hands.status.catching_up:
            break
    assert hands.now - Instant(0) <= BULK_LIMIT
    assert told == [FlowsNotCaughtUp("lb2", NotCaughtUp.TOO_MANY, 0)]


@given(st.lists(st.sampled_from([Coming(1), Told((flow(),)), Hello(), Ask(9), "wait", "reborn"]), max_size=80))
@settings(max_examples=100)
def test_no_peer_keeps_a_node_catching_up_beyond_the_limit(story: list[Message | str]) -> None:
    hands, boot, since = Hands(), PEER_BOOT, Instant(0)
    for each in story:
        if each == "wait":
            hands.wait(timedelta(milliseconds=450))
        elif each == "reborn":
            boot += 1
        else:
            was = hands.status.catching_up
            assert not isinstance(each, str)
            hands.hear(each, boot=boot)
            since = since if was else hands.now
        assert not hands.status.catching_up or hands.now - since <= BULK_LIMIT


def test_a_peer_that_returns_is_asked_again() -> None:
    hands = Hands().caught_up()
    hands.wait(PEER_SILENCE)
    assert [peer.state for peer in hands.status.peers] == [CopyState.SILENT]
    assert Ask(2) in sent(hands.hear(Hello()))
    assert hands.status.catching_up


def test_a_peer_in_another_life_is_asked_again() -> None:
    hands = Hands().caught_up()
    assert Ask(2) in sent(hands.hear(Hello(), boot=PEER_BOOT + 1))


def test_a_datagram_counts_once_however_many_paths_it_comes_on() -> None:
    hands = Hands().caught_up()
    assert len(put(hands.hear(Told((flow(),)), path=FRONT))) == 1
    hands.sequence -= 1
    assert put(hands.hear(Told((flow(),)), path=BACK)) == []
    hands.sequence += 3
    hands.hear(Hello())
    assert [peer.lost for peer in hands.status.peers] == [3]


@pytest.mark.req("B-14")
def test_news_go_to_the_peer_at_once() -> None:
    hands = Hands().caught_up()
    opening = flow(1, Stage.OPENING, 60)
    assert sent(hands.give(FlowsSeen((opening, flow(2))))) == [Told((opening, flow(2)))]


def test_neither_foreign_flows_nor_those_of_a_dead_server_are_told_or_taken() -> None:
    hands = Hands().caught_up()
    dead = replace(flow(), server=DEAD[0])
    other = replace(flow(), service=replace(WEB, port=81))
    assert sent(hands.give(FlowsSeen((dead, other)))) == []
    assert put(hands.hear(Told((dead, other)))) == []
    hands.give(ChangeServices((CopiedService(WEB, ()),)))
    assert put(hands.hear(Told((flow(),)))) == []


def test_servers_that_come_are_watched_and_those_that_leave_for_a_while_stay_so() -> None:
    hands = Hands()
    assert hands.give(ChangeServices((CopiedService(WEB, ()),))) == []
    both = frozenset({ALIVE, DEAD})
    assert hands.give(ChangeServices((CopiedService(WEB, (ALIVE, DEAD)),))) == [WatchFlows((WEB,), both)]
    assert hands.give(ChangeServices((CopiedService(WEB, (DEAD,)),))) == []


def test_of_an_owned_vip_only_what_is_lacking_is_taken() -> None:
    hands = Hands().caught_up()
    hands.give(AddressesHeld(frozenset({VIP})))
    assert put(hands.hear(Told((flow(stage=Stage.CLOSING),)))) == [
        PutFlows((flow(stage=Stage.CLOSING, seconds=OTHERS_KEPT_S),), owned=True)
    ]


def test_who_owns_nothing_has_nothing_to_tell() -> None:
    assert sent(Hands().hear(Ask(5))) == [End(5, 0)]


def test_an_owner_that_is_asked_tells_its_whole_table() -> None:
    hands = Hands().caught_up()
    hands.give(AddressesHeld(frozenset({VIP})))
    hands.wait(2 * AFTER_MOVE)
    effects = hands.hear(Ask(5))
    assert sent(effects) == [Coming(5)]
    assert ReadTable(again=True) in effects
    closing = flow(3, Stage.CLOSING)
    effects = hands.give(TableRead((flow(1), closing), last=False))
    assert sent(effects) == [Told((flow(1),))]
    assert sent(hands.give(TableRead((), last=False))) == [Coming(5)]
    assert sent(hands.give(TableRead((flow(2),), last=True))) == [Told((flow(2),)), End(5, 2)]


def test_who_asks_during_a_reading_is_served_by_the_next() -> None:
    hands = Hands().caught_up()
    hands.give(AddressesHeld(frozenset({VIP})))
    hands.wait(2 * AFTER_MOVE)
    hands.hear(Ask(5))
    assert sent(hands.hear(Ask(6))) == [Coming(6)]
    assert [m for m in sent(hands.give(TableRead((), last=True))) if isinstance(m, End)] == [End(5, 0)]
    assert ReadTable(again=True) in hands.effects
    assert [m for m in sent(hands.give(TableRead((), last=True))) if isinstance(m, End)] == [End(6, 0)]


def test_what_was_lost_is_told_again_by_the_refresh() -> None:
    hands = Hands().caught_up()
    hands.give(AddressesHeld(frozenset({VIP})))
    hands.wait(2 * AFTER_MOVE)
    effects = hands.wait(REFRESH_EVERY)
    assert [effect for effect in effects if isinstance(effect, ReadTable)] == [ReadTable(again=True)]


def test_news_that_the_kernel_lost_are_read() -> None:
    hands = Hands().caught_up()
    hands.give(AddressesHeld(frozenset({VIP})))
    hands.wait(2 * AFTER_MOVE)
    assert events(hands.give(EventsOverrun())) == [FlowEventsLost()]
    assert events(hands.give(EventsOverrun())) == []
    assert ReadTable(again=True) in hands.wait(AFTER_OVERRUN)


def test_a_copy_becomes_a_flow_of_our_own_when_its_vip_comes_and_a_copy_again_when_it_goes() -> None:
    hands = Hands().caught_up()
    hands.wait(2 * AFTER_MOVE)
    hands.give(AddressesHeld(frozenset({VIP})))
    hands.now += AFTER_MOVE
    assert ReadTable(again=True) in hands.give(TimerFired())
    read = TableRead((flow(1, seconds=100), flow(2), flow(3, Stage.OPENING, 20)), last=True)
    assert put(hands.give(read)) == [PutFlows((flow(1, seconds=ESTABLISHED_S),), owned=False)]
    hands.give(AddressesHeld(frozenset()))
    hands.now += AFTER_MOVE
    assert ReadTable(again=True) in hands.give(TimerFired())
    assert put(hands.give(read)) == [PutFlows((flow(2, seconds=COPY_KEPT_S),), owned=False)]


def test_a_flow_of_an_owner_that_is_nearly_forgotten_is_not_kept_for_ever() -> None:
    hands = Hands().caught_up()
    hands.give(AddressesHeld(frozenset({VIP})))
    hands.wait(2 * AFTER_MOVE)
    hands.now += REFRESH_EVERY
    hands.give(TimerFired())
    assert put(hands.give(TableRead((flow(seconds=100),), last=True))) == []


def test_a_flood_of_openings_leaves_room_for_what_is_established() -> None:
    hands = Hands().caught_up()
    flood = tuple(flow(number, Stage.OPENING, 60) for number in range(OPENINGS_TOLD + 1))
    effects = hands.give(FlowsSeen((*flood, flow(60_000))))
    assert [found for m in sent(effects) if isinstance(m, Told) for found in m.flows] == [flow(60_000)]
    assert events(effects) == [FlowsNotTold(OPENINGS_TOLD)]


def test_no_more_is_taken_than_the_limit_and_the_table_allow() -> None:
    hands = Hands().caught_up()
    part = tuple(flow(number) for number in range(45))
    taken, told = 0, list[EventBody]()
    for _ in range(FLOWS_TAKEN // 45 + 2):
        effects = hands.hear(Told(part))
        taken += sum(len(each.flows) for each in put(effects))
        told += events(effects)
    assert taken == FLOWS_TAKEN
    assert [type(body) for body in told] == [FlowsNotTaken]
    hands.wait(timedelta(seconds=1))
    hands.give(TableFilled(0.81))
    effects = hands.hear(Told(part))
    assert put(effects) == []
    assert events(effects) == [FlowsNotTaken(NotTaken.TABLE_FULL, 45)]


def test_what_the_kernel_refuses_is_told() -> None:
    assert events(Hands().give(FlowsPut(40, 5))) == [FlowsNotTaken(NotTaken.KERNEL, 5)]


@pytest.mark.parametrize(("hops", "flaw"), [(64, DatagramFlaw.HOP_LIMIT), (255, DatagramFlaw.TRUNCATED)])
def test_what_is_no_datagram_is_told_once(hops: int, flaw: DatagramFlaw) -> None:
    hands = Hands()
    hostile = DatagramArrived("eth0", FRONT.peer, hops, b"\x59")
    assert events(hands.give(hostile)) == [FlowDatagramRefused("eth0", FRONT.peer, flaw, 1)]
    assert events(hands.give(hostile)) == []
    hands.wait(TELL_AGAIN)
    assert events(hands.give(hostile)) == [FlowDatagramRefused("eth0", FRONT.peer, flaw, 3)]


@pytest.mark.req("B-14")
@pytest.mark.parametrize("flaw", [DatagramFlaw(flaw.value) for flaw in SignatureFlaw])
@pytest.mark.parametrize(
    "message", [Told((flow(),)), Ask(9), Coming(1), End(1, 0), Hello()], ids=lambda value: type(value).__name__
)
def test_what_is_not_authentic_changes_nothing(message: Message, flaw: DatagramFlaw) -> None:
    """Whatever it says, in whatever state: the machine goes on as if it had never come."""
    hands, other = Hands(), Hands()
    forged = encode(FlowDatagram(PEER_BOOT + 1, 2**60, message))
    for step in range(3):
        effects = hands.give(DatagramArrived("eth0", FRONT.peer, 255, forged, flaw))
        told = [FlowDatagramRefused("eth0", FRONT.peer, flaw, 1)] if step == 0 else []
        assert [effect for effect in effects if not isinstance(effect, Published)] == []
        assert events(effects) == told
        assert hands.status == other.status
        for each in (hands, other):
            each.wait(timedelta(milliseconds=50))
            each.hear(Hello())


@pytest.mark.req("D-31")
def test_the_source_of_a_copied_flow_is_remembered_as_persistence_does() -> None:
    hands = Hands().caught_up()
    sticky = CopiedService(WEB, (ALIVE,), SourcePersistence(24, timedelta(minutes=5)))
    hands.give(ChangeServices((sticky,)))
    hands.hear(Told((flow(1), flow(2), flow(3, Stage.CLOSING))))
    remembered = [effect for effect in hands.wait(GATHER_FOR) if isinstance(effect, RememberSources)]
    assert remembered == [RememberSources(WEB, *ALIVE, (bytes((198, 51, 100, 0)),), 300)]
    hands.give(AddressesHeld(frozenset({VIP})))
    hands.hear(Told((flow(1),)))
    assert not [effect for effect in hands.wait(GATHER_FOR) if isinstance(effect, RememberSources)]


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_source_is_masked_as_the_plane_masks_it(source: IPAddress, bits: int) -> None:
    persistence = SourcePersistence(min(bits, source.max_prefixlen), timedelta(seconds=1))
    assert masked(source, persistence) == masked_address(source, persistence)


def test_from_elsewhere_nothing_is_heard() -> None:
    hands = Hands()
    payload = encode(FlowDatagram(PEER_BOOT, 1, Told((flow(),))))
    assert hands.give(DatagramArrived("eth0", ip_address("192.0.2.66"), 255, payload)) == []


def test_without_peers_there_is_nothing_to_do() -> None:
    hands = Hands(SILENT_WISH)
    assert hands.effects == []
    assert hands.give(FlowsSeen((flow(),))) == []
    assert hands.machine.deadline() is None


def test_a_wish_that_ends_ends_all() -> None:
    hands = Hands().caught_up()
    effects = hands.give(SILENT_WISH)
    assert KeepPaths(()) in effects
    assert WatchFlows(()) in effects
    assert not [effect for effect in hands.wait(10 * HELLO_EVERY) if isinstance(effect, SendDatagram)]


def test_the_status_is_repeated_when_asked_for() -> None:
    hands = Hands().caught_up()
    assert hands.give(RepeatFlowStatus()) == [hands.status]


# --- direct return ----------------------------------------------------------------------------------------------------

MAC = MacAddress.parse("02:00:00:00:00:21")


def hashed(*weights: int) -> CopiedService:
    return CopiedService(WEB, (ALIVE,), direct=DirectService((MAC,), Pick.BY_FLOW, weights))


def test_direct_return_is_watched_apart_and_holds_nobody_up() -> None:
    other = ServiceKey(VIP, Protocol.TCP, 443)
    services = (CopiedService(WEB, (ALIVE,)), CopiedService(other, (DEAD,), direct=DirectService((MAC,))))
    hands = Hands(replace(WISH, services=services))
    assert WatchFlows((WEB,), frozenset({ALIVE}), services[1:]) in hands.effects
    changed = replace(services[1], direct=DirectService((None,)))
    assert hands.give(ChangeServices((changed,)))[0] == WatchFlows((WEB,), frozenset({ALIVE}), (changed,))
    assert hands.give(ChangeServices((changed,))) == []
    moved = CopiedService(other, (DEAD,))
    assert hands.give(ChangeServices((moved,)))[0] == WatchFlows((WEB, other), frozenset({ALIVE, DEAD}))
    assert hands.give(replace(WISH, services=(moved,)))[0] == WatchFlows((other,), frozenset({DEAD}))


@pytest.mark.req("B-14")
def test_a_change_of_the_servers_that_a_hash_chooses_from_is_followed_by_a_reading() -> None:
    hands = Hands(replace(WISH, services=(hashed(1000),))).caught_up()
    hands.give(AddressesHeld(frozenset({VIP})))
    hands.wait(AFTER_MOVE + timedelta(milliseconds=1))
    assert not any(isinstance(effect, ReadTable) for effect in hands.wait(AFTER_CHANGE))
    hands.give(ChangeServices((hashed(1000),)))
    assert not any(isinstance(effect, ReadTable) for effect in hands.wait(AFTER_CHANGE))
    hands.give(ChangeServices((hashed(0),)))
    assert any(isinstance(effect, ReadTable) for effect in hands.wait(AFTER_CHANGE))


@given(st.binary(min_size=8, max_size=8))
def test_a_client_that_is_known_by_a_hash_goes_on_the_wire_and_comes_back(octets: bytes) -> None:
    service = ServiceKey(ip_address("2001:db8::50"), Protocol.TCP, 80)
    told = Flow(service, hashed_client(octets), 0, ip_address("2001:db8::21"), 80, Stage.ESTABLISHED, 100)
    datagram = decode(encode(FlowDatagram(1, 1, Told((told,)))))
    assert isinstance(datagram, FlowDatagram)
    assert datagram.message == Told((told,))
    assert hash_of(told) == octets
    assert hash_of(replace(told, client_port=80)) is hash_of(flow()) is None


def test_of_a_client_that_is_known_by_a_hash_no_source_is_remembered() -> None:
    service = ServiceKey(ip_address("2001:db8::50"), Protocol.TCP, 80)
    place = (ip_address("2001:db8::21"), 80)
    sticky = CopiedService(service, (place,), SourcePersistence(64, timedelta(minutes=5)), DirectService((MAC,)))
    hands = Hands(replace(WISH, services=(sticky,))).caught_up()
    known = Flow(service, ip_address("2001:db8:9::9"), 1024, *place, Stage.ESTABLISHED, 100)
    hands.hear(Told((known, replace(known, client=hashed_client(bytes(8)), client_port=0))))
    (remembered,) = [e for e in hands.wait(GATHER_FOR) if isinstance(e, RememberSources)]
    assert remembered.sources == (masked(known.client, SourcePersistence(64, timedelta(minutes=5))),)
