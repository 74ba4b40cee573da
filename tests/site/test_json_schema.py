"""The JSON Schema is made of the vocabulary: every key that an operator may write is in it, and none other."""

import json
import re

from yaoki.site.json_schema import json_schema
from yaoki.site.shapes import Record
from yaoki.site.vocabulary import LATER_SECTIONS, SITE


def properties(schema: object) -> dict[str, dict[str, object]]:
    assert isinstance(schema, dict)
    found = schema["properties"]
    assert isinstance(found, dict)
    return found


def test_it_is_json_and_forbids_unknown_keys_everywhere() -> None:
    schema = json.loads(json.dumps(json_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["version", "site"]
    records = [found for found in walk(schema) if "properties" in found]
    assert len(records) > 20
    assert all(found["additionalProperties"] is False for found in records)


def test_the_sections_are_those_of_the_vocabulary_without_the_later_ones() -> None:
    assert isinstance(SITE, Record)
    sections = properties(json_schema())
    assert set(sections) == {name for name, key in SITE.keys.items() if key.offered}
    assert not set(sections) & set(LATER_SECTIONS)


def test_kinds_say_their_bounds_units_and_defaults() -> None:
    vip = properties(properties(json_schema())["vips"]["additionalProperties"])
    assert vip["vrid"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 255,
        "description": "the virtual router id, unique on the network",
    }
    assert vip["failback"]["enum"] == ["prefer", "sticky", "manual"]
    advertise = vip["advertise"]
    assert str(advertise["description"]).endswith("; default: 1s")
    assert re.search(str(advertise["pattern"]), "100ms")
    assert not re.search(str(advertise["pattern"]), "100")


def test_checks_are_told_apart_by_their_kind() -> None:
    checks = properties(json_schema())["checks"]["additionalProperties"]
    assert isinstance(checks, dict)
    kinds = [properties(branch)["kind"] for branch in checks["oneOf"]]
    assert kinds[0] == {"const": "icmp"}
    assert len(kinds) == 9


def walk(value: object) -> list[dict[str, object]]:
    """Every object in a JSON value that is a schema, found by its type."""
    found: list[dict[str, object]] = []
    if isinstance(value, dict):
        if value.get("type") == "object":
            found.append(value)
        for inner in value.values():
            found += walk(inner)
    if isinstance(value, list):
        for inner in value:
            found += walk(inner)
    return found
