"""The checkers of a real_server as checks of ours: what is sent, what is expected, and at what pace.

keepalived probes every delay_loop while all is well, and after a failure up to `retry` times more, delay_before_retry
apart: that is interval, fall and fast-interval here. One success makes a server up again.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from yaoki.checks.check import HttpParams, IcmpParams, KindParams, Schedule, ScriptParams, TcpParams, UdpParams
from yaoki.core.address import IPAddress
from yaoki.site.foreign.keepalived.blocks import Statement
from yaoki.site.foreign.keepalived.configuration import Check
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.values import account, address, command, number, seconds
from yaoki.site.kinds import MAX_TEXT

_SECOND = timedelta(seconds=1)
_SHORTEST = timedelta(milliseconds=10)
_REGISTERED = tuple(sorted(status.value for status in HTTPStatus if status.value >= 200))
_DEFAULT_STATUS = tuple(status for status in _REGISTERED if status < 300)
_STATUS = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")
_PATH = re.compile(r"/[!-~]{0,1024}")
HOST = re.compile(r"[!-~]{1,255}")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]+")

KINDS = {"TCP_CHECK", "HTTP_GET", "SSL_GET", "MISC_CHECK", "UDP_CHECK", "PING_CHECK", "SMTP_CHECK"}
UNKNOWN_KINDS = {
    "DNS_CHECK": "DNS is not asked here; write a udp or script check",
    "BFD_CHECK": "BFD is not spoken; write a neighbour check",
    "FILE_CHECK": "files are not watched; write a script check",
}
PACE = ("delay_loop", "retry", "delay_before_retry", "connect_timeout", "warmup", "alpha", "log_all_failures")
_RETRIES = {"MISC_CHECK": 0}
_BEFORE_RETRY = {"HTTP_GET": 3 * _SECOND, "SSL_GET": 3 * _SECOND}
_NOT_TAKEN = {
    "connect_ip": "a server is checked at its own address",
    "bindto": "probes leave from the node's own address",
    "bind_if": "probes leave by the route to the server",
    "bind_port": "probes leave from a port of the kernel's choice",
    "fwmark": "probes are not marked",
    "misc_dynamic": "a check passes or fails; weights are set by people and by slow start",
    "min_reply_length": "the length of an answer does not count",
    "max_reply_length": "the length of an answer does not count",
    "helo_name": "only a connection is made",
    "http_protocol": "HTTP/1.1 is spoken",
}
_NOT_NEEDED = {
    "fast_recovery": "several checks of a server run side by side",
    "enable_sni": "the host is sent as the server's name",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """The schedule as it stands where a checker is met: each value with the statement it is from, innermost first."""

    said: dict[str, Statement]

    def within(self, block: Statement) -> "Pace":
        """The pace inside a block, which may say something else."""
        inner = {item.keyword: item for item in block.items if item.keyword in PACE}
        return Pace(self.said | inner)


class CheckerReader:
    """Reads checkers; every statement of theirs gets its remark."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def pace(self, block: Statement, outer: Pace) -> Pace:
        """The pace inside a block, with a remark on what it says."""
        for item in block.items:
            match item.keyword:
                case "delay_loop":
                    self._report.taken(item, "the interval of its checks")
                case "retry":
                    self._report.taken(item, "fall: one more than it")
                case "delay_before_retry":
                    self._report.taken(item, "the fast-interval of its checks")
                case "connect_timeout":
                    self._report.taken(item, "the timeout of its checks")
                case "warmup":
                    self._report.not_needed(item, "checks are spread by themselves")
                case "alpha":
                    self._report.not_needed(item, "a server takes nothing before its first verdict")
                case "log_all_failures":
                    self._report.not_needed(item, "yaoki show checks has the last result of each")
                case _:
                    pass
        return outer.within(block)

    def checks(self, block: Statement, outer: Pace, server: IPAddress, host: str | None) -> tuple[Check, ...]:
        """The checks that a checker stands for: one for each url of HTTP_GET, one for any other."""
        pace = self.pace(block, outer)
        said = {item.keyword: item for item in block.items}
        port = number(said["connect_port"].first(), 1, 65535) or 0 if "connect_port" in said else 0
        kind = block.keyword
        params = self._params(block, said, port, host)
        schedule = self._schedule(kind, pace, said)
        if "connect_port" in said:
            self._report.taken(said["connect_port"], "port")
        if "connect_ip" in said and address(said["connect_ip"].first()) == server:
            self._report.not_needed(said["connect_ip"], "it is the server's own")
        for item in block.items:
            if item.keyword in _NOT_NEEDED:
                self._report.not_needed(item, _NOT_NEEDED[item.keyword])
            elif not self._report.knows(item):
                self._report.whole_not_taken(item, _NOT_TAKEN.get(item.keyword, "it is not known here"))
        if kind == "SMTP_CHECK":
            self._report.changed(block, "a tcp check: a connection is made, no SMTP is spoken")
        elif params:
            self._report.taken(block, "a check")
        return tuple(Check(found, schedule, block) for found in params)

    def _params(
        self, block: Statement, said: dict[str, Statement], port: int, host: str | None
    ) -> tuple[KindParams, ...]:
        match block.keyword:
            case "HTTP_GET" | "SSL_GET":
                urls = [item for item in block.items if item.keyword == "url"]
                if "virtualhost" in said and HOST.fullmatch(said["virtualhost"].first() or "") is not None:
                    host = said["virtualhost"].first()
                    self._report.taken(said["virtualhost"], "host")
                tls = block.keyword == "SSL_GET"
                return tuple(self._url(url, port, host, tls=tls) for url in urls) or (HttpParams(port, tls=tls),)
            case "MISC_CHECK":
                return self._script(block, said)
            case "UDP_CHECK":
                return (self._udp(said, port),)
            case "PING_CHECK":
                return (IcmpParams(),)
            case _:
                return (TcpParams(port),)

    def _url(self, url: Statement, port: int, host: str | None, *, tls: bool) -> HttpParams:
        self._report.taken(url, "an http check")
        path, body = "/", None
        status = _DEFAULT_STATUS
        for item in url.items:
            match item.keyword:
                case "path" if _PATH.fullmatch(item.first() or "") is not None:
                    path = item.first() or path
                    self._report.taken(item, "path")
                case "status_code":
                    status = self._status(item) or status
                case "virtualhost" if HOST.fullmatch(item.first() or "") is not None:
                    host = item.first()
                    self._report.taken(item, "host")
                case "regex" if _compiles(item.first()):
                    body = item.first()
                    self._report.taken(item, "expect: body")
                case "digest":
                    self._report.not_taken(
                        item, "a digest says nothing to a reader; expect a status or a text of the body"
                    )
                case "regex_no_match":
                    body = None
                    self._report.not_taken(item, "what is expected is found, not missed; the regex goes with it")
                case _:
                    self._report.not_taken(item, "it has no counterpart")
        if any(item.keyword == "regex_no_match" for item in url.items):
            body = None
        return HttpParams(port, path=path, host=host, status=status, body=body, tls=tls)

    def _status(self, item: Statement) -> tuple[int, ...]:
        found: set[int] = set()
        for word in item.values:
            matched = _STATUS.fullmatch(word)
            if matched is None:
                self._report.not_taken(item, f"{word} is no status")
                return ()
            low, high = int(matched[1]), int(matched[2] or matched[1])
            registered = {status for status in _REGISTERED if low <= status <= high}
            found |= {low} if matched[2] is None else registered
        self._report.taken(item, "expect: status; of ranges, those that are registered")
        return tuple(sorted(found))

    def _script(self, block: Statement, said: dict[str, Statement]) -> tuple[KindParams, ...]:
        program = command(said["misc_path"].first()) if "misc_path" in said else None
        if program is None:
            self._report.whole_not_taken(block, "it has no misc_path that could be run")
            return ()
        self._report.taken(said["misc_path"], "command")
        if "misc_timeout" in said:
            self._report.taken(said["misc_timeout"], "timeout")
        if "user" in said and (user := account(said["user"].first())) is not None:
            self._report.taken(said["user"], "user")
            return (ScriptParams(program, user),)
        self._report.changed(said["misc_path"], "command; it runs as nobody, for no user is named")
        return (ScriptParams(program),)

    def _udp(self, said: dict[str, Statement], port: int) -> UdpParams:
        send = expect = b""
        if "payload" in said:
            send = self._octets(said["payload"], "send")
        if "require_reply" in said:
            expect = self._octets(said["require_reply"], "expect")
        return UdpParams(port, send=send, expect=expect, require_answer="require_reply" in said)

    def _octets(self, item: Statement, key: str) -> bytes:
        words = [word if len(word) % 2 == 0 else f"0{word}" for word in item.values]
        if any(_HEXADECIMAL.fullmatch(word) is None for word in words) or len("".join(words)) > MAX_TEXT:
            self._report.not_taken(item, "it is more than hexadecimal digits")
            return b""
        self._report.taken(item, key if words else "require-answer: true")
        return bytes.fromhex("".join(words))

    def _schedule(self, kind: str, pace: Pace, said: dict[str, Statement]) -> Schedule:
        interval = self._time(pace.said.get("delay_loop"), 60 * _SECOND)
        timeout = self._time(pace.said.get("connect_timeout"), 5 * _SECOND)
        if kind == "MISC_CHECK":
            # Without misc_timeout a script may last as long as the loop.
            timeout = self._time(said.get("misc_timeout"), interval)
        retry = pace.said.get("retry")
        retries = number(None if retry is None else retry.first(), 0, 99)
        if retry is not None and retries is None:
            self._report.not_taken(retry, "its value is no whole number 0..99")
        fall = 1 + (_RETRIES.get(kind, 1) if retries is None else retries)
        again = self._time(pace.said.get("delay_before_retry"), _BEFORE_RETRY.get(kind, _SECOND))
        fast = again if fall > 1 and again < interval else None
        return Schedule(
            interval=interval, timeout=min(timeout, timedelta(hours=1)), fall=fall, rise=1, fast_interval=fast
        )

    def _time(self, item: Statement | None, default: timedelta) -> timedelta:
        if item is None:
            return default
        value = seconds(item.first())
        if value is None or not _SHORTEST <= value <= timedelta(days=1):
            self._report.not_taken(item, f"its value is no time of 0.01..86400 seconds; {default} stands in its place")
            return default
        return value


def _compiles(text: str | None) -> bool:
    try:
        return text is not None and len(text) <= MAX_TEXT and re.compile(text) is not None
    except (re.error, OverflowError, RecursionError):
        return False
