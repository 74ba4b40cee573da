"""The checks of the site that is being made: equal ones are one, each under a name of its own."""

from yaoki.site.foreign.keepalived.configuration import Check
from yaoki.site.foreign.keepalived.naming import Names


class NamedChecks:
    """Gathers checks."""

    def __init__(self) -> None:
        self._names = Names()
        self.by_name: dict[str, Check] = {}

    def name(self, check: Check, wanted: str) -> str:
        """The name of a check: that of an equal one, or a free one like `wanted`."""
        for name, known in self.by_name.items():
            if (known.params, known.schedule) == (check.params, check.schedule):
                return name
        name = self._names.give(wanted, "check")
        self.by_name[name] = check
        return name
