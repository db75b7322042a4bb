"""The charge point's conduct, the same in every OCPP version: boot, beat, start and stop when asked, measure between."""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from .delivery import Delivery
from .hardware import Connector, Hardware, Transaction
from .journal import Journal, now


@dataclass(frozen=True)
class Conduct:
    """Seconds throughout."""

    meter_interval: float
    heartbeat_interval: float | None
    unplug_after: float
    authorize: bool
    drop_before_stop: bool
    once: bool


class Dialect(ABC):
    """One OCPP version, on one socket."""

    @abstractmethod
    async def boot(self) -> tuple[str, int]:
        """The registration status and the interval."""

    @abstractmethod
    async def heartbeat(self) -> None: ...

    @abstractmethod
    async def authorize(self, tag: str) -> bool: ...

    @abstractmethod
    async def status(self, connector: Connector, status: str) -> None: ...

    @abstractmethod
    async def serve(self) -> None:
        """Answers calls until the socket closes."""

    @abstractmethod
    async def send(self, payload: Any, suppress: bool) -> Any: ...

    @abstractmethod
    async def close(self) -> None: ...


class Forms(ABC):
    """How one OCPP version words the life of a transaction; needs no socket."""

    @abstractmethod
    def started(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any: ...

    @abstractmethod
    def charging(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any | None: ...

    @abstractmethod
    def metered(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any: ...

    @abstractmethod
    def ended(
        self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool, reason: str
    ) -> Any: ...

    @abstractmethod
    def accepted(self, tx: Transaction, answer: Any) -> bool:
        """Takes what the answer to `started` holds; whether the driver may charge."""


class Station:
    def __init__(self, hardware: Hardware, forms: Forms, delivery: Delivery, conduct: Conduct, journal: Journal):
        self.hardware = hardware
        self.forms = forms
        self.delivery = delivery
        self.conduct = conduct
        self.journal = journal
        self.finished = asyncio.Event()
        self._dialect: Dialect | None = None
        self._dropped = False
        self._tasks: set[asyncio.Task] = set()

    async def run(self, dialect: Dialect) -> None:
        """One socket, from boot until it closes."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(dialect.serve())
            interval = await self._boot(dialect)
            self._dialect = dialect
            try:
                for connector in self.hardware.connectors:
                    await self._tell_status(connector, connector.status)
                tasks.create_task(self.delivery.run(dialect.send))
                self.journal.tell("ready", heartbeatInterval=interval)
                while True:
                    await asyncio.sleep(interval)
                    await dialect.heartbeat()
                    self.journal.tell("heartbeat")
            finally:
                self._dialect = None

    async def hang_up(self) -> None:
        if self._dialect is not None:
            await self._dialect.close()

    async def _boot(self, dialect: Dialect) -> float:
        while True:
            status, interval = await dialect.boot()
            self.journal.tell("boot", status=status, interval=interval)
            if status == "Accepted":
                return self.conduct.heartbeat_interval or interval or 60
            await asyncio.sleep(interval or 1)

    def soon(self, work) -> None:
        """Runs `work` beside the socket: a charge goes on when the socket does not."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.journal.tell("fault", error=repr(task.exception()))

    def reserve(self, connector: Connector, tag: str, remote_start_id: int | None, own_id: str | None) -> None:
        """Taken at once, so that a second request finds the connector busy."""
        connector.transaction = Transaction(tag, connector.meter.read(), remote_start_id, own_id)

    async def start(self, connector: Connector) -> None:
        tx = connector.transaction
        await self._tell_status(connector, "Preparing")
        if self.conduct.authorize and self._dialect is not None:
            allowed = await self._dialect.authorize(tx.tag)
            self.journal.tell("authorize", tag=tx.tag, accepted=allowed)
            if not allowed:
                connector.transaction = None
                await self._tell_status(connector, "Available")
                return
        self._put(connector, tx, self.forms.started, self._started(connector, tx))

    def _started(self, connector: Connector, tx: Transaction):
        async def answered(answer: Any) -> None:
            if answer is None:
                connector.transaction = None
                self.soon(self._tell_status(connector, "Available"))
                return
            accepted = self.forms.accepted(tx, answer)
            self.journal.tell("started", connector=connector.id, transaction=tx.id, tag=tx.tag, accepted=accepted)
            if accepted:
                self.soon(self._charge(connector, tx))
            else:
                self.soon(self.stop(connector, "DeAuthorized"))

        return answered

    async def _charge(self, connector: Connector, tx: Transaction) -> None:
        connector.meter.start()
        await self._tell_status(connector, "Charging")
        self._put(connector, tx, self.forms.charging)
        while not tx.ending:
            await asyncio.sleep(self.conduct.meter_interval)
            if not tx.ending:
                self._put(connector, tx, self.forms.metered)
                self.journal.tell("meter", connector=connector.id, wh=connector.meter.read() - tx.meter_start)

    async def stop(self, connector: Connector, reason: str) -> None:
        tx = connector.transaction
        if tx is None or tx.ending:
            return
        tx.ending = True
        connector.meter.stop()
        if self.conduct.drop_before_stop and not self._dropped and self._dialect is not None:
            self._dropped = True
            self.journal.tell("drop")
            await self._dialect.close()
        energy = connector.meter.read() - tx.meter_start

        async def answered(_: Any) -> None:
            self.journal.tell("stopped", connector=connector.id, transaction=tx.id, wh=energy, reason=reason)
            self.soon(self._unplug(connector))

        self._put(connector, tx, self.forms.ended, answered, reason)

    async def _unplug(self, connector: Connector) -> None:
        await self._tell_status(connector, "Finishing")
        await asyncio.sleep(self.conduct.unplug_after)
        connector.transaction = None
        await self._tell_status(connector, "Available")
        if self.conduct.once:
            self.finished.set()

    def _put(self, connector: Connector, tx: Transaction, form, answered=None, *more) -> None:
        reading, at = connector.meter.read(), now()
        built: list[Any] = []

        def build(offline: bool) -> Any:
            # Once: a message sent again keeps its sequence number.
            if not built:
                built.append(form(connector, tx, reading, at, offline, *more))
            return built[0]

        self.delivery.put(build, answered)

    async def _tell_status(self, connector: Connector, status: str) -> None:
        """A status is not kept for later: after a reconnect the one of that moment is told."""
        connector.status = status
        self.journal.tell("status", connector=connector.id, status=status)
        if self._dialect is None:
            return
        try:
            await self._dialect.status(connector, status)
        except Exception as lost:  # noqa: BLE001 - whatever broke, the socket's own task reports and reconnects
            self.journal.tell("statusLost", connector=connector.id, error=repr(lost))
