-- What chargers report of their transactions. Facts may come in any order, twice, or hours late; each report adds one
-- fact and brings the session to what all known facts say.
--
-- Locks are taken in this order: charger, transaction, user, connector, session. The expiry waits for none.

CREATE INDEX IF NOT EXISTS users_id_tag_folded ON users (lower(id_tag));   -- OCPP's id tags know no case

-- Whether a tag is a driver's who has an account.
CREATE OR REPLACE FUNCTION tag_is_known(tag text) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM users WHERE lower(id_tag) = lower(tag) AND deleted_at IS NULL);
END;
$$;

-- Whether a report between the first and the last one is missing.
CREATE OR REPLACE FUNCTION transaction_has_gaps(transaction transactions) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT COALESCE(
        transaction.stop_seq_no::bigint - COALESCE(transaction.start_seq_no, 0) + 1 > (
            SELECT count(*) FROM transaction_events
            WHERE charger_id = transaction.charger_id AND transaction_id = transaction.transaction_id
                AND seq_no BETWEEN COALESCE(transaction.start_seq_no, 0) AND transaction.stop_seq_no
        ),
        false
    )
$$;

-- Whether a session's charger, or the vendor it is told by, has not told all of it.
CREATE OR REPLACE FUNCTION session_is_incomplete(told uuid) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM transactions
        WHERE session_id = told AND stopped_at IS NOT NULL AND NOT stop_inferred
            AND NOT transaction_has_gaps(transactions)
    ) AND NOT EXISTS (
        SELECT FROM vendor_sessions WHERE session_id = told AND end_kwh >= start_kwh AND NOT end_inferred
    );
END;
$$;

