"""What commands print."""

import json
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from yaoki.cli.output import print_json, refuse_unwritable
from yaoki.core.address import Family, MacAddress
from yaoki.core.error import UsageError


@dataclass(frozen=True)
class Sighting:
    address: IPv4Address
    mac: MacAddress
    family: Family
    age: timedelta


def test_json_has_addresses_as_people_write_them_and_durations_in_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    mac = MacAddress.parse("02:59:6b:00:01:00")
    print_json(Sighting(IPv4Address("192.0.2.50"), mac, Family.IPV4, timedelta(milliseconds=250)))
    shown = {"address": "192.0.2.50", "mac": "02:59:6b:00:01:00", "family": 4, "age": 0.25}
    assert json.loads(capsys.readouterr().out) == shown


def test_a_file_that_cannot_be_written_is_refused_before_the_work_and_not_made(tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "none/file"):
        with pytest.raises(UsageError, match="it is a directory, or in none that exists"):
            refuse_unwritable(file)
    refuse_unwritable(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    refuse_unwritable(Path("/dev/null"))
