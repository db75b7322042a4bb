-- Flat rates, which bill sessions instead of a tariff.

-- Flat rates on offer and retired ones. Prices include VAT; nothing but retired_at ever changes.
CREATE TABLE IF NOT EXISTS plans (
    id             uuid PRIMARY KEY,
    name           text NOT NULL,
    currency       char(3) NOT NULL,
    monthly_price  numeric(14, 4) NOT NULL CHECK (monthly_price >= 0),
    fair_use_kwh   numeric(12, 4) NOT NULL CHECK (fair_use_kwh >= 0),   -- a calendar month's
    per_kwh_beyond numeric(12, 6) NOT NULL CHECK (per_kwh_beyond >= 0),
    vat_rate       numeric(6, 4) NOT NULL CHECK (vat_rate BETWEEN 0 AND 1),
    created_at     timestamptz NOT NULL,
    retired_at     timestamptz
);
CREATE INDEX IF NOT EXISTS plans_on_offer ON plans (id) WHERE retired_at IS NULL;

-- A plan as the crate reads it and GraphQL tells it.
CREATE OR REPLACE FUNCTION plan_document(plan plans) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', plan.id,
        'name', plan.name,
        'monthlyPrice', jsonb_build_object('amount', plan.monthly_price::text, 'currency', plan.currency),
        'fairUseKWh', trim_scale(plan.fair_use_kwh)::text,
        'perKWhBeyond', trim_scale(plan.per_kwh_beyond)::text,
        'vatRate', trim_scale(plan.vat_rate)::text,
        'createdAt', rfc3339(plan.created_at),
        'retiredAt', rfc3339(plan.retired_at)
    )
$$;

