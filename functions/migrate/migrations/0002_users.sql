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
    deleted_at      timestamptz,             -- its personal data is gone since; the row stays for the books
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

-- Adds a vehicle, an element as `account_document` tells it, unless the account has its fill. Says ADDED, TOO_MANY, or
-- NO_ACCOUNT.
CREATE OR REPLACE FUNCTION add_vehicle(owner uuid, vehicle jsonb, at_most integer, moment timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    -- One at a time: two that count together would both find room for the last.
    PERFORM FROM users WHERE id = owner AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN 'NO_ACCOUNT';
    ELSIF (SELECT count(*) FROM vehicles WHERE user_id = owner) >= at_most THEN
        RETURN 'TOO_MANY';
    END IF;
    INSERT INTO vehicles (id, user_id, brand, model, battery_capacity_kwh, created_at)
    VALUES ((vehicle->>'id')::uuid, owner, vehicle->>'brand', vehicle->>'model',
            (vehicle->>'batteryCapacity')::numeric, moment);
    RETURN 'ADDED';
END;
$$;

-- One row a refresh token; a family is one login. Only hashes are kept.
CREATE TABLE IF NOT EXISTS refresh_tokens (
    token_hash  bytea PRIMARY KEY,           -- SHA-256
    family_id   uuid NOT NULL,
    user_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    issued_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,                 -- when it was spent for its successor
    successor   bytea,                       -- the hash of that
    seed        bytea,                       -- what whoever holds this token derives the successor from, until that is spent
    revoked_at  timestamptz
);
CREATE INDEX IF NOT EXISTS refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX IF NOT EXISTS refresh_tokens_user ON refresh_tokens (user_id);

-- Spends a refresh token for its successor, which its holder derives from the token and the seed that is returned. A
-- token has one successor, however many ask at once: within ten seconds of its first use it is an answer that got
-- lost, asked for again, and the answer is the same. Later, or once the successor is spent in turn, the token is in
-- two hands, and the whole family is revoked.
CREATE OR REPLACE FUNCTION rotate_refresh_token(
    spent_hash bytea, fresh_seed bytea, fresh_hash bytea, moment timestamptz, fresh_expires_at timestamptz,
    correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    spent refresh_tokens;
BEGIN
    -- One change of an account's logins at a time: whoever ends them must not miss a successor that is just being born.
    SELECT users.* INTO account FROM refresh_tokens JOIN users ON users.id = refresh_tokens.user_id
    WHERE token_hash = spent_hash FOR NO KEY UPDATE OF users;
    SELECT * INTO spent FROM refresh_tokens WHERE token_hash = spent_hash;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('status', 'UNKNOWN');
    ELSIF spent.expires_at <= moment THEN
        RETURN jsonb_build_object('status', 'EXPIRED');
    ELSIF spent.revoked_at IS NOT NULL THEN
        RETURN jsonb_build_object('status', 'REVOKED');
    ELSIF spent.used_at IS NULL THEN
        UPDATE refresh_tokens SET used_at = moment, successor = fresh_hash, seed = fresh_seed
        WHERE token_hash = spent_hash RETURNING * INTO spent;
        -- From here on an older token of the line derives nothing.
        UPDATE refresh_tokens SET seed = NULL WHERE family_id = spent.family_id AND successor = spent_hash;
        DELETE FROM refresh_tokens WHERE user_id = spent.user_id AND expires_at <= moment;
        INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at)
        VALUES (fresh_hash, spent.family_id, spent.user_id, moment, fresh_expires_at);
    ELSIF spent.used_at <= moment - interval '10 seconds' OR spent.seed IS NULL THEN
        UPDATE refresh_tokens SET revoked_at = moment WHERE family_id = spent.family_id AND revoked_at IS NULL;
        INSERT INTO audit_log (at, action, subject, reason, correlation_id)
        VALUES (moment, 'REFRESH_TOKEN_REUSED', spent.user_id::text, 'family ' || spent.family_id, correlation);
        RETURN jsonb_build_object('status', 'REUSED');
    END IF;
    RETURN jsonb_build_object(
        'status', 'ROTATED', 'seed', encode(spent.seed, 'hex'), 'account', account_document(account)
    );
END;
$$;

-- Ends the login that a refresh token belongs to, or all of its account's, unless that token is revoked or expired: what
-- was stolen once ends nobody's logins for ever. Gives how many tokens are good no longer.
CREATE OR REPLACE FUNCTION log_out(shown_hash bytea, everywhere boolean, moment timestamptz) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    shown refresh_tokens;
    ended bigint;
BEGIN
    PERFORM FROM refresh_tokens JOIN users ON users.id = refresh_tokens.user_id
    WHERE token_hash = shown_hash FOR NO KEY UPDATE OF users;
    SELECT * INTO shown FROM refresh_tokens WHERE token_hash = shown_hash;
    IF NOT FOUND OR shown.revoked_at IS NOT NULL OR shown.expires_at <= moment THEN
        RETURN 0;
    END IF;
    UPDATE refresh_tokens SET revoked_at = moment
    WHERE user_id = shown.user_id AND (everywhere OR family_id = shown.family_id) AND revoked_at IS NULL;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END;
$$;

-- Sets another password, ends all logins and begins one. False when the password is no longer `verified_hash`.
CREATE OR REPLACE FUNCTION change_password(
    owner uuid, verified_hash text, new_hash text, fresh_hash bytea, fresh_family uuid, fresh_expires_at timestamptz,
    moment timestamptz, correlation uuid
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE users SET password_hash = new_hash, updated_at = GREATEST(updated_at, moment)
    WHERE id = owner AND password_hash = verified_hash AND deleted_at IS NULL;
    IF NOT FOUND THEN
        -- The same call comes again when its answer was lost: the change is its own.
        RETURN EXISTS (SELECT FROM refresh_tokens WHERE token_hash = fresh_hash AND user_id = owner);
    END IF;
    UPDATE refresh_tokens SET revoked_at = moment WHERE user_id = owner AND revoked_at IS NULL;
    INSERT INTO refresh_tokens (token_hash, family_id, user_id, issued_at, expires_at)
    VALUES (fresh_hash, fresh_family, owner, moment, fresh_expires_at);
    INSERT INTO audit_log (at, actor_id, action, subject, correlation_id)
    VALUES (moment, owner, 'PASSWORD_CHANGED', owner::text, correlation);
    RETURN true;
END;
$$;

-- Erases what is personal about an account and keeps its books, once nothing is open. `obstacle` is what stands in the
-- way, CHANGED when the password is no longer `verified_hash`.
CREATE OR REPLACE FUNCTION delete_account(
    owner uuid, verified_hash text, forfeit boolean, new_entry uuid, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    obstacle text;
BEGIN
    -- Against all who refer to the account: a session that is just beginning must be seen.
    SELECT * INTO account FROM users WHERE id = owner FOR UPDATE;
    -- The same call comes again when its answer was lost: the deletion is its own, and told of already.
    IF account.deleted_at = moment AND EXISTS (
        SELECT FROM audit_log
        WHERE subject = owner::text AND action = 'ACCOUNT_DELETED' AND correlation_id = correlation
    ) THEN
        RETURN jsonb_build_object('outcome', '{}'::jsonb);
    END IF;
    obstacle := CASE
        WHEN account.password_hash IS DISTINCT FROM verified_hash OR account.deleted_at IS NOT NULL THEN 'CHANGED'
        WHEN EXISTS (SELECT FROM sessions WHERE user_id = owner AND status IN ('STARTING', 'IN_PROGRESS', 'STOPPING'))
            THEN 'SESSION_OPEN'
        WHEN EXISTS (SELECT FROM bookings WHERE user_id = owner AND status IN ('PENDING', 'CONFIRMED', 'ACTIVE'))
            THEN 'BOOKING_OPEN'
        WHEN EXISTS (SELECT FROM invoices WHERE user_id = owner AND status IN ('PENDING', 'OVERDUE'))
            -- Its bill is on its way.
            OR EXISTS (
                SELECT FROM sessions WHERE user_id = owner AND status = 'COMPLETED'
                    AND NOT EXISTS (SELECT FROM invoices WHERE session_id = sessions.id)
            ) THEN 'INVOICES_UNPAID'
        WHEN EXISTS (SELECT FROM payments WHERE user_id = owner AND status IN ('PENDING', 'REQUIRES_ACTION'))
            -- What a card does not take back goes to the wallet.
            OR EXISTS (SELECT FROM refunds WHERE user_id = owner AND status IN ('PENDING', 'HELD')) THEN 'PAYMENT_PENDING'
        WHEN account.wallet_balance <> 0 AND NOT forfeit THEN 'WALLET_NOT_EMPTY'
    END;
    IF obstacle IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('obstacle', obstacle));
    END IF;

    PERFORM end_subscriptions_of(owner, moment);
    IF account.wallet_balance <> 0 THEN
        PERFORM post_wallet_entry(new_entry, owner, -account.wallet_balance, account.wallet_currency::text, 'FORFEIT',
            owner::text, 'given up with the account', moment);
    END IF;
    DELETE FROM vehicles WHERE user_id = owner;
    DELETE FROM refresh_tokens WHERE user_id = owner;
    -- No address, no hash and, being too long for one, no id tag: nothing logs in or charges with these.
    UPDATE users
    SET email = 'deleted:' || id, name = '', password_hash = '', id_tag = 'deleted:' || id, deleted_at = moment,
        updated_at = GREATEST(updated_at, moment)
    WHERE id = owner;
    INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
    VALUES (moment, owner, 'ACCOUNT_DELETED', owner::text,
            CASE WHEN account.wallet_balance <> 0 THEN
                'gave up ' || account.wallet_balance || ' ' || account.wallet_currency
            END, correlation);
    RETURN jsonb_build_object(
        'outcome', '{}'::jsonb,
        'events', jsonb_build_array(emit('USER_DELETED', 1, 'user-service', correlation, moment,
            jsonb_build_object('userId', owner, 'deletedAt', rfc3339(moment))))
    );
END;
$$;
