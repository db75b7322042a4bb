-- Charging networks that report by signed webhooks: their keys, and their connectors. What they report is in 0017.

CREATE TABLE IF NOT EXISTS vendors (
    id            uuid PRIMARY KEY,
    name          text NOT NULL,
    name_folded   text NOT NULL,             -- in lower case, by which no two are the same
    keys_revision bigint NOT NULL DEFAULT 1, -- of the secret that vendor_keys follows
    created_at    timestamptz NOT NULL,
    CONSTRAINT vendors_name_key UNIQUE (name_folded)
);

-- What is known of the keys that webhooks are signed with. The secrets themselves are in Secrets Manager, which has the
-- last word: this list follows it.
CREATE TABLE IF NOT EXISTS vendor_keys (
    id         uuid PRIMARY KEY,
    vendor_id  uuid NOT NULL REFERENCES vendors,
    created_at timestamptz NOT NULL,
    expires_at timestamptz                   -- none while it is the newest
);
CREATE INDEX IF NOT EXISTS vendor_keys_vendor ON vendor_keys (vendor_id, created_at DESC);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'connectors_vendor_id_fkey') THEN
        ALTER TABLE connectors ADD CONSTRAINT connectors_vendor_id_fkey FOREIGN KEY (vendor_id) REFERENCES vendors;
    END IF;
END;
$$;

-- A vendor with the keys that sign at `moment`.
CREATE OR REPLACE FUNCTION vendor_document(vendor vendors, moment timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', vendor.id,
        'name', vendor.name,
        'createdAt', rfc3339(vendor.created_at),
        'keys', COALESCE((
            SELECT jsonb_agg(jsonb_build_object(
                'id', id, 'createdAt', rfc3339(created_at), 'expiresAt', rfc3339(expires_at)
            ) ORDER BY expires_at DESC NULLS FIRST, created_at DESC, id DESC)
            FROM vendor_keys
            WHERE vendor_id = vendor.id AND (expires_at IS NULL OR expires_at > moment)
        ), '[]')
    )
$$;

-- Adds a vendor whose secret exists already.
CREATE OR REPLACE FUNCTION register_vendor(
    new_vendor uuid, new_name text, folded text, first_key uuid, operator uuid, correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    vendor vendors;
BEGIN
    INSERT INTO vendors (id, name, name_folded, created_at) VALUES (new_vendor, new_name, folded, moment)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        INSERT INTO vendor_keys (id, vendor_id, created_at) VALUES (first_key, new_vendor, moment);
        INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
        VALUES (moment, operator, 'VENDOR_REGISTERED', new_vendor::text, new_name, correlation);
    END IF;
    -- The same call comes again when its answer was lost: then it is there, as the one asked for.
    SELECT * INTO vendor FROM vendors WHERE id = new_vendor;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('refusal', 'NAME_TAKEN');
    END IF;
    RETURN jsonb_build_object('vendor', vendor_document(vendor, moment));
END;
$$;

-- Notes that an operator wants another key for a vendor, before there is one: no key comes into the world unseen. Gives
-- the last known revision of the secret; no row when there is no such vendor.
CREATE OR REPLACE FUNCTION note_key_rotation(
    rotated uuid, operator uuid, why text, correlation uuid, moment timestamptz
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
    SELECT moment, operator, 'VENDOR_KEY_ROTATED', id::text, why, correlation FROM vendors WHERE id = rotated;
    RETURN QUERY SELECT to_jsonb(keys_revision) FROM vendors WHERE id = rotated;
END;
$$;

-- Takes over what the secret says of its keys, `[{id, createdAt, expiresAt}]`, those that are not there being good no
-- longer, and gives the vendor. Of two rotations at once the list of the earlier may come later: it is passed over.
CREATE OR REPLACE FUNCTION keep_vendor_keys(
    of_vendor uuid, revision bigint, told_keys jsonb, moment timestamptz
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE vendors SET keys_revision = revision WHERE id = of_vendor AND keys_revision < revision;
    IF FOUND THEN
        UPDATE vendor_keys SET expires_at = LEAST(expires_at, moment) WHERE vendor_id = of_vendor;
        INSERT INTO vendor_keys (id, vendor_id, created_at, expires_at)
        SELECT told.id, of_vendor, told."createdAt", told."expiresAt"
        FROM jsonb_to_recordset(told_keys) AS told (id uuid, "createdAt" timestamptz, "expiresAt" timestamptz)
        ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at;
    END IF;
    RETURN QUERY SELECT vendor_document(vendor, moment) FROM vendors AS vendor WHERE id = of_vendor;
END;
$$;

-- Says which connectors of a station a vendor reports of, `[{id, vendorConnectorId, number, type, powerKW}]`; those it
-- reports of already stay as they are, and nothing is written when one cannot be. Gives how many are new.
CREATE OR REPLACE FUNCTION register_vendor_connectors(
    of_vendor uuid, at_station uuid, wanted jsonb, operator uuid, correlation uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    refusal text;
    added uuid[];
BEGIN
    -- One registration of a vendor at a time.
    PERFORM FROM vendors WHERE id = of_vendor FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', 'NO_VENDOR'));
    END IF;
    refusal := CASE
        WHEN NOT EXISTS (SELECT FROM stations WHERE id = at_station) THEN 'NO_STATION'
        WHEN EXISTS (
            SELECT FROM jsonb_array_elements(wanted) AS item
            JOIN connectors ON vendor_id = of_vendor AND vendor_connector_id = item->>'vendorConnectorId'
            WHERE station_id <> at_station
        ) THEN 'ELSEWHERE'
        WHEN EXISTS (
            SELECT FROM jsonb_array_elements(wanted) AS item
            JOIN connectors ON vendor_id = of_vendor AND station_id = at_station
                AND connector_number = (item->>'number')::integer
            WHERE vendor_connector_id <> item->>'vendorConnectorId'
        ) THEN 'NUMBER_TAKEN'
    END;
    IF refusal IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('refusal', refusal));
    END IF;

    WITH inserted AS (
        INSERT INTO connectors (id, station_id, vendor_id, vendor_connector_id, connector_number, connector_type,
                                power_kw, updated_at)
        SELECT (item->>'id')::uuid, at_station, of_vendor, item->>'vendorConnectorId', (item->>'number')::integer,
               item->>'type', (item->>'powerKW')::double precision, moment
        FROM jsonb_array_elements(wanted) AS item
        WHERE NOT EXISTS (
            SELECT FROM connectors
            WHERE vendor_id = of_vendor AND vendor_connector_id = item->>'vendorConnectorId'
        )
        RETURNING id
    )
    SELECT array_agg(id) INTO added FROM inserted;
    IF added IS NOT NULL THEN
        INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
        VALUES (moment, operator, 'VENDOR_CONNECTORS_REGISTERED', of_vendor::text,
                cardinality(added) || ' at station ' || at_station, correlation);
    END IF;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('added', COALESCE(cardinality(added), 0)),
        'events', (
            SELECT jsonb_agg(emit('CONNECTOR_STATUS_CHANGED', 1, 'charger-service', correlation, moment,
                connector_fields(connector, NULL)) ORDER BY connector.connector_number)
            FROM connectors AS connector WHERE id = ANY (added)
        )
    );
END;
$$;
