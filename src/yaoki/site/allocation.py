"""Building large trees without the cycle collector, which would walk them again and again and find nothing.

Measured on 1,000 services of 20 servers: loading and compiling take 1.5 s without it and 2.3 s with it.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No collection of cycles inside; afterwards as it was before. Threads may overlap here: the first of them to come
    has it on again when it leaves, be others still inside."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
