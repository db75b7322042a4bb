//! Requests that want the door to work hard, to tell what it should not, or to fall over. All are refused for what they
//! are: they come with a driver's good token.

use std::fmt::Write;
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::Result;

/// One request, by what is wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Hostile {
    pub(super) what: &'static str,
    pub(super) method: Method,
    /// Content type and content encoding.
    pub(super) content: (&'static str, Option<&'static str>),
    pub(super) body: Bytes,
}

const JSON: &str = "application/json";
/// AppSync takes no larger request.
const MEGABYTE: usize = 1 << 20;

/// A field that anybody may ask, and that one function answers.
pub(super) const CHEAP: &str = "plans { id }";
const START: &str = "mutation($input: StartSessionInput!) { startSession(input: $input) { id } }";

/// Everything that is to be refused.
pub(super) fn corpus() -> Result<Vec<Hostile>> {
    let mut corpus = deep();
    corpus.extend(wide());
    corpus.extend(fragments());
    corpus.extend(curious());
    corpus.extend(wrong());
    corpus.extend(values());
    corpus.extend(bodies()?);
    Ok(corpus)
}

/// `count` aliases of a field, each another.
pub(super) fn aliases(count: usize, field: &str) -> String {
    joined(count, |number| format!("a{number}: {field} "))
}

fn joined(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut whole, number| {
        let _ = whole.write_str(&part(number));
        whole
    })
}

fn document(what: &'static str, query: impl AsRef<str>) -> Hostile {
    with(what, query, &json!({}))
}

fn with(what: &'static str, query: impl AsRef<str>, variables: &Value) -> Hostile {
    raw(what, JSON, json!({ "query": query.as_ref(), "variables": variables }).to_string())
}

fn raw(what: &'static str, content_type: &'static str, body: impl Into<Bytes>) -> Hostile {
    Hostile { what, method: Method::POST, content: (content_type, None), body: body.into() }
}

/// `inner` in so many layers.
fn layers(depth: usize, open: &str, inner: &str, close: &str) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

fn deep() -> Vec<Hostile> {
    let money =
        joined(50, |level| format!("fragment F{level} on Money {{ amount {{ ...F{} }} }} ", level + 1));
    vec![
        document(
            "50 levels",
            format!(
                "{{ listInvoices {{ edges {{ node {{ {} }} }} }} }}",
                layers(47, "amount { ", "amount", " }")
            ),
        ),
        document(
            "50 levels by fragments",
            format!(
                "{{ listInvoices {{ edges {{ node {{ amount {{ ...F0 }} }} }} }} }} {money} fragment F50 on Money {{ amount }}"
            ),
        ),
        document("5,000 levels", layers(5_000, "{ me ", "", "}")),
        document(
            "5,000 levels of inline fragments",
            format!("{{ {} }}", layers(5_000, "... { ", CHEAP, " }")),
        ),
        document("an input object 5,000 deep", start(&layers(5_000, "{stationId: ", "1", "}"))),
        document("an input object 50 deep", start(&layers(50, "{stationId: ", "1", "}"))),
        document("a list literal 5,000 deep", start(&layers(5_000, "[", "1", "]"))),
        document("a list literal 50 deep", start(&layers(50, "[", "1", "]"))),
        document(
            "a variable's type 5,000 deep",
            format!("query($v: {}) {{ {CHEAP} }}", layers(5_000, "[", "ID", "]")),
        ),
        with("a list variable 100 deep", START, &json!({ "input": nested(100, &|inner| json!([inner])) })),
        with(
            "an object variable 100 deep",
            START,
            &json!({ "input": nested(100, &|inner| json!({ "stationId": inner })) }),
        ),
        raw("a list variable 10,000 deep", JSON, variables(&layers(10_000, "[", "", "]"))),
        raw("an object variable 10,000 deep", JSON, variables(&layers(10_000, "{\"stationId\":", "1", "}"))),
    ]
}

fn start(input: &str) -> String {
    format!("mutation {{ startSession(input: {input}) {{ id }} }}")
}

fn variables(input: &str) -> String {
    format!("{{\"query\":{},\"variables\":{{\"input\":{input}}}}}", json!(START))
}

fn nested(depth: usize, around: &dyn Fn(Value) -> Value) -> Value {
    (0..depth).fold(json!(1), |inner, _| around(inner))
}

