//! Vendors and their keys, with real secrets: whoever asks how often and at once, each key that is shown can sign.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::{Caller, Failure, Outbox, Page, Role, Timestamp, VendorId};
use support::{Cloud, World, told};
use vendor::{Vendor, VendorCredentials, Vendors, register, rotate_key, vendors};

struct Office {
    world: World,
    cloud: Cloud,
    vendors: Vendors,
}

impl Office {
    async fn new() -> Self {
        let (world, cloud) = (World::new().await, Cloud::new().await);
        let vendors = Vendors::new(world.outbox.clone(), cloud.vault());
        Self { world, cloud, vendors }
    }

    fn operator(&self, at: Timestamp) -> Caller {
        Caller { at, ..self.world.caller(Role::Operator) }
    }

    async fn register(&self, name: &str) -> Result<VendorCredentials, Failure> {
        let arguments = shared::read_fields(json!({ "input": { "name": name } }))?;
        register(&self.vendors, &self.operator(self.world.now), arguments).await
    }

    async fn rotate(
        &self,
        vendor: VendorId,
        hours: i64,
        at: Timestamp,
    ) -> Result<VendorCredentials, Failure> {
        let input = json!({ "vendorId": vendor, "overlapHours": hours, "reason": "It leaked" });
        let arguments = shared::read_fields(json!({ "input": input }))?;
        rotate_key(&self.vendors, &self.operator(at), arguments).await
    }

    /// The secrets that sign at a moment.
    async fn good(&self, vendor: VendorId, at: Timestamp) -> Vec<String> {
        let held = self.cloud.held(vendor).await;
        let is_good =
            |key: &&Value| key["expiresAt"].as_str().is_none_or(|end| end.parse::<Timestamp>().unwrap() > at);
        let keys = held["keys"].as_array().unwrap().iter().filter(is_good);
        keys.map(|key| key["secret"].as_str().unwrap().to_owned()).collect()
    }

    /// What the database knows of the keys is what the secret holds.
    async fn check_keys(&self, vendor: VendorId, at: Timestamp) {
        let page = self.list(json!({}), at).await.unwrap();
        let listed = page.edges.into_iter().find(|edge| edge.node.id == vendor).unwrap().node;
        let mut listed: Vec<_> =
            listed.keys.iter().map(|key| json!([key.id, key.expires_at.map(|at| at.timestamp())])).collect();
        let held = self.cloud.held(vendor).await;
        let seconds =
            |key: &Value| key["expiresAt"].as_str().map(|at| at.parse::<Timestamp>().unwrap().timestamp());
        let mut held: Vec<_> =
            held["keys"].as_array().unwrap().iter().map(|key| json!([key["id"], seconds(key)])).collect();
        listed.sort_by_key(Value::to_string);
        held.sort_by_key(Value::to_string);
        assert_eq!(listed, held);
    }

    async fn list(&self, arguments: Value, at: Timestamp) -> Result<Page<Vendor>, Failure> {
        let arguments = shared::read_fields(arguments)?;
        vendors(self.world.outbox.database(), &self.operator(at), arguments).await
    }
}

#[tokio::test]
async fn a_vendor_has_a_name_of_its_own_and_a_key_that_is_shown_once() {
    let office = Office::new().await;
    let made = office.register(" Électro Charge ").await.unwrap();
    assert_eq!(made.vendor.name, "Électro Charge");
    assert!(made.secret.starts_with("whsec_"));
    assert!(!format!("{made:?}").contains(&made.secret));
    assert_eq!(office.good(made.vendor.id, office.world.now).await, std::slice::from_ref(&made.secret));
    assert_eq!((made.vendor.keys.len(), made.vendor.keys[0].expires_at), (1, None));
    let listed = office.list(json!({}), office.world.now).await.unwrap();
    assert_eq!(listed.edges[0].node, made.vendor);
    assert!(!serde_json::to_string(&listed).unwrap().contains("whsec_"));
    let audit = "SELECT action || ' ' || subject || ' ' || reason FROM audit_log";
    assert_eq!(
        office.world.text(audit).await,
        format!("VENDOR_REGISTERED {} Électro Charge", made.vendor.id)
    );

    assert_eq!(told(office.register("électro CHARGE").await), "VENDOR_NAME_TAKEN");
    assert_eq!(told(office.register(" ").await), "input.name");
    assert_eq!(told(office.register(&"x".repeat(101)).await), "input.name");
    // The statement came twice, since its answer was lost.
    let again = format!(
        "SELECT register_vendor('{}', 'Électro Charge', 'électro charge', gen_random_uuid(), gen_random_uuid(),
                                gen_random_uuid(), now()) #>> '{{vendor,id}}'",
        made.vendor.id
    );
    assert_eq!(office.world.text(&again).await, made.vendor.id.to_string());
    assert_eq!(office.cloud.secrets().await, 1);
}

#[tokio::test]
async fn of_eight_who_want_one_name_one_gets_it_and_leaves_one_secret() {
    let office = Office::new().await;
    let names = ["ChargeNet", "CHARGENET", "chargenet", "chargeNet"].repeat(2);
    let results = join_all(names.iter().map(|name| office.register(name))).await;
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refused in refused {
        assert_eq!(told(refused), "VENDOR_NAME_TAKEN");
    }
    assert_eq!(office.cloud.secrets().await, 1);
}

