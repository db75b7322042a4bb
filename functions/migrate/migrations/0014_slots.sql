-- When stations are open, what is taken of their time, and holds: a connector kept for one driver for ten minutes, until
-- it is booked. Locks are taken in this order: the account, the connector.

ALTER TABLE stations ADD COLUMN IF NOT EXISTS time_zone text NOT NULL DEFAULT 'UTC';
ALTER TABLE stations ADD COLUMN IF NOT EXISTS opening_periods jsonb;   -- as GraphQL OpeningPeriod; none: always open

-- Redis has the holds; here is what is told of them there, and those that were taken while it was gone. They live for
-- minutes and refer to nothing.
CREATE TABLE IF NOT EXISTS slot_holds (
    token        text PRIMARY KEY,
    user_id      uuid NOT NULL,
    station_id   uuid NOT NULL,
    connector_id uuid NOT NULL,
    start_ts     timestamptz NOT NULL,
    end_ts       timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,       -- one that is given back stays until then, lest its news come late
    CHECK (start_ts < end_ts)
);
CREATE INDEX IF NOT EXISTS slot_holds_connector ON slot_holds (connector_id, end_ts);
CREATE INDEX IF NOT EXISTS slot_holds_user ON slot_holds (user_id);
CREATE INDEX IF NOT EXISTS slot_holds_expiry ON slot_holds (expires_at);

-- A station's calendar at `from_moment`, as the crate `booking` reads it: first the station, then a row for each
-- connector, since a row holds 64 KB. Times are minutes of Unix time. Of a connector's holds the next 200 are told; others
-- still stand in the way of who wants one. No row for an unknown station.
CREATE OR REPLACE FUNCTION station_calendar(
    asked uuid, from_moment timestamptz, to_moment timestamptz
) RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY
    SELECT jsonb_build_object('station', jsonb_build_object(
        'hours', jsonb_build_object('timeZone', s.time_zone, 'periods', s.opening_periods),
        'bookingFee', (
            SELECT jsonb_build_object('amount', coins(t.booking_fee, t.currency), 'currency', t.currency)
            FROM tariffs AS t WHERE t.id = tariff_at(s.id, from_moment) AND t.booking_fee > 0
        )
    ))
    FROM stations AS s WHERE s.id = asked;

    RETURN QUERY
    SELECT jsonb_build_object('connector', jsonb_build_object(
        'id', c.id,
        'number', c.connector_number,
        'status', c.status,
        'sessionSince', (
            SELECT floor(extract(epoch FROM COALESCE(session.start_time, session.created_at)) / 60)::bigint
            FROM open_sessions AS open JOIN sessions AS session ON session.id = open.session_id
            WHERE open.connector_id = c.id
        ),
        'booked', (
            SELECT COALESCE(jsonb_agg(jsonb_build_array(
                floor(extract(epoch FROM lower(booked.span)) / 60)::bigint,
                ceil(extract(epoch FROM upper(booked.span)) / 60)::bigint
            ) ORDER BY booked.span), '[]')
            FROM (
                SELECT unnest(range_agg(tstzrange(b.start_ts, b.end_ts))) AS span
                FROM bookings AS b
                WHERE b.connector_id = c.id AND b.status IN ('PENDING', 'CONFIRMED', 'ACTIVE')
                    AND tstzrange(b.start_ts, b.end_ts) && tstzrange(from_moment, to_moment)
            ) AS booked
        ),
        'held', (
            SELECT COALESCE(jsonb_agg(jsonb_build_object(
                'from', floor(extract(epoch FROM h.start_ts) / 60)::bigint,
                'to', ceil(extract(epoch FROM h.end_ts) / 60)::bigint,
                'lapses', (extract(epoch FROM h.expires_at) * 1000)::bigint,
                'user', h.user_id
            ) ORDER BY h.start_ts), '[]')
            FROM (
                SELECT * FROM slot_holds AS held
                WHERE held.connector_id = c.id AND held.expires_at > from_moment
                    AND held.end_ts > from_moment AND held.start_ts < to_moment
                    AND NOT EXISTS (SELECT FROM bookings WHERE hold_token = held.token)
                ORDER BY held.start_ts LIMIT 200
            ) AS h
        )
    ))
    FROM connectors AS c WHERE c.station_id = asked
    ORDER BY c.connector_number, c.id;
END;
$$;

