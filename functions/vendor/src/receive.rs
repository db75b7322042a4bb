//! Where webhooks come in: verified, read, queued; what they mean is worked out behind the queue.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use rest::{Reply, Request};
use serde::{Deserialize, Serialize};
use shared::{Caller, Failure, MissingSetting, VendorId, setting};
use tracing::{info, warn};

use crate::report::occurred_at;
use crate::signature::{Signed, UNSIGNED};
use crate::{Keyring, Kind, Report, Told};

/// Verifies webhooks and queues what they tell.
pub struct Desk {
    keyring: Keyring,
    queue: Client,
    queue_url: String,
}

/// What a vendor is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Always; what came of it is not known yet.
    pub accepted: bool,
}

impl Desk {
    /// Webhooks signed by keys of that ring, for that queue.
    pub fn new(keyring: Keyring, queue: Client, queue_url: impl Into<String>) -> Self {
        Self { keyring, queue, queue_url: queue_url.into() }
    }

    /// From `VENDOR_QUEUE_URL` and the settings of [`Keyring::from_env`].
    pub fn from_env(config: &SdkConfig) -> Result<Self, MissingSetting> {
        Ok(Self::new(Keyring::from_env(config)?, Client::new(config), setting("VENDOR_QUEUE_URL")?))
    }

    /// Takes one webhook. Fails as unauthenticated when no key of the vendor's signs it, and names the field of a body
    /// that cannot be understood; as unavailable when it is to be sent again.
    pub async fn receive(
        &self,
        kind: Kind,
        caller: &Caller,
        request: &Request,
    ) -> Result<Reply<Accepted>, Failure> {
        let now = caller.at;
        let header = |name| request.header(name);
        let signed = Signed::read(
            header("webhook-id"),
            header("webhook-timestamp"),
            header("webhook-signature"),
            request.body(),
            now,
        )?;
        let vendor_id: VendorId = header("x-vendor-id").and_then(|id| id.parse().ok()).ok_or(UNSIGNED)?;
        let mut is_known = signed.is_by(&self.keyring.keys(vendor_id, now).await?, now);
        if !is_known && let Some(keys) = self.keyring.newer(vendor_id, now).await? {
            is_known = signed.is_by(&keys, now);
        }
        if !is_known {
            return Err(UNSIGNED);
        }
        let told = Told::parse(kind, request.body())?;
        let (occurred_at, correlation_id) = (occurred_at(request.body(), signed.at)?, caller.correlation_id);
        self.queue(&Report { vendor_id, webhook_id: signed.id, occurred_at, correlation_id, told }).await?;
        Ok(Reply::accepted(Accepted { accepted: true }))
    }

    async fn queue(&self, report: &Report) -> Result<(), Failure> {
        let body = serde_json::to_string(report).map_err(Failure::fault)?;
        let call = self.queue.send_message().queue_url(&self.queue_url).message_body(body);
        // On the heap: the SDK's futures nest so deeply that a handler around them overflows the compiler's limits.
        Box::pin(call.send()).await.map_err(|error| {
            warn!(cause = %DisplayErrorContext(error), "the vendors' queue does not take a message");
            Failure::Unavailable("the vendors' queue")
        })?;
        let Report { vendor_id, webhook_id, told, .. } = report;
        info!(%vendor_id, webhook_id = webhook_id.as_str(), kind = told.kind().name(), "webhook queued");
        Ok(())
    }
}
