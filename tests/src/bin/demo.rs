//! `make demo`: one driver charges one car, once with OCPP 1.6 and once with 2.0.1, told as it happens. Runs under
//! `local run`, which stands the stack up before it and stops it after.

use std::time::Instant;

use clap::Parser;
use serde_json::json;
use tests::accounts::Account;
use tests::stack::Stack;
use tests::{Result, journey};

/// One driver charges one car, on the running stack.
#[derive(Parser)]
struct Options {
    /// End after the charge instead of leaving the stack up until Ctrl-C.
    #[arg(long, env = "ONCE", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::Set, num_args = 0..=1, default_value = "false", default_missing_value = "true")]
    once: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let stack = Stack::running()?;
    let started = Instant::now();
    let mut tell = |line: String| println!("{:>7.2} s  {line}", started.elapsed().as_secs_f64());
    let tell: journey::Tell<'_> = &mut tell;

    tell("── the mirror ──".into());
    let stations = journey::mirror(&stack, tell).await?;
    tell(format!("{stations} stations"));
    tell("── people ──".into());
    let operator = Account::operator(&stack).await?;
    tell(format!("operator {} registered, made an operator by an administrator, logged in", operator.id));
    let driver = Account::driver(&stack, "Dora Driver").await?;
    tell(format!("driver   {} registered with a Tesla Model 3", driver.id));
    operator.credit(&driver, "50.00").await?;
    tell("operator credited the driver's wallet with 50.00 EUR".into());
    for version in ["1.6", "2.0.1"] {
        tell(format!("── a charge over OCPP {version} ──"));
        let site = journey::site(&stack, &operator, tell).await?;
        tell(format!("station  {} ({})", site.name, site.station));
        let charge = journey::charge(&stack, &driver, &site, version, tell).await?;
        charge.check()?;
        tell("checked  states, meter, invoice and wallet agree to the cent".into());
    }
    journey::settled(&stack, tell).await?;
    tell("done".into());
    if options.once {
        return Ok(());
    }
    print_sample(&stack, &driver);
    tokio::signal::ctrl_c().await?;
    Ok(())
}

fn print_sample(stack: &Stack, driver: &Account) {
    let query = json!({ "query": "{ me { name walletBalance { amount currency } } listSessions { edges { node { status energyKWh cost { amount } } } } }" });
    println!("\nThe stack stays up until Ctrl-C.");
    println!("  GraphQL   {}  (API key {})", stack.graphql_url, stack.api_key);
    println!("  realtime  {}", stack.realtime_url);
    println!("  OCPP      {}{{chargePointId}}", stack.ocpp_url);
    println!("  REST      {}/.well-known/jwks.json", stack.http_url);
    println!("\nTry it as the driver:\n");
    println!("  curl -s {} -H 'authorization: {}' \\\n    -d '{query}'\n", stack.graphql_url, driver.token);
}
