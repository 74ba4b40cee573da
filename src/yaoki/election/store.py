"""The store of leases as values: what is asked of it and what it answers. Which store it is, only its driver knows.

What the machine relies on: reads and swaps of one key are linearizable, and a swap succeeds only if the key's revision
is still the expected one; revisions grow with every write. Nothing else is trusted: a request may be lost, late,
carried out though no answer comes, or answered twice.
"""

from dataclasses import dataclass

ABSENT = 0
"""The revision of a key that does not exist."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key at one moment: the revision of its last write (ABSENT if it does not exist) and its value."""

    revision: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class ReadKey:
    """Ask for the key's newest state, linearizably. `request` numbers the requests of one key and comes back with the
    answer; a later request of the same key takes the place of an earlier one, whose answer is no longer wanted."""

    key: str
    request: int


@dataclass(frozen=True, slots=True)
class SwapKey:
    """Write `value` if the key's revision is still `expected` (ABSENT: if it does not exist)."""

    key: str
    request: int
    expected: int
    value: bytes


StoreRequest = ReadKey | SwapKey


@dataclass(frozen=True, slots=True)
class KeyRead:
    """Answer to ReadKey."""

    state: KeyState


@dataclass(frozen=True, slots=True)
class Swapped:
    """Answer to SwapKey: written, and this is the key's revision now."""

    revision: int


@dataclass(frozen=True, slots=True)
class NotSwapped:
    """Answer to SwapKey: the key was not as expected but thus."""

    state: KeyState


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """No answer from the store, or a refusal. A swap may have been carried out all the same, or may be yet."""

    why: str


StoreResult = KeyRead | Swapped | NotSwapped | StoreFailed

# --- which store ------------------------------------------------------------------------------------------------------

ETCD_PORT = 2379
"""Where etcd serves its clients unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one member of the store serves its clients. `host` is a name or an address."""

    host: str
    port: int
    tls: bool = False

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("an endpoint needs a host")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port {self.port} is outside 1..65535")

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """From "http://192.0.2.1:2379", "https://[2001:db8::1]:2379". Raises ValueError with the reason."""
        scheme, separator, rest = text.partition("://")
        if not separator or scheme not in ("http", "https"):
            raise ValueError(f"{text!r} does not begin with http:// or https://")
        host, colon, port = rest.rstrip("/").rpartition(":")
        if not colon or not port.isdecimal():
            raise ValueError(f"{text!r} does not end with a port, as in {scheme}://192.0.2.1:2379")
        bracketed = host.startswith("[") and host.endswith("]")
        if ":" in host and not bracketed:
            raise ValueError(f"{text!r} needs brackets around its IPv6 address")
        return cls(host[1:-1] if bracketed else host, int(port), tls=scheme == "https")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class EtcdStore:
    """An etcd cluster, or a witness, which answers as one. Every key begins with `prefix`. The paths name PEM files, in
    the directory of secrets unless they are absolute: who signed the members' certificates, and this node's own
    certificate and key; empty where the store asks for none."""

    endpoints: tuple[Endpoint, ...]
    prefix: str
    ca: str = ""
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise ValueError("an etcd store needs at least one endpoint")
        if len(set(self.endpoints)) != len(self.endpoints):
            raise ValueError("an endpoint is named twice")
        if not self.prefix:
            raise ValueError("an etcd store needs a prefix, so that two sites do not share keys")
        if bool(self.certificate) != bool(self.key):
            raise ValueError("a certificate needs its key, and a key its certificate")


@dataclass(frozen=True, slots=True)
class LocalStore:
    """The memory of this process: for a site of one node, where nobody else can claim anything."""


StoreSpec = EtcdStore | LocalStore
