-- Prices: the tariffs that bill sessions, and the flat rates that do so instead.

-- The price list; the most specific row valid at a session's start is the one that bills it.
CREATE TABLE IF NOT EXISTS tariffs (
    id              uuid PRIMARY KEY,
    station_id      uuid REFERENCES stations,   -- none: every station
    currency        char(3) NOT NULL,
    per_kwh         numeric(12, 6) NOT NULL CHECK (per_kwh >= 0),
    per_minute      numeric(12, 6) NOT NULL CHECK (per_minute >= 0),
    start_fee       numeric(12, 6) NOT NULL CHECK (start_fee >= 0),
    valid_from      timestamptz NOT NULL,
    valid_to        timestamptz,
    CHECK (valid_to > valid_from)
);
INSERT INTO tariffs (id, currency, per_kwh, per_minute, start_fee, valid_from)
VALUES ('00000000-0000-4000-8000-000000000001', 'EUR', 0.49, 0, 0.35, '2020-01-01T00:00:00Z')
ON CONFLICT DO NOTHING;

-- The tariff that bills a session which starts then: the most specific valid one.
CREATE OR REPLACE FUNCTION tariff_at(at_station uuid, moment timestamptz) RETURNS uuid
LANGUAGE sql STABLE AS $$
    SELECT id FROM tariffs
    WHERE (station_id = at_station OR station_id IS NULL)
        AND valid_from <= moment AND (valid_to IS NULL OR valid_to > moment)
    ORDER BY station_id IS NULL, valid_from DESC, id
    LIMIT 1
$$;
