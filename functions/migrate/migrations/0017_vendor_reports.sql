-- What charging networks report of their connectors. Reports may come in any order, twice, or hours late; each adds its
-- facts once and brings connector and session to what all known facts say.
--
-- Locks are taken in this order: report, vendor's session, user, connector, session; never another session of the
-- vendor's. What is forgotten is settled without waiting for any.

-- Webhooks that were acted on, so that none is twice. Gone after 30 days: no door lets one in that is older than minutes.
CREATE TABLE IF NOT EXISTS vendor_reports (
    vendor_id   uuid NOT NULL REFERENCES vendors,
    webhook_id  text NOT NULL,
    kind        text NOT NULL,
    report      jsonb NOT NULL,              -- all that was told, its status in our words
    happened_at timestamptz NOT NULL,        -- the vendor's clock
    received_at timestamptz NOT NULL,
    PRIMARY KEY (vendor_id, webhook_id)
);
CREATE INDEX IF NOT EXISTS vendor_reports_received ON vendor_reports (received_at);

-- What vendors say of their sessions. Readings are of the meter, in kWh.
CREATE TABLE IF NOT EXISTS vendor_sessions (
    vendor_id         uuid NOT NULL REFERENCES vendors,
    vendor_session_id text NOT NULL,
    connector_id      uuid,                  -- by the start, as the four after it; a foreign key would lock it too soon
    booking_id        uuid,
    id_tag            text,
    started_at        timestamptz,           -- the vendor's clock
    start_kwh         numeric(18, 6),
    ended_at          timestamptz,
    end_kwh           numeric(18, 6),
    end_inferred      boolean NOT NULL DEFAULT false,   -- nobody told of the end: we gave up to wait for it
    told_kwh          numeric(18, 6),        -- the vendor's own sum; what is billed is the difference of the readings
    energy_differs    boolean GENERATED ALWAYS AS (abs(told_kwh - (end_kwh - start_kwh)) > 0.1) STORED,
    vendor_cost       numeric(18, 6),        -- in no known currency, and never billed
    session_id        uuid REFERENCES sessions,
    no_session        text,                  -- why there is none though it has started: NO_DRIVER
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    PRIMARY KEY (vendor_id, vendor_session_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS vendor_sessions_session ON vendor_sessions (session_id);
CREATE INDEX IF NOT EXISTS vendor_sessions_connector ON vendor_sessions (connector_id, started_at);
CREATE INDEX IF NOT EXISTS vendor_sessions_open ON vendor_sessions (updated_at)
WHERE session_id IS NOT NULL AND ended_at IS NULL;

-- What a session says of its connector. A report of the status itself knows better: of the same moment it stands, unless
-- it is one of `vaguer`.
CREATE OR REPLACE FUNCTION imply_connector_status(
    implied uuid, new_status text, vaguer text[], happened_at timestamptz, correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM connectors
    WHERE id = implied AND (status_at IS NULL OR status_at < happened_at
        OR (status_at = happened_at AND status = ANY (vaguer)))
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN '[]';
    END IF;
    RETURN set_connector_status(implied, new_status, NULL, happened_at, correlation, moment);
END;
$$;

-- The sessions that began at its connector after a started one.
CREATE OR REPLACE FUNCTION vendor_sessions_after(told vendor_sessions) RETURNS SETOF vendor_sessions
LANGUAGE sql STABLE AS $$
    SELECT * FROM vendor_sessions
    WHERE connector_id = told.connector_id AND started_at >= told.started_at
        AND (started_at, vendor_session_id) > (told.started_at, told.vendor_session_id)
$$;

-- Opens a session for the driver that a started one is for: who booked the connector for then, were the booking over by
-- now, else whose tag it bears. Gives the vendor's session as it is then, and the events.
CREATE OR REPLACE FUNCTION join_vendor_session(
    INOUT told vendor_sessions, new_session uuid, correlation uuid, moment timestamptz, OUT events jsonb
)
LANGUAGE plpgsql AS $$
DECLARE
    driver uuid;
    connector connectors;
    present sessions;
BEGIN
    events := '[]';
    -- No account is deleted while a session of it begins.
    IF told.booking_id IS NOT NULL THEN
        SELECT users.id INTO driver FROM bookings JOIN users ON users.id = bookings.user_id
        WHERE bookings.id = told.booking_id AND bookings.connector_id = told.connector_id
            AND bookings.status IN ('CONFIRMED', 'ACTIVE', 'NO_SHOW', 'COMPLETED')
            AND told.started_at >= bookings.start_ts - interval '30 minutes' AND told.started_at < bookings.end_ts
            AND users.deleted_at IS NULL
        FOR SHARE OF users;
    END IF;
    IF driver IS NULL AND told.id_tag IS NOT NULL THEN
        SELECT id INTO driver FROM users
        WHERE lower(id_tag) = lower(told.id_tag) AND deleted_at IS NULL FOR SHARE;
    END IF;
    SELECT * INTO connector FROM connectors WHERE id = told.connector_id FOR UPDATE;
    IF driver IS NULL THEN
        told.no_session := 'NO_DRIVER';
    ELSE
        told.session_id := new_session;
        INSERT INTO sessions (id, user_id, station_id, connector_id, status, remote_start_id, correlation_id,
                              created_at, updated_at)
        VALUES (new_session, driver, connector.station_id, connector.id, 'STARTING', random_positive_integer(),
                correlation, moment, moment);
    END IF;
    -- The connector is where the vendor says it is: a session whose end was never told waits for it without the
    -- connector. It is this one, if another has begun there since.
    IF told.ended_at IS NULL AND NOT EXISTS (SELECT FROM vendor_sessions_after(told)) THEN
        SELECT sessions.* INTO present FROM open_sessions JOIN sessions ON sessions.id = open_sessions.session_id
        WHERE open_sessions.connector_id = connector.id
        FOR UPDATE OF sessions;
        IF present.status = 'STARTING' THEN
            events := events || move_session(present.id, 'FAILED', 'CONNECTOR_TAKEN', moment);
        ELSIF present.id IS NOT NULL THEN
            DELETE FROM open_sessions WHERE session_id = present.id;
        END IF;
        IF driver IS NOT NULL THEN
            INSERT INTO open_sessions (connector_id, session_id, user_id) VALUES (connector.id, new_session, driver);
        END IF;
    END IF;
    UPDATE vendor_sessions
    SET session_id = told.session_id, no_session = told.no_session
    WHERE vendor_id = told.vendor_id AND vendor_session_id = told.vendor_session_id;
END;
$$;

-- Brings a session to what is known of the vendor's, and gives the events of what changed.
CREATE OR REPLACE FUNCTION advance_vendor_session(told vendor_sessions, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
    ran_backwards boolean := told.end_kwh < told.start_kwh;
    events jsonb := '[]';
BEGIN
    SELECT * INTO session FROM sessions WHERE id = told.session_id FOR UPDATE;
    IF NOT FOUND OR session.status IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN
        RETURN events;
    END IF;
    IF session.status = 'STARTING' THEN
        UPDATE sessions
        SET status = 'IN_PROGRESS', start_time = told.started_at, tariff_id = tariff_at(station_id, told.started_at),
            updated_at = next_update(updated_at, moment)
        WHERE id = session.id
        RETURNING * INTO session;
        events := events || emit('SESSION_STARTED', 1, 'session-service', session.correlation_id, moment,
            session_fields(session));
    END IF;
    IF told.ended_at IS NOT NULL THEN
        UPDATE sessions
        SET status = 'COMPLETED', end_time = GREATEST(told.ended_at, start_time),
            energy_kwh = CASE
                WHEN energy_corrected THEN energy_kwh
                ELSE GREATEST(0, COALESCE(round(told.end_kwh - told.start_kwh, 4), 0))
            END,
            reason = CASE
                WHEN told.end_inferred THEN 'NO_STOP_REPORTED'
                WHEN ran_backwards THEN 'METER_RAN_BACKWARDS'
                ELSE reason
            END,
            updated_at = next_update(updated_at, moment)
        WHERE id = session.id
        RETURNING * INTO session;
        DELETE FROM open_sessions WHERE session_id = session.id;
        events := events || session_ended(session, moment);
    END IF;
    RETURN events;
END;
$$;

-- Settles sessions whose end nobody tells of: those of one connector an hour after another was told of there, since
-- vendors repeat what did not get through for about as long; any after a week. It waits for no lock: what somebody else
-- holds is left to the next report.
CREATE OR REPLACE FUNCTION settle_forgotten_vendor_sessions(
    at_connector uuid, at_most integer, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    told vendor_sessions;
    events jsonb := '[]';
BEGIN
    FOR told IN
        SELECT vendor_sessions.* FROM vendor_sessions JOIN sessions ON sessions.id = vendor_sessions.session_id
        WHERE vendor_sessions.session_id IN (
                SELECT session_id FROM vendor_sessions
                WHERE session_id IS NOT NULL AND ended_at IS NULL AND updated_at <= moment - interval '7 days'
                UNION ALL
                SELECT forgotten.session_id FROM vendor_sessions AS forgotten
                WHERE forgotten.connector_id = at_connector
                    AND forgotten.session_id IS NOT NULL AND forgotten.ended_at IS NULL
                    AND EXISTS (
                        SELECT FROM vendor_sessions_after(forgotten) AS later
                        WHERE later.created_at <= moment - interval '1 hour'
                    )
            )
            AND sessions.status IN ('IN_PROGRESS', 'STOPPING')
        ORDER BY vendor_sessions.session_id LIMIT at_most FOR UPDATE OF vendor_sessions, sessions SKIP LOCKED
    LOOP
        UPDATE vendor_sessions
        SET ended_at = GREATEST(started_at, (SELECT min(later.started_at) FROM vendor_sessions_after(told) AS later)),
            end_inferred = true
        WHERE vendor_id = told.vendor_id AND vendor_session_id = told.vendor_session_id
        RETURNING * INTO told;
        events := events || advance_vendor_session(told, moment);
    END LOOP;
    RETURN events;
END;
$$;

-- Adds the facts of one report to what is known of a vendor's session. The outcome is a refusal when they contradict
-- what was told before; told again, they change nothing.
CREATE OR REPLACE FUNCTION report_vendor_session(
    reporter uuid, report_kind text, happened_at timestamptz, body jsonb, new_session uuid, correlation uuid,
    moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    told vendor_sessions;
    joined record;
    events jsonb := '[]';
BEGIN
    INSERT INTO vendor_sessions (vendor_id, vendor_session_id, created_at, updated_at)
    VALUES (reporter, body->>'vendorSessionId', moment, moment)
    ON CONFLICT DO NOTHING;
    SELECT * INTO told FROM vendor_sessions
    WHERE vendor_id = reporter AND vendor_session_id = body->>'vendorSessionId'
    FOR UPDATE;

    IF report_kind = 'SESSION_START' AND told.started_at IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', CASE
            WHEN (told.connector_id, told.start_kwh, told.booking_id, told.id_tag) IS NOT DISTINCT FROM
                ((body->>'connectorId')::uuid, (body->>'startMeterReading')::numeric, (body->>'bookingId')::uuid,
                 body->>'idTag')
            THEN '{"result": "REPEATED"}'::jsonb ELSE '{"refusal": "STARTED_OTHERWISE"}'
        END);
    ELSIF report_kind = 'SESSION_END' AND told.ended_at IS NOT NULL AND NOT told.end_inferred THEN
        RETURN jsonb_build_object('outcome', CASE
            WHEN (told.end_kwh, told.told_kwh, told.vendor_cost) IS NOT DISTINCT FROM
                ((body->>'endMeterReading')::numeric, (body->>'energyKwh')::numeric, (body->>'costAmount')::numeric)
            THEN '{"result": "REPEATED"}'::jsonb ELSE '{"refusal": "ENDED_OTHERWISE"}'
        END);
    ELSIF report_kind = 'SESSION_END' AND told.end_inferred AND EXISTS (
        -- What an operator said of its energy stands.
        SELECT FROM sessions WHERE id = told.session_id AND NOT energy_corrected
            AND energy_kwh <> GREATEST(0, round((body->>'endMeterReading')::numeric - told.start_kwh, 4))
    ) THEN
        RETURN jsonb_build_object('outcome', '{"refusal": "SETTLED_WITHOUT_END"}'::jsonb);
    END IF;

    IF report_kind = 'SESSION_START' THEN
        UPDATE vendor_sessions
        SET connector_id = (body->>'connectorId')::uuid, booking_id = (body->>'bookingId')::uuid,
            id_tag = body->>'idTag', started_at = happened_at, start_kwh = (body->>'startMeterReading')::numeric,
            updated_at = moment
        WHERE vendor_id = reporter AND vendor_session_id = told.vendor_session_id
        RETURNING * INTO told;
        SELECT * INTO joined FROM join_vendor_session(told, new_session, correlation, moment);
        told := joined.told;
        events := events || joined.events;
    ELSE
        UPDATE vendor_sessions
        SET ended_at = happened_at, end_inferred = false, end_kwh = (body->>'endMeterReading')::numeric,
            told_kwh = (body->>'energyKwh')::numeric, vendor_cost = (body->>'costAmount')::numeric,
            updated_at = moment
        WHERE vendor_id = reporter AND vendor_session_id = told.vendor_session_id
        RETURNING * INTO told;
        -- Before the session's, as whoever takes the connector for another does.
        PERFORM FROM connectors WHERE id = told.connector_id FOR UPDATE;
    END IF;

    -- An end waits for its start.
    IF told.started_at IS NOT NULL THEN
        events := events || advance_vendor_session(told, moment);
        IF told.ended_at IS NULL THEN
            events := events || imply_connector_status(told.connector_id, 'CHARGING', '{PREPARING}', told.started_at,
                correlation, moment);
        ELSIF NOT EXISTS (SELECT FROM vendor_sessions_after(told)) THEN
            events := events || imply_connector_status(told.connector_id, 'FINISHING',
                '{PREPARING,CHARGING,SUSPENDED}', GREATEST(told.started_at, told.ended_at), correlation, moment);
        END IF;
    END IF;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object(
            'result', 'TAKEN',
            'sessionId', told.session_id,
            'noSession', told.no_session,
            'energyDiffers', COALESCE((
                SELECT energy_differs FROM vendor_sessions
                WHERE vendor_id = reporter AND vendor_session_id = told.vendor_session_id
            ), false)
        ),
        'events', events
    );
END;
$$;

-- Acts on one webhook, once. `body` is, in decimals as text,
--   CONNECTOR_STATUS: stationId · connectorId, if told · vendorConnectorId · status, as set_connector_status takes it
--   SESSION_START: vendorSessionId · connectorId · startMeterReading · bookingId · idTag, if told
--   SESSION_END: vendorSessionId · endMeterReading · energyKwh · costAmount, if told
-- The outcome is {result: TAKEN | REPEATED} with what came of it, or {refusal}, and then nothing is kept.
CREATE OR REPLACE FUNCTION take_vendor_report(
    reporter uuid, webhook text, report_kind text, happened_at timestamptz, body jsonb, new_session uuid,
    correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    connector uuid;
    taken jsonb;
BEGIN
    IF NOT EXISTS (SELECT FROM vendors WHERE id = reporter) THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', 'UNKNOWN_VENDOR'));
    END IF;
    IF report_kind <> 'SESSION_END' THEN
        -- Another's connector is unknown.
        SELECT id INTO connector FROM connectors
        WHERE vendor_id = reporter AND CASE report_kind
            WHEN 'CONNECTOR_STATUS' THEN vendor_connector_id = body->>'vendorConnectorId'
                AND station_id = (body->>'stationId')::uuid
                AND id = COALESCE((body->>'connectorId')::uuid, id)
            ELSE id = (body->>'connectorId')::uuid
        END;
        IF NOT FOUND THEN
            RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', 'UNKNOWN_CONNECTOR'));
        END IF;
    END IF;

    INSERT INTO vendor_reports (vendor_id, webhook_id, kind, report, happened_at, received_at)
    VALUES (reporter, webhook, report_kind, body, happened_at, moment)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'REPEATED'));
    END IF;
    DELETE FROM vendor_reports
    WHERE (vendor_id, webhook_id) IN (
        SELECT vendor_id, webhook_id FROM vendor_reports
        WHERE received_at < moment - interval '30 days'
        ORDER BY received_at LIMIT 10 FOR UPDATE SKIP LOCKED
    );

    IF report_kind = 'CONNECTOR_STATUS' THEN
        taken := jsonb_build_object(
            'outcome', jsonb_build_object('result', 'TAKEN'),
            'events', set_connector_status(connector, body->>'status', NULL, happened_at, correlation, moment)
        );
    ELSE
        taken := report_vendor_session(reporter, report_kind, happened_at, body, new_session, correlation, moment);
    END IF;
    IF taken #> '{outcome,refusal}' IS NOT NULL THEN
        DELETE FROM vendor_reports WHERE vendor_id = reporter AND webhook_id = webhook;
        RETURN taken;
    END IF;
    connector := COALESCE(connector, (
        SELECT connector_id FROM vendor_sessions
        WHERE vendor_id = reporter AND vendor_session_id = body->>'vendorSessionId'
    ));
    RETURN jsonb_set(taken, '{events}',
        COALESCE(taken->'events', '[]') || settle_forgotten_vendor_sessions(connector, 3, moment));
END;
$$;
