//! Payments by card through a provider that speaks Stripe's API, top-ups and refunds. Owns the tables `payments` and
//! `refunds`; invoices and the ledger are billing's, moved through its SQL functions.
