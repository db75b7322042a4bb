//! What it costs a month. List prices of us-east-1 in US dollars, as of November 2026, without free tiers, savings plans
//! or anything that is negotiated at such a size; where a service has tiers, the ones that this volume reaches.

use super::Need;
use super::assumptions::{
    ANSWER_BYTES, BUSY, CHARGERS, CPUS_AN_ACU, LEAST_SHARDS, LOGGED_BYTES, ONLOOKERS, REQUESTS_PER_SECOND,
    SECONDS_A_MONTH, TRACED,
};

/// One line of the bill.
#[derive(Debug, Clone)]
pub struct Line {
    /// What for.
    pub item: &'static str,
    /// How much of it a month.
    pub quantity: f64,
    /// Of what.
    pub unit: &'static str,
    /// Dollars for one unit; the mean where there are tiers.
    pub price: f64,
    /// Where the price is from.
    pub source: &'static str,
}

impl Line {
    /// Dollars a month.
    pub fn dollars(&self) -> f64 {
        self.quantity * self.price
    }
}

/// Up to so much of a unit, its price.
type Tier = (f64, f64);

const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const API_GATEWAY: &str = "https://aws.amazon.com/api-gateway/pricing/";
const APPSYNC: &str = "https://aws.amazon.com/appsync/pricing/";
const AURORA: &str = "https://aws.amazon.com/rds/aurora/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";

/// GB-seconds on arm64.
const LAMBDA_TIME: [Tier; 3] =
    [(7.5e9, 0.000_013_333_4), (18.75e9, 0.000_012_000_1), (f64::INFINITY, 0.000_010_666_7)];
/// Millions of requests.
const HTTP: [Tier; 2] = [(300.0, 1.0), (f64::INFINITY, 0.9)];
/// Millions of messages of 32 KB.
const WEBSOCKET: [Tier; 2] = [(1000.0, 1.0), (f64::INFINITY, 0.8)];
/// Millions of statements.
const DATA_API: [Tier; 2] = [(1000.0, 0.35), (f64::INFINITY, 0.2)];
/// GB.
const TRAFFIC: [Tier; 4] = [(10_000.0, 0.09), (50_000.0, 0.085), (150_000.0, 0.07), (f64::INFINITY, 0.05)];

/// The bill, line by line.
pub fn lines(need: &Need) -> Vec<Line> {
    let millions = |rate: f64| rate * SECONDS_A_MONTH / 1e6;
    let hours = SECONDS_A_MONTH / 3600.0;
    let gb_seconds: f64 = need
        .functions
        .iter()
        // Billed by the whole millisecond.
        .map(|load| load.rate * load.duration_ms.ceil() / 1000.0 * load.memory_mb / 1024.0)
        .sum();
    let minutes = (CHARGERS + ONLOOKERS) * SECONDS_A_MONTH / 60.0 / 1e6;
    let line = |item, quantity, unit, price, source| Line { item, quantity, unit, price, source };
    let tiered = |item, quantity, unit, tiers: &[Tier], source| {
        line(item, quantity, unit, mean(quantity, tiers), source)
    };
    let asked = &need.asked;
    vec![
        line("Lambda, requests", millions(need.invocations()), "M", 0.2, LAMBDA),
        tiered("Lambda, time", gb_seconds * SECONDS_A_MONTH, "GB-s", &LAMBDA_TIME, LAMBDA),
        tiered("API Gateway, HTTP API", millions(need.http), "M", &HTTP, API_GATEWAY),
        tiered("API Gateway, WebSocket messages", millions(need.messages), "M", &WEBSOCKET, API_GATEWAY),
        line("API Gateway, open WebSockets", minutes, "M min", 0.25, API_GATEWAY),
        line("AppSync, operations", millions(need.graphql), "M", 4.0, APPSYNC),
        line("WAF before AppSync", millions(need.graphql), "M", 0.6, "https://aws.amazon.com/waf/pricing/"),
        tiered("Data API, statements", millions(asked.data_api), "M", &DATA_API, AURORA),
        line("Aurora Serverless v2, I/O-Optimized", acus(need) * hours, "ACU-h", 0.156, AURORA),
        line(
            "ElastiCache, cache.r7g.large",
            2.0 * shards(need) * hours,
            "node-h",
            0.219,
            "https://aws.amazon.com/elasticache/pricing/",
        ),
        line(
            "DynamoDB, writes on demand",
            millions(asked.dynamodb_writes),
            "M",
            0.625,
            "https://aws.amazon.com/dynamodb/pricing/on-demand/",
        ),
        line(
            "DynamoDB, reads on demand",
            millions(asked.dynamodb_reads),
            "M",
            0.125,
            "https://aws.amazon.com/dynamodb/pricing/on-demand/",
        ),
        line(
            "EventBridge, events",
            millions(asked.events),
            "M",
            1.0,
            "https://aws.amazon.com/eventbridge/pricing/",
        ),
        // Sent, and received and deleted ten at a time.
        line(
            "SQS, requests",
            millions(asked.messages * 1.2),
            "M",
            0.4,
            "https://aws.amazon.com/sqs/pricing/",
        ),
        line("CloudWatch, logs", millions(need.invocations()) * LOGGED_BYTES / 1000.0, "GB", 0.5, CLOUDWATCH),
        line(
            "X-Ray, traces",
            millions(REQUESTS_PER_SECOND) * TRACED,
            "M",
            5.0,
            "https://aws.amazon.com/xray/pricing/",
        ),
        tiered(
            "Traffic to the internet",
            millions(REQUESTS_PER_SECOND) * ANSWER_BYTES / 1000.0,
            "GB",
            &TRAFFIC,
            "https://aws.amazon.com/ec2/pricing/on-demand/",
        ),
    ]
}

/// What Aurora needs.
pub(super) fn acus(need: &Need) -> f64 {
    (need.postgres_cpus / BUSY / CPUS_AN_ACU * 2.0).ceil() / 2.0
}

/// What Redis needs; each has a replica.
pub(super) fn shards(need: &Need) -> f64 {
    (need.redis_cpus / BUSY).ceil().max(LEAST_SHARDS)
}

/// The mean price of `quantity`.
fn mean(quantity: f64, tiers: &[Tier]) -> f64 {
    let (mut dollars, mut counted) = (0.0, 0.0);
    for (end, price) in tiers {
        let part = quantity.min(*end) - counted;
        if part > 0.0 {
            dollars += part * price;
            counted += part;
        }
    }
    dollars / quantity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_quantity_has_the_price_of_its_tier() {
        assert!((mean(200.0, &HTTP) - 1.0).abs() < 1e-9);
        assert!((mean(600.0, &HTTP) - 0.95).abs() < 1e-9);
        let traffic = mean(100_000.0, &TRAFFIC) * 100_000.0;
        assert!((traffic - (900.0 + 3400.0 + 3500.0)).abs() < 1e-6, "{traffic}");
    }
}
