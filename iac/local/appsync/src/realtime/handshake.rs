//! Finds the credentials of a WebSocket's opening request: a browser can set no headers on one.

use axum::http::Uri;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::auth::Headers;

/// The credentials as headers, from the second subprotocol (`header-<base64url>`) or the query (`header=<base64>`);
/// with them Amplify's custom headers, which are plain query parameters. `None` if there are none to be read.
pub(super) fn credentials(uri: &Uri, headers: &Headers) -> Option<Headers> {
    let query: Vec<(&str, String)> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        // `+` stays what it is: gql sends base64 as it stands.
        .map(|(name, value)| (name, percent_decode_str(value).decode_utf8_lossy().into_owned()))
        .collect();
    let in_protocol = headers.get("sec-websocket-protocol").and_then(|protocols| {
        protocols.split(',').find_map(|protocol| protocol.trim().strip_prefix("header-"))
    });
    let in_query = query.iter().find(|(name, _)| *name == "header").map(|(_, value)| value.as_str());
    let mut found = decode(in_protocol.or(in_query)?)?;
    for (name, value) in query {
        if !matches!(name, "header" | "payload") {
            found.entry(name.to_lowercase()).or_insert(value);
        }
    }
    Some(found)
}

fn decode(text: &str) -> Option<Headers> {
    let standard: String = text
        .trim_end_matches('=')
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            letter => letter,
        })
        .collect();
    let json = STANDARD_NO_PAD.decode(standard).ok()?;
    Some(lower_case(&serde_json::from_slice(&json).ok()?))
}

/// Apollo's link sends `x-api-key` and `X-Api-Key`.
pub(super) fn lower_case(headers: &Map<String, Value>) -> Headers {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_lowercase(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn read(uri: &str, protocol: &str) -> Option<Headers> {
        let headers = [("sec-websocket-protocol".to_owned(), protocol.to_owned())].into();
        credentials(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn credentials_are_found_in_the_subprotocol_and_in_the_query() {
        // {"Authorization":"~~?>","host":"localhost:9400"}: both alphabets' special letters.
        let standard = "eyJBdXRob3JpemF0aW9uIjoifn4/PiIsImhvc3QiOiJsb2NhbGhvc3Q6OTQwMCJ9";
        let url_safe = standard.replace('/', "_").replace('+', "-");
        let expected: Headers = [("authorization", "~~?>"), ("host", "localhost:9400")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        assert_eq!(read("/graphql/realtime", &format!("graphql-ws, header-{url_safe}")).unwrap(), expected);
        assert_eq!(
            read(&format!("/graphql?header={standard}&payload=e30="), "graphql-ws").unwrap(),
            expected
        );
        let encoded = standard.replace('/', "%2F");
        assert_eq!(
            read(&format!("/graphql?header={encoded}&payload=e30%3D"), "graphql-ws").unwrap(),
            expected
        );
        assert_eq!(
            read(&format!("/graphql?header={standard}&X-Trace=7"), "graphql-ws").unwrap()["x-trace"],
            "7"
        );
        for bad in ["/graphql", "/graphql?header=!!!", "/graphql?header=bm9wZQ=="] {
            assert_eq!(read(bad, "graphql-ws"), None, "{bad}");
        }
    }
}
