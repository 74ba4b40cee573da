"""Our rtnetlink against iproute2 as the second opinion, in a namespace of our own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

import pytest

from yaoki.core.address import MacAddress
from yaoki.linux import rtnetlink
from yaoki.linux.attributes import messages
from yaoki.linux.rtnetlink import Address, Link, parse

NAMESPACE = f"ykb-{os.getpid()}-rt"
VIP, VIP_6 = ip_interface("192.0.2.50/24"), ip_interface("2001:db8:1::50/64")

# RTM_NEWADDR as read from the kernel (Linux 6.18): 192.0.2.50/24, secondary, with the mark, on interface 2
MARKED = bytes.fromhex(
    "02188100 02000000"  # AF_INET, 24, permanent | secondary, universe, interface 2
    "08000100c0000232 08000200c0000232 08000400c00002ff 05000b0059000000 08000800 81000000"
)


def test_marked_address_of_the_kernel_is_known_by_its_mark() -> None:
    found = parse(rtnetlink.RTM_NEWADDR, MARKED)
    assert found == Address(2, VIP, 0x81, ours=True)
    assert parse(rtnetlink.RTM_DELADDR, MARKED) == Address(2, VIP, 0x81, ours=True, gone=True)


@pytest.mark.parametrize("mark", [b"\x05\x00\x0b\x00\x03\0\0\0", b""])
def test_address_with_another_mark_or_none_is_not_ours(mark: bytes) -> None:
    found = parse(rtnetlink.RTM_NEWADDR, MARKED[:32] + mark)
    assert found == Address(2, VIP, 0x81, ours=False)


def test_messages_about_other_things_are_passed_over() -> None:
    assert parse(24, b"") is None
    bridge_port = bytes.fromhex("07000100 02000000 43100000 00000000")
    assert parse(rtnetlink.RTM_NEWLINK, bridge_port) is None


def test_only_a_link_local_address_is_asked_for_with_its_interface() -> None:
    """Worked out by hand from linux/rtnetlink.h: rtmsg, RTA_DST, RTA_OIF."""
    ((kind, _, body),) = messages(rtnetlink.local_route_question(7, VIP_6.ip))
    assert kind == rtnetlink.RTM_GETROUTE
    assert body == bytes.fromhex("0a800000 00000000 00000000 14000100") + VIP_6.ip.packed
    link_local = ip_address("fe80::50")
    ((_, _, body),) = messages(rtnetlink.local_route_question(7, link_local))
    assert body[12:] == bytes.fromhex("14000100") + link_local.packed + bytes.fromhex("08000400 07000000")


def test_requests_are_what_iproute2_would_send_with_the_mark_and_without_duplicate_detection() -> None:
    ((kind, _, body),) = messages(rtnetlink.add_address(7, VIP_6))
    assert kind == rtnetlink.RTM_NEWADDR
    assert body[:8] == bytes.fromhex("0a40020007000000")
    assert parse(kind, body) == Address(7, VIP_6, rtnetlink.IFA_F_NODAD, ours=True)


PROGRAM = """
import json, sys
from ipaddress import ip_interface
from yaoki.core.error import ActuatorError
from yaoki.linux import rtnetlink
from yaoki.linux.interface_watch import InterfaceWatch
from yaoki.linux.vip_addresses import VipAddresses, release_marked
import socket

index = socket.if_nametoindex("eth0")
addresses, watch = VipAddresses(), InterfaceWatch()
first = {state.name: state for state in watch.read()}
vips = [ip_interface("192.0.2.50/24"), ip_interface("2001:db8:1::50/64")]
claimed = [addresses.claim(index, vip) for vip in vips]
again = [addresses.claim(index, vip) for vip in vips]
for vip in vips:
    watch.note_claimed(index, vip)
(changed,) = watch.read()
listed = {(found.index, str(found.address)): found.ours
          for found in rtnetlink.Rtnetlink().dump(rtnetlink.RTM_GETADDR)}
foreign = addresses.release(index, ip_interface("192.0.2.11/24"), marked=False)
others = release_marked(["lo", "none"])
released = [str(vip) for _, vip in release_marked(["eth0"])]
gone = addresses.release(index, vips[0], marked=True)
try:
    addresses.claim(4711, vips[0])
except ActuatorError as error:
    refusal = [error.change, error.errno]
