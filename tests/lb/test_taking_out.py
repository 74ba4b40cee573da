"""What a newer wish takes from servers, of all that it asks for."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.lb.samples import server, service
from yaoki.lb.service import Desired, Duty, RealServer, VirtualService
from yaoki.lb.taking_out import taken_out

WEIGHTS = st.sampled_from((0, 500, 1000))
KINDS = st.tuples(st.sampled_from(Duty), WEIGHTS)


def made(found: dict[int, dict[int, tuple[Duty, int]]]) -> Desired:
    """By port, then by number."""
    return Desired(
        tuple(
            service(*(replace(server(n), duty=duty, weight=weight) for n, (duty, weight) in servers.items()), port=port)
            for port, servers in found.items()
        )
    )


SERVICES = st.dictionaries(st.sampled_from((80, 443)), st.dictionaries(st.sampled_from((1, 2, 3)), KINDS)).map(made)


def duties(desired: Desired) -> list[list[str]]:
    return [[each.duty.value for each in service.servers] for service in desired.services]


def test_a_server_that_is_out_is_and_one_that_comes_back_waits() -> None:
    held = Desired((service(server(1), server(2, duty=Duty.OUT), server(3)), service(server(1), port=443)))
    wished = Desired((service(server(1, duty=Duty.OUT), server(2), server(3)), held.services[1]))
    less = taken_out(held, wished)
    assert duties(less) == [["out", "out", "serve"], ["serve"]]
    assert less.services[1] is held.services[1]


def test_of_weights_only_the_last_is_heeded() -> None:
    held = Desired((service(server(1), server(2)),))
    lighter = Desired((service(server(1, weight=1), server(2)),))
    assert taken_out(held, lighter) is held
    none = Desired((service(server(1, weight=0), server(2)),))
    assert taken_out(held, none) == none


def test_services_and_servers_that_are_gone_are_left_to_the_change() -> None:
    held = Desired((service(server(1), server(2)), service(server(1), port=443)))
    assert taken_out(held, Desired((service(server(2)),))) is held


@given(SERVICES, SERVICES)
def test_nobody_gets_more_and_whoever_takes_less_by_the_wish_gets_no_more_than_that(
    held: Desired, wished: Desired
) -> None:
    less = taken_out(held, wished)
    wishes = {each.key: each for each in wished.services}
    for before, after in zip(held.services, less.services, strict=True):
        wish = wishes.get(before.key)
        for was, now in zip(before.servers, after.servers, strict=True):
            shall_be = None if wish is None else of(wish, was.name)
            assert was.eligible or not now.eligible
            assert was.duty is not Duty.OUT or now.duty is Duty.OUT
            if shall_be is not None:
                assert not (now.eligible and not shall_be.eligible)
                assert not (shall_be.duty is Duty.OUT and now.duty is not Duty.OUT)
    assert taken_out(less, wished) is less


def of(wish: VirtualService, name: str) -> RealServer | None:
    return next((each for each in wish.servers if each.name == name), None)
