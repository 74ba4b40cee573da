"""`yaoki service add` and `add-server`: what is written into a site file, and what is refused."""

import fcntl
import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from yaoki.cli import main
from yaoki.site.load import load_site
from yaoki.site.model import Service

pytestmark = pytest.mark.req("D-15")

EXAMPLES = Path(__file__).parents[2] / "examples"
LESSON = EXAMPLES / "dsr-lesson" / "nat.yaml"
PAIR = EXAMPLES / "web-pair" / "site.yaml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the pair's site file."""
    copy = tmp_path / "site.yaml"
    copy.write_text(PAIR.read_text())
    return copy


def add(file: Path, *words: str) -> int:
    return main(["service", *words, "--site", str(file)])


def services(file: Path) -> dict[str, Service]:
    return {service.name: service for service in load_site(file).site.services}


def test_the_lesson_begins_without_a_service_and_makes_it_step_by_step(tmp_path: Path) -> None:
    """Create the virtual service with its first server, then add the other: as the lesson's hands did, on its site."""
    file = tmp_path / "site.yaml"
    before, _, _ = LESSON.read_text().partition("services:\n")
    file.write_text(before)
    words = "--vip web-vip --listen tcp/80 --scheduler rr --persistence none --check page --server web1,forward=fullnat"
    assert add(file, "add", "web", *words.split()) == 0
    assert add(file, "add-server", "web", "web2", "--forward", "fullnat") == 0
    assert load_site(file).site == load_site(LESSON).site
    assert file.read_text().startswith(before.rstrip("\n"))


