-- Payments and refunds through the payment provider. What became of a card's part is what the provider says of it, and
-- only what it says for good (`succeeded`, `canceled`) ends a payment here. Locks: the account, the invoice, the
-- payment or refund, the number series.

CREATE TABLE IF NOT EXISTS payments (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users,
    purpose         text NOT NULL CHECK (purpose IN ('INVOICE', 'TOP_UP')),
    invoice_id      uuid REFERENCES invoices,
    amount          numeric(14, 4) NOT NULL CHECK (amount > 0),
    currency        char(3) NOT NULL,
    from_wallet     numeric(14, 4) NOT NULL CHECK (from_wallet >= 0),   -- taken when the payment begins
    from_card       numeric(14, 4) NOT NULL CHECK (from_card >= 0),
    payment_method  text,                    -- the provider's token; a card's number never comes here
    provider_ref    text,                    -- `pi_…`: the one intent that may be confirmed for this payment
    status          text NOT NULL CHECK (status IN ('PENDING', 'REQUIRES_ACTION', 'SUCCEEDED', 'FAILED')),
    failure_code    text,
    idempotency_key text NOT NULL,           -- SHA-256 of the client's, hexadecimal: what clients write there stays unknown
    request         jsonb NOT NULL,          -- what the key stands for
    correlation_id  uuid NOT NULL,           -- of the request that began it; its events carry it whenever they come
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    looked_at       timestamptz NOT NULL,    -- when reconciliation last asked the provider
    CONSTRAINT payments_provider_ref_key UNIQUE (provider_ref),
    CONSTRAINT payments_idempotency_key UNIQUE (user_id, idempotency_key),
    CHECK (from_wallet + from_card = amount),
    CHECK ((purpose = 'INVOICE') = (invoice_id IS NOT NULL)),
    CHECK (purpose = 'INVOICE' OR from_wallet = 0),
    CHECK (CASE WHEN from_card > 0 THEN payment_method IS NOT NULL ELSE status = 'SUCCEEDED' END),
    CHECK ((status = 'FAILED') = (failure_code IS NOT NULL))
);
-- Of one invoice one payment is open or has succeeded: whatever else goes wrong, it is not paid twice.
CREATE UNIQUE INDEX IF NOT EXISTS payments_invoice_key ON payments (invoice_id) WHERE status <> 'FAILED';
CREATE INDEX IF NOT EXISTS payments_open ON payments (looked_at) WHERE status IN ('PENDING', 'REQUIRES_ACTION');

CREATE TABLE IF NOT EXISTS refunds (
    id              uuid PRIMARY KEY,
    invoice_id      uuid NOT NULL REFERENCES invoices,
    credit_note_id  uuid NOT NULL REFERENCES invoices,
    user_id         uuid NOT NULL REFERENCES users,
    payment_id      uuid REFERENCES payments,   -- whose card gets money back
    amount          numeric(14, 4) NOT NULL CHECK (amount > 0),
    currency        char(3) NOT NULL,
    to_wallet       numeric(14, 4) NOT NULL CHECK (to_wallet >= 0),
    to_card         numeric(14, 4) NOT NULL CHECK (to_card >= 0),
    from_due        numeric(14, 4) NOT NULL CHECK (from_due >= 0),   -- nobody had paid it: that part moves no money
    status          text NOT NULL CHECK (status IN ('PENDING', 'SUCCEEDED', 'TO_WALLET')),
    provider_ref    text,                    -- `re_…`
    failure_code    text,                    -- why the provider did not give the card's part back
    operator_id     uuid NOT NULL REFERENCES users,
    idempotency_key text NOT NULL,           -- as above
    request         jsonb NOT NULL,
    correlation_id  uuid NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    looked_at       timestamptz NOT NULL,    -- when somebody last began to speak with the provider about it
    CONSTRAINT refunds_provider_ref_key UNIQUE (provider_ref),
    CONSTRAINT refunds_idempotency_key UNIQUE (operator_id, idempotency_key),
    CHECK (to_wallet + to_card + from_due = amount),
    CHECK (to_card = 0 OR payment_id IS NOT NULL),
    CHECK (status <> 'PENDING' OR to_card > 0),
    CHECK (status <> 'TO_WALLET' OR to_card = 0)
);
CREATE INDEX IF NOT EXISTS refunds_invoice ON refunds (invoice_id);
CREATE INDEX IF NOT EXISTS refunds_open ON refunds (looked_at) WHERE status = 'PENDING';

