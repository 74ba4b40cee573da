"""Writes the generated parts of docs/site-file.md from the vocabulary and the lint rules.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`. `python -m scripts.site_reference` writes
the page anew; a test compares it with what it should be.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from yaoki.core.event import Severity
from yaoki.site.kinds import Kind, Word
from yaoki.site.lint import RULES
from yaoki.site.shapes import Key, ListOf, MapOf, Record, Tagged, WordOr
from yaoki.site.vocabulary import HOOK, SERVER, SERVICE, SITE, SYNC_GROUP, VIP
from yaoki.site.vocabulary_checks import CHECK
from yaoki.site.vocabulary_machines import HOST, INTERFACE, NETWORK, NODE
from yaoki.site.vocabulary_store import STORE

PAGE = Path(__file__).parents[1] / "docs" / "site-file.md"
_PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_RECORDS = {
    "file": SITE,
    "network": NETWORK,
    "node": NODE,
    "host": HOST,
    "interface": INTERFACE,
    "vip": VIP,
    "sync-group": SYNC_GROUP,
    "store": STORE.records["etcd"],
    "witness": STORE.records["witness"],
    "service": SERVICE,
    "server": SERVER,
    "hook": HOOK,
}


def page(text: str) -> str:
    """The page with its generated parts as they should be."""
    return _PART.sub(lambda found: f"{found[1]}{_part(found['name'])}\n{found[3]}", text)


def _part(name: str) -> str:
    if name == "rules":
        return _rules()
    if name == "checks":
        return _checks()
    return _table(_RECORDS[name].keys.values())


def _table(keys: Iterable[Key]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        if key.offered:
            default = "**needed**" if key.required else f"`{key.default}`" if _is_literal(key.default) else key.default
            lines.append(f"| `{key.name}` | {_cell(_value(key.kind))} | {_cell(default)} | {_cell(key.description)} |")
    return "\n".join(lines)


def _is_literal(default: str) -> bool:
    return bool(default) and " " not in default.replace(": ", ":")


def _value(kind: Kind) -> str:
    """What may stand there, with the words that a choice knows explained."""
    match kind:
        case Word():
            return "; ".join(
                f"`{word}`" + (f" ({meaning})" if meaning else "") for word, meaning in kind.choices.items()
            )
        case ListOf():
            item = _value(kind.item)
            return f"{item}, or a list" if kind.or_one else f"a list of: {item}"
        case MapOf():
            return f"by name: {_named(kind.value)}"
        case WordOr():
            block = _value(kind.block)
            return _value(kind.word) if block == "{}" else f"{_value(kind.word)}; or {block}"
        case Record():
            return (
                "{" + ", ".join(f"`{name}`: {_value(key.kind)}" for name, key in kind.keys.items() if key.offered) + "}"
            )
        case _:
            return kind.wanted


def _named(kind: Kind) -> str:
    """A value that a section holds by name: what has a table of its own is only named."""
    if isinstance(kind, Record) and kind in _RECORDS.values():
        return kind.noun
    return "a check" if kind is CHECK else _value(kind)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _checks() -> str:
    """The keys of each kind, and once those that all kinds have."""
    assert isinstance(CHECK, Tagged)
    shared = set.intersection(*(set(record.keys) for record in CHECK.records.values()))
    some = next(iter(CHECK.records.values()))
    parts = ["Every kind has:\n\n" + _table(key for key in some.keys.values() if key.name in shared - {"kind"})]
    told: dict[tuple[str, ...], list[str]] = {}
    for name, record in CHECK.records.items():
        told.setdefault(tuple(key for key in record.keys if key not in shared), []).append(name)
    for own, names in told.items():
        kinds = ", ".join(f"`{name}`" for name in names)
        keys = CHECK.records[names[0]].keys
        parts.append(f"{kinds}:\n\n" + _table(keys[key] for key in own) if own else f"{kinds}: nothing else.")
    return "\n\n".join(parts)


def _rules() -> str:
    lines = ["| rule | severity | finds |", "|---|---|---|"]
    for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTICE):
        for rule in RULES:
            if rule.severity is severity:
                firm = " (firm)" if rule.firm else ""
                lines.append(f"| `{rule.id}` | {severity}{firm} | {_cell(rule.summary)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
