from dataclasses import replace
from datetime import timedelta

import pytest

from tests.lb.samples import far, server, service, trio
from yaoki.core.address import parse_address
from yaoki.lb.service import Encapsulation, Forward, Tunnel
from yaoki.lb.validity import mixture, objections


@pytest.mark.parametrize("forward", [Forward.NAT, Forward.FULLNAT, Forward.DIRECT])
@pytest.mark.parametrize("family", [4, 6])
def test_an_ordinary_service_has_no_objections(forward: Forward, family: int) -> None:
    assert objections(trio(forward, family=family, mask=24)) == ()


@pytest.mark.req("D-12")
def test_nat_and_fullnat_may_share_a_service() -> None:
    assert objections(service(server(1, Forward.NAT), server(2, Forward.FULLNAT))) == ()


@pytest.mark.req("D-12")
@pytest.mark.parametrize("other", [Forward.NAT, Forward.FULLNAT])
def test_direct_shares_a_service_with_direct_only(other: Forward) -> None:
    assert mixture([Forward.DIRECT, other]) == (
        f"servers of one service cannot be of the methods direct and {other.value}: "
        "direct and tunnel go with each other only"
    )


@pytest.mark.req("D-05")
def test_tunnel_and_direct_may_share_a_service() -> None:
    assert objections(service(server(1, Forward.DIRECT), far(2), far(3, Tunnel(Encapsulation.GUE)))) == ()


def test_a_tunnel_says_what_packets_go_inside() -> None:
    assert objections(service(replace(far(1), tunnel=None))) == ("f1: it is not said what its packets go inside",)


@pytest.mark.req("D-14")
def test_direct_return_cannot_rewrite_a_port() -> None:
    found = objections(service(replace(server(1, Forward.DIRECT), port=8080), replace(far(2), port=8080)))
    assert found == tuple(f"{name}: direct return cannot rewrite port 80 to 8080" for name in ("s1", "f2"))


def test_an_idle_time_out_is_a_second_at_least() -> None:
    assert objections(replace(trio(Forward.DIRECT), idle_timeout=timedelta(seconds=1))) == ()
    found = objections(replace(trio(Forward.DIRECT), idle_timeout=timedelta(milliseconds=900)))
    assert found == ("an idle time-out of less than a second",)


def test_fullnat_needs_a_source() -> None:
    found = objections(service(replace(server(1, Forward.FULLNAT), source=None)))
    assert found == ("s1: fullnat needs a source address of this node in place of the client's",)


def test_a_server_of_another_family_is_told() -> None:
    found = objections(service(replace(server(1), address=parse_address("2001:db8:1::21"))))
    assert found == ("s1 has an address of another family (2001:db8:1::21) than the service",)


def test_one_place_twice_is_told() -> None:
    assert objections(service(server(1), server(2), server(1))) == ("192.0.2.21 port 8080 is there twice",)


@pytest.mark.req("D-31")
@pytest.mark.parametrize(("family", "mask", "ok"), [(4, 0, True), (4, 32, True), (4, 33, False), (6, 128, True)])
def test_a_source_mask_fits_its_family(family: int, mask: int, ok: bool) -> None:
    assert (objections(trio(family=family, mask=mask)) == ()) is ok


def test_persistence_lasts_at_least_a_second() -> None:
    assert objections(trio(mask=32, seconds=0.5)) == ("persistence of less than a second",)