-- What the provider told and was acted on: a webhook that comes again asks nobody anything.
CREATE TABLE IF NOT EXISTS provider_events (
    id          text PRIMARY KEY,            -- `evt_…`
    type        text NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS provider_events_received ON provider_events (received_at);

-- A payment as the payment context works with it.
CREATE OR REPLACE FUNCTION payment_document(payment payments) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', payment.id,
        'userId', payment.user_id,
        'purpose', payment.purpose,
        'invoiceId', payment.invoice_id,
        'amount', payment.amount::text,
        'fromWallet', payment.from_wallet::text,
        'fromCard', payment.from_card::text,
        'currency', payment.currency,
        'paymentMethod', payment.payment_method,
        'providerRef', payment.provider_ref,
        'status', payment.status,
        'failureCode', payment.failure_code,
        'createdAt', rfc3339(payment.created_at)
    )
$$;

-- A refund, likewise; with the intent that the card paid by.
CREATE OR REPLACE FUNCTION refund_document(refund refunds) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', refund.id,
        'invoiceId', refund.invoice_id,
        'creditNoteId', refund.credit_note_id,
        'amount', refund.amount::text,
        'toWallet', refund.to_wallet::text,
        'toCard', refund.to_card::text,
        'currency', refund.currency,
        'paymentRef', (SELECT provider_ref FROM payments WHERE id = refund.payment_id),
        'providerRef', refund.provider_ref,
        'status', refund.status,
        'createdAt', rfc3339(refund.created_at)
    )
$$;

-- Begins a payment once a key, and takes the wallet's part; one that the wallet pays whole is finished with that.
--   request  {purpose INVOICE, invoiceId, useWallet, paymentMethod} or {purpose TOP_UP, amount, currency, paymentMethod}
--   limits   what cards can be charged, by currency: {"EUR": {"minimum": "0.50", "step": "0.01"}}
CREATE OR REPLACE FUNCTION begin_payment(
    new_payment uuid, payer uuid, asked jsonb, hashed_key text, limits jsonb, new_entry uuid, moment timestamptz,
    correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    invoice invoices;
    payment payments;
    total numeric;
    in_currency text;
    wallets_part numeric := 0;
    cards_part numeric;
    card_limits jsonb;
    obstacle text;
    event jsonb;
BEGIN
    SELECT * INTO account FROM users WHERE id = payer AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', '{"result": "NO_ACCOUNT"}'::jsonb);
    END IF;
    SELECT * INTO payment FROM payments WHERE user_id = payer AND idempotency_key = hashed_key;
    IF FOUND THEN
        RETURN jsonb_build_object('outcome', CASE
            WHEN payment.request = asked THEN
                jsonb_build_object('result', 'BEGUN', 'payment', payment_document(payment))
            ELSE '{"result": "KEY_REUSED"}'
        END);
    END IF;

    IF asked->>'purpose' = 'INVOICE' THEN
        SELECT * INTO invoice FROM invoices
        WHERE id = (asked->>'invoiceId')::uuid AND user_id = payer AND kind <> 'CREDIT_NOTE' FOR NO KEY UPDATE;
        obstacle := CASE
            WHEN NOT FOUND THEN 'NO_INVOICE'
            WHEN EXISTS (SELECT FROM payments WHERE invoice_id = invoice.id AND status IN ('PENDING', 'REQUIRES_ACTION'))
                THEN 'PAYMENT_PENDING'
            WHEN invoice.status NOT IN ('PENDING', 'OVERDUE') OR invoice_due(invoice) <= 0 THEN 'NOTHING_DUE'
        END;
        total := invoice_due(invoice);
        in_currency := invoice.currency;
        IF (asked->>'useWallet')::boolean AND account.wallet_currency = in_currency THEN
            wallets_part := LEAST(total, trunc(account.wallet_balance, minor_digits(in_currency)));
        END IF;
    ELSE
        total := (asked->>'amount')::numeric;
        in_currency := asked->>'currency';
        obstacle := CASE WHEN account.wallet_currency <> in_currency THEN 'CURRENCY_MISMATCH' END;
    END IF;
    cards_part := total - wallets_part;
    card_limits := limits->in_currency;
    IF obstacle IS NULL AND cards_part > 0 THEN
        obstacle := CASE
            WHEN asked->>'paymentMethod' IS NULL THEN 'INSUFFICIENT_FUNDS'
            WHEN cards_part < (card_limits->>'minimum')::numeric THEN 'CARD_AMOUNT_TOO_SMALL'
            WHEN cards_part % COALESCE((card_limits->>'step')::numeric, 0.01) <> 0 THEN 'CARD_AMOUNT_TOO_FINE'
        END;
    END IF;
    IF obstacle IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', obstacle));
    END IF;

    INSERT INTO payments (id, user_id, purpose, invoice_id, amount, currency, from_wallet, from_card, payment_method,
                          status, idempotency_key, request, correlation_id, created_at, updated_at, looked_at)
    VALUES (new_payment, payer, asked->>'purpose', invoice.id, total, in_currency, wallets_part, cards_part,
            CASE WHEN cards_part > 0 THEN asked->>'paymentMethod' END,
            CASE WHEN cards_part > 0 THEN 'PENDING' ELSE 'SUCCEEDED' END, hashed_key, asked, correlation,
            date_trunc('milliseconds', moment), moment, moment)
    RETURNING * INTO payment;
    IF wallets_part > 0 THEN
        PERFORM post_wallet_entry(new_entry, payer, -wallets_part, in_currency, 'PAYMENT', new_payment::text,
            'payment of invoice ' || invoice.number, moment);
    END IF;
    IF cards_part = 0 THEN
        event := pay_invoice(invoice.id, wallets_part, 'WALLET', moment, correlation);
    END IF;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('result', 'BEGUN', 'payment', payment_document(payment)),
        'events', CASE WHEN event IS NOT NULL THEN jsonb_build_array(event) END
    );
