"""Tables that ipvsadm -S prints, as a site and a report."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.site.foreign.shelf import Shelf, examined, said_of, site_of
from yaoki.core.address import IPAddress, parse_address
from yaoki.core.error import SiteError
from yaoki.core.event import Severity
from yaoki.lb.service import Encapsulation, Forward, Protocol, Scheduler, Tunnel
from yaoki.site.foreign.ipvsadm import Directory, import_ipvsadm
from yaoki.site.foreign.keepalived import Import, Original, Outcome
from yaoki.site.foreign.keepalived.methods import ENDS, GUE, NO_GRE, NO_PORT, OTHER_FAMILY
from yaoki.site.model import Persistence, VipMember

pytestmark = pytest.mark.req("Z-08", "D-31")

TABLE = """\
-A -t 192.0.2.50:80 -s wrr -p 360 -M 255.255.255.0
-a -t 192.0.2.50:80 -r 192.0.2.21:80 -g -w 1
-a -t 192.0.2.50:80 -r 192.0.2.22:80 -g -w 2
-A -u 192.0.2.50:53 -s rr -o
-a -u 192.0.2.50:53 -r 192.0.2.31:5353 -m -w 1
-A -t [2001:db8:1::50]:80 -s wlc
-a -t [2001:db8:1::50]:80 -r [2001:db8:1::21]:80 -g -w 1 -x 100
-A -f 7 -s rr
-a -f 7 -r 192.0.2.21:0 -i -w 1
"""


class Table:
    """Names as /etc/hosts and /etc/services would have them."""

    def address(self, name: str) -> IPAddress | None:
        return {"www.example.com": parse_address("192.0.2.50"), "web1": parse_address("192.0.2.21")}.get(name)

    def port(self, name: str, protocol: Protocol) -> int | None:
        return {"http": 80}.get(name) if protocol is Protocol.TCP else None


def imported(directory: Directory | None = None, **texts: str) -> Import:
    originals = [Original(f"{node}.rules", node) for node in texts]
    shelf = Shelf({f"{node}.rules": text for node, text in texts.items()})
    return import_ipvsadm(originals, shelf, directory=directory)


def test_the_tables_of_two_balancers_are_one_site(tmp_path: Path) -> None:
    made = imported(lb1=TABLE, lb2=TABLE)
    site = site_of(made, tmp_path)
    assert [(vip.name, vip.vrid, vip.members) for vip in site.vips] == [
        ("vip-192-0-2-50", 1, (VipMember("lb1", 150), VipMember("lb2", 149))),
        ("vip-2001-db8-1-50", 2, (VipMember("lb1", 150), VipMember("lb2", 149))),
    ]
    web, dns, six = site.services
    assert (web.protocol, web.port, web.forward, web.scheduler) == (
        Protocol.TCP, 80, Forward.DIRECT, Scheduler.WEIGHTED_ROUND_ROBIN,
    )  # fmt: skip
    assert web.persistence == Persistence(ipv4_mask=24, timeout=timedelta(minutes=6))
    assert [server.weight for server in web.servers] == [1000, 2000]
    assert (dns.forward, dns.servers[0].port, dns.persistence) == (Forward.NAT, 5353, None)
    assert site.vip(six.vip).name == "vip-2001-db8-1-50"
    assert (six.scheduler, six.servers[0].connection_limit) == (Scheduler.WEIGHTED_LEAST_CONNECTION, 100)


def test_every_option_has_its_remark() -> None:
    made = imported(lb1=TABLE)
    words = sum(word.startswith("-") for line in TABLE.splitlines() for word in line.split())
    assert sum(made.count(outcome) for outcome in Outcome if outcome is not Outcome.GAP) == words
    assert said_of(made, "-s wlc") == [(Outcome.TAKEN, "scheduler")]
    assert said_of(made, "-x 100") == [(Outcome.TAKEN, "connection-limit")]
    assert said_of(made, "-o") == [(Outcome.NOT_TAKEN, "a flow of datagrams keeps its server")]
    assert said_of(made, "-A -f 7") == [(Outcome.NOT_TAKEN, "packets are told by address and port, not by marks")]
    assert said_of(made, "-a -f 7") == [(Outcome.NOT_TAKEN, "its service is not taken")]
    assert said_of(made, "vip-192-0-2-50")[-1] == (
        Outcome.GAP, "no file says how its owner is elected; vrid and priorities are made up",
    )  # fmt: skip
    assert made.text.count("# GAP: no file says how its owner is elected") == 2


def test_the_scheduler_that_gives_all_to_the_greatest_weight_becomes_priorities(tmp_path: Path) -> None:
    for first, priorities in (("200", (200, 1)), ("5000", (254, 253))):
        text = f"""-A -t 192.0.2.50:80 -s fo
