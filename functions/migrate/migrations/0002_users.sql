-- Accounts, their vehicles, their logins and their wallets (seed 000 §4, seed 002 §6).

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

-- The wallet's ledger: append-only, one entry a cause.
CREATE TABLE IF NOT EXISTS wallet_entries (
    id             uuid PRIMARY KEY,
    user_id        uuid NOT NULL REFERENCES users,
    amount         numeric(14, 4) NOT NULL CHECK (amount <> 0),   -- negative for a debit
    currency       char(3) NOT NULL,
    balance        numeric(14, 4) NOT NULL,  -- after it
    cause          text NOT NULL,            -- CREDIT, INVOICE
    cause_id       text NOT NULL,            -- the idempotency key, the invoice's id
    reason         text NOT NULL,
    created_at     timestamptz NOT NULL,
    CONSTRAINT wallet_entries_cause_key UNIQUE (user_id, cause, cause_id)
);
CREATE INDEX IF NOT EXISTS wallet_entries_user ON wallet_entries (user_id, id DESC);
