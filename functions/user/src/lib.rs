//! Accounts: opening one, logging in and staying logged in, and what an access token proves. Owns the tables
//! `users`, `vehicles` and `refresh_tokens`; chargers and sessions know a user by the id alone.

mod access_token;
mod account;
mod authorize;
mod credentials;
mod grant_role;
mod jwks;
mod keys;
mod limit;
mod login;
mod me;
mod password;
mod refresh;
mod refresh_token;
mod register;
mod store;
mod tokens;

pub use access_token::{AccessTokenVerifier, Rejected, Verified};
pub use account::{Account, Vehicle, VehicleInput};
pub use authorize::{Decision, authorize};
pub use credentials::{Email, Name, Password};
pub use grant_role::{Grant, GrantRole, grant_role};
pub use jwks::{Jwk, Jwks, jwks};
pub use keys::VerifyingKeys;
pub use login::{Login, login};
pub use me::me;
pub use refresh::{Refresh, refresh};
pub use register::{Register, register};
pub use tokens::{TokenIssuer, Tokens};
