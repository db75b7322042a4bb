//! Accounts in PostgreSQL. Each write is one statement; what it tells the bus is written with it.

mod accounts;
mod logins;
mod roles;
mod vehicles;

pub(crate) use accounts::{
    Deletion, Obstacle, Opening, Profile, WithPassword, account, account_to_log_in, account_to_prove,
    delete_account, open_account, summary, update_profile,
};
pub(crate) use logins::{NewPassword, Rotation, begin_login, change_password, log_out, rotate};
pub(crate) use roles::grant_role;
pub(crate) use vehicles::{Adding, add_vehicle, remove_vehicle, update_vehicle};
