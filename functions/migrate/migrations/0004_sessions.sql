-- Charging sessions as drivers and operators move them. What chargers report of them is in 0006, what vendors do in 0017.

-- What every bill writes is of a domain where it has a rule: its condition is kept, while that of a column's CHECK is
-- read from the catalogue and planned by each statement that writes. With all of them so, a bill takes a fifth less time.
DO $$
BEGIN
    IF to_regtype('kilowatt_hours') IS NULL THEN
        CREATE DOMAIN kilowatt_hours AS numeric(12, 4) CHECK (VALUE >= 0);
    END IF;
    IF to_regtype('session_status') IS NULL THEN
        CREATE DOMAIN session_status AS text
        CHECK (VALUE IN ('STARTING', 'IN_PROGRESS', 'STOPPING', 'COMPLETED', 'FAILED', 'CANCELLED'));
    END IF;
END;
$$;

-- Ids are UUIDv7, so a range of ids is a range of time: the partition key and the primary key are one.
CREATE TABLE IF NOT EXISTS sessions (
    id                uuid PRIMARY KEY,
    user_id           uuid NOT NULL REFERENCES users,
    station_id        uuid NOT NULL REFERENCES stations,
    connector_id      uuid NOT NULL REFERENCES connectors,
    status            session_status NOT NULL,
    start_time        timestamptz,           -- by the charger's clock
    end_time          timestamptz,
    energy_kwh        kilowatt_hours NOT NULL DEFAULT 0,
    cost              numeric(14, 4),        -- what was billed
    currency          char(3),
    tariff_id         uuid,                  -- what it is billed by, of 0007: agreed when energy begins to flow
    reason            text,
    remote_start_id   integer NOT NULL,      -- by which an OCPP 2.0.1 charger names the request it begins with
    stop_requested_at timestamptz,           -- when the charger was last asked to stop
    stop_requests     integer NOT NULL DEFAULT 0,       -- how often it was
    energy_corrected  boolean NOT NULL DEFAULT false,   -- an operator's word on the energy, which no meter changes
    correlation_id    uuid NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX IF NOT EXISTS sessions_user ON sessions (user_id, id DESC);
CREATE INDEX IF NOT EXISTS sessions_station ON sessions (station_id, id DESC);
CREATE INDEX IF NOT EXISTS sessions_connector ON sessions (connector_id, id DESC);
CREATE INDEX IF NOT EXISTS sessions_active ON sessions (user_id, id DESC)
WHERE status IN ('STARTING', 'IN_PROGRESS', 'STOPPING');
CREATE TABLE IF NOT EXISTS sessions_default PARTITION OF sessions DEFAULT;

-- The smallest UUIDv7 of a moment.
CREATE OR REPLACE FUNCTION uuid_v7_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid;

-- Makes the partitions of the month of `from_moment` and of the `months` after it; existing ones stay.
CREATE OR REPLACE FUNCTION ensure_session_partitions(from_moment timestamptz, months integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    made integer := 0;
    partition_name text;
BEGIN
    FOR ahead IN 0..months LOOP
        month := date_trunc('month', from_moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => ahead);
        partition_name := 'sessions_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(partition_name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF sessions FOR VALUES FROM (%L) TO (%L) WITH (fillfactor = 70)', partition_name,
                uuid_v7_floor(month), uuid_v7_floor(month + interval '1 month'));
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END;
$$;

-- A connector serves one session at a time: this key says so, across partitions.
CREATE TABLE IF NOT EXISTS open_sessions (
    connector_id uuid PRIMARY KEY REFERENCES connectors,
    session_id   uuid NOT NULL UNIQUE REFERENCES sessions,
    user_id      uuid NOT NULL REFERENCES users
);
CREATE INDEX IF NOT EXISTS open_sessions_user ON open_sessions (user_id);

-- One request of an app, one session, however often it is repeated.
CREATE TABLE IF NOT EXISTS session_requests (
    user_id         uuid NOT NULL REFERENCES users,
    idempotency_key text NOT NULL,
    session_id      uuid NOT NULL REFERENCES sessions,
    request         jsonb NOT NULL,
    PRIMARY KEY (user_id, idempotency_key)
);

-- Charging networks' name for the same facts.
CREATE OR REPLACE VIEW charging_sessions AS
SELECT id, user_id, station_id, connector_id, status, start_time AS started_at, end_time AS ended_at, energy_kwh,
       cost AS cost_amount, currency, created_at, updated_at
FROM sessions;

-- When a session changes that was changed before: later than then by what rfc3339 shows, so that of two documents of
-- one session the newer can be told.
CREATE OR REPLACE FUNCTION next_update(previous timestamptz, moment timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN GREATEST(previous + interval '1 millisecond', moment);

-- A session as its owner sees it.
CREATE OR REPLACE FUNCTION session_document(session sessions) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', session.id,
        'userId', session.user_id,
        'stationId', session.station_id,
        'connectorId', session.connector_id,
        'status', session.status,
        'startTime', rfc3339(session.start_time),
        'endTime', rfc3339(session.end_time),
        'energyKWh', trim_scale(session.energy_kwh)::text,
        'cost', CASE WHEN session.cost IS NOT NULL THEN
            jsonb_build_object('amount', session.cost::text, 'currency', session.currency)
        END,
        'tariffId', session.tariff_id,
        'reason', session.reason,
        'createdAt', rfc3339(session.created_at),
        'updatedAt', rfc3339(session.updated_at)
    )
$$;

-- What every event of a session says of it.
CREATE OR REPLACE FUNCTION session_fields(session sessions) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'sessionId', session.id,
        'userId', session.user_id,
        'stationId', session.station_id,
        'connectorId', session.connector_id,
        'chargerId', (SELECT charger_id FROM connectors WHERE id = session.connector_id),
        'status', session.status,
        'energyKwh', trim_scale(session.energy_kwh),
        'startedAt', rfc3339(session.start_time),
        'tariffId', session.tariff_id,
        'reason', session.reason,
        'createdAt', rfc3339(session.created_at),
        'updatedAt', rfc3339(session.updated_at)
    )
