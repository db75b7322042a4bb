"""OCPP 2.0.1 as `ocpp` speaks it."""

from typing import Any

from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call, call_result
from ocpp.v201.datatypes import (
    ChargingStationType,
    EVSEType,
    IdTokenType,
    MeterValueType,
    SampledValueType,
    TransactionType,
    UnitOfMeasureType,
)
from ocpp.v201.enums import Action

from .hardware import Connector, Transaction, transaction_id
from .journal import now
from .station import Dialect, Forms, Station

SUBPROTOCOL = "ocpp2.0.1"
# What the driver's token is, to the central system: a remote start names it, so it came from there.
TOKEN_TYPE = "Central"


class Forms201(Forms):
    def started(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any:
        remote = tx.remote_start_id is not None
        return self._event(
            "Started",
            "RemoteStart" if remote else "Authorized",
            connector,
            tx,
            reading,
            at,
            offline,
            context="Transaction.Begin",
            state="EVConnected",
            id_token=IdTokenType(id_token=tx.tag, type=TOKEN_TYPE),
        )

    def charging(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any:
        return self._event("Updated", "ChargingStateChanged", connector, tx, reading, at, offline, state="Charging")

    def metered(self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool) -> Any:
        return self._event("Updated", "MeterValuePeriodic", connector, tx, reading, at, offline, state="Charging")

    def ended(
        self, connector: Connector, tx: Transaction, reading: int, at: str, offline: bool, reason: str
    ) -> Any:
        triggers = {"Remote": "RemoteStop", "DeAuthorized": "Deauthorized", "Local": "StopAuthorized"}
        return self._event(
            "Ended",
            triggers[reason],
            connector,
            tx,
            reading,
            at,
            offline,
            context="Transaction.End",
            state="EVConnected",
            stopped_reason=reason,
        )

    def _event(
        self,
        event_type: str,
        trigger: str,
        connector: Connector,
        tx: Transaction,
        reading: int,
        at: str,
        offline: bool,
        *,
        state: str,
        context: str = "Sample.Periodic",
        stopped_reason: str | None = None,
        id_token: IdTokenType | None = None,
    ) -> Any:
        return call.TransactionEvent(
            event_type=event_type,
            timestamp=at,
            trigger_reason=trigger,
            seq_no=tx.next_seq(),
            offline=offline or None,
            transaction_info=TransactionType(
                transaction_id=tx.id,
                charging_state=state,
                stopped_reason=stopped_reason,
                remote_start_id=tx.remote_start_id if event_type == "Started" else None,
            ),
            evse=EVSEType(id=connector.id, connector_id=1),
            id_token=id_token,
            meter_value=[MeterValueType(timestamp=at, sampled_value=_sampled(connector, reading, context))],
        )

    def accepted(self, tx: Transaction, answer: Any) -> bool:
        return answer.id_token_info is None or answer.id_token_info["status"] == "Accepted"


def _sampled(connector: Connector, reading: int, context: str) -> list[SampledValueType]:
    return [
        SampledValueType(
            value=float(reading),
            context=context,
            measurand="Energy.Active.Import.Register",
            unit_of_measure=UnitOfMeasureType(unit="Wh"),
        ),
        SampledValueType(
            value=connector.meter.watts,
            context=context,
            measurand="Power.Active.Import",
            unit_of_measure=UnitOfMeasureType(unit="W"),
        ),
    ]


class Dialect201(ChargePoint, Dialect):
    def __init__(self, identity: str, socket: Any, station: Station):
        super().__init__(identity, socket)
        self._station = station
        self._starting: Connector | None = None

    async def boot(self) -> tuple[str, int]:
        answer = await self.call(
            call.BootNotification(
                reason="PowerUp",
                charging_station=ChargingStationType(
                    vendor_name="Mobilityhouse",
                    model="Demo 2.0.1",
                    firmware_version="1.0.0",
                    serial_number=self.id[:25],
                ),
            ),
            suppress=False,
        )
        return answer.status, answer.interval

    async def heartbeat(self) -> None:
        await self.call(call.Heartbeat(), suppress=False)

    async def authorize(self, tag: str) -> bool:
        answer = await self.call(
            call.Authorize(id_token=IdTokenType(id_token=tag, type=TOKEN_TYPE)), suppress=False
        )
        return answer.id_token_info["status"] == "Accepted"

    async def status(self, connector: Connector, status: str) -> None:
        """2.0.1 tells a connector's status only; that a car charges is told by its transaction."""
        await self.call(
            call.StatusNotification(
                timestamp=now(),
                connector_status="Available" if status == "Available" else "Occupied",
                evse_id=connector.id,
                connector_id=1,
            ),
            suppress=False,
        )

    async def serve(self) -> None:
        await ChargePoint.start(self)

    async def send(self, payload: Any, suppress: bool) -> Any:
        return await self.call(payload, suppress=suppress)

    async def close(self) -> None:
        await self._connection.close()

    @on(Action.request_start_transaction)
    def on_request_start(
        self, id_token: dict[str, Any], remote_start_id: int, evse_id: int | None = None, **_: Any
    ) -> Any:
        connector = self._station.hardware.free(evse_id)
        status = "Rejected" if connector is None else "Accepted"
        tag = id_token["id_token"]
        self._station.journal.tell(
            "remoteStart", tag=tag, connector=connector and connector.id, remoteStartId=remote_start_id, status=status
        )
        if connector is not None:
            self._station.reserve(connector, tag, remote_start_id, transaction_id())
            self._starting = connector
        return call_result.RequestStartTransaction(status=status)

    @after(Action.request_start_transaction)
    def after_request_start(self, **_: Any) -> None:
        connector, self._starting = self._starting, None
        if connector is not None:
            self._station.soon(self._station.start(connector))

    @on(Action.request_stop_transaction)
    def on_request_stop(self, transaction_id: str, **_: Any) -> Any:
        connector = self._station.hardware.charging(transaction_id)
        status = "Rejected" if connector is None else "Accepted"
        self._station.journal.tell("remoteStop", transaction=transaction_id, status=status)
        return call_result.RequestStopTransaction(status=status)

    @after(Action.request_stop_transaction)
    def after_request_stop(self, transaction_id: str, **_: Any) -> None:
        connector = self._station.hardware.charging(transaction_id)
        if connector is not None:
            self._station.soon(self._station.stop(connector, "Remote"))

    @on(Action.trigger_message)
    def on_trigger(self, requested_message: str, **_: Any) -> Any:
        known = requested_message in ("Heartbeat", "StatusNotification")
        return call_result.TriggerMessage(status="Accepted" if known else "NotImplemented")

    @after(Action.trigger_message)
    async def after_trigger(self, requested_message: str, evse: dict[str, Any] | None = None, **_: Any) -> None:
        if requested_message == "Heartbeat":
            await self.heartbeat()
        elif requested_message == "StatusNotification":
            for connector in self._station.hardware.connectors:
                if evse is None or evse["id"] == connector.id:
                    await self.status(connector, connector.status)
