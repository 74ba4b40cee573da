"""What people decide: what stands, what wins, what is refused."""

import pytest

from tests.node.scene import plan, server, service
from yaoki.core.codec import Codec
from yaoki.node.decisions import (
    AdmitVip,
    Decisions,
    MoveVip,
    OperatorCommand,
    Pause,
    Refused,
    Resume,
    ServerDecision,
    SetServerAdmin,
    SetServerWeight,
    SetServiceEnabled,
    decide,
)
from yaoki.pool.member import AdminState

PLAN = plan(service("web"), service("api", [server(1, port=81)], port=81))


def after(*commands: OperatorCommand) -> Decisions:
    decisions = Decisions()
    for command in commands:
        result = decide(decisions, PLAN, command)
        assert isinstance(result, Decisions), result
        decisions = result
    return decisions


def test_a_decision_holds_for_one_service_or_everywhere() -> None:
    here = after(SetServerAdmin("web1", AdminState.DRAIN, "web"))
    assert (here.admin("web1", "web"), here.admin("web1", "api")) == (AdminState.DRAIN, AdminState.READY)
    everywhere = after(SetServerAdmin("web1", AdminState.DRAIN))
    assert (everywhere.admin("web1", "web"), everywhere.admin("web1", "api")) == (AdminState.DRAIN, AdminState.DRAIN)


def test_of_two_decisions_the_stricter_wins() -> None:
    both = after(SetServerAdmin("web1", AdminState.DRAIN), SetServerAdmin("web1", AdminState.MAINT, "web"))
    assert (both.admin("web1", "web"), both.admin("web1", "api")) == (AdminState.MAINT, AdminState.DRAIN)


def test_a_word_about_the_whole_server_settles_the_words_about_its_services() -> None:
    assert (
        after(SetServerAdmin("web1", AdminState.MAINT, "web"), SetServerAdmin("web1", AdminState.READY)) == Decisions()
    )


def test_what_holds_everywhere_is_not_taken_back_in_one_service() -> None:
    result = decide(
        after(SetServerAdmin("web1", AdminState.DRAIN)), PLAN, SetServerAdmin("web1", AdminState.READY, "web")
    )
    assert result == Refused("web1 is in drain everywhere", "yaoki server ready web1")


def test_a_weight_here_wins_over_a_weight_everywhere_and_none_goes_back_to_the_file() -> None:
    both = after(SetServerWeight("web1", 5), SetServerWeight("web1", 7, "web"))
    assert (both.weight("web1", "web", 1000), both.weight("web1", "api", 1000)) == (7, 5)
    assert both.weight("web2", "web", 1000) == 1000
    assert after(SetServerWeight("web1", 5), SetServerWeight("web1", None)) == Decisions()


def test_only_what_differs_from_the_file_is_kept() -> None:
    assert after(SetServiceEnabled("web", enabled=True)) == Decisions()
    off = after(SetServiceEnabled("web", enabled=False))
    assert not off.enabled("web", configured=True)
    assert after(SetServiceEnabled("web", enabled=False), SetServiceEnabled("web", enabled=True)) == Decisions()
    assert after(Pause(), Resume()) == Decisions()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (SetServerAdmin("web9", AdminState.DRAIN), 'there is no server "web9" on this node'),
        (SetServerAdmin("web2", AdminState.DRAIN, "api"), 'there is no server "web2" on this node'),
        (SetServerAdmin("web1", AdminState.DRAIN, "mail"), 'there is no service "mail" on this node'),
        (SetServiceEnabled("mail", enabled=False), 'there is no service "mail" on this node'),
        (SetServerWeight("web1", 65536), "weight 65536 is outside 0..65535"),
        (SetServerWeight("web1", -1), "weight -1 is outside 0..65535"),
        (MoveVip("mail-vip"), 'there is no VIP "mail-vip" on this node'),
        (AdmitVip("mail-vip"), 'there is no VIP "mail-vip" on this node'),
    ],
)
def test_what_cannot_be_is_refused(command: OperatorCommand, why: str) -> None:
    result = decide(Decisions(), PLAN, command)
    assert isinstance(result, Refused)
    assert result.why == why
    assert result.cure


def test_decisions_survive_the_journal_in_a_steady_order() -> None:
    one = after(SetServerAdmin("web2", AdminState.DRAIN), SetServerAdmin("web1", AdminState.MAINT, "web"), Pause())
    other = after(Pause(), SetServerAdmin("web1", AdminState.MAINT, "web"), SetServerAdmin("web2", AdminState.DRAIN))
    assert one == other
    assert one.servers[0] == ServerDecision("web1", "web", AdminState.MAINT)
    codec = Codec()
    assert codec.decode(codec.encode(one), Decisions) == one
