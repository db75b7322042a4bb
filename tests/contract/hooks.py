"""Leads schemathesis through the stack's own data, so that well-formed requests meet stations, slots, holds and bookings
that are there, and webhooks are signed. What it breaks on purpose stays broken. Counts every answer.

`CONTRACT_STAGE` names a JSON file with the stage that the proof has set; `CONTRACT_TALLY` the file for the counts.
"""

import atexit
import base64
import collections
import datetime
import hashlib
import hmac
import itertools
import json
import os
import socket
import time
import urllib.parse
import uuid

import requests
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import CoverageScenario

with open(os.environ["CONTRACT_STAGE"], encoding="utf-8") as file:
    STAGE = json.load(file)

# Of four well-formed requests, one is left as it was generated.
LED = itertools.cycle([True, True, True, False])
STATIONS = itertools.cycle(STAGE["stations"])
SLOTS = itertools.count()
# Each hour of each connector within the 30 days that can be held.
HOURS = 24 * 28
# Holds are limited to 60 an hour: counted anew before that.
HOLDS_BEFORE_RESET = 40
# What waits for being confirmed or cancelled; more would meet the limits of one driver.
MOST_HOLDS = 1
MOST_TAKEN = 2
MOST_BOOKINGS = 4

tally = collections.defaultdict(collections.Counter)
asked_for_holds = itertools.count(1)
holds, taken, bookings = collections.deque(), collections.deque(), collections.deque()
known = set()
driver = requests.Session()
driver.headers["Authorization"] = f"Bearer {STAGE['token']}"


class Signed(requests.auth.AuthBase):
    """A webhook of the stage's vendor, whatever its body."""

    def __call__(self, request):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        webhook, moment = f"msg_{uuid.uuid4().hex}", str(int(time.time()))
        secret = base64.b64decode(STAGE["vendor"]["secret"].removeprefix("whsec_"))
        mac = hmac.new(secret, f"{webhook}.{moment}.".encode() + body, hashlib.sha256)
        request.headers.update({
            "x-vendor-id": STAGE["vendor"]["id"],
            "webhook-id": webhook,
            "webhook-timestamp": moment,
            "webhook-signature": "v1," + base64.b64encode(mac.digest()).decode(),
        })
        return request


def ours(method, path, body=None):
    """Asks in the driver's name for what a request under test needs; its data."""
    answer = driver.request(method, STAGE["url"] + path, json=body, timeout=30)
    if not answer.ok:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer.json()["data"]


def moment(hours):
    now = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
    return (now + datetime.timedelta(hours=hours)).isoformat().replace("+00:00", "Z")


def slot():
    """An hour of a connector that nobody has asked for yet."""
    number = next(SLOTS)
    connectors = STAGE["connectors"]
    connector = connectors[number % len(connectors)]
    hour = 2 + number // len(connectors) % HOURS
    return {
        "stationId": connector["station"],
        "connectorId": connector["id"],
        "startTs": moment(hour),
        "endTs": moment(hour + 1),
    }


def count_holds_anew():
    """Forgets how many holds were asked for: one machine and one driver ask for more than a driver may."""
    if next(asked_for_holds) % HOLDS_BEFORE_RESET != 1:
        return
    redis = urllib.parse.urlparse(STAGE["redis"])
    script = "for _, key in ipairs(redis.call('KEYS', 'holds:a*')) do redis.call('DEL', key) end return 'OK'"
    words = [b"EVAL", script.encode(), b"0"]
    command = b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)])
    with socket.create_connection((redis.hostname, redis.port), timeout=10) as connection:
        connection.sendall(command)
        if not connection.recv(64).startswith(b"$2\r\nOK"):
            raise RuntimeError("the counters are not reset")


def a_hold():
    if holds:
        return holds.popleft()
    count_holds_anew()
    # What was led to a request that was refused is still held.
    while len(taken) >= MOST_TAKEN:
        ours("DELETE", f"/v1/bookings/holds/{taken.popleft()}")
    token = ours("POST", "/v1/bookings/holds", slot())["token"]
    taken.append(token)
    known.add(token)
    return token


def a_booking():
    if bookings:
        return bookings.popleft()
    booking = ours("POST", "/v1/bookings/confirm", {"holdToken": a_hold()})["id"]
    known.add(booking)
    return booking


