-- Events leave through here: a business statement calls emit() beside its write, so that neither exists without
-- the other.

CREATE TABLE IF NOT EXISTS outbox (
    event_id       uuid PRIMARY KEY,
    event_type     text NOT NULL,
    version        integer NOT NULL,
    source         text NOT NULL,
    correlation_id uuid NOT NULL,
    payload        jsonb NOT NULL,          -- the whole envelope, as published
    created_at     timestamptz NOT NULL DEFAULT now(),
    published_at   timestamptz,
    position       bigint GENERATED ALWAYS AS IDENTITY   -- the events of one statement have one moment, and an order
);
CREATE INDEX IF NOT EXISTS outbox_unpublished ON outbox (created_at) WHERE published_at IS NULL;
CREATE INDEX IF NOT EXISTS outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS outbox_correlation ON outbox (correlation_id, position);

-- Text of a moment as every event and answer writes it: UTC, RFC 3339, to the millisecond. Not IMMUTABLE, as to_char is
-- not: only so is it inlined.
CREATE OR REPLACE FUNCTION rfc3339(moment timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- Writes one event and gives its envelope.
CREATE OR REPLACE FUNCTION emit(
    event_type text, version integer, source text, correlation_id uuid, happened_at timestamptz, fields jsonb
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    id uuid := gen_random_uuid();
    envelope jsonb := fields || jsonb_build_object(
        'eventId', id,
        'eventType', event_type,
        'version', version,
        'timestamp', rfc3339(happened_at),
        'source', source,
        'correlationId', correlation_id
    );
BEGIN
    INSERT INTO outbox (event_id, event_type, version, source, correlation_id, payload)
    VALUES (id, event_type, version, source, correlation_id, envelope);
    RETURN envelope;
END;
$$;

-- Who changed what by hand, and why.
CREATE TABLE IF NOT EXISTS audit_log (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             timestamptz NOT NULL,
    actor_id       uuid,                    -- none for the system itself
    action         text NOT NULL,
    subject        text NOT NULL,
    reason         text,
    correlation_id uuid NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_log_subject ON audit_log (subject, id);
CREATE INDEX IF NOT EXISTS audit_log_actor ON audit_log (actor_id, id) WHERE actor_id IS NOT NULL;
