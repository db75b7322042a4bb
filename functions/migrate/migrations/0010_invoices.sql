-- What is owed, and what was paid for it.

DO $$
BEGIN
    IF to_regtype('invoice_kind') IS NULL THEN
        CREATE DOMAIN invoice_kind AS text CHECK (VALUE IN ('SESSION', 'SUBSCRIPTION', 'BOOKING', 'CREDIT_NOTE'));
    END IF;
    IF to_regtype('invoice_status') IS NULL THEN
        CREATE DOMAIN invoice_status AS text CHECK (VALUE IN ('PENDING', 'PAID', 'OVERDUE', 'REFUNDED'));
    END IF;
    IF to_regtype('payment_method') IS NULL THEN
        CREATE DOMAIN payment_method AS text CHECK (VALUE IN ('WALLET', 'CARD', 'WALLET_AND_CARD', 'NONE'));
    END IF;
END;
$$;

-- Whether an invoice's amounts and what it is for fit together. A function, as domains are in 0004: it is kept.
CREATE OR REPLACE FUNCTION invoice_is_sound(
    kind text, corrects uuid, session uuid, booking uuid, amount numeric, net numeric, vat numeric, paid numeric,
    refunded numeric, credited_unpaid numeric
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF net + vat <> amount THEN
        RETURN false;
    ELSIF kind = 'CREDIT_NOTE' THEN
        RETURN corrects IS NOT NULL AND session IS NULL AND booking IS NULL
            AND amount < 0 AND paid = amount AND refunded = 0 AND credited_unpaid = 0;
    END IF;
    RETURN corrects IS NULL AND (session IS NOT NULL) = (kind = 'SESSION') AND (booking IS NOT NULL) = (kind = 'BOOKING')
        AND credited_unpaid BETWEEN 0 AND amount AND paid BETWEEN 0 AND amount - credited_unpaid
        AND refunded BETWEEN credited_unpaid AND credited_unpaid + paid;
END;
$$;

-- Invoices and credit notes. What an invoice says never changes; what became of it does.
CREATE TABLE IF NOT EXISTS invoices (
    id                     uuid PRIMARY KEY,
    number                 text NOT NULL,
    kind                   invoice_kind NOT NULL,
    user_id                uuid NOT NULL REFERENCES users,
    session_id             uuid,             -- no foreign key: bill_session has just written the session
    subscription_id        uuid REFERENCES subscriptions,
    subscription_period_id uuid REFERENCES subscription_periods,
    booking_id             uuid,             -- of 0015, which names the invoice, too
    corrects_invoice_id    uuid REFERENCES invoices,
    tariff_id              uuid,             -- no foreign keys to price lists: all bills would lock the same row there
    plan_id                uuid,
    amount                 numeric(14, 4) NOT NULL,   -- with VAT; below zero on a credit note
    net                    numeric(14, 4) NOT NULL,
    vat                    numeric(14, 4) NOT NULL,
    vat_rate               numeric(6, 4) NOT NULL,
    currency               char(3) NOT NULL,
    paid_amount            numeric(14, 4) NOT NULL DEFAULT 0,
    refunded_amount        numeric(14, 4) NOT NULL DEFAULT 0,   -- the sum of its credit notes
    credited_unpaid        numeric(14, 4) NOT NULL DEFAULT 0,   -- the part of that which nobody had paid
    energy_kwh             numeric(12, 4) NOT NULL DEFAULT 0,
    due_date               date NOT NULL,
    status                 invoice_status NOT NULL,
    method                 payment_method,   -- how it was paid
    paid_at                timestamptz,
    reminders              integer NOT NULL DEFAULT 0,
    remind_on              date,             -- when the next reminder is due, if one is
    reason                 text,             -- of a credit note: why
    -- [{description, quantity, unit, unitPrice, amount}], decimals as text; prices and amounts with VAT
    lines                  jsonb NOT NULL,
    created_at             timestamptz NOT NULL,
    CONSTRAINT invoices_number_key UNIQUE (number),
    CONSTRAINT invoices_sound CHECK (invoice_is_sound(kind, corrects_invoice_id, session_id, booking_id, amount, net, vat,
                                                      paid_amount, refunded_amount, credited_unpaid))
);
-- One invoice a session, a month of a subscription, a booking. A credit note names none of them: the invoice it corrects
-- does.
CREATE UNIQUE INDEX IF NOT EXISTS invoices_session_id_key ON invoices (session_id);
CREATE UNIQUE INDEX IF NOT EXISTS invoices_subscription_period_id_key ON invoices (subscription_period_id)
    WHERE subscription_period_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS invoices_booking_id_key ON invoices (booking_id) WHERE booking_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS invoices_user ON invoices (user_id, created_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS invoices_corrects ON invoices (corrects_invoice_id) WHERE corrects_invoice_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS invoices_remind_on ON invoices (remind_on) WHERE remind_on IS NOT NULL;

-- The lines of invoices, which add up to them. They lie in their invoice's row: nobody writes or reads one without it.
CREATE OR REPLACE VIEW invoice_lines AS
SELECT invoices.id AS invoice_id, listed.position::integer AS position, listed.line->>'description' AS description,
       (listed.line->>'quantity')::numeric AS quantity, listed.line->>'unit' AS unit,
       (listed.line->>'unitPrice')::numeric AS unit_price, (listed.line->>'amount')::numeric(14, 4) AS amount
FROM invoices CROSS JOIN LATERAL jsonb_array_elements(invoices.lines) WITH ORDINALITY AS listed (line, position);

-- The latest number of each series and year.
CREATE TABLE IF NOT EXISTS number_series (
    series text NOT NULL,
    year   integer NOT NULL,
    last   bigint NOT NULL,
    PRIMARY KEY (series, year)
);

-- The next number of a kind in the year of `moment`, in UTC, of the first of its series, A to Z, that nobody is taking
-- one of: as many are in use as invoices are ever made at once. Whoever takes one keeps the series locked until the end of
-- the transaction, and gives the number back by rolling back: so no series has gaps, and the number is taken last. There
-- are several, as Article 226 (2) of the VAT directive allows, because the bills of a single one would wait for each
-- other's commits.
CREATE OR REPLACE FUNCTION next_number(kind text, prefix text, moment timestamptz) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    nth integer := 0;
    letter text;
    in_series text;
    of_year integer := extract(year FROM moment AT TIME ZONE 'UTC');
    taken text;
BEGIN
    WHILE nth < 26 AND NOT pg_try_advisory_xact_lock(hashtext('NUMBER/' || kind), nth) LOOP
        nth := nth + 1;
    END LOOP;
    IF nth = 26 THEN
        -- None is free: any is waited for.
        nth := pg_backend_pid() % 26;
        PERFORM pg_advisory_xact_lock(hashtext('NUMBER/' || kind), nth);
    END IF;
    letter := chr(ascii('A') + nth);
    in_series := kind || '-' || letter;
    -- Who waits for an update carries on where it waited; an upsert that had to wait begins anew.
    UPDATE number_series SET last = last + 1 WHERE series = in_series AND year = of_year
    RETURNING last::text INTO taken;
    IF taken IS NULL THEN
        INSERT INTO number_series AS present (series, year, last) VALUES (in_series, of_year, 1)
        ON CONFLICT (series, year) DO UPDATE SET last = present.last + 1
        RETURNING present.last::text INTO taken;
    END IF;
    RETURN prefix || of_year || '-' || letter || '-' || lpad(taken, GREATEST(6, length(taken)), '0');
END;
$$;

-- What is still to be paid.
CREATE OR REPLACE FUNCTION invoice_due(invoice invoices) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN invoice.amount - invoice.credited_unpaid - invoice.paid_amount;

-- An invoice as its owner sees it.
CREATE OR REPLACE FUNCTION invoice_document(invoice invoices) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', invoice.id,
        'number', invoice.number,
        'kind', invoice.kind,
        'sessionId', invoice.session_id,
        'subscriptionId', invoice.subscription_id,
        'bookingId', invoice.booking_id,
        'correctsInvoiceId', invoice.corrects_invoice_id,
        'amount', jsonb_build_object('amount', invoice.amount::text, 'currency', invoice.currency),
        'net', jsonb_build_object('amount', invoice.net::text, 'currency', invoice.currency),
        'vat', jsonb_build_object('amount', invoice.vat::text, 'currency', invoice.currency),
        'vatRate', trim_scale(invoice.vat_rate)::text,
        'lines', COALESCE((
            SELECT jsonb_agg(jsonb_build_object(
                'description', line.description,
                'quantity', trim_scale(line.quantity)::text,
                'unit', line.unit,
                'unitPrice', trim_scale(line.unit_price)::text,
                'amount', jsonb_build_object('amount', line.amount::text, 'currency', invoice.currency)
            ) ORDER BY line.position)
            FROM invoice_lines AS line WHERE line.invoice_id = invoice.id
        ), '[]'),
        'due', jsonb_build_object('amount', invoice_due(invoice)::text, 'currency', invoice.currency),
        'refunded', jsonb_build_object('amount', invoice.refunded_amount::text, 'currency', invoice.currency),
        'energyKWh', trim_scale(invoice.energy_kwh)::text,
        'dueDate', invoice.due_date,
        'status', invoice.status,
        'createdAt', rfc3339(invoice.created_at)
    )
$$;

-- What every event of an invoice says of it.
CREATE OR REPLACE FUNCTION invoice_fields(invoice invoices) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'invoiceId', invoice.id,
        'number', invoice.number,
        'kind', invoice.kind,
        'sessionId', invoice.session_id,
        'subscriptionId', invoice.subscription_id,
        'bookingId', invoice.booking_id,
        'userId', invoice.user_id,
        'amount', coins(invoice.amount, invoice.currency),
        'currency', invoice.currency
    )
