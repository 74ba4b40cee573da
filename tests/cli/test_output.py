"""What commands print."""

import json
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from yaoki.cli.output import print_json
from yaoki.core.address import Family, MacAddress


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
