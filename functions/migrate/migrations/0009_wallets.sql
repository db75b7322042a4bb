-- What wallets hold. Wherever money is written, locks are taken in this order: the account, the session,
-- the subscription's period, the invoice, the payment, the number series. `created_at` is kept to the millisecond, as
-- lists' cursors tell it.

-- Digits after the point of a currency's smallest coin, as `shared::Currency` knows them.
CREATE OR REPLACE FUNCTION minor_digits(currency text) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN currency IN ('JPY', 'KRW', 'ISK', 'CLP', 'VND') THEN 0
    WHEN currency IN ('BHD', 'KWD', 'JOD', 'TND', 'OMR') THEN 3
    ELSE 2
END;

-- An amount as people and events are told it: to the smallest coin, halves away from zero.
CREATE OR REPLACE FUNCTION coins(amount numeric, currency text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(amount, minor_digits(currency))::text;

DO $$
BEGIN
    IF to_regtype('wallet_change') IS NULL THEN
        CREATE DOMAIN wallet_change AS numeric(14, 4) CHECK (VALUE <> 0);
    END IF;
    IF to_regtype('wallet_sum') IS NULL THEN
        CREATE DOMAIN wallet_sum AS numeric(14, 4) CHECK (VALUE >= 0);
    END IF;
    IF to_regtype('wallet_cause') IS NULL THEN
        CREATE DOMAIN wallet_cause AS text CHECK (VALUE IN (
            'CREDIT', 'DEBIT', 'INVOICE', 'TOP_UP', 'PAYMENT', 'PAYMENT_REVERSAL', 'REFUND', 'FORFEIT'));
    END IF;
END;
$$;

-- The wallet's ledger: append-only, one entry a cause.
CREATE TABLE IF NOT EXISTS wallet_entries (
    id             uuid PRIMARY KEY,
    position       bigint GENERATED ALWAYS AS IDENTITY,   -- within a wallet the order in which balances followed
    user_id        uuid NOT NULL,            -- no foreign key: post_if_covered has just written the account
    amount         wallet_change NOT NULL,   -- negative for a debit
    currency       char(3) NOT NULL,
    balance        wallet_sum NOT NULL,      -- after it
    cause          wallet_cause NOT NULL,
    cause_id       text NOT NULL,            -- of CREDIT and DEBIT: the operator's id and idempotency key
    reason         text NOT NULL,
    created_at     timestamptz NOT NULL,
    CONSTRAINT wallet_entries_cause_key UNIQUE (cause, cause_id)
);
CREATE INDEX IF NOT EXISTS wallet_entries_user ON wallet_entries (user_id, position DESC);

-- The only place that moves a wallet's balance; the caller holds the account's lock, or takes it so. Tells whether it
-- did: not when the wallet holds another currency or not enough. Raises when the cause has its entry already.
CREATE OR REPLACE FUNCTION post_if_covered(
    entry uuid, owner uuid, amount numeric, currency text, cause text, cause_id text, reason text, moment timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    after_it numeric;
BEGIN
    UPDATE users AS account
    SET wallet_balance = account.wallet_balance + post_if_covered.amount,
        updated_at = GREATEST(account.updated_at, moment)
    WHERE account.id = owner AND account.wallet_currency = post_if_covered.currency
        AND account.wallet_balance + post_if_covered.amount >= 0
    RETURNING account.wallet_balance INTO after_it;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO wallet_entries (id, user_id, amount, currency, balance, cause, cause_id, reason, created_at)
    VALUES (entry, owner, post_if_covered.amount, post_if_covered.currency, after_it, post_if_covered.cause,
            post_if_covered.cause_id, post_if_covered.reason, date_trunc('milliseconds', moment));
    RETURN true;
END;
$$;

-- The same for whoever has looked before: raises where the wallet does not take it.
CREATE OR REPLACE FUNCTION post_wallet_entry(
    entry uuid, owner uuid, amount numeric, currency text, cause text, cause_id text, reason text, moment timestamptz
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT post_if_covered(entry, owner, amount, currency, cause, cause_id, reason, moment) THEN
        RAISE EXCEPTION 'the wallet of % does not take % %', owner, amount, currency USING ERRCODE = 'check_violation';
    END IF;
END;
$$;

-- An entry as its wallet's owner sees it.
CREATE OR REPLACE FUNCTION wallet_entry_document(entry wallet_entries) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', entry.id,
        'userId', entry.user_id,
        'position', entry.position,
        'amount', jsonb_build_object('amount', entry.amount::text, 'currency', entry.currency),
        'balance', jsonb_build_object('amount', entry.balance::text, 'currency', entry.currency),
        'reason', entry.reason,
        'createdAt', rfc3339(entry.created_at)
    )
$$;

-- Adds to a wallet (or takes from it: `change` below zero) by an operator's hand, once a key; who did it and why goes
-- to the audit log.
CREATE OR REPLACE FUNCTION adjust_wallet(
    new_entry uuid, owner uuid, change numeric, change_currency text, why text, operator uuid, idempotency_key text,
    moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    kind text := CASE WHEN change > 0 THEN 'CREDIT' ELSE 'DEBIT' END;
    account users;
    entry wallet_entries;
    earlier boolean;
BEGIN
    -- Two accounts' locks do not exclude each other: a key used for both at once must wait here.
    PERFORM pg_advisory_xact_lock(hashtextextended(kind || '/' || operator || '/' || idempotency_key, 0));
    SELECT * INTO account FROM users WHERE id = owner AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('result', 'NO_USER');
    END IF;

    SELECT * INTO entry FROM wallet_entries
    WHERE cause = kind AND cause_id = operator || '/' || idempotency_key;
    earlier := FOUND;
    IF earlier AND (entry.user_id, entry.amount, entry.currency, entry.reason)
        <> (owner, change, change_currency::char(3), why) THEN
        RETURN jsonb_build_object('result', 'KEY_REUSED');
    ELSIF NOT earlier AND account.wallet_currency <> change_currency THEN
        RETURN jsonb_build_object('result', 'CURRENCY_MISMATCH');
    ELSIF NOT earlier AND account.wallet_balance + change < 0 THEN
        RETURN jsonb_build_object('result', 'INSUFFICIENT_FUNDS');
    ELSIF NOT earlier THEN
        PERFORM post_wallet_entry(new_entry, owner, change, change_currency, kind, operator || '/' || idempotency_key,
            why, moment);
        SELECT * INTO entry FROM wallet_entries WHERE id = new_entry;
        INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
        VALUES (moment, operator, CASE kind WHEN 'CREDIT' THEN 'WALLET_CREDITED' ELSE 'WALLET_DEBITED' END,
                owner::text, coins(abs(change), change_currency) || ' ' || change_currency || ': ' || why, correlation);
    END IF;
    RETURN jsonb_build_object('result', 'DONE', 'entry', wallet_entry_document(entry));
END;
$$;
