"""What the charge point tells of itself: one line a step on stdout, for a person or, as JSON, for a test to wait on."""

import json
from datetime import datetime, timezone


def now() -> str:
    """The time as OCPP writes it: RFC 3339, UTC, milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Journal:
    def __init__(self, identity: str, as_json: bool):
        self._identity = identity
        self._as_json = as_json

    def tell(self, event: str, **fields) -> None:
        fields = {name: value for name, value in fields.items() if value is not None}
        if self._as_json:
            print(json.dumps({"event": event, "chargePoint": self._identity, "at": now(), **fields}), flush=True)
            return
        details = "  ".join(f"{name}={value}" for name, value in fields.items())
        print(f"{now()[11:23]}  {self._identity}  {event:<18} {details}".rstrip(), flush=True)
