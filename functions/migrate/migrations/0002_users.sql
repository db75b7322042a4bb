-- Accounts, their vehicles, their logins and their wallets.

CREATE TABLE IF NOT EXISTS users (
    id              uuid PRIMARY KEY,
    email           text NOT NULL,           -- lower case
    name            text NOT NULL,
    password_hash   text NOT NULL,           -- argon2id, PHC string
    roles           text[] NOT NULL DEFAULT '{DRIVER}',
    id_tag          text NOT NULL,           -- what chargers know the driver by (OCPP idTag, 20 characters)
    wallet_balance  numeric(14, 4) NOT NULL DEFAULT 0,   -- the sum of wallet_entries, kept in the same statement
    wallet_currency char(3) NOT NULL DEFAULT 'EUR',
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_id_tag_key UNIQUE (id_tag)
);

CREATE TABLE IF NOT EXISTS vehicles (
    id                   uuid PRIMARY KEY,
    user_id              uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    brand                text NOT NULL,
    model                text NOT NULL,
    battery_capacity_kwh numeric(8, 2) NOT NULL CHECK (battery_capacity_kwh > 0),
    created_at           timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS vehicles_user ON vehicles (user_id);

-- An account as its owner sees it.
CREATE OR REPLACE FUNCTION account_document(account users) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', account.id,
        'email', account.email,
        'name', account.name,
        'roles', to_jsonb(account.roles),
        'vehicles', COALESCE((
            SELECT jsonb_agg(jsonb_build_object(
                'id', id, 'brand', brand, 'model', model, 'batteryCapacity', battery_capacity_kwh
            ) ORDER BY id)
            FROM vehicles WHERE user_id = account.id
        ), '[]'),
        'walletBalance', jsonb_build_object(
            'amount', account.wallet_balance::text, 'currency', account.wallet_currency
        ),
        'createdAt', rfc3339(account.created_at)
    )
$$;

-- One row a refresh token; a family is one login. Only hashes are kept.
CREATE TABLE IF NOT EXISTS refresh_tokens (
    token_hash  bytea PRIMARY KEY,           -- SHA-256
    family_id   uuid NOT NULL,
    user_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    issued_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    revoked_at  timestamptz
);
CREATE INDEX IF NOT EXISTS refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX IF NOT EXISTS refresh_tokens_user ON refresh_tokens (user_id);

-- Spends a refresh token for a fresh one of its family. Within ten seconds of its first use a spent token is an
-- answer that got lost, asked for again; later it is in two hands, and the whole family is revoked.
CREATE OR REPLACE FUNCTION rotate_refresh_token(
    spent_hash bytea, fresh_hash bytea, moment timestamptz, fresh_expires_at timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    spent refresh_tokens;
BEGIN
    SELECT * INTO spent FROM refresh_tokens WHERE token_hash = spent_hash;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('status', 'UNKNOWN');
    END IF;

    -- One rotation of a family at a time: a revocation must not miss a child that is just being born.
    PERFORM pg_advisory_xact_lock(hashtextextended(spent.family_id::text, 0));
    SELECT * INTO spent FROM refresh_tokens WHERE token_hash = spent_hash;
    IF NOT FOUND OR spent.expires_at <= moment THEN
        RETURN jsonb_build_object('status', 'EXPIRED');
    ELSIF spent.revoked_at IS NOT NULL THEN
        RETURN jsonb_build_object('status', 'REVOKED');
    ELSIF spent.used_at <= moment - interval '10 seconds' THEN
        UPDATE refresh_tokens SET revoked_at = moment WHERE family_id = spent.family_id AND revoked_at IS NULL;
        INSERT INTO audit_log (at, action, subject, reason, correlation_id)
        VALUES (moment, 'REFRESH_TOKEN_REUSED', spent.user_id::text, 'family ' || spent.family_id, correlation);
        RETURN jsonb_build_object('status', 'REUSED');
    END IF;

    UPDATE refresh_tokens SET used_at = moment WHERE token_hash = spent_hash AND used_at IS NULL;
    DELETE FROM refresh_tokens WHERE user_id = spent.user_id AND expires_at <= moment;
    INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at)
    VALUES (fresh_hash, spent.family_id, spent.user_id, moment, fresh_expires_at);
    RETURN (
        SELECT jsonb_build_object('status', 'ROTATED', 'account', account_document(account))
        FROM users AS account WHERE id = spent.user_id
    );
END;
$$;
