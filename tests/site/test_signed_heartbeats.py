"""Which keys sign the heartbeats of two nodes: both work it out by themselves, also while a node is being replaced."""

from pathlib import Path

import pytest

from yaoki.core.secret import SecretRef
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef, Mode
from yaoki.site.compile import compile_site
from yaoki.site.load import load_site
from yaoki.site.model import Site
from yaoki.site.replacement import replaced_by

FILE = """version: 1
site: tokyo
networks:
  front: {prefixes: [192.0.2.0/24]}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
  lb3: {interfaces: {eth0: {network: front, addresses: [192.0.2.13]}}}
  spare: {interfaces: {eth0: {network: front, addresses: [192.0.2.14]}}, standby-for: [lb1]}
vips:
  plain:
    network: front
    addresses: [192.0.2.52]
    vrid: 53
    members: {lb1: {priority: 150}, lb2: {priority: 120}, lb3: {priority: 100}}
  web:
    network: front
    addresses: [192.0.2.50]
    vrid: 51
    members: {lb1: {priority: 150}, lb2: {priority: 100}}
    authentication: {hmac: {secret: web}, mode: permissive}
  mail:
    network: front
    addresses: [192.0.2.51]
    vrid: 52
    members: {lb1: {priority: 150}, lb2: {priority: 100}}
    authentication: {hmac: {secret: mail}}
"""
WEB, MAIL = KeyRef(1, SecretRef("web")), KeyRef(1, SecretRef("mail"))
BOTH = AuthenticationParams((MAIL, WEB), Mode.ENFORCE)


def site(directory: Path) -> Site:
    file = directory / "site.yaml"
    file.write_text(FILE)
    return load_site(file).site


def ways(site: Site) -> dict[tuple[str, str], AuthenticationParams | None]:
    """How each node signs for each of its peers."""
    plans = compile_site(site)
    return {(node, peer.node): peer.authentication for node, plan in plans.items() for peer in plan.heartbeat.peers}


def test_two_nodes_sign_as_the_strictest_of_the_vips_that_they_share(tmp_path: Path) -> None:
    found = ways(site(tmp_path))
    assert found["lb1", "lb2"] == found["lb2", "lb1"] == BOTH
    assert found["lb1", "lb3"] == found["lb3", "lb1"] == found["lb2", "lb3"] is None


@pytest.mark.req("B-02")
def test_who_is_told_that_it_was_replaced_hears_it_with_the_keys_that_it_had(tmp_path: Path) -> None:
    """A stranger who could say so would take a node's addresses from it with one datagram."""
    before = site(tmp_path)
    after = ways(replaced_by(before, "lb1", "spare"))
    for teller in ("spare", "lb2"):
        assert ways(before)["lb1", teller] == ways(before)[teller, "lb1"] == after[teller, "lb1"] == BOTH
    assert after["spare", "lb2"] == after["lb2", "spare"] == BOTH
