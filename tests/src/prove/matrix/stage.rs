//! Who plays, and what the owner has: made through the front doors where they offer it, as rows where they do not.

use serde_json::{Value, json};
use uuid::Uuid;

use super::booking::slot;
use super::row::{Row, Scene, Thing, Who};
use crate::Result;
use crate::accounts::Account;
use crate::graphql::{Auth, Client};
use crate::prove::Size;
use crate::prove::billing::published;
use crate::prove::billing::world::delivery;
use crate::prove::cast::{Cast, Site};
use crate::stack::Stack;

/// Everybody, and everything that stays.
pub(in crate::prove) struct Stage<'a> {
    pub(in crate::prove) cast: Cast<'a>,
    /// Whose things the queries are about; nothing of hers changes.
    pub(super) owner: Account,
    other: Account,
    vendor: Account,
    /// Whom anybody with the password logs in as.
    pub(super) login: Account,
    site: Site,
    pub(super) station: Uuid,
    pub(super) plan: String,
    pub(super) session: String,
    pub(super) invoice: String,
    pub(super) payment: String,
    pub(super) correlation: String,
    pub(super) dead_letter: String,
    pub(super) booking: String,
}

impl<'a> Stage<'a> {
    /// Sets it.
    pub(in crate::prove) async fn set(stack: &'a Stack, size: Size) -> Result<Self> {
        let cast = Cast::new(stack).await?;
        let (owner, site) = (cast.driver("Olivia Owner").await?, cast.site(1).await?);
        let session = cast.session(&owner, &site, "17.5").await?;
        cast.bill(&owner, &site, session, "17.5").await?;
        let mut stage = Self {
            other: cast.driver("Boris Other").await?,
            vendor: cast.vendor().await?,
            login: cast.driver("Lena Login").await?,
            plan: cast.plan("Flat", "10.00").await?,
            station: site.station,
            site,
            session: session.to_string(),
            invoice: String::new(),
            payment: String::new(),
            correlation: String::new(),
            dead_letter: String::new(),
            booking: String::new(),
            owner,
            cast,
        };
        stage.belongings().await?;
        published(stack, &stage.cast.database, size).await?;
        Ok(stage)
    }

    async fn belongings(&mut self) -> Result<()> {
        let owner = self.owner.clone();
        self.make(Thing::Vehicle, &owner).await?;
        self.make(Thing::Subscription, &owner).await?;
        self.make(Thing::OpenSession, &owner).await?;
        let settings =
            "mutation { updateNotificationSettings(input: { email: false, push: false }) { push } }";
        owner.client.field::<Value>(settings, json!({})).await?;
        let invoice = format!("SELECT id::text FROM invoices WHERE session_id = '{}'", self.session);
        self.invoice = self.cast.database.texts(&invoice).await?.concat();
        // From the wallet: it is over at once. The key is the one that everybody else uses later.
        self.cast.operator.credit(&owner, "77.77").await?;
        let input = json!({ "invoiceId": self.invoice, "idempotencyKey": "pay" });
        self.payment = id(&owner.client.field(PAY, json!({ "input": input })).await?)?;
        let correlation = format!(
            "SELECT correlation_id::text FROM outbox WHERE payload->>'userId' = '{}' ORDER BY position LIMIT 1",
            owner.id
        );
        self.correlation = self.cast.database.texts(&correlation).await?.concat();
        self.dead_letter = self.make(Thing::DeadLetter, &owner).await?;
        self.booking = self.make(Thing::Booking, &owner).await?;
        Ok(())
    }

    /// A row's owner: of what may change, a new one each time.
    pub(in crate::prove) async fn owner_of(&self, row: &Row) -> Result<Account> {
        if row.is_mutation() { self.cast.driver("Olivia Owner").await } else { Ok(self.owner.clone()) }
    }

