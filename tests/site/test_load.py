"""Loading: includes, positions, the model's defaults; and that nothing but SiteError ever comes out."""

from datetime import timedelta
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from yaoki.checks.check import HttpParams, Schedule, ScriptParams, TlsParams, UdpParams
from yaoki.core.error import SiteError
from yaoki.lb.service import RealServer, VirtualService
from yaoki.lb.validity import objections
from yaoki.site.compile import compile_site
from yaoki.site.examine import accept_site, examine
from yaoki.site.load import load_site
from yaoki.site.model import Hook, Persistence
from yaoki.site.node_plan import ServicePlan
from yaoki.site.strict_yaml import MAX_BYTES, MAX_PROBLEMS

EXAMPLE = Path(__file__).parent / "pair.yaml"
WORDS = EXAMPLE.read_text()


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "site.yaml"


def whats(path: Path) -> list[str]:
    with pytest.raises(SiteError) as caught:
        load_site(path)
    return [f"{Path(p.where.file).name}:{p.where.line}: {p.what}" for p in caught.value.problems]


@pytest.mark.req("Z-01")
def test_positions_of_values_keys_items_and_defaults() -> None:
    at = load_site(EXAMPLE).source_map.at
    lines = WORDS.split("\n")

    def place(*path: str | int) -> tuple[str, str]:
        found = at(*path)
        assert found.text == lines[found.line - 1]
        return found.text.strip().split(" ")[0], found.text[found.column - 1 :].split(" ")[0]

    assert place("vips", "web-vip", "vrid") == ("vrid:", "51")
    assert place("vips", "web-vip") == ("web-vip:", "web-vip:")
    assert place("vips", "web-vip", "addresses", 1) == ("addresses:", '"2001:db8:1::50"]')
    assert place("services", "web", "slo", "outage") == ("slo:", "500ms,")
    assert place("services", "echo", "servers", "web2") == ("echo:", "web2:")
    # A default is shown at what it is a default of.
    assert place("vips", "web-vip", "version") == ("web-vip:", "web-vip:")
    assert load_site(EXAMPLE).source_map.has("vips", "web-vip", "advertise")
    assert not load_site(EXAMPLE).source_map.has("vips", "web-vip", "version")


def test_every_kind_of_check_becomes_its_parameters(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        site="""version: 1
site: a
checks:
  defaults: {kind: http}
  page: {kind: https, port: 8443, path: /x, method: HEAD, host: www.example, verify: true, interval: 2s, rise: 5,
         expect: {status: [200, 204], body: "^ok", header: {name: X-Up, value: "yes"}}, hold-down: 1m}
  ask: {kind: udp, port: 53, send: {hex: "00ff"}, expect: pong, require-answer: false}
  cert: {kind: tls, server-name: www.example, min-days: 14, fast-interval: 100ms, fall: 2}
  own: {kind: script, command: [/bin/true, -x], user: probe, timeout: 900ms}
""",
    )
    checks = {check.name: check for check in load_site(path).site.checks}
    assert checks["defaults"].params == HttpParams(port=0)
    assert checks["defaults"].schedule == Schedule(timedelta(seconds=1), timedelta(milliseconds=500))
    assert checks["page"].params == HttpParams(
        port=8443,
        path="/x",
        method="HEAD",
        host="www.example",
        status=(200, 204),
        body="^ok",
        header=("X-Up", "yes"),
        tls=True,
        verify=True,
    )
    assert checks["page"].schedule == Schedule(
        timedelta(seconds=2), timedelta(seconds=1), rise=5, hold_down=timedelta(minutes=1)
    )
    assert checks["ask"].params == UdpParams(53, b"\0\xff", b"pong", require_answer=False)
    assert checks["cert"].params == TlsParams(0, "www.example", min_days=14)
    assert checks["cert"].schedule.fast_interval == timedelta(milliseconds=100)
    assert checks["own"].params == ScriptParams(("/bin/true", "-x"), "probe")


