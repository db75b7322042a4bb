-- What becomes of confirmed bookings by themselves: they are due, their driver charges or does not come, they are over.
-- Locks as in 0015; what is locked by others is left to the next run.

-- The session that a booking's driver began at its connector, from ten minutes before its start until its end; none if
-- there is none that may have drawn energy. Ids of sessions are moments: no older ones are looked at.
CREATE OR REPLACE FUNCTION session_of(booking bookings) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT id FROM sessions
    WHERE connector_id = booking.connector_id AND user_id = booking.user_id
        AND id >= uuid_v7_floor(booking.start_ts - interval '1 day')
        AND (status NOT IN ('FAILED', 'CANCELLED') OR start_time IS NOT NULL)
        AND COALESCE(start_time, created_at) >= booking.start_ts - interval '10 minutes'
        AND COALESCE(start_time, created_at) < booking.end_ts
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

-- Brings the booking that a session belongs to, if it does, to what the session is now: whenever and however often that
-- is told. No row when nothing changed, else the booking.
CREATE OR REPLACE FUNCTION track_booking(told uuid, moment timestamptz) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
    booking bookings;
    followed text;
BEGIN
    SELECT * INTO session FROM sessions WHERE id = told;
    PERFORM FROM users WHERE id = session.user_id FOR NO KEY UPDATE;
    SELECT * INTO booking FROM bookings
    WHERE user_id = session.user_id AND connector_id = session.connector_id
        AND status IN ('CONFIRMED', 'ACTIVE', 'NO_SHOW') AND (session_id IS NULL OR session_id = told)
        AND COALESCE(session.start_time, session.created_at) >= start_ts - interval '10 minutes'
        AND COALESCE(session.start_time, session.created_at) < end_ts
        -- It belongs to one booking alone, were the next to begin in a moment.
        AND NOT EXISTS (SELECT FROM bookings AS other WHERE other.session_id = told AND other.id <> bookings.id)
    ORDER BY start_ts LIMIT 1 FOR NO KEY UPDATE;
    IF FOUND THEN
        followed := follow_session(booking, told, moment);
        IF followed <> booking.status THEN
            SELECT * INTO booking FROM bookings WHERE id = booking.id;
            RETURN NEXT booking_document(booking);
        END IF;
    END IF;
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
-- charges follow their session instead. Gives {followed, freed: those of no-shows}.
CREATE OR REPLACE FUNCTION mark_no_shows(
    at_most integer, grace_minutes integer, refund_percent integer, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    booking bookings;
    missed bookings[] := '{}';
    coming uuid;
    followed integer := 0;
    back jsonb;
    events jsonb := '[]';
BEGIN
    FOR booking IN
        SELECT bookings.* FROM bookings JOIN users ON users.id = bookings.user_id
        WHERE bookings.status = 'CONFIRMED' AND bookings.start_ts <= moment
            AND LEAST(GREATEST(start_ts, confirmed_at) + make_interval(mins => grace_minutes), end_ts) <= moment
            -- The charger may still begin that one.
            AND NOT EXISTS (
                SELECT FROM open_sessions JOIN sessions ON sessions.id = open_sessions.session_id
                WHERE open_sessions.connector_id = bookings.connector_id AND open_sessions.user_id = bookings.user_id
                    AND sessions.status = 'STARTING'
            )
        ORDER BY bookings.start_ts LIMIT at_most
        FOR NO KEY UPDATE OF users, bookings SKIP LOCKED
    LOOP
        coming := session_of(booking);
        IF coming IS NOT NULL THEN
            followed := followed + (follow_session(booking, coming, moment) <> booking.status)::integer;
            CONTINUE;
        END IF;
        UPDATE bookings SET status = 'NO_SHOW', updated_at = GREATEST(updated_at, moment) WHERE id = booking.id
        RETURNING * INTO booking;
        missed := missed || booking;
        PERFORM note_running_booking(booking.connector_id, moment);
        -- A charger tells itself when its connector is free.
        IF EXISTS (
            SELECT FROM connectors
            WHERE id = booking.connector_id AND status = 'RESERVED' AND charger_id IS NULL AND current_booking_id IS NULL
        ) THEN
            events := events || set_connector_status(booking.connector_id, 'AVAILABLE', NULL, moment,
                booking.correlation_id, moment);
        END IF;
    END LOOP;

    -- Numbers of credit notes are taken when no connector is waited for any more.
    FOREACH booking IN ARRAY missed LOOP
        back := refund_booking(booking,
            round(booking.price * refund_percent / 100, minor_digits(booking.currency)), NULL, 'the driver did not come',
            jsonb_build_object('refund', gen_random_uuid(), 'creditNote', gen_random_uuid(), 'entry', gen_random_uuid()),
            moment);
        UPDATE bookings SET refunded = (back->>'refunded')::numeric WHERE id = booking.id RETURNING * INTO booking;
        events := events || jsonb_build_array(emit_booking('BOOKING_NO_SHOW', booking, moment))
            || CASE WHEN back ? 'event' THEN jsonb_build_array(back->'event') ELSE '[]' END;
    END LOOP;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object(
            'followed', followed,
            'freed', COALESCE((SELECT jsonb_agg(booking_document(one)) FROM unnest(missed) AS one), '[]')
        ),
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
