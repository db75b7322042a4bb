//! Who did what by hand, and why.

use serde::{Deserialize, Serialize};
use shared::{Caller, CorrelationId, Cursor, Database, Failure, First, Page, Role, Timestamp, UserId};

use crate::store;

/// GraphQL `AuditEntry`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// A number, as text; later ones are higher.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// Who; none for the system itself.
    pub actor_id: Option<UserId>,
    /// What: `WALLET_CREDITED`.
    pub action: String,
    /// The id of what was changed.
    pub subject: String,
    /// Why.
    pub reason: Option<String>,
    /// The request in which it was done.
    pub correlation_id: CorrelationId,
}

/// Arguments of `Query.auditLog`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditLog {
    subject: Option<Subject>,
    actor_id: Option<UserId>,
    first: Option<First>,
    after: Option<Cursor>,
}

/// 1 to 200 visible ASCII characters.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Subject(String);

impl TryFrom<String> for Subject {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=200).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err("must have 1 to 200 visible ASCII characters")
        }
    }
}

/// The audit log, the last entry first: all of it, of one subject, by one actor, or both. Operators only.
pub async fn audit_log(
    database: &Database,
    caller: &Caller,
    AuditLog { subject, actor_id, first, after }: AuditLog,
) -> Result<Page<AuditEntry>, Failure> {
    caller.with_role(Role::Operator)?;
    let first = first.unwrap_or_default();
    let after = after.map(|cursor| cursor.key::<i64>()).transpose()?;
    let subject = subject.as_ref().map(|Subject(subject)| subject.as_str());
    let rows = store::records::audit_log(database, subject, actor_id, after, first.with_lookahead()).await?;
    Page::of(first, rows, |entry| entry.id.parse::<i64>().unwrap_or_default())
}
