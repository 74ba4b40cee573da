"""What is said of packets that the balancer's program sent to no server."""

from collections.abc import Iterable

from yaoki.cli.table import table
from yaoki.node.snapshot import Unsent
from yaoki.node.wording import ENGLISH, word


def unsent_lines(unsent: Iterable[Unsent]) -> Iterable[str]:
    """How many there were, why, and what to do, as far as a service is concerned."""
    told = [each for each in unsent if each.packets and not each.reason.is_usual]
    if told:
        yield "packets that BPF sent to no server, of all services, since its program was loaded"
    for line in table([(str(each.packets), each.reason.value, word(each.reason, ENGLISH)) for each in told]):
        yield f"  {line}"
