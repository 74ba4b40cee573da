"""The commands for small services, word for word; the files in golden/ are read by people before they are accepted.

`python -m tests.linux.test_nftables_text` writes them anew.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.lb.samples import server, service, trio
from yaoki.lb.service import Duty, Forward, Protocol, Scheduler, VirtualService
from yaoki.linux import nftables_direct, nftables_nat, nftables_refusal
from yaoki.linux.nftables_names import DIRECT, REFUSAL, TRANSLATION
from yaoki.linux.nftables_objects import NOTHING, Objects, commands

GOLDEN = Path(__file__).with_name("golden")


def nat(before: VirtualService | None, after: VirtualService | None) -> Iterable[str]:
    return _commands(TRANSLATION, lambda found: nftables_nat.render(found, "0123456789abcdef"), before, after)


def direct(before: VirtualService | None, after: VirtualService | None) -> Iterable[str]:
    return _commands(DIRECT, lambda found: nftables_direct.render(found, "0123456789abcdef"), before, after)


def refusal(before: VirtualService | None, after: VirtualService | None) -> Iterable[str]:
    return _commands(REFUSAL, nftables_refusal.render, before, after)


def _commands(
    table: str,
    render: Callable[[VirtualService], Objects],
    before: VirtualService | None,
    after: VirtualService | None,
) -> Iterable[str]:
    change = (NOTHING if before is None else render(before), NOTHING if after is None else render(after))
    return commands(table, [change])


ALL_OUT = (Duty.OUT, Duty.OUT, Duty.OUT)
CASES: dict[str, Callable[[], Iterable[str]]] = {
    "nat-skeleton": nftables_nat.skeleton,
    "direct-skeleton": nftables_direct.skeleton,
    "refusal-skeleton": nftables_refusal.skeleton,
    "direct-hook": lambda: nftables_direct.hook_commands("eth0.10", "eth0.10/7"),
    "direct-unhook": lambda: nftables_direct.unhook_commands("eth0.10/7", whole=True),
    "nat-weighted": lambda: nat(None, trio(weights=(1000, 1000, 500))),
    "nat-one-server": lambda: nat(None, service(server(1))),
    "nat-mixed-persistent-ipv6": lambda: nat(
        None,
        service(
            server(1, Forward.FULLNAT, family=6),
            server(2, Forward.NAT, family=6, duty=Duty.DRAIN),
            family=6,
            protocol=Protocol.UDP,
            mask=64,
        ),
    ),
    "nat-server-dies": lambda: nat(trio(), trio(Forward.NAT, Duty.OUT)),
    "nat-server-drains-persistent": lambda: nat(trio(mask=32), trio(Forward.NAT, Duty.DRAIN, mask=32)),
    "nat-all-die": lambda: nat(trio(), trio(Forward.NAT, *ALL_OUT)),
    "nat-server-leaves": lambda: nat(service(server(1), server(2)), service(server(2))),
    "nat-removed": lambda: nat(trio(mask=32), None),
    "direct-one-machine": lambda: direct(
        None, service(server(1, Forward.DIRECT), replace(server(2, Forward.DIRECT), mac=server(1, Forward.DIRECT).mac))
    ),
    "direct-tcp": lambda: direct(None, service(server(1, Forward.DIRECT), server(2, Forward.DIRECT))),
    "direct-udp-persistent-hashed-ipv6": lambda: direct(
        None,
        trio(
            Forward.DIRECT,
            Duty.SERVE,
            Duty.OUT,
            Duty.OUT,
            family=6,
            protocol=Protocol.UDP,
            mask=64,
            scheduler=Scheduler.SOURCE_HASH,
        ),
    ),
    "direct-server-dies": lambda: direct(trio(Forward.DIRECT), trio(Forward.DIRECT, Duty.OUT)),
    "direct-server-drains": lambda: direct(trio(Forward.DIRECT), trio(Forward.DIRECT, Duty.DRAIN)),
    "direct-idle-timeout": lambda: direct(
        trio(Forward.DIRECT), replace(trio(Forward.DIRECT), idle_timeout=timedelta(seconds=45))
    ),
    "direct-all-die": lambda: direct(trio(Forward.DIRECT), trio(Forward.DIRECT, *ALL_OUT)),
    "direct-removed": lambda: direct(trio(Forward.DIRECT, mask=32), None),
    "refused": lambda: refusal(trio(), trio(Forward.NAT, *ALL_OUT)),
    "no-longer-refused": lambda: refusal(trio(Forward.NAT, *ALL_OUT), trio()),
}


@pytest.mark.parametrize("name", CASES)
def test_commands_are_these(name: str) -> None:
    assert list(CASES[name]()) == (GOLDEN / f"{name}.nft").read_text().splitlines()


def test_every_golden_file_belongs_to_a_case() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.nft")) == sorted(CASES)


@pytest.mark.parametrize("render", [nat, direct], ids=["nat", "direct"])
def test_what_is_equal_needs_no_command(
    render: Callable[[VirtualService | None, VirtualService | None], Iterable[str]],
) -> None:
    sample = trio(Forward.NAT if render is nat else Forward.DIRECT, mask=24)
    assert list(render(sample, sample)) == []


if __name__ == "__main__":
    for case, made in CASES.items():
        (GOLDEN / f"{case}.nft").write_text("".join(f"{line}\n" for line in made()))
