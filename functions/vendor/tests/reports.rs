//! What reports make of connectors and sessions.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::{BookingId, ConnectorId, Envelope, StationId, UserId, VendorId};
use support::{World, report, told};
use vendor::Taken;

struct Place {
    world: World,
    vendor: VendorId,
    station: StationId,
    connectors: Vec<ConnectorId>,
}

impl Place {
    async fn new() -> Self {
        let world = World::new().await;
        let (vendor, station) = (world.vendor().await, world.station().await);
        let connectors = world.connectors(vendor, station, 2).await;
        Self { world, vendor, station, connectors }
    }

    async fn take(&self, seconds: i64, kind: &str, body: Value) -> Result<Taken, shared::Failure> {
        self.world.process(&report(self.vendor, self.world.after(seconds), kind, body)).await
    }

    async fn start(&self, seconds: i64, session: &str, connector: usize, more: Value) -> Taken {
        let mut body = json!({
            "vendorSessionId": session, "connectorId": self.connectors[connector], "startMeterReading": 100,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.take(seconds, "SESSION_START", body).await.unwrap()
    }

    async fn end(&self, seconds: i64, session: &str, reading: &str) -> Taken {
        let body = json!({ "vendorSessionId": session, "endMeterReading": reading });
        self.take(seconds, "SESSION_END", body).await.unwrap()
    }

    async fn status(&self, seconds: i64, word: &str) -> Result<Taken, shared::Failure> {
        let body = json!({ "stationId": self.station, "vendorConnectorId": "v-1", "status": word });
        self.take(seconds, "CONNECTOR_STATUS", body).await
    }

    /// The first connector's status.
    async fn shown(&self) -> String {
        let id = self.connectors[0];
        self.world.text(&format!("SELECT status FROM connectors WHERE id = '{id}'")).await
    }

    /// `COMPLETED 25.5000`, with the reason if there is one.
    async fn session(&self, session: &str) -> String {
        self.world
            .text(&format!(
                "SELECT concat_ws(' ', status, energy_kwh, reason) FROM sessions
                 JOIN vendor_sessions ON session_id = sessions.id WHERE vendor_session_id = '{session}'"
            ))
            .await
    }

    async fn booking(&self, driver: UserId, connector: usize, status: &str) -> BookingId {
        let (id, connector, station, now) =
            (BookingId::new(), self.connectors[connector], self.station, self.world.now);
        self.world
            .run(&format!(
                "INSERT INTO bookings (id, user_id, station_id, connector_id, start_ts, end_ts, status, hold_token,
                                       price, currency, vat_rate, confirmed_at, correlation_id, created_at, updated_at)
                 VALUES ('{id}', '{driver}', '{station}', '{connector}', '{now}'::timestamptz,
                         '{now}'::timestamptz + interval '1 hour', '{status}', 'hold_{id}', 0, 'EUR', 0.19, now(),
                         gen_random_uuid(), now(), now())"
            ))
            .await;
        id
    }
}

fn no_session(taken: &Taken) -> Option<&str> {
    match taken {
        Taken::Taken { session_id: None, no_session, .. } => no_session.as_deref(),
        taken => panic!("{taken:?}"),
    }
}

#[tokio::test]
async fn a_vendors_session_is_told_and_billed_like_any_other() {
    let place = Place::new().await;
    let driver = place.world.driver("TAG-1").await;
    place.start(0, "s", 0, json!({ "idTag": "tag-1" })).await;
    assert_eq!(place.session("s").await, "IN_PROGRESS 0.0000");
    assert_eq!(place.shown().await, "CHARGING");
    let open = "SELECT user_id FROM open_sessions";
    assert_eq!(place.world.text(open).await, driver.to_string());

    let end = json!({
        "vendorSessionId": "s", "endMeterReading": 122.4001, "energyKwh": "22.4", "costAmount": 250.0,
    });
    place.take(3600, "SESSION_END", end).await.unwrap();
    assert_eq!(place.session("s").await, "COMPLETED 22.4001");
    assert_eq!(place.shown().await, "FINISHING");
    assert_eq!(place.world.text(open).await, "");
    let kept = "SELECT concat_ws(' ', trim_scale(told_kwh), trim_scale(vendor_cost), energy_differs) FROM vendor_sessions";
    assert_eq!(place.world.text(kept).await, "22.4 250 f");
    place.world.check_events().await;

    let ended = place.world.events("SESSION_ENDED").await;
    assert_eq!(ended.len(), 1);
    assert_eq!((&ended[0]["incomplete"], &ended[0]["chargerId"]), (&json!(false), &Value::Null));
    assert_eq!(ended[0]["tariffId"], "00000000-0000-4000-8000-000000000001");
    let event: Envelope<billing::SessionEnded> = serde_json::from_value(ended[0].clone()).unwrap();
    billing::Biller::new(place.world.outbox.clone()).bill(&event, place.world.after(3700)).await.unwrap();
    // 22.4001 kWh at 0.49 and 0.35 for the start; not what the vendor says.
    assert_eq!(place.world.text("SELECT round(amount, 2) FROM invoices").await, "11.33");
    assert_eq!(place.session("s").await, "COMPLETED 22.4001");
}

#[tokio::test]
async fn a_session_is_who_booked_the_connector_s_else_whose_tag_it_bears_else_nobody_s() {
    let place = Place::new().await;
    let (booker, holder) = (place.world.driver("BOOKER").await, place.world.driver("HOLDER").await);
    let whose = async |session: &str| {
        let sql = format!(
            "SELECT user_id FROM sessions JOIN vendor_sessions ON session_id = sessions.id
             WHERE vendor_session_id = '{session}'"
        );
        place.world.text(&sql).await
    };
    let good = place.booking(booker, 0, "CONFIRMED").await;
    let elsewhere = place.booking(booker, 1, "ACTIVE").await;
    place.start(0, "booked", 0, json!({ "bookingId": good, "idTag": "HOLDER" })).await;
    assert_eq!(whose("booked").await, booker.to_string());
    place.start(1, "active", 1, json!({ "bookingId": elsewhere })).await;
    assert_eq!(whose("active").await, booker.to_string());
    place.start(2, "of another connector", 0, json!({ "bookingId": elsewhere, "idTag": "HOLDER" })).await;
    assert_eq!(whose("of another connector").await, holder.to_string());
    for (at, session, more) in [
        (10, "alone", json!({})),
        (20, "unknown tag", json!({ "idTag": "NOBODY" })),
        (30, "unknown booking", json!({ "bookingId": BookingId::new() })),
    ] {
        let taken = place.start(at, session, 0, more).await;
        assert_eq!(no_session(&taken), Some("NO_DRIVER"), "{session}");
        assert_eq!(place.shown().await, "CHARGING");
        place.end(at + 5, session, "101").await;
        assert_eq!((place.session(session).await, place.shown().await), (String::new(), "FINISHING".into()));
    }
    // Who is gone is nobody.
    place.world.run(&format!("UPDATE users SET deleted_at = now() WHERE id = '{holder}'")).await;
    let taken = place.start(40, "deleted", 0, json!({ "idTag": "HOLDER" })).await;
    assert_eq!(no_session(&taken), Some("NO_DRIVER"));
    place.world.check_events().await;
}

/// From half an hour before its hour until the end; whatever became of it before the start was told, but that it was given
/// up.
#[tokio::test]
async fn a_booking_counts_for_a_start_in_its_time() {
    let place = Place::new().await;
    let booker = place.world.driver("BOOKER").await;
    for (status, at, counts) in [
        ("CONFIRMED", -1800, true),
        ("ACTIVE", 60, true),
        ("NO_SHOW", 120, true),
        ("COMPLETED", 3599, true),
        ("CONFIRMED", -1801, false),
        ("CONFIRMED", -7 * 86400, false),
        ("COMPLETED", 3600, false),
        ("CANCELLED", 60, false),
        ("PENDING", 60, false),
    ] {
        let booking = place.booking(booker, 0, status).await;
        let taken = place.start(at, &format!("{status} {at}"), 0, json!({ "bookingId": booking })).await;
        let joined = matches!(taken, Taken::Taken { session_id: Some(_), .. });
        assert_eq!(joined, counts, "{status} {at}: {taken:?}");
        place.world.run("UPDATE bookings SET status = 'CANCELLED'").await;
    }
}

#[tokio::test]
async fn energy_that_runs_backwards_costs_nothing_and_is_told() {
    let place = Place::new().await;
    place.world.driver("TAG-1").await;
    place.start(0, "s", 0, json!({ "idTag": "TAG-1" })).await;
    place.end(60, "s", "99.9").await;
    assert_eq!(place.session("s").await, "COMPLETED 0.0000 METER_RAN_BACKWARDS");
    let ended = &place.world.events("SESSION_ENDED").await[0];
    assert_eq!((&ended["energyKwh"], &ended["incomplete"]), (&json!(0), &json!(true)));

    // What the vendor sums up is not what its meter says.
    place.start(70, "t", 0, json!({ "idTag": "TAG-1" })).await;
    let body = json!({ "vendorSessionId": "t", "endMeterReading": 110, "energyKwh": 12 });
    let taken = place.take(80, "SESSION_END", body).await.unwrap();
    assert!(matches!(taken, Taken::Taken { energy_differs: true, .. }));
    assert_eq!(place.session("t").await, "COMPLETED 10.0000");
    place.world.check_events().await;
}

#[tokio::test]
async fn a_status_is_shown_unless_a_newer_one_is() {
    let place = Place::new().await;
    for (word, ours) in [
        ("AVAILABLE", "AVAILABLE"),
        ("RESERVED", "RESERVED"),
        ("MAINTENANCE", "UNAVAILABLE"),
        ("OFFLINE", "UNKNOWN"),
        ("FAULTED", "FAULTED"),
        ("OCCUPIED", "PREPARING"),
    ] {
        place.status(10, word).await.unwrap();
        assert_eq!(place.shown().await, ours);
    }
    place.status(9, "FAULTED").await.unwrap();
    assert_eq!(place.shown().await, "PREPARING");
    // What a session implies gives way to what is said of the same moment; but to nothing vaguer.
    place.start(10, "s", 0, json!({})).await;
    assert_eq!(place.shown().await, "CHARGING");
    place.status(20, "OCCUPIED").await.unwrap();
    assert_eq!(place.shown().await, "CHARGING");
    place.status(30, "AVAILABLE").await.unwrap();
    place.end(30, "s", "101").await;
    assert_eq!(place.shown().await, "AVAILABLE");
    place.start(25, "t", 0, json!({})).await;
    assert_eq!(place.shown().await, "AVAILABLE");
    place.world.check_events().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_for_good_and_can_be_replayed_once_it_can() {
    let place = Place::new().await;
    let other = place.world.vendor().await;
    let (now, station) = (place.world.now, place.station);
    let status = |vendor, body: Value| report(vendor, now, "CONNECTOR_STATUS", body);
    let start = |vendor, connector| {
        let body = json!({ "vendorSessionId": "s", "connectorId": connector, "startMeterReading": 1 });
        report(vendor, now, "SESSION_START", body)
    };
    let named =
        |name: &str| json!({ "stationId": station, "vendorConnectorId": name, "status": "AVAILABLE" });
    let mut elsewhere = named("v-1");
    elsewhere["stationId"] = json!(StationId::new());
    let mut misnamed = named("v-1");
    misnamed["connectorId"] = json!(place.connectors[1]);
    for refused in [
        status(place.vendor, named("v-3")),
        status(place.vendor, elsewhere),
        status(place.vendor, misnamed),
        status(other, named("v-1")),
        start(place.vendor, ConnectorId::new()),
        start(other, place.connectors[0]),
    ] {
        let failure = place.world.process(&refused).await.unwrap_err();
        assert!(!failure.retryable());
        assert_eq!(told::<()>(Err(failure)), "UNKNOWN_CONNECTOR");
    }
    let nobody = VendorId::new();
    let end = report(nobody, now, "SESSION_END", json!({ "vendorSessionId": "s", "endMeterReading": 1 }));
    for report in [status(nobody, named("v-1")), start(nobody, place.connectors[0]), end] {
        assert_eq!(told(place.world.process(&report).await), "UNKNOWN_VENDOR");
    }
    let kept = "SELECT (SELECT count(*) FROM vendor_reports) + (SELECT count(*) FROM vendor_sessions)";
    assert_eq!(place.world.text(kept).await, "0");

    let late = status(place.vendor, named("v-3"));
    assert_eq!(told(place.world.process(&late).await), "UNKNOWN_CONNECTOR");
    place.world.register(place.vendor, station, &[support::connector(3)]).await.unwrap();
    assert!(matches!(place.world.process(&late).await.unwrap(), Taken::Taken { .. }));
    assert_eq!(place.world.process(&late).await.unwrap(), Taken::Repeated);
}

#[tokio::test]
async fn what_contradicts_what_was_told_changes_nothing() {
    let place = Place::new().await;
    place.world.driver("TAG-1").await;
    place.start(0, "s", 0, json!({ "idTag": "TAG-1" })).await;
    assert_eq!(place.start(5, "s", 0, json!({ "idTag": "TAG-1" })).await, Taken::Repeated);
    let other =
        json!({ "vendorSessionId": "s", "connectorId": place.connectors[1], "startMeterReading": 100 });
    assert_eq!(told(place.take(6, "SESSION_START", other).await), "STARTED_OTHERWISE");
    place.end(60, "s", "110").await;
    assert_eq!(place.end(61, "s", "110.0").await, Taken::Repeated);
    let other = json!({ "vendorSessionId": "s", "endMeterReading": 120 });
    assert_eq!(told(place.take(62, "SESSION_END", other).await), "ENDED_OTHERWISE");
    assert_eq!(place.session("s").await, "COMPLETED 10.0000");
    assert_eq!(place.world.events("SESSION_ENDED").await.len(), 1);
    // Two vendors' sessions may have one name.
    let vendor = place.world.vendor().await;
    let connector = place.world.connectors(vendor, place.station, 1).await[0];
    let body =
        json!({ "vendorSessionId": "s", "connectorId": connector, "startMeterReading": 1, "idTag": "TAG-1" });
    let taken = place.world.process(&report(vendor, place.world.now, "SESSION_START", body)).await.unwrap();
    assert!(matches!(taken, Taken::Taken { session_id: Some(_), .. }));
}

#[tokio::test]
async fn a_forgotten_session_gives_way_and_is_settled_unless_its_end_comes() {
    let mut place = Place::new().await;
    for tag in ["A", "B", "C"] {
        place.world.driver(tag).await;
    }
    place.start(0, "a", 0, json!({ "idTag": "A" })).await;
    place.start(600, "b", 0, json!({ "idTag": "B" })).await;
    let open = "SELECT vendor_session_id FROM open_sessions JOIN vendor_sessions USING (session_id)";
    assert_eq!(place.world.text(open).await, "b");
    // One that began earlier and is told of later takes the connector from nobody.
    place.start(300, "c", 0, json!({ "idTag": "C" })).await;
    assert_eq!(place.world.text(open).await, "b");
    assert_eq!(place.session("c").await, "IN_PROGRESS 0.0000");
    place.end(290, "a", "105").await;
    assert_eq!(place.session("a").await, "COMPLETED 5.0000");
    assert_eq!((place.world.text(open).await, place.shown().await), ("b".into(), "CHARGING".into()));

    // An hour later whatever is reported settles it.
    place.world.now += TimeDelta::seconds(3599);
    place.status(0, "OCCUPIED").await.unwrap();
    assert_eq!(place.session("c").await, "IN_PROGRESS 0.0000");
    place.world.now += TimeDelta::seconds(1);
    place.status(0, "OCCUPIED").await.unwrap();
    assert_eq!(place.session("c").await, "COMPLETED 0.0000 NO_STOP_REPORTED");
    let ended = place.world.events("SESSION_ENDED").await;
    assert_eq!((ended.len(), &ended[1]["incomplete"]), (2, &json!(true)));
    assert_eq!(place.session("b").await, "IN_PROGRESS 0.0000");
    place.world.now += TimeDelta::days(8);
    place.status(1, "OCCUPIED").await.unwrap();
    assert_eq!(place.session("b").await, "COMPLETED 0.0000 NO_STOP_REPORTED");
    assert_eq!(place.world.text(open).await, "");
    place.world.check_events().await;
}

/// Nothing was billed for what flowed: that is for an operator, who finds the end among the dead letters.
#[tokio::test]
async fn an_end_after_its_session_was_settled_without_one_is_refused_unless_it_changes_nothing() {
    let mut place = Place::new().await;
    for (second, name) in [(0, "charged"), (10, "did not"), (20, "last")] {
        place.world.driver(name).await;
        place.start(second, name, 0, json!({ "idTag": name })).await;
    }
    place.world.now += TimeDelta::hours(1);
    place.status(0, "OCCUPIED").await.unwrap();
    let inferred = "SELECT count(*) FROM vendor_sessions WHERE end_inferred";
    assert_eq!(place.world.text(inferred).await, "2");

    let end = |place: &Place, session: &str, reading: &str| {
        let body = json!({ "vendorSessionId": session, "endMeterReading": reading });
        report(place.vendor, place.world.now, "SESSION_END", body)
    };
    let dropped = end(&place, "charged", "120");
    for _ in 0..2 {
        let failure = place.world.process(&dropped).await.unwrap_err();
        assert!(!failure.retryable() && failure.to_string().contains("updateSession"), "{failure}");
        assert_eq!(told::<()>(Err(failure)), "SETTLED_WITHOUT_END");
    }
    assert_eq!(place.session("charged").await, "COMPLETED 0.0000 NO_STOP_REPORTED");
    for reading in ["100", "99"] {
        // The second contradicts the first.
        let taken = place.world.process(&end(&place, "did not", reading)).await;
        assert_eq!(taken.is_ok(), reading == "100", "{taken:?}");
    }
    assert_eq!(place.session("did not").await, "COMPLETED 0.0000 NO_STOP_REPORTED");
    assert_eq!(place.world.text(inferred).await, "1");

    // Mended by an operator, it can be replayed.
    let correct = "SELECT update_session(session_id, session_id, 20, NULL, 'its end came late', gen_random_uuid(), now())
                   FROM vendor_sessions WHERE vendor_session_id = 'charged'";
    place.world.run(correct).await;
    assert!(matches!(place.world.process(&dropped).await.unwrap(), Taken::Taken { .. }));
    assert_eq!(place.session("charged").await, "COMPLETED 20.0000 NO_STOP_REPORTED");
    assert_eq!(place.world.text(inferred).await, "0");
    place.world.check_events().await;
}

#[tokio::test]
async fn an_operators_word_stands_and_no_account_goes_while_it_charges() {
    let place = Place::new().await;
    let driver = place.world.driver("TAG-1").await;
    place.start(0, "s", 0, json!({ "idTag": "TAG-1" })).await;
    let delete = format!(
        "SELECT delete_account('{driver}', '-', true, gen_random_uuid(), now(), gen_random_uuid()) #>> '{{outcome,obstacle}}'"
    );
    assert_eq!(place.world.text(&delete).await, "SESSION_OPEN");
    let session = place.world.text("SELECT id FROM sessions").await;
    place
        .world
        .run(&format!(
            "SELECT update_session('{session}', '{driver}', 7, NULL, 'metered by hand', gen_random_uuid(), now())"
        ))
        .await;
    place.end(60, "s", "150").await;
    assert_eq!(place.session("s").await, "COMPLETED 7.0000");
    assert_eq!(place.world.events("SESSION_ENDED").await[0]["corrected"], true);
}

#[tokio::test]
async fn who_deletes_their_account_while_a_session_begins_waits_for_it() {
    let place = Place::new().await;
    let driver = place.world.driver("TAG-1").await;
    let beside = place.world.postgres.connect().await;
    // The deletion comes first: the session is nobody's.
    beside.batch_execute("BEGIN").await.unwrap();
    beside
        .query_one(
            &format!(
                "SELECT delete_account('{driver}', '-', true, gen_random_uuid(), now(), gen_random_uuid())"
            ),
            &[],
        )
        .await
        .unwrap();
    let starting = place.start(0, "s", 0, json!({ "idTag": "TAG-1" }));
    let waiting = async {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        scratch::until("a statement that waits", async || (place.world.text(sql).await != "0").then_some(()))
            .await;
        beside.batch_execute("COMMIT").await.unwrap();
    };
    let (taken, ()) = futures::join!(starting, waiting);
    assert_eq!(no_session(&taken), Some("NO_DRIVER"));
}

#[tokio::test]
async fn what_was_acted_on_is_forgotten_after_a_month() {
    let mut place = Place::new().await;
    for second in 0..15 {
        place.status(second, "AVAILABLE").await.unwrap();
    }
    let count = "SELECT count(*) FROM vendor_reports";
    place.world.now += TimeDelta::days(30);
    place.status(0, "AVAILABLE").await.unwrap();
    assert_eq!(place.world.text(count).await, "16");
    place.world.now += TimeDelta::seconds(1);
    place.status(0, "AVAILABLE").await.unwrap();
    place.status(1, "AVAILABLE").await.unwrap();
    assert_eq!(place.world.text(count).await, "3");
}