def test_a_service_with_all_kinds_of_values(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, old = file.read_text(), load_site(file).site
    words = "--vip web-vip --listen tcp/8088 --forward fullnat --check page --check port --when-all-down last-known"
    servers = ["--server", "web1,weight=500,connection-limit=9", "--server", "web2"]
    blocks = ["--persistence", "{source: {timeout: 1h}}", "--slo", "{outage: 1s}"]
    assert add(file, "add", "shop", *words.split(), *servers, *blocks) == 0
    added = """\
  shop:
    vip: web-vip
    listen: tcp/8088
    forward: fullnat
    persistence: {source: {timeout: 1h}}
    check: [page, port]
    servers: {web1: {weight: 500, connection-limit: 9}, web2: {}}
    when-all-down: last-known
    slo: {outage: 1s}
"""
    assert file.read_text() == before + added
    new = load_site(file).site
    assert replace(new, services=new.services[:-1]) == old
    said = capsys.readouterr()
    assert [line[1:] for line in said.out.splitlines() if line.startswith("+ ")] == added.splitlines()
    assert f"what it costs: yaoki plan {file}; on each node that has the file: yaoki apply" in said.err


def test_a_server_on_a_host_that_the_site_does_not_have_brings_it_along(file: Path) -> None:
    words = ["--address", "192.0.2.23", "--address", "2001:db8:1::23", "--interface", "ens3", "--os", "debian"]
    assert add(file, "add-server", "web", "web3", "--weight", "500", *words) == 0
    site = load_site(file).site
    assert [server.host for server in site.service("web").servers] == ["web1", "web2", "web3"]
    (interface,) = site.machine("web3").interfaces
    assert (interface.name, interface.network) == ("ens3", "front")
    assert [str(address) for address in interface.addresses] == ["192.0.2.23/24", "2001:db8:1::23/64"]
    text = file.read_text()
    plugged = 'interfaces: {ens3: {network: front, addresses: [192.0.2.23, "2001:db8:1::23"]}}'
    assert f"  web3: {{{plugged}, os: debian}}\n" in text
    assert "    servers: {web1: {weight: 1000}, web2: {weight: 1000}, web3: {weight: 500}}\n" in text


def test_included_files_are_written_where_their_section_is(tmp_path: Path) -> None:
    head, _, tail = PAIR.read_text().partition("services: ")
    main_file, part = tmp_path / "site.yaml", tmp_path / "parts" / "services.yaml"
    part.parent.mkdir()
    main_file.write_text(head.replace("site: tokyo", "site: tokyo\ninclude: [parts/*.yaml]"))
    part.write_text("services: " + tail)
    before = main_file.read_text()
    assert add(main_file, "add-server", "echo", "app1", "--dry-run") == 0
    assert part.read_text() == "services: " + tail
    assert add(main_file, "add-server", "echo", "app1") == 0
    assert main_file.read_text() == before
    assert part.read_text() == "services: " + tail.replace("{web1: {}, web2: {}}", "{web1: {}, web2: {}, app1: {}}")
    assert (part.parent / ".services.yaml.before").read_text() == "services: " + tail
    assert len(load_site(main_file).site.service("echo").servers) == 3


def test_what_a_node_would_refuse_is_not_written(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file.read_bytes()
    words = ["--vip", "web-vip", "--listen", "tcp/80", "--server", "web1"]
    assert add(file, "add", "again", *words) == 1
    said = capsys.readouterr()
    last = len(before.splitlines())
    assert f"{file}:{last + 3}:" in said.err
    assert "port 80" in said.err or "tcp/80" in said.err
    assert "cure: " in said.err
    assert "nothing was written" in said.err
    assert said.out == ""
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_warnings_that_it_brings_are_told_and_no_others(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--vip", "web-vip", "--listen", "tcp/9000", "--forward", "fullnat", "--server", "web1"]
    file.write_text(file.read_text().replace("acknowledge: [nat-on-link-clients]", "acknowledge: []"))
    assert main(["-j", "service", "add", "bare", *words, "--site", str(file), "--dry-run"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["refused"] is False
    assert [problem["what"] for problem in told["problems"]] == [
        "bare has one server: when web1 fails, nothing serves it"
    ]
    assert "+  bare:" in told["diff"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "web", "--vip", "web-vip"], "a service needs --listen, --server"),
        (["add", "web", "--vip", "v", "--listen", "tcp/1", "--server", "web1"], "there is a service web already ("),
        (["add", "x", "web1", "--vip", "v"], "the servers of a new service are given by --server: --server web1"),
        (["add", "x", "--vip", "v", "--listen", "tcp/1", "--server", "web7"], 'no host "web7"; did you mean "web'),
        (["add", "x", "--vip", "v", "--listen", "tcp/1", "--server", "web1,wieght=3"], 'did you mean "weight"?'),
        (["add", "x", "--vip", "v", "--listen", "tcp/1", "--server", "web1,port"], '"port" is no KEY=VALUE'),
        (["add", "x", "--vip", "v", "--vip", "v", "--listen", "tcp/1", "--server", "web1"], "--vip is given twice"),
        (
            ["add", "x", "--vip", "v", "--listen", "tcp/1", "--server", "web1", "--server", "web1"],
            "web1 is given twice",
        ),
        (
            ["add", "x", "--vip", "v", "--listen", "tcp/1", "--weight", "3", "--server", "a"],
            "--weight does not go with",
        ),
        (["add", "x", "--vip", "a: {b", "--listen", "tcp/1", "--server", "web1"], "--vip: not YAML: "),
        (["add", "x", "--vip", "v", "--listen", "yes", "--server", "web1"], "--listen: other YAML readers take yes"),
        (["add-server", "web"], "which host? yaoki service add-server web HOST"),
        (["add-server", "wbe", "web1"], 'there is no service "wbe"; did you mean "web"?'),
        (["add-server", "web", "web1"], "web1 is a server of web already ("),
        (["add-server", "web", "app1", "--address", "192.0.2.31"], "there is a host app1 already ("),
        (["add-server", "web", "new", "--address", "203.0.113.1"], "203.0.113.1 is in no network of the site"),
        (["add-server", "web", "new", "--address", "192.0.2"], '"192.0.2" is no address'),
        (["add-server", "web", "new", "--address", "192.0.2.7", "--address", "198.51.100.7"], "in several networks"),
        (["add-server", "web", "app1", "--interface", "eth1"], "give its address, too"),
        (["disable", "web", "--dry-run"], "--dry-run goes with the actions add and add-server"),
        (["enable", "web", "web1"], "web1 goes with the actions add and add-server"),
    ],
)
def test_what_cannot_be_added_is_refused_with_what_to_say(
    words: list[str], said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    assert add(file, *words) == 2
    assert said in capsys.readouterr().err
    assert file.read_bytes() == before


def test_a_value_cannot_bring_keys_of_its_own(file: Path) -> None:
    before = file.read_bytes()
    words = ["--vip", '"web-vip, enabled: false}\\n  evil: {"', "--listen", "tcp/9000", "--server", "web1"]
    assert add(file, "add", "x", *words) == 1
    assert add(file, "add-server", "web", "app1: {}, app2") == 2
    assert file.read_bytes() == before


def test_mode_and_links_of_the_file_stay(tmp_path: Path, file: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "current"
    link.symlink_to(file)
    assert add(link, "add-server", "web", "app1") == 0
    assert link.is_symlink()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert (tmp_path / ".site.yaml.before").read_text() == PAIR.read_text()


def test_the_mode_is_that_of_the_file_whoever_writes_it(file: Path) -> None:
    file.chmod(0o664)
    former = os.umask(0o077)
    try:
        assert add(file, "add-server", "web", "app1") == 0
    finally:
        os.umask(former)
    assert stat.S_IMODE(file.stat().st_mode) == 0o664


def test_of_two_who_write_at_once_the_second_looks_again(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    second = Thread(target=add, args=(file, "add-server", "web", "app1"))
    second.start()
    second.join(3)
    assert second.is_alive(), "it waits for who writes"
    assert file.read_text() == PAIR.read_text()
    others = PAIR.read_text() + "# another was here\n"
    file.write_text(others)
    os.close(directory)
    second.join(20)
    assert file.read_text() == others
    assert "has been changed meanwhile; say it again" in capsys.readouterr().err


def test_the_host_may_stand_behind_options(file: Path) -> None:
    words = ["service", "add-server", "--weight", "500", "web", "--site", str(file), "app1"]
    assert main(words) == 0
    assert services(file)["web"].servers[-1].weight == 500


def test_a_file_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.yaml"
    assert add(missing, "add-server", "web", "web1") == 1
    assert f"cannot read {missing}" in capsys.readouterr().err
