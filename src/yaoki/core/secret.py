"""Secrets as engines see them: a name, never the value.

Invariant: no value of a secret is ever part of a parameter, a message, an event or a log. The driver that needs it
reads the file of that name at the moment of use (yaoki.runtime.secret_file).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Names a secret; written `{secret: name}` in the site file."""

    name: str
