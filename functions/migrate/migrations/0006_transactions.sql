-- What chargers report of their transactions. Facts may come in any order, twice, or hours late; each report adds one
-- fact and brings the session to what all known facts say.

CREATE INDEX IF NOT EXISTS users_id_tag_folded ON users (lower(id_tag));   -- OCPP's id tags know no case

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
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (charger_id, transaction_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS transactions_issued ON transactions (transaction_id) WHERE issued;
CREATE UNIQUE INDEX IF NOT EXISTS transactions_start ON transactions (charger_id, start_key);
CREATE UNIQUE INDEX IF NOT EXISTS transactions_session ON transactions (session_id);
CREATE INDEX IF NOT EXISTS transactions_connector ON transactions (connector_id) WHERE stopped_at IS NULL;

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

-- Brings a session to what is known of its transaction, and gives the events of what changed. `settle`: no more
-- reports are waited for.
CREATE OR REPLACE FUNCTION advance_session(transaction transactions, settle boolean, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
    metered numeric(12, 4);
    gaps boolean := transaction_has_gaps(transaction);
    events jsonb := '[]';
BEGIN
    SELECT * INTO session FROM sessions WHERE id = transaction.session_id FOR UPDATE;
    IF NOT FOUND OR session.status IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN
        RETURN events;
    END IF;
    metered := round(COALESCE(GREATEST(0,
        transaction.meter_high_wh - COALESCE(transaction.meter_start_wh, transaction.meter_low_wh)), 0) / 1000, 4);

    IF session.status = 'STARTING' THEN
        UPDATE sessions
        SET status = 'IN_PROGRESS', start_time = transaction.started_at, energy_kwh = metered,
            updated_at = GREATEST(updated_at, moment)
        WHERE id = session.id
        RETURNING * INTO session;
        events := events || emit('SESSION_STARTED', 1, 'session-service', session.correlation_id, moment,
            session_fields(session));
    END IF;

    -- Without a reading of its own, a stop is worth what the reports before it say: all of them must be there.
    IF transaction.stopped_at IS NOT NULL AND (transaction.stop_is_metered OR settle OR NOT gaps) THEN
        UPDATE sessions
        SET status = 'COMPLETED', end_time = GREATEST(transaction.stopped_at, start_time), energy_kwh = metered,
            reason = COALESCE(transaction.stop_reason, reason), updated_at = GREATEST(updated_at, moment)
        WHERE id = session.id
        RETURNING * INTO session;
        DELETE FROM open_sessions WHERE session_id = session.id;
        events := events || emit('SESSION_ENDED', 1, 'session-service', session.correlation_id, moment,
            session_fields(session) || jsonb_build_object(
                'endedAt', rfc3339(session.end_time),
                'durationMinutes', round(extract(epoch FROM session.end_time - session.start_time) / 60),
                'incomplete', gaps OR transaction.stop_inferred
            ));
    ELSIF session.energy_kwh <> metered THEN
        UPDATE sessions SET energy_kwh = metered, updated_at = GREATEST(updated_at, moment)
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
    connector connectors;
BEGIN
    events := '[]';
    -- Whoever starts a session through the app locks this row too.
    SELECT * INTO connector FROM connectors WHERE id = transaction.connector_id FOR UPDATE;
    SELECT id INTO driver FROM users WHERE lower(id_tag) = lower(transaction.id_tag);
    SELECT sessions.* INTO present FROM open_sessions JOIN sessions ON sessions.id = open_sessions.session_id
    WHERE open_sessions.connector_id = connector.id
    FOR UPDATE OF sessions;

    IF present.status = 'STARTING'
        AND (present.remote_start_id = transaction.remote_start_id OR present.user_id = driver) THEN
        transaction.session_id := present.id;
    ELSIF driver IS NULL THEN
        transaction.refusal := CASE WHEN transaction.id_tag IS NOT NULL THEN 'INVALID' END;
    ELSIF EXISTS (
        -- The driver thought better of it while the charger was being asked.
        SELECT FROM sessions
        WHERE connector_id = connector.id AND user_id = driver AND status = 'CANCELLED'
            AND id >= uuid_v7_floor(moment - interval '1 hour')
            AND (remote_start_id = transaction.remote_start_id OR updated_at > moment - interval '3 minutes')
            AND NOT EXISTS (SELECT FROM transactions AS other WHERE other.session_id = sessions.id)
    ) THEN
        transaction.refusal := 'INVALID';
    ELSIF transaction.started_at > moment - interval '10 minutes' AND transaction.stopped_at IS NULL AND EXISTS (
        -- Only of a start that happens now: what an offline charger tells of later has been charged already.
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
    END IF;
    UPDATE transactions SET session_id = transaction.session_id, refusal = transaction.refusal
    WHERE charger_id = transaction.charger_id AND transaction_id = transaction.transaction_id;
END;
$$;

-- Adds one report of a transaction. `fact`:
--   kind START, UPDATE or STOP · at · transactionId, none for a 1.6 start · startKey, for a 1.6 start ·
--   awaited, whether the id may be one we have not heard of yet · seqNo · connectorNumber · idTag · remoteStartId ·
--   meterStartWh · meterLowWh · meterHighWh · reason · connectorStatus · newSessionId, should one be needed
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
            stopped_at = COALESCE(t.stopped_at, CASE WHEN kind = 'STOP' THEN happened_at END),
            stop_seq_no = COALESCE(t.stop_seq_no, CASE WHEN kind = 'STOP' THEN seq END),
            stop_reason = COALESCE(t.stop_reason, CASE WHEN kind = 'STOP' THEN fact->>'reason' END),
            stop_is_metered = t.stop_is_metered OR (kind = 'STOP' AND fact->>'meterHighWh' IS NOT NULL),
            last_at = GREATEST(t.last_at, happened_at),
            meter_start_wh = COALESCE(t.meter_start_wh, (fact->>'meterStartWh')::numeric),
            meter_low_wh = LEAST(t.meter_low_wh, (fact->>'meterLowWh')::numeric),
            meter_high_wh = GREATEST(t.meter_high_wh, (fact->>'meterHighWh')::numeric),
            updated_at = moment
        WHERE t.charger_id = reporter AND t.transaction_id = transaction.transaction_id
        RETURNING * INTO transaction;

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
                WHEN NOT EXISTS (SELECT FROM users WHERE lower(id_tag) = lower(tag)) THEN 'INVALID'
                WHEN kind = 'START' AND transaction.connector_id IS NULL AND fact->>'startKey' IS NOT NULL THEN 'INVALID'
                ELSE 'ACCEPTED'
            END
        ),
        'events', events
    );
END;
$$;

-- What time brings: sessions that never began fail, transactions whose stop or whose missing reports never came are
-- settled with what is known, stops that were not obeyed are asked for again, dead sockets are forgotten. At most
-- `at_most` of each a run.
CREATE OR REPLACE FUNCTION expire_sessions(at_most integer, correlation uuid, moment timestamptz) RETURNS jsonb
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
                OR (transactions.stopped_at IS NOT NULL AND transactions.updated_at <= moment - interval '15 minutes'))
        ORDER BY transactions.session_id LIMIT at_most FOR UPDATE OF transactions SKIP LOCKED
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
        WHERE sessions.status = 'STOPPING' AND sessions.stop_requested_at <= moment - interval '90 seconds'
            AND charger_is_online(chargers, moment)
        ORDER BY sessions.id LIMIT at_most FOR UPDATE OF sessions SKIP LOCKED
    LOOP
        events := events || move_session(overdue.id, 'STOPPING', NULL, moment);
        asked_again := asked_again + 1;
    END LOOP;

    FOR overdue IN
        SELECT id, connection_id FROM chargers
        WHERE connection_id IS NOT NULL AND NOT charger_is_online(chargers, moment)
        ORDER BY id LIMIT at_most
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
