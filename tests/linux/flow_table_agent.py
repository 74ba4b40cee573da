"""Does with a namespace's table of flows what a test asks for: a request a line in, an answer a line out."""

import sys
from dataclasses import dataclass

from yaoki.core.address import Family
from yaoki.core.codec import Codec
from yaoki.lb.flow import Flow
from yaoki.lb.service import ServiceKey
from yaoki.linux.flow_table import FlowNews, FlowReader, FlowWriter


@dataclass(frozen=True, slots=True)
class Put:
    """Put these there; the answer has none, or is how many were refused as `number`."""

    flows: tuple[Flow, ...]
    owned: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """All flows of these services, and of those of what was to be put."""

    services: tuple[ServiceKey, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """What was told since the last time; `all`: of what we put there ourselves, too."""

    all: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """An answer."""

    flows: tuple[Flow, ...] = ()
    number: int = 0


Request = Put | Read | News


def main() -> None:
    """Once."""
    codec = Codec()
    requests: list[Request] = [codec.decode(line, Request) for line in sys.stdin.buffer]
    writer = FlowWriter()
    news, all_news = FlowNews((writer.id,)), FlowNews(())
    services = {flow.service for request in requests if isinstance(request, Put) for flow in request.flows}
    services |= {key for request in requests if isinstance(request, Read) for key in request.services}
    answers = []
    for request in requests:
        match request:
            case Put(flows, owned):
                answers.append(Told(number=writer.put(flows, owned=owned)))
            case News(all_):
                answers.append(Told(tuple((all_news if all_ else news).read(services)[0])))
            case Read():
                reader, found, last = FlowReader(), list[Flow](), False
                reader.begin(Family)
                while not last:
                    part, last = reader.read(services)
                    found += part
                answers.append(Told(tuple(found)))
    sys.stdout.buffer.write(b"".join(codec.encode(answer) + b"\n" for answer in answers))


if __name__ == "__main__":
    main()
