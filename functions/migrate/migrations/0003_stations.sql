-- Stations and their connections, mirrored or our own, and the connectors that we control or vendors tell us of.

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
    attribution      text,                   -- the data provider and its licence; mirrored stations only
    last_verified    timestamptz,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT stations_ocm_id_key UNIQUE (ocm_id)
);
CREATE INDEX IF NOT EXISTS stations_place ON stations (latitude, longitude);

CREATE TABLE IF NOT EXISTS connections (
    id         uuid PRIMARY KEY,
    station_id uuid NOT NULL REFERENCES stations ON DELETE CASCADE,
    position   integer NOT NULL,             -- within the station, as in the mirror
    type       text NOT NULL,
    level      integer,
    power_kw   double precision CHECK (power_kw >= 0),
    quantity   integer NOT NULL CHECK (quantity >= 0)
);
CREATE INDEX IF NOT EXISTS connections_station ON connections (station_id, position);

-- Writes mirrored stations with their connections, keyed by ocm_id, and tells each one's id and whether it is new or
-- became different. A station's updated_at moves only then, so that the same input twice changes nothing.
CREATE OR REPLACE FUNCTION upsert_mirrored_stations(mirrored jsonb, moment timestamptz) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
DECLARE
    changed_ids uuid[];
    touched_ids uuid[];
BEGIN
    WITH upserted AS (
        INSERT INTO stations AS s (id, ocm_id, name, address_line, town, state, country, latitude, longitude, status,
                                   operator, usage_type, usage_cost, number_of_points, attribution, last_verified, updated_at)
        SELECT gen_random_uuid(), m.ocm_id, m.name, m.address_line, m.town, m.state, m.country, m.latitude, m.longitude,
               m.status, m.operator, m.usage_type, m.usage_cost, m.number_of_points, m.attribution, m.last_verified, moment
        FROM jsonb_to_recordset(mirrored) AS m (
            ocm_id integer, name text, address_line text, town text, state text, country text, latitude float8,
            longitude float8, status text, operator text, usage_type text, usage_cost text, number_of_points integer,
            attribution text, last_verified timestamptz)
        ON CONFLICT (ocm_id) DO UPDATE SET
            name = excluded.name, address_line = excluded.address_line, town = excluded.town, state = excluded.state,
            country = excluded.country, latitude = excluded.latitude, longitude = excluded.longitude,
            status = excluded.status, operator = excluded.operator, usage_type = excluded.usage_type,
            usage_cost = excluded.usage_cost, number_of_points = excluded.number_of_points,
            attribution = excluded.attribution, last_verified = excluded.last_verified, updated_at = excluded.updated_at
        WHERE (s.name, s.address_line, s.town, s.state, s.country, s.latitude, s.longitude, s.status, s.operator,
               s.usage_type, s.usage_cost, s.number_of_points, s.attribution, s.last_verified)
              IS DISTINCT FROM
              (excluded.name, excluded.address_line, excluded.town, excluded.state, excluded.country, excluded.latitude,
               excluded.longitude, excluded.status, excluded.operator, excluded.usage_type, excluded.usage_cost,
               excluded.number_of_points, excluded.attribution, excluded.last_verified)
        RETURNING id)
    SELECT coalesce(array_agg(id), '{}') INTO changed_ids FROM upserted;

    WITH wanted AS MATERIALIZED (
        SELECT c.id, s.id AS station_id, listed.position, c.type, c.level, c.power_kw, c.quantity
        FROM jsonb_to_recordset(mirrored) AS m (ocm_id integer, connections jsonb)
        JOIN stations s ON s.ocm_id = m.ocm_id
        CROSS JOIN LATERAL jsonb_array_elements(m.connections) WITH ORDINALITY AS listed (connection, position)
        CROSS JOIN LATERAL jsonb_to_record(listed.connection)
            AS c (id uuid, type text, level integer, power_kw float8, quantity integer)
    ), gone AS (
        DELETE FROM connections c
        USING stations s, jsonb_to_recordset(mirrored) AS m (ocm_id integer)
        WHERE s.ocm_id = m.ocm_id AND c.station_id = s.id AND c.id NOT IN (SELECT id FROM wanted)
        RETURNING c.station_id
    ), upserted AS (
        INSERT INTO connections AS c (id, station_id, position, type, level, power_kw, quantity)
        SELECT id, station_id, position, type, level, power_kw, quantity FROM wanted
        ON CONFLICT (id) DO UPDATE SET
            position = excluded.position, type = excluded.type, level = excluded.level, power_kw = excluded.power_kw,
            quantity = excluded.quantity
        WHERE (c.position, c.type, c.level, c.power_kw, c.quantity)
              IS DISTINCT FROM (excluded.position, excluded.type, excluded.level, excluded.power_kw, excluded.quantity)
        RETURNING c.station_id
    )
    SELECT coalesce(array_agg(DISTINCT station_id), '{}') INTO touched_ids
    FROM (SELECT station_id FROM gone UNION ALL SELECT station_id FROM upserted) AS touched;

    UPDATE stations SET updated_at = moment WHERE id = ANY (touched_ids) AND id <> ALL (changed_ids);

    RETURN QUERY
    SELECT jsonb_build_object('id', s.id, 'ocmId', s.ocm_id, 'changed', s.id = ANY (changed_ids || touched_ids))
    FROM stations s
    WHERE s.ocm_id IN (SELECT m.ocm_id FROM jsonb_to_recordset(mirrored) AS m (ocm_id integer));
