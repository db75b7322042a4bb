-- Stations and their connections (seed 000 §4), mirrored or our own, and the connectors we control (seed 004).

CREATE TABLE IF NOT EXISTS stations (
    id               uuid PRIMARY KEY,       -- the same as in the mirror
    ocm_id           integer,                -- none for a station of our own
    name             text NOT NULL,
    address_line     text NOT NULL DEFAULT '',
    town             text NOT NULL DEFAULT '',
    state            text NOT NULL DEFAULT '',
    country          text NOT NULL DEFAULT '',   -- ISO 3166-1 alpha-2
    latitude         double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude        double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    status           text NOT NULL,
    operator         text,
    usage_type       text,
    usage_cost       text,
    number_of_points integer,
    attribution      text,
    last_verified    timestamptz,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT stations_ocm_id_key UNIQUE (ocm_id)
);

CREATE TABLE IF NOT EXISTS connections (
    id         uuid PRIMARY KEY,
    station_id uuid NOT NULL REFERENCES stations ON DELETE CASCADE,
    position   integer NOT NULL,             -- within the station, as in the mirror
    type       text NOT NULL,
    level      integer,
    power_kw   double precision CHECK (power_kw >= 0),
    quantity   integer NOT NULL CHECK (quantity >= 0),
    CONSTRAINT connections_position_key UNIQUE (station_id, position)
);

-- How far the mirror's synchronisation has come, so that a broken run resumes.
CREATE TABLE IF NOT EXISTS ocm_sync (
    id             boolean PRIMARY KEY DEFAULT true CHECK (id),
    modified_since timestamptz,              -- the next increment asks from here; none: everything
    greater_than_id bigint,                  -- within a run: the page after this id
    run_started_at timestamptz,
    processed      bigint NOT NULL DEFAULT 0,
    updated        bigint NOT NULL DEFAULT 0,
    failed         bigint NOT NULL DEFAULT 0
);
INSERT INTO ocm_sync DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS chargers (
    id              uuid PRIMARY KEY,
    charge_point_id text NOT NULL,           -- the identity it dials in with
    station_id      uuid NOT NULL REFERENCES stations,
    password_hash   text NOT NULL,           -- argon2id, PHC string
    registration    text NOT NULL DEFAULT 'ACCEPTED' CHECK (registration IN ('ACCEPTED', 'PENDING', 'REJECTED')),
    protocol        text,                    -- ocpp1.6 or ocpp2.0.1, as last spoken
    vendor          text,
    model           text,
    serial_number   text,
    firmware        text,
    booted_at       timestamptz,
    last_seen_at    timestamptz,
    created_at      timestamptz NOT NULL,
    CONSTRAINT chargers_charge_point_id_key UNIQUE (charge_point_id)
);
CREATE INDEX IF NOT EXISTS chargers_station ON chargers (station_id);

CREATE TABLE IF NOT EXISTS connectors (
    id               uuid PRIMARY KEY,
    station_id       uuid NOT NULL REFERENCES stations,
    charger_id       uuid NOT NULL REFERENCES chargers,
    connector_number integer NOT NULL CHECK (connector_number > 0),   -- at the charger; the EVSE's in 2.0.1
    connector_type   text NOT NULL,
    power_kw         double precision NOT NULL CHECK (power_kw > 0),
    status           text NOT NULL DEFAULT 'UNKNOWN',
    error_code       text,
    status_at        timestamptz,            -- the charger's clock; an older report never overwrites a newer one
    updated_at       timestamptz NOT NULL,
    CONSTRAINT connectors_number_key UNIQUE (charger_id, connector_number)
);
CREATE INDEX IF NOT EXISTS connectors_station ON connectors (station_id);
