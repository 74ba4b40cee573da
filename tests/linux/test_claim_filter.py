"""The claim filter, run by a small interpreter of classic BPF."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import IPAddress, MacAddress
from yaoki.linux.claim_filter import MAX_FILTERED, Instruction, encoded, program
from yaoki.packet import arp, neighbour

MAC = MacAddress.parse("02:00:00:00:00:01")
ARP_VIP, ND_VIP = IPv4Address("192.0.2.50"), IPv6Address("2001:db8:1::50")
OTHER, OTHER6 = IPv4Address("192.0.2.51"), IPv6Address("2001:db8:1::51")
VLAN_TAG_PRESENT = 0x100000000 - 0x1000 + 48


def passes(instructions: Sequence[Instruction], frame: bytes, *, tagged: bool = False) -> bool:
    """What the kernel would do: loads beyond the end refuse the frame."""
    loaded, at = 0, 0
    sizes = {0x20: 4, 0x28: 2, 0x30: 1}
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        if code == 0x06:
            return operand != 0
        if code == 0x05:
            at += operand
        elif code == 0x15:
            at += if_true if loaded == operand else if_false
        elif operand == VLAN_TAG_PRESENT:
            loaded = int(tagged)
        elif operand + sizes[code] > len(frame):
            return False
        else:
            loaded = int.from_bytes(frame[operand : operand + sizes[code]], "big")


def frames(address: IPAddress) -> list[bytes]:
    """Frames that claim an address."""
    if isinstance(address, IPv4Address):
        return [*arp.announcement(MAC, address), arp.request(MAC, address, OTHER).frame()]
    return [neighbour.announcement(MAC, address, router=False), neighbour.solicitation(MAC, address, OTHER6)]


def test_only_what_speaks_of_the_addresses_passes() -> None:
    wanted = program((ARP_VIP, ND_VIP))
    assert all(passes(wanted, frame) for address in (ARP_VIP, ND_VIP) for frame in frames(address))
    assert not any(passes(wanted, frame) for address in (OTHER, OTHER6) for frame in frames(address))
    # Somebody asks for the VIP: that claims nothing of it, and there may be thousands in a second.
    assert not passes(wanted, arp.request(MAC, OTHER, ARP_VIP).frame())
    assert not passes(wanted, neighbour.solicitation(MAC, OTHER6, ND_VIP))


def test_frames_of_a_vlan_belong_to_another_interface() -> None:
    wanted = program((ARP_VIP,))
    assert not any(passes(wanted, frame, tagged=True) for frame in frames(ARP_VIP))


def test_without_addresses_nothing_passes() -> None:
    assert not any(passes(program(()), frame) for address in (ARP_VIP, ND_VIP) for frame in frames(address))


def test_of_too_many_addresses_everything_passes_and_the_program_stays_small() -> None:
    many = [IPv4Address(0xC6120000 + number) for number in range(MAX_FILTERED + 1)]
    assert all(passes(program(many), frame) for frame in frames(OTHER))
    assert not any(passes(program(many), frame) for frame in frames(OTHER6))
    most: list[IPAddress] = [
        *many[:MAX_FILTERED],
        *(IPv6Address(int(ND_VIP) + number) for number in range(MAX_FILTERED)),
    ]
    assert all(passes(program(most), frames(address)[-1]) for address in most)
    assert len(encoded(program(most))) <= 20480, "net.core.optmem_max of older kernels"


@given(st.binary(max_size=100))
def test_every_frame_is_decided(frame: bytes) -> None:
    assert passes(program((ARP_VIP, ND_VIP)), frame) in (True, False)
