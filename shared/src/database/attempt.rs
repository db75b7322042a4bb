//! What a failed call of the Data API has left behind, and how long to wait before the next one.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

use aws_sdk_rdsdata::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_rdsdata::operation::execute_statement::ExecuteStatementError;
use uuid::Uuid;

use super::DatabaseError;

/// The first wait, at most; each further one may be twice as long.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait, and the one for a cluster that is waking up, which takes seconds.
const LONGEST: Duration = Duration::from_secs(2);

/// A call that failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The statement was not run, or was rolled back: anything may be tried again.
    Undone {
        /// For the log.
        cause: String,
        /// Whether the cluster is only just waking up.
        is_resuming: bool,
    },
    /// Nobody knows whether the statement was run: only one that may be run twice is tried again.
    Unknown(String),
    /// Another try would fail the same.
    Final(DatabaseError),
}

impl From<SdkError<ExecuteStatementError>> for Failed {
    fn from(error: SdkError<ExecuteStatementError>) -> Self {
        let cause = DisplayErrorContext(&error).to_string();
        match &error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                answered(answer.err(), status, cause)
            }
            // Not even a request was made, as when there are no credentials.
            SdkError::ConstructionFailure(_) => Self::undone(cause),
            SdkError::DispatchFailure(failure)
                if failure.as_connector_error().is_some_and(|error| was_not_sent(error)) =>
            {
                Self::undone(cause)
            }
            _ => Self::Unknown(cause),
        }
    }
}

impl Failed {
    fn undone(cause: String) -> Self {
        Self::Undone { cause, is_resuming: false }
    }
}

fn answered(error: &ExecuteStatementError, status: u16, cause: String) -> Failed {
    use ExecuteStatementError::{
        BadRequestException, DatabaseErrorException, DatabaseResumingException, DatabaseUnavailableException,
        InternalServerErrorException, InvalidResourceStateException, SecretsErrorException,
        ServiceUnavailableError, StatementTimeoutException,
    };
    match error {
        DatabaseErrorException(error) => rejected(error.message.clone().unwrap_or_default()),
        // Its elder name for what PostgreSQL refuses is the one for what it refuses itself.
        BadRequestException(error) if error.message().is_some_and(|text| text.contains("SQLState: ")) => {
            rejected(error.message.clone().unwrap_or_default())
        }
        DatabaseResumingException(_) => Failed::Undone { cause, is_resuming: true },
        // Told before PostgreSQL is asked: Secrets Manager did not answer, or the cluster is being changed.
        SecretsErrorException(_) | InvalidResourceStateException(_) => Failed::undone(cause),
        // It ended the statement, which would take as long again.
        StatementTimeoutException(_) => Failed::Final(DatabaseError::TimedOut(cause)),
        DatabaseUnavailableException(_) | ServiceUnavailableError(_) | InternalServerErrorException(_) => {
            Failed::Unknown(cause)
        }
        _ if status == 429 || error.code().is_some_and(is_throttling) => Failed::undone(cause),
        _ if status >= 500 => Failed::Unknown(cause),
        _ => Failed::Final(DatabaseError::Refused(cause)),
    }
}

fn is_throttling(code: &str) -> bool {
    ["Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"].contains(&code)
}

/// Whether nobody was there to take the request.
fn was_not_sent(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let mut causes = successors(Some(error), |&error| error.source());
    causes.any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        matches!(kind, Some(AddrNotAvailable | ConnectionRefused | HostUnreachable | NetworkUnreachable))
    })
}

/// `ERROR: duplicate key …; SQLState: 23505`, as the Data API words it.
fn rejected(message: String) -> Failed {
    let sqlstate = message.rsplit_once("SQLState: ").map(|(_, state)| state.chars().take(5).collect());
    let sqlstate: String = sqlstate.unwrap_or_default();
    match sqlstate.as_str() {
        "57014" => Failed::Final(DatabaseError::TimedOut(message)),
        // Not let in.
        "08001" | "08004" | "57P03" => Failed::undone(message),
        // A lock that was not had, a rollback (deadlock, serialization), resources: all pass by themselves.
        "55P03" => Failed::undone(message),
        state if state.starts_with("40") && state != "40003" => Failed::undone(message),
        state if state.starts_with("53") => Failed::undone(message),
        // The connection went, or the server, whatever it was doing.
        state if ["08", "40", "57"].iter().any(|class| state.starts_with(class)) => Failed::Unknown(message),
        _ => Failed::Final(DatabaseError::Rejected { sqlstate, message }),
    }
}

/// Waits that grow, and differ among those who wait: together they would come back together.
pub(super) struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { ceiling: FIRST }
    }

    /// The next one.
    pub(super) fn next(&mut self, is_resuming: bool) -> Duration {
        let ceiling = if is_resuming { LONGEST } else { self.ceiling };
        self.ceiling = (self.ceiling * 2).min(LONGEST);
        // The first eight bytes of a random UUID are as random as it takes.
        let chance = Uuid::new_v4().as_u64_pair().0 >> 48;
        ceiling / 2 + ceiling / 2 * u32::try_from(chance).unwrap_or_default() / (1 << 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violated_constraint_is_known_by_its_name() {
        let Failed::Final(error) = rejected(
            "ERROR: duplicate key value violates unique constraint \"users_email_key\"\n  Detail: …; SQLState: 23505"
                .into(),
        ) else {
            panic!("a violated constraint will be violated again");
        };
        assert!(error.violates("users_email_key"));
        assert!(!error.violates("users_email"));
    }

    #[test]
    fn what_a_sqlstate_leaves_behind() {
        let of = |state: &str| rejected(format!("ERROR: …; SQLState: {state}"));
        for undone in ["40P01", "40001", "53300", "55P03", "57P03", "08001"] {
            assert!(matches!(of(undone), Failed::Undone { is_resuming: false, .. }), "{undone}");
        }
        for unknown in ["08006", "57P01", "40003"] {
            assert!(matches!(of(unknown), Failed::Unknown(_)), "{unknown}");
        }
        assert!(matches!(of("57014"), Failed::Final(DatabaseError::TimedOut(_))));
        for hopeless in ["42601", "23505", "P0001"] {
            assert!(matches!(of(hopeless), Failed::Final(DatabaseError::Rejected { .. })), "{hopeless}");
        }
        assert!(matches!(rejected(String::new()), Failed::Final(DatabaseError::Rejected { .. })));
    }

    #[test]
    fn waits_grow_to_two_seconds_and_are_never_none() {
        let mut backoff = Backoff::new();
        let mut ceiling = FIRST;
        for _ in 0..20 {
            let wait = backoff.next(false);
            assert!(wait >= ceiling / 2 && wait <= ceiling, "{wait:?} of {ceiling:?}");
            ceiling = (ceiling * 2).min(LONGEST);
        }
        assert!(Backoff::new().next(true) >= LONGEST / 2);
        let waits: Vec<_> = (0..8).map(|_| Backoff::new().next(true)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "they come back together: {waits:?}");
    }
}
