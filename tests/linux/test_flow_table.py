"""Copies of flows in the kernel's own table: put there, brought up to date, replaced, and told of."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.linux.flow_table_agent import News, Put, Read, Request, Told
from yaoki.core.codec import Codec
from yaoki.lb.flow import Flow, Stage
from yaoki.lb.service import Protocol, ServiceKey

pytestmark = pytest.mark.netns

NAME = f"ykf-{os.getpid()}"
WEB = Flow(
    ServiceKey(ip_address("192.0.2.50"), Protocol.TCP, 80),
    ip_address("198.51.100.9"),
    40000,
    ip_address("10.0.0.21"),
    8080,
    Stage.ESTABLISHED,
    1000,
)
NAMES = Flow(
    ServiceKey(ip_address("2001:db8::50"), Protocol.UDP, 53),
    ip_address("2001:db8:9::9"),
    5353,
    ip_address("fd00::21"),
    5300,
    Stage.ESTABLISHED,
    1000,
)
OTHER = replace(WEB, server=ip_address("10.0.0.22"))


@pytest.fixture(autouse=True)
def namespace() -> Iterator[None]:
    subprocess.run(["ip", "netns", "add", NAME], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "netns", "del", NAME], check=True)


def ask(*requests: Request) -> list[Told]:
    codec = Codec()
    command = ["ip", "netns", "exec", NAME, sys.executable, "-m", "tests.linux.flow_table_agent"]
    lines = b"".join(codec.encode(request) + b"\n" for request in requests)
    done = subprocess.run(command, input=lines, capture_output=True, check=True, timeout=60)
    return [codec.decode(line, Told) for line in done.stdout.splitlines()]


def read(told: Told) -> list[Flow]:
    """Times run down meanwhile: they are looked at apart."""
    assert all(990 <= flow.seconds <= 1000 for flow in told.flows)
    return [replace(flow, seconds=1000) for flow in told.flows]


@pytest.mark.req("B-14")
def test_copies_are_as_they_were_told_in_both_families() -> None:
    put, found = ask(Put((WEB, NAMES)), Read())
    assert put.number == 0
    assert read(found) == [WEB, NAMES]


def test_a_copy_is_brought_up_to_date() -> None:
    opening, closing = replace(WEB, stage=Stage.OPENING), replace(WEB, stage=Stage.CLOSING)
    # The last is the next connection from the same port to the same server.
    stages = (opening, WEB, closing, opening)
    told = ask(*(request for flow in stages for request in (Put((flow,)), Read())))
    assert [answer.number for answer in told] == [0] * 8
    assert [read(answer) for answer in told[1::2]] == [[flow] for flow in stages]


def test_what_is_in_the_way_of_a_copy_gives_way_unless_the_vip_is_owned() -> None:
    told = ask(Put((WEB,)), Put((OTHER,), owned=True), Read(), Put((OTHER,)), Read())
    assert [told[index].number for index in (0, 1, 3)] == [0, 0, 0]
    assert [read(told[index]) for index in (2, 4)] == [[WEB], [OTHER]]


def test_of_an_owned_vip_only_what_is_lacking_is_put() -> None:
    closing = replace(WEB, stage=Stage.CLOSING)
    assert read(ask(Put((WEB,)), Put((closing, NAMES), owned=True), Read())[2]) == [WEB, NAMES]


def test_copies_are_no_news() -> None:
    told = ask(Put((WEB,)), News(), News(all=True))
    assert told[1].flows == ()
    assert read(told[2]) == [WEB]


def test_many_flows_are_put_and_read_in_many_parts() -> None:
    flows = tuple(replace(WEB, client_port=1024 + number) for number in range(5000))
    put, found = ask(Put(flows), Read())
    assert put.number == 0
    assert {flow.client_port for flow in found.flows} == {flow.client_port for flow in flows}
