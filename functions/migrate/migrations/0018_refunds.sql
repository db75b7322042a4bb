-- Refunds: what is given back for an invoice, to the wallet at once and to the card by the payment provider. What became
-- of a card's part is what the provider says of it. Locks: the account, the invoice, the refund, the number series.

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
    status          text NOT NULL CHECK (status IN ('PENDING', 'HELD', 'SUCCEEDED', 'TO_WALLET')),
    provider_ref    text,                    -- `re_…`
    failure_code    text,                    -- why the provider did not give the card's part back
    settled_by      uuid REFERENCES users,   -- the operator who did, whatever the provider says later
    actor_id        uuid REFERENCES users,   -- the operator, or the driver who cancelled; none for the system itself
    idempotency_key text NOT NULL,           -- an operator's as in 0012
    request         jsonb NOT NULL,
    correlation_id  uuid NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    looked_at       timestamptz NOT NULL,    -- when somebody last began to speak with the provider about it
    CONSTRAINT refunds_provider_ref_key UNIQUE (provider_ref),
    CONSTRAINT refunds_idempotency_key UNIQUE NULLS NOT DISTINCT (actor_id, idempotency_key),
    CHECK (to_wallet + to_card + from_due = amount),
    CHECK (to_card = 0 OR payment_id IS NOT NULL),
    CHECK (status NOT IN ('PENDING', 'HELD') OR to_card > 0),
    CHECK (status <> 'TO_WALLET' OR to_card = 0)
);
CREATE INDEX IF NOT EXISTS refunds_invoice ON refunds (invoice_id);
CREATE INDEX IF NOT EXISTS refunds_open ON refunds (looked_at) WHERE status IN ('PENDING', 'HELD');

-- A refund as the payment context works with it; with the intent that the card paid by.
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
        'failureCode', refund.failure_code,
        'createdAt', rfc3339(refund.created_at)
    )
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

