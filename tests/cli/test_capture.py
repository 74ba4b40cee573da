"""`yaoki capture` as it is typed: files are joined and judged here; recording itself is in tests/linux."""

import json
import struct
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from tests.lb.capture.wire import CLIENT, SYN, VIP, Wire, scene
from yaoki.cli import main
from yaoki.cli.capture_bounds import bounds_of
from yaoki.cli.capture_text import remarks, sentence, text
from yaoki.core.error import UsageError
from yaoki.lb.capture import frames_of, hops_of, scene_of
from yaoki.lb.service import Forward, Protocol
from yaoki.packet import pcapng
from yaoki.packet.recording import Recording
from yaoki.packet.tcp import TcpSegment
from yaoki.packet.udp import UdpDatagram
from yaoki.runtime.recorder import Bounds

LESSON = Path(__file__).parents[2] / "examples" / "dsr-lesson"
DIRECT, NAT = ["--site", str(LESSON / "direct.yaml")], ["--site", str(LESSON / "nat.yaml")]


def written(folder: Path, machine: str, forward: Forward) -> str:
    """The recording of one machine, as `--write` makes it there."""
    wire = conversation((machine,), forward)
    file = folder / f"{machine}.pcapng"
    file.write_bytes(pcapng.encode(wire.recording(), "Yaoki"))
    return str(file)


def conversation(recorded: Sequence[str], forward: Forward) -> Wire:
    wire = Wire(tuple(recorded), now_ns=1_764_200_000_000_000_000)
    wire.connection("web1", forward, 1001, requests=2, reply=20_000)
    wire.connection("web2", forward, 1002, requests=10, reply=20_000)
    return wire


def tcpdumped(folder: Path, recording: Recording) -> str:
    """As `tcpdump -w` makes it: no names, no directions."""
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    packets = [
        struct.pack("<IIII", one.at_ns // 10**9, one.at_ns % 10**9, len(one.octets), one.length) + one.octets
        for one in recording.packets
    ]
    file = folder / "dump.pcap"
    file.write_bytes(head + b"".join(packets))
    return str(file)


@pytest.mark.req("D-28")
def test_files_of_several_machines_are_joined_and_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [written(tmp_path, machine, Forward.DIRECT) for machine in ("lb1", "web1", "web2")]
    joined = tmp_path / "all.pcapng"
    assert main(["capture", "web", "--merge", *files, "--write", str(joined), *DIRECT]) == 0
    assert capsys.readouterr().out == (
        "1024 packets on lb1/eth0, web1/eth0, web2/eth0\n"
        "web: 12 requests in, 0 replies through the balancer, replies seen from web1's and web2's MAC with source VIP: "
        "direct return confirmed; 94.3 % of the octets did not pass here\n"
        "\n"
        "STEP     SOURCE                                    DESTINATION                               TTL  SEEN AT\n"
        "1        198.51.100.60 (router 02:00:00:00:00:00)  192.0.2.50 (lb1 02:00:00:00:00:01)        64   lb1/eth0\n"
        "2        198.51.100.60 (lb1 02:00:00:00:00:01)     192.0.2.50 (web1 02:00:00:00:00:02)       64   "
        "lb1/eth0, web1/eth0\n"
        "3 reply  192.0.2.50 (web1 02:00:00:00:00:02)       198.51.100.60 (router 02:00:00:00:00:00)  64   web1/eth0\n"
    )
    assert (joined.stat().st_mode & 0o777) == 0o600
    assert main(["capture", "web", "--merge", str(joined), *DIRECT]) == 0


@pytest.mark.req("D-05", "D-28")
def test_the_table_of_a_tunnels_hops_says_what_the_packet_was_inside() -> None:
    wire = conversation(("lb1", "web1"), Forward.TUNNEL)
    known = scene_of(scene(Forward.TUNNEL), wire.recording())
    recording, hops = wire.recording(), hops_of(known, frames_of(wire.recording(), known))
    lines = list(text(wire.verdict(known), hops, recording, None))
    table = lines[lines.index("") + 1 :]
    column = slice(table[0].index("INSIDE"), table[0].index("TTL"))
    assert [line[column].strip() for line in table] == [
        "INSIDE", "", "192.0.2.11 > 192.0.2.201", "192.0.2.11 > 192.0.2.201", "",
    ]  # fmt: skip


@pytest.mark.req("D-28")
def test_full_nat_is_the_opposite_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, "lb1", Forward.FULLNAT)
    assert main(["capture", "web", "--merge", file, *NAT]) == 0
    said = capsys.readouterr().out.splitlines()[1]
    assert said == (
        "web: 12 requests in, 244 replies through the balancer, none past it: no direct return; every octet passed here"
    )
    assert main(["capture", "web", "--merge", file, *DIRECT]) == 1
    assert "  the site file says forward: direct" in capsys.readouterr().out.splitlines()