/// Most have few enough tokens to be understood, and are then wrong a thousand times.
fn wide() -> Vec<Hostile> {
    let many = |open: &str, count: usize, part: &dyn Fn(usize) -> String, close: &str| {
        format!("{open}{}{close}", joined(count, part))
    };
    vec![
        document("10,000 aliases", format!("{{ {} }}", aliases(10_000, CHEAP))),
        document(
            "10,000 aliases of a mutation",
            format!("mutation {{ {} }}", aliases(10_000, "logout(refreshToken: \"x\")")),
        ),
        document("10,000 directives", many("{ plans ", 10_000, &|_| "@skip(if: false) ".into(), "{ id } }")),
        document(
            "3,000 unknown directives",
            many("{ plans ", 3_000, &|number| format!("@d{number} "), "{ id } }"),
        ),
        document(
            "1,000 directives that may stand once",
            many("{ plans ", 1_000, &|_| "@skip(if: false) ".into(), "{ id } }"),
        ),
        document("4,000 unknown fields", many("{ ", 4_000, &|number| format!("f{number} "), "}")),
        document(
            "2,000 fields without their selection",
            many("{ ", 2_000, &|number| format!("a{number}: plans "), "}"),
        ),
        document(
            "2,000 unused variables",
            many("query(", 2_000, &|number| format!("$v{number}: ID "), &format!(") {{ {CHEAP} }}")),
        ),
        document(
            "2,000 unknown arguments",
            many("{ plans(", 2_000, &|number| format!("v{number}: 1 "), ") { id } }"),
        ),
        document(
            "400 fields that contradict each other",
            many("{ ", 400, &|number| format!("s: getStation(id: \"{number}\") {{ id }} "), "}"),
        ),
        document("1,000 operations", many("", 1_000, &|number| format!("query Q{number} {{ plans }} "), "")),
        document("a name of 100 kB", format!("{{ {} }}", "a".repeat(100_000))),
        document("900 kB of blanks", format!("{{ {} nothing }}", " ".repeat(900_000))),
        document("900 kB of comments", format!("{} {{ nothing }}", "#\n".repeat(300_000))),
        document(
            "a number of 100,000 digits",
            format!("{{ listInvoices(first: {}) {{ edges {{ cursor }} }} }}", "9".repeat(100_000)),
        ),
    ]
}

fn fragments() -> Vec<Hostile> {
    let chain = |count: usize, part: &dyn Fn(usize) -> String| joined(count, part);
    let bomb = chain(24, &|level| format!("fragment F{level} on Query {{ ...F{0} ...F{0} }} ", level + 1));
    let tens = |of: &str| joined(10, |number| format!("x{number}: {of} "));
    let aliased = format!(
        "{{ {} }} fragment E on InvoiceConnection {{ {} }} fragment N on InvoiceEdge {{ {} }} \
         fragment L on Invoice {{ {} }} fragment A on InvoiceLine {{ {} }}",
        tens("listInvoices { ...E }"),
        tens("edges { ...N }"),
        tens("node { ...L }"),
        tens("lines { ...A }"),
        tens("amount { amount }"),
    );
    let cycle =
        chain(500, &|number| format!("fragment C{number} on Query {{ ...C{} }} ", (number + 1) % 500));
    vec![
        document(
            "2^24 fields by fragments",
            format!("{{ ...F0 }} {bomb} fragment F24 on Query {{ {CHEAP} }}"),
        ),
        document("100,000 fields by fragments", aliased),
        document("a fragment in itself", "{ ...A } fragment A on Query { ...A }"),
        document(
            "two fragments in each other",
            format!("{{ ...A }} fragment A on Query {{ ...B }} fragment B on Query {{ {CHEAP} ...A }}"),
        ),
        document("500 fragments in a circle", format!("{{ ...C0 }} {cycle}")),
        document(
            "500 unused fragments",
            format!(
                "{{ {CHEAP} }} {}",
                chain(500, &|number| format!("fragment U{number} on Query {{ {CHEAP} }} "))
            ),
        ),
        document(
            "1,000 unknown fragments",
            format!("{{ {} }}", chain(1_000, &|number| format!("...U{number} "))),
        ),
        document(
            "a fragment on a type that is not",
            format!("{{ ...A }} fragment A on Secret {{ {CHEAP} }}"),
        ),
        document("a fragment on another type", "{ ...A } fragment A on Money { amount }"),
    ]
}

