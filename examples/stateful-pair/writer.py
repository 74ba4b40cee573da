"""Writes the keys 1, 2, 3 ... one after another, and prints a line of JSON for each: when it was begun (seconds of the
monotonic clock), its number, and what was answered, or null if it was not accepted.

  writer.py ADDRESS [ADDRESS ...]      the addresses take turns; until killed
"""

import http.client
import itertools
import json
import sys
import time

PORT = 7379
PERIOD_S = 0.05
LIMIT_S = 0.5
"""A write that has no answer by then counts as not accepted."""


def main(addresses: list[str]) -> None:
    """Write until killed."""
    for number in itertools.count(1):
        begun = time.monotonic()
        said = written(addresses[number % len(addresses)], number)
        sys.stdout.write(json.dumps([begun, number, said]) + "\n")
        sys.stdout.flush()
        time.sleep(max(0.0, begun + PERIOD_S - time.monotonic()))


def written(address: str, number: int) -> str | None:
    """What the service answered to an accepted write."""
    connection = http.client.HTTPConnection(address, PORT, timeout=LIMIT_S)
    try:
        connection.request("PUT", f"/{number}", f"value {number}")
        answer = connection.getresponse()
        said = answer.read().decode().strip()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return said if answer.status == 200 else None


if __name__ == "__main__":
    main(sys.argv[1:])
