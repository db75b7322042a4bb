//! The words that the table is written in.

use serde_json::Value;

use super::stage::Stage;
use crate::accounts::Account;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prove) enum Who {
    /// The API key alone.
    Anonymous,
    /// No credentials at all.
    Nobody,
    /// Another driver.
    Other,
    /// Another account, of a charging network.
    Vendor,
    /// The driver whose things are asked about.
    Owner,
    /// An operator.
    Operator,
}

impl Who {
    /// In the order in which they ask: who may change something asks last.
    pub(super) const ALL: [Self; 6] =
        [Self::Anonymous, Self::Nobody, Self::Other, Self::Vendor, Self::Owner, Self::Operator];
}

/// What they must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::prove) enum Outcome {
    /// An answer.
    Allowed,
    /// An answer that tells of the caller's own things: the owner's of the owner's, nobody else's of them.
    AllowedOwn,
    /// An answer, as if the thing were gone; nothing happens to it.
    Nothing,
    /// Refused before any function is asked.
    Unauthorized,
    /// No such thing.
    NotFound,
    /// Known, and not allowed.
    Forbidden,
    /// Not logged in, or not with that password.
    Unauthenticated,
}

impl Outcome {
    /// The `errorType` of it.
    pub(super) fn error_types(self) -> &'static [&'static str] {
        match self {
            Self::Allowed | Self::AllowedOwn | Self::Nothing => &[],
            Self::Unauthorized => &["Unauthorized", "UnauthorizedException"],
            Self::NotFound => &["NotFound"],
            Self::Forbidden => &["Forbidden"],
            Self::Unauthenticated => &["Unauthenticated"],
        }
    }

    /// Whether there is an answer.
    pub(in crate::prove) fn is_allowed(self) -> bool {
        self.error_types().is_empty()
    }
}

/// The outcome for each caller.
#[derive(Debug, Clone, Copy)]
pub(in crate::prove) struct Expected {
    anonymous: Outcome,
    nobody: Outcome,
    owner: Outcome,
    other: Outcome,
    operator: Outcome,
    vendor: Outcome,
}

impl Expected {
    const fn new(anonymous: Outcome, owner: Outcome, other: Outcome, operator: Outcome) -> Self {
        Self { anonymous, nobody: Outcome::Unauthorized, owner, other, operator, vendor: other }
    }

    /// For one of them.
    pub(in crate::prove) fn of(self, who: Who) -> Outcome {
        match who {
            Who::Anonymous => self.anonymous,
            Who::Nobody => self.nobody,
            Who::Other => self.other,
            Who::Vendor => self.vendor,
            Who::Owner => self.owner,
            Who::Operator => self.operator,
        }
    }
}

use Outcome::{Allowed, AllowedOwn, Forbidden, NotFound, Nothing, Unauthenticated, Unauthorized};

/// Everybody, with the API key or logged in.
pub(super) const PUBLIC: Expected = Expected::new(Allowed, Allowed, Allowed, Allowed);
/// What comes before a login.
pub(super) const BEFORE_LOGIN: Expected = Expected::new(Allowed, Unauthorized, Unauthorized, Unauthorized);
/// Another's password guessed.
pub(super) const NO_LOGIN: Expected =
    Expected::new(Unauthenticated, Unauthorized, Unauthorized, Unauthorized);
/// Whoever is logged in.
pub(super) const LOGGED_IN: Expected = Expected::new(Unauthorized, Allowed, Allowed, Allowed);
/// Whoever is logged in, about what is theirs.
pub(super) const OWN: Expected = Expected::new(Unauthorized, AllowedOwn, AllowedOwn, AllowedOwn);
/// A thing of the owner's that operators may see or change, too.
pub(super) const OWNER_OR_OPERATOR: Expected = Expected::new(Unauthorized, Allowed, NotFound, Allowed);
/// A thing that is nobody's business but the owner's.
pub(super) const OWNER_ALONE: Expected = Expected::new(Unauthorized, Allowed, NotFound, NotFound);
/// A list of the owner's things, asked for by the owner's id.
pub(super) const BY_USER: Expected = Expected::new(Unauthorized, AllowedOwn, Forbidden, Allowed);
/// Removing what one does not have.
pub(super) const REMOVED: Expected = Expected::new(Unauthorized, AllowedOwn, Nothing, Nothing);
/// Operators.
pub(super) const OPERATORS: Expected = Expected::new(Unauthorized, Unauthorized, Unauthorized, Allowed);
/// The system itself.
pub(super) const SYSTEM: Expected = Expected::new(Unauthorized, Unauthorized, Unauthorized, Unauthorized);

/// What a call needs that is used up by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    None,
    /// Its id.
    Vehicle,
    /// The id of a session that its charger has not begun.
    OpenSession,
    /// The id of a session that is not billed.
    EndedSession,
    /// The id of an invoice to pay.
    Unpaid,
    /// The id of an invoice that the wallet paid.
    Paid,
    /// The id of a refund that the card did not take.
    HeldRefund,
    /// Money in the owner's wallet.
    Funds,
    /// The id of a station of ours with a free connector.
    Station,
    /// The id of a tariff that holds.
    Tariff,
    /// The id of a flat rate on offer.
    Plan,
    /// A flat rate of the owner's.
    Subscription,
    /// The id of a dead letter that tells of the owner.
    DeadLetter,
    /// The refresh token of some login.
    Login,
    /// The ids of a station and of a free connector there, with a slash between them.
    Connector,
    /// The token of a hold.
    Hold,
    /// The id of a booking that has not begun.
    Booking,
    /// The id of a vendor.
    Network,
}

/// What a call's arguments are made of.
pub(in crate::prove) struct Scene<'a> {
    /// The driver whose things are asked about.
    pub(super) owner: &'a Account,
    /// Made for this call.
    pub(super) thing: String,
    /// Everything that stays.
    pub(super) stage: &'a Stage<'a>,
}

/// One operation, one way to ask for it.
#[derive(Clone, Copy)]
pub(in crate::prove) struct Row {
    /// `Type.field`.
    pub(in crate::prove) field: &'static str,
    pub(in crate::prove) expected: Expected,
    pub(in crate::prove) arguments: fn(&Scene<'_>) -> Value,
    pub(super) thing: Thing,
    /// Whether every caller is a new account, because the call ends it.
    pub(super) is_last: bool,
}

impl Row {
    pub(super) const fn new(
        field: &'static str,
        expected: Expected,
        arguments: fn(&Scene<'_>) -> Value,
    ) -> Self {
        Self { field, expected, arguments, thing: Thing::None, is_last: false }
    }

    pub(super) const fn with(mut self, thing: Thing) -> Self {
        self.thing = thing;
        self
    }

    pub(super) const fn last(mut self) -> Self {
        self.is_last = true;
        self
    }

    /// Whether it changes something: then its owner is nobody else's.
    pub(in crate::prove) fn is_mutation(&self) -> bool {
        self.field.starts_with("Mutation.")
    }
}