END;
$$;

-- How far the mirror's synchronisation has come, so that a run cut off continues where it was.
CREATE TABLE IF NOT EXISTS ocm_sync (
    id             boolean PRIMARY KEY DEFAULT true CHECK (id),
    modified_since timestamptz,              -- all before is mirrored; none: nothing yet
    run_id         uuid,                     -- of the run under way; none between runs
    run_started_at timestamptz,
    run_full       boolean NOT NULL DEFAULT true,
    run_since      timestamptz,              -- the run's next page begins here
    run_edge       jsonb NOT NULL DEFAULT '[]',   -- OCM ids at that moment which are done
    processed      bigint NOT NULL DEFAULT 0,     -- by the run under way, or the last one
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
    connection_id   text,                    -- the open socket's, as far as we know
    connected_at    timestamptz,
    disconnected_at timestamptz,
    created_at      timestamptz NOT NULL,
    CONSTRAINT chargers_charge_point_id_key UNIQUE (charge_point_id)
);
CREATE INDEX IF NOT EXISTS chargers_station ON chargers (station_id);

-- Whether the charger can be asked for something. A socket lives two hours at most; an older one is dead, even if
-- nobody told us.
CREATE OR REPLACE FUNCTION charger_is_online(charger chargers, moment timestamptz) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT charger.connection_id IS NOT NULL AND charger.connected_at > moment - interval '135 minutes'
$$;

-- A connector is under control by a charger of ours, or reported of by a vendor; nobody else's can be booked.
CREATE TABLE IF NOT EXISTS connectors (
    id                  uuid PRIMARY KEY,
    station_id          uuid NOT NULL REFERENCES stations,
    charger_id          uuid REFERENCES chargers,
    vendor_id           uuid,                -- of 0016, which adds the reference
    vendor_connector_id text,                -- the vendor's name for it
    connector_number    integer NOT NULL CHECK (connector_number > 0),   -- at the charger; the EVSE's in 2.0.1
    connector_type      text NOT NULL,
    power_kw            double precision NOT NULL CHECK (power_kw > 0),
    status              text NOT NULL DEFAULT 'UNKNOWN',
    error_code          text,
    status_at           timestamptz,         -- the reporter's clock; an older report never overwrites a newer one
    current_booking_id  uuid,                -- of 0015, while it runs
    updated_at          timestamptz NOT NULL,
    CONSTRAINT connectors_number_key UNIQUE (charger_id, connector_number),
    CONSTRAINT connectors_vendor_key UNIQUE (vendor_id, vendor_connector_id),
    CONSTRAINT connectors_one_reporter CHECK (num_nonnulls(charger_id, vendor_id) = 1),
    CONSTRAINT connectors_vendor_name CHECK ((vendor_id IS NULL) = (vendor_connector_id IS NULL))
);
CREATE INDEX IF NOT EXISTS connectors_station ON connectors (station_id);
