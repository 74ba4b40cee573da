"""Where a store is: what an operator may write, and what is refused with a reason."""

import pytest

from yaoki.election.store import Endpoint, EtcdStore

ONE = Endpoint("192.0.2.1", 2379)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("http://192.0.2.1:2379", Endpoint("192.0.2.1", 2379)),
        ("https://etcd1.example:2379/", Endpoint("etcd1.example", 2379, tls=True)),
        ("https://[2001:db8::1]:2379", Endpoint("2001:db8::1", 2379, tls=True)),
    ],
)
def test_endpoints_are_read_and_written(text: str, endpoint: Endpoint) -> None:
    assert Endpoint.parse(text) == endpoint
    assert str(endpoint) == text.rstrip("/")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("192.0.2.1:2379", "begin with"),
        ("ftp://192.0.2.1:2379", "begin with"),
        ("http://192.0.2.1", "port"),
        ("http://192.0.2.1:", "port"),
        ("http://192.0.2.1:0", "outside"),
        ("http://192.0.2.1:70000", "outside"),
        ("http://2001:db8::1:2379", "brackets"),
        ("http://:2379", "host"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Endpoint.parse(text)


def test_stores_that_cannot_work_are_refused() -> None:
    EtcdStore((ONE,), "yaoki/", ca="ca.pem", certificate="node.pem", key="node.key")
    for endpoints, prefix, certificate, why in (
        ((), "yaoki/", "", "at least one"),
        ((ONE, ONE), "yaoki/", "", "twice"),
        ((ONE,), "", "", "prefix"),
        ((ONE,), "yaoki/", "node.pem", "certificate"),
    ):
        with pytest.raises(ValueError, match=why):
            EtcdStore(endpoints, prefix, certificate=certificate)