-- Puts a plan on offer.
CREATE OR REPLACE FUNCTION create_plan(
    new_plan jsonb, created_by uuid, why text, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    plan plans;
BEGIN
    INSERT INTO plans (id, name, currency, monthly_price, fair_use_kwh, per_kwh_beyond, vat_rate, created_at)
    SELECT n."id", n."name", n."currency", n."monthlyPrice", n."fairUseKwh", n."perKwhBeyond", n."vatRate", moment
    FROM jsonb_to_record(new_plan) AS n (
        "id" uuid, "name" text, "currency" text, "monthlyPrice" numeric, "fairUseKwh" numeric, "perKwhBeyond" numeric,
        "vatRate" numeric)
    RETURNING * INTO plan;
    INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
    VALUES (moment, created_by, 'PLAN_CREATED', plan.id::text, why, correlation);
    RETURN plan_document(plan);
END;
$$;

-- Takes a plan off the offer, once; no row for an unknown one.
CREATE OR REPLACE FUNCTION retire_plan(
    retired uuid, retired_by uuid, why text, moment timestamptz, correlation uuid
) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE plans SET retired_at = moment WHERE id = retired AND retired_at IS NULL;
    IF FOUND THEN
        INSERT INTO audit_log (at, actor_id, action, subject, reason, correlation_id)
        VALUES (moment, retired_by, 'PLAN_RETIRED', retired::text, why, correlation);
    END IF;
    RETURN QUERY SELECT plan_document(plan) FROM plans AS plan WHERE id = retired;
END;
$$;

-- A driver's flat rates: one that lives, and those that ended.
CREATE TABLE IF NOT EXISTS subscriptions (
    id              uuid PRIMARY KEY,
    user_id         uuid NOT NULL REFERENCES users,
    plan_id         uuid NOT NULL REFERENCES plans,
    status          text NOT NULL CHECK (status IN ('ACTIVE', 'CANCELLED', 'PAST_DUE', 'ENDED')),
    idempotency_key text NOT NULL,
    turns_at        timestamptz NOT NULL,    -- when renew-subscriptions has to look at it next;
                                             -- to the millisecond, as its position in the list is told
    created_at      timestamptz NOT NULL,
    cancelled_at    timestamptz,
    ended_at        timestamptz,
    CHECK ((status = 'ENDED') = (ended_at IS NOT NULL)),
    CONSTRAINT subscriptions_key UNIQUE (user_id, idempotency_key)
);
CREATE UNIQUE INDEX IF NOT EXISTS subscriptions_live ON subscriptions (user_id) WHERE status <> 'ENDED';
CREATE INDEX IF NOT EXISTS subscriptions_user ON subscriptions (user_id, id DESC);
CREATE INDEX IF NOT EXISTS subscriptions_turning ON subscriptions (turns_at, id) WHERE status <> 'ENDED';

-- What a subscription was paid for: calendar months, in UTC, the first from when it began.
CREATE TABLE IF NOT EXISTS subscription_periods (
    id              uuid PRIMARY KEY,
    subscription_id uuid NOT NULL REFERENCES subscriptions,
    starts_at       timestamptz NOT NULL,
    ends_at         timestamptz NOT NULL CHECK (ends_at > starts_at),
    included_kwh    numeric(12, 4) NOT NULL CHECK (included_kwh >= 0),
    used_kwh        numeric(12, 4) NOT NULL DEFAULT 0 CHECK (used_kwh >= 0),   -- of what is included
    invoice_id      uuid NOT NULL,           -- the table invoices comes later
    CONSTRAINT subscription_periods_start_key UNIQUE (subscription_id, starts_at),
    CONSTRAINT subscription_periods_one_at_a_time
        EXCLUDE USING gist (subscription_id WITH =, tstzrange(starts_at, ends_at) WITH &&)
);

-- Whether an invoice is owed beyond its last day.
CREATE OR REPLACE FUNCTION invoice_is_overdue(invoice uuid, moment timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM invoices
        WHERE id = invoice AND status IN ('PENDING', 'OVERDUE') AND due_date < (moment AT TIME ZONE 'UTC')::date
    );
END;
$$;

-- The flat rate that covers a session which starts then, with what is left of it; none while its invoice is overdue.
CREATE OR REPLACE FUNCTION subscription_coverage(driver uuid, moment timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'periodId', period.id,
        'planId', plan.id,
        'planName', plan.name,
        'currency', plan.currency,
        'perKwhBeyond', trim_scale(plan.per_kwh_beyond)::text,
        'vatRate', trim_scale(plan.vat_rate)::text,
        'remainingKwh', trim_scale(GREATEST(period.included_kwh - period.used_kwh, 0))::text
    )
    FROM subscriptions AS subscription
    JOIN subscription_periods AS period ON period.subscription_id = subscription.id
    JOIN plans AS plan ON plan.id = subscription.plan_id
    WHERE subscription.user_id = driver AND (subscription.ended_at IS NULL OR subscription.ended_at > moment)
        AND period.starts_at <= moment AND period.ends_at > moment
        AND NOT invoice_is_overdue(period.invoice_id, moment)
    ORDER BY period.starts_at DESC
    LIMIT 1
$$;

-- Counts energy that was billed as within the fair use. Two sessions may be priced by the same rest: the one that
-- comes second fails as a serialization does, and is priced again.
CREATE OR REPLACE FUNCTION use_subscription(period uuid, kwh numeric) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE subscription_periods SET used_kwh = used_kwh + kwh
    WHERE id = period AND used_kwh + kwh <= included_kwh;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the fair use of period % has less left than %', period, kwh
            USING ERRCODE = 'serialization_failure';
    END IF;
END;
$$;

-- A subscription with its current or else its latest period, as its driver sees it.
CREATE OR REPLACE FUNCTION subscription_document(subscription subscriptions, moment timestamptz) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', subscription.id,
        'plan', (SELECT plan_document(plan) FROM plans AS plan WHERE id = subscription.plan_id),
        'status', CASE
            WHEN subscription.status = 'ACTIVE' AND invoice_is_overdue(period.invoice_id, moment) THEN 'PAST_DUE'
            ELSE subscription.status
        END,
        'periodStart', rfc3339(period.starts_at),
        'periodEnd', rfc3339(period.ends_at),
        'includedKWh', trim_scale(period.included_kwh)::text,
        'usedKWh', trim_scale(period.used_kwh)::text,
        'invoiceId', period.invoice_id,
        'createdAt', rfc3339(subscription.created_at)
    )
    FROM subscription_periods AS period
    WHERE period.subscription_id = subscription.id
    ORDER BY (period.starts_at <= moment) DESC, period.starts_at DESC
    LIMIT 1
$$;

