-- Payments through the payment provider. What became of a card's part is what the provider says of it, and only what it
-- says for good (`succeeded`, `canceled`) ends a payment here. Locks: the account, the invoice, the payment, the
-- booking, the number series.

CREATE TABLE IF NOT EXISTS payments (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users,
    purpose         text NOT NULL CHECK (purpose IN ('INVOICE', 'TOP_UP', 'BOOKING')),
    invoice_id      uuid REFERENCES invoices,   -- of BOOKING: once it is paid
    booking_id      uuid,                    -- of 0015, which names the payment, too
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
    CHECK (CASE purpose WHEN 'INVOICE' THEN invoice_id IS NOT NULL WHEN 'TOP_UP' THEN invoice_id IS NULL ELSE true END),
    CHECK ((purpose = 'BOOKING') = (booking_id IS NOT NULL)),
    CHECK (purpose = 'INVOICE' OR from_wallet = 0),
    CHECK (CASE WHEN from_card > 0 THEN payment_method IS NOT NULL ELSE status = 'SUCCEEDED' END),
    CHECK ((status = 'FAILED') = (failure_code IS NOT NULL))
);
-- Of one invoice one payment is open or has succeeded: whatever else goes wrong, it is not paid twice.
CREATE UNIQUE INDEX IF NOT EXISTS payments_invoice_key ON payments (invoice_id) WHERE status <> 'FAILED';
CREATE UNIQUE INDEX IF NOT EXISTS payments_booking_key ON payments (booking_id) WHERE booking_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS payments_open ON payments (looked_at) WHERE status IN ('PENDING', 'REQUIRES_ACTION');

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
        'bookingId', payment.booking_id,
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

-- Why a card cannot be charged that amount, by what its currency allows: {"minimum": "0.50", "step": "0.01"}.
CREATE OR REPLACE FUNCTION card_refusal(amount numeric, card_limits jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN amount < (card_limits->>'minimum')::numeric THEN 'CARD_AMOUNT_TOO_SMALL'
    WHEN amount % COALESCE((card_limits->>'step')::numeric, 0.01) <> 0 THEN 'CARD_AMOUNT_TOO_FINE'
END;

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
    IF obstacle IS NULL AND cards_part > 0 THEN
        obstacle := CASE
            WHEN asked->>'paymentMethod' IS NULL THEN 'INSUFFICIENT_FUNDS'
            ELSE card_refusal(cards_part, limits->in_currency)
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
-- a payment that has none. A payment that is over, or is about another intent by now, stays as it is. `new_ids` are
-- those of what may have to be written: {entry, invoice, refund, creditNote}.
CREATE OR REPLACE FUNCTION settle_payment(
    settled uuid, intent text, report text, code text, new_ids jsonb, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    new_entry uuid := new_ids->>'entry';
    payment payments;
    event jsonb;
    events jsonb := '[]';
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
    ELSIF report = 'SUCCEEDED' AND payment.purpose = 'BOOKING' THEN
        events := book_paid(payment, new_ids, moment);
        SELECT * INTO payment FROM payments WHERE id = settled;
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
            'bookingId', payment.booking_id,
            'userId', payment.user_id,
            'amount', coins(payment.amount, payment.currency),
            'currency', payment.currency,
            'failureCode', payment.failure_code
        ));
        IF payment.purpose = 'BOOKING' THEN
            events := book_unpaid(payment, moment);
        END IF;
    END IF;
    RETURN jsonb_build_object(
        'outcome', payment_document(payment),
        'events', CASE WHEN event IS NOT NULL THEN jsonb_build_array(event) ELSE '[]' END || events
    );
END;
$$;