def is_well_formed(case, location):
    component = case.meta.components.get(location)
    return component is None or component.mode.is_positive


def put_path(case, name, make):
    if is_well_formed(case, ParameterLocation.PATH) and case.path_parameters.get(name) not in known and next(LED):
        case.path_parameters[name] = make()


def put_body(case, fields):
    if is_well_formed(case, ParameterLocation.BODY) and isinstance(case.body, dict) and next(LED):
        case.body.update({name: make() for name, make in fields.items()})


def lead_station(case):
    put_path(case, "id", lambda: next(STATIONS))


def lead_availability(case):
    lead_station(case)
    if is_well_formed(case, ParameterLocation.QUERY) and next(LED):
        case.query.update({"startDate": moment(24)[:10], "endDate": moment(48)})


def lead_list(case):
    if is_well_formed(case, ParameterLocation.QUERY) and next(LED):
        case.query.update(STAGE["near"])
        case.query.pop("cursor", None)


def lead_hold(case):
    count_holds_anew()
    wanted = slot()
    put_body(case, {name: lambda value=value: value for name, value in wanted.items()})


def lead_release(case):
    put_path(case, "token", a_hold)


def lead_confirm(case):
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("holdToken"), str) and body["holdToken"] in known:
        return
    put_body(case, {"holdToken": a_hold})


def lead_cancel(case):
    put_path(case, "id", a_booking)


def lead_connector_status(case):
    fields = {"stationId": "station", "connectorId": "id", "vendorConnectorId": "vendorConnectorId"}
    put_body(case, {name: lambda key=key: STAGE["vendor"]["connector"][key] for name, key in fields.items()})


def lead_session_start(case):
    put_body(case, {"connectorId": lambda: STAGE["vendor"]["connector"]["id"]})


LEADS = {
    "getStation": lead_station,
    "getStationAvailability": lead_availability,
    "listStations": lead_list,
    "holdSlot": lead_hold,
    "releaseHold": lead_release,
    "confirmBooking": lead_confirm,
    "cancelBooking": lead_cancel,
    "reportConnectorStatus": lead_connector_status,
    "reportSessionStart": lead_session_start,
}


def operation_id(case):
    return case.operation.definition.raw["operationId"]


def is_of_the_contract(case):
    data = case.meta.phase.data if case.meta else None
    return getattr(data, "scenario", None) != CoverageScenario.UNSPECIFIED_HTTP_METHOD


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not is_of_the_contract(case):
        return
    operation = operation_id(case)
    if operation in LEADS:
        LEADS[operation](case)
    if operation.startswith("report") and is_well_formed(case, ParameterLocation.HEADER) and next(LED):
        kwargs["auth"] = Signed()


@schemathesis.hook
def after_call(context, case, response):
    if not is_of_the_contract(case):
        tally["others"][response.status_code] += 1
        return
    operation = operation_id(case)
    tally[operation][response.status_code] += 1
    if response.status_code != 200:
        return
    if operation == "holdSlot":
        token = response.json()["data"]["token"]
        keep(holds, MOST_HOLDS, token, lambda token: ours("DELETE", f"/v1/bookings/holds/{token}"))
    elif operation == "confirmBooking":
        booking = response.json()["data"]
        if booking["status"] == "CONFIRMED":
            keep(bookings, MOST_BOOKINGS, booking["id"], lambda id: ours("POST", f"/v1/bookings/{id}/cancel"))


def keep(waiting, most, item, give_back):
    known.add(item)
    if item not in waiting:
        waiting.append(item)
    while len(waiting) > most:
        give_back(waiting.popleft())


@schemathesis.check
def others_are_the_gateways(ctx, response, case):
    """A method that the contract does not have is no route: the gateway says so itself, with 404 instead of 405."""
    if is_of_the_contract(case):
        return
    assert response.status_code == 404, f"{case.method} {case.path} answers {response.status_code}"
    if case.method.upper() != "HEAD":
        assert response.json() == {"message": "Not Found"}, response.text


@atexit.register
def write_tally():
    with open(os.environ["CONTRACT_TALLY"], "w", encoding="utf-8") as file:
        json.dump(tally, file)
