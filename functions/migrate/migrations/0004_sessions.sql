-- Charging sessions, and the facts that chargers report of their transactions (seeds 000 §4, 004; DESIGN §5).

-- Ids are UUIDv7, so a range of ids is a range of time: the partition key and the primary key are one.
CREATE TABLE IF NOT EXISTS sessions (
    id             uuid PRIMARY KEY,
    user_id        uuid NOT NULL REFERENCES users,
    station_id     uuid NOT NULL REFERENCES stations,
    connector_id   uuid NOT NULL REFERENCES connectors,
    status         text NOT NULL
                   CHECK (status IN ('STARTING', 'IN_PROGRESS', 'STOPPING', 'COMPLETED', 'FAILED', 'CANCELLED')),
    start_time     timestamptz,              -- by the charger's clock
    end_time       timestamptz,
    energy_kwh     numeric(12, 4) NOT NULL DEFAULT 0 CHECK (energy_kwh >= 0),
    cost           numeric(14, 4),           -- what was billed
    currency       char(3),
    reason         text,
    correlation_id uuid NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX IF NOT EXISTS sessions_user ON sessions (user_id, id DESC);
CREATE INDEX IF NOT EXISTS sessions_station ON sessions (station_id, id DESC);
CREATE TABLE IF NOT EXISTS sessions_default PARTITION OF sessions DEFAULT;

-- The smallest UUIDv7 of a moment.
CREATE OR REPLACE FUNCTION uuid_v7_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid;

-- Makes the partitions of the month of `from_moment` and of the `months` after it; existing ones stay.
CREATE OR REPLACE FUNCTION ensure_session_partitions(from_moment timestamptz, months integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    month timestamptz;
    made integer := 0;
    partition_name text;
BEGIN
    FOR ahead IN 0..months LOOP
        month := date_trunc('month', from_moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => ahead);
        partition_name := 'sessions_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(partition_name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF sessions FOR VALUES FROM (%L) TO (%L)', partition_name,
                uuid_v7_floor(month), uuid_v7_floor(month + interval '1 month'));
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END;
$$;

-- A connector serves one session at a time: this key says so, across partitions.
CREATE TABLE IF NOT EXISTS open_sessions (
    connector_id uuid PRIMARY KEY REFERENCES connectors,
    session_id   uuid NOT NULL UNIQUE REFERENCES sessions,
    user_id      uuid NOT NULL REFERENCES users
);
CREATE INDEX IF NOT EXISTS open_sessions_user ON open_sessions (user_id);

-- One request of an app, one session, however often it is repeated.
CREATE TABLE IF NOT EXISTS session_requests (
    user_id         uuid NOT NULL REFERENCES users,
    idempotency_key text NOT NULL,
    session_id      uuid NOT NULL REFERENCES sessions,
    request         jsonb NOT NULL,
    PRIMARY KEY (user_id, idempotency_key)
);

-- Seed 004's name for the same facts.
CREATE OR REPLACE VIEW charging_sessions AS
SELECT id, user_id, station_id, connector_id, status, start_time AS started_at, end_time AS ended_at, energy_kwh,
       cost AS cost_amount, currency, created_at, updated_at
FROM sessions;
