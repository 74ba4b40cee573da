import pickle
from copy import deepcopy
from dataclasses import fields, replace
from ipaddress import ip_address

from yaoki.checks.check import CheckId, TcpParams

HERE, THERE = (CheckId(ip_address("192.0.2.21"), TcpParams(port)) for port in (80, 81))


def test_equal_identities_are_found_by_each_other() -> None:
    again = CheckId(ip_address("192.0.2.21"), TcpParams(80))
    assert {HERE: "here", THERE: "there"}[again] == "here"
    assert hash(again) == hash(HERE) == hash(HERE)
    assert again == HERE != THERE


def test_what_is_hashed_once_is_no_part_of_what_is_told_or_copied() -> None:
    assert hash(HERE) == HERE._hash
    assert [field.name for field in fields(HERE)] == ["target", "params", "source"]
    assert hash(replace(HERE, params=TcpParams(81))) == hash(THERE)
    for other in (deepcopy(HERE), pickle.loads(pickle.dumps(HERE))):
        assert other == HERE
        assert not hasattr(other, "_hash")
