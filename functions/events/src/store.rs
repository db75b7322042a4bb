//! The tables of migration 0013, and `outbox` and `audit_log` as operators read them.

pub(crate) mod dead_letters;
pub(crate) mod notifications;
pub(crate) mod records;
