"""`yaoki check` and `yaoki schema` as a person and as a program meet them."""

import json
from pathlib import Path

import pytest

from yaoki.cli import main

EXAMPLE = Path(__file__).parents[1] / "site" / "pair.yaml"


def write(folder: Path, *edits: tuple[str, str], name: str = "site.yaml") -> str:
    text = EXAMPLE.read_text()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    path = folder / name
    path.write_text(text)
    return str(path)


def test_the_example_is_accepted_and_its_notices_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == 0
    said = capsys.readouterr().out
    assert "notice: router is the only way out of front [single-gateway]" in said
    assert said.endswith("3 notices (2 nodes, 1 VIP, 3 services, 6 servers)\n")


def test_an_error_is_drawn_with_both_ends_and_the_cure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, ("web2: {weight: 1000}}", "web2: {weight: 1000, port: 81}}"))
    assert main(["check", "--quiet", path]) == 1
    lines = capsys.readouterr().out.split("\n")
    assert lines[0].endswith("direct return cannot rewrite port 80 to 81: only the MAC address changes [direct-port]")
    assert lines[1].strip().startswith("servers:")
    assert lines[1][lines[2].index("^")] == "8"
    assert lines[3].startswith("  the other end is ")
    assert lines[6].startswith("  cure: ")
    assert lines[8].endswith("1 error, 0 warnings, 3 notices")


def test_warnings_fail_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, ("lb1: {priority: 150}", "lb1: {priority: 100}"))
    assert main(["check", path]) == 0
    assert main(["check", "--strict", path]) == 1
    assert "[equal-priorities]" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["-j", "check"], ["check", "-j"], ["ch", "--json"]])
def test_a_program_gets_one_json_value(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, ("vrid: 51", "vrid: 0"))
    assert main([*words, path]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    (problem,) = told["problems"]
    assert (problem["rule"], problem["severity"]) == ("out-of-range", "error")
    assert problem["where"] == {"file": path, "line": 30, "column": 11}


def test_a_missing_file_is_a_finding_and_no_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "none.yaml")]) == 1
    assert "No such file or directory" in capsys.readouterr().out


def test_no_colour_where_nobody_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", write(tmp_path, ("vrid: 51", "vrid: 0"))])
    assert "\x1b" not in capsys.readouterr().out


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Yaoki site file"


def test_usage_errors_are_one_sentence_and_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chekc"]) == 2
    assert capsys.readouterr().err == 'yaoki: there is no command "chekc"; did you mean "check"?\n'
    assert main(["check"]) == 2
    assert main([]) == 2
    assert main(["--nonsense"]) == 2


def test_help_shows_examples_and_the_meaning_of_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    overview = capsys.readouterr().out
    assert "check" in overview
    assert "Exit status: 0" in overview
    assert main(["check", "--help"]) == 0
    assert "yaoki check --strict site.yaml" in capsys.readouterr().out
