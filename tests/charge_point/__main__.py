"""`python -m charge_point --url ws://127.0.0.1:4002/ocpp/CP-1 --version 1.6 --password …`: one charger, until SIGTERM."""

import argparse
import asyncio
import base64
import logging
import random
import signal
import ssl
import sys
from urllib.parse import unquote, urlsplit

import websockets

from . import ocpp16, ocpp201
from .delivery import Delivery
from .hardware import Hardware
from .journal import Journal
from .station import Conduct, Station

VERSIONS = {
    "1.6": (ocpp16.SUBPROTOCOL, ocpp16.Forms16, ocpp16.Dialect16),
    "2.0.1": (ocpp201.SUBPROTOCOL, ocpp201.Forms201, ocpp201.Dialect201),
}
LONGEST_WAIT = 30


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="charge_point", description=__doc__)
    parser.add_argument("--url", required=True, help="with the identity as its last segment, percent-encoded")
    parser.add_argument("--version", required=True, choices=VERSIONS)
    parser.add_argument("--password", help="HTTP Basic password; the user name is the identity")
    parser.add_argument("--ca", help="PEM file to trust, for wss")
    parser.add_argument("--connectors", type=int, default=1)
    parser.add_argument("--power-kw", type=float, default=11)
    parser.add_argument("--speed", type=float, default=60, help="the meter runs this much faster than the clock")
    parser.add_argument("--register", type=int, default=1000, help="the meters' reading at the start, in Wh")
    parser.add_argument("--meter-interval", type=float, default=1, help="seconds")
    parser.add_argument("--heartbeat-interval", type=float, help="seconds; else what the central system asks for")
    parser.add_argument("--unplug-after", type=float, default=0.2, help="seconds from the stop until the car leaves")
    parser.add_argument("--authorize", action="store_true", help="authorize the tag of a remote start first")
    parser.add_argument("--once", action="store_true", help="exit with status 0 after one charge")
    parser.add_argument("--duplicate", action="store_true", help="send each message about a transaction twice")
    parser.add_argument("--drop-before-stop", action="store_true", help="lose the socket before the first stop is told")
    parser.add_argument("--json-log", action="store_true", help="one JSON object a line")
    return parser.parse_args()


async def stay_connected(args: argparse.Namespace, identity: str, station: Station) -> None:
    subprotocol, _, dialect = VERSIONS[args.version]
    headers = {}
    if args.password is not None:
        credentials = base64.b64encode(f"{identity}:{args.password}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    tls = ssl.create_default_context(cafile=args.ca) if args.url.startswith("wss:") else None
    wait = 0.5
    while True:
        try:
            async with websockets.connect(
                args.url, subprotocols=[subprotocol], additional_headers=headers, ssl=tls, proxy=None
            ) as socket:
                station.journal.tell("connected", subprotocol=socket.subprotocol)
                if socket.subprotocol != subprotocol:
                    raise ConnectionError(f"the central system did not agree to {subprotocol}")
                wait = 0.5
                await station.run(dialect(identity, socket, station))
        except* (OSError, websockets.WebSocketException, asyncio.TimeoutError) as lost:
            first = lost.exceptions[0]
            station.journal.tell("disconnected", reason=f"{type(first).__name__}: {first}", retryIn=round(wait, 2))
        if station.finished.is_set():
            return
        await asyncio.sleep(wait)
        # Spread, so that a street of chargers does not come back in the same second.
        wait = min(wait * 2, LONGEST_WAIT) * random.uniform(0.8, 1.2)


async def main() -> None:
    args = arguments()
    identity = unquote(urlsplit(args.url).path.rsplit("/", 1)[-1])
    journal = Journal(identity, args.json_log)
    logging.getLogger("ocpp").setLevel(logging.CRITICAL)
    conduct = Conduct(
        meter_interval=args.meter_interval,
        heartbeat_interval=args.heartbeat_interval,
        unplug_after=args.unplug_after,
        authorize=args.authorize,
        drop_before_stop=args.drop_before_stop,
        once=args.once,
    )
    station = Station(
        Hardware.build(args.connectors, args.power_kw, args.speed, args.register),
        VERSIONS[args.version][1](),
        Delivery(journal, args.duplicate),
        conduct,
        journal,
    )
    for wanted in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(wanted, station.finished.set)
    connected = asyncio.create_task(stay_connected(args, identity, station))
    finished = asyncio.create_task(station.finished.wait())
    await asyncio.wait({connected, finished}, return_when=asyncio.FIRST_COMPLETED)
    if connected.done():
        connected.result()
    await station.hang_up()
    connected.cancel()
    await asyncio.gather(connected, return_exceptions=True)
    journal.tell("exit")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