-- Writes a period with its invoice and tells of it; gives the envelopes of both events.
CREATE OR REPLACE FUNCTION begin_subscription_period(
    event_type text, subscription subscriptions, new_period jsonb, invoice jsonb, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    period subscription_periods;
    invoice_event jsonb;
BEGIN
    INSERT INTO subscription_periods (id, subscription_id, starts_at, ends_at, included_kwh, invoice_id)
    SELECT n."id", subscription.id, n."startsAt", n."endsAt", n."includedKwh", (invoice ->> 'id')::uuid
    FROM jsonb_to_record(new_period) AS n ("id" uuid, "startsAt" timestamptz, "endsAt" timestamptz, "includedKwh" numeric)
    RETURNING * INTO period;
    invoice_event := issue_invoice(invoice, moment, correlation);
    RETURN jsonb_build_array(invoice_event, emit(event_type, 1, 'tariff-service', correlation, moment,
        jsonb_build_object(
            'subscriptionId', subscription.id,
            'userId', subscription.user_id,
            'planId', subscription.plan_id,
            'periodId', period.id,
            'periodStart', rfc3339(period.starts_at),
            'periodEnd', rfc3339(period.ends_at),
            'includedKwh', trim_scale(period.included_kwh),
            'invoiceId', period.invoice_id,
            'amount', invoice ->> 'gross',
            'currency', invoice ->> 'currency'
        )));
END;
$$;

-- Ends a subscription and tells of it.
CREATE OR REPLACE FUNCTION end_subscription(
    ended uuid, ends_at timestamptz, why text, moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    subscription subscriptions;
BEGIN
    UPDATE subscriptions SET status = 'ENDED', ended_at = ends_at WHERE id = ended RETURNING * INTO subscription;
    RETURN emit('SUBSCRIPTION_ENDED', 1, 'tariff-service', correlation, moment, jsonb_build_object(
        'subscriptionId', subscription.id,
        'userId', subscription.user_id,
        'planId', subscription.plan_id,
        'endedAt', rfc3339(ends_at),
        'reason', why
    ));
END;
$$;

-- Begins a driver's flat rate, once a key, beside no other that lives.
CREATE OR REPLACE FUNCTION subscribe_to_plan(
    new_subscription uuid, driver uuid, chosen uuid, request_key text, turns timestamptz, period jsonb, invoice jsonb,
    moment timestamptz, correlation uuid
) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    account users;
    plan plans;
    subscription subscriptions;
    refusal text;
    events jsonb;
BEGIN
    SELECT * INTO account FROM users WHERE id = driver FOR NO KEY UPDATE;
    SELECT * INTO subscription FROM subscriptions WHERE user_id = driver AND idempotency_key = request_key;
    IF FOUND THEN
        RETURN jsonb_build_object('outcome', CASE WHEN subscription.plan_id = chosen THEN
            jsonb_build_object('result', 'SUBSCRIBED', 'subscription', subscription_document(subscription, moment))
        ELSE
            jsonb_build_object('result', 'KEY_REUSED')
        END);
    END IF;

    SELECT * INTO plan FROM plans WHERE id = chosen;
    refusal := CASE
        WHEN account.id IS NULL OR account.deleted_at IS NOT NULL THEN 'NO_USER'
        WHEN plan.retired_at IS NOT NULL THEN 'RETIRED'
        WHEN EXISTS (SELECT FROM subscriptions WHERE user_id = driver AND status <> 'ENDED') THEN 'ALREADY_SUBSCRIBED'
        WHEN account.wallet_currency <> plan.currency THEN 'CURRENCY_MISMATCH'
    END;
    IF refusal IS NOT NULL THEN
        RETURN jsonb_build_object('outcome', jsonb_build_object('result', refusal));
    END IF;

    INSERT INTO subscriptions (id, user_id, plan_id, status, idempotency_key, turns_at, created_at)
    VALUES (new_subscription, driver, chosen, 'ACTIVE', request_key, turns, moment)
    RETURNING * INTO subscription;
    events := begin_subscription_period('SUBSCRIPTION_STARTED', subscription, period, invoice, moment, correlation);
    RETURN jsonb_build_object(
        'outcome', jsonb_build_object('result', 'SUBSCRIBED', 'subscription', subscription_document(subscription, moment)),
        'events', events
    );
END;
$$;

-- Lets a driver's flat rate end with its period; no row without one that lives.
CREATE OR REPLACE FUNCTION cancel_subscription(driver uuid, moment timestamptz) RETURNS SETOF jsonb
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = driver FOR NO KEY UPDATE;
    UPDATE subscriptions AS subscription
    SET status = 'CANCELLED', cancelled_at = moment, turns_at = (
        SELECT max(ends_at) FROM subscription_periods WHERE subscription_id = subscription.id
    )
    WHERE user_id = driver AND status IN ('ACTIVE', 'PAST_DUE');
    RETURN QUERY
    SELECT subscription_document(subscription, moment)
    FROM subscriptions AS subscription WHERE user_id = driver AND status <> 'ENDED';
END;
$$;

-- Ends what a driver has, at once, because the account goes. The caller holds the row of the user.
CREATE OR REPLACE FUNCTION end_subscriptions_of(driver uuid, moment timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM end_subscription(id, moment, 'ACCOUNT_DELETED', moment, gen_random_uuid())
    FROM subscriptions WHERE user_id = driver AND status <> 'ENDED';
END;
$$;

-- Whether any of a subscription's months is owed beyond its invoice's last day.
CREATE OR REPLACE FUNCTION subscription_is_overdue(subscription uuid, moment timestamptz) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM subscription_periods
        WHERE subscription_id = subscription AND invoice_is_overdue(invoice_id, moment)
    )
$$;

-- Subscriptions that have to be looked at, in the order of their time, after a position in it.
CREATE OR REPLACE FUNCTION subscriptions_turning(
    moment timestamptz, after_turn timestamptz, after_id uuid, at_most integer
) RETURNS SETOF jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'id', subscription.id,
        'userId', subscription.user_id,
        'status', subscription.status,
        'turnsAt', subscription.turns_at,
        'periodId', period.id,
        'periodEnd', period.ends_at,
        'isOverdue', subscription_is_overdue(subscription.id, moment),
        'plan', (SELECT plan_document(plan) FROM plans AS plan WHERE id = subscription.plan_id)
    )
    FROM subscriptions AS subscription
    CROSS JOIN LATERAL (
        SELECT id, ends_at FROM subscription_periods
        WHERE subscription_id = subscription.id ORDER BY starts_at DESC LIMIT 1
    ) AS period
    WHERE subscription.status <> 'ENDED' AND subscription.turns_at <= moment
        AND (subscription.turns_at, subscription.id) > (after_turn, after_id)
    ORDER BY subscription.turns_at, subscription.id
    LIMIT at_most
$$;

-- Takes the step that was decided on for a subscription, if it is still as it was seen: RENEW, END, PAST_DUE or WAIT.
-- The driver's row is held meanwhile, as by every payment, so nothing is paid or cancelled in between.
CREATE OR REPLACE FUNCTION turn_subscription(seen jsonb, step jsonb, moment timestamptz, correlation uuid) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    subscription subscriptions;
    latest uuid;
    events jsonb := '[]';
BEGIN
    PERFORM FROM users WHERE id = (seen ->> 'userId')::uuid FOR NO KEY UPDATE;
    SELECT * INTO subscription FROM subscriptions WHERE id = (seen ->> 'id')::uuid;
    SELECT id INTO latest FROM subscription_periods
    WHERE subscription_id = subscription.id ORDER BY starts_at DESC LIMIT 1;
    IF subscription.status <> seen ->> 'status' OR latest <> (seen ->> 'periodId')::uuid
        OR subscription_is_overdue(subscription.id, moment) <> (seen ->> 'isOverdue')::boolean THEN
        RETURN jsonb_build_object('outcome', 'CHANGED');
    END IF;

    CASE step ->> 'kind'
        WHEN 'RENEW' THEN
            UPDATE subscriptions SET status = 'ACTIVE', turns_at = date_trunc('milliseconds', (step ->> 'turnsAt')::timestamptz)
            WHERE id = subscription.id RETURNING * INTO subscription;
            events := begin_subscription_period(
                'SUBSCRIPTION_RENEWED', subscription, step -> 'period', step -> 'invoice', moment, correlation
            );
        WHEN 'END' THEN
            events := jsonb_build_array(end_subscription(
                subscription.id, (step ->> 'at')::timestamptz, step ->> 'reason', moment, correlation
            ));
        WHEN 'PAST_DUE' THEN
            UPDATE subscriptions SET status = 'PAST_DUE', turns_at = date_trunc('milliseconds', (step ->> 'turnsAt')::timestamptz)
            WHERE id = subscription.id;
        WHEN 'WAIT' THEN
            UPDATE subscriptions SET turns_at = date_trunc('milliseconds', (step ->> 'turnsAt')::timestamptz) WHERE id = subscription.id;
    END CASE;
    RETURN jsonb_build_object('outcome', step -> 'kind', 'events', events);
END;
$$;
