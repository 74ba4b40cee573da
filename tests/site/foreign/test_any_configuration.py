"""Whatever the files say: a located refusal, or a site that a node would run and one remark on each statement."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.site.foreign.shelf import Shelf, examined
from yaoki.core.error import Problem, SiteError
from yaoki.site.foreign.keepalived import Disk, Import, Original, import_keepalived
from yaoki.site.foreign.keepalived.blocks import every, read_blocks
from yaoki.site.foreign.keepalived.lines import LineReader
from yaoki.site.strict_yaml import parse

pytestmark = pytest.mark.req("B-26")

SAMPLES = sorted(Path("/usr/share/doc/keepalived/samples").glob("keepalived.conf.*"))

BYTES = st.integers(0, 255)
ADDRESS = st.one_of(
    st.builds("192.0.2.{}".format, BYTES),
    st.builds("10.{}.0.{}".format, st.integers(0, 2), BYTES),
    st.builds("2001:db8:{:x}::{:x}".format, st.integers(0, 2), BYTES),
    st.builds("fe80::{:x}".format, BYTES),
    st.sampled_from(["0.0.0.0", "127.0.0.1", "224.0.0.18", "::1", "::", "255.255.255.255", "192.0.2.1-9", "here", "{"]),
)
LENGTH = st.sampled_from(["", "/24", "/25", "/30", "/32", "/64", "/128", "/0", "/99"])
VIRTUAL = st.builds("{}{} {}".format, ADDRESS, LENGTH, st.sampled_from(["", "dev eth1", "label eth0:1", "dev"]))
WORD = st.sampled_from(["", "0", "1", "2", "3", "50", "100", "254", "255", "256", "0.1", "-4", "MASTER", "on", "'a b'"])
INSTANCE_LINE = st.builds(
    "{} {}".format,
    st.sampled_from(
        ["priority", "advert_int", "version", "state", "nopreempt", "preempt_delay", "mcast_src_ip 192.0.2.7", "accept",
         "no_accept", "use_vmac", "native_ipv6", "notify", "notify_master", "notify_stop", "garp_master_delay",
         "track_interface {\neth1 weight 3\n}", "track_script {\nchk weight -3\n}", "dont_track_primary", "wrong",
         "authentication {\nauth_type PASS\nauth_pass hush\n}", "unicast_peer {\n192.0.2.7\n}"]
    ),
    WORD,
)  # fmt: skip
SERVER_LINE = st.builds(
    "{} {}".format,
    st.sampled_from(
        ["weight", "lb_kind DR", "lvs_method NAT", "lvs_method TUN", "inhibit_on_failure", "retry",
         "TCP_CHECK {\nconnect_port 80\n}",
         "HTTP_GET {\nurl {\npath /\nstatus_code 200-299\n}\nconnect_timeout 3\n}", "PING_CHECK {\n}",
         "UDP_CHECK {\nrequire_reply 0a\n}", "MISC_CHECK {\nmisc_path '/x y'\n}", "DNS_CHECK {\n}", "delay_loop"]
    ),
    WORD,
)  # fmt: skip


@st.composite
def instances(draw: st.DrawFn) -> str:
    lines = [
        f"interface {draw(st.sampled_from(['eth0', 'eth1', 'eth0.9']))}",
        f"virtual_router_id {draw(st.integers(1, 3))}",
        *draw(st.lists(INSTANCE_LINE, max_size=4)),
        "virtual_ipaddress {",
        *draw(st.lists(VIRTUAL, min_size=1, max_size=4)),
        "}",
        *(["virtual_ipaddress_excluded {", draw(VIRTUAL), "}"] if draw(st.booleans()) else []),
    ]
    return "\n".join([f"vrrp_instance {draw(st.sampled_from(['a', 'b', 'VI_1', 'Ä', '-']))} {{", *lines, "}"])


@st.composite
def servers(draw: st.DrawFn) -> str:
    real = [
        "\n".join([f"real_server {draw(ADDRESS)} {draw(WORD)} {{", *draw(st.lists(SERVER_LINE, max_size=3)), "}"])
        for _ in range(draw(st.integers(0, 3)))
    ]
    options = draw(st.lists(st.sampled_from(
        ["lb_algo rr", "lb_algo wlc", "lb_kind DR", "lb_kind TUN", "protocol UDP", "persistence_timeout", "quorum 2",
         "lb_kind TUN type gue port 6080",
         "persistence_granularity 255.255.0.0", "persistence_granularity 64", "delay_loop 9"]
    ), max_size=4))  # fmt: skip
    return "\n".join(
        [f"virtual_server {draw(ADDRESS)} {draw(st.sampled_from(['80', '443', '']))} {{", *options, *real, "}"]
    )


CONFIGURATION = st.lists(
    st.one_of(
        instances(),
        instances(),
        servers(),
        st.sampled_from(
            ["global_defs {\nrouter_id x\nvrrp_version 3\n}", "vrrp_script chk {\nscript 'x | y'\ninterval 2\n}",
             "vrrp_sync_group g {\ngroup {\na\nb\n}\nnotify_backup /x\n}", "static_routes {\n}", "$X=1", "@a $X=2"]
        ),
    ),
    max_size=5,
).map("\n".join)  # fmt: skip


def check_of(made: Import, files: dict[str, str], folder: Path) -> None:
    assert [p.what for p in examined(made, folder).problems if p.fatal] == []
    expected: Counter[tuple[str, int, str]] = Counter()
    for node, text in files.items():
        problems: list[Problem] = []
        lines = LineReader(Shelf({node: text}), problems, config_id=node).read(node)
        expected += Counter((s.where.file, s.where.line, str(s)) for s in every(read_blocks(lines, problems)))
    found = Counter((r.where.file, r.where.line, r.statement) for r in made.remarks)
    assert not expected - found, "a statement without a remark"


EXCLUDED = "virtual_ipaddress_excluded {\n192.0.2.7\n}"
PEER_AT_A_VIP = """vrrp_instance a {{
interface eth0
virtual_router_id 1
virtual_ipaddress {{
192.0.2.0
}}
}}
vrrp_instance a {{
interface eth0
virtual_router_id 2
virtual_ipaddress {{
192.0.2.0
}}
{more}
}}"""
"""What one calls its peer is a VIP to the other."""


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(texts=[PEER_AT_A_VIP.format(more="unicast_peer {\n192.0.2.7\n}"), PEER_AT_A_VIP.format(more=EXCLUDED)])
@given(texts=st.lists(CONFIGURATION, min_size=1, max_size=3))
def test_any_files_make_a_site_that_a_node_would_run(texts: list[str], tmp_path: Path) -> None:
    files = dict(zip("abc", texts, strict=False))
    try:
        made = import_keepalived([Original(node, node) for node in files], Shelf(files))
    except SiteError as error:
        elsewhere = [problem for problem in error.problems if problem.where.file not in files]
    else:
        check_of(made, files, tmp_path)
        return
    assert elsewhere == []


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.sampled_from("{}#!'\"\\$@~=ab1 \n"), max_size=60))
def test_any_text_is_read_to_its_end(text: str) -> None:
    with pytest.raises(SiteError):
        import_keepalived([Original("a", "a")], Shelf({"a": text}))


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=20), command=st.text(max_size=20))
def test_any_name_and_command_is_written_as_strict_yaml(name: str, command: str) -> None:
    quoted = command.replace("\\", "\\\\").replace('"', '\\"')
    assume("$" not in quoted)
    assume(len(quoted.splitlines()) <= 1)
    text = f'''vrrp_instance x{{
        interface "{quoted}"
        virtual_router_id 1
        notify_master "{quoted}"
        virtual_ipaddress {{
            192.0.2.1
        }}
    }}'''
    try:
        made = import_keepalived([Original("a", name)], Shelf({"a": text}))
    except SiteError:
        return
    problems: list[Problem] = []
    assert parse(made.text.encode(), "site.yaml", problems) is not None
    assert problems == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.suffixes[-1])
def test_every_sample_of_keepalived_makes_a_site_or_says_why_not(sample: Path, tmp_path: Path) -> None:
    if "virtual_router_id" not in sample.read_text():
        with pytest.raises(SiteError, match="vrrp_instance"):
            import_keepalived([Original(str(sample), "high")], Disk())
        return
    made = import_keepalived([Original(str(sample), "high")], Disk())
    check_of(made, {}, tmp_path)
    assert len(made.remarks) > 3
