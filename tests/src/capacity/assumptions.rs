//! What the arithmetic takes for granted. Nothing here was measured; each price and quota has its source.

/// A million a minute.
pub const REQUESTS_PER_SECOND: f64 = 1_000_000.0 / 60.0;
/// A month as AWS reckons it: 730 hours.
pub const SECONDS_A_MONTH: f64 = 730.0 * 3600.0;
/// The memory at which Lambda gives a function one whole processor.
pub const BILLED_MB_OF_ONE_CPU: f64 = 1769.0;
/// What the template gives every function …
pub const USUAL_MEMORY_MB: f64 = 256.0;
/// … but these, of those in the mix.
pub const MEMORY_MB: &[(&str, f64)] = &[
    ("nearby-stations", 512.0),
    ("rest-list-stations", 512.0),
    ("live-connect", 512.0),
    ("live-fan-out", 512.0),
    ("ocpp-connect", 512.0),
];

/// Part of the mix.
#[derive(Debug, Clone, Copy)]
pub struct Mixed {
    /// What the bench calls it.
    pub operation: &'static str,
    /// For people.
    pub name: &'static str,
    /// Of all requests.
    pub percent: f64,
    /// Requests at the HTTP API for one of it.
    pub http: f64,
    /// GraphQL operations, those that the bus sends for it included.
    pub graphql: f64,
    /// Messages on WebSockets, both ways, those to one onlooker included.
    pub messages: f64,
}

const fn mixed(
    operation: &'static str,
    name: &'static str,
    percent: f64,
    (http, graphql, messages): (f64, f64, f64),
) -> Mixed {
    Mixed { operation, name, percent, http, graphql, messages }
}

/// Who asks what: 70 % reads, 20 % chargers, 5 % the live feed and statuses, 5 % writes. One in a hundred requests pays
/// a booking; cars charge for 45 minutes on average, with a meter value a minute.
pub const MIX: &[Mixed] = &[
    mixed("rest-get-station", "`GET /v1/stations/{id}`", 20.0, (1.0, 0.0, 0.0)),
    mixed("rest-availability", "`GET /v1/stations/{id}/availability`", 10.0, (1.0, 0.0, 0.0)),
    mixed("rest-list-stations", "`GET /v1/stations`", 10.0, (1.0, 0.0, 0.0)),
    mixed("graphql-get-station", "`getStation`", 15.0, (0.0, 1.0, 0.0)),
    mixed("graphql-nearby", "`nearbyStations`", 15.0, (0.0, 1.0, 0.0)),
    mixed("ocpp-heartbeat", "OCPP heartbeat", 6.0, (0.0, 0.0, 2.0)),
    mixed("ocpp-meter-values", "OCPP meter values, told to the driver", 13.7, (0.0, 1.0, 2.0)),
    mixed("charge", "a charge: start, stop, bill, receipt", 0.3, (0.0, 3.0, 4.0)),
    mixed("ocpp-status", "OCPP status, told to the feed and to GraphQL", 2.0, (0.0, 1.0, 3.0)),
    mixed("live-subscribe", "`subscribe_station`", 3.0, (0.0, 0.0, 2.0)),
    mixed("rest-hold", "`POST /v1/bookings/holds`", 2.0, (1.0, 0.0, 0.0)),
    mixed("rest-confirm", "`POST /v1/bookings/confirm`, wallet", 0.5, (1.0, 0.0, 0.0)),
    mixed("rest-confirm-card", "`POST /v1/bookings/confirm`, card", 0.5, (2.0, 0.0, 0.0)),
    mixed("vendor-webhook", "a vendor's webhook", 2.0, (1.0, 0.0, 0.0)),
];

/// How often others are asked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Times {
    /// Statements by the Data API.
    pub data_api: f64,
    /// Round trips to Redis.
    pub redis: f64,
    /// Reads of DynamoDB, 4 KB at most, consistent.
    pub dynamodb_reads: f64,
    /// Writes to DynamoDB, 1 KB at most.
    pub dynamodb_writes: f64,
    /// `PutEvents`.
    pub events: f64,
    /// Messages sent to SQS by us or by a rule, each received and deleted in batches.
    pub messages: f64,
    /// The payment provider.
    pub provider: f64,
    /// Frames posted to WebSockets.
    pub posts: f64,
}

/// How long each of them lets a function wait, in milliseconds. Assumptions all: latencies that AWS does not promise.
pub const WAITING_MS: Times = Times {
    data_api: 105.0,
    redis: 1.0,
    dynamodb_reads: 5.0,
    dynamodb_writes: 6.0,
    events: 25.0,
    messages: 0.0,
    provider: 350.0,
    posts: 12.0,
};

impl Times {
    /// Adds `times` of another.
    pub fn add(&mut self, other: &Self, times: f64) {
        self.data_api += other.data_api * times;
        self.redis += other.redis * times;
        self.dynamodb_reads += other.dynamodb_reads * times;
        self.dynamodb_writes += other.dynamodb_writes * times;
        self.events += other.events * times;
        self.messages += other.messages * times;
        self.provider += other.provider * times;
        self.posts += other.posts * times;
    }

    /// How long all of it takes, one after another.
    pub fn waiting_ms(&self) -> f64 {
        self.data_api * WAITING_MS.data_api
            + self.redis * WAITING_MS.redis
            + self.dynamodb_reads * WAITING_MS.dynamodb_reads
            + self.dynamodb_writes * WAITING_MS.dynamodb_writes
            + self.events * WAITING_MS.events
            + self.messages * WAITING_MS.messages
            + self.provider * WAITING_MS.provider
            + self.posts * WAITING_MS.posts
    }
}

