"""What `yaoki doctor` finds out, on whatever machine the tests run."""

import os

import pytest

from yaoki.linux.capabilities import Ability, examine, lacking_privileges


@pytest.mark.netns
def test_the_machine_that_tests_run_on_can_do_what_the_tests_need() -> None:
    found = {capability.name: capability for capability in examine()}
    for name in ("privileges", "tools", "vrrp-socket", "packet-socket", "namespaces", "nft-nat", "nft-dynamic-sets"):
        assert found[name].ability is Ability.YES, found[name]
    for name in ("nft-ingress", "nft-egress", "macvlan"):
        assert found[name].ability is Ability.YES, found[name]


def test_what_a_node_needs_is_named_one_by_one() -> None:
    found = [lacking_privileges(held) for held in (0, 1 << 12, 1 << 13, (1 << 12) + (1 << 13), (1 << 41) - 1)]
    assert found == [("CAP_NET_ADMIN", "CAP_NET_RAW"), ("CAP_NET_RAW",), ("CAP_NET_ADMIN",), (), ()]


@pytest.mark.netns
def test_what_cannot_be_done_says_what_that_means() -> None:
    for capability in examine():
        assert capability.evidence
        assert capability.consequence or capability.ability is Ability.YES
    assert os.geteuid() == 0
