-- Dead letters, and what drivers are told.

-- Messages that no consumer could take: taken out of their queue, and kept here for good.
CREATE TABLE IF NOT EXISTS dead_letters (
    id             uuid PRIMARY KEY,         -- made of the queue and the message's id: found twice, kept once
    consumer       text NOT NULL,
    event_id       uuid,                     -- these three of an event; a message may be anything
    event_type     text,
    correlation_id uuid,
    body           text NOT NULL,            -- as it came; up to 1 MiB, more than a row of the Data API shows
    receive_count  integer NOT NULL,         -- by the consumer
    sent_at        timestamptz NOT NULL,
    found_at       timestamptz NOT NULL,     -- whole milliseconds, as cursors write it
    status         text NOT NULL DEFAULT 'OPEN' CHECK (status IN ('OPEN', 'REPLAYED')),
    claim          uuid,                     -- the replay that is sending it, until `claimed_until`
    claimed_until  timestamptz,
    replayed_at    timestamptz
);
CREATE INDEX IF NOT EXISTS dead_letters_found ON dead_letters (found_at, id);
CREATE INDEX IF NOT EXISTS dead_letters_open ON dead_letters (found_at, id) WHERE status = 'OPEN';
CREATE INDEX IF NOT EXISTS dead_letters_consumer ON dead_letters (consumer, found_at, id);
CREATE INDEX IF NOT EXISTS dead_letters_event_type ON dead_letters (event_type, found_at, id);
CREATE INDEX IF NOT EXISTS dead_letters_claim ON dead_letters (claim) WHERE claim IS NOT NULL;

-- A text for a list: whole if it has no more than 8000 bytes as JSON, which no byte of 1300 characters can exceed, else
-- its beginning. A hundred and one of them fit into an answer of the Data API.
CREATE OR REPLACE FUNCTION shown_text(whole text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(to_jsonb(whole)::text) <= 8000 THEN whole ELSE left(whole, 1300) || '…' END;

-- A dead letter as operators see it.
CREATE OR REPLACE FUNCTION dead_letter_document(letter dead_letters) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', letter.id,
        'consumer', letter.consumer,
        'eventId', letter.event_id,
        'eventType', letter.event_type,
        'correlationId', letter.correlation_id,
        'status', letter.status,
        'receiveCount', letter.receive_count,
        'sentAt', rfc3339(letter.sent_at),
        'foundAt', rfc3339(letter.found_at),
        'replayedAt', rfc3339(letter.replayed_at),
        'body', shown_text(letter.body)
    )
$$;

-- Keeps a message once, with its audit row and the event that tells what it stopped. `letter` is {id, consumer, eventId,
-- eventType, correlationId, receiveCount, sentAt}; `compensation`, if there is one, {eventType, fields}.
CREATE OR REPLACE FUNCTION keep_dead_letter(
    letter jsonb, whole_body text, compensation jsonb, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    event jsonb;
BEGIN
    INSERT INTO dead_letters (id, consumer, event_id, event_type, correlation_id, body, receive_count, sent_at, found_at)
    VALUES ((letter->>'id')::uuid, letter->>'consumer', (letter->>'eventId')::uuid, letter->>'eventType',
            (letter->>'correlationId')::uuid, whole_body, (letter->>'receiveCount')::integer,
            (letter->>'sentAt')::timestamptz, date_trunc('milliseconds', moment))
    ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', 'REPEATED');
    END IF;

    INSERT INTO audit_log (at, action, subject, reason, correlation_id)
    VALUES (moment, 'DEAD_LETTER_FOUND', letter->>'id', concat_ws(': ', letter->>'consumer', letter->>'eventType'),
            correlation);
    IF compensation IS NOT NULL THEN
        event := emit(compensation->>'eventType', 1, 'event-service', correlation, moment,
            (compensation->'fields') || jsonb_build_object(
                'deadLetterId', letter->'id', 'failedEventId', letter->'eventId'
            ));
    END IF;
    RETURN jsonb_build_object('outcome', 'KEPT', 'events', CASE WHEN event IS NOT NULL THEN jsonb_build_array(event) END);
END;
$$;

-- Notes that a replay sent `letters`, each with its audit row, and gives them as operators see them.
CREATE OR REPLACE FUNCTION mark_replayed(
    letters jsonb, held_claim uuid, operator uuid, why text, moment timestamptz, correlation uuid
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
    WITH marked AS (
        UPDATE dead_letters
        SET status = 'REPLAYED', replayed_at = moment, claim = NULL, claimed_until = NULL
        WHERE claim = held_claim AND id = ANY (ARRAY(SELECT value::uuid FROM jsonb_array_elements_text(letters)))
        RETURNING dead_letters AS letter
    ), audited AS (
        INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
        SELECT moment, operator, 'DEAD_LETTER_REPLAYED', (letter).id::text, why, correlation FROM marked
    )
    SELECT dead_letter_document(letter) FROM marked ORDER BY (letter).found_at, (letter).id;
END;
$$;

-- Who does not want to be told how; without a row, both.
CREATE TABLE IF NOT EXISTS notification_settings (
    user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
    email   boolean NOT NULL DEFAULT true,
    push    boolean NOT NULL DEFAULT true
);

-- What a driver is told of an event, a row a channel. One without `sent_at` may have been told, and will be again.
CREATE TABLE IF NOT EXISTS notifications (
    event_id   uuid NOT NULL,
    channel    text NOT NULL CHECK (channel IN ('EMAIL', 'PUSH')),
    user_id    uuid NOT NULL,
    created_at timestamptz NOT NULL,
    sent_at    timestamptz,
    PRIMARY KEY (event_id, channel)
);
CREATE INDEX IF NOT EXISTS notifications_created ON notifications (created_at);

-- Decides, once an event, on which of `wanted` channels its driver is told: [{"channel", "always"}], where `always` is
-- stronger than the driver's settings. Gives {name, email, channels}, the channels being those that nothing was sent on
-- yet; nothing for an account that is gone.
CREATE OR REPLACE FUNCTION claim_notification(told_event uuid, told_user uuid, wanted jsonb, moment timestamptz)
RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
BEGIN
    SELECT * INTO account FROM users WHERE id = told_user AND deleted_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO notifications (event_id, channel, user_id, created_at)
    SELECT told_event, way.channel, told_user, moment
    FROM jsonb_to_recordset(wanted) AS way (channel text, always boolean)
        LEFT JOIN notification_settings AS settings ON settings.user_id = told_user
    WHERE way.always OR COALESCE(CASE way.channel WHEN 'EMAIL' THEN settings.email ELSE settings.push END, true)
    ON CONFLICT (event_id, channel) DO NOTHING;
    RETURN jsonb_build_object(
        'name', account.name,
        'email', account.email,
        'channels', COALESCE((
            SELECT jsonb_agg(channel ORDER BY channel) FROM notifications
            WHERE event_id = told_event AND sent_at IS NULL
        ), '[]')
    );
END;
$$;
