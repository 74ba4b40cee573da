"""The steps for each operating system, line by line."""

from ipaddress import ip_address, ip_interface

import pytest

from tests.lb.realserver.tasks import BOTH, OWN, task
from yaoki.core.error import UsageError
from yaoki.lb.realserver import PROCEDURES, OperatingSystem, Procedure, Shell, Step, changes, refusals
from yaoki.lb.realserver.places import THERE, PlaceKind
from yaoki.lb.service import Encapsulation, Tunnel

EVERY = pytest.mark.parametrize("os", list(OperatingSystem))
QUIET = ("net/ipv4/conf/all/arp_ignore", "1"), ("net/ipv4/conf/all/arp_announce", "2")


def procedure(os: OperatingSystem, **more: object) -> Procedure:
    wanted = task(os, **more)
    return PROCEDURES[os](wanted)


def lines(steps: tuple[Step, ...]) -> list[str]:
    return [line for step in steps if step.shell is not Shell.HAND for line in step.lines]


def values(os: OperatingSystem, **more: object) -> list[tuple[str, str]]:
    return [(change.place.name, change.value) for change in changes(task(os, **more))]


@pytest.mark.req("D-19", "D-21")
def test_linux_goes_quiet_before_it_has_the_address() -> None:
    assert values(OperatingSystem.LINUX) == [*QUIET, ("192.0.2.50/32", THERE), ("2001:db8:1::50/128", THERE)]
    assert lines(procedure(OperatingSystem.LINUX).setup)[2:] == [
        "install -d -m 0700 /var/lib/yaoki",
        "test -e /var/lib/yaoki/realserver.before || sysctl net.ipv4.conf.all.arp_ignore "
        "net.ipv4.conf.all.arp_announce > /var/lib/yaoki/realserver.before",
        "sysctl -w net.ipv4.conf.all.arp_ignore=1",
        "sysctl -w net.ipv4.conf.all.arp_announce=2",
        "ip address replace 192.0.2.50/32 dev lo",
        "ip -6 address replace 2001:db8:1::50/128 dev lo nodad preferred_lft 0",
    ]
    assert lines(procedure(OperatingSystem.LINUX).undo) == [
        "ip address del 192.0.2.50/32 dev lo",
        "ip -6 address del 2001:db8:1::50/128 dev lo",
        "sysctl -p /var/lib/yaoki/realserver.before && rm -f /var/lib/yaoki/realserver.before",
    ]


@pytest.mark.req("D-22")
def test_ipv6_alone_needs_no_parameter() -> None:
    assert values(OperatingSystem.LINUX, vips=BOTH[1:]) == [("2001:db8:1::50/128", THERE)]
    assert lines(procedure(OperatingSystem.LINUX, vips=BOTH[1:]).undo) == [
        "ip -6 address del 2001:db8:1::50/128 dev lo"
    ]


@pytest.mark.req("D-03")
def test_debian_and_rhel_have_it_back_after_a_restart() -> None:
    (_, quiet), (path, text) = values(OperatingSystem.DEBIAN)[-2:]
    assert quiet.endswith("net.ipv4.conf.all.arp_ignore = 1\nnet.ipv4.conf.all.arp_announce = 2\n")
    assert path == "/etc/network/interfaces.d/yaoki-web"
    assert text.splitlines()[1:] == [
        "iface lo inet manual",
        "    up ip address replace 192.0.2.50/32 dev lo",
        "    up ip -6 address replace 2001:db8:1::50/128 dev lo nodad preferred_lft 0",
        "    down ip address del 192.0.2.50/32 dev lo || true",
        "    down ip -6 address del 2001:db8:1::50/128 dev lo || true",
    ]
    (unit, said), (link, target) = values(OperatingSystem.RHEL)[-2:]
    assert unit == target == "/etc/systemd/system/yaoki-realserver-web.service"
    assert link == "/etc/systemd/system/multi-user.target.wants/yaoki-realserver-web.service"
    assert "ExecStart=/usr/sbin/ip address replace 192.0.2.50/32 dev lo\n" in said
    assert "ExecStop=-/usr/sbin/ip -6 address del 2001:db8:1::50/128 dev lo\n" in said


