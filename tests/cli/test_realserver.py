"""`yaoki realserver setup` as a person, a program and a Japanese Windows meet it; what it does is in tests/linux."""

import json
import subprocess
from pathlib import Path

import pytest

from yaoki.cli import main
from yaoki.lb.realserver import OperatingSystem

FOLDER = Path(__file__).parent / "realserver"
SITE = ["--site", str(FOLDER / "site.yaml")]
EVERY = pytest.mark.parametrize("os", list(OperatingSystem))


@EVERY
@pytest.mark.req("D-03", "D-17", "D-18", "D-20")
def test_what_is_printed(os: OperatingSystem, capsys: pytest.CaptureFixture[str]) -> None:
    """The pages of golden text are to be read as an administrator would, when they change."""
    assert main(["realserver", "setup", "web", "win1" if os.is_windows else "web1", "--os", os.value, *SITE]) == 0
    assert capsys.readouterr().out == (FOLDER / f"{os.value}.txt").read_text()


@EVERY
def test_everything_that_is_no_command_is_a_comment(os: OperatingSystem, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["realserver", "setup", "web", "win1" if os.is_windows else "web1", "--os", os.value, *SITE]
    assert main(["-j", *words]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["task"]["os"] == os.value
    steps = [*made["setup"], *made["confirm"], *made["undo"], *made["undo_shared"]]
    commands = {line for step in steps if step["shell"] != "hand" for line in step["lines"]}
    commands |= {line for way in made["ways"] for line in (*way["lines"], *way["undo"])}
    assert main(words) == 0
    mark = "rem " if os in (OperatingSystem.WINDOWS_2003, OperatingSystem.WINDOWS_2008) else "# "
    shown = capsys.readouterr().out.splitlines()
    assert {line for line in shown if line and not line.startswith(mark)} <= commands
    assert commands <= {*shown}


@pytest.mark.parametrize("os", [os for os in OperatingSystem if os.is_linux or os is OperatingSystem.FREEBSD])
def test_a_shell_can_read_all_of_it(os: OperatingSystem, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["realserver", "setup", "web", "web1", "--os", os.value, *SITE]) == 0
    read = subprocess.run(["sh", "-n"], input=capsys.readouterr().out, text=True, capture_output=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.req("D-18", "Z-10")
def test_what_the_host_runs_stands_in_the_site_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["realserver", "setup", "web", "win1", *SITE]) == 0
    assert capsys.readouterr().out == (FOLDER / "windows-2008.txt").read_text()
    assert main(["realserver", "setup", "web", "web1", *SITE]) == 2
    assert capsys.readouterr().err.startswith(
        "yaoki: what does web1 run? Write os: at hosts: web1, or --os with one of "
    )
    assert main(["realserver", "setup", "web", "web1", "--os", "windows", *SITE]) == 2
    said = capsys.readouterr().err
    assert said.startswith("yaoki: what does web1 call its interface eth0?")
    assert said.endswith("write alias: at hosts: web1: interfaces: eth0\n")


@pytest.mark.req("D-18", "Z-10")
def test_a_japanese_windows_can_read_it(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["realserver", "setup", "web", "win1", "--encoding", "cp932", *SITE]) == 0
    said = capfdbinary.readouterr().out
    assert said.decode("cp932") == (FOLDER / "windows-2008.txt").read_text().replace("\n", "\r\n")


@pytest.mark.req("Z-10")
def test_a_name_that_no_japanese_windows_can_have_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.yaml"
    site.write_text((FOLDER / "site.yaml").read_text().replace("接続 2", "接続 한"))
    assert main(["realserver", "setup", "web", "win1", "--encoding", "cp932", "--site", str(site)]) == 2
    assert "cp932 has no" in capsys.readouterr().err


@pytest.mark.parametrize("name", ['a"b', "a%PATH%", "a|b", "a<b", " a", "a ", "a\\b", "a\\nb"])
def test_a_name_that_would_be_read_as_more_than_a_name_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.yaml"
    quoted = name.replace('"', '\\"').replace("a\\b", "a\\\\b")
    site.write_text((FOLDER / "site.yaml").read_text().replace("ローカル エリア接続 2", quoted))
    assert main(["realserver", "setup", "web", "win1", "--site", str(site)]) == 1
    assert "is not the name of a network connection" in capsys.readouterr().err


def test_only_direct_return_needs_anything_on_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["realserver", "setup", "dns", "web1", "--os", "linux", *SITE]) == 2
    assert capsys.readouterr().err.startswith(
        "yaoki: web1 does not serve dns by direct return: there is nothing to set up"
    )


def test_what_runs_elsewhere_cannot_be_applied_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = ["--state-dir", str(tmp_path)]
    assert main(["realserver", "setup", "web", "win1", "--apply", *SITE, *state]) == 2
    assert capsys.readouterr().err.startswith("yaoki: --apply runs on Linux; win1 runs windows-2008")
    assert main(["realserver", "setup", "web", "win1", "--undo", *SITE, *state]) == 2
    assert capsys.readouterr().err.startswith("yaoki: nothing is set up on this machine")
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_cannot_be_read_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "realserver.json").write_text("{")
    assert main(["realserver", "setup", "web", "web1", "--undo", "--state-dir", str(tmp_path)]) == 1
    assert "mend it, or put it aside" in capsys.readouterr().err
    assert (tmp_path / "realserver.json").read_text() == "{"


# --- servers behind tunnels

BEHIND = ["--site", str(FOLDER / "tunnel.yaml")]


@pytest.mark.req("D-03", "D-05")
@pytest.mark.parametrize("os", [os for os in OperatingSystem if os.is_linux])
def test_what_is_printed_for_the_end_of_a_tunnel(os: OperatingSystem, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["realserver", "setup", "web", "web1", "--os", os.value, *BEHIND]) == 0
    printed = capsys.readouterr().out
    assert printed == (FOLDER / f"tunnel-{os.value}.txt").read_text()
    read = subprocess.run(["sh", "-n"], input=printed, text=True, capture_output=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("os", [os for os in OperatingSystem if not os.is_linux])
def test_the_end_of_a_tunnel_is_there_on_linux_only(os: OperatingSystem, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["realserver", "setup", "web", "web1", "--os", os.value, *BEHIND]) == 2
    assert f"the end of a tunnel is set up on Linux only, and web1 runs {os.value}" in capsys.readouterr().err
