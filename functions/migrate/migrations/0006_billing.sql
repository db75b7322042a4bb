-- What a session costs, and what is owed for it (seed 000 §4).

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

CREATE TABLE IF NOT EXISTS invoices (
    id         uuid PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions,
    user_id    uuid NOT NULL REFERENCES users,
    tariff_id  uuid NOT NULL REFERENCES tariffs,
    amount     numeric(14, 4) NOT NULL CHECK (amount >= 0),
    currency   char(3) NOT NULL,
    energy_kwh numeric(12, 4) NOT NULL,
    due_date   date NOT NULL,
    status     text NOT NULL CHECK (status IN ('PENDING', 'PAID', 'OVERDUE')),
    created_at timestamptz NOT NULL,
    CONSTRAINT invoices_session_id_key UNIQUE (session_id)
);
CREATE INDEX IF NOT EXISTS invoices_user ON invoices (user_id, id DESC);
