"""Names as a site has them (small letters, digits, inner hyphens), no two alike, of what keepalived calls things."""

import re

from yaoki.core.address import IPAddress
from yaoki.site.kinds import MAX_NAME

_OTHER = re.compile(r"[^a-z0-9]+")


class Names:
    """Gives names; a second one of a kind gets a number."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def give(self, wanted: str, otherwise: str) -> str:
        """A free name that is as near to `wanted` as a name can be; `otherwise` if nothing of it is left."""
        stem = _OTHER.sub("-", wanted.lower()).strip("-")[: MAX_NAME - 6].strip("-") or otherwise
        name, count = stem, 1
        while name in self._given:
            count += 1
            name = f"{stem}-{count}"
        self._given.add(name)
        return name


def name_of(address: IPAddress, what: str) -> str:
    """A name made of an address: server-192-0-2-21."""
    return f"{what}-{str(address).replace('.', '-').replace(':', '-')}"
