"""Connectors, meters and transactions: what outlives a socket. Knows no OCPP version."""

import time
import uuid
from dataclasses import dataclass, field


@dataclass
class Meter:
    """An energy register in Wh that runs, while a car charges, at `watts` times `speed`."""

    watts: float
    speed: float
    register: float
    _since: float | None = None

    def start(self) -> None:
        self._since = time.monotonic()

    def stop(self) -> None:
        self.read()
        self._since = None

    def read(self) -> int:
        if self._since is not None:
            now = time.monotonic()
            self.register += self.watts * self.speed * (now - self._since) / 3600
            self._since = now
        return int(self.register)


@dataclass
class Transaction:
    tag: str
    meter_start: int
    remote_start_id: int | None = None
    # OCPP 2.0.1: the charger's own; 1.6: given by the central system once it answers StartTransaction.
    id: str | int | None = None
    ending: bool = False
    _seq: int = -1

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq


@dataclass
class Connector:
    id: int
    meter: Meter
    status: str = "Available"
    transaction: Transaction | None = None


@dataclass
class Hardware:
    connectors: list[Connector] = field(default_factory=list)

    @classmethod
    def build(cls, connectors: int, power_kw: float, speed: float, register: int) -> "Hardware":
        return cls([Connector(n, Meter(power_kw * 1000, speed, register)) for n in range(1, connectors + 1)])

    def free(self, wanted: int | None) -> Connector | None:
        return next((c for c in self.connectors if c.transaction is None and wanted in (None, c.id)), None)

    def charging(self, transaction_id: str | int) -> Connector | None:
        return next(
            (
                c
                for c in self.connectors
                if c.transaction and c.transaction.id == transaction_id and not c.transaction.ending
            ),
            None,
        )


def transaction_id() -> str:
    return str(uuid.uuid4())