    /// Who asks; none without an account.
    pub(in crate::prove) async fn account(
        &self,
        who: Who,
        row: &Row,
        owner: &Account,
    ) -> Result<Option<Account>> {
        Ok(match (who, row.is_last) {
            (Who::Anonymous | Who::Nobody, _) => None,
            (Who::Owner, _) => Some(owner.clone()),
            (Who::Other, false) => Some(self.other.clone()),
            (Who::Vendor, false) => Some(self.vendor.clone()),
            (Who::Operator, false) => Some(self.cast.operator.clone()),
            (Who::Other, true) => Some(self.cast.driver("Boris Other").await?),
            (Who::Vendor, true) => Some(self.cast.vendor().await?),
            (Who::Operator, true) => Some(Account::operator(self.cast.stack).await?),
        })
    }

    /// How they show who they are.
    pub(in crate::prove) fn auth(&self, who: Who, account: Option<&Account>) -> Auth {
        match (who, account) {
            (_, Some(account)) => Auth::Token(account.token.clone()),
            (Who::Anonymous, None) => Auth::ApiKey(self.cast.stack.api_key.clone()),
            (_, None) => Auth::Nobody,
        }
    }

    /// GraphQL in their name.
    pub(in crate::prove) fn client(&self, auth: &Auth) -> Client {
        Client::new(&self.cast.stack.graphql_url, auth.clone())
    }

    /// What the arguments of one call are made of.
    pub(in crate::prove) async fn scene<'s>(&'s self, row: &Row, owner: &'s Account) -> Result<Scene<'s>> {
        let made = self.make(row.thing, owner).await;
        let thing =
            made.map_err(|error| format!("{}: {:?} cannot be made: {error}", row.field, row.thing))?;
        Ok(Scene { owner, thing, stage: self })
    }