@pytest.mark.req("D-20")
def test_freebsd_has_an_alias_of_lo0_and_nothing_goes_down() -> None:
    made = procedure(OperatingSystem.FREEBSD)
    assert lines(made.setup)[1:] == [
        "ifconfig lo0 inet 192.0.2.50/32 alias",
        "ifconfig lo0 inet6 2001:db8:1::50/128 alias",
        "mkdir -p /etc/rc.conf.d/netif",
        "cat > /etc/rc.conf.d/netif/yaoki-web <<'END'",
        'ifconfig_lo0_aliases="${ifconfig_lo0_aliases} inet 192.0.2.50/32 inet6 2001:db8:1::50/128"',
        "END",
    ]
    assert lines(made.undo) == [
        "rm -f /etc/rc.conf.d/netif/yaoki-web",
        "ifconfig lo0 inet 192.0.2.50 -alias",
        "ifconfig lo0 inet6 2001:db8:1::50 -alias",
    ]


@pytest.mark.req("D-17")
def test_windows_2003_has_the_mask_of_the_network_and_the_metric_for_routing() -> None:
    made = procedure(OperatingSystem.WINDOWS_2003)
    assert lines(made.setup) == [
        'netsh interface ip set address name="ローカル エリア接続 2" source=static addr=192.0.2.50 mask=255.255.255.0',
        'netsh interface ip set dns name="ローカル エリア接続 2" source=static addr=none register=none',
    ]
    metric = next(step.what for step in made.setup if "metric" in step.what)
    assert "write 254" in metric
    assert metric.endswith("It has nothing to do with ARP.")
    assert any(note.startswith("2001:db8:1::50 cannot be served by direct return here") for note in made.notes)
    with pytest.raises(UsageError, match="has IPv6 addresses only"):
        procedure(OperatingSystem.WINDOWS_2003, vips=BOTH[1:])


@pytest.mark.req("D-18")
def test_windows_2008_has_the_three_commands_of_the_lesson_for_both_families() -> None:
    weak = [line for line in lines(procedure(OperatingSystem.WINDOWS_2008).setup) if "weakhost" in line]
    assert weak[:3] == [
        'netsh interface ipv4 set interface "ローカル エリア接続" weakhostreceive=enabled',
        'netsh interface ipv4 set interface "ローカル エリア接続 2" weakhostreceive=enabled',
        'netsh interface ipv4 set interface "ローカル エリア接続 2" weakhostsend=enabled',
    ]
    assert weak[3:] == [line.replace("ipv4", "ipv6") for line in weak[:3]]
    undone = lines(procedure(OperatingSystem.WINDOWS_2008).undo)
    assert 'netsh interface ipv4 set interface "ローカル エリア接続" weakhostreceive=disabled' in undone


@pytest.mark.req("D-17")
def test_a_quote_in_a_name_ends_no_string_of_powershell() -> None:
    made = procedure(OperatingSystem.WINDOWS, interface="Bob's \u2018net\u2019", loopback="L")
    assert "Get-NetIPInterface -InterfaceAlias 'Bob''s \u2018\u2018net\u2019\u2019' | " in lines(made.setup)[0]
    assert "New-NetIPAddress -InterfaceAlias 'L' -IPAddress '192.0.2.50' -PrefixLength 32 -SkipAsSource $true" in lines(
        made.setup
    )


@EVERY
@pytest.mark.req("D-22", "D-23")
def test_every_system_says_where_to_listen_and_how_to_ask_from_beside(os: OperatingSystem) -> None:
    made = procedure(os)
    assert "must listen on tcp/80 of 192.0.2.50" in made.notes[0]
    assert made.confirm[-1].shell is Shell.HAND
    assert made.confirm[-1].lines == ("arping -c 3 -I eth0 192.0.2.50", "ndisc6 -m 2001:db8:1::50 eth0")
    assert made.undo_shared == ()


@EVERY
def test_what_another_service_needs_outlives_the_undo_of_one(os: OperatingSystem) -> None:
    alone = procedure(os)
    beside = procedure(os, others=("echo",), after=("echo",), kept=tuple(vip.ip for vip in BOTH))
    undone = lines(beside.undo)
    assert not [line for line in undone if "192.0.2.50" in line or "sysctl" in line or "weakhost" in line]
    assert lines(beside.undo_shared)
    together = {*undone, *lines(beside.undo_shared)}
    gone = {line for line in lines(alone.undo) if "Remove-NetIPAddress" not in line and "delete address" not in line}
    # One step of Debian and RHEL is divided between the two.
    assert gone <= together
    if os.is_windows and os is not OperatingSystem.WINDOWS:
        assert [line for line in lines(beside.setup) if " add address name=" in line]


