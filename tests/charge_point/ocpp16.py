"""OCPP 1.6J as `ocpp` speaks it."""

from typing import Any

from ocpp.routing import after, on
from ocpp.v16 import ChargePoint, call, call_result
from ocpp.v16.enums import Action

from .hardware import Connector, Transaction
from .station import Dialect, Forms, Station

SUBPROTOCOL = "ocpp1.6"


class Forms16(Forms):
    def started(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any:
        return call.StartTransaction(
            connector_id=connector.id, id_tag=tx.tag, meter_start=tx.meter_start, timestamp=at
        )

    def charging(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any:
        return self._values(connector, tx, reading, at, "Transaction.Begin")

    def metered(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any:
        return self._values(connector, tx, reading, at, "Sample.Periodic")

    def _values(self, connector: Connector, tx: Transaction, reading: int, at: str, context: str) -> Any:
        return call.MeterValues(
            connector_id=connector.id,
            transaction_id=tx.id,
            meter_value=[{"timestamp": at, "sampledValue": _sampled(connector, reading, context)}],
        )

    def ended(
        self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool, reason: str
    ) -> Any:
        return call.StopTransaction(
            meter_stop=reading, timestamp=at, transaction_id=tx.id, reason=reason, id_tag=tx.tag
        )

    def accepted(self, tx: Transaction, answer: Any) -> bool:
        tx.id = answer.transaction_id
        return answer.id_tag_info["status"] == "Accepted"


def _sampled(connector: Connector, reading: int, context: str) -> list[dict[str, str]]:
    return [
        {"value": str(reading), "context": context, "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
        {
            "value": str(round(connector.meter.watts)),
            "context": context,
            "measurand": "Power.Active.Import",
            "unit": "W",
        },
    ]


class Dialect16(ChargePoint, Dialect):
    def __init__(self, identity: str, socket: Any, station: Station):
        super().__init__(identity, socket)
        self._station = station
        self._starting: Connector | None = None

    async def boot(self) -> tuple[str, int]:
        answer = await self.call(
            call.BootNotification(
                charge_point_vendor="Mobilityhouse",
                charge_point_model="Demo 1.6",
                firmware_version="1.0.0",
                charge_point_serial_number=self.id[:25],
            ),
            suppress=False,
        )
        return answer.status, answer.interval

    async def heartbeat(self) -> None:
        await self.call(call.Heartbeat(), suppress=False)

    async def authorize(self, tag: str) -> bool:
        answer = await self.call(call.Authorize(id_tag=tag), suppress=False)
        return answer.id_tag_info["status"] == "Accepted"

    async def status(self, connector: Connector, status: str) -> None:
        await self.call(
            call.StatusNotification(connector_id=connector.id, error_code="NoError", status=status), suppress=False
        )

    async def serve(self) -> None:
        await ChargePoint.start(self)

    async def send(self, payload: Any, suppress: bool) -> Any:
        return await self.call(payload, suppress=suppress)

    async def close(self) -> None:
        await self._connection.close()

    @on(Action.remote_start_transaction)
    def on_remote_start(self, id_tag: str, connector_id: int | None = None, **_: Any) -> Any:
        connector = self._station.hardware.free(connector_id)
        status = "Rejected" if connector is None else "Accepted"
        self._station.journal.tell("remoteStart", tag=id_tag, connector=connector and connector.id, status=status)
        if connector is not None:
            self._station.reserve(connector, id_tag, None, None)
            self._starting = connector
        return call_result.RemoteStartTransaction(status=status)

    @after(Action.remote_start_transaction)
    def after_remote_start(self, **_: Any) -> None:
        connector, self._starting = self._starting, None
        if connector is not None:
            self._station.soon(self._station.start(connector))

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int) -> Any:
        connector = self._station.hardware.charging(transaction_id)
        status = "Rejected" if connector is None else "Accepted"
        self._station.journal.tell("remoteStop", transaction=transaction_id, status=status)
        return call_result.RemoteStopTransaction(status=status)

    @after(Action.remote_stop_transaction)
    def after_remote_stop(self, transaction_id: int) -> None:
        connector = self._station.hardware.charging(transaction_id)
        if connector is not None:
            self._station.soon(self._station.stop(connector, "Remote"))

    @on(Action.trigger_message)
    def on_trigger(self, requested_message: str, **_: Any) -> Any:
        known = requested_message in ("Heartbeat", "StatusNotification")
        return call_result.TriggerMessage(status="Accepted" if known else "NotImplemented")

    @after(Action.trigger_message)
    async def after_trigger(self, requested_message: str, connector_id: int | None = None, **_: Any) -> None:
        if requested_message == "Heartbeat":
            await self.heartbeat()
        elif requested_message == "StatusNotification":
            for connector in self._station.hardware.connectors:
                if connector_id in (None, 0, connector.id):
                    await self.status(connector, connector.status)
