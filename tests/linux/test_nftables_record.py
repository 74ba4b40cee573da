from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lb.samples import server, service, trio
from yaoki.lb.service import Duty, Forward, RealServer, Scheduler, VirtualService, WhenAllDown
from yaoki.linux.nftables_record import LONGEST, read_server, read_service, server_record, service_record

SERVERS = [
    server(number, forward, duty=duty, family=family, weight=weight, resolved=resolved)
    for number, (forward, duty, family, weight, resolved) in enumerate(
        [
            (Forward.NAT, Duty.SERVE, 4, 65535, True),
            (Forward.FULLNAT, Duty.DRAIN, 6, 0, True),
            (Forward.DIRECT, Duty.OUT, 4, 0, True),
            (Forward.DIRECT, Duty.SERVE, 6, 1, False),
        ],
        1,
    )
]


@pytest.mark.parametrize("sample", SERVERS, ids=lambda found: found.name)
def test_a_server_comes_back_from_its_record(sample: RealServer) -> None:
    assert read_server(server_record(sample), sample.address, sample.port) == sample


@pytest.mark.parametrize(
    "sample",
    [
        trio(),
        trio(family=6, mask=64, seconds=90),
        trio(mask=0, seconds=1.5, scheduler=Scheduler.SOURCE_HASH),
        replace(trio(mask=24), idle_timeout=timedelta(seconds=90)),
        replace(trio(), name="a service of a longer name", when_all_down=WhenAllDown.LAST_KNOWN, interface="eth0.10"),
    ],
)
def test_a_service_comes_back_from_its_record(sample: VirtualService) -> None:
    assert read_service(service_record(sample, "d" * 16), sample.key, sample.servers) == ("d" * 16, sample)


@pytest.mark.parametrize("record", ["", "x", "a b c d e f", "0 wrr refuse 24 eth0 web", "0 sed refuse - eth0 web"])
def test_records_in_another_form_are_nobodys(record: str) -> None:
    assert read_service(record, trio().key, ()) is None
    assert read_server(record, trio().key.address, 80) is None


@given(st.text(alphabet="abc-.", min_size=1, max_size=200))
def test_records_are_as_long_as_nft_takes_and_lose_only_the_end_of_a_long_name(name: str) -> None:
    named = replace(service(server(1)), name=name)
    record = service_record(named, "d" * 16)
    assert len(record) <= LONGEST
    found = read_service(record, named.key, named.servers)
    assert found is not None
    assert name.startswith(found[1].name)
