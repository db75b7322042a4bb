-- Bookings: a connector kept for one driver for a time. That two of them never overlap is the table's word, whatever was
-- held. Whoever changes a booking locks its account first; the invoice, the payment, the booking, the connector and the
-- number series follow in that order.

CREATE TABLE IF NOT EXISTS bookings (
    id                uuid PRIMARY KEY,
    user_id           uuid NOT NULL REFERENCES users,
    station_id        uuid NOT NULL REFERENCES stations,
    connector_id      uuid NOT NULL REFERENCES connectors,
    start_ts          timestamptz NOT NULL,
    end_ts            timestamptz NOT NULL,
    status            text NOT NULL
                      CHECK (status IN ('PENDING', 'CONFIRMED', 'ACTIVE', 'COMPLETED', 'CANCELLED', 'NO_SHOW')),
    hold_token        text NOT NULL,
    payment_id        uuid REFERENCES payments DEFERRABLE INITIALLY DEFERRED,   -- of the card that was charged
    vendor_booking_id text,
    session_id        uuid REFERENCES sessions,
    invoice_id        uuid REFERENCES invoices DEFERRABLE INITIALLY DEFERRED,   -- none until it is paid, and if free
    tariff_id         uuid,                  -- that the price is of
    price             numeric(14, 4) NOT NULL CHECK (price >= 0),   -- with VAT
    currency          char(3) NOT NULL,
    vat_rate          numeric(6, 4) NOT NULL,
    refunded          numeric(14, 4) NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND price),
    reason            text,                  -- why it is CANCELLED
    reservation_id    integer GENERATED ALWAYS AS IDENTITY,   -- what OCPP knows it by
    reserved_at       timestamptz,           -- when BOOKING_DUE was told last
    confirmed_at      timestamptz,
    correlation_id    uuid NOT NULL,         -- of the request that confirmed it
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT bookings_hold_token_key UNIQUE (hold_token),
    CONSTRAINT bookings_reservation_id_key UNIQUE (reservation_id),
    CONSTRAINT bookings_one_at_a_time EXCLUDE USING gist (
        connector_id WITH =, tstzrange(start_ts, end_ts) WITH &&
    ) WHERE (status IN ('PENDING', 'CONFIRMED', 'ACTIVE')),
    CHECK (start_ts < end_ts),
    CHECK (status IN ('PENDING', 'CANCELLED') OR (confirmed_at IS NOT NULL AND (price = 0 OR invoice_id IS NOT NULL)))
);
CREATE INDEX IF NOT EXISTS bookings_user ON bookings (user_id, start_ts DESC, id DESC);
CREATE INDEX IF NOT EXISTS bookings_open ON bookings (start_ts) WHERE status IN ('PENDING', 'CONFIRMED', 'ACTIVE');
CREATE INDEX IF NOT EXISTS bookings_open_of_station ON bookings (station_id, start_ts)
WHERE status IN ('PENDING', 'CONFIRMED', 'ACTIVE');
CREATE INDEX IF NOT EXISTS connectors_booked ON connectors (current_booking_id) WHERE current_booking_id IS NOT NULL;

-- A booking as its owner sees it.
CREATE OR REPLACE FUNCTION booking_document(booking bookings) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', booking.id,
        'userId', booking.user_id,
        'stationId', booking.station_id,
        'connectorId', booking.connector_id,
        'startTs', rfc3339(booking.start_ts),
        'endTs', rfc3339(booking.end_ts),
        'status', booking.status,
        'price', CASE WHEN booking.price > 0 THEN
            jsonb_build_object('amount', coins(booking.price, booking.currency), 'currency', booking.currency)
        END,
        'refunded', CASE WHEN booking.price > 0 THEN
            jsonb_build_object('amount', coins(booking.refunded, booking.currency), 'currency', booking.currency)
        END,
        'paymentId', booking.payment_id,
        'invoiceId', booking.invoice_id,
        'sessionId', booking.session_id,
        'reason', booking.reason,
        'createdAt', rfc3339(booking.created_at),
        'updatedAt', rfc3339(booking.updated_at)
    )
$$;