/// What a function asks of others.
#[derive(Debug, Clone, Copy)]
pub struct Asks {
    /// Its binary.
    pub function: &'static str,
    /// For each message of a batch, or for each invocation.
    pub each_message: bool,
    /// How often.
    pub times: Times,
}

const NOTHING: Times = Times {
    data_api: 0.0,
    redis: 0.0,
    dynamodb_reads: 0.0,
    dynamodb_writes: 0.0,
    events: 0.0,
    messages: 0.0,
    provider: 0.0,
    posts: 0.0,
};

const fn each(function: &'static str, times: Times) -> Asks {
    Asks { function, each_message: false, times }
}

const fn each_message(function: &'static str, times: Times) -> Asks {
    Asks { function, each_message: true, times }
}

/// One read in a hundred finds nothing in Redis.
const MISS: f64 = 0.01;

/// Every function that has part in the mix.
pub const ASKS: &[Asks] = &[
    each("rest-get-station", Times { data_api: MISS, redis: 2.0, ..NOTHING }),
    each("rest-station-availability", Times { data_api: MISS, redis: 2.0, ..NOTHING }),
    each("rest-list-stations", Times { data_api: MISS, redis: 2.0, ..NOTHING }),
    each("get-station", Times { data_api: MISS, redis: 2.0, ..NOTHING }),
    each("nearby-stations", Times { data_api: MISS, redis: 2.0, ..NOTHING }),
    each("rest-hold-slot", Times { data_api: MISS, redis: 3.0, events: 1.0, messages: 1.0, ..NOTHING }),
    // Written, and marked as published. What follows goes to three queues: bookings, charger, driver.
    each(
        "rest-confirm-booking",
        Times { data_api: 3.0, redis: 4.0, events: 1.0, messages: 3.0, provider: 1.0, ..NOTHING },
    ),
    each("webhook-connector-status", Times { messages: 1.0, ..NOTHING }),
    each_message("process-vendor-report", Times { data_api: 1.1, events: 0.1, messages: 0.2, ..NOTHING }),
    // Its charger is known by the connection, its answer is kept, and a report is one statement and one event.
    each(
        "ocpp-message",
        Times {
            data_api: 1.4,
            dynamodb_reads: 1.0,
            dynamodb_writes: 1.0,
            events: 0.7,
            messages: 1.4,
            ..NOTHING
        },
    ),
    each("live-message", Times { data_api: 0.0, dynamodb_writes: 2.0, posts: 1.0, ..NOTHING }),
    each_message("live-fan-out", Times { dynamodb_reads: 2.0, dynamodb_writes: 1.0, posts: 1.0, ..NOTHING }),
    each_message("refresh-cache", Times { data_api: 0.0, redis: 1.0, ..NOTHING }),
    each_message("track-bookings", Times { data_api: 1.0, redis: 1.0, ..NOTHING }),
    each_message("bill-session", Times { data_api: 2.0, events: 1.0, messages: 2.0, ..NOTHING }),
    each_message(
        "command-charger",
        Times { data_api: 1.0, dynamodb_reads: 1.0, dynamodb_writes: 1.0, posts: 1.0, ..NOTHING },
    ),
    each_message("notify", Times { data_api: 1.0, ..NOTHING }),
    each("stripe-webhook", Times { messages: 1.0, ..NOTHING }),
    each_message("settle-payment", Times { data_api: 2.0, provider: 1.0, ..NOTHING }),
    each("authorize-graphql", NOTHING),
    each("start-session", Times { data_api: 2.0, events: 1.0, messages: 1.0, ..NOTHING }),
    each("watch-session", Times { data_api: 1.0, ..NOTHING }),
    each(
        "ocpp-connect",
        Times { data_api: 2.0, dynamodb_writes: 1.0, events: 1.0, messages: 1.0, ..NOTHING },
    ),
    each(
        "ocpp-disconnect",
        Times { data_api: 2.0, dynamodb_writes: 1.0, events: 1.0, messages: 1.0, ..NOTHING },
    ),
    each("live-connect", Times { dynamodb_reads: 1.0, dynamodb_writes: 2.0, messages: 1.0, ..NOTHING }),
    each("live-disconnect", Times { dynamodb_reads: 1.0, dynamodb_writes: 2.0, ..NOTHING }),
    each("relay-outbox", Times { data_api: 1.0, ..NOTHING }),
    each("expire-calls", Times { data_api: 1.0, ..NOTHING }),
];

/// What one Aurora capacity unit has of a processor: an 8 ACU instance is about a db.r6g.large with two.
pub const CPUS_AN_ACU: f64 = 0.25;
/// How busy the database and Redis may be.
pub const BUSY: f64 = 0.6;
/// Redis uses one processor a shard. Three shards at least, each with a replica.
pub const LEAST_SHARDS: f64 = 3.0;
/// Of what is needed, what a quota should be.
pub const HEADROOM: f64 = 1.5;
/// What an invocation logs, in bytes: Lambda's own lines and one of ours.
pub const LOGGED_BYTES: f64 = 600.0;
/// X-Ray's own rule: one request a second and five of a hundred.
pub const TRACED: f64 = 0.05;
/// What an answer has, in bytes.
pub const ANSWER_BYTES: f64 = 2000.0;
/// Sockets that are open: chargers, and drivers who look at the live feed or at a subscription.
pub const CHARGERS: f64 = 300_000.0;
/// See [`CHARGERS`].
pub const ONLOOKERS: f64 = 100_000.0;
