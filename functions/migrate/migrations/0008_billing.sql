-- What a session costs, and what is owed for it.

-- The wallet's ledger: append-only, one entry a cause.
CREATE TABLE IF NOT EXISTS wallet_entries (
    id             uuid PRIMARY KEY,
    user_id        uuid NOT NULL REFERENCES users,
    amount         numeric(14, 4) NOT NULL CHECK (amount <> 0),   -- negative for a debit
    currency       char(3) NOT NULL,
    balance        numeric(14, 4) NOT NULL,  -- after it
    cause          text NOT NULL CHECK (cause IN ('CREDIT', 'INVOICE')),
    cause_id       text NOT NULL,            -- the operator's id and idempotency key; the invoice's id
    reason         text NOT NULL,
    created_at     timestamptz NOT NULL,
    CONSTRAINT wallet_entries_cause_key UNIQUE (cause, cause_id)
);
CREATE INDEX IF NOT EXISTS wallet_entries_user ON wallet_entries (user_id, id DESC);

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

-- Writes what a session costs, and takes it from the wallet when that holds enough of the same currency. One invoice
-- a session: a repeat changes nothing and tells nobody.
CREATE OR REPLACE FUNCTION bill_session(
    billed_session uuid, new_invoice uuid, new_entry uuid, tariff uuid, total numeric, total_currency text,
    billed_energy numeric, due date, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    session sessions;
    account users;
    invoice invoices;
    paid boolean;
    fields jsonb;
    event jsonb;
BEGIN
    SELECT * INTO session FROM sessions WHERE id = billed_session FOR NO KEY UPDATE;
    -- Billed earlier, or by a call that came first while this one waited.
    SELECT * INTO invoice FROM invoices WHERE session_id = billed_session;
    IF FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object(
            'result', 'REPEATED', 'invoiceId', invoice.id, 'status', invoice.status
        ));
    ELSIF session.energy_kwh IS DISTINCT FROM billed_energy THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'CHANGED'));
    END IF;

    SELECT * INTO account FROM users WHERE id = session.user_id FOR NO KEY UPDATE;
    paid := total = 0 OR (account.wallet_currency = total_currency AND account.wallet_balance >= total);

    INSERT INTO invoices (id, session_id, user_id, tariff_id, amount, currency, energy_kwh, due_date, status, created_at)
    VALUES (new_invoice, billed_session, session.user_id, tariff, total, total_currency, billed_energy, due,
            CASE WHEN paid THEN 'PAID' ELSE 'PENDING' END, moment)
    RETURNING * INTO invoice;
    UPDATE sessions SET cost = total, currency = total_currency, updated_at = GREATEST(updated_at, moment)
    WHERE id = billed_session;
    IF paid AND total > 0 THEN
        UPDATE users SET wallet_balance = wallet_balance - total, updated_at = GREATEST(updated_at, moment)
        WHERE id = account.id;
        INSERT INTO wallet_entries (id, user_id, amount, currency, balance, cause, cause_id, reason, created_at)
        VALUES (new_entry, account.id, -total, total_currency, account.wallet_balance - total, 'INVOICE',
                new_invoice::text, 'charging session ' || billed_session, moment);
    END IF;

    fields := jsonb_build_object(
        'invoiceId', new_invoice, 'sessionId', billed_session, 'userId', session.user_id,
        'amount', total::text, 'currency', total_currency
    );
    event := CASE WHEN paid THEN
        emit('PAYMENT_COMPLETED', 1, 'billing-service', correlation, moment,
            fields || jsonb_build_object('method', CASE WHEN total > 0 THEN 'WALLET' ELSE 'NONE' END))
    ELSE
        emit('INVOICE_GENERATED', 1, 'billing-service', correlation, moment,
            fields || jsonb_build_object('dueDate', due))
    END;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('result', 'BILLED', 'invoiceId', new_invoice, 'status', invoice.status),
        'events', jsonb_build_array(event)
    );
END;
$$;

-- Adds money to a wallet, once a key; who did it and why goes to the audit log.
CREATE OR REPLACE FUNCTION credit_wallet(
    new_entry uuid, credited_user uuid, credit numeric, credit_currency text, why text, operator uuid,
    idempotency_key text, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    entry wallet_entries;
    result text := 'CREDITED';
BEGIN
    SELECT * INTO account FROM users WHERE id = credited_user FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('result', 'NO_USER');
    END IF;

    IF account.wallet_currency = credit_currency THEN
        INSERT INTO wallet_entries (id, user_id, amount, currency, balance, cause, cause_id, reason, created_at)
        VALUES (new_entry, credited_user, credit, credit_currency, account.wallet_balance + credit, 'CREDIT',
                operator || '/' || idempotency_key, why, moment)
        ON CONFLICT (cause, cause_id) DO NOTHING
        RETURNING * INTO entry;
    END IF;
    IF entry.id IS NOT NULL THEN
        UPDATE users SET wallet_balance = entry.balance, updated_at = GREATEST(updated_at, moment)
        WHERE id = credited_user;
        INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
        VALUES (moment, operator, 'WALLET_CREDITED', credited_user::text, credit || ' ' || credit_currency || ': ' || why,
                correlation);
    ELSE
        SELECT * INTO entry FROM wallet_entries
        WHERE cause = 'CREDIT' AND cause_id = operator || '/' || idempotency_key;
        result := CASE
            WHEN entry.id IS NULL THEN 'CURRENCY_MISMATCH'
            WHEN (entry.user_id, entry.amount, entry.currency, entry.reason)
                = (credited_user, credit, credit_currency::char(3), why) THEN 'REPEATED'
            ELSE 'KEY_REUSED'
        END;
    END IF;

    RETURN jsonb_build_object('result', result) || CASE WHEN result IN ('CREDITED', 'REPEATED') THEN
        jsonb_build_object('entry', jsonb_build_object(
            'id', entry.id,
            'userId', entry.user_id,
            'amount', jsonb_build_object('amount', entry.amount::text, 'currency', entry.currency),
            'balance', jsonb_build_object('amount', entry.balance::text, 'currency', entry.currency),
            'reason', entry.reason,
            'createdAt', rfc3339(entry.created_at)
        ))
    ELSE '{}' END;
END;
$$;
