//! The tables of `docs/CAPACITY.md`, between the marks that it has for them.

use std::fmt::Write;

use super::assumptions::{BUSY, MIX, REQUESTS_PER_SECOND, WAITING_MS};
use super::money::{acus, lines, shards};
use super::quotas::{Verdict, quotas};
use super::{Measured, Need, need};
use crate::Result;

/// The document with its tables worked out anew; what is between them stays. Fails when a table has no place.
pub fn rewritten(document: &str, measured: &Measured) -> Result<String> {
    let need = need(measured)?;
    let mut text = document.to_owned();
    for (name, table) in [
        ("mix", mix(measured)),
        ("waits", waits()),
        ("functions", functions(&need)?),
        ("stores", stores(&need)?),
        ("quotas", quota_table(&need)?),
        ("money", money(&need)?),
    ] {
        text = replaced(&text, name, &table)?;
    }
    Ok(text)
}

fn replaced(text: &str, name: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- computed: {name} -->\n"), "<!-- end -->");
    let missing = || format!("the document has no place for the table {name}");
    let (before, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, after) = rest.split_once(end).ok_or_else(missing)?;
    Ok(format!("{before}{begin}\n{table}\n{end}{after}"))
}

fn mix(measured: &Measured) -> String {
    let mut table =
        "| operation | share | a second | functions, CPU ms | PostgreSQL, CPU ms | Redis, CPU ms |\n|---|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for mixed in MIX {
        let Some(cost) = measured.operations.get(mixed.operation) else { continue };
        let rate = REQUESTS_PER_SECOND * mixed.percent / 100.0;
        table.push_str(&format!(
            "| {} | {} % | {} | {:.2} | {:.2} | {:.3} |\n",
            mixed.name,
            mixed.percent,
            whole(rate),
            cost.functions_ms(),
            cost.postgres_ms,
            cost.redis_ms,
        ));
    }
    table.push_str(&format!("\nMeasured on {}.\n", measured.machine));
    table
}

fn waits() -> String {
    let rows = [
        ("a statement by the Data API", WAITING_MS.data_api),
        ("a round trip to Redis", WAITING_MS.redis),
        ("a read of DynamoDB", WAITING_MS.dynamodb_reads),
        ("a write to DynamoDB", WAITING_MS.dynamodb_writes),
        ("`PutEvents`", WAITING_MS.events),
        ("a frame posted to a WebSocket", WAITING_MS.posts),
        ("the payment provider", WAITING_MS.provider),
    ];
    let rows = rows.map(|(name, ms)| format!("| {name} | {ms} ms |\n"));
    format!("| what a function waits for | assumed |\n|---|--:|\n{}", rows.concat())
}

fn functions(need: &Need) -> Result<String> {
    let mut table =
        "| function | invocations a second | CPU ms | memory MB | duration ms | concurrency |\n|---|--:|--:|--:|--:|--:|\n"
            .to_owned();
    let mut loads: Vec<_> = need.functions.iter().collect();
    loads.sort_by(|a, b| b.concurrency.total_cmp(&a.concurrency));
    for load in loads {
        writeln!(
            table,
            "| `{}` | {} | {:.2} | {} | {:.1} | {} |",
            load.function,
            whole(load.rate),
            load.cpu_ms,
            load.memory_mb,
            load.duration_ms,
            whole(load.concurrency),
        )?;
    }
    let (rate, concurrency) = (whole(need.invocations()), whole(need.concurrency()));
    writeln!(table, "| **all** | **{rate}** | | | | **{concurrency}** |")?;
    Ok(table)
}

fn stores(need: &Need) -> Result<String> {
    let mut table = "| store | a second | needs |\n|---|--:|---|\n".to_owned();
    let asked = &need.asked;
    let busy = BUSY * 100.0;
    writeln!(
        table,
        "| Aurora | {} statements | {:.1} processors of work: {} ACU at {busy} % |",
        whole(asked.data_api),
        need.postgres_cpus,
        whole(acus(need)),
    )?;
    writeln!(
        table,
        "| Redis | {} round trips | {:.2} processors of work: {} shards and a replica of each |",
        whole(asked.redis),
        need.redis_cpus,
        shards(need),
    )?;
    let (reads, writes) = (whole(asked.dynamodb_reads), whole(asked.dynamodb_writes));
    writeln!(table, "| DynamoDB | {reads} reads, {writes} writes | on demand |")?;
    writeln!(table, "| EventBridge | {} events | |", whole(asked.events))?;
    writeln!(table, "| SQS | {} messages | |", whole(asked.messages))?;
    writeln!(table, "| payment provider | {} requests | its own limits |", whole(asked.provider))?;
    Ok(table)
}

fn quota_table(need: &Need) -> Result<String> {
    let mut table = "| quota | default | needed | to do | source |\n|---|--:|--:|---|---|\n".to_owned();
    for quota in quotas(need) {
        let default = quota.default.map_or_else(|| "none".to_owned(), whole);
        let to_do = match quota.verdict() {
            Verdict::Enough => "nothing".to_owned(),
            Verdict::Raise(to) => format!("raise to {}", whole(to)),
            Verdict::Wall => "**cannot be raised**".to_owned(),
        };
        writeln!(
            table,
            "| {} | {default} | {} | {to_do} | {} |",
            quota.name,
            whole(quota.needed),
            link(quota.source)
        )?;
    }
    Ok(table)
}

fn money(need: &Need) -> Result<String> {
    let mut table =
        "| item | a month | unit price, $ | $ a month | source |\n|---|--:|--:|--:|---|\n".to_owned();
    let mut lines = lines(need);
    lines.sort_by(|a, b| b.dollars().total_cmp(&a.dollars()));
    let total: f64 = lines.iter().map(super::Line::dollars).sum();
    for line in &lines {
        writeln!(
            table,
            "| {} | {} {} | {} | {} | {} |",
            line.item,
            whole(line.quantity),
            line.unit,
            price(line.price),
            whole(line.dollars()),
            link(line.source),
        )?;
    }
    let millions = REQUESTS_PER_SECOND * super::assumptions::SECONDS_A_MONTH / 1e6;
    writeln!(table, "| **all** | | | **{}** | |", whole(total))?;
    writeln!(table, "\nThat is ${:.2} a million requests.", total / millions)?;
    Ok(table)
}

fn link(source: &str) -> String {
    let host = source.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    host.map_or_else(|| source.to_owned(), |host| format!("[{host}]({source})"))
}

/// Four significant digits, no more: tiers have means.
fn price(dollars: f64) -> String {
    if dollars < 0.01 { format!("{dollars:.8}") } else { format!("{dollars:.3}") }
}

/// `12,345`.
fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in
            [(0.4, "0"), (999.0, "999"), (1000.0, "1,000"), (12_345.6, "12,346"), (1e6, "1,000,000")]
        {
            assert_eq!(whole(number), text);
        }
    }

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let document = "a\n<!-- computed: mix -->\n\nold\n<!-- end -->\nb";
        let text = replaced(document, "mix", "new\n").unwrap_or_default();
        assert_eq!(text, "a\n<!-- computed: mix -->\n\nnew\n\n<!-- end -->\nb");
        assert!(replaced(document, "waits", "").is_err());
    }
}
