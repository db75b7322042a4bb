//! The bus's own housekeeping: the outbox's relay, the cache's refresh, dead letters and their replay, what drivers are
//! told, and what operators see of all that. Its tables are those of migration 0013, and `outbox` and `audit_log`.

mod audit;
mod cached;
mod compensation;
mod dead_letter;
mod notification_settings;
mod notify;
mod purge;
mod queues;
mod reconcile;
mod refresh;
mod relay;
mod replay;
mod store;
mod trail;

pub use audit::{AuditEntry, AuditLog, audit_log};
pub use dead_letter::{
    DeadLetter, DeadLetterFilter, DeadLetterId, DeadLetterStatus, ListDeadLetters, dead_letters,
};
pub use notification_settings::{
    NotificationSettings, NotificationSettingsOf, UpdateNotificationSettings, notification_settings,
    update_notification_settings,
};
pub use notify::{Notifier, Told, notify};
pub use purge::{PurgeReport, PurgeRequest, purge};
pub use queues::{DeadLetterQueues, QueuePair};
pub use reconcile::{ReconcileReport, ReconcileRequest, reconcile};
pub use refresh::{News, refresh};
pub use relay::{RelayReport, RelayRequest, relay};
pub use replay::{ReplayDeadLetters, ReplayReport, replay};
pub use trail::{EventRecord, EventTrail, event_trail};