-- Brings a session to what is known of its transaction, and gives the events of what changed. `settle`: no more
-- reports are waited for.
CREATE OR REPLACE FUNCTION advance_session(transaction transactions, settle boolean, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
    metered numeric(12, 4);
    events jsonb := '[]';
BEGIN
    SELECT * INTO session FROM sessions WHERE id = transaction.session_id FOR UPDATE;
    IF NOT FOUND OR session.status IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN
        RETURN events;
    END IF;
    metered := CASE WHEN session.energy_corrected THEN session.energy_kwh ELSE round(COALESCE(GREATEST(0,
        transaction.meter_high_wh - COALESCE(transaction.meter_start_wh, transaction.meter_low_wh)), 0) / 1000, 4) END;

    IF session.status = 'STARTING' THEN
        UPDATE sessions
        SET status = 'IN_PROGRESS', start_time = transaction.started_at, energy_kwh = metered,
            tariff_id = tariff_at(station_id, transaction.started_at), updated_at = next_update(updated_at, moment)
        WHERE id = session.id
        RETURNING * INTO session;
        events := events || emit('SESSION_STARTED', 1, 'session-service', session.correlation_id, moment,
            session_fields(session));
    END IF;

    -- Without a reading of its own, a stop is worth what the reports before it say: all of them must be there.
    IF transaction.stopped_at IS NOT NULL AND (transaction.stop_is_metered OR settle
        OR NOT transaction_has_gaps(transaction)) THEN
        UPDATE sessions
        SET status = 'COMPLETED', end_time = GREATEST(transaction.stopped_at, start_time), energy_kwh = metered,
            reason = COALESCE(transaction.stop_reason, reason), updated_at = next_update(updated_at, moment)
        WHERE id = session.id
        RETURNING * INTO session;
        DELETE FROM open_sessions WHERE session_id = session.id;
        events := events || session_ended(session, moment);
    ELSIF session.energy_kwh <> metered THEN
        UPDATE sessions SET energy_kwh = metered, updated_at = next_update(updated_at, moment)
        WHERE id = session.id
        RETURNING * INTO session;
        events := events || emit('SESSION_UPDATED', 1, 'session-service', session.correlation_id, moment,
            session_fields(session));
    END IF;
    RETURN events;
END;
$$;

-- Finds the session that a started transaction belongs to, or opens one for the driver whose tag it bears. Gives the
-- transaction as it is then, and the events.
CREATE OR REPLACE FUNCTION join_session(
    INOUT transaction transactions, new_session uuid, correlation uuid, moment timestamptz, OUT events jsonb
)
LANGUAGE plpgsql AS $$
DECLARE
    driver uuid;
    present sessions;
    given_up sessions;
    connector connectors;
    -- What an offline charger tells of later has been charged already.
    begins_now boolean := transaction.started_at > moment - interval '10 minutes' AND transaction.stopped_at IS NULL;
BEGIN
    events := '[]';
    -- No account is deleted while a session of it begins.
    SELECT id INTO driver FROM users
    WHERE lower(id_tag) = lower(transaction.id_tag) AND deleted_at IS NULL FOR SHARE;
    -- Whoever starts a session through the app locks this row too.
    SELECT * INTO connector FROM connectors WHERE id = transaction.connector_id FOR UPDATE;
    SELECT sessions.* INTO present FROM open_sessions JOIN sessions ON sessions.id = open_sessions.session_id
    WHERE open_sessions.connector_id = connector.id
    FOR UPDATE OF sessions;
    -- The driver thought better of it, or was told that it failed, while the charger was being asked.
    SELECT * INTO given_up FROM sessions
    WHERE connector_id = connector.id AND id >= uuid_v7_floor(moment - interval '1 day')
        AND ((status IN ('CANCELLED', 'FAILED') AND remote_start_id = transaction.remote_start_id)
            OR (status = 'CANCELLED' AND user_id = driver AND updated_at > moment - interval '3 minutes'))
        AND NOT EXISTS (SELECT FROM transactions AS other WHERE other.session_id = sessions.id)
    ORDER BY id DESC LIMIT 1;
    driver := COALESCE(driver, (SELECT id FROM users WHERE id = given_up.user_id AND deleted_at IS NULL));

    IF present.status = 'STARTING'
        AND (present.remote_start_id = transaction.remote_start_id OR present.user_id = driver) THEN
        transaction.session_id := present.id;
    ELSIF given_up.status = 'CANCELLED' OR (given_up.status = 'FAILED' AND begins_now) THEN
        transaction.refusal := 'INVALID';
        transaction.is_unwanted := true;
    ELSIF driver IS NULL THEN
        transaction.refusal := CASE WHEN transaction.id_tag IS NOT NULL THEN 'INVALID' END;
    ELSIF begins_now AND EXISTS (
        SELECT FROM open_sessions JOIN sessions ON sessions.id = open_sessions.session_id
        WHERE open_sessions.user_id = driver AND open_sessions.connector_id <> connector.id
            AND sessions.status IN ('IN_PROGRESS', 'STOPPING')
    ) THEN
        transaction.refusal := 'CONCURRENT_TX';
    ELSE
        INSERT INTO sessions (id, user_id, station_id, connector_id, status, remote_start_id, correlation_id,
                              created_at, updated_at)
        VALUES (new_session, driver, connector.station_id, connector.id, 'STARTING', random_positive_integer(),
                correlation, moment, moment);
        transaction.session_id := new_session;
        IF transaction.stopped_at IS NULL THEN
            -- The connector is where the charger says it is: a session that never began gives way, one whose stop
            -- was never told waits for it without the connector.
            IF present.status = 'STARTING' THEN
                events := events || move_session(present.id, 'FAILED', 'CONNECTOR_TAKEN', moment);
            ELSIF present.id IS NOT NULL THEN
                DELETE FROM open_sessions WHERE session_id = present.id;
                UPDATE transactions SET superseded_at = moment WHERE session_id = present.id;
            END IF;
            INSERT INTO open_sessions (connector_id, session_id, user_id) VALUES (connector.id, new_session, driver);
        END IF;
    END IF;

    IF transaction.session_id IS NOT NULL THEN
        transaction.refusal := NULL;
        transaction.is_unwanted := false;
    END IF;
    UPDATE transactions
    SET session_id = transaction.session_id, refusal = transaction.refusal, is_unwanted = transaction.is_unwanted
    WHERE charger_id = transaction.charger_id AND transaction_id = transaction.transaction_id;
END;
$$;

-- Has a charger asked to stop a transaction that nobody pays for, and gives the event.
CREATE OR REPLACE FUNCTION refuse_transaction(refused transactions, correlation uuid, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE transactions SET is_unwanted = true, stop_requested_at = moment, stop_requests = stop_requests + 1
    WHERE charger_id = refused.charger_id AND transaction_id = refused.transaction_id;
    RETURN (
        SELECT emit('TRANSACTION_REFUSED', 1, 'charger-service', correlation, moment, jsonb_build_object(
            'chargerId', id, 'chargePointId', charge_point_id, 'stationId', station_id,
            'connectorId', refused.connector_id, 'transactionId', refused.transaction_id))
        FROM chargers WHERE id = refused.charger_id
    );
END;
$$;

-- Adds one report of a transaction. `fact`:
--   kind START, UPDATE or STOP · at · transactionId, none for a 1.6 start · startKey, for a 1.6 start ·
--   awaited, whether the id may be one we have not heard of yet · seqNo · connectorNumber · idTag · remoteStartId ·
--   meterStartWh · meterLowWh · meterHighWh · readings, for keep_readings · reason · connectorStatus ·
--   newSessionId, should one be needed
CREATE OR REPLACE FUNCTION report_transaction(
    reporter uuid, fact jsonb, correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    kind text := fact->>'kind';
    happened_at timestamptz := fact->>'at';
    tag text := fact->>'idTag';
    seq integer := fact->>'seqNo';
    set_up_at timestamptz;
    connector uuid;
    transaction transactions;
    repeated boolean := false;
    joined record;
    events jsonb := '[]';
BEGIN
    -- The charger's lock: its reports are taken in one at a time.
    UPDATE chargers SET last_seen_at = GREATEST(last_seen_at, moment) WHERE id = reporter
    RETURNING created_at INTO set_up_at;
    -- No clock that is right tells of a time before the charger was set up: no tariff may be valid then.
    IF happened_at < set_up_at THEN
        happened_at := moment;
    END IF;
    SELECT id INTO connector FROM connectors
    WHERE charger_id = reporter AND connector_number = (fact->>'connectorNumber')::integer;

    IF fact->>'transactionId' IS NOT NULL THEN
        SELECT * INTO transaction FROM transactions
        WHERE charger_id = reporter AND transaction_id = fact->>'transactionId';
    ELSE
        SELECT * INTO transaction FROM transactions WHERE charger_id = reporter AND start_key = fact->>'startKey';
    END IF;
    IF NOT FOUND AND NOT (fact->>'awaited')::boolean THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('known', false));
    END IF;
    WHILE transaction.transaction_id IS NULL LOOP
        INSERT INTO transactions (charger_id, transaction_id, issued, start_key, last_at, created_at, updated_at)
        VALUES (reporter, COALESCE(fact->>'transactionId', random_positive_integer()::text),
                fact->>'transactionId' IS NULL, fact->>'startKey', happened_at, moment, moment)
        ON CONFLICT DO NOTHING
        RETURNING * INTO transaction;
    END LOOP;

    IF seq IS NOT NULL THEN
        INSERT INTO transaction_events (charger_id, transaction_id, seq_no, kind, received_at)
        VALUES (reporter, transaction.transaction_id, seq, kind, moment)
        ON CONFLICT DO NOTHING;
        repeated := NOT FOUND;
    END IF;

    IF NOT repeated THEN
        UPDATE transactions AS t
        SET connector_id = COALESCE(t.connector_id, connector),
            id_tag = CASE WHEN t.session_id IS NULL AND kind <> 'STOP' THEN COALESCE(tag, t.id_tag) ELSE t.id_tag END,
            remote_start_id = COALESCE(t.remote_start_id, (fact->>'remoteStartId')::integer),
            started_at = COALESCE(t.started_at, CASE WHEN kind = 'START' THEN happened_at END),
            start_seq_no = COALESCE(t.start_seq_no, CASE WHEN kind = 'START' THEN seq END),
            -- A stop that we made up gives way to the real one.
            stopped_at = CASE
                WHEN kind = 'STOP' AND (t.stopped_at IS NULL OR t.stop_inferred) THEN happened_at
                ELSE t.stopped_at
            END,
            stop_seq_no = COALESCE(t.stop_seq_no, CASE WHEN kind = 'STOP' THEN seq END),
            stop_reason = CASE
                WHEN kind = 'STOP' AND (t.stopped_at IS NULL OR t.stop_inferred) THEN fact->>'reason'
                ELSE t.stop_reason
            END,
            stop_inferred = t.stop_inferred AND kind <> 'STOP',
            stop_is_metered = t.stop_is_metered OR (kind = 'STOP' AND fact->>'meterHighWh' IS NOT NULL),
            last_at = GREATEST(t.last_at, happened_at),
            meter_start_wh = COALESCE(t.meter_start_wh, (fact->>'meterStartWh')::numeric),
            meter_low_wh = LEAST(t.meter_low_wh, (fact->>'meterLowWh')::numeric),
            meter_high_wh = GREATEST(t.meter_high_wh, (fact->>'meterHighWh')::numeric),
            is_unwanted = t.is_unwanted AND kind <> 'STOP',
            updated_at = moment
        WHERE t.charger_id = reporter AND t.transaction_id = transaction.transaction_id
        RETURNING * INTO transaction;
        PERFORM keep_readings(transaction, fact->'readings', set_up_at)
        WHERE jsonb_array_length(fact->'readings') > 0;

        IF transaction.session_id IS NULL AND transaction.started_at IS NOT NULL
            AND transaction.connector_id IS NOT NULL
            AND (transaction.id_tag IS NOT NULL OR transaction.remote_start_id IS NOT NULL)
            -- A refused tag is not tried again by reports that bear none.
            AND (transaction.refusal IS NULL OR (tag IS NOT NULL AND fact->>'startKey' IS NULL)) THEN
            SELECT * INTO joined
            FROM join_session(transaction, (fact->>'newSessionId')::uuid, correlation, moment);
            transaction := joined.transaction;
            events := events || joined.events;
        END IF;
        IF transaction.session_id IS NOT NULL THEN
            events := events || advance_session(transaction, false, moment);
        END IF;
        IF kind <> 'STOP' AND (transaction.stopped_at IS NULL OR transaction.stop_inferred)
            AND happened_at > moment - interval '10 minutes'
            AND (transaction.stop_requests = 0 OR (transaction.stop_requests < 10
                AND transaction.stop_requested_at <= moment - interval '90 seconds'))
            AND (transaction.is_unwanted OR EXISTS (
                SELECT FROM sessions
                WHERE id = transaction.session_id AND status IN ('COMPLETED', 'FAILED', 'CANCELLED')
            )) THEN
            events := events || refuse_transaction(transaction, correlation, moment);
        END IF;
        IF fact->>'connectorStatus' IS NOT NULL AND transaction.connector_id IS NOT NULL THEN
            events := events || set_connector_status(transaction.connector_id, fact->>'connectorStatus', NULL,
                happened_at, correlation, moment);
        END IF;
    END IF;

    RETURN jsonb_build_object(
        'outcome', jsonb_build_object(
            'known', true,
            'repeated', repeated,
            'transactionId', transaction.transaction_id,
            'sessionId', transaction.session_id,
            'tagStatus', CASE
                WHEN tag IS NULL THEN NULL
                WHEN kind <> 'STOP' AND transaction.refusal IS NOT NULL THEN transaction.refusal
                WHEN NOT tag_is_known(tag) THEN 'INVALID'
                WHEN kind = 'START' AND transaction.connector_id IS NULL AND fact->>'startKey' IS NOT NULL THEN 'INVALID'
                ELSE 'ACCEPTED'
            END
        ),
        'events', events
    );
END;
$$;

-- What time brings, but to what vendors tell of: sessions that never began fail; transactions whose stop or whose missing
-- reports never came, or of which nothing was told for as long as `silence`, are settled with what is known; stops that
-- were not obeyed are asked for again, ten times at most; dead sockets are forgotten. At most `at_most` events a run.
-- It waits for no lock, so it is part of no deadlock: what somebody else holds is left to the next run.
CREATE OR REPLACE FUNCTION expire_sessions(
    at_most integer, silence interval, correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    overdue record;
    transaction transactions;
    events jsonb := '[]';
    failed integer := 0;
    settled integer := 0;
    asked_again integer := 0;
    disconnected integer := 0;
BEGIN
    FOR overdue IN
        SELECT sessions.id FROM open_sessions JOIN sessions ON sessions.id = open_sessions.session_id
            JOIN connectors ON connectors.id = sessions.connector_id AND connectors.charger_id IS NOT NULL
        WHERE sessions.status = 'STARTING' AND sessions.created_at <= moment - interval '3 minutes'
        ORDER BY sessions.id LIMIT at_most FOR UPDATE OF sessions SKIP LOCKED
    LOOP
        events := events || move_session(overdue.id, 'FAILED', 'CHARGER_DID_NOT_START', moment);
        failed := failed + 1;
    END LOOP;

    FOR transaction IN
        SELECT transactions.* FROM transactions JOIN sessions ON sessions.id = transactions.session_id
        WHERE sessions.status IN ('IN_PROGRESS', 'STOPPING')
            AND (transactions.superseded_at <= moment - interval '15 minutes'
                OR (transactions.stopped_at IS NOT NULL AND transactions.updated_at <= moment - interval '15 minutes')
                OR transactions.updated_at <= moment - silence)
        ORDER BY transactions.session_id LIMIT at_most - failed FOR UPDATE OF transactions, sessions SKIP LOCKED
    LOOP
        IF transaction.stopped_at IS NULL THEN
            UPDATE transactions SET stopped_at = last_at, stop_inferred = true, stop_reason = 'NO_STOP_REPORTED'
            WHERE charger_id = transaction.charger_id AND transaction_id = transaction.transaction_id
            RETURNING * INTO transaction;
        END IF;
        events := events || advance_session(transaction, true, moment);
        settled := settled + 1;
    END LOOP;

    FOR overdue IN
        SELECT sessions.id FROM open_sessions JOIN sessions ON sessions.id = open_sessions.session_id
            JOIN connectors ON connectors.id = sessions.connector_id
            JOIN chargers ON chargers.id = connectors.charger_id
        WHERE sessions.status = 'STOPPING' AND sessions.stop_requests < 10
            AND sessions.stop_requested_at <= moment - interval '90 seconds' AND charger_is_online(chargers, moment)
        ORDER BY sessions.id LIMIT at_most - failed - settled FOR UPDATE OF sessions SKIP LOCKED
    LOOP
        events := events || move_session(overdue.id, 'STOPPING', NULL, moment);
        asked_again := asked_again + 1;
    END LOOP;

    FOR transaction IN
        SELECT transactions.* FROM transactions JOIN chargers ON chargers.id = transactions.charger_id
        WHERE transactions.is_unwanted AND transactions.stop_requests < 10
            AND (transactions.stopped_at IS NULL OR transactions.stop_inferred)
            AND transactions.stop_requested_at <= moment - interval '90 seconds' AND charger_is_online(chargers, moment)
        ORDER BY transactions.stop_requested_at LIMIT at_most - failed - settled - asked_again
        FOR UPDATE OF transactions SKIP LOCKED
    LOOP
        events := events || refuse_transaction(transaction, correlation, moment);
        asked_again := asked_again + 1;
    END LOOP;

    FOR overdue IN
        SELECT id, connection_id FROM chargers
        WHERE connection_id IS NOT NULL AND NOT charger_is_online(chargers, moment)
        ORDER BY id LIMIT at_most - failed - settled - asked_again FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        SELECT events || coalesce(closed->'events', '[]') INTO events
        FROM charger_disconnected(overdue.id, overdue.connection_id, correlation, moment) AS closed;
        disconnected := disconnected + 1;
    END LOOP;

    RETURN jsonb_build_object(
        'outcome', jsonb_build_object(
            'failed', failed, 'settled', settled, 'askedAgain', asked_again, 'disconnected', disconnected),
        'events', events
    );
END;
$$;
