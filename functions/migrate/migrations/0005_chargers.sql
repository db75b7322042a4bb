-- What happens to chargers: they are registered, their sockets open and close, and they report their connectors' status.
-- A socket's news or a status may come late: neither undoes a newer one. What is kept of the transactions they report
-- is here too; what a report does to a session is in 0006.

-- A socket was opened: it takes the place of any other.
CREATE OR REPLACE FUNCTION charger_connected(
    opened uuid, socket text, spoken text, correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    charger chargers;
BEGIN
    UPDATE chargers
    SET connection_id = socket, connected_at = moment, disconnected_at = NULL, protocol = spoken, last_seen_at = moment
    WHERE id = opened
    RETURNING * INTO charger;
    RETURN jsonb_build_object('outcome', true, 'events', jsonb_build_array(
        emit('CHARGER_CONNECTED', 1, 'charger-service', correlation, moment, jsonb_build_object(
            'chargerId', charger.id, 'chargePointId', charger.charge_point_id, 'stationId', charger.station_id,
            'protocol', spoken))
    ));
END;
$$;

-- A socket was closed: nothing happens unless it is the one we know of, since its successor may have come first.
CREATE OR REPLACE FUNCTION charger_disconnected(
    closed uuid, socket text, correlation uuid, moment timestamptz
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
DECLARE
    charger chargers;
BEGIN
    UPDATE chargers SET connection_id = NULL, disconnected_at = moment
    WHERE id = closed AND connection_id = socket
    RETURNING * INTO charger;
    IF FOUND THEN
        RETURN NEXT jsonb_build_object('outcome', true, 'events', jsonb_build_array(
            emit('CHARGER_DISCONNECTED', 1, 'charger-service', correlation, moment, jsonb_build_object(
                'chargerId', charger.id, 'chargePointId', charger.charge_point_id, 'stationId', charger.station_id))
        ));
    END IF;
END;
$$;

-- Puts a charger under control. Its connectors come with `[{id, number, type, powerKW}]`.
CREATE OR REPLACE FUNCTION register_charger(
    new_charger uuid, identity text, at_station uuid, secret_hash text, new_connectors jsonb, operator uuid,
    correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM stations WHERE id = at_station) THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', 'NO_STATION'));
    END IF;
    INSERT INTO chargers (id, charge_point_id, station_id, password_hash, created_at)
    VALUES (new_charger, identity, at_station, secret_hash, moment)
    ON CONFLICT (charge_point_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', 'CHARGE_POINT_ID_TAKEN'));
    END IF;
    INSERT INTO connectors (id, station_id, charger_id, connector_number, connector_type, power_kw, updated_at)
    SELECT (item->>'id')::uuid, at_station, new_charger, (item->>'number')::integer, item->>'type',
           (item->>'powerKW')::double precision, moment
    FROM jsonb_array_elements(new_connectors) AS item;
    INSERT INTO audit_log (at, actor_id, action, subject, correlation_id)
    VALUES (moment, operator, 'CHARGER_REGISTERED', new_charger::text, correlation);
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('charger', jsonb_build_object(
            'id', new_charger, 'chargePointId', identity, 'stationId', at_station, 'createdAt', rfc3339(moment),
            'connectors', (
                SELECT jsonb_agg(jsonb_build_object(
                    'id', id, 'connectorNumber', connector_number::text, 'type', connector_type, 'powerKW', power_kw,
                    'quantity', 1, 'status', status, 'updatedAt', rfc3339(updated_at)
                ) ORDER BY connector_number)
                FROM connectors WHERE charger_id = new_charger
            )
        )),
        'events', (
            SELECT jsonb_agg(emit('CONNECTOR_STATUS_CHANGED', 1, 'charger-service', correlation, moment,
                connector_fields(connector, NULL)))
            FROM connectors AS connector WHERE charger_id = new_charger
        )
    );
END;
$$;

-- What an event of a connector says of it. One that a vendor tells us of has no charger that we know.
CREATE OR REPLACE FUNCTION connector_fields(connector connectors, previous_status text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'stationId', connector.station_id,
        'connectorId', connector.id,
        'connectorNumber', connector.connector_number,
        'chargerId', connector.charger_id,
        'status', connector.status,
        'previousStatus', previous_status,
        'errorCode', connector.error_code,
        'at', rfc3339(COALESCE(connector.status_at, connector.updated_at))
    )
$$;

-- Adds one report of a connector's status, by its charger or its vendor; an older one never overwrites a newer one. A
-- charger that falls silent changes nothing: its last word stands, with its time. Gives the events it causes.
CREATE OR REPLACE FUNCTION set_connector_status(
    reported uuid, new_status text, new_error text, reported_at timestamptz, correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    before connectors;
    after connectors;
BEGIN
    SELECT * INTO before FROM connectors WHERE id = reported FOR UPDATE;
    IF NOT FOUND OR before.status_at > reported_at THEN
        RETURN '[]';
    END IF;
    -- OCPP 2.0.1 says no more than this; whether it charges is known from its transaction.
    IF new_status = 'OCCUPIED' THEN
        new_status := CASE
            WHEN before.status IN ('PREPARING', 'CHARGING', 'SUSPENDED', 'FINISHING') THEN before.status
            ELSE 'PREPARING'
        END;
    END IF;
    UPDATE connectors SET status = new_status, error_code = new_error, status_at = reported_at, updated_at = moment
    WHERE id = reported
    RETURNING * INTO after;
    IF (before.status, before.error_code) IS NOT DISTINCT FROM (after.status, after.error_code) THEN
        RETURN '[]';
    END IF;
    RETURN jsonb_build_array(emit('CONNECTOR_STATUS_CHANGED', 1, 'charger-service', correlation, moment,
        connector_fields(after, before.status)));
END;
$$;

-- A charger reports the status of one of its connectors, by its number. False for a number that is not set up.
CREATE OR REPLACE FUNCTION report_status(
    reporter uuid, number integer, new_status text, new_error text, reported_at timestamptz, correlation uuid,
    moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    connector uuid;
BEGIN
    UPDATE chargers SET last_seen_at = GREATEST(last_seen_at, moment) WHERE id = reporter;
    SELECT id INTO connector FROM connectors WHERE charger_id = reporter AND connector_number = number;
    RETURN jsonb_build_object(
        'outcome', connector IS NOT NULL,
        'events', set_connector_status(connector, new_status, new_error, reported_at, correlation, moment)
    );
END;
$$;

-- What chargers say of their transactions.
CREATE TABLE IF NOT EXISTS transactions (
    charger_id      uuid NOT NULL REFERENCES chargers,
    transaction_id  text NOT NULL,
    issued          boolean NOT NULL,        -- whether the id is ours (OCPP 1.6)
    start_key       text,                    -- what identical StartTransactions have in common (OCPP 1.6)
    connector_id    uuid REFERENCES connectors,
    session_id      uuid REFERENCES sessions,
    id_tag          text,
    remote_start_id integer,
    refusal         text,                    -- why there is no session: INVALID, CONCURRENT_TX
    started_at      timestamptz,             -- the charger's clock
    stopped_at      timestamptz,
    last_at         timestamptz NOT NULL,
    meter_start_wh  numeric,
    meter_low_wh    numeric,
    meter_high_wh   numeric,
    stop_is_metered boolean NOT NULL DEFAULT false,
    stop_reason     text,
    stop_inferred   boolean NOT NULL DEFAULT false,
    start_seq_no    integer,
    stop_seq_no     integer,
    superseded_at   timestamptz,             -- another transaction began at its connector before it was stopped
    is_unwanted     boolean NOT NULL DEFAULT false,   -- it runs and nobody pays for it: the charger is to stop it
    stop_requested_at timestamptz,           -- when it was last asked to, for that reason
    stop_requests   integer NOT NULL DEFAULT 0,       -- how often it was
    reading_step    integer NOT NULL DEFAULT 0,       -- one of its readings is kept in so many seconds; 0: each
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (charger_id, transaction_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS transactions_issued ON transactions (transaction_id) WHERE issued;
CREATE UNIQUE INDEX IF NOT EXISTS transactions_start ON transactions (charger_id, start_key);
CREATE UNIQUE INDEX IF NOT EXISTS transactions_session ON transactions (session_id);
CREATE INDEX IF NOT EXISTS transactions_connector ON transactions (connector_id) WHERE stopped_at IS NULL;
CREATE INDEX IF NOT EXISTS transactions_unwanted ON transactions (stop_requested_at)
WHERE is_unwanted AND stop_requests < 10;

-- Which reports of an OCPP 2.0.1 transaction have come.
CREATE TABLE IF NOT EXISTS transaction_events (
    charger_id     uuid NOT NULL,
    transaction_id text NOT NULL,
    seq_no         integer NOT NULL,
    kind           text NOT NULL,
    received_at    timestamptz NOT NULL,
    PRIMARY KEY (charger_id, transaction_id, seq_no),
    FOREIGN KEY (charger_id, transaction_id) REFERENCES transactions
);

-- What a transaction's meter said; `at` by the charger's clock, to the millisecond.
CREATE TABLE IF NOT EXISTS meter_readings (
    charger_id     uuid NOT NULL,
    transaction_id text NOT NULL,
    at             timestamptz NOT NULL,
    register_wh    numeric NOT NULL,
    power_kw       numeric,
    soc            numeric,                  -- percent
    PRIMARY KEY (charger_id, transaction_id, at),
    FOREIGN KEY (charger_id, transaction_id) REFERENCES transactions
);

-- Keeps readings, `[{at, registerWh, powerKw, soc}]` with each `at` once, but none of before `since`. Of more than 500
-- the last one stays and the first of each second, two seconds, four seconds, … That depends on the readings alone:
-- whatever their order, and however often they come, the same ones are left.
CREATE OR REPLACE FUNCTION keep_readings(measured transactions, readings jsonb, since timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    step integer := measured.reading_step;
    surplus timestamptz[];
BEGIN
    INSERT INTO meter_readings AS kept (charger_id, transaction_id, at, register_wh, power_kw, soc)
    SELECT measured.charger_id, measured.transaction_id, told.at, told."registerWh", told."powerKw", told.soc
    FROM jsonb_to_recordset(readings) AS told (at timestamptz, "registerWh" numeric, "powerKw" numeric, soc numeric)
    WHERE told.at >= since
    ON CONFLICT (charger_id, transaction_id, at) DO UPDATE
    SET register_wh = GREATEST(kept.register_wh, excluded.register_wh),
        power_kw = GREATEST(kept.power_kw, excluded.power_kw), soc = GREATEST(kept.soc, excluded.soc);
    LOOP
        surplus := ARRAY(
            SELECT at FROM (
                SELECT at, max(at) OVER () AS last_at,
                       row_number() OVER (PARTITION BY floor(extract(epoch FROM at) / step) ORDER BY at) AS place
                FROM meter_readings
                WHERE charger_id = measured.charger_id AND transaction_id = measured.transaction_id AND step > 0
            ) AS ranked
            WHERE place > 1 AND at < last_at
        );
        DELETE FROM meter_readings
        WHERE charger_id = measured.charger_id AND transaction_id = measured.transaction_id AND at = ANY (surplus);
        EXIT WHEN 500 >= (
            SELECT count(*) FROM meter_readings
            WHERE charger_id = measured.charger_id AND transaction_id = measured.transaction_id
        );
        step := GREATEST(1, 2 * step);
    END LOOP;
    UPDATE transactions SET reading_step = step
    WHERE charger_id = measured.charger_id AND transaction_id = measured.transaction_id AND reading_step <> step;
END;
$$;

-- The readings of sessions: energy since the session's start, which never falls, in kWh.
CREATE OR REPLACE VIEW meter_values AS
SELECT t.session_id, r.at,
       round(GREATEST(0, max(r.register_wh) OVER (PARTITION BY t.session_id ORDER BY r.at)
           - COALESCE(t.meter_start_wh, t.meter_low_wh)) / 1000, 4) AS energy_kwh,
       r.power_kw, r.soc
FROM transactions AS t JOIN meter_readings AS r USING (charger_id, transaction_id)
WHERE t.session_id IS NOT NULL;

-- The readings within a session, in order, for its bill: `[{at, energyKwh}]`, at most 200, the first and the last of
-- them included.
CREATE OR REPLACE FUNCTION session_readings(measured uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    WITH within AS (
        SELECT at, meter_values.energy_kwh, row_number() OVER (ORDER BY at) AS place, count(*) OVER () AS total
        FROM meter_values JOIN sessions ON sessions.id = meter_values.session_id
        WHERE meter_values.session_id = measured AND at >= date_trunc('milliseconds', sessions.start_time)
            AND (sessions.end_time IS NULL OR at <= sessions.end_time)
    )
    SELECT COALESCE(jsonb_agg(jsonb_build_object(
        'at', rfc3339(at), 'energyKwh', trim_scale(energy_kwh)::text
    ) ORDER BY at), '[]')
    FROM within
    WHERE (place - 1) % ceil(total / 199.0) = 0 OR place = total
$$;