END;
$$;

-- Records the intent that is going to be confirmed for a payment, unless it has one or is over. Gives the payment: only
-- the intent that it names then may be confirmed.
CREATE OR REPLACE FUNCTION record_intent(of_payment uuid, intent text, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    payment payments;
BEGIN
    UPDATE payments SET provider_ref = intent, updated_at = GREATEST(updated_at, moment)
    WHERE id = of_payment AND provider_ref IS NULL AND status = 'PENDING';
    SELECT * INTO payment FROM payments WHERE id = of_payment;
    RETURN payment_document(payment);
END;
$$;

-- Brings a payment to what the provider `report`s (a status of payments) of `intent`; without an intent, FAILED gives up
-- a payment that has none. A payment that is over, or is about another intent by now, stays as it is.
CREATE OR REPLACE FUNCTION settle_payment(
    settled uuid, intent text, report text, code text, new_entry uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    payment payments;
    event jsonb;
BEGIN
    -- Whose and for what a payment is never changes, so that may be read before the locks.
    SELECT * INTO payment FROM payments WHERE id = settled;
    PERFORM FROM users WHERE id = payment.user_id FOR NO KEY UPDATE;
    PERFORM FROM invoices WHERE id = payment.invoice_id FOR NO KEY UPDATE;
    SELECT * INTO payment FROM payments WHERE id = settled FOR NO KEY UPDATE;
    IF payment.status IN ('SUCCEEDED', 'FAILED', report) OR payment.provider_ref IS DISTINCT FROM intent THEN
        RETURN jsonb_build_object('outcome', payment_document(payment));
    END IF;

    UPDATE payments
    SET status = report, failure_code = CASE WHEN report = 'FAILED' THEN code END,
        updated_at = GREATEST(updated_at, moment)
    WHERE id = settled RETURNING * INTO payment;
    IF report = 'SUCCEEDED' AND payment.purpose = 'TOP_UP' THEN
        PERFORM post_wallet_entry(new_entry, payment.user_id, payment.amount, payment.currency::text, 'TOP_UP',
            settled::text, 'top-up by card', moment);
    ELSIF report = 'SUCCEEDED' THEN
        IF payment.from_wallet > 0 THEN
            PERFORM pay_invoice(payment.invoice_id, payment.from_wallet, 'WALLET', moment, payment.correlation_id);
        END IF;
        event := pay_invoice(payment.invoice_id, payment.from_card, 'CARD', moment, payment.correlation_id);
    ELSIF report = 'FAILED' THEN
        IF payment.from_wallet > 0 THEN
            PERFORM post_wallet_entry(new_entry, payment.user_id, payment.from_wallet, payment.currency::text,
                'PAYMENT_REVERSAL', settled::text, 'the card was not charged', moment);
        END IF;
        event := emit('PAYMENT_FAILED', 1, 'payment-service', payment.correlation_id, moment, jsonb_build_object(
            'paymentId', payment.id,
            'purpose', payment.purpose,
            'invoiceId', payment.invoice_id,
            'userId', payment.user_id,
            'amount', coins(payment.amount, payment.currency),
            'currency', payment.currency,
            'failureCode', payment.failure_code
        ));
    END IF;
    RETURN jsonb_build_object(
        'outcome', payment_document(payment), 'events', CASE WHEN event IS NOT NULL THEN jsonb_build_array(event) END
    );
END;
$$;

-- Writes that a refund is done, with its event: of the money that went back.
CREATE OR REPLACE FUNCTION emit_refunded(refund refunds, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN emit('PAYMENT_REFUNDED', 1, 'payment-service', refund.correlation_id, moment, jsonb_build_object(
        'refundId', refund.id,
        'invoiceId', refund.invoice_id,
        'creditNoteId', refund.credit_note_id,
        'userId', refund.user_id,
        'amount', coins(refund.to_wallet + refund.to_card, refund.currency),
        'toWallet', coins(refund.to_wallet, refund.currency),
        'toCard', coins(refund.to_card, refund.currency),
        'currency', refund.currency
    ));
END;
$$;

-- Begins a refund once a key of its operator: the credit note, and the wallet's part at once. It takes from what is due
-- first; what the card paid goes back to the card before the wallet gets any. `asked` is {invoiceId, amount (all that is
-- left unless told), to ORIGIN or WALLET, reason}.
CREATE OR REPLACE FUNCTION begin_refund(
    new_refund uuid, new_credit_note uuid, new_entry uuid, operator uuid, asked jsonb, hashed_key text,
    moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    invoice invoices;
    payment payments;
    refund refunds;
    refundable numeric;
    total numeric;
    unpaid numeric;
    cards_part numeric := 0;
    wallets_part numeric;
    obstacle text;
    event jsonb;
BEGIN
    -- Two accounts' locks do not exclude each other: a key used for both at once must wait here.
    PERFORM pg_advisory_xact_lock(hashtextextended('REFUND/' || operator || '/' || hashed_key, 0));
    SELECT * INTO refund FROM refunds WHERE operator_id = operator AND idempotency_key = hashed_key;
    IF FOUND THEN
        RETURN jsonb_build_object('outcome', CASE
            WHEN refund.request = asked THEN jsonb_build_object('result', 'BEGUN', 'refund', refund_document(refund))
            ELSE '{"result": "KEY_REUSED"}'
        END);
    END IF;

    -- Whose an invoice is never changes, so that may be read before the account is locked.
    SELECT * INTO account FROM users
    WHERE id = (SELECT user_id FROM invoices WHERE id = (asked->>'invoiceId')::uuid) FOR NO KEY UPDATE;
    SELECT * INTO invoice FROM invoices WHERE id = (asked->>'invoiceId')::uuid FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', '{"result": "NO_INVOICE"}'::jsonb);
    END IF;
    refundable := CASE WHEN invoice.kind = 'CREDIT_NOTE' THEN 0 ELSE invoice.amount - invoice.refunded_amount END;
    total := COALESCE((asked->>'amount')::numeric, refundable);
    unpaid := LEAST(total, invoice_due(invoice));
    IF asked->>'to' = 'ORIGIN' THEN
        SELECT * INTO payment FROM payments WHERE invoice_id = invoice.id AND status = 'SUCCEEDED' AND from_card > 0;
        cards_part := LEAST(total - unpaid, COALESCE(payment.from_card, 0) - (
            SELECT COALESCE(sum(to_card), 0) FROM refunds WHERE invoice_id = invoice.id
        ));
    END IF;
    wallets_part := total - unpaid - cards_part;
    obstacle := CASE
        WHEN refundable <= 0 THEN 'NOTHING_TO_REFUND'
        WHEN total > refundable THEN 'REFUND_TOO_LARGE'
        WHEN total <> round(total, minor_digits(invoice.currency)) THEN 'TOO_FINE'
        -- It is going to pay what is due now.
        WHEN EXISTS (SELECT FROM payments WHERE invoice_id = invoice.id AND status IN ('PENDING', 'REQUIRES_ACTION'))
            THEN 'PAYMENT_PENDING'
        WHEN wallets_part > 0 AND account.wallet_currency <> invoice.currency THEN 'CURRENCY_MISMATCH'
        WHEN wallets_part > 0 AND account.deleted_at IS NOT NULL THEN 'ACCOUNT_DELETED'
    END;
    IF obstacle IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', obstacle));
    END IF;

    IF wallets_part > 0 THEN
        PERFORM post_wallet_entry(new_entry, account.id, wallets_part, invoice.currency::text, 'REFUND',
            new_refund::text, 'refund of invoice ' || invoice.number, moment);
    END IF;
    INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
    VALUES (moment, operator, 'INVOICE_REFUNDED', invoice.id::text,
            coins(total, invoice.currency) || ' ' || invoice.currency || ': ' || (asked->>'reason'), correlation);
    PERFORM issue_credit_note(invoice.id, new_credit_note, total, asked->>'reason', moment, correlation);
    INSERT INTO refunds (id, invoice_id, credit_note_id, user_id, payment_id, amount, currency, to_wallet, to_card,
                         from_due, status, operator_id, idempotency_key, request, correlation_id, created_at, updated_at, looked_at)
    VALUES (new_refund, invoice.id, new_credit_note, account.id, CASE WHEN cards_part > 0 THEN payment.id END, total,
            invoice.currency, wallets_part, cards_part, unpaid, CASE WHEN cards_part > 0 THEN 'PENDING' ELSE 'SUCCEEDED' END,
            operator, hashed_key, asked, correlation, date_trunc('milliseconds', moment), moment,
            -- Nobody has spoken with the provider about it yet.
            '-infinity')
    RETURNING * INTO refund;
    IF refund.status = 'SUCCEEDED' AND refund.amount > refund.from_due THEN
        event := emit_refunded(refund, moment);
    END IF;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('result', 'BEGUN', 'refund', refund_document(refund)),
        'events', CASE WHEN event IS NOT NULL THEN jsonb_build_array(event) END
    );
END;
$$;

-- Brings a refund to what the provider says of its card's part: SUCCEEDED, PENDING, or REFUSED for good, upon which the
-- wallet gets it. HELD is a refusal that leaves open where the money is (a dispute), and so is one of money that no
-- wallet can take: the refund is PENDING, with its code, for people. The provider may take back a success as well.
CREATE OR REPLACE FUNCTION settle_refund(
    settled uuid, provider_refund text, report text, code text, new_entry uuid, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    refund refunds;
    final text := report;
    event jsonb;
BEGIN
    SELECT * INTO account FROM users WHERE id = (SELECT user_id FROM refunds WHERE id = settled) FOR NO KEY UPDATE;
    SELECT * INTO refund FROM refunds WHERE id = settled FOR NO KEY UPDATE;
    IF refund.to_card = 0 OR (refund.status = 'SUCCEEDED' AND report NOT IN ('REFUSED', 'HELD')) THEN
        RETURN jsonb_build_object('outcome', refund_document(refund));
    ELSIF report = 'REFUSED' AND (account.wallet_currency <> refund.currency OR account.deleted_at IS NOT NULL) THEN
        final := 'HELD';
    END IF;

    IF final = 'REFUSED' THEN
        PERFORM post_wallet_entry(new_entry, refund.user_id, refund.to_card, refund.currency::text, 'REFUND',
            settled || '/card', 'refund that the card did not take', moment);
    END IF;
    UPDATE refunds AS changed
    SET status = CASE final WHEN 'SUCCEEDED' THEN 'SUCCEEDED' WHEN 'REFUSED' THEN 'TO_WALLET' ELSE 'PENDING' END,
        looked_at = GREATEST(changed.looked_at, moment),
        to_wallet = changed.to_wallet + CASE WHEN final = 'REFUSED' THEN changed.to_card ELSE 0 END,
        to_card = CASE WHEN final = 'REFUSED' THEN 0 ELSE changed.to_card END,
        provider_ref = COALESCE(provider_refund, changed.provider_ref),
        failure_code = code, updated_at = GREATEST(changed.updated_at, moment)
    WHERE id = settled RETURNING * INTO refund;
    IF final IN ('SUCCEEDED', 'REFUSED') THEN
        event := emit_refunded(refund, moment);
    END IF;
    RETURN jsonb_build_object(
        'outcome', refund_document(refund), 'events', CASE WHEN event IS NOT NULL THEN jsonb_build_array(event) END
    );
END;
$$;
