//! The peer of the billing figure on equal terms: pgbench's TPC-B-like transaction as one function of the database, one
//! Data API call each.

use shared::Statement;

use super::database;
use super::load::Call;
use crate::Result;
use crate::stack::Stack;

/// What pgbench's script does, in its order.
const TRANSACTION: &str = "
    CREATE FUNCTION bench_tpc_b(account bigint, teller bigint, branch bigint, change bigint) RETURNS jsonb
    LANGUAGE plpgsql AS $$
    DECLARE
        balance integer;
    BEGIN
        UPDATE pgbench_accounts SET abalance = abalance + change WHERE aid = account;
        SELECT abalance INTO balance FROM pgbench_accounts WHERE aid = account;
        UPDATE pgbench_tellers SET tbalance = tbalance + change WHERE tid = teller;
        UPDATE pgbench_branches SET bbalance = bbalance + change WHERE bid = branch;
        INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (teller, branch, account, change, now());
        RETURN to_jsonb(balance);
    END;
    $$";

/// Has the function made, and `count` calls of it ready.
pub(super) async fn prepare(stack: &Stack, clients: usize, count: usize) -> Result<Vec<Call>> {
    stack.sql(TRANSACTION).await?;
    let branches = i64::try_from(clients)?;
    let transaction = |_| {
        let call = Statement::new(
            "SELECT bench_tpc_b(:account::bigint, :teller::bigint, :branch::bigint, :change::bigint)",
        );
        call.bind("account", rand::random_range(1..=100_000 * branches))
            .bind("teller", rand::random_range(1..=10 * branches))
            .bind("branch", rand::random_range(1..=branches))
            .bind("change", rand::random_range(-5000..=5000_i64))
    };
    database::calls(stack, (0..count).map(transaction).collect()).await
}

pub(super) async fn drop_function(stack: &Stack) -> Result<()> {
    stack.sql("DROP FUNCTION bench_tpc_b").await.map(drop)
}
