"""Whether a server that is drained has flows left."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.control_node import answering
from tests.node.scene import Scene, plan
from yaoki.cli.main import main
from yaoki.cli.server import open_flows
from yaoki.node.snapshot import Count, NodeView, view


def node(*flows: int | None) -> NodeView:
    """A node with a service whose servers have so many flows; None: that is not known."""
    scene = Scene()
    scene.start(plan())
    seen = view(scene.brain, scene.now)
    (service,) = seen.services
    servers = tuple(
        replace(server, count=Count(9, 900, each)) for server, each in zip(service.servers, flows, strict=True)
    )
    return replace(seen, services=(replace(service, servers=servers),))


def test_flows_of_one_server_are_added_up_over_its_services() -> None:
    seen = node(3, 5, 7)
    (service,) = seen.services
    both = replace(seen, services=(service, replace(service, name="api")))
    assert [open_flows(seen, name, None) for name in ("web1", "web2", "web9")] == [3, 5, 0]
    assert [open_flows(both, "web2", name) for name in (None, "api", "web")] == [10, 5, 5]


@pytest.mark.req("Z-06")
def test_what_is_not_known_is_not_taken_for_none() -> None:
    seen = node(None, 5, 7)
    (service,) = seen.services
    assert (open_flows(seen, "web1", None), open_flows(seen, "web2", None)) == (None, 5)
    uncounted = replace(service, servers=tuple(replace(server, count=None) for server in service.servers))
    assert open_flows(replace(seen, services=(uncounted,)), "web2", None) is None


def test_a_service_that_is_disabled_has_no_flows() -> None:
    seen = node(None, 5, 7)
    disabled = tuple(replace(service, enabled=False) for service in seen.services)
    assert open_flows(replace(seen, services=disabled), "web1", None) == 0


def drained(tmp_path: Path, seen: NodeView) -> int:
    """The exit status of a drain that waits for a node which looks like that."""
    with answering(tmp_path, operate={"event": "lb1/brain:9"}, status=seen):
        words = ["server", "drain", "web1", "--wait", "--timeout", "0.1", "--run-dir", str(tmp_path)]
        return main(words)


@pytest.mark.req("Z-06")
def test_a_node_that_is_paused_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = node(0, 5, 7)
    seen = replace(seen, balancer=replace(seen.balancer, in_force=False))
    assert drained(tmp_path, seen) == 0
    assert drained(tmp_path, replace(seen, paused=True)) == 2
    assert "is paused, so web1 goes on getting new flows; `yaoki resume` drains it" in capsys.readouterr().err


@pytest.mark.req("Z-06")
def test_a_node_that_was_paused_when_the_server_had_been_drained_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = node(3, 5, 7)
    seen = replace(seen, paused=True, balancer=replace(seen.balancer, in_force=True))
    assert drained(tmp_path, seen) == 2
    assert "web1 still has 3 flows after 0.1 s" in capsys.readouterr().err