-- Tells of a booking: everything that its events say.
CREATE OR REPLACE FUNCTION emit_booking(event_type text, booking bookings, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
    RETURN emit(event_type, 1, 'booking-service', booking.correlation_id, moment, jsonb_build_object(
        'bookingId', booking.id,
        'userId', booking.user_id,
        'stationId', booking.station_id,
        'connectorId', booking.connector_id,
        'startTs', rfc3339(booking.start_ts),
        'endTs', rfc3339(booking.end_ts),
        'status', booking.status,
        'price', coins(booking.price, booking.currency),
        'currency', booking.currency,
        'refunded', coins(booking.refunded, booking.currency),
        'reason', booking.reason,
        'reservationId', booking.reservation_id
    ));
END;
$$;

-- A booking's invoice, as issue_invoice takes it: one line, and VAT within, as in a session's price: the net rounded to
-- the coin, halves away from zero, VAT being the rest.
CREATE OR REPLACE FUNCTION booking_invoice(booking bookings, new_ids jsonb, moment timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', new_ids->'invoice',
        'entryId', new_ids->'entry',
        'userId', booking.user_id,
        'kind', 'BOOKING',
        'bookingId', booking.id,
        'tariffId', booking.tariff_id,
        'currency', booking.currency,
        'gross', booking.price::text,
        'net', net::text,
        'vat', (booking.price - net)::text,
        'vatRate', booking.vat_rate::text,
        'dueDate', (moment AT TIME ZONE 'UTC')::date,
        'reason', 'booking ' || booking.id,
        'lines', jsonb_build_array(jsonb_build_object(
            'description', to_char(booking.start_ts AT TIME ZONE 'UTC', '"Booking from" YYYY-MM-DD HH24:MI')
                || to_char(booking.end_ts AT TIME ZONE 'UTC', ' "to" YYYY-MM-DD HH24:MI "UTC"'),
            'quantity', '1',
            'unit', 'booking',
            'unitPrice', booking.price::text,
            'amount', booking.price::text
        ))
    )
    FROM round(booking.price / (1 + booking.vat_rate), minor_digits(booking.currency)) AS net
$$;

-- Makes a hold a booking. `held` is {userId, stationId, connectorId, startTs, endTs, expiresAt} of a hold that is known
-- elsewhere; none: it is among slot_holds, if anywhere. The wallet pays, or the payment `method` of a card, whose charge
-- is only begun here: then the booking is PENDING until settle_payment. `new_ids` are {booking, invoice, entry,
-- payment}, `limits` as in begin_payment. Gives {result BOOKED, booking, payment, while there is one to go on with}, for
-- a repeated hold as it was, or {result} alone that says why nothing was written.
CREATE OR REPLACE FUNCTION confirm_booking(
    new_ids jsonb, driver uuid, of_hold text, held jsonb, method text, limits jsonb, moment timestamptz,
    correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    booking bookings;
    tariff tariffs;
    fee numeric;
    in_currency text;
    by_card boolean;
    obstacle text;
    events jsonb := '[]';
BEGIN
    -- One of a driver's at a time: neither repeats nor the limit may race.
    SELECT * INTO account FROM users WHERE id = driver AND deleted_at IS NULL FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', '{"result": "NO_ACCOUNT"}'::jsonb);
    END IF;
    SELECT * INTO booking FROM bookings WHERE hold_token = of_hold;
    IF FOUND THEN
        RETURN jsonb_build_object('outcome', CASE
            WHEN booking.user_id = driver THEN booked(booking)
            ELSE '{"result": "NO_HOLD"}'
        END);
    END IF;

    held := COALESCE(held, (
        SELECT jsonb_build_object('userId', user_id, 'stationId', station_id, 'connectorId', connector_id,
                                  'startTs', start_ts, 'endTs', end_ts, 'expiresAt', expires_at)
        FROM slot_holds WHERE token = of_hold
    ));
    SELECT * INTO tariff FROM tariffs WHERE id = tariff_at((held->>'stationId')::uuid, moment);
    in_currency := COALESCE(tariff.currency, account.wallet_currency);
    fee := COALESCE(round(tariff.booking_fee, minor_digits(in_currency)), 0);
    by_card := fee > 0 AND method IS NOT NULL;
    obstacle := CASE
        WHEN held IS NULL THEN 'UNKNOWN_HOLD'
        WHEN (held->>'userId')::uuid <> driver THEN 'NO_HOLD'
        WHEN LEAST((held->>'expiresAt')::timestamptz, (held->>'endTs')::timestamptz) <= moment THEN 'HOLD_EXPIRED'
        WHEN 10 <= (
            SELECT count(*) FROM bookings
            WHERE user_id = driver AND end_ts > moment AND status IN ('PENDING', 'CONFIRMED', 'ACTIVE')
        ) THEN 'TOO_MANY_BOOKINGS'
        WHEN by_card THEN card_refusal(fee, limits->in_currency)
        WHEN fee > 0 AND account.wallet_currency <> in_currency THEN 'CURRENCY_MISMATCH'
        WHEN fee > account.wallet_balance THEN 'INSUFFICIENT_FUNDS'
    END;
    IF obstacle IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', obstacle));
    END IF;

    -- Two that insert at once would each wait for the other.
    PERFORM pg_advisory_xact_lock(hashtextextended('BOOKING/' || (held->>'connectorId'), 0));
    BEGIN
        INSERT INTO bookings (id, user_id, station_id, connector_id, start_ts, end_ts, status, hold_token, payment_id,
                              invoice_id, tariff_id, price, currency, vat_rate, confirmed_at, correlation_id,
                              created_at, updated_at)
        VALUES ((new_ids->>'booking')::uuid, driver, (held->>'stationId')::uuid, (held->>'connectorId')::uuid,
                (held->>'startTs')::timestamptz, (held->>'endTs')::timestamptz,
                CASE WHEN by_card THEN 'PENDING' ELSE 'CONFIRMED' END, of_hold,
                CASE WHEN by_card THEN (new_ids->>'payment')::uuid END,
                CASE WHEN fee > 0 AND NOT by_card THEN (new_ids->>'invoice')::uuid END, tariff.id, fee, in_currency,
                COALESCE(tariff.vat_rate, 0), CASE WHEN NOT by_card THEN moment END, correlation,
                date_trunc('milliseconds', moment), moment)
        RETURNING * INTO booking;
    EXCEPTION WHEN exclusion_violation THEN
        RETURN jsonb_build_object('outcome', '{"result": "SLOT_TAKEN"}'::jsonb);
    END;
    DELETE FROM slot_holds WHERE token = of_hold;

    IF by_card THEN
        INSERT INTO payments (id, user_id, purpose, booking_id, amount, currency, from_wallet, from_card,
                              payment_method, status, idempotency_key, request, correlation_id, created_at, updated_at,
                              looked_at)
        VALUES (booking.payment_id, driver, 'BOOKING', booking.id, fee, in_currency, 0, fee, method, 'PENDING',
                'booking/' || booking.id, jsonb_build_object('purpose', 'BOOKING', 'bookingId', booking.id),
                correlation, date_trunc('milliseconds', moment), moment, moment);
    ELSE
        IF fee > 0 THEN
            events := jsonb_build_array(issue_invoice(booking_invoice(booking, new_ids, moment), moment, correlation));
        END IF;
        events := events || jsonb_build_array(emit_booking('BOOKING_CONFIRMED', booking, moment));
    END IF;
    RETURN jsonb_build_object('outcome', booked(booking), 'events', events);
END;
$$;

-- What confirming tells of a booking.
CREATE OR REPLACE FUNCTION booked(booking bookings) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'result', 'BOOKED',
        'booking', booking_document(booking),
        'payment', CASE WHEN booking.status = 'PENDING' THEN (
            SELECT payment_document(payments) FROM payments WHERE id = booking.payment_id
        ) END
    )
$$;

-- A booking's card was charged: it is CONFIRMED, with its invoice. What is paid when its time has begun, and more than
-- two minutes after it was asked for, came too late to rely on: it is CANCELLED, and its money goes back. Gives the events.
-- Nothing else ends PENDING but this and book_unpaid.
CREATE OR REPLACE FUNCTION book_paid(payment payments, new_ids jsonb, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    booking bookings;
    in_time boolean;
    invoice_event jsonb;
    back jsonb;
BEGIN
    SELECT * INTO booking FROM bookings WHERE id = payment.booking_id FOR NO KEY UPDATE;
    in_time := moment < LEAST(booking.end_ts,
        GREATEST(booking.start_ts, booking.created_at + interval '2 minutes'));
    UPDATE bookings AS paid
    SET status = CASE WHEN in_time THEN 'CONFIRMED' ELSE 'CANCELLED' END, invoice_id = (new_ids->>'invoice')::uuid,
        confirmed_at = CASE WHEN in_time THEN moment END, reason = CASE WHEN NOT in_time THEN 'PAID_TOO_LATE' END,
        refunded = CASE WHEN in_time THEN 0 ELSE paid.price END, updated_at = GREATEST(paid.updated_at, moment)
    WHERE paid.id = booking.id AND paid.status = 'PENDING'
    RETURNING * INTO STRICT booking;
    invoice_event := issue_invoice(booking_invoice(booking, new_ids, moment) || '{"paidBy": "CARD"}', moment,
        booking.correlation_id);
    UPDATE payments SET invoice_id = booking.invoice_id WHERE id = payment.id;
    IF NOT in_time THEN
        back := give_back(new_ids, NULL, jsonb_build_object('invoiceId', booking.invoice_id, 'to', 'ORIGIN',
            'reason', 'paid when the booked time had begun'), 'booking/' || booking.id, moment, booking.correlation_id);
    END IF;
    RETURN jsonb_build_array(
        invoice_event,
        emit_booking(CASE WHEN in_time THEN 'BOOKING_CONFIRMED' ELSE 'BOOKING_CANCELLED' END, booking, moment)
    ) || CASE WHEN back ? 'event' THEN jsonb_build_array(back->'event') ELSE '[]' END;
END;
$$;

-- A booking's card was not charged, and will not be: the slot is free. Gives the events.
CREATE OR REPLACE FUNCTION book_unpaid(payment payments, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    booking bookings;
BEGIN
    UPDATE bookings AS unpaid
    SET status = 'CANCELLED', reason = payment.failure_code, updated_at = GREATEST(unpaid.updated_at, moment)
    WHERE unpaid.id = payment.booking_id AND unpaid.status = 'PENDING'
    RETURNING * INTO STRICT booking;
    RETURN jsonb_build_array(emit_booking('BOOKING_CANCELLED', booking, moment));
END;
$$;

-- Gives back a part of what a booking cost, in coins, as far as it was not given back before: where it came from. Its
-- account is locked. `new_ids` as give_back takes them. Gives {refunded, event, if there is one}.
CREATE OR REPLACE FUNCTION refund_booking(
    booking bookings, part numeric, actor uuid, why text, new_ids jsonb, moment timestamptz
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    amount numeric;
    back jsonb;
BEGIN
    SELECT LEAST(part, invoices.amount - invoices.refunded_amount) INTO amount
    FROM invoices WHERE id = booking.invoice_id FOR NO KEY UPDATE;
    IF amount > 0 THEN
        back := give_back(new_ids, actor, jsonb_build_object('invoiceId', booking.invoice_id, 'amount', amount,
            'to', 'ORIGIN', 'reason', why), 'booking/' || booking.id, moment, booking.correlation_id);
    END IF;
    IF back->>'result' = 'BEGUN' THEN
        RETURN jsonb_build_object('refunded', amount) || CASE
            WHEN back ? 'event' THEN jsonb_build_object('event', back->'event') ELSE '{}'
        END;
    ELSIF back IS NOT NULL THEN
        RAISE EXCEPTION 'of the booking % nothing is given back: %', booking.id, back->>'result'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN '{"refunded": 0}';
END;
$$;

-- Cancels a driver's booking before it begins, and gives back that part of its price. No row for what is not the
-- driver's. Gives {result, booking}; CANCELLED for one that was, too.
CREATE OR REPLACE FUNCTION cancel_booking(
    cancelled uuid, driver uuid, part numeric, new_ids jsonb, moment timestamptz
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
DECLARE
    booking bookings;
    obstacle text;
    back jsonb;
BEGIN
    PERFORM FROM users WHERE id = driver FOR NO KEY UPDATE;
    -- Before the booking, and for good: a paid invoice stays its invoice.
    PERFORM FROM invoices WHERE booking_id = cancelled FOR NO KEY UPDATE;
    SELECT * INTO booking FROM bookings WHERE id = cancelled AND user_id = driver FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    obstacle := CASE
        WHEN booking.status = 'CANCELLED' THEN 'CANCELLED'
        WHEN booking.status = 'PENDING' THEN 'PAYMENT_PENDING'
        WHEN booking.status <> 'CONFIRMED' OR booking.start_ts <= moment OR EXISTS (
            SELECT FROM open_sessions WHERE connector_id = booking.connector_id AND user_id = driver
                AND booking.start_ts <= moment + interval '10 minutes'
        ) THEN 'BOOKING_BEGUN'
    END;
    IF obstacle IS NOT NULL THEN
        RETURN NEXT jsonb_build_object('outcome', jsonb_build_object(
            'result', obstacle, 'booking', booking_document(booking)
        ));
        RETURN;
    END IF;

    back := refund_booking(booking, part, driver, 'booking cancelled', new_ids, moment);
    UPDATE bookings
    SET status = 'CANCELLED', reason = 'DRIVER', refunded = (back->>'refunded')::numeric,
        updated_at = GREATEST(updated_at, moment)
    WHERE id = cancelled RETURNING * INTO booking;
    RETURN NEXT jsonb_build_object(
        'outcome', jsonb_build_object('result', 'CANCELLED', 'booking', booking_document(booking), 'freed', true),
        'events', jsonb_build_array(emit_booking('BOOKING_CANCELLED', booking, moment))
            || CASE WHEN back ? 'event' THEN jsonb_build_array(back->'event') ELSE '[]' END
    );
END;
$$;
