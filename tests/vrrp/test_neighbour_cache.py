"""How long a stale entry may last."""

from datetime import timedelta

import pytest

from yaoki.core.address import Family
from yaoki.vrrp.neighbour_cache import CacheTimers


@pytest.mark.req("B-08")
def test_with_the_defaults_of_linux_a_stale_entry_lasts_53_seconds_at_most() -> None:
    second = timedelta(seconds=1)
    defaults = CacheTimers("eth0", Family.IPV4, 30 * second, 5 * second, second, 3)
    assert defaults.longest_stale == timedelta(seconds=45 + 5 + 3)
