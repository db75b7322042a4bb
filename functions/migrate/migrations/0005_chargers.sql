-- What happens to chargers: they are registered, their sockets open and close, and they report their connectors' status.
-- A socket's news or a status may come late: neither undoes a newer one.

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

-- What an event of a connector says of it.
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

-- Adds one report of a connector's status; an older one never overwrites a newer one. Gives the events it causes.
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