def test_addresses_get_the_length_of_the_longest_prefix_that_holds_them(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        site="""version: 1
site: a
networks: {n: {prefixes: [192.0.2.0/25, "2001:db8::/64"]}}
nodes: {lb: {interfaces: {eth0: {network: n, addresses: [192.0.2.1, "2001:db8::1"]}}}}
vips: {v: {network: n, addresses: [192.0.2.50, "fe80::50"], vrid: 1, members: {lb: {priority: 9}}}}
hooks: {tell: {events: [became-active], command: [/usr/local/bin/tell], timeout: 3s}}
""",
    )
    site = load_site(path).site
    assert site.machine("lb").interfaces[0].addresses == (
        IPv4Interface("192.0.2.1/25"),
        IPv6Interface("2001:db8::1/64"),
    )
    assert site.vip("v").addresses == (IPv4Interface("192.0.2.50/25"), IPv6Interface("fe80::50/64"))
    assert site.hooks == (
        Hook("tell", on=("became-active",), command=("/usr/local/bin/tell",), timeout=timedelta(seconds=3)),
    )


def test_persistence_has_defaults_and_reads_its_masks(tmp_path: Path) -> None:
    long = WORDS.replace("persistence: none ", "persistence: {source: {ipv4-mask: 24, timeout: 1h}} ")
    assert load_site(write(tmp_path, site=long)).site.service("web").persistence == Persistence(
        24, 128, timedelta(hours=1)
    )
    short = WORDS.replace("persistence: none ", "persistence: {source: {}} ")
    assert load_site(write(tmp_path, site=short)).site.service("web").persistence == Persistence()


def test_included_files_are_joined_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    for name in ("b", "a"):
        (tmp_path / "nodes" / f"{name}.yaml").write_text(
            f"nodes: {{{name}: {{interfaces: {{eth0: {{network: n}}}}}}}}\ninclude: ../more.yaml\n"
        )
    path = write(
        tmp_path,
        site="version: 1\nsite: s\ninclude: [nodes/*.yaml]\nnodes: {z: {interfaces: {eth0: {network: n}}}}\n",
        more='networks: {n: {prefixes: ["2001:db8::/64"]}}\n',
    )
    loaded = load_site(path)
    assert [node.name for node in loaded.site.nodes] == ["z", "a", "b"]
    assert loaded.source_map.at("nodes", "b").file == str(tmp_path / "nodes" / "b.yaml")
    assert loaded.source_map.at("networks", "n").file == str(tmp_path / "nodes" / ".." / "more.yaml")


def test_a_name_given_in_two_files_is_refused_with_both_places(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        site='version: 1\nsite: s\ninclude: other.yaml\nnetworks: {n: {prefixes: ["2001:db8::/64"]}}\n',
        other='site: t\nnetworks:\n  n: {prefixes: ["2001:db8:1::/64"]}\n',
    )
    assert whats(path) == [
        'other.yaml:1: the key "site" is given in two files',
        'other.yaml:3: the name "n" is given in two files',
    ]


def test_files_that_include_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = write(
        tmp_path, site="version: 1\nsite: s\ninclude: a.yaml\n", a="include: b.yaml\n", b="include: [a.yaml]\n"
    )
    (problem,) = whats(path)
    assert problem.startswith("b.yaml:1: ")
    assert problem.endswith("a.yaml includes itself")


def test_includes_too_deep_are_refused(tmp_path: Path) -> None:
    names = [f"f{number}" for number in range(12)]
    files = {name: f"include: {after}.yaml\n" for name, after in zip(names, [*names[1:], "end"], strict=True)}
    path = write(tmp_path, site="version: 1\nsite: s\ninclude: f0.yaml\n", end="hooks: {}\n", **files)
    assert whats(path) == ["f7.yaml:1: files include each other more than 8 deep"]


def test_a_pattern_may_find_nothing_but_a_name_may_not(tmp_path: Path) -> None:
    assert load_site(write(tmp_path, site="version: 1\nsite: s\ninclude: [conf.d/*.yaml]\n")).site.name == "s"
    (problem,) = whats(write(tmp_path, site="version: 1\nsite: s\ninclude: [conf.yaml]\n"))
    assert "No such file" in problem


def test_a_missing_file_and_a_folder_are_site_errors(tmp_path: Path) -> None:
    assert "cannot read" in whats(tmp_path / "none.yaml")[0]
    assert "cannot read" in whats(tmp_path)[0]