/// Introspection, which is off in production.
fn curious() -> Vec<Hostile> {
    let types = "types { name fields { name type { name ofType { name } } } }";
    vec![
        document("__schema", format!("{{ __schema {{ {types} }} }}")),
        document("__type", "{ __type(name: \"Query\") { name fields { name } } }"),
        document("__schema by another name", format!("{{ plans: __schema {{ {types} }} }}")),
        document("__schema beside a field", format!("{{ {CHEAP} s: __schema {{ queryType {{ name }} }} }}")),
        document(
            "__schema in a fragment",
            format!("{{ ...A }} fragment A on Query {{ ... on Query {{ __schema {{ {types} }} }} }}"),
        ),
        document(
            "__type in a fragment",
            "{ ...A } fragment A on Query { t: __type(name: \"User\") { name } }",
        ),
        document(
            "__schema that is skipped",
            format!("{{ {CHEAP} __schema @skip(if: true) {{ queryType {{ name }} }} }}"),
        ),
        with(
            "__schema if a variable says so",
            "query($yes: Boolean!) { __schema @include(if: $yes) { queryType { name } } }",
            &json!({ "yes": true }),
        ),
        document("__schema of a mutation", "mutation { __schema { queryType { name } } }"),
        document(
            "__schema in an operation that is not run",
            format!("query A {{ {CHEAP} }} query B {{ __schema {{ queryType {{ name }} }} }}"),
        ),
        document("__schema below a field", "{ plans { __schema { queryType { name } } } }"),
    ]
}

/// Documents that mean nothing.
fn wrong() -> Vec<Hostile> {
    vec![
        document("a field that is not", "{ passwords { hash } }"),
        document("a field of a field that is not", "{ plans { id secret } }"),
        document("an argument that is not", "{ plans(all: true) { id } }"),
        document("an argument twice", "{ getStation(id: \"1\", id: \"2\") { id } }"),
        document("no argument", "{ getStation { id } }"),
        document("a variable that is not declared", "{ getStation(id: $id) { id } }"),
        document("a key twice in a literal", start("{stationId: \"1\", stationId: \"2\"}")),
        document("an operation's name twice", format!("query A {{ {CHEAP} }} query A {{ {CHEAP} }}")),
        document("two operations and no name", format!("query A {{ {CHEAP} }} query B {{ {CHEAP} }}")),
        raw(
            "the name of another operation",
            JSON,
            json!({ "query": format!("query A {{ {CHEAP} }}"), "operationName": "B" }).to_string(),
        ),
        document("an operation without a name beside one", format!("{{ {CHEAP} }} query B {{ {CHEAP} }}")),
        document("fragments alone", format!("fragment A on Query {{ {CHEAP} }}")),
        document("types", "type Query { plans: Int } extend type Money { secret: String }"),
        document("nothing", ""),
        document("a comment", "# { plans { id } }"),
        document(
            "a subscription",
            "subscription { onSessionStatusChanged(sessionId: \"018f4c6e-0000-7000-8000-000000000001\") { status } }",
        ),
        document("50,000 braces", "{".repeat(50_000)),
        document("500,000 exclamation marks", "!".repeat(500_000)),
        document("10,000 syntax errors", "{ a( } ".repeat(10_000)),
        document("a string without end", format!("{{ getStation(id: \"{}) {{ id }} }}", "x".repeat(500_000))),
        document(
            "a block string without end",
            format!("{{ getStation(id: \"\"\"{}) {{ id }} }}", "\n".repeat(500_000)),
        ),
        document(
            "100,000 bad escapes",
            format!("{{ getStation(id: \"{}\") {{ id }} }}", "\\q".repeat(100_000)),
        ),
        document("a NUL", "{ plans\0 { id } }"),
        document("10,000 NULs", "\0".repeat(10_000)),
        document("odd spaces", "{\u{2028}plans\u{a0}{ id } }"),
    ]
}