print(json.dumps({
    "first": [first["eth0"].up, str(first["eth0"].mac), str(first["eth0"].ipv4), str(first["eth0"].ipv6_link_local)],
    "claimed": claimed, "again": again, "ours": [str(vip) for vip in changed.ours], "ipv4": str(changed.ipv4),
    "marked": [address for (at, address), ours in listed.items() if at == index and ours],
    "foreign": foreign, "others": others, "released": released, "gone": gone, "refusal": refusal,
}))
"""


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30).stdout


@pytest.fixture
def namespace() -> Iterator[str]:
    ip("netns", "add", NAMESPACE)
    try:
        ip(
            "-n",
            NAMESPACE,
            "link",
            "add",
            "eth0",
            "address",
            "02:00:00:00:00:0b",
            "type",
            "veth",
            "peer",
            "name",
            "eth1",
        )
        ip("-n", NAMESPACE, "link", "set", "eth1", "up")
        ip("-n", NAMESPACE, "link", "set", "eth0", "addrgenmode", "none", "up")
        ip("-n", NAMESPACE, "address", "add", "192.0.2.11/24", "dev", "eth0")
        ip("-n", NAMESPACE, "address", "add", "fe80::11/64", "dev", "eth0", "nodad")
        yield NAMESPACE
    finally:
        ip("netns", "del", NAMESPACE)


@pytest.mark.netns
def test_addresses_come_and_go_as_marked_and_iproute2_agrees(namespace: str) -> None:
    done = subprocess.run(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", PROGRAM],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert said == {
        "first": [True, str(MacAddress.parse("02:00:00:00:00:0b")), "192.0.2.11", "fe80::11"],
        "claimed": [True, True],
        "again": [False, False],
        "ours": [str(VIP), str(VIP_6)],
        "ipv4": "192.0.2.11",
        "marked": [str(VIP), str(VIP_6)],
        "foreign": False,
        "others": [],
        "released": [str(VIP), str(VIP_6)],
        "gone": False,
        "refusal": ["add 192.0.2.50/24", 19],
    }
    (link,) = json.loads(ip("-n", namespace, "-j", "address", "show", "dev", "eth0"))
    assert {address["local"] for address in link["addr_info"]} == {"192.0.2.11", "fe80::11"}


def test_a_link_without_a_mac_or_a_name_is_still_a_link() -> None:
    found = parse(rtnetlink.RTM_NEWLINK, bytes.fromhex("00000100 09000000 41000000 00000000"))
    assert found == Link(9, "", True, None, 0)


PREFIX_ROUTE = """
import json, socket, time
from datetime import timedelta
from ipaddress import ip_interface
from yaoki.linux.vip_addresses import VipAddresses

index, addresses = socket.if_nametoindex("eth0"), VipAddresses()
for vip in map(ip_interface, ("2001:db8:1::50/64", "2001:db8:2::50/64")):
    addresses.claim(index, vip)
    addresses.limit(index, vip, timedelta(seconds=60), marked=True)
    addresses.limit(index, vip, timedelta(seconds=60), marked=True)
print("held", flush=True)
input()
for vip in map(ip_interface, ("2001:db8:1::50/64", "2001:db8:2::50/64")):
    addresses.release(index, vip, marked=True)
print("released", flush=True)
input()
vip = ip_interface("2001:db8:2::50/64")
addresses.claim(index, vip)
addresses.limit(index, vip, timedelta(seconds=60), marked=True)
addresses.release(index, vip, marked=True)
"""


@pytest.mark.netns
@pytest.mark.req("B-06")
def test_the_lifetime_of_a_vip_leaves_the_route_of_the_node_s_own_prefix_alone(namespace: str) -> None:
    def routes() -> dict[str, bool]:
        found = json.loads(ip("-j", "-n", namespace, "-6", "route", "show", "dev", "eth0"))
        return {route["dst"]: "expires" in route for route in found if route["dst"].startswith("2001:")}

    ip("-n", namespace, "address", "add", "2001:db8:1::11/64", "dev", "eth0", "nodad")
    program = subprocess.Popen(
        ["ip", "netns", "exec", namespace, sys.executable, "-c", PREFIX_ROUTE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stdout.readline() == "held\n"
    assert routes() == {"2001:db8:1::/64": False, "2001:db8:2::/64": True}, "the second prefix is the VIP's alone"
    print(file=program.stdin, flush=True)
    assert program.stdout.readline() == "released\n"
    assert routes()["2001:db8:1::/64"] is False
    ip("-n", namespace, "address", "add", "2001:db8:2::11/64", "dev", "eth0", "nodad")
    program.communicate("\n", timeout=30)
    assert program.returncode == 0
    assert routes() == {"2001:db8:1::/64": False, "2001:db8:2::/64": False}