    async fn make(&self, thing: Thing, owner: &Account) -> Result<String> {
        let cast = &self.cast;
        match thing {
            Thing::None => Ok(String::new()),
            Thing::Vehicle => {
                let add = "mutation($input: VehicleInput!) { addVehicle(input: $input) { id } }";
                let input = json!({ "brand": "Lancia", "model": Uuid::new_v4(), "batteryCapacity": 54.0 });
                id(&owner.client.field(add, json!({ "input": input })).await?)
            }
            Thing::OpenSession => {
                let (site, session) = (cast.site(1).await?, Uuid::now_v7());
                let document = json!({
                    "session": session, "driver": owner.id, "station": site.station, "connector": site.connectors[0],
                });
                cast.database.with(OPEN_SESSION, &document).await?;
                Ok(session.to_string())
            }
            Thing::EndedSession => Ok(cast.session(owner, &self.site, "4.5").await?.to_string()),
            Thing::Unpaid => cast.invoice(owner, &self.site, "9.5").await,
            Thing::Paid => {
                cast.operator.credit(owner, "50.00").await?;
                cast.invoice(owner, &self.site, "9.5").await
            }
            Thing::HeldRefund => {
                let invoice = cast.invoice(owner, &self.site, "9.5").await?;
                let input = json!({
                    "invoiceId": invoice, "useWallet": false, "paymentMethod": "pm_card_visa", "idempotencyKey": invoice,
                });
                owner.client.field::<Value>(PAY, json!({ "input": input })).await?;
                let input =
                    json!({ "invoiceId": invoice, "reason": "for the proof", "idempotencyKey": invoice });
                let give_back =
                    "mutation($input: RefundInvoiceInput!) { refundInvoice(input: $input) { id } }";
                let refund = id(&cast.by_operator(give_back, input).await?)?;
                cast.database.with(HELD_REFUND, &json!(refund)).await?;
                Ok(refund)
            }
            Thing::Funds => {
                cast.operator.credit(owner, "50.00").await?;
                Ok(String::new())
            }
            Thing::Station => Ok(cast.site(1).await?.station.to_string()),
            Thing::Tariff => {
                let input = json!({
                    "stationId": cast.site(1).await?.station, "currency": "EUR", "perKWh": "0.50", "vatRate": "0.19",
                    "reason": "for the proof",
                });
                let create = "mutation($input: CreateTariffInput!) { createTariff(input: $input) { id } }";
                id(&cast.by_operator(create, input).await?)
            }
            Thing::Plan => cast.plan("Flatter", "10.00").await,
            Thing::Subscription => {
                let input = json!({ "planId": self.plan, "idempotencyKey": "subscribe" });
                let subscribe =
                    "mutation($input: SubscribeToPlanInput!) { subscribeToPlan(input: $input) { id } }";
                id(&owner.client.field(subscribe, json!({ "input": input })).await?)
            }
            Thing::DeadLetter => {
                let (letter, event) = (Uuid::new_v4(), Uuid::new_v4());
                // Billed already: to be told again changes nothing.
                let detail = json!({
                    "sessionId": self.session, "userId": self.owner.id, "stationId": self.station, "energyKwh": 17.5,
                    "endedAt": chrono::Utc::now(), "durationMinutes": 60, "incomplete": false, "reason": owner.id,
                });
                let document = json!({ "letter": letter, "event": event, "body": delivery(event, detail) });
                cast.database.with(DEAD_LETTER, &document).await?;
                Ok(letter.to_string())
            }
            Thing::Connector => {
                let site = cast.site(1).await?;
                Ok(format!("{}/{}", site.station, site.connectors[0]))
            }
            Thing::Hold => {
                let site = cast.site(1).await?;
                let hold = "mutation($input: HoldSlotInput!) { holdSlot(input: $input) { token } }";
                let input = slot(&site.station.to_string(), &site.connectors[0].to_string(), 30);
                let held: Value = owner.client.field(hold, json!({ "input": input })).await?;
                Ok(held["token"].as_str().ok_or("no token")?.to_owned())
            }
            Thing::Booking => {
                let token = Box::pin(self.make(Thing::Hold, owner)).await?;
                let confirm =
                    "mutation($input: ConfirmBookingInput!) { confirmBooking(input: $input) { id } }";
                let input = json!({ "input": { "holdToken": token } });
                id(&owner.client.field(confirm, input).await?)
            }
            Thing::Network => {
                let register = "mutation($input: RegisterVendorInput!) { registerVendor(input: $input) { vendor { id } } }";
                let made = cast.by_operator(register, json!({ "name": Uuid::new_v4() })).await?;
                id(&made["vendor"])
            }
            Thing::Login => Ok(cast.driver("Lena Login").await?.refresh_token),
        }
    }
}

fn id(made: &Value) -> Result<String> {
    Ok(made["id"].as_str().ok_or_else(|| format!("no id: {made}"))?.to_owned())
}

const PAY: &str = "mutation($input: PayInvoiceInput!) { payInvoice(input: $input) { id } }";

const HELD_REFUND: &str = "
    UPDATE refunds SET status = 'HELD', failure_code = 'charge_disputed', looked_at = looked_at - interval '1 hour'
    WHERE id = ($1::jsonb #>> '{}')::uuid";

const OPEN_SESSION: &str = "
    WITH begun AS (
        INSERT INTO sessions (id, user_id, station_id, connector_id, status, remote_start_id, correlation_id, created_at,
                              updated_at)
        VALUES (($1::jsonb->>'session')::uuid, ($1::jsonb->>'driver')::uuid, ($1::jsonb->>'station')::uuid,
                ($1::jsonb->>'connector')::uuid, 'STARTING', 1, gen_random_uuid(), now(), now())
        RETURNING id, user_id, connector_id
    )
    INSERT INTO open_sessions (connector_id, session_id, user_id) SELECT connector_id, id, user_id FROM begun";

const DEAD_LETTER: &str = "
    INSERT INTO dead_letters (id, consumer, event_id, event_type, correlation_id, body, receive_count, sent_at, found_at)
    VALUES (($1::jsonb->>'letter')::uuid, 'bill-session', ($1::jsonb->>'event')::uuid, 'SESSION_ENDED', gen_random_uuid(),
            $1::jsonb->>'body', 5, now(), date_trunc('milliseconds', now()))";
