-- Prices: the tariffs that bill sessions.

-- Exclusion constraints on ids and texts beside ranges of time.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- For whom a tariff is: one station, an operator's stations, or all; names of operators are the same in any case.
CREATE OR REPLACE FUNCTION tariff_scope(of_station uuid, of_operator text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN of_station IS NOT NULL THEN 'station ' || of_station::text
    WHEN of_operator IS NOT NULL THEN 'operator ' || lower(btrim(of_operator))
    ELSE 'all'
END;

-- The price list. Prices include VAT. A row is never changed but to end it earlier.
CREATE TABLE IF NOT EXISTS tariffs (
    id                 uuid PRIMARY KEY,
    station_id         uuid REFERENCES stations,   -- only this station's
    operator           text,                       -- only this operator's stations; neither: everyone's
    currency           char(3) NOT NULL,
    per_kwh            numeric(12, 6) NOT NULL CHECK (per_kwh >= 0),
    per_minute         numeric(12, 6) NOT NULL DEFAULT 0 CHECK (per_minute >= 0),
    start_fee          numeric(12, 6) NOT NULL DEFAULT 0 CHECK (start_fee >= 0),
    idle_per_minute    numeric(12, 6) NOT NULL DEFAULT 0 CHECK (idle_per_minute >= 0),
    idle_grace_minutes integer NOT NULL DEFAULT 0 CHECK (idle_grace_minutes >= 0),
    minimum            numeric(12, 6) NOT NULL DEFAULT 0 CHECK (minimum >= 0),
    booking_fee        numeric(12, 6) NOT NULL DEFAULT 0 CHECK (booking_fee >= 0),   -- asked when a booking is confirmed
    vat_rate           numeric(6, 4) NOT NULL CHECK (vat_rate BETWEEN 0 AND 1),
    time_zone          text NOT NULL DEFAULT 'UTC',
    bands              jsonb NOT NULL DEFAULT '[]',   -- as GraphQL TariffBand; the first that fits holds
    valid_from         timestamptz NOT NULL,
    valid_to           timestamptz,                -- equal to valid_from: withdrawn before it began
    scope              text NOT NULL GENERATED ALWAYS AS (tariff_scope(station_id, operator)) STORED,
    CHECK (valid_to >= valid_from),
    CHECK (station_id IS NULL OR operator IS NULL),
    CONSTRAINT tariffs_one_at_a_time EXCLUDE USING gist (scope WITH =, tstzrange(valid_from, valid_to) WITH &&)
);
CREATE INDEX IF NOT EXISTS tariffs_of_scope ON tariffs (scope, valid_from DESC);
CREATE INDEX IF NOT EXISTS tariffs_listed ON tariffs (scope, id DESC);
INSERT INTO tariffs (id, currency, per_kwh, start_fee, vat_rate, time_zone, valid_from)
VALUES ('00000000-0000-4000-8000-000000000001', 'EUR', 0.49, 0.35, 0.19, 'Europe/Berlin', '2020-01-01T00:00:00Z')
ON CONFLICT DO NOTHING;

-- The tariff that bills a session which starts then: the station's own, else its operator's, else everyone's.
CREATE OR REPLACE FUNCTION tariff_at(station uuid, moment timestamptz) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT id FROM tariffs
    WHERE scope IN (
            tariff_scope(station, NULL),
            tariff_scope(NULL, (SELECT operator FROM stations WHERE stations.id = station)),
            tariff_scope(NULL, NULL)
        )
        AND valid_from <= moment AND (valid_to IS NULL OR valid_to > moment)
    ORDER BY (station_id IS NOT NULL) DESC, (operator IS NOT NULL) DESC, valid_from DESC, id
    LIMIT 1
$$;

-- A tariff as the crate of that name reads it and GraphQL tells it.
CREATE OR REPLACE FUNCTION tariff_document(tariff tariffs) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', tariff.id,
        'stationId', tariff.station_id,
        'operator', tariff.operator,
        'currency', tariff.currency,
        'perKWh', trim_scale(tariff.per_kwh)::text,
        'perMinute', trim_scale(tariff.per_minute)::text,
        'startFee', trim_scale(tariff.start_fee)::text,
        'idlePerMinute', trim_scale(tariff.idle_per_minute)::text,
        'idleGraceMinutes', tariff.idle_grace_minutes,
        'minimum', trim_scale(tariff.minimum)::text,
        'bookingFee', trim_scale(tariff.booking_fee)::text,
        'vatRate', trim_scale(tariff.vat_rate)::text,
        'timeZone', tariff.time_zone,
        'bands', tariff.bands,
        'validFrom', rfc3339(tariff.valid_from),
        'validTo', rfc3339(tariff.valid_to)
    )
$$;

-- Adds a tariff unless another of the same scope is valid in the same time.
CREATE OR REPLACE FUNCTION create_tariff(
    new_tariff jsonb, created_by uuid, why text, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    tariff tariffs;
BEGIN
    INSERT INTO tariffs (id, station_id, operator, currency, per_kwh, per_minute, start_fee, idle_per_minute,
                         idle_grace_minutes, minimum, booking_fee, vat_rate, time_zone, bands, valid_from, valid_to)
    SELECT n."id", n."stationId", n."operator", n."currency", n."perKWh", n."perMinute", n."startFee",
           n."idlePerMinute", n."idleGraceMinutes", n."minimum", COALESCE(n."bookingFee", 0), n."vatRate", n."timeZone",
           n."bands", date_trunc('milliseconds', n."validFrom"), date_trunc('milliseconds', n."validTo")
    FROM jsonb_to_record(new_tariff) AS n (
        "id" uuid, "stationId" uuid, "operator" text, "currency" text, "perKWh" numeric, "perMinute" numeric,
        "startFee" numeric, "idlePerMinute" numeric, "idleGraceMinutes" integer, "minimum" numeric,
        "bookingFee" numeric, "vatRate" numeric, "timeZone" text, "bands" jsonb, "validFrom" timestamptz, "validTo" timestamptz)
    RETURNING * INTO tariff;
    INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
    VALUES (moment, created_by, 'TARIFF_CREATED', tariff.id::text, why, correlation);
    RETURN jsonb_build_object('result', 'CREATED', 'tariff', tariff_document(tariff));
EXCEPTION
    WHEN exclusion_violation THEN
        RETURN jsonb_build_object('result', 'OVERLAPS');
    WHEN foreign_key_violation THEN
        RETURN jsonb_build_object('result', 'NO_STATION');
END;
$$;

-- Ends a tariff; one that ends by then anyway stays as it is, and one that has not begun never does. No row for an
-- unknown one.
CREATE OR REPLACE FUNCTION end_tariff(
    ended uuid, ends_at timestamptz, ended_by uuid, why text, moment timestamptz, correlation uuid
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
DECLARE
    told timestamptz := date_trunc('milliseconds', ends_at);   -- as moments are told
BEGIN
    UPDATE tariffs SET valid_to = GREATEST(told, valid_from)
    WHERE id = ended AND (valid_to IS NULL OR valid_to > GREATEST(told, valid_from));
    IF FOUND THEN
        INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
        VALUES (moment, ended_by, 'TARIFF_ENDED', ended::text, why, correlation);
    END IF;
    RETURN QUERY SELECT tariff_document(tariff) FROM tariffs AS tariff WHERE id = ended;
END;
$$;