def test_a_link_that_leads_to_itself_is_a_site_error(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (problem,) = whats(write(tmp_path, site="version: 1\nsite: s\ninclude: loop.yaml\n"))
    assert problem.startswith("site.yaml:3: cannot read ")
    assert problem.endswith("Too many levels of symbolic links")
    assert "symbolic links" in whats(tmp_path / "loop.yaml")[0]


def test_of_a_file_without_an_end_only_the_beginning_is_read() -> None:
    assert whats(Path("/dev/zero")) == [f"zero:1: the file is larger than {MAX_BYTES} bytes"]


def test_reading_stops_after_a_bounded_number_of_problems(tmp_path: Path) -> None:
    services = "".join(f"  s{number}: {{vip: v, listen: x, servers: {{h: {{}}}}}}\n" for number in range(500))
    assert len(whats(write(tmp_path, site=f"version: 1\nsite: s\nservices:\n{services}"))) == MAX_PROBLEMS


def test_what_is_accepted_can_be_acknowledged_and_what_cannot_work_is_refused(tmp_path: Path) -> None:
    stateful = WORDS.replace("    vrid: 51\n", "    vrid: 51\n    stateful: true\n")
    with pytest.raises(SiteError) as caught:
        accept_site(write(tmp_path, site=stateful))
    assert [problem.rule for problem in caught.value.problems] == ["stateful-failback"]
    known = stateful.replace("    stateful: true\n", "    stateful: true\n    acknowledge: [stateful-failback]\n")
    path = write(tmp_path, site=known)
    assert accept_site(path).site.vip("web-vip").stateful
    assert [problem.rule for problem in examine(path).acknowledged] == ["stateful-failback"]


def test_a_word_that_is_no_rule_is_told_of_wherever_it_stands(tmp_path: Path) -> None:
    odd = "sync-groups:\n  g: {vips: [web-vip], acknowledge: [nonsense]}\nbalancer: {acknowledge: [rubbish]}\n"
    problems = examine(write(tmp_path, site=WORDS + odd)).problems
    assert [problem.what for problem in problems if problem.rule == "unknown-name"] == [
        'acknowledge: there is no lint rule "nonsense"',
        'acknowledge: there is no lint rule "rubbish"',
    ]


CHUNKS = [line + "\n" for line in WORDS.split("\n")]
VALUES = ["{}", "[]", "[1]", "{a: b}", '""', "null", "-1", "99999999999999999999", "1e400", "1.5", "true", '"\\0"']
WORDS_OF_IT = ["300ms", "5%", "x", "192.0.2.1", "0.0.0.0/0", "{secret: x}", "web1", "include: ['*', '**', '/']\n"]
FRAGMENTS = st.sampled_from([*VALUES, *WORDS_OF_IT, "\n", ": ", "    ", "'"])


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """The example with some values replaced, lines lost, doubled or moved, and text thrown in."""
    lines = list(CHUNKS)
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                del lines[index]
            case 1:
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines[index])
            case 2:
                offset = draw(st.integers(0, len(lines[index])))
                lines[index] = lines[index][:offset] + draw(FRAGMENTS) + lines[index][offset:]
            case 3:
                key, colon, _ = lines[index].partition(":")
                lines[index] = f"{key}{colon} {draw(FRAGMENTS)}\n"
            case _:
                lines[index] = lines[index].replace(draw(st.sampled_from(":{}[], ")), draw(FRAGMENTS), 1)
    return "".join(lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.text(max_size=100) | mangled())
@example("")
@example("version: 1\nsite: s\ninclude: '**'\n")
@example("version: 1\nsite: s\ninclude: ''\n")
def test_any_text_is_accepted_and_compiles_to_what_planes_can_do_or_is_refused_by_a_site_error(
    tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "only"
    folder.mkdir(exist_ok=True)
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        loaded = accept_site(path)
    except SiteError:
        return
    for plan in compile_site(loaded.site).values():
        for service in plan.services:
            assert objections(as_planes_see(service)) == ()


def as_planes_see(service: ServicePlan) -> VirtualService:
    servers = tuple(
        RealServer(s.name, s.address, s.port, s.forward, s.weight, source=s.source) for s in service.servers
    )
    return VirtualService(service.name, service.key, service.interface, service.scheduler, servers, service.persistence)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples").glob("*/site.yaml")), ids=str)
def test_the_examples_are_what_a_node_accepts(path: Path) -> None:
    assert accept_site(path).site.nodes
