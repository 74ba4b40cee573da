"""The tls check: a handshake, and how long the certificate is still good.

The end of validity is read from the certificate itself (RFC 5280, section 4.1.2.5), because without verification the
TLS library shows nothing but its octets:

    Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version?, serialNumber, signature, issuer,
                               validity SEQUENCE { notBefore, notAfter }, ... }, ... }
"""

from datetime import UTC, datetime, timedelta

from yaoki.checks.check import Finding, TlsParams
from yaoki.checks.failure import passed, wrong_answer
from yaoki.packet.malformed import Flaw, Malformed

_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18


def judge(params: TlsParams, certificate: bytes, version: str, *, now: datetime, took: timedelta) -> Finding:
    """Of a completed handshake. `certificate` is the server's, in DER; `now` is wall time, as certificates are."""
    end = not_after(certificate)
    if isinstance(end, Malformed):
        return wrong_answer(f"certificate unreadable at octet {end.offset}", took)
    days = (end - now).days
    if end <= now:
        return wrong_answer(f"certificate expired on {end:%Y-%m-%d}", took)
    if days < params.min_days:
        return wrong_answer(f"certificate expires in {days} days, on {end:%Y-%m-%d}", took)
    return passed(f"{version}, certificate good for {days} days", took)


def not_after(certificate: bytes) -> datetime | Malformed[Flaw]:
    """The end of validity of a certificate in DER."""
    reader = _Der(certificate)
    try:
        reader.enter(_SEQUENCE)  # Certificate
        reader.enter(_SEQUENCE)  # tbsCertificate
        if reader.tag() == _VERSION:
            reader.skip()
        for _ in ("serialNumber", "signature", "issuer"):
            reader.skip()
        reader.enter(_SEQUENCE)  # validity
        reader.skip()  # notBefore
        return reader.time()
    except (IndexError, ValueError):
        return Malformed(Flaw.TYPE, min(reader.at, len(certificate)))


class _Der:
    """A place in DER octets. Raises IndexError behind their end and ValueError for what is not expected there."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.at = 0

    def tag(self) -> int:
        return self._octets[self.at]

    def enter(self, tag: int) -> None:
        """Step to the content of a value of this tag."""
        if self.tag() != tag:
            raise ValueError(f"tag {self.tag():#x} where {tag:#x} is expected")
        self.at, _ = self._content()

    def skip(self) -> None:
        """Step behind a value of any tag."""
        start, length = self._content()
        self.at = start + length

    def time(self) -> datetime:
        """RFC 5280 4.1.2.5.1: UTCTime is YYMMDDHHMMSSZ, with years from 1950; GeneralizedTime has four digits."""
        start, length = self._content()
        text = self._octets[start : start + length].decode("ascii")
        if self.tag() == _UTC_TIME:
            text = ("19" if text[:2] >= "50" else "20") + text
        elif self.tag() != _GENERALIZED_TIME:
            raise ValueError(f"tag {self.tag():#x} is not a time")
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)

    def _content(self) -> tuple[int, int]:
        """Start and length of the content of the value here."""
        length = self._octets[self.at + 1]
        start = self.at + 2
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 4:
                raise ValueError(f"a length of {octets} octets")
            length = int.from_bytes(self._octets[start : start + octets])
            start += octets
        if start + length > len(self._octets):
            raise IndexError(f"a value of {length} octets reaches behind the end")
        return start, length
