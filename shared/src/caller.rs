//! Who asks, and in which request: what AppSync's `identity` and `request` say, parsed.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{CorrelationId, Failure, Timestamp, UserId};

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Charges a car and pays for it.
    Driver,
    /// Looks after chargers, wallets and accounts.
    Operator,
    /// Reports sessions of a charging network.
    Vendor,
}

impl Role {
    /// The role's name, as in tokens and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Driver => "DRIVER",
            Self::Operator => "OPERATOR",
            Self::Vendor => "VENDOR",
        }
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "DRIVER" => Ok(Self::Driver),
            "OPERATOR" => Ok(Self::Operator),
            "VENDOR" => Ok(Self::Vendor),
            _ => Err("must be DRIVER, OPERATOR or VENDOR"),
        }
    }
}

/// An account whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Whose token it is.
    pub id: UserId,
    /// What the token allows.
    pub roles: Vec<Role>,
}

/// The origin of one request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The verified account; none for a request with an API key.
    pub user: Option<User>,
    /// The app's `x-correlation-id`, or a new one; every event of the request carries it.
    pub correlation_id: CorrelationId,
    /// The address the request came from, for limits; never logged.
    pub source_ip: Option<String>,
    /// When the request arrived: the clock of every rule it triggers.
    pub at: Timestamp,
}

impl Caller {
    /// The account, or the failure of a caller without one.
    pub fn user(&self) -> Result<&User, Failure> {
        self.user.as_ref().ok_or(Failure::Unauthenticated("log in first"))
    }

    /// The account, if it has `role`.
    pub fn with_role(&self, role: Role) -> Result<&User, Failure> {
        let user = self.user()?;
        if user.roles.contains(&role) {
            Ok(user)
        } else {
            Err(Failure::Forbidden("your role does not allow this"))
        }
    }
}