def test_what_tcpdump_wrote_on_a_server_is_as_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    balancer = written(tmp_path, "lb1", Forward.DIRECT)
    dump = tcpdumped(tmp_path, conversation(("web2",), Forward.DIRECT).recording())
    assert main(["-j", "capture", "web", "--merge", balancer, f"web2={dump}", *DIRECT]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["way"], found["evidence"], found["requests"]) == ("direct", "seen", 12)
    assert [server for server, _ in found["straight"]] == ["web2"]
    # Of the connection to web1, which was not recorded, the client's word.
    assert found["acknowledged"] == 40_000
    assert "at least 94." in found["sentence"]
    assert len(found["remarks"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--merge", "/nowhere/file"], "/nowhere/file cannot be read: No such file or directory"),
        (["--merge", "{noise}"], "{noise}, octet 0: not a pcapng file"),
        (["--merge", "{dump}"], '"dump" is no machine of the site: write MACHINE={dump}'),
        (["--merge", "web9={dump}"], '"web9" is no machine of the site'),
        (["--merge", "web2={dump}", "--write", "/nowhere/file"], "/nowhere/file cannot be written"),
        (["--bounds", "time=2h"], 'time="2h": a duration up to 1h, such as 30s'),
        (["--bounds", "snap=64"], 'snap="64": a number from 128 to 256k, such as 10k'),
        (["--bounds", "length=3"], 'there is no bound "length"'),
        (["--nodes", "web9"], 'there is no machine "web9"'),
        (["--lab"], "the lab of dsr-lesson is not up"),
        ([], "this machine has none of the site's addresses; say with --nodes which machine it is"),
        (["--nodes", "web1,web2"], "this machine has none of the site's addresses"),
    ],
)
def test_what_cannot_be_carried_out(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = tmp_path / "noise"
    noise.write_bytes(b"no recording")
    files = {"noise": str(noise), "dump": tcpdumped(tmp_path, conversation(("web2",), Forward.DIRECT).recording())}
    assert main(["capture", "web", *(word.format(**files) for word in words), *DIRECT]) == 2
    assert said.format(**files) in capsys.readouterr().err


def test_bounds_that_are_not_named_keep_their_defaults() -> None:
    assert bounds_of("") == Bounds()
    assert bounds_of("time=90s,packets=10k,octets=1M,snap=128") == Bounds(
        timedelta(seconds=90), 10_240, 1024 * 1024, 128
    )
    with pytest.raises(UsageError):
        bounds_of("packets=0")


def test_words_for_what_is_wrong() -> None:
    around = scene(Forward.DIRECT)
    wire = Wire(("lb1", "web1"))
    assert sentence(wire.verdict(around)) == "no request came while it was recorded"
    wire = Wire(("lb1", "web1"))
    wire.ask("web1", Forward.DIRECT, TcpSegment(1, 80, 1, 0, SYN))
    wire.now_ns += 3 * 10**9
    wire.send("router", "web1", CLIENT, VIP, TcpSegment(2, 80, 1, 0, SYN))
    verdict = wire.verdict(around)
    assert sentence(verdict) == "0 requests in, 0 replies through the balancer, and no sign of an answer"
    assert list(remarks(verdict)) == [
        "requests reached web1 past the balancer: something there answers ARP or neighbour discovery for the VIP "
        "(`yaoki verify web`)",
        "1 connection sent to web1 never answered (`yaoki verify web`)",
    ]
    wire = Wire(("lb1",))
    wire.send("router", "lb1", CLIENT, VIP, UdpDatagram(1, 80, b"x"))
    assert sentence(wire.verdict(scene(Forward.DIRECT, Protocol.UDP))) == (
        "1 request in, 0 replies through the balancer; whether and how they were answered was not recorded: record a "
        "server as well"
    )