-- Gives money back for an invoice: the credit note, and the wallet's part at once. It takes from what is due first; what
-- the card paid goes back to the card before the wallet gets any. Whoever calls holds the locks of the account and the
-- invoice, and says with its key that it calls once.
--   new_ids  {refund, creditNote, entry}
--   asked    {invoiceId, amount (all that is left unless told), to ORIGIN or WALLET, reason}
-- Gives {result BEGUN, refund, event, if there is one}, or {result} alone that says why nothing was written.
CREATE OR REPLACE FUNCTION give_back(
    new_ids jsonb, actor uuid, asked jsonb, hashed_key text, moment timestamptz, correlation uuid
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
BEGIN
    SELECT * INTO invoice FROM invoices WHERE id = (asked->>'invoiceId')::uuid;
    SELECT * INTO account FROM users WHERE id = invoice.user_id;
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
        RETURN jsonb_build_object('result', obstacle);
    END IF;

    IF wallets_part > 0 THEN
        PERFORM post_wallet_entry((new_ids->>'entry')::uuid, account.id, wallets_part, invoice.currency::text, 'REFUND',
            new_ids->>'refund', 'refund of invoice ' || invoice.number, moment);
    END IF;
    PERFORM issue_credit_note(invoice.id, (new_ids->>'creditNote')::uuid, total, asked->>'reason', moment, correlation);
    INSERT INTO refunds (id, invoice_id, credit_note_id, user_id, payment_id, amount, currency, to_wallet, to_card,
                         from_due, status, actor_id, idempotency_key, request, correlation_id, created_at, updated_at,
                         looked_at)
    VALUES ((new_ids->>'refund')::uuid, invoice.id, (new_ids->>'creditNote')::uuid, account.id,
            CASE WHEN cards_part > 0 THEN payment.id END, total, invoice.currency, wallets_part, cards_part, unpaid,
            CASE WHEN cards_part > 0 THEN 'PENDING' ELSE 'SUCCEEDED' END, actor, hashed_key, asked, correlation,
            date_trunc('milliseconds', moment), moment,
            -- Nobody has spoken with the provider about it yet.
            '-infinity')
    RETURNING * INTO refund;
    RETURN jsonb_build_object('result', 'BEGUN', 'refund', refund_document(refund))
        || CASE
            WHEN refund.status = 'SUCCEEDED' AND refund.amount > refund.from_due
                THEN jsonb_build_object('event', emit_refunded(refund, moment))
            ELSE '{}'
        END;
END;
$$;

-- Begins a refund by an operator's hand, once a key of theirs. `asked` is as give_back takes it.
CREATE OR REPLACE FUNCTION begin_refund(
    new_ids jsonb, operator uuid, asked jsonb, hashed_key text, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    invoice invoices;
    refund refunds;
    begun jsonb;
BEGIN
    -- Two accounts' locks do not exclude each other: a key used for both at once must wait here.
    PERFORM pg_advisory_xact_lock(hashtextextended('REFUND/' || operator || '/' || hashed_key, 0));
    SELECT * INTO refund FROM refunds WHERE actor_id = operator AND idempotency_key = hashed_key;
    IF FOUND THEN
        RETURN jsonb_build_object('outcome', CASE
            WHEN refund.request = asked THEN jsonb_build_object('result', 'BEGUN', 'refund', refund_document(refund))
            ELSE '{"result": "KEY_REUSED"}'
        END);
    END IF;

    -- Whose an invoice is never changes, so that may be read before the account is locked.
    PERFORM FROM users WHERE id = (SELECT user_id FROM invoices WHERE id = (asked->>'invoiceId')::uuid)
    FOR NO KEY UPDATE;
    SELECT * INTO invoice FROM invoices WHERE id = (asked->>'invoiceId')::uuid FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', '{"result": "NO_INVOICE"}'::jsonb);
    END IF;
    begun := give_back(new_ids, operator, asked, hashed_key, moment, correlation);
    IF begun->>'result' = 'BEGUN' THEN
        INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
        VALUES (moment, operator, 'INVOICE_REFUNDED', invoice.id::text,
                coins((begun->'refund'->>'amount')::numeric, invoice.currency) || ' ' || invoice.currency || ': '
                    || (asked->>'reason'), correlation);
    END IF;
    RETURN jsonb_build_object(
        'outcome', begun - 'event',
        'events', CASE WHEN begun ? 'event' THEN jsonb_build_array(begun->'event') END
    );
END;
$$;

-- Brings a refund to what the provider says of its card's part: SUCCEEDED, PENDING, or REFUSED for good, upon which the
-- wallet gets it. HELD is a refusal that leaves open where the money is (a dispute), and so is one of money that no
-- wallet can take: an operator is told by the audit log, and may decide. The provider may take back a success as well.
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
    IF refund.to_card = 0 OR refund.settled_by IS NOT NULL
        OR (refund.status = 'SUCCEEDED' AND report NOT IN ('REFUSED', 'HELD')) THEN
        RETURN jsonb_build_object('outcome', refund_document(refund));
    ELSIF report = 'REFUSED' AND (account.wallet_currency <> refund.currency OR account.deleted_at IS NOT NULL) THEN
        final := 'HELD';
    END IF;

    IF final = 'HELD' AND code IS DISTINCT FROM refund.failure_code THEN
        INSERT INTO audit_log (at, action, subject, reason, correlation_id)
        VALUES (moment, 'REFUND_HELD', refund.invoice_id::text, 'refund ' || settled || ', '
                    || coins(refund.to_card, refund.currency) || ' ' || refund.currency || ': ' || code,
                refund.correlation_id);
    ELSIF final = 'REFUSED' THEN
        PERFORM post_wallet_entry(new_entry, refund.user_id, refund.to_card, refund.currency::text, 'REFUND',
            settled || '/card', 'refund that the card did not take', moment);
    END IF;
    UPDATE refunds AS changed
    SET status = CASE final WHEN 'REFUSED' THEN 'TO_WALLET' ELSE final END,
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

-- Ends a HELD refund by an operator's hand: GIVEN_BACK, the customer has the card's part, or TO_WALLET. What the provider
-- says later changes nothing. Whoever asks the provider to give it back makes it PENDING before, so that not both do.
CREATE OR REPLACE FUNCTION settle_refund_by_hand(
    settled uuid, operator uuid, wanted text, why text, new_entry uuid, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    refund refunds;
    final text := CASE wanted WHEN 'TO_WALLET' THEN 'TO_WALLET' ELSE 'SUCCEEDED' END;
    obstacle text;
BEGIN
    SELECT * INTO account FROM users WHERE id = (SELECT user_id FROM refunds WHERE id = settled) FOR NO KEY UPDATE;
    SELECT * INTO refund FROM refunds WHERE id = settled FOR NO KEY UPDATE;
    IF refund.settled_by IS NOT NULL AND refund.status = final THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'SETTLED', 'refund', refund_document(refund)));
    END IF;
    obstacle := CASE
        WHEN refund.id IS NULL THEN 'NO_REFUND'
        WHEN refund.status <> 'HELD' THEN 'NOT_HELD'
        WHEN final = 'TO_WALLET' AND account.wallet_currency <> refund.currency THEN 'CURRENCY_MISMATCH'
        WHEN final = 'TO_WALLET' AND account.deleted_at IS NOT NULL THEN 'ACCOUNT_DELETED'
    END;
    IF obstacle IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', obstacle));
    END IF;

    INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
    VALUES (moment, operator, 'REFUND_SETTLED', refund.invoice_id::text, 'refund ' || settled || ', '
                || coins(refund.to_card, refund.currency) || ' ' || refund.currency || ', ' || wanted || ': ' || why,
            correlation);
    IF final = 'TO_WALLET' THEN
        PERFORM post_wallet_entry(new_entry, refund.user_id, refund.to_card, refund.currency::text, 'REFUND',
            settled || '/card', 'refund that the card did not take', moment);
    END IF;
    UPDATE refunds AS changed
    SET status = final, settled_by = operator,
        to_wallet = changed.to_wallet + CASE WHEN final = 'TO_WALLET' THEN changed.to_card ELSE 0 END,
        to_card = CASE WHEN final = 'TO_WALLET' THEN 0 ELSE changed.to_card END,
        updated_at = GREATEST(changed.updated_at, moment)
    WHERE id = settled RETURNING * INTO refund;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('result', 'SETTLED', 'refund', refund_document(refund)),
        'events', jsonb_build_array(emit_refunded(refund, moment))
    );
END;
$$;
