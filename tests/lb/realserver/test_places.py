"""What --apply and --undo come to: a table of the cases, and a machine that is always given back."""

from hypothesis import given
from hypothesis import strategies as st

from yaoki.lb.realserver.places import Before, Change, Place, PlaceKind, Record, Setup, Write, places_of, plan

IGNORE = Place(PlaceKind.SYSCTL, "net/ipv4/conf/all/arp_ignore")
VIP = Place(PlaceKind.ADDRESS, "192.0.2.50/32")
OTHER = Place(PlaceKind.ADDRESS, "192.0.2.60/32")
QUIET = Change(IGNORE, "1", ("1", "2", "8"))
WEB = Setup("web", "web1", (QUIET, Change(VIP, "there")))
TLS = Setup("tls", "web1", (QUIET, Change(VIP, "there"), Change(OTHER, "there")))
LOUD = {IGNORE: "0", VIP: None, OTHER: None}
DONE = {IGNORE: "1", VIP: "there", OTHER: None}
RECORD = Record((WEB,), (Before(IGNORE, "0"), Before(VIP, None)))


def test_the_first_time_everything_is_written_and_what_was_there_is_known() -> None:
    made = plan(Record(), (WEB,), LOUD)
    assert made.writes == (Write(IGNORE, "1", "0"), Write(VIP, "there", None))
    assert made.during == made.after == RECORD


def test_again_nothing_is_written_and_what_was_there_stays_known() -> None:
    made = plan(RECORD, (WEB,), DONE)
    assert (made.writes, made.after) == ((), RECORD)


def test_a_value_that_does_as_well_is_left() -> None:
    made = plan(Record(), (WEB,), LOUD | {IGNORE: "2"})
    assert made.writes == (Write(VIP, "there", None),)
    assert plan(made.after, (), DONE | {IGNORE: "2"}).writes == (Write(VIP, None, "there"),)


def test_undone_the_address_goes_before_what_kept_it_quiet() -> None:
    made = plan(RECORD, (), DONE)
    assert made.writes == (Write(VIP, None, "there"), Write(IGNORE, "0", "1"))
    assert (made.during, made.after) == (Record((), RECORD.befores), Record())


def test_what_another_service_needs_stays() -> None:
    both = plan(RECORD, (WEB, TLS), DONE).after
    all_done = DONE | {OTHER: "there"}
    assert plan(both, (WEB,), all_done).writes == (Write(OTHER, None, "there"),)
    assert plan(both, (TLS,), all_done).writes == ()
    assert plan(plan(both, (TLS,), all_done).after, (), all_done).writes == (
        Write(OTHER, None, "there"),
        Write(VIP, None, "there"),
        Write(IGNORE, "0", "1"),
    )


def test_a_vip_that_the_site_no_longer_has_is_given_back_by_the_next_apply() -> None:
    moved = Setup("web", "web1", (QUIET, Change(OTHER, "there")))
    made = plan(RECORD, RECORD.with_setup(moved), DONE)
    assert made.writes == (Write(VIP, None, "there"), Write(OTHER, "there", None))


def test_what_somebody_else_has_changed_since_is_left_and_told() -> None:
    made = plan(RECORD, (), DONE | {IGNORE: "3"})
    assert (made.writes, made.left) == ((Write(VIP, None, "there"),), (IGNORE,))
    assert plan(RECORD, (), LOUD).writes == ()


PLACES = [Place(PlaceKind.SYSCTL, f"p{number}") for number in range(4)]
CHANGES = st.sampled_from(PLACES).map(lambda place: Change(place, f"ours-{place.name}", ("as-good",)))
SETUPS = st.builds(
    lambda name, changes: Setup(name, "web1", tuple(dict.fromkeys(changes))),
    st.sampled_from(["a", "b", "c"]),
    st.lists(CHANGES, max_size=4),
)
MACHINES = st.fixed_dictionaries({place: st.sampled_from([None, "theirs", "as-good"]) for place in PLACES})


@given(MACHINES, st.lists(st.tuples(SETUPS, st.booleans()), max_size=8))
def test_whatever_was_set_up_and_undone_in_the_end_the_machine_is_as_it_was(
    machine: dict[Place, str | None], commands: list[tuple[Setup, bool]]
) -> None:
    now, record = dict(machine), Record()

    def bring_to(setups: tuple[Setup, ...]) -> None:
        nonlocal record
        made = plan(record, setups, {place: now[place] for place in places_of(record, setups)})
        for write in made.writes:
            assert now[write.place] == write.was
            now[write.place] = write.value
        assert made.left == ()
        record = made.after
        assert plan(record, setups, now).writes == ()
        needed = {change.place for setup in setups for change in setup.changes}
        assert {before.place for before in record.befores} == needed
        assert all(now[place] == machine[place] for place in PLACES if place not in needed)
        assert all(now[place] in (f"ours-{place.name}", "as-good") for place in needed)

    for setup, undone in commands:
        bring_to(record.without(setup.service) if undone else record.with_setup(setup))
    bring_to(())
    assert (now, record) == (machine, Record())