-- Takes a hold, told as SLOT_HOLD_CREATED tells it, while Redis is gone. Says TAKEN with the token and when it lapses, of
-- the earlier one if the driver has that very slot; OVERLAPS, TOO_MANY, NO_ACCOUNT or NO_CONNECTOR.
CREATE OR REPLACE FUNCTION hold_slot(
    hold jsonb, at_most integer, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    holder uuid := hold->>'userId';
    wanted uuid := hold->>'connectorId';
    starts timestamptz := hold->>'startTs';
    ends timestamptz := hold->>'endTs';
    taken slot_holds;
BEGIN
    PERFORM FROM users WHERE id = holder AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'NO_ACCOUNT'));
    END IF;
    PERFORM FROM connectors WHERE id = wanted AND station_id = (hold->>'stationId')::uuid FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'NO_CONNECTOR'));
    END IF;
    SELECT * INTO taken FROM slot_holds AS held
    WHERE held.user_id = holder AND held.connector_id = wanted AND (held.start_ts, held.end_ts) = (starts, ends)
        AND held.expires_at > moment AND NOT EXISTS (SELECT FROM bookings WHERE hold_token = held.token)
    LIMIT 1;
    IF FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object(
            'result', 'TAKEN', 'token', taken.token, 'expiresAt', rfc3339(taken.expires_at)));
    END IF;
    IF at_most <= (
        SELECT count(*) FROM slot_holds AS held
        WHERE held.user_id = holder AND held.expires_at > moment
            AND NOT EXISTS (SELECT FROM bookings WHERE hold_token = held.token)
    ) THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'TOO_MANY'));
    END IF;
    IF EXISTS (
        SELECT FROM slot_holds AS held
        WHERE held.connector_id = wanted AND held.end_ts > starts AND held.start_ts < ends AND held.expires_at > moment
            AND NOT EXISTS (SELECT FROM bookings WHERE hold_token = held.token)
    ) OR EXISTS (
        SELECT FROM bookings
        WHERE connector_id = wanted AND status IN ('PENDING', 'CONFIRMED', 'ACTIVE')
            AND tstzrange(start_ts, end_ts) && tstzrange(starts, ends)
    ) THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'OVERLAPS'));
    END IF;
    INSERT INTO slot_holds (token, user_id, station_id, connector_id, start_ts, end_ts, expires_at)
    VALUES (hold->>'holdToken', holder, (hold->>'stationId')::uuid, wanted, starts, ends,
            (hold->>'expiresAt')::timestamptz);
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('result', 'TAKEN', 'token', hold->'holdToken', 'expiresAt', hold->'expiresAt'),
        'events', jsonb_build_array(emit('SLOT_HOLD_CREATED', 1, 'booking-service', correlation, moment, hold))
    );
END;
$$;

-- Keeps what SLOT_HOLD_CREATED tells, in case that Redis is lost. Not what was given back or booked before the news came.
CREATE OR REPLACE FUNCTION mirror_hold(hold jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO slot_holds (token, user_id, station_id, connector_id, start_ts, end_ts, expires_at)
    SELECT hold->>'holdToken', (hold->>'userId')::uuid, (hold->>'stationId')::uuid, (hold->>'connectorId')::uuid,
           (hold->>'startTs')::timestamptz, (hold->>'endTs')::timestamptz, (hold->>'expiresAt')::timestamptz
    WHERE NOT EXISTS (SELECT FROM bookings WHERE hold_token = hold->>'holdToken')
    ON CONFLICT (token) DO NOTHING;
END;
$$;

-- Gives a hold of the driver's back; with `known`, as Redis tells it, also one whose news has not come. Of one that nobody
-- knows (any more) the name is kept, lest its news come late. Gives the hold, or no row.
CREATE OR REPLACE FUNCTION release_hold(
    given_back text, holder uuid, known jsonb, moment timestamptz
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
BEGIN
    IF known IS NOT NULL THEN
        PERFORM mirror_hold(known);
    END IF;
    RETURN QUERY
    UPDATE slot_holds SET expires_at = LEAST(expires_at, moment)
    WHERE token = given_back AND user_id = holder
    RETURNING jsonb_build_object(
        'holdToken', token, 'userId', user_id, 'stationId', station_id, 'connectorId', connector_id,
        'startTs', rfc3339(start_ts), 'endTs', rfc3339(end_ts), 'expiresAt', rfc3339(expires_at));
    -- Tokens are `hold_<unix milliseconds>_…`. Who asks for many that never were gets no room for them here.
    IF NOT FOUND AND split_part(given_back, '_', 2)::numeric
            BETWEEN extract(epoch FROM moment - interval '1 hour') * 1000 AND extract(epoch FROM moment) * 1000
        AND 100 > (SELECT count(*) FROM slot_holds WHERE user_id = holder)
        AND NOT EXISTS (SELECT FROM bookings WHERE hold_token = given_back)
    THEN
        INSERT INTO slot_holds (token, user_id, station_id, connector_id, start_ts, end_ts, expires_at)
        SELECT given_back, holder, nobody, nobody, moment - interval '1 minute', moment, moment
        FROM (SELECT '00000000-0000-0000-0000-000000000000'::uuid AS nobody) AS nil
        ON CONFLICT (token) DO NOTHING;
    END IF;
END;
$$;

-- Sets when a station is open; `hours` as GraphQL StationHours. False for an unknown station.
CREATE OR REPLACE FUNCTION set_station_hours(
    station uuid, hours jsonb, set_by uuid, why text, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE stations SET time_zone = hours->>'timeZone', opening_periods = NULLIF(hours->'periods', 'null')
    WHERE id = station;
    IF NOT FOUND THEN
        RETURN 'false';
    END IF;
    INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
    VALUES (moment, set_by, 'STATION_HOURS_SET', station::text, why, correlation);
    RETURN 'true';
END;
$$;