-a -t 192.0.2.50:80 -r 192.0.2.21:80 -g -w {first}
-a -t 192.0.2.50:80 -r 192.0.2.22:80 -g -w 1
"""
        made = imported(lb1=text)
        (service,) = site_of(made, tmp_path).services
        assert tuple(server.priority for server in service.servers) == priorities
        assert [server.weight for server in service.servers] == [1000, 1000]
        assert said_of(made, "-s fo") == [(Outcome.TAKEN, "priority, at its servers")]


@pytest.mark.parametrize(
    ("words", "scheduler", "outcome"),
    [
        ("-s mh -b mh-port", Scheduler.MAGLEV, Outcome.TAKEN),
        ("-s sh -b sh-fallback,sh-port", Scheduler.MAGLEV, Outcome.TAKEN),
        ("-s mh", Scheduler.SOURCE_HASH, Outcome.CHANGED),
        ("-s mh -b sh-port", Scheduler.SOURCE_HASH, Outcome.CHANGED),
        ("-s sh", Scheduler.SOURCE_HASH, Outcome.TAKEN),
    ],
)
def test_a_hash_of_address_and_port_is_maglev(
    words: str, scheduler: Scheduler, outcome: Outcome, tmp_path: Path
) -> None:
    made = imported(lb1=f"-A -t 192.0.2.50:80 {words}\n-a -t 192.0.2.50:80 -r 192.0.2.21:80 -g -w 1\n")
    (service,) = site_of(made, tmp_path).services
    assert service.scheduler is scheduler
    assert [said[0] for said in said_of(made, " ".join(words.split()[:2]))] == [outcome]


def test_names_are_looked_up_or_refused_with_the_cure(tmp_path: Path) -> None:
    text = "-A -t www.example.com:http -s rr\n-a -t www.example.com:http -r web1:http -g -w 1\n"
    (service,) = site_of(imported(Table(), lb1=text), tmp_path).services
    assert (service.port, service.servers[0].host) == (80, "server-192-0-2-21")
    with pytest.raises(SiteError, match="and no name that is known here"):
        imported(lb1=text)
    other = text + "-A -t gone:http -s rr\n-A -t www.example.com:smtp -s rr\n"
    made = imported(Table(), lb1=other)
    assert said_of(made, "-A -t gone")[0][1] == '"gone" is no address, and no name that is known here: save it with -n'
    assert said_of(made, "-A -t www.example.com:smtp")[0][1].startswith('"smtp" is no port')


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-a -t 192.0.2.50:80 -r [2001:db8:1::23]:80 -i -w 1", OTHER_FAMILY),
        ("-a -t 192.0.2.50:80 -r 203.0.113.23:80 -i -w 1 --tun-type gre", NO_GRE),
        ("-a -t 192.0.2.50:80 -r 203.0.113.23:80 -i -w 1 --tun-type gue", NO_PORT),
        ("-a -t 192.0.2.50:80 -r 203.0.113.23:80 -i -w 1 --tun-type vxlan", "vxlan is no kind of tunnel"),
        ("-a -t 192.0.2.50:80 -r 192.0.2.23:80 -g -w 70000", "its weight is no whole number 0..65535"),
        ("-a -t 192.0.2.51:80 -r 192.0.2.23:80 -g -w 1", "its service is not taken"),
        ("-A -t 192.0.2.50:80 -s rr", "there is such a service already"),
        ("-A -t 192.0.2.51:0 -s rr -p 360", "a service listens on one port"),
        ("-A --sctp-service 192.0.2.51:80 -s rr", "SCTP is not balanced"),
        ("-A -s rr", "it names no service"),
        ("-A -t 0.0.0.0:80 -s rr", "no host can have 0.0.0.0"),
    ],
)
def test_what_cannot_be_taken_says_why(line: str, why: str, tmp_path: Path) -> None:
    made = imported(lb1=TABLE + line + "\n")
    assert next(one.text for one in made.remarks if one.where.line == 10) == why
    site_of(made, tmp_path)


TUNNELS = """\
-A -t 192.0.2.50:80 -s wrr
-a -t 192.0.2.50:80 -r 203.0.113.21:80 -i -w 1
-a -t 192.0.2.50:80 -r 192.0.2.22:8080 -i -w 2 --tun-type ipip
-a -t 192.0.2.50:80 -r 192.0.2.23:80 -g -w 2
-A -u 192.0.2.50:53 -s rr
-a -u 192.0.2.50:53 -r 203.0.113.31:53 -i -w 1 --tun-type gue --tun-port 5555 --tun-nocsum
-a -u 192.0.2.50:53 -r 203.0.113.32:53 -i -w 1 --tun-type gue --tun-port 5556 --tun-csum
"""


@pytest.mark.req("D-05")
def test_servers_behind_tunnels_are_so_here_wherever_they_are(tmp_path: Path) -> None:
    made = imported(lb1=TUNNELS)
    web, dns = site_of(made, tmp_path).services
    assert (web.forward, web.tunnel) == (Forward.TUNNEL, Tunnel())
    assert [(server.host, server.port, server.forward) for server in web.servers] == [
        ("server-203-0-113-21", None, None),
        ("server-192-0-2-22", None, None),
        ("server-192-0-2-23", None, Forward.DIRECT),
    ]
    assert (dns.forward, dns.tunnel) == (Forward.TUNNEL, Tunnel(Encapsulation.GUE, 5555))
    assert [server.host for server in dns.servers] == ["server-203-0-113-31"]
    assert said_of(made, "--tun-type gue")[0] == (Outcome.CHANGED, GUE)
    assert said_of(made, "-a -t 192.0.2.50:80 -r 192.0.2.22:8080")[0] == (
        Outcome.CHANGED, "a server; direct return leaves the port as it is",
    )  # fmt: skip
    assert said_of(made, "-a -u 192.0.2.50:53 -r 203.0.113.32:53")[0] == (
        Outcome.NOT_TAKEN, "its packets go inside gue port 5556, and those of the service inside gue port 5555",
    )  # fmt: skip


@pytest.mark.req("D-05")
def test_what_is_left_to_do_for_tunnels_is_said(tmp_path: Path) -> None:
    made = imported(lb1=TUNNELS)
    site_of(made, tmp_path)
    for name in ("vip-192-0-2-50-tcp-80", "vip-192-0-2-50-udp-53"):
        assert said_of(made, name) == [(Outcome.GAP, ENDS.format(service=name))]
    assert made.text.count("yaoki realserver setup") == 2


def test_long_options_are_read_and_other_files_refused() -> None:
    text = TABLE.replace("-A", "--add-service").replace("-g", "--gatewaying").replace("-w", "--weight")
    assert imported(lb1=text).text == imported(lb1=TABLE).text
    for other in ("global_defs {\n}\n", "IP Virtual Server version 1.2.1\n"):
        with pytest.raises(SiteError) as caught:
            imported(lb1=other)
        (problem,) = caught.value.problems
        assert (problem.where.line, problem.cure) == (1, "save it: ipvsadm -S -n > FILE")
    with pytest.raises(SiteError, match="cannot read"):
        import_ipvsadm([Original("gone")], Shelf({}))


PLACES = st.one_of(
    st.builds("192.0.2.{}:{}".format, st.integers(0, 255), st.integers(0, 3)),
    st.builds("10.0.{}.9:{}".format, st.integers(0, 2), st.integers(0, 70000)),
    st.builds("[2001:db8:{:x}::{:x}]:{}".format, st.integers(0, 2), st.integers(0, 9), st.integers(0, 3)),
    st.builds("[fe80::{:x}]:80".format, st.integers(0, 9)),
    st.sampled_from(
        ["0.0.0.0:1", "127.0.0.1:1", "224.0.0.9:80", "[::]:1", "[::1]:1", "x:http", ":", "", "]:", "192.0.2.1"]
    ),
)
OPTION = st.sampled_from(
    ["-s rr", "-s wlc", "-s lc", "-s twos", "-s sh", "-s", "-p", "-p 360", "-p 0", "-M 255.255.0.0", "-M 64",
     "-M x", "-o", "-b sh-port", "-g", "-m", "-i", "-w 0", "-w 1", "-w -1", "-x 1", "-x 0", "-y 1", "--pe sip",
     "--tun-type gue", "--tun-type gue --tun-port 6080", "--tun-port 53", "--tun-csum", "-6", "--odd", "odd"]
)  # fmt: skip
LINE = st.builds(
    lambda verb, kind, place, server, options: " ".join(
        [verb, kind, place, *(["-r", server] if verb == "-a" else []), *options]
    ),
    st.sampled_from(["-A", "-a", "-a"]),
    st.sampled_from(["-t", "-t", "-u", "-f"]),
    st.one_of(st.sampled_from(["192.0.2.50:1", "[2001:db8:1::50]:1"]), PLACES),
    PLACES,
    st.lists(OPTION, max_size=4),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(tables=([], ["-A -t 0.0.0.0:1"]))
@example(tables=([], ["-A -t [2001:db8:1::50]:1", "-a -t [2001:db8:1::50]:1 -r [2001:db8::]:0"]))
@given(tables=st.tuples(st.lists(LINE, max_size=12), st.lists(LINE, max_size=12)))
def test_whatever_the_tables_say_a_node_would_run_the_site(tables: tuple[list[str], list[str]], tmp_path: Path) -> None:
    one, other = tables
    made = attempted("\n".join(one), "\n".join(other))
    if isinstance(made, SiteError):
        assert {problem.rule for problem in made.problems} <= {"ipvsadm-empty", "keepalived-room"}
        return
    found = examined(made, tmp_path)
    assert [problem.what for problem in found.problems if problem.severity is Severity.ERROR] == []
    for file, lines in (("lb1.rules", one), ("lb2.rules", other)):
        for number, line in enumerate(lines, start=1):
            about = [remark for remark in made.remarks if (remark.where.file, remark.where.line) == (file, number)]
            whole = " ".join(line.split())
            assert len([remark for remark in about if remark.statement == whole]) == 1


def test_a_table_of_which_nothing_can_be_taken_says_why() -> None:
    refused = attempted("-A -f 1\n-A -t 192.0.2.1:²", "")
    assert isinstance(refused, SiteError)
    assert [f"{each.where.file}:{each.where.line}: {each.what}" for each in refused.problems] == [
        "lb1.rules:1: -A -f 1 is not taken: packets are told by address and port, not by marks",
        'lb1.rules:2: -A -t 192.0.2.1:² is not taken: "²" is no port, and no name that is known here: save it with -n',
    ]


def attempted(one: str, other: str) -> Import | SiteError:
    try:
        return imported(lb1=one, lb2=other)
    except SiteError as error:
        return error
