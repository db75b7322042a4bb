-- From a session that has ended to its invoice.

-- Bills a session that has ended, once. `bill` is its invoice, as issue_invoice takes it, with `coveredKwh` of a flat
-- rate's fair use and the facts that it was priced by; `sessionId` alone asks what they are. Nothing is written when they
-- are others: they are told, with all it takes to price again. Facts are
--   userId · stationId · energyKwh, as text · startedAt · endedAt, to the millisecond · tariffId · coverage
CREATE OR REPLACE FUNCTION bill_session(bill jsonb, moment timestamptz, correlation uuid) RETURNS json
LANGUAGE plpgsql
-- The same few rows by their keys each time: what planning anew and compiling cost is a third of a bill.
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
DECLARE
    billed_session uuid := bill->>'sessionId';
    driver uuid := bill->>'userId';
    started timestamptz := bill->>'startedAt';
    session sessions;
    earlier invoices;
    tariff tariffs;
    event jsonb;
BEGIN
    -- Whose a session is never changes: if it is another's, no row fits below.
    PERFORM FROM users WHERE id = driver FOR NO KEY UPDATE;
    -- One statement looks, locks and writes: whoever corrects the session at the same time is waited for, and what they
    -- made of it is looked at again. It costs nothing yet only if it was not billed. Most drivers have no flat rate, which
    -- is cheaper to see than what one covers.
    UPDATE sessions AS s
    SET cost = (bill->>'gross')::numeric, currency = bill->>'currency', updated_at = next_update(s.updated_at, moment)
    WHERE s.id = billed_session AND s.status = 'COMPLETED' AND s.cost IS NULL AND s.user_id = driver
        AND s.station_id = (bill->>'stationId')::uuid AND s.energy_kwh = (bill->>'energyKwh')::numeric
        AND date_trunc('milliseconds', COALESCE(s.start_time, s.created_at)) = started
        AND date_trunc('milliseconds', COALESCE(s.end_time, s.start_time, s.created_at)) = (bill->>'endedAt')::timestamptz
        AND COALESCE(s.tariff_id, tariff_at(s.station_id, started)) IS NOT DISTINCT FROM (bill->>'tariffId')::uuid
        AND bill->'coverage' = CASE
            WHEN EXISTS (SELECT FROM subscriptions WHERE user_id = driver)
            THEN COALESCE(subscription_coverage(driver, started), 'null')
            ELSE 'null'
        END;
    IF FOUND THEN
        IF (bill->>'coveredKwh')::numeric > 0 THEN
            PERFORM use_subscription((bill->'coverage'->>'periodId')::uuid, (bill->>'coveredKwh')::numeric);
        END IF;
        event := issue_invoice(bill, moment, correlation);
        -- Text: a jsonb's members would be sorted and written twice more on the way out.
        RETURN json_build_object(
            'outcome', json_build_object('result', 'BILLED', 'invoiceId', bill->'id', 'number', event->'number'),
            'events', json_build_array(event)
        );
    END IF;

    SELECT * INTO session FROM sessions WHERE id = billed_session;
    IF NOT FOUND THEN
        RETURN json_build_object('outcome', json_build_object('result', 'NO_SESSION'));
    END IF;
    SELECT * INTO earlier FROM invoices WHERE session_id = billed_session;
    IF FOUND THEN
        RETURN json_build_object('outcome', json_build_object('result', 'REPEATED', 'invoiceId', earlier.id));
    ELSIF session.status <> 'COMPLETED' THEN
        RETURN json_build_object('outcome', json_build_object('result', 'NOT_COMPLETED'));
    END IF;
    started := date_trunc('milliseconds', COALESCE(session.start_time, session.created_at));
    SELECT * INTO tariff FROM tariffs WHERE id = COALESCE(session.tariff_id, tariff_at(session.station_id, started));
    RETURN json_build_object('outcome', json_build_object(
        'result', 'FACTS',
        'facts', json_build_object(
            'userId', session.user_id,
            'stationId', session.station_id,
            'energyKwh', trim_scale(session.energy_kwh)::text,
            'startedAt', rfc3339(started),
            'endedAt', rfc3339(COALESCE(session.end_time, started)),
            'tariffId', tariff.id,
            'coverage', subscription_coverage(session.user_id, started)
        ),
        'tariff', CASE WHEN tariff.id IS NOT NULL THEN tariff_document(tariff) END,
        'readings', COALESCE(session_readings(billed_session), '[]')
    ));
END;
$$;