$$;

-- Puts a session into another state and tells of it; one that is over leaves its connector. SESSION_STARTED and
-- SESSION_ENDED, which come from the facts of chargers and vendors alone, are 0006's and 0017's.
CREATE OR REPLACE FUNCTION move_session(moved uuid, to_status text, why text, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
BEGIN
    UPDATE sessions
    SET status = to_status, reason = COALESCE(why, reason), updated_at = next_update(updated_at, moment),
        stop_requested_at = CASE WHEN to_status = 'STOPPING' THEN moment ELSE stop_requested_at END,
        stop_requests = stop_requests + (to_status = 'STOPPING')::integer
    WHERE id = moved
    RETURNING * INTO session;
    IF to_status IN ('FAILED', 'CANCELLED') THEN
        DELETE FROM open_sessions WHERE session_id = moved;
    END IF;
    RETURN emit('SESSION_UPDATED', 1, 'session-service', session.correlation_id, moment, session_fields(session));
END;
$$;

-- Tells that a session is over and may be billed. Told again when an operator corrects it before it is.
CREATE OR REPLACE FUNCTION session_ended(session sessions, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN emit('SESSION_ENDED', 1, 'session-service', session.correlation_id, moment,
        session_fields(session) || jsonb_build_object(
            'endedAt', rfc3339(session.end_time),
            'durationMinutes', round(extract(epoch FROM session.end_time - session.start_time) / 60),
            'incomplete', session_is_incomplete(session.id),
            'corrected', session.energy_corrected OR session.reason IS NOT DISTINCT FROM 'OPERATOR'
        ));
END;
$$;

-- Whom a connector is kept for: the driver of the booking of 0015 that runs and waits for them, else of the one that
-- begins within ten minutes; none when there is none.
CREATE OR REPLACE FUNCTION connector_kept_for(wanted uuid, moment timestamptz) RETURNS uuid
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT user_id FROM bookings
        WHERE connector_id = wanted AND status = 'CONFIRMED'
            AND tstzrange(start_ts, end_ts) && tstzrange(moment, moment + interval '10 minutes', '[]')
        ORDER BY start_ts LIMIT 1
    );
END;
$$;

-- Why a connector of a charger cannot begin a driver's session now; none when it can.
CREATE OR REPLACE FUNCTION connector_refusal(wanted uuid, driver uuid, moment timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM open_sessions WHERE connector_id = connector.id) THEN 'CONNECTOR_BUSY'
        WHEN kept_for <> driver THEN 'CONNECTOR_RESERVED'
        WHEN charger.registration <> 'ACCEPTED' OR NOT charger_is_online(charger, moment) THEN 'CHARGER_OFFLINE'
        WHEN connector.status IN ('CHARGING', 'SUSPENDED') THEN 'CONNECTOR_BUSY'
        -- The charger keeps it for somebody: for whom it was booked, if we asked for that.
        WHEN connector.status = 'RESERVED' AND kept_for IS NULL THEN 'CONNECTOR_BUSY'
        WHEN connector.status IN ('FAULTED', 'UNAVAILABLE') THEN 'CONNECTOR_UNAVAILABLE'
    END
    FROM connectors AS connector JOIN chargers AS charger ON charger.id = connector.charger_id
        CROSS JOIN connector_kept_for(connector.id, moment) AS kept_for
    WHERE connector.id = wanted
$$;

-- Takes a connector for a driver: the session begins as STARTING, and the event makes the charger be asked.
CREATE OR REPLACE FUNCTION start_session(
    new_session uuid, driver uuid, at_station uuid, at_connector uuid, request_key text, asked jsonb,
    correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
    earlier session_requests;
    candidate uuid;
    chosen uuid;
    refusal text;
    refusals text[] := '{}';
BEGIN
    -- One request of a driver at a time: repeats with one key, and the limit, must not race.
    PERFORM FROM users WHERE id = driver AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', 'NO_USER'));
    END IF;

    SELECT * INTO earlier FROM session_requests WHERE user_id = driver AND idempotency_key = request_key;
    IF FOUND AND earlier.request <> asked THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', 'IDEMPOTENCY_KEY_REUSED'));
    ELSIF FOUND THEN
        SELECT * INTO session FROM sessions WHERE id = earlier.session_id;
        RETURN jsonb_build_object('outcome', jsonb_build_object('session', session_document(session)));
    END IF;

    IF NOT EXISTS (SELECT FROM stations WHERE id = at_station) THEN
        refusal := 'NO_STATION';
    ELSIF NOT EXISTS (SELECT FROM connectors WHERE station_id = at_station) THEN
        refusal := 'STATION_NOT_CONTROLLED';
    ELSIF at_connector IS NOT NULL
        AND NOT EXISTS (SELECT FROM connectors WHERE id = at_connector AND station_id = at_station) THEN
        refusal := 'NO_CONNECTOR';
    ELSIF NOT EXISTS (
        SELECT FROM connectors
        WHERE station_id = at_station AND (at_connector IS NULL OR id = at_connector) AND charger_id IS NOT NULL
    ) THEN
        refusal := 'STATION_NOT_CONTROLLED';   -- a vendor tells us of it, and takes no orders
    ELSIF (SELECT count(*) FROM open_sessions WHERE user_id = driver) >= 3 THEN
        refusal := 'TOO_MANY_SESSIONS';
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', refusal));
    END IF;

    FOR candidate IN
        SELECT connectors.id FROM connectors JOIN chargers ON chargers.id = connectors.charger_id
        WHERE connectors.station_id = at_station AND (at_connector IS NULL OR connectors.id = at_connector)
        -- What the driver has booked comes first.
        ORDER BY connector_kept_for(connectors.id, moment) IS DISTINCT FROM driver, chargers.charge_point_id,
            connectors.connector_number
    LOOP
        refusal := connector_refusal(candidate, driver, moment);
        IF refusal IS NULL THEN
            -- Asked again under the connector's lock: another driver may have come first.
            PERFORM FROM connectors WHERE id = candidate FOR UPDATE;
            refusal := connector_refusal(candidate, driver, moment);
        END IF;
        IF refusal IS NULL THEN
            chosen := candidate;
            EXIT;
        END IF;
        refusals := refusals || refusal;
    END LOOP;
    IF chosen IS NULL THEN
        -- Of several, the one that passes soonest.
        refusal := CASE
            WHEN 'CONNECTOR_BUSY' = ANY (refusals) THEN 'CONNECTOR_BUSY'
            WHEN 'CONNECTOR_RESERVED' = ANY (refusals) THEN 'CONNECTOR_RESERVED'
            WHEN 'CONNECTOR_UNAVAILABLE' = ANY (refusals) THEN 'CONNECTOR_UNAVAILABLE'
            ELSE 'CHARGER_OFFLINE'
        END;
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', refusal));
    END IF;

    INSERT INTO sessions (id, user_id, station_id, connector_id, status, remote_start_id, correlation_id,
                          created_at, updated_at)
    VALUES (new_session, driver, at_station, chosen, 'STARTING', random_positive_integer(), correlation, moment, moment)
    RETURNING * INTO session;
    INSERT INTO open_sessions (connector_id, session_id, user_id) VALUES (chosen, new_session, driver);
    IF request_key IS NOT NULL THEN
        INSERT INTO session_requests (user_id, idempotency_key, session_id, request)
        VALUES (driver, request_key, new_session, asked);
    END IF;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('session', session_document(session)),
        'events', jsonb_build_array(
            emit('SESSION_UPDATED', 1, 'session-service', correlation, moment, session_fields(session))
        )
    );
END;
$$;

-- Ends a session: at once when the charger has not begun, else by asking the charger; once more when it was asked in
-- vain until we gave up. One that a vendor tells us of is the vendor's to end. `driver` is none for an operator. No row
-- when there is no such session of the driver's.
CREATE OR REPLACE FUNCTION end_session(ended uuid, driver uuid, moment timestamptz) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
    event jsonb;
BEGIN
    SELECT * INTO session FROM sessions WHERE id = ended AND (driver IS NULL OR user_id = driver) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF session.status IN ('STARTING', 'IN_PROGRESS', 'STOPPING')
        AND EXISTS (SELECT FROM connectors WHERE id = session.connector_id AND charger_id IS NULL) THEN
        RETURN NEXT jsonb_build_object('outcome', jsonb_build_object('refusal', 'STATION_NOT_CONTROLLED'));
        RETURN;
    ELSIF session.status = 'STARTING' THEN
        event := move_session(ended, 'CANCELLED', CASE WHEN driver IS NULL THEN 'OPERATOR' ELSE 'DRIVER' END, moment);
    ELSIF session.status = 'IN_PROGRESS' OR (session.status = 'STOPPING'
        AND session.stop_requests >= 10 AND session.stop_requested_at <= moment - interval '90 seconds') THEN
        event := move_session(ended, 'STOPPING', NULL, moment);
    END IF;
    SELECT * INTO session FROM sessions WHERE id = ended;
    RETURN NEXT jsonb_build_object('outcome', jsonb_build_object('session', session_document(session)))
        || CASE WHEN event IS NULL THEN '{}' ELSE jsonb_build_object('events', jsonb_build_array(event)) END;
END;
$$;

-- Corrects a session that its charger told wrongly or not to the end, before it is billed: its energy, its end, or
-- both; what is none stays. An operator's word stands, whatever is reported later.
CREATE OR REPLACE FUNCTION update_session(
    corrected uuid, operator uuid, new_energy numeric, new_end timestamptz, why text, correlation uuid,
    moment timestamptz
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
DECLARE
    before sessions;
    after sessions;
    refusal text;
BEGIN
    -- Whoever bills it locks it too.
    SELECT * INTO before FROM sessions WHERE id = corrected FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    ELSIF before.status IN ('STARTING', 'FAILED', 'CANCELLED') THEN
        refusal := 'NOT_BEGUN';
    ELSIF (new_energy IS NULL OR (before.energy_corrected AND before.energy_kwh = new_energy))
        AND (new_end IS NULL OR (before.reason = 'OPERATOR' AND before.end_time = new_end)) THEN
        RETURN NEXT jsonb_build_object('outcome', jsonb_build_object('session', session_document(before)));
        RETURN;
    ELSIF EXISTS (SELECT FROM invoices WHERE session_id = corrected) THEN
        refusal := 'ALREADY_BILLED';
    ELSIF new_end < before.start_time THEN
        refusal := 'ENDS_BEFORE_START';
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN NEXT jsonb_build_object('outcome', jsonb_build_object('refusal', refusal));
        RETURN;
    END IF;

    UPDATE sessions
    SET energy_kwh = COALESCE(new_energy, energy_kwh), energy_corrected = energy_corrected OR new_energy IS NOT NULL,
        end_time = COALESCE(new_end, end_time),
        status = CASE WHEN new_end IS NOT NULL THEN 'COMPLETED' ELSE status END,
        reason = CASE WHEN new_end IS NOT NULL THEN 'OPERATOR' ELSE reason END,
        updated_at = next_update(updated_at, moment)
    WHERE id = corrected
    RETURNING * INTO after;
    IF after.status = 'COMPLETED' THEN
        DELETE FROM open_sessions WHERE session_id = corrected;
    END IF;
    INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
    VALUES (moment, operator, 'SESSION_CORRECTED', corrected::text, concat_ws(', ',
            CASE WHEN new_energy IS NOT NULL THEN
                trim_scale(before.energy_kwh) || ' -> ' || trim_scale(after.energy_kwh) || ' kWh' END,
            CASE WHEN new_end IS NOT NULL THEN
                'end ' || COALESCE(rfc3339(before.end_time), 'none') || ' -> ' || rfc3339(after.end_time) END
        ) || ': ' || why, correlation);
    RETURN NEXT jsonb_build_object(
        'outcome', jsonb_build_object('session', session_document(after)),
        'events', jsonb_build_array(CASE WHEN after.status = 'COMPLETED' THEN session_ended(after, moment)
            ELSE emit('SESSION_UPDATED', 1, 'session-service', after.correlation_id, moment, session_fields(after))
        END)
    );
END;
$$;

-- Gives up a session whose charger will not begin it. Nothing happens to one that is past STARTING.
CREATE OR REPLACE FUNCTION fail_session(failed uuid, why text, moment timestamptz) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM sessions WHERE id = failed AND status = 'STARTING' FOR UPDATE;
    IF FOUND THEN
        RETURN NEXT jsonb_build_object(
            'outcome', true, 'events', jsonb_build_array(move_session(failed, 'FAILED', why, moment))
        );
    END IF;
END;
$$;

-- From 1 to 2^31 - 1, from the strong source that UUIDs come from: nobody can guess the next.
CREATE OR REPLACE FUNCTION random_positive_integer() RETURNS integer
LANGUAGE sql VOLATILE AS $$
    SELECT GREATEST(1, (('x' || left(gen_random_uuid()::text, 8))::bit(32)::bigint & 2147483647)::integer)
$$;
