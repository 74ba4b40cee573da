"""Numbers and stamps of the BPF plane: unique while they are in use, and stamps for ever."""

import pytest

from tests.lb.samples import server, service
from yaoki.core.error import ActuatorError
from yaoki.lb.service import Forward
from yaoki.linux.bpf.seating import Seating
from yaoki.linux.bpf.services import Seat

DIRECT = Forward.DIRECT


def places(*numbers: int) -> list[tuple[object, int]]:
    return [(server(number, DIRECT).address, 80) for number in numbers]


def test_a_server_keeps_its_seat_and_a_new_one_gets_another_number_and_stamp() -> None:
    seating = Seating(4, 10, 4)
    first = seating.seats(service(server(1, DIRECT), server(2, DIRECT)), {})
    assert list(first.values()) == [Seat(1, 1), Seat(2, 2)]
    second = seating.seats(service(server(2, DIRECT), server(3, DIRECT)), first)
    assert list(second.values()) == [Seat(2, 2), Seat(3, 3)]
    assert list(second) == places(2, 3)


def test_a_free_number_is_given_again_as_late_as_can_be_and_with_a_new_stamp() -> None:
    seating = Seating(4, 4, 4)
    first = seating.seats(service(server(1, DIRECT), server(2, DIRECT)), {})
    seating.leave([first[server(1, DIRECT).address, 80]])
    assert list(seating.seats(service(server(3, DIRECT)), {}).values()) == [Seat(3, 3)]
    assert list(seating.seats(service(server(4, DIRECT)), {}).values()) == [Seat(1, 4)]


def test_what_an_earlier_life_gave_is_not_given_again() -> None:
    seating = Seating(4, 10, 4, last_stamp=7)
    seating.take(0, [Seat(1, 12)])
    assert list(seating.seats(service(server(1, DIRECT)), {}).values()) == [Seat(2, 13)]
    assert seating.new_id() == 1


def test_ids_come_back_too() -> None:
    seating = Seating(2, 10, 4)
    assert [seating.new_id(), seating.new_id()] == [0, 1]
    seating.leave_id(0)
    assert seating.new_id() == 0


def test_a_full_house_says_how_many_it_holds() -> None:
    seating = Seating(1, 2, 4)
    seating.new_id()
    with pytest.raises(ActuatorError, match="it holds 1 services at most"):
        seating.new_id()
    seating.seats(service(server(1, DIRECT)), {})
    with pytest.raises(ActuatorError, match="it holds 1 real servers of virtual services at most"):
        seating.seats(service(server(2, DIRECT)), {})
