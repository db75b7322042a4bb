-- From a session that has ended to its invoice.

-- Bills a session that has ended, once. `assumed` is what the caller priced by, `invoice` what came out, as
-- issue_invoice takes it, with `coveredKwh` of a flat rate's fair use, and without what the session itself tells.
-- Nothing is written when the facts are others: they are told, with all it takes to price again. Facts are
--   userId · stationId · energyKwh, as text · startedAt · endedAt, to the millisecond · tariffId · coverage
CREATE OR REPLACE FUNCTION bill_session(
    billed_session uuid, assumed jsonb, invoice jsonb, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql
-- The same few rows by their keys each time: what planning anew and compiling cost is a third of a bill.
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
DECLARE
    driver uuid := assumed->>'userId';
    started timestamptz := assumed->>'startedAt';
    coverage jsonb := 'null';
    billed_energy numeric;
    session sessions;
    earlier invoices;
    tariff tariffs;
    issued jsonb;
BEGIN
    IF assumed IS NOT NULL THEN
        -- Whose a session is never changes: if it is another's, no row fits below.
        PERFORM FROM users WHERE id = driver FOR NO KEY UPDATE;
        -- Most drivers have no flat rate, which is cheaper to see than what one covers.
        IF EXISTS (SELECT FROM subscriptions WHERE user_id = driver) THEN
            coverage := COALESCE(subscription_coverage(driver, started), 'null');
        END IF;
        IF assumed->'coverage' = coverage THEN
            -- One statement looks, locks and writes: whoever corrects the session at the same time is waited for, and
            -- what they made of it is looked at again. It costs nothing yet only if it was not billed.
            UPDATE sessions AS s
            SET cost = (invoice->>'gross')::numeric, currency = invoice->>'currency',
                updated_at = next_update(s.updated_at, moment)
            WHERE s.id = billed_session AND s.status = 'COMPLETED' AND s.cost IS NULL AND s.user_id = driver
                AND s.station_id = (assumed->>'stationId')::uuid AND s.energy_kwh = (assumed->>'energyKwh')::numeric
                AND date_trunc('milliseconds', COALESCE(s.start_time, s.created_at)) = started
                AND date_trunc('milliseconds', COALESCE(s.end_time, s.start_time, s.created_at))
                    = (assumed->>'endedAt')::timestamptz
                AND COALESCE(s.tariff_id, tariff_at(s.station_id, started))
                    IS NOT DISTINCT FROM (assumed->>'tariffId')::uuid
            RETURNING s.energy_kwh INTO billed_energy;
        END IF;
    END IF;

    IF billed_energy IS NOT NULL THEN
        IF (invoice->>'coveredKwh')::numeric > 0 THEN
            PERFORM use_subscription((coverage->>'periodId')::uuid, (invoice->>'coveredKwh')::numeric);
        END IF;
        issued := issue_invoice(invoice || jsonb_build_object(
            'kind', 'SESSION', 'userId', driver, 'sessionId', billed_session, 'energyKwh', billed_energy,
            'tariffId', CASE WHEN coverage = 'null' THEN assumed->'tariffId' END, 'planId', coverage->'planId',
            'reason', 'charging session ' || billed_session
        ), moment, correlation);
        RETURN jsonb_build_object(
            'outcome', issued - 'event' || '{"result": "BILLED"}',
            'events', jsonb_build_array(issued->'event')
        );
    END IF;

    SELECT * INTO session FROM sessions WHERE id = billed_session;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'NO_SESSION'));
    END IF;
    SELECT * INTO earlier FROM invoices WHERE session_id = billed_session;
    IF FOUND THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'REPEATED', 'invoiceId', earlier.id));
    ELSIF session.status <> 'COMPLETED' THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', 'NOT_COMPLETED'));
    END IF;
    started := date_trunc('milliseconds', COALESCE(session.start_time, session.created_at));
    SELECT * INTO tariff FROM tariffs WHERE id = COALESCE(session.tariff_id, tariff_at(session.station_id, started));
    RETURN jsonb_build_object('outcome', jsonb_build_object(
        'result', 'FACTS',
        'facts', jsonb_build_object(
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