#[tokio::test]
async fn who_is_cut_off_asks_again_and_knows_where_they_are() {
    let mut office = Office::new().await;
    // The database is gone once the secret is made; and before anything is.
    let gone = shared::Database::new(
        aws_sdk_rdsdata::Client::new(&scratch::aws_at("http://127.0.0.1:1")),
        "c",
        "s",
        "d",
    );
    let bus = aws_sdk_eventbridge::Client::new(&scratch::aws_at("http://127.0.0.1:1"));
    let real = std::mem::replace(
        &mut office.vendors,
        Vendors::new(Outbox::new(gone, bus, "bus"), office.cloud.vault()),
    );
    assert_eq!(told(office.register("ChargeNet").await), "Unavailable");
    office.vendors = real;
    office.cloud.shut(Some("CreateSecret"));
    assert_eq!(told(office.register("ChargeNet").await), "Unavailable");
    assert_eq!(office.world.text("SELECT count(*) FROM vendors").await, "0");
    office.cloud.shut(None);
    let made = office.register("ChargeNet").await.unwrap();
    let (id, now) = (made.vendor.id, office.world.now);
    assert_eq!(office.good(id, now).await, [made.secret]);

    // A rotation that did not come to the secret left its reason, and nothing else.
    office.cloud.shut(Some("UpdateSecretVersionStage"));
    assert_eq!(told(office.rotate(id, 24, now).await), "Unavailable");
    office.cloud.shut(None);
    assert_eq!(office.good(id, now).await.len(), 1);
    // One that did, and no further: the next takes its key over, and shows another.
    office.rotate(id, 24, now).await.unwrap();
    office
        .world
        .run("DELETE FROM vendor_keys WHERE expires_at IS NULL; UPDATE vendor_keys SET expires_at = NULL; UPDATE vendors SET keys_revision = 1")
        .await;
    let rotated = office.rotate(id, 24, now).await.unwrap();
    assert_eq!(rotated.vendor.keys.len(), 3);
    assert!(office.good(id, now).await.contains(&rotated.secret));
    office.check_keys(id, now).await;

    // A secret that was deleted by hand comes back with the next key.
    office.cloud.lose_secret(id).await;
    let rotated = office.rotate(id, 24, now).await.unwrap();
    assert_eq!(office.good(id, now).await, [rotated.secret]);
    office.check_keys(id, now).await;
}

#[tokio::test]
async fn rotations_at_once_lose_no_key() {
    let office = Office::new().await;
    let first = office.register("ChargeNet").await.unwrap();
    let (id, now) = (first.vendor.id, office.world.now);
    let rotated = join_all((0..4).map(|_| office.rotate(id, 24, now))).await;
    let good = office.good(id, now).await;
    assert_eq!(good.len(), 5);
    assert!(good.contains(&first.secret));
    for rotated in rotated {
        assert!(good.contains(&rotated.unwrap().secret));
    }
    office.check_keys(id, now).await;
    // All but the newest end with the overlap.
    let later = now + TimeDelta::hours(24);
    assert_eq!(office.good(id, later).await.len(), 1);
    assert_eq!(office.world.text("SELECT count(*) FROM audit_log WHERE reason = 'It leaked'").await, "4");

    let next = office.rotate(id, 168, later).await.unwrap();
    assert_eq!(office.good(id, later).await.len(), 2);
    office.check_keys(id, later).await;
    for _ in 0..6 {
        office.rotate(id, 168, later).await.unwrap();
    }
    assert_eq!(told(office.rotate(id, 168, later).await), "TOO_MANY_KEYS");
    let last = office.rotate(id, 0, later).await.unwrap();
    assert_eq!(office.good(id, later).await, [last.secret]);
    assert_eq!(last.vendor.keys.len(), 1);
    office.check_keys(id, later).await;
    assert_ne!(next.vendor.keys[0].id, last.vendor.keys[0].id);
}

#[tokio::test]
async fn vendors_are_for_operators_alone() {
    let office = Office::new().await;
    let made = office.register("ChargeNet").await.unwrap();
    for role in [Role::Driver, Role::Vendor] {
        let caller = office.world.caller(role);
        let named = shared::read_fields(json!({ "input": { "name": "Other" } })).unwrap();
        assert_eq!(told(register(&office.vendors, &caller, named).await), "Forbidden");
        let input = json!({ "vendorId": made.vendor.id, "reason": "r" });
        let rotation = shared::read_fields(json!({ "input": input })).unwrap();
        assert_eq!(told(rotate_key(&office.vendors, &caller, rotation).await), "Forbidden");
        let all = shared::read_fields(json!({})).unwrap();
        assert_eq!(told(vendors(office.world.outbox.database(), &caller, all).await), "Forbidden");
    }
    assert_eq!(told(office.rotate(VendorId::new(), 24, office.world.now).await), "NotFound");
    assert_eq!(told(office.rotate(made.vendor.id, 169, office.world.now).await), "input.overlapHours");
    assert_eq!(office.cloud.secrets().await, 1);
}

#[tokio::test]
async fn the_list_is_paged_newest_first() {
    let office = Office::new().await;
    for _ in 0..5 {
        office.world.vendor().await;
    }
    let mut ids = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = office.list(json!({ "first": 2, "after": after }), office.world.now).await.unwrap();
        ids.extend(page.edges.iter().map(|edge| edge.node.id));
        after = json!(page.page_info.end_cursor);
        if !page.page_info.has_next_page {
            break;
        }
    }
    assert_eq!(ids.len(), 5);
    assert!(ids.is_sorted_by(|one, next| one > next));
    assert_eq!(told(office.list(json!({ "after": "x" }), office.world.now).await), "after");
}
