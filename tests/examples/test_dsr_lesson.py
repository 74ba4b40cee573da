"""examples/dsr-lesson in the lab: the exercise on direct server return from its first step to its last."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lesson import HERE, REQUESTS, SERVERS, VIP4, table, teach, wrong
from yaoki.lb.service import Forward
from yaoki.packet import pcapng
from yaoki.packet.recording import Recording
from yaoki.site.load import load_site

LONGER = 20
"""A page is so many times longer than what asks for it, headers and acknowledgements included."""


@pytest.mark.lab
@pytest.mark.company
@pytest.mark.netns
@pytest.mark.timeout(240)
@pytest.mark.req(
    "D-01", "D-03", "D-05", "D-07", "D-08", "D-09", "D-11", "D-12", "D-24", "D-25", "D-26", "D-27", "D-28", "D-30"
)
def test_the_lesson(tmp_path: Path) -> None:
    said: list[str] = []
    lesson = teach(tmp_path, said.append, site="ykdsr")

    assert lesson.nat["sentence"].startswith(f"{REQUESTS + 2} requests in, "), lesson.nat
    assert (lesson.nat["way"], lesson.nat["passed_by"], lesson.nat["as_wanted"]) == ("through", 0, True)
    assert table(lesson.nat) == [
        ("198.51.100.60", "router", "192.0.2.50", "lb1"),
        ("192.0.2.11", "lb1", f"192.0.2.20{server(lesson.nat)[-1]}", server(lesson.nat)),
        (f"192.0.2.20{server(lesson.nat)[-1]}", server(lesson.nat), "192.0.2.11", "lb1"),
        ("192.0.2.50", "lb1", "198.51.100.60", "router"),
    ]

    assert (lesson.direct["way"], lesson.direct["evidence"], lesson.direct["requests"]) == (
        "direct",
        "seen",
        REQUESTS + 2,
    )
    assert (lesson.direct["through"], lesson.direct["as_wanted"]) == ([], True), lesson.direct["remarks"]
    assert [name for name, _ in lesson.direct["straight"]] == list(SERVERS)
    assert lesson.direct["passed_by"] > 1 - 1 / LONGER
    assert table(lesson.direct) == [
        ("198.51.100.60", "router", "192.0.2.50", "lb1"),
        ("198.51.100.60", "lb1", "192.0.2.50", server(lesson.direct)),
        ("192.0.2.50", server(lesson.direct), "198.51.100.60", "router"),
    ]

    for answers in lesson.answers:
        assert Counter(answers[:REQUESTS]) == dict.fromkeys(SERVERS, REQUESTS // 2)
    bare, ready, off = lesson.found
    assert {(one["server"], one["saying"]) for one in bare if one["result"] != "right"} == {
        (name, "not-taken") for name in SERVERS
    }
    assert (wrong(ready), wrong(off)) == ([], [])
    assert lesson.refused
    assert lesson.pinged == (True, True, False)
    found, named = lesson.leak
    assert [(one["server"], one["saying"], one["address"]) for one in found if one["result"] != "right"] == [
        ("web1", "leaks", VIP4)
    ]
    assert named == ["web1"]
    assert set(lesson.left) == {"web2"}

    for name in ("nat", "direct"):
        recording = pcapng.decode((tmp_path / f"{name}.pcapng").read_bytes())
        assert isinstance(recording, Recording)
        assert [str(one) for one in recording.interfaces] == ["lb1/eth0", "web1/eth0", "web2/eth0", "router/eth0"]
        assert recording.lost == 0


def server(verdict: dict[str, list[dict[str, dict[str, str]]]]) -> str:
    """The one that answered the connection whose hops are shown."""
    return verdict["hops"][1]["destination"]["machine"]


def test_the_two_halves_differ_in_the_forwarding_method_and_its_check_only() -> None:
    nat, direct = (load_site(HERE / name).site for name in ("nat.yaml", "direct.yaml"))
    assert (nat.networks, nat.machines, nat.vips) == (direct.networks, direct.machines, direct.vips)
    (before,), (after,) = nat.services, direct.services
    servers = tuple(replace(server, forward=Forward.FULLNAT) for server in after.servers)
    assert replace(after, servers=servers, checks=before.checks) == before
