"""etcd's JSON gateway: requests and answers as etcd 3.4.23 takes and gives them."""

import pytest

from yaoki.election.store import KeyState, NotSwapped, Swapped
from yaoki.runtime.stores import gateway
from yaoki.runtime.stores.gateway import GatewayError, News, Snapshot

HEADER = (
    b'"header":{"cluster_id":"8323808018354915591","member_id":"15985099378392235387","revision":"2","raft_term":"2"}'
)
KEY = b'{"key":"YQ==","create_revision":"2","mod_revision":"2","version":"1","value":"Yg=="}'


def test_requests_have_the_form_that_etcd_takes() -> None:
    assert gateway.range_of_key("a") == b'{"key":"YQ=="}'
    assert gateway.range_of_prefix("a/") == b'{"key":"YS8=","range_end":"YTA="}'
    assert gateway.swap("a", 7, b"b") == (
        b'{"compare":[{"target":"MOD","result":"EQUAL","key":"YQ==","mod_revision":"7"}],'
        b'"success":[{"request_put":{"key":"YQ==","value":"Yg=="}}],"failure":[{"request_range":{"key":"YQ=="}}]}'
    )
    assert gateway.watch_of_prefix("a", 8) == (
        b'{"create_request":{"key":"YQ==","range_end":"Yg==","start_revision":"8"}}'
    )


def test_reads_are_understood() -> None:
    assert gateway.read_key(b"{" + HEADER + b"}") == KeyState(0, None)
    found = b"{" + HEADER + b',"kvs":[' + KEY + b'],"count":"1"}'
    assert gateway.read_key(found) == KeyState(2, b"b")
    assert gateway.read_snapshot(found) == Snapshot(2, {"a": KeyState(2, b"b")})
    assert gateway.read_snapshot(b"{" + HEADER + b"}") == Snapshot(2, {})


def test_swaps_are_understood() -> None:
    done = b"{" + HEADER + b',"succeeded":true,"responses":[{"response_put":{"header":{"revision":"2"}}}]}'
    assert gateway.read_swap(done) == Swapped(2)
    ranged = b'"responses":[{"response_range":{"header":{"revision":"2"},"kvs":[' + KEY + b'],"count":"1"}}]'
    assert gateway.read_swap(b"{" + HEADER + b"," + ranged + b"}") == NotSwapped(KeyState(2, b"b"))
    absent = b'"responses":[{"response_range":{"header":{"revision":"2"}}}]'
    assert gateway.read_swap(b"{" + HEADER + b"," + absent + b"}") == NotSwapped(KeyState(0, None))


def test_news_of_a_watch_are_understood_and_a_deletion_is_none() -> None:
    def line(rest: bytes) -> bytes:
        return b'{"result":{' + HEADER + rest + b"}}"

    assert gateway.read_news(line(b',"created":true')) == News((), compacted=False)
    assert gateway.read_news(line(b',"events":[{"kv":' + KEY + b"}]")) == News((("a", KeyState(2, b"b")),), False)
    deleted = b',"events":[{"type":"DELETE","kv":{"key":"YQ==","mod_revision":"3"}}]'
    assert gateway.read_news(line(deleted)) == News((), compacted=False)
    assert gateway.read_news(line(b',"canceled":true,"compact_revision":"5"')) == News((), compacted=True)
    with pytest.raises(GatewayError, match="no leader"):
        gateway.read_news(line(b',"canceled":true,"cancel_reason":"etcdserver: no leader"'))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"<html>",
        b'{"kvs":[{}]}',
        b'{"kvs":[{"key":"?","mod_revision":"2"}]}',
        b'{"kvs":[{"key":"YQ==","mod_revision":"x"}]}',
        b'{"kvs":7}',
        b'{"error":"etcdserver: leader changed","code":14}',
        b'{"error":{"grpc_code":14,"message":"no leader"}}',
    ],
)
def test_what_is_not_understood_is_a_refusal_and_nothing_else(answer: bytes) -> None:
    for read in (gateway.read_key, gateway.read_snapshot, gateway.read_swap, gateway.read_news):
        with pytest.raises(GatewayError):
            read(answer)


def test_a_refusal_names_etcd_s_reason() -> None:
    body = b'{"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14}'
    assert str(gateway.read_refusal(503, body)) == "HTTP 503: etcdserver: no leader"
    assert str(gateway.read_refusal(404, b"page not found")) == "HTTP 404: page not found"
