"""Run the witness: the store of leases for a site that has no three machines for etcd, on a third machine.

It keeps the leases of VIPs with `election: lease` where the site file says `store: {kind: witness, endpoint: ...}`. Its
machine must be none that may own such a VIP. It can serve several sites. While it does not run, no lease is taken or
renewed: owners fall silent within the lease's duration, and nobody owns until it is back.

Its state directory is never to be restored from a backup or a snapshot of the machine, which could bring back an owner
that has been replaced. A lost one is no danger: start with an empty one. With --ca it speaks TLS, and only with clients
whose certificate that has signed. SIGTERM ends it. Exit status 0: ended as asked; 1: the disk or the address failed;
2: another witness uses the state directory, or its ledger is damaged.

examples:
  yaoki witness
  yaoki witness --listen 192.0.2.31:2379 --state-dir /var/lib/yaoki-witness
  yaoki witness --ca ca.pem --certificate witness.pem --key witness.key
"""

import argparse
import asyncio
import signal
import ssl
from pathlib import Path

from yaoki.cli.output import talk
from yaoki.cli.typed import endpoint
from yaoki.core.error import UsageError
from yaoki.election.store import ETCD_PORT
from yaoki.runtime.witness.ledger import Ledger
from yaoki.runtime.witness.server import WitnessServer

STATE_DIR = Path("/var/lib/yaoki-witness")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--listen", metavar="ADDRESS:PORT", default=f":{ETCD_PORT}", help=f"default: every address, port {ETCD_PORT}"
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", default=STATE_DIR, help=f"default: {STATE_DIR}")
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="its own certificate")
    parser.add_argument("--key", type=Path, metavar="PEM", help="the certificate's private key")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="who signed the clients' certificates")


def run(args: argparse.Namespace) -> int:
    """Serve until told to end."""
    host, port = _address(args.listen)
    try:
        tls = _tls(args)
        ledger = Ledger(args.state_dir)
    except OSError as error:
        raise UsageError(f"{error.filename or args.certificate}: {error.strerror or error}") from error
    try:
        return asyncio.run(_serve(WitnessServer(ledger), host, port, tls, len(ledger.keys)))
    finally:
        ledger.close()


async def _serve(server: WitnessServer, host: str | None, port: int, tls: ssl.SSLContext | None, leases: int) -> int:
    def listening(at: tuple[str, int]) -> None:
        talk(f"witness: serves on {at[0]} port {at[1]}, with {leases} leases on its disk")

    serving = asyncio.ensure_future(server.serve(host, port, tls, listening))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        return 0
    except OSError as error:
        talk(f"witness: {error}; nothing more is promised")
    return 1


def _address(text: str) -> tuple[str | None, int]:
    """Port 0 is any free one."""
    host, port = endpoint(text, least_port=0, example="192.0.2.31:2379 or [2001:db8::31]:2379")
    return host or None, port


def _tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    """Raises OSError if a file cannot be read or is not of its kind."""
    files = (args.ca, args.certificate, args.key)
    if not any(files):
        return None
    if not all(files):
        raise UsageError("TLS needs all three: --ca, --certificate and --key")
    for path in files:
        path.open("rb").close()  # ssl's own errors do not say which file
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=args.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(args.certificate, args.key)
    return context
