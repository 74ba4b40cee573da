"""Which services copy flows, and what `yaoki plan` says of connections when a VIP moves."""

from dataclasses import replace
from pathlib import Path

import pytest

from yaoki.cli.flow_fate import fates, strangers
from yaoki.site.compile import compile_site
from yaoki.site.copying import UnsignedCopies, unsigned_copies
from yaoki.site.load import load_site
from yaoki.site.model import Site

FILE = Path(__file__).parents[1] / "lab/flows.yaml"
KEYS = "    authentication: {hmac: {secret: flows}}\n"


def changed(folder: Path, before: str, after: str) -> Site:
    text = FILE.read_text()
    assert before in text
    file = folder / "site.yaml"
    file.write_text(text.replace(before, after))
    return load_site(file).site


@pytest.mark.req("B-14")
@pytest.mark.parametrize(
    ("before", "after", "copied", "fate"),
    [
        ("scheduler: rr", "scheduler: rr", True, "(nat): when web-vip moves, its flows go on: they are copied to the"),
        ("scheduler: rr", "copy-flows: false", False, "(nat): when web-vip moves, its flows are cut: copy-flows is"),
        ("forward: nat", "forward: fullnat", False, "(fullnat): when web-vip moves, its flows are cut: servers answer"),
        (", lb2: {priority: 100}}", "}", False, None),
    ],
)
def test_nat_flows_are_copied_where_there_is_anywhere_to_move(
    tmp_path: Path, before: str, after: str, copied: bool, fate: str | None
) -> None:
    site = changed(tmp_path, before, after)
    plan = compile_site(site)["lb1"]
    assert {service.copied for service in plan.services} == {copied}
    assert plan.copies_flows is copied
    said = list(fates(site))
    beginnings = [f"service {name} {fate}" for name in ("api", "sticky")] if fate else []
    assert [line[: len(beginning)] for line, beginning in zip(said, beginnings, strict=True)] == beginnings


@pytest.mark.req("B-14")
@pytest.mark.parametrize(
    ("scheduler", "more", "fate"),
    [
        ("wrr", "", "its flows go on: they are copied to the other members."),
        (
            "maglev",
            "",
            "its flows go on: every member chooses the same server for them, and is told of those it would not.",
        ),
        (
            "sh",
            "",
            "its flows go on: every member chooses the same server for them, and is told of those it would not.",
        ),
        ("lc", "copy-flows: false", "most of its flows are cut, for they get a server anew: copy-flows is false."),
        (
            "sh",
            "copy-flows: false",
            "go on while the servers stay the same: every member chooses the same server for them.",
        ),
    ],
)
def test_of_direct_return_the_hash_alone_keeps_flows_that_are_not_copied(
    tmp_path: Path, scheduler: str, more: str, fate: str
) -> None:
    example = (Path(__file__).parents[2] / "examples/web-pair/site.yaml").read_text()
    file = tmp_path / "site.yaml"
    line = f"scheduler: {scheduler}" + (f"\n    {more}" if more else "")
    changed_text = example.replace("scheduler: maglev ", line + " ")
    assert changed_text != example or scheduler == "maglev"
    file.write_text(changed_text)
    site = load_site(file).site
    said = list(fates(site))
    assert said[0].startswith("service web (direct): when web-vip moves, ")
    assert said[0].endswith(fate)
    web = next(each for each in compile_site(site)["lb1"].services if each.name == "web")
    assert web.copied is (more == "")


def test_one_server_alone_needs_no_copies(tmp_path: Path) -> None:
    site = changed(
        tmp_path, "forward: nat\n    scheduler: rr", "forward: direct\n    copy-flows: false\n    scheduler: rr"
    )
    alone = [replace(each, servers=each.servers[:1]) for each in site.services]
    said = list(fates(replace(site, services=tuple(alone))))
    assert said[0].endswith("its flows go on: it has one server.")


@pytest.mark.req("B-14")
@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("", "", ["lb1 and lb2"]),
        ("    vrid: 51\n", "    vrid: 51\n" + KEYS, []),
        ("scheduler: rr", "copy-flows: false", []),
        ("forward: nat", "forward: fullnat", []),
        (", lb2: {priority: 100}}", "}", []),
    ],
)
def test_who_copies_unsigned_is_told_what_that_means(tmp_path: Path, before: str, after: str, names: list[str]) -> None:
    text = FILE.read_text()
    assert KEYS in text
    file = tmp_path / "site.yaml"
    file.write_text(text.replace(KEYS, "").replace(before, after))
    said = list(strangers(load_site(file).site))
    assert [line.partition(" do not sign")[0] for line in said] == [f"copies of web-vip: {name}" for name in names]


@pytest.mark.req("B-14")
def test_members_that_share_the_keys_of_another_vip_sign_the_copies_of_all() -> None:
    site = load_site(FILE).site
    (other,) = site.vips
    vip = replace(other, authentication=None)
    other, site = replace(other, name="mail"), replace(site, vips=(vip,))
    assert list(unsigned_copies(site)) == [UnsignedCopies("web-vip", ("lb1", "lb2"), "api")]
    assert list(unsigned_copies(replace(site, vips=(vip, other)))) == []
    # Nor does who shares no such VIP with a third member.
    third = replace(vip, members=(*vip.members, replace(vip.members[0], node="lb3")))
    assert list(unsigned_copies(replace(site, vips=(third, other)))) == [
        UnsignedCopies("web-vip", ("lb1", "lb3"), "api")
    ]