@EVERY
def test_a_line_is_one_line_without_anything_to_fill_in(os: OperatingSystem) -> None:
    made = procedure(os)
    said = [
        *lines(made.setup),
        *lines(made.confirm),
        *lines(made.undo),
        *(line for way in made.ways for line in way.lines),
    ]
    assert said
    for line in said:
        assert line.isprintable()
        assert line.startswith("#") or not {"VIP", "NAME", "ADDRESS"} & set(line.split())


MACHINE = (("lo", ip_interface("127.0.0.1/8")), ("eth0", ip_interface("192.0.2.21/24")))


def refused(*more: tuple[str, str], arp_ignore: str = "0", **fields: object) -> tuple[str, ...]:
    held = (*MACHINE, *((interface, ip_interface(address)) for interface, address in more))
    return refusals(task(OperatingSystem.LINUX, **fields), held, {"eth0": arp_ignore, "lo": "0"})


def test_a_machine_that_would_be_harmed_is_left_alone() -> None:
    assert refused() == ()
    assert refused(("lo", "192.0.2.50/32")) == ()
    assert refused(("eth0", "192.0.2.50/24")) == (
        "192.0.2.50/24 is on eth0, where the server answers for it: take it away first "
        "(ip address del 192.0.2.50/24 dev eth0)",
    )
    assert refused(("lo", "2001:db8:1::50/64")) == (
        "2001:db8:1::50/64 is on lo, which makes the whole prefix local: take it away first "
        "(ip address del 2001:db8:1::50/64 dev lo)",
    )
    assert refused(own=(ip_address("192.0.2.22"),)) == (
        "this machine is not web1: it has no address of it (192.0.2.22)",
    )
    assert OWN[0] == MACHINE[1][1].ip


@pytest.mark.req("D-09")
def test_a_value_under_which_an_interface_answers_all_the_same_is_refused() -> None:
    said = "net/ipv4/conf/eth0/arp_ignore is 3, under which the VIP is answered for: set it to 0 or 1"
    assert refused(arp_ignore="3") == (said,)
    assert refused(arp_ignore="2") == refused(arp_ignore="8") == ()
    assert refused(arp_ignore="3", vips=BOTH[1:]) == ()


# --- tunnels

GUE = Tunnel(Encapsulation.GUE, 7000)
BALANCERS = (ip_address("192.0.2.11"),)


def test_the_end_of_a_tunnel_is_made_after_the_address_it_is_for() -> None:
    """What comes out of it before the VIP is there would be passed on, if the server is a router."""
    made = changes(task(OperatingSystem.LINUX, tunnel=GUE, balancers=BALANCERS))
    assert [(change.place.kind, change.place.name, change.value) for change in made[-6:]] == [
        (PlaceKind.ADDRESS, "192.0.2.50/32", "there"),
        (PlaceKind.ADDRESS, "2001:db8:1::50/128", "there"),
        (PlaceKind.DEVICE, "yk-ipip", "192.0.2.21"),
        (PlaceKind.PORT, "7000 ipv4", "there"),
        (PlaceKind.DEVICE, "yk-ip6ip6", "2001:db8:1::21"),
        (PlaceKind.PORT, "7000 ipv6", "there"),
    ]


def test_ip_in_ip_needs_no_port() -> None:
    kinds = {change.place.kind for change in changes(task(OperatingSystem.LINUX, tunnel=Tunnel()))}
    assert PlaceKind.DEVICE in kinds
    assert PlaceKind.PORT not in kinds


@pytest.mark.parametrize("kept", [False, True])
def test_an_end_that_another_service_needs_goes_with_the_last(kept: bool) -> None:
    others = ("mail",) if kept else ()
    made = procedure(
        OperatingSystem.LINUX,
        tunnel=GUE,
        balancers=BALANCERS,
        others=others,
        tunnel_kept=kept,
        kept=OWN if kept else (),
    )
    first, last = ([line for step in steps for line in step.lines] for steps in (made.undo, made.undo_shared))
    assert ("ip link del yk-ipip" in first, "ip link del yk-ipip" in last) == (not kept, kept)
    assert any("from the balancers only (192.0.2.11)" in note for note in made.notes)
