"""Packets at the speaker's assembly: what is heard moves the routers, what is hostile is counted."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.node.speaker_scene import (
    INTERVAL,
    KEY,
    OWN,
    PARAMS,
    PARAMS_6,
    PEER,
    PEER_6,
    VIP,
    Speaker,
    at,
    bodies,
    packet,
    statuses,
)
from yaoki.core.address import Family, IPAddress
from yaoki.node.messages import PacketArrived, Published, RouterState, SendAdvertisement
from yaoki.node.speaker_brain import STATUS_REFRESH
from yaoki.packet.malformed import Malformed
from yaoki.vrrp.advertisement import GROUP_IPV4, GROUP_IPV6, Advertisement, Rejection, decode
from yaoki.vrrp.events import (
    AddressListMismatch,
    BecameActive,
    ChecksumFormLearnt,
    ForeignRouterHeard,
    PacketRejected,
    PeerMayBeDeaf,
    PeerReleased,
    Reason,
    SecondOwnerSuspected,
)
from yaoki.vrrp.params import ChecksumForm, RouterParams

VERSION_2 = Advertisement(2, 51, 90, timedelta(seconds=1), (VIP.ip,), ChecksumForm.MESSAGE_ONLY)
PARAMS_2 = RouterParams("web-vip", KEY, 100, timedelta(seconds=1), (VIP,), version=2)


def test_priority_zero_leads_to_a_takeover_that_names_it() -> None:
    speaker = Speaker(PARAMS)
    speaker.hear(150)
    speaker.run_to(50)
    released = [effect.event for effect in speaker.hear(0) if isinstance(effect, Published)]
    assert [event.body for event in released] == [PeerReleased(KEY, PEER)]
    taken = [effect.event for effect in speaker.run_to(50 + 61) if isinstance(effect, Published)]
    assert [(event.body, event.because) for event in taken] == [
        (BecameActive(KEY, "web-vip", Reason.ACTIVE_RELEASED, 100), released[0].id)
    ]


def test_silence_counts_from_when_the_kernel_received() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(90)
    late = replace(packet(at(50), 150), received=at(50))
    speaker.tell(late)
    deadline = speaker.brain.deadline()
    assert deadline is not None
    assert deadline.at == at(50) + 3 * INTERVAL + INTERVAL * 156 / 256


def test_stamp_from_the_future_counts_as_now() -> None:
    speaker = Speaker(PARAMS)
    speaker.tell(packet(at(5000), 150))
    deadline = speaker.brain.deadline()
    assert deadline is not None
    assert deadline.at < at(400)


def test_status_names_the_peer_and_is_refreshed_with_new_evidence() -> None:
    speaker = Speaker(PARAMS)
    (first,) = statuses(speaker.hear(150))
    assert (first.peer, first.peer_priority, first.peer_heard) == (PEER, 150, at(0))
    refreshed = []
    steps = STATUS_REFRESH // INTERVAL
    for _ in range(steps):
        speaker.run_to(speaker.now.us / 1000 + 100)
        refreshed += statuses(speaker.hear(150))
    assert [status.peer_heard for status in refreshed] == [at(0) + STATUS_REFRESH]
    assert [status.priority for status in statuses(speaker.hear(160))] == [100]


def test_checksum_form_of_the_peer_is_learnt_and_used() -> None:
    speaker = Speaker(PARAMS)
    effects = speaker.hear(50, form=ChecksumForm.MESSAGE_ONLY)
    assert bodies(effects) == [ChecksumFormLearnt(KEY, PEER, ChecksumForm.MESSAGE_ONLY)]
    (send,) = [effect for effect in speaker.run_to(361) if isinstance(effect, SendAdvertisement)]
    own = decode(send.payload, source=OWN, destination=GROUP_IPV4, hop_limit=255)
    assert isinstance(own, Advertisement)
    assert own.checksum is ChecksumForm.MESSAGE_ONLY


def test_fixed_checksum_form_is_kept() -> None:
    speaker = Speaker(replace(PARAMS, checksum=ChecksumForm.PSEUDO_HEADER))
    assert bodies(speaker.hear(50, form=ChecksumForm.MESSAGE_ONLY)) == []


def test_other_address_list_is_reported_once_and_the_election_goes_on() -> None:
    theirs = (IPv4Address("192.0.2.77"),)
    speaker = Speaker(PARAMS)
    assert bodies(speaker.hear(150, addresses=theirs)) == [AddressListMismatch(KEY, PEER, theirs, (VIP.ip,))]
    for step in range(1, 20):
        speaker.run_to(step * 100)
        assert bodies(speaker.hear(150, addresses=theirs)) == []
    assert speaker.state() is RouterState.BACKUP
    speaker.hear(150)
    assert len(bodies(speaker.hear(150, addresses=theirs))) == 1


@pytest.mark.req("Z-04")
def test_lower_router_that_is_active_with_other_addresses_may_be_deaf_and_is_named() -> None:
    theirs = (IPv4Address("192.0.2.77"),)
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    published = [effect.event for effect in speaker.hear(50, addresses=theirs) if isinstance(effect, Published)]
    mismatch, suspected, deaf = published
    assert isinstance(mismatch.body, AddressListMismatch)
    assert isinstance(suspected.body, SecondOwnerSuspected)
    assert (deaf.body, deaf.because) == (PeerMayBeDeaf(KEY, "web-vip", PEER, theirs, (VIP.ip,)), suspected.id)
    assert speaker.state() is RouterState.ACTIVE, "the higher one keeps"


def test_lower_router_with_our_addresses_is_not_deaf() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    assert [type(body) for body in bodies(speaker.hear(50))] == [SecondOwnerSuspected]


@pytest.mark.req("Z-04")
@given(
    lists=st.lists(st.lists(st.integers(50, 60), min_size=1, max_size=4, unique=True), min_size=1, max_size=12),
    priority=st.integers(100, 254),
)
def test_no_address_list_of_an_equal_or_higher_owner_makes_a_backup_take_over(
    lists: list[list[int]], priority: int
) -> None:
    speaker = Speaker(PARAMS)
    for step, numbers in enumerate(lists):
        speaker.run_to(step * 100)
        speaker.hear(priority, addresses=tuple(IPv4Address(f"192.0.2.{number}") for number in numbers))
        assert speaker.state() is RouterState.BACKUP
    speaker.run_to(len(lists) * 100 + 100)
    assert speaker.state() is RouterState.BACKUP


def test_order_of_addresses_is_no_mismatch() -> None:
    more = IPv4Interface("192.0.2.51/24")
    speaker = Speaker(replace(PARAMS, addresses=(VIP, more)))
    assert bodies(speaker.hear(150, addresses=(more.ip, VIP.ip))) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hop_limit": 254}, Rejection.HOP_LIMIT),
        ({"payload": b""}, Rejection.TRUNCATED),
        ({"payload": bytes(20)}, Rejection.VERSION),
        ({"source": OWN, "payload": packet(at(0), 90, source=OWN).payload}, Rejection.OWN_ADDRESS),
        ({"payload": VERSION_2.encode(PEER, GROUP_IPV4)}, Rejection.VERSION),
    ],
)
@pytest.mark.rfc("9568", "7.1")
def test_packet_that_must_be_discarded_is_counted(change: dict[str, object], reason: Rejection) -> None:
    speaker = Speaker(PARAMS)
    deadline = speaker.brain.deadline()
    effects = speaker.tell(replace(packet(at(0), 90), **change))  # type: ignore[arg-type] # fields by name
    (body,) = bodies(effects)
    assert isinstance(body, PacketRejected)
    assert (body.reason, body.count, body.interface) == (reason, 1, "eth0")
    assert speaker.brain.deadline() == deadline


@pytest.mark.rfc("3768", "7.1")
def test_version_2_discards_another_interval_and_authentication() -> None:
    speaker = Speaker(PARAMS_2)
    good = Advertisement(2, 51, 150, timedelta(seconds=1), (VIP.ip,), ChecksumForm.MESSAGE_ONLY)
    for advertisement, reason in [
        (replace(good, interval=timedelta(seconds=2)), Rejection.INTERVAL),
        (replace(good, authentication_type=1, authentication=b"secret12"), Rejection.AUTHENTICATION),
    ]:
        payload = advertisement.encode(PEER, GROUP_IPV4)
        (body,) = bodies(speaker.tell(replace(packet(at(0), 150), payload=payload)))
        assert isinstance(body, PacketRejected)
        assert body.reason is reason
    assert statuses(speaker.tell(replace(packet(at(0), 150), payload=good.encode(PEER, GROUP_IPV4))))


def test_flood_of_bad_packets_makes_few_events_and_misses_none_in_the_count() -> None:
    speaker = Speaker(PARAMS)
    counts = []
    for step in range(1000):
        speaker.now = at(step * 20.02)
        for body in bodies(speaker.tell(replace(packet(speaker.now, 90), hop_limit=1))):
            assert isinstance(body, PacketRejected)
            counts.append(body.count)
    assert counts == [1, 501]


def test_router_of_somebody_else_is_mentioned_once() -> None:
    speaker = Speaker(PARAMS)
    other = replace(KEY, vrid=99)
    assert bodies(speaker.hear(90, key=other)) == [ForeignRouterHeard("eth0", Family.IPV4, 99, PEER)]
    assert speaker.hear(90, key=other) == []


@given(
    data=st.binary(max_size=60),
    head=st.sampled_from([b"", b"\x31\x33", b"\x21\x33"]),
    hop_limit=st.integers(0, 255),
    ipv4=st.booleans(),
)
def test_random_bytes_change_nothing_and_never_raise(data: bytes, head: bytes, hop_limit: int, ipv4: bool) -> None:
    speaker = Speaker(PARAMS, PARAMS_6)
    speaker.run_to(1000)
    family = Family.IPV4 if ipv4 else Family.IPV6
    source: IPAddress = PEER if ipv4 else PEER_6
    group: IPAddress = GROUP_IPV4 if ipv4 else GROUP_IPV6
    before = speaker.brain.statuses()
    arrived = PacketArrived("eth0", family, source, group, hop_limit, head + data, speaker.now)
    effects = speaker.tell(arrived)
    if isinstance(decode(head + data, source=source, destination=group, hop_limit=hop_limit), Malformed):
        assert len(bodies(effects)) == len(effects) == 1
        assert speaker.brain.statuses() == before
