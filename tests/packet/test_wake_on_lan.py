"""The Magic Packet, octet by octet."""

import pytest

from yaoki.core.address import BROADCAST, MacAddress
from yaoki.packet import ethernet
from yaoki.packet.wake_on_lan import magic_packet

MAC, SOURCE = MacAddress.parse("02:00:5e:10:00:03"), MacAddress.parse("02:00:5e:10:00:02")


@pytest.mark.req("B-02")
def test_the_packet_is_six_ones_and_the_mac_sixteen_times_to_everybody() -> None:
    frame = ethernet.decode(magic_packet(MAC, SOURCE))
    assert isinstance(frame, ethernet.EthernetFrame)
    assert (frame.destination, frame.source, frame.ethertype) == (BROADCAST, SOURCE, 0x0842)
    assert frame.payload.hex() == "ff" * 6 + "02005e100003" * 16
