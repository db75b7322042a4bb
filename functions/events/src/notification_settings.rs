//! How a driver wants to be told of things.

use serde::{Deserialize, Serialize};
use shared::{Caller, Database, Failure};

use crate::store;

/// GraphQL `NotificationSettings`. What asks for money (an invoice to pay, a reminder) is mailed whatever `email` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationSettings {
    /// By e-mail.
    pub email: bool,
    /// In the app.
    pub push: bool,
}

/// Arguments of `Query.notificationSettings`: none.
#[derive(Debug, Deserialize)]
pub struct NotificationSettingsOf {}

/// Arguments of `Mutation.updateNotificationSettings`.
#[derive(Debug, Deserialize)]
pub struct UpdateNotificationSettings {
    input: Input,
}

/// What is absent stays as it is.
#[derive(Debug, Deserialize)]
struct Input {
    email: Option<bool>,
    push: Option<bool>,
}

/// The caller's settings; who never set any is told on all channels.
pub async fn notification_settings(
    database: &Database,
    caller: &Caller,
    _: NotificationSettingsOf,
) -> Result<NotificationSettings, Failure> {
    let user = caller.user()?.id;
    store::notifications::settings(database, user).await?.ok_or(Failure::NotFound("user"))
}

/// Changes the caller's settings and gives them.
pub async fn update_notification_settings(
    database: &Database,
    caller: &Caller,
    UpdateNotificationSettings { input: Input { email, push } }: UpdateNotificationSettings,
) -> Result<NotificationSettings, Failure> {
    let user = caller.user()?.id;
    store::notifications::set(database, user, email, push).await?.ok_or(Failure::NotFound("user"))
}
