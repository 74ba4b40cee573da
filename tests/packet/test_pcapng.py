"""Capture files: what is written is read again, octet by octet as the draft has it, and as tcpdump reads it."""

import struct
import subprocess
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yaoki.core.address import MacAddress
from yaoki.packet import pcap, pcapng
from yaoki.packet.malformed import Malformed
from yaoki.packet.pcapng import PcapngFlaw
from yaoki.packet.recording import CapturedPacket, CaptureInterface, Direction, Recording, merged

MAC = MacAddress(b"\2\0\0\0\0\1")
ADDRESSES = (IPv4Interface("192.0.2.11/24"), IPv6Interface("2001:db8:1::11/64"))
AT_NS = 1_764_200_000_123_456_789
FRAME = bytes.fromhex("020000000002020000000001080045000014000000004006f6b9c0000209c0000232")
RECORDING = Recording(
    (CaptureInterface("lb1", "eth0", MAC, ADDRESSES, lost=3), CaptureInterface("web1", "eth0")),
    (
        CapturedPacket(0, AT_NS, 1514, FRAME, Direction.IN),
        CapturedPacket(0, AT_NS + 1, 1514, FRAME[:33], Direction.OUT),
        CapturedPacket(1, AT_NS + 2, 34, FRAME),
    ),
    ((ip_address("192.0.2.50"), "web-vip"), (ip_address("2001:db8:1::50"), "web-vip"), (MAC, "lb1")),
    "service web of site tokyo",
)


def test_what_is_written_is_read_again() -> None:
    read = pcapng.decode(pcapng.encode(RECORDING, "Yaoki"))
    assert read == RECORDING
    assert isinstance(read, Recording)
    assert (read.comment, read.lost) == ("service web of site tokyo", 3)


def test_the_blocks_are_as_the_draft_has_them() -> None:
    data = pcapng.encode(
        Recording((CaptureInterface("web1", "eth0"),), (CapturedPacket(0, 5 << 32 | 7, 60, b"abcde"),)), "Y"
    )
    section = "0a0d0d0a 28000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0100 59000000 00000000 28000000"
    interface = (
        "01000000 40000000 0100 0000 00000400"
        "0200 0900" + b"web1/eth0\0\0\0".hex() + "0300 0c00" + b"eth0 of web1".hex() + "0900 0100 09000000 00000000"
        "40000000"
    )
    packet = "06000000 28000000 00000000 05000000 07000000 05000000 3c000000" + b"abcde\0\0\0".hex() + "28000000"
    statistics = "05000000 28000000 00000000 05000000 07000000 0500 0800 0000000000000000 00000000 28000000"
    assert data.hex() == "".join((section, interface, packet, statistics)).replace(" ", "")


def test_tcpdump_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "all.pcapng"
    file.write_bytes(pcapng.encode(RECORDING, "Yaoki"))
    read = subprocess.run(["tcpdump", "-nr", str(file), "--nano", "-tt"], capture_output=True, text=True, check=False)
    lines = read.stdout.splitlines()
    assert (read.returncode, len(lines)) == (0, 3), read.stderr
    assert lines[0].startswith("1764200000.123456789 IP 192.0.2.9 > 192.0.2.50:")


def test_files_of_others_in_either_byte_order() -> None:
    """Without names and options, times in microseconds; unknown blocks are passed over."""
    for order in "<>":

        def block(kind: int, body: bytes, order: str = order) -> bytes:
            length = struct.pack(order + "I", len(body) + 12)
            return struct.pack(order + "I", kind) + length + body + length

        section = struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1)
        interface = struct.pack(order + "HHI", 1, 0, 65535)
        ticks = 1_764_200_000_123_456
        packet = struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, 5, 60) + b"abcde\0\0\0"
        data = block(0x0A0D0D0A, section) + block(1, interface) + block(0xBAD, bytes(8)) + block(6, packet)
        assert pcapng.decode(data, "web1") == Recording(
            (CaptureInterface("web1", ""),), (CapturedPacket(0, ticks * 1000, 60, b"abcde"),)
        )


@pytest.mark.parametrize(
    ("data", "flaw"),
    [
        (b"", PcapngFlaw.NOT_PCAPNG),
        (b"\x0a\x0d\x0d\x0a" + bytes(24), PcapngFlaw.NOT_PCAPNG),
        (pcapng.encode(RECORDING, "Yaoki")[:-6], PcapngFlaw.TRUNCATED),
        (pcapng.encode(Recording((), RECORDING.packets), "Yaoki"), PcapngFlaw.INTERFACE),
        (
            pcapng.encode(RECORDING, "Y").replace(bytes((1, 0, 0, 0, 0, 0, 4, 0)), bytes((113, 0, 0, 0, 0, 0, 4, 0))),
            PcapngFlaw.LINK,
        ),
    ],
)
def test_what_is_no_recording_is_said_to_be_none(data: bytes, flaw: PcapngFlaw) -> None:
    found = pcapng.decode(data)
    assert isinstance(found, Malformed)
    assert found.reason is flaw


@example(134, b"\0")  # an IPv6 address of an interface that ends early
@given(st.integers(0, 600), st.binary(max_size=40))
def test_no_octets_raise(keep: int, noise: bytes) -> None:
    data = pcapng.encode(RECORDING, "Yaoki")
    assert isinstance(pcapng.decode(data[:keep] + noise + data[keep + len(noise) :]), Recording | Malformed)
    assert isinstance(pcap.decode(b"\xd4\xc3\xb2\xa1" + noise * 3, "web1"), Recording | Malformed)


@pytest.mark.parametrize(("magic", "unit_ns"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_older_format(order: str, magic: int, unit_ns: int) -> None:
    data = (
        struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, 1)
        + struct.pack(order + "IIII", 3, 4, 5, 60)
        + b"abcde"
    )
    assert pcap.is_pcap(data)
    packet = CapturedPacket(0, 3_000_000_000 + 4 * unit_ns, 60, b"abcde")
    assert pcap.decode(data, "web2") == Recording((CaptureInterface("web2", ""),), (packet,))
    assert isinstance(pcap.decode(data[:-1], "web2"), Malformed)


def test_one_time_line() -> None:
    first = Recording(
        (CaptureInterface("lb1", "eth0"),), (CapturedPacket(0, 1, 60, b"a"), CapturedPacket(0, 5, 60, b"c"))
    )
    second = Recording((CaptureInterface("web1", "eth0"),), (CapturedPacket(0, 3, 60, b"b"),), ((MAC, "lb1"),))
    assert merged((first, second)) == Recording(
        (CaptureInterface("lb1", "eth0"), CaptureInterface("web1", "eth0")),
        (CapturedPacket(0, 1, 60, b"a"), CapturedPacket(1, 3, 60, b"b"), CapturedPacket(0, 5, 60, b"c")),
        ((MAC, "lb1"),),
    )
