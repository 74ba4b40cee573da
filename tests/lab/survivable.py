"""The survivable rows of the example, each of which has to fail when what protects it is switched off, by that."""

from tests.lab.sites import example
from yaoki.lab.catalogue import Scenario, catalogue
from yaoki.lab.fault import BlackholeLink, CutLink, FlapLink, HangNode, KillNode, PowerOff, RestartNode, StopNode
from yaoki.lab.probes.targets import targets_of
from yaoki.lab.row import expectation

NODE_FAULTS = (StopNode, KillNode, HangNode, RestartNode, PowerOff, CutLink, BlackholeLink, FlapLink)


def survivable() -> tuple[Scenario, ...]:
    site = example()
    targets = targets_of(site)
    return tuple(s for s in catalogue(site) if expectation(site, s, targets).survivable)


def hits_a_node(scenario: Scenario) -> bool:
    nodes = {node.name for node in example().nodes}
    fault = scenario.fault
    hit = getattr(fault, "node", getattr(fault, "machine", None))
    return isinstance(fault, NODE_FAULTS) and hit in nodes and not scenario.mends


BY_A_SPARE_NODE = [scenario.name for scenario in survivable() if hits_a_node(scenario)]
BY_CHECKS_SPARES_AND_CARE = [scenario.name for scenario in survivable() if not hits_a_node(scenario)]
