//! Writes through the outbox what each line of its input asks for. A program of its own, so that the proof of
//! publishing can kill it between any two steps.

use serde::Deserialize;
use shared::{Outbox, Statement};
use tests::Result;
use uuid::Uuid;

/// One write; `proof_write` is the proof's own.
#[derive(Deserialize)]
struct Write {
    key: Uuid,
    events: i64,
    fails: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let outbox = Outbox::from_env(&shared::aws_config().await)?;
    // One thing at a time: nothing else runs here that a blocking read could hold up.
    for line in std::io::stdin().lines() {
        let Write { key, events, fails } = serde_json::from_str(&line?)?;
        let statement = Statement::new("SELECT proof_write(:key::uuid, :events::integer, :fails::boolean)");
        let statement = statement.bind("key", key).bind("events", events).bind("fails", fails);
        // Whether it is told to have succeeded does not matter: the table says whether it has.
        let _ = outbox.write::<bool>(statement).await;
        println!("written {key}");
    }
    Ok(())
}