/// Variables that are not what they should be.
fn values() -> Vec<Hostile> {
    let list = "query($status: [ID!]!, $id: ID!) { getStation(id: $id) { id } }";
    vec![
        with("no value for a variable", START, &json!({})),
        with("null for a variable", START, &json!({ "input": null })),
        with("text for an object", START, &json!({ "input": "x".repeat(500_000) })),
        with("10,000 keys for an object", START, &json!({ "input": keys(10_000) })),
        with(
            "100,000 items for a text",
            "query($id: ID!) { getStation(id: $id) { id } }",
            &json!({ "id": vec![0; 100_000] }),
        ),
        with("an unused list", list, &json!({ "status": vec!["x"; 50_000], "id": "1" })),
        with(
            "a variable of another type",
            "query($id: Int!) { getStation(id: $id) { id } }",
            &json!({ "id": 1 }),
        ),
        with(
            "a variable of a type that is not",
            "query($id: Secret!) { getStation(id: $id) { id } }",
            &json!({ "id": 1 }),
        ),
        with(
            "a variable of a type that is no input",
            "query($id: Query!) { getStation(id: $id) { id } }",
            &json!({ "id": 1 }),
        ),
        with(
            "a number beyond all numbers",
            "query($first: Int) { listInvoices(first: $first) { edges { cursor } } }",
            &json!({ "first": 1e300 }),
        ),
        with(
            "variables of more than 1 MB",
            START,
            &json!({ "input": { "stationId": "x".repeat(MEGABYTE) } }),
        ),
        with("variables of 4 MB", START, &json!({ "input": { "stationId": "x".repeat(4 * MEGABYTE) } })),
        document("a query of more than 1 MB", format!("{{ {CHEAP} {} }}", " ".repeat(MEGABYTE))),
    ]
}

fn keys(count: usize) -> Value {
    (0..count).map(|number| (format!("k{number}"), json!(number))).collect::<serde_json::Map<_, _>>().into()
}

/// Bodies that are no request.
fn bodies() -> Result<Vec<Hostile>> {
    let query = format!("{{ {CHEAP} }}");
    let good = json!({ "query": query }).to_string();
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut corpus = vec![
        raw("a batch", JSON, format!("[{good},{good}]")),
        raw("an empty batch", JSON, "[]"),
        raw("a list of a request's values", JSON, json!([query, {}, null]).to_string()),
        raw("no body", JSON, ""),
        raw("null", JSON, "null"),
        raw("a text", JSON, json!(query).to_string()),
        raw("no query", JSON, "{}"),
        raw("null as query", JSON, "{\"query\":null}"),
        raw("a number as query", JSON, "{\"query\":1}"),
        raw("a list as variables", JSON, json!({ "query": query, "variables": [] }).to_string()),
        raw("a text as variables", JSON, json!({ "query": query, "variables": "{}" }).to_string()),
        raw("an object as operation name", JSON, json!({ "query": query, "operationName": {} }).to_string()),
        raw("the query twice", JSON, format!("{{\"query\":{0},\"query\":{0}}}", json!(query))),
        raw("half a body", JSON, good[..good.len() / 2].to_owned()),
        raw("a body and more", JSON, format!("{good}{good}")),
        raw("10,000 brackets", JSON, "[".repeat(10_000)),
        raw("a raw NUL", JSON, good.replace("plans", "pla\0ns")),
        raw("half a surrogate pair", JSON, "{\"query\":\"{ plans { id } } # \\ud800\"}"),
        raw("UTF-16", JSON, utf16),
        raw(
            "bytes that are no UTF-8",
            JSON,
            [&b"{\"query\":\"{ plans { id } } # "[..], &[0xff, 0xfe, 0xc0, 0x80], b"\"}"].concat(),
        ),
        raw("GraphQL as it is", "application/graphql", query.clone()),
        raw("GraphQL as text", "text/plain", query.clone()),
        raw("a form", "application/x-www-form-urlencoded", "query=%7B%20plans%20%7B%20id%20%7D%20%7D"),
        raw(
            "a form of parts",
            "multipart/form-data; boundary=x",
            format!("--x\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{good}\r\n--x--\r\n"),
        ),
    ];
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![b' '; 64 * MEGABYTE])?;
    packed.write_all(good.as_bytes())?;
    corpus.push(Hostile { content: (JSON, Some("gzip")), ..raw("64 MB, packed", JSON, packed.finish()?) });
    corpus.push(Hostile { method: Method::GET, ..raw("GET", JSON, "") });
    Ok(corpus)
}
