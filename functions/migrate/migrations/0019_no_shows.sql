-- What becomes of confirmed bookings by themselves: they are due, their driver charges or does not come, they are over.
-- Locks as in 0015; what is locked by others is left to the next run.

-- Whether a session is of a booking's time: its driver's at its connector, begun before the end, and after the start or
-- gone on past it. One that began up to ten minutes early counts however short it was, unless it is another booking's.
CREATE OR REPLACE FUNCTION session_serves(session sessions, booking bookings, moment timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT session.connector_id = booking.connector_id AND session.user_id = booking.user_id
        AND (session.status NOT IN ('FAILED', 'CANCELLED') OR session.start_time IS NOT NULL)
        AND began < booking.end_ts
        AND (
            began >= booking.start_ts
            OR COALESCE(session.end_time > booking.start_ts, false)
            OR (booking.start_ts <= moment AND EXISTS (SELECT FROM open_sessions WHERE session_id = session.id))
            OR (began >= booking.start_ts - interval '10 minutes' AND NOT EXISTS (
                SELECT FROM bookings AS other
                WHERE other.user_id = booking.user_id AND other.session_id = session.id AND other.id <> booking.id
            ))
        )
    FROM COALESCE(session.start_time, session.created_at) AS began
$$;

-- The first session that serves a booking; none if there is none. Ids of sessions are moments: no older ones are looked
-- at.
CREATE OR REPLACE FUNCTION session_of(booking bookings, moment timestamptz) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT id FROM sessions
    WHERE connector_id = booking.connector_id AND user_id = booking.user_id
        AND id >= uuid_v7_floor(booking.start_ts - interval '1 day')
        AND session_serves(sessions, booking, moment)
    ORDER BY COALESCE(start_time, created_at) LIMIT 1
$$;

-- Writes at a connector which booking runs there now, if one does.
CREATE OR REPLACE FUNCTION note_running_booking(at_connector uuid, moment timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    running uuid := (
        SELECT id FROM bookings
        WHERE connector_id = at_connector AND status IN ('CONFIRMED', 'ACTIVE')
            AND tstzrange(start_ts, end_ts) && tstzrange(moment, moment, '[]')
    );
BEGIN
    UPDATE connectors SET current_booking_id = running
    WHERE id = at_connector AND current_booking_id IS DISTINCT FROM running;
END;
$$;

-- Brings a booking, whose row is locked, to what its session is: ACTIVE while its driver charges, COMPLETED after. One
-- that was called a no-show before its session was reported is COMPLETED, late, for its slot may be another's. Nothing
-- before energy flows. Gives its status then.
CREATE OR REPLACE FUNCTION follow_session(booking bookings, followed uuid, moment timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    of_session text := (SELECT status FROM sessions WHERE id = followed);
    next_status text := CASE
        WHEN of_session IN ('COMPLETED', 'FAILED', 'CANCELLED') THEN 'COMPLETED'
        WHEN of_session IN ('IN_PROGRESS', 'STOPPING') AND booking.status = 'CONFIRMED' THEN 'ACTIVE'
        ELSE booking.status
    END;
BEGIN
    IF next_status <> booking.status THEN
        UPDATE bookings
        SET status = next_status, session_id = followed, updated_at = GREATEST(updated_at, moment)
        WHERE id = booking.id;
        PERFORM note_running_booking(booking.connector_id, moment);
    END IF;
    RETURN next_status;
END;
$$;

-- Brings the bookings that a session serves to what the session is now, whenever and however often that is told: it may
-- be that of several in a row. Gives those that changed.
CREATE OR REPLACE FUNCTION track_booking(told uuid, moment timestamptz) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
    booking bookings;
BEGIN
    SELECT * INTO session FROM sessions WHERE id = told;
    PERFORM FROM users WHERE id = session.user_id FOR NO KEY UPDATE;
    FOR booking IN
        SELECT * FROM bookings
        WHERE user_id = session.user_id AND connector_id = session.connector_id
            AND status IN ('CONFIRMED', 'ACTIVE', 'NO_SHOW') AND (session_id IS NULL OR session_id = told)
            AND end_ts > COALESCE(session.start_time, session.created_at)
        ORDER BY start_ts FOR NO KEY UPDATE
    LOOP
        -- Not in the query, which would not see whose the session has become by the last turn.
        IF session_serves(session, booking, moment) AND follow_session(booking, told, moment) <> booking.status THEN
            SELECT * INTO booking FROM bookings WHERE id = booking.id;
            RETURN NEXT booking_document(booking);
        END IF;
    END LOOP;
END;
$$;

-- Tells once of each booking that begins in ten minutes, and once more when its charger has come back since.
CREATE OR REPLACE FUNCTION tell_due_bookings(at_most integer, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    booking bookings;
    events jsonb := '[]';
BEGIN
    FOR booking IN
        SELECT * FROM bookings
        WHERE status = 'CONFIRMED' AND end_ts > moment AND start_ts <= moment + interval '10 minutes'
            AND (reserved_at IS NULL OR EXISTS (
                SELECT FROM connectors JOIN chargers ON chargers.id = connectors.charger_id
                WHERE connectors.id = bookings.connector_id AND chargers.connected_at > bookings.reserved_at
                    AND charger_is_online(chargers, moment)
            ))
        ORDER BY start_ts LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        UPDATE bookings SET reserved_at = moment, updated_at = GREATEST(updated_at, moment)
        WHERE id = booking.id RETURNING * INTO booking;
        events := events || jsonb_build_array(emit_booking('BOOKING_DUE', booking, moment));
    END LOOP;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('told', jsonb_array_length(events)), 'events', events
    );
END;
$$;

-- Calls bookings no-shows whose driver has not come `grace_minutes` after the start (or the confirmation, if that was
-- later), or by the end: their connectors are free, and that share of the price (0 to 100) goes back. Those whose driver
-- charges follow their session instead. One whose money cannot go back stays as it is; the ids in `skipped` are not tried.
-- Gives {followed, freed: those of no-shows, failed: [{booking, cause}]}.
CREATE OR REPLACE FUNCTION mark_no_shows(
    at_most integer, grace_minutes integer, refund_percent integer, skipped jsonb, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    booking bookings;
    missed bookings[] := '{}';
    freed jsonb := '[]';
    failed jsonb := '[]';
    coming uuid;
    followed integer := 0;
    back jsonb;
    connectors_event jsonb;
    events jsonb := '[]';
BEGIN
    FOR booking IN
        SELECT bookings.* FROM bookings JOIN users ON users.id = bookings.user_id
            LEFT JOIN (open_sessions JOIN sessions AS present ON present.id = open_sessions.session_id)
                ON open_sessions.connector_id = bookings.connector_id AND open_sessions.user_id = bookings.user_id
        WHERE bookings.status = 'CONFIRMED' AND bookings.start_ts <= moment AND NOT skipped ? bookings.id::text
            AND CASE
                -- Nobody is missed who is there: the charger may still begin that one.
                WHEN present.id IS NOT NULL
                    THEN present.status <> 'STARTING' AND session_of(bookings, moment) IS NOT NULL
                ELSE LEAST(GREATEST(start_ts, confirmed_at) + make_interval(mins => grace_minutes), end_ts) <= moment
            END
        ORDER BY bookings.start_ts LIMIT at_most
        FOR NO KEY UPDATE OF users, bookings SKIP LOCKED
    LOOP
        coming := session_of(booking, moment);
        IF coming IS NOT NULL THEN
            followed := followed + (follow_session(booking, coming, moment) <> booking.status)::integer;
        ELSE
            missed := missed || booking;
        END IF;
    END LOOP;

    -- Numbers of credit notes are taken when no connector is waited for any more.
    PERFORM FROM connectors WHERE id IN (SELECT connector_id FROM unnest(missed)) ORDER BY id FOR UPDATE;
    FOREACH booking IN ARRAY missed LOOP
        BEGIN
            UPDATE bookings SET status = 'NO_SHOW', updated_at = GREATEST(updated_at, moment) WHERE id = booking.id;
            PERFORM note_running_booking(booking.connector_id, moment);
            -- A charger tells itself when its connector is free.
            connectors_event := CASE WHEN EXISTS (
                SELECT FROM connectors
                WHERE id = booking.connector_id AND status = 'RESERVED' AND charger_id IS NULL
                    AND current_booking_id IS NULL
            ) THEN set_connector_status(booking.connector_id, 'AVAILABLE', NULL, moment, booking.correlation_id, moment)
            ELSE '[]' END;
            back := refund_booking(booking,
                round(booking.price * refund_percent / 100, minor_digits(booking.currency)), NULL,
                'the driver did not come',
                jsonb_build_object('refund', gen_random_uuid(), 'creditNote', gen_random_uuid(),
                    'entry', gen_random_uuid()),
                moment);
            UPDATE bookings SET refunded = (back->>'refunded')::numeric WHERE id = booking.id RETURNING * INTO booking;
            events := events || connectors_event
                || jsonb_build_array(emit_booking('BOOKING_NO_SHOW', booking, moment))
                || CASE WHEN back ? 'event' THEN jsonb_build_array(back->'event') ELSE '[]' END;
            freed := freed || jsonb_build_array(booking_document(booking));
        EXCEPTION WHEN check_violation THEN
            failed := failed || jsonb_build_array(jsonb_build_object('booking', booking.id, 'cause', SQLERRM));
        END;
    END LOOP;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('followed', followed, 'freed', freed, 'failed', failed),
        'events', events
    );
END;
$$;

-- What the clock does without telling anybody: bookings whose session is over are, connectors know the booking that runs,
-- and lapsed holds go. Gives {purged, freed: those whose session is over}.
CREATE OR REPLACE FUNCTION tidy_bookings(at_most integer, most_holds integer, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    booking bookings;
    at_connector uuid;
    over bookings[] := '{}';
    purged integer;
BEGIN
    FOR booking IN
        SELECT bookings.* FROM bookings JOIN sessions ON sessions.id = bookings.session_id
        WHERE bookings.status = 'ACTIVE' AND sessions.status IN ('COMPLETED', 'FAILED', 'CANCELLED')
        ORDER BY bookings.start_ts LIMIT at_most FOR NO KEY UPDATE OF bookings SKIP LOCKED
    LOOP
        PERFORM follow_session(booking, booking.session_id, moment);
        over := over || booking;
    END LOOP;
    FOR at_connector IN
        SELECT id FROM connectors
        WHERE id IN (
            SELECT id FROM connectors WHERE current_booking_id IS NOT NULL
            UNION
            SELECT connector_id FROM bookings
            WHERE status IN ('CONFIRMED', 'ACTIVE') AND start_ts <= moment AND end_ts > moment
        )
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        PERFORM note_running_booking(at_connector, moment);
    END LOOP;
    DELETE FROM slot_holds WHERE token IN (
        -- Old enough that no news of it can come any more.
        SELECT token FROM slot_holds WHERE expires_at <= moment - interval '1 hour'
        LIMIT most_holds FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN jsonb_build_object(
        'purged', purged,
        'freed', COALESCE((SELECT jsonb_agg(booking_document(one)) FROM unnest(over) AS one), '[]')
    );
END;
$$;
