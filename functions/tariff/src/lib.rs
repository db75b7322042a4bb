//! Prices: the tariffs that sessions are billed by, and the flat rates that do so instead. Owns the tables `tariffs`,
//! `plans`, `subscriptions` and `subscription_periods`; what is owed for a session is billing's.
