"""Rules are not kept waiting while flows are counted, and what was counted goes to the rules as they are by then."""

import json
import subprocess
import sys

import pytest


@pytest.mark.netns
@pytest.mark.req("D-30")
def test_a_verdict_reaches_the_rules_while_flows_are_counted() -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.linux.recount_agent"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    told = json.loads(done.stdout)
    assert told["refused"] == 0
    assert told["begun"], "so few flows are counted in no time: the rest says nothing"
    assert told["counting"], "the server that failed waited for the count"
    assert told["at_once"].keys() == {"s1", "s3"}
    assert told["at_once"]["s1"] == told["at_once"]["s3"], "nothing is known yet of their flows"
    assert told["asked"]
    # As many flows are expected as there are, 100,000: with 40,000 and 60,000 more both have 80,000.
    assert told["in_the_end"].keys() == {"s1", "s3"}, "the count brings back nobody"
    assert 1.3 < told["in_the_end"]["s3"] / told["in_the_end"]["s1"] < 2
