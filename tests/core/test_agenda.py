from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.agenda import Agenda
from yaoki.core.instant import Deadline, Instant


def at(us: int) -> Deadline:
    return Deadline(Instant(us), "test")


def test_keys_come_out_in_order_and_only_when_due() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.set("late", at(30))
    agenda.set("early", at(10))
    agenda.set("middle", at(20))
    assert agenda.next() == at(10)
    assert list(agenda.due(Instant(20))) == ["early", "middle"]
    assert agenda.next() == at(30)
    assert list(agenda.due(Instant(29))) == []


def test_a_key_set_again_keeps_only_its_last_deadline() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.set("router", at(10))
    agenda.set("router", at(50))
    assert list(agenda.due(Instant(40))) == []
    agenda.set("router", at(20))
    assert list(agenda.due(Instant(40))) == ["router"]
    assert list(agenda.due(Instant(100))) == []


def test_a_key_without_deadline_is_off_the_agenda() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.set("router", at(10))
    agenda.set("router", None)
    agenda.set("never seen", None)
    assert agenda.next() is None
    assert len(agenda) == 0


def test_superseded_entries_do_not_pile_up() -> None:
    agenda: Agenda[int] = Agenda()
    for step in range(10_000):
        agenda.set(step % 3, at(step + 1))
    assert len(agenda._heap) <= 2 * 3 + 64


def test_a_deadline_put_off_many_times_keeps_one_entry() -> None:
    agenda: Agenda[str] = Agenda()
    for us in range(1, 1000):
        agenda.set("router", at(us))
    assert len(agenda._heap) == 1
    assert agenda.next() == at(999)


def test_keys_of_one_instant_come_out_in_the_order_of_setting_also_when_put_off() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.set("put off last", at(1))
    agenda.set("put off first", at(2))
    agenda.set("set once", at(9))
    agenda.set("put off first", at(9))
    agenda.set("put off last", at(9))
    assert list(agenda.due(Instant(9))) == ["set once", "put off first", "put off last"]


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 20)), max_size=60), st.integers(0, 25))
def test_it_agrees_with_a_plain_dictionary(steps: list[tuple[int, int | None]], now: int) -> None:
    agenda: Agenda[int] = Agenda()
    model: dict[int, int] = {}
    order: dict[int, int] = {}
    for number, (key, us) in enumerate(steps):
        agenda.set(key, None if us is None else at(us))
        if us is None:
            model.pop(key, None)
            order.pop(key, None)
        else:
            if model.get(key) != us:
                order[key] = number
            model[key] = us
        expected = min(model.values(), default=None)
        first = agenda.next()
        assert (None if first is None else first.at.us) == expected
    due = list(agenda.due(Instant(now)))
    assert sorted(due) == sorted(key for key, us in model.items() if us <= now)
    assert [(model[key], order[key]) for key in due] == sorted((model[key], order[key]) for key in due)