$$;

-- Writes an invoice under the year's next number, and takes it from the wallet when that holds all of it in the same
-- currency; one that a card has paid before leaves the wallet alone. `invoice`, decimals as text:
--   id · entryId, of the wallet's entry, should there be one · userId · kind SESSION, SUBSCRIPTION or BOOKING ·
--   sessionId · subscriptionId · subscriptionPeriodId · bookingId · tariffId · planId · currency · gross · net · vat ·
--   vatRate · energyKwh · dueDate · reason, for the wallet's entry · lines [{description, quantity, unit, unitPrice,
--   amount}] · paidBy, CARD if that has paid all of it
-- The price list is the plan's, if there is one, else the tariff. Gives the event, which the caller returns among its.
CREATE OR REPLACE FUNCTION issue_invoice(invoice jsonb, moment timestamptz, correlation uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    gross numeric := invoice->>'gross';
    lines jsonb := invoice->'lines';
    by_card boolean := COALESCE(invoice->>'paidBy' = 'CARD', false);
    unlisted numeric := gross;
    customer uuid := invoice->>'userId';
    settled boolean;
    issued invoices;
BEGIN
    FOR position IN 0..jsonb_array_length(lines) - 1 LOOP
        unlisted := unlisted - (lines->position->>'amount')::numeric;
    END LOOP;
    IF jsonb_array_length(lines) > 100 OR unlisted IS DISTINCT FROM 0 THEN
        RAISE EXCEPTION 'the lines of invoice % are too many or do not add up', invoice->>'id'
            USING ERRCODE = 'check_violation';
    END IF;
    IF gross = 0 OR by_card THEN
        settled := true;
    ELSE
        settled := post_if_covered((invoice->>'entryId')::uuid, customer, -gross, invoice->>'currency', 'INVOICE',
            invoice->>'id', invoice->>'reason', moment);
    END IF;

    INSERT INTO invoices (id, number, kind, user_id, session_id, subscription_id, subscription_period_id, booking_id,
                          tariff_id, plan_id, amount, net, vat, vat_rate, currency, paid_amount, energy_kwh, due_date,
                          status, method, paid_at, remind_on, created_at, lines)
    VALUES ((invoice->>'id')::uuid, next_number('INVOICE', '', moment), invoice->>'kind', customer,
            (invoice->>'sessionId')::uuid, (invoice->>'subscriptionId')::uuid,
            (invoice->>'subscriptionPeriodId')::uuid, (invoice->>'bookingId')::uuid,
            CASE WHEN invoice->>'planId' IS NULL THEN (invoice->>'tariffId')::uuid END, (invoice->>'planId')::uuid,
            gross, (invoice->>'net')::numeric, (invoice->>'vat')::numeric, (invoice->>'vatRate')::numeric,
            invoice->>'currency', CASE WHEN settled THEN gross ELSE 0 END,
            COALESCE((invoice->>'energyKwh')::numeric, 0), (invoice->>'dueDate')::date,
            CASE WHEN settled THEN 'PAID' ELSE 'PENDING' END,
            CASE WHEN NOT settled THEN NULL WHEN gross = 0 THEN 'NONE' WHEN by_card THEN 'CARD' ELSE 'WALLET' END,
            CASE WHEN settled THEN moment END, CASE WHEN NOT settled THEN (invoice->>'dueDate')::date + 1 END,
            date_trunc('milliseconds', moment), lines)
    RETURNING * INTO issued;

    RETURN CASE WHEN settled THEN
        emit('PAYMENT_COMPLETED', 1, 'billing-service', correlation, moment,
            invoice_fields(issued) || jsonb_build_object('method', issued.method))
    ELSE
        emit('INVOICE_GENERATED', 1, 'billing-service', correlation, moment,
            invoice_fields(issued) || jsonb_build_object('dueDate', issued.due_date))
    END;
END;
$$;

-- Counts a payment (`method` WALLET or CARD) against an invoice, PAID when nothing is due any more. Gives the event of
-- that, or none while something is due. Raises when less than that is due.
CREATE OR REPLACE FUNCTION pay_invoice(
    paid_invoice uuid, paid numeric, method text, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    invoice invoices;
BEGIN
    UPDATE invoices AS owed
    SET paid_amount = owed.paid_amount + paid,
        method = CASE
            WHEN COALESCE(owed.method, pay_invoice.method) = pay_invoice.method THEN pay_invoice.method
            ELSE 'WALLET_AND_CARD'
        END,
        status = CASE WHEN invoice_due(owed) = paid THEN 'PAID' ELSE owed.status END,
        paid_at = CASE WHEN invoice_due(owed) = paid THEN moment END,
        remind_on = CASE WHEN invoice_due(owed) > paid THEN owed.remind_on END
    WHERE owed.id = paid_invoice AND owed.status IN ('PENDING', 'OVERDUE') AND paid > 0 AND paid <= invoice_due(owed)
    RETURNING * INTO invoice;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the invoice % does not take a payment of %', paid_invoice, paid
            USING ERRCODE = 'check_violation';
    END IF;
    IF invoice.status = 'PAID' THEN
        RETURN emit('PAYMENT_COMPLETED', 1, 'billing-service', correlation, moment,
            -- Less than the invoice says, when some of it was credited before.
            invoice_fields(invoice) || jsonb_build_object(
                'amount', coins(invoice.paid_amount, invoice.currency), 'method', invoice.method
            ));
    END IF;
    RETURN NULL;
END;
$$;

-- Writes a credit note: `amount` of an invoice is taken back, and VAT in proportion, so that the credit notes of the
-- whole add up to the invoice's own VAT. It takes from what is due first: only what goes beyond that was paid, and is
-- the caller's to give back, for this moves no money. Raises when less of the invoice is left. Gives {creditNoteId,
-- number}.
CREATE OR REPLACE FUNCTION issue_credit_note(
    corrected uuid, new_invoice uuid, amount numeric, why text, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    back numeric := issue_credit_note.amount;
    original invoices;
    unpaid numeric;
    vat_before numeric;
    vat_back numeric;
    issued invoices;
BEGIN
    SELECT * INTO original FROM invoices WHERE id = corrected FOR NO KEY UPDATE;
    IF NOT FOUND OR original.kind = 'CREDIT_NOTE' OR back IS NULL OR back <= 0
        OR back <> round(back, minor_digits(original.currency))
        OR back > original.amount - original.refunded_amount THEN
        RAISE EXCEPTION 'of the invoice % one cannot give back %', corrected, back USING ERRCODE = 'check_violation';
    END IF;
    unpaid := LEAST(back, invoice_due(original));
    SELECT -COALESCE(sum(vat), 0) INTO vat_before FROM invoices WHERE corrects_invoice_id = corrected;
    vat_back := round(original.vat * (original.refunded_amount + back) / original.amount,
        minor_digits(original.currency)) - vat_before;

    UPDATE invoices AS credited
    SET refunded_amount = credited.refunded_amount + back,
        credited_unpaid = credited.credited_unpaid + unpaid,
        status = CASE
            WHEN credited.refunded_amount + back = credited.amount THEN 'REFUNDED'
            WHEN invoice_due(credited) = unpaid THEN 'PAID'
            ELSE credited.status
        END,
        paid_at = CASE
            WHEN invoice_due(credited) = unpaid AND credited.paid_amount > 0 THEN COALESCE(credited.paid_at, moment)
        END,
        remind_on = CASE WHEN invoice_due(credited) > unpaid THEN credited.remind_on END
    WHERE id = corrected;
    INSERT INTO invoices (id, number, kind, user_id, corrects_invoice_id, tariff_id, plan_id, amount, net, vat, vat_rate,
                          currency, paid_amount, due_date, status, method, paid_at, reason, created_at, lines)
    VALUES (new_invoice, next_number('CREDIT_NOTE', 'CN-', moment), 'CREDIT_NOTE', original.user_id,
            corrected, original.tariff_id, original.plan_id, -back, vat_back - back, -vat_back, original.vat_rate,
            original.currency, -back, (moment AT TIME ZONE 'UTC')::date, 'PAID', NULL, moment, why,
            date_trunc('milliseconds', moment), jsonb_build_array(jsonb_build_object(
                'description', 'Credit for invoice ' || original.number, 'quantity', '-1',
                'unit', CASE original.kind WHEN 'SUBSCRIPTION' THEN 'month' WHEN 'BOOKING' THEN 'booking' ELSE 'session' END,
                'unitPrice', back::text, 'amount', (-back)::text
            )))
    RETURNING * INTO issued;
    RETURN jsonb_build_object('creditNoteId', issued.id, 'number', issued.number);
END;
$$;

-- Calls invoices overdue whose due date is past, and reminds of them: at once, then twice more, a week apart. At most
-- `at_most` a call; those that another call or a payment holds are left to the next.
CREATE OR REPLACE FUNCTION mark_overdue(at_most integer, moment timestamptz, correlation uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    today date := moment AT TIME ZONE 'UTC';
    owed invoices;
    events jsonb := '[]';
BEGIN
    FOR owed IN
        SELECT * FROM invoices WHERE remind_on <= today
        ORDER BY remind_on LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED
    LOOP
        UPDATE invoices AS late
        SET status = 'OVERDUE', reminders = late.reminders + 1,
            remind_on = CASE WHEN late.reminders < 2 THEN today + 7 END
        WHERE late.id = owed.id
        RETURNING * INTO owed;
        events := events || emit('INVOICE_OVERDUE', 1, 'billing-service', correlation, moment,
            invoice_fields(owed) || jsonb_build_object(
                'due', coins(invoice_due(owed), owed.currency), 'dueDate', owed.due_date, 'reminder', owed.reminders
            ));
    END LOOP;
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('reminded', jsonb_array_length(events)), 'events', events
    );
END;
$$;
