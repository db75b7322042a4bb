//! An HTTP API as its clients and functions see it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;

use apigateway::http::{Api, ApiDefinition, Options};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use support::{Functions, arc, function, stack};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

fn event(method: &str, path: &str) -> String {
    format!(
        "      Events:\n        Route:\n          Type: HttpApi\n          Properties:\n            ApiId: !Ref Api\n            \
         Method: {method}\n            Path: {path}\n"
    )
}

fn resources(api: &str) -> String {
    let api = format!(
        "  Api:\n    Type: AWS::Serverless::HttpApi\n    Properties:\n      StageName: $default\n{api}"
    );
    let functions = [
        function("GetStation", &event("GET", "/v1/stations/{id}")),
        function("Webhook", &event("POST", "/webhooks/{proxy+}")),
        function("Broken", &event("GET", "/broken")),
        function("ReleaseHold", &event("DELETE", "/v1/bookings/holds/{token}")),
    ];
    format!("{api}{}", functions.concat())
}

const CORS: &str = "      CorsConfiguration:\n        AllowOrigins: [https://app.example]\n        AllowMethods: [GET, POST]\n        \
                    AllowHeaders: [authorization]\n        ExposeHeaders: [etag]\n        MaxAge: 600\n        AllowCredentials: true\n";

async fn open(functions: Arc<Functions>, api: &str, options: Options) -> String {
    let definition = ApiDefinition::from_stack(&stack(&resources(api))).unwrap().unwrap();
    let api = Api::new(definition, functions, options);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { api.serve(listener, CancellationToken::new()).await });
    address
}

async fn refused(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn requests_and_responses() {
    let functions = arc(Functions::default()
        .on("GetStation", async |event| {
            Some(match event["pathParameters"]["id"].as_str().unwrap() {
                "formatted" => json!({
                    "statusCode": 201,
                    "headers": {"Content-Type": "text/html", "x-count": 3},
                    "cookies": ["a=1; HttpOnly", "b=2"],
                    "body": "PGI+",
                    "isBase64Encoded": true,
                }),
                "bare" => json!({"statusCode": 200, "body": "text"}),
                "text" => json!("just text"),
                "wrong" => json!({"statusCode": "many"}),
                _ => json!({"id": event["pathParameters"]["id"]}),
            })
        })
        .on("Webhook", async |event| Some(json!({"statusCode": 200, "body": event["body"]})))
        .on("Broken", async |_| None)
        .on("ReleaseHold", async |event| Some(json!({"released": event["pathParameters"]["token"]}))));
    let address = open(functions.clone(), "", Options { max_body: 1000 }).await;
    let http = Client::new();
    let get = |path: &str| http.get(format!("{address}{path}")).send();

    let response = http
        .get(format!("{address}/v1/stations/a%20b?x=1&x=2&y=p%20q"))
        .header("X-Many", "1")
        .header("X-Many", "2")
        .header("Cookie", "s=1; t=2")
        .header("User-Agent", "app/1")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"id": "a b"}));
    let event = &functions.events("GetStation")[0];
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "GET /v1/stations/{id}");
    assert_eq!(event["rawPath"], "/v1/stations/a%20b");
    assert_eq!(event["rawQueryString"], "x=1&x=2&y=p%20q");
    assert_eq!(event["queryStringParameters"], json!({"x": "1,2", "y": "p q"}));
    assert_eq!(event["cookies"], json!(["s=1", "t=2"]));
    assert_eq!((&event["headers"]["x-many"], &event["headers"]["cookie"]), (&json!("1,2"), &Value::Null));
    let context = &event["requestContext"];
    assert_eq!(context["http"]["method"], "GET");
    assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["http"]["userAgent"], "app/1");
    assert_eq!(context["http"]["protocol"], "HTTP/1.1");
    assert_eq!((&context["stage"], &context["accountId"]), (&json!("$default"), &json!("000000000000")));
    assert_eq!(event.get("body"), None);

    let formatted = get("/v1/stations/formatted").await.unwrap();
    assert_eq!(formatted.status(), 201);
    let headers = formatted.headers();
    assert_eq!(
        (&headers["content-type"], &headers["x-count"]),
        (&"text/html".parse().unwrap(), &"3".parse().unwrap())
    );
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1; HttpOnly", "b=2"]);
    assert_eq!(formatted.text().await.unwrap(), "<b>");
    let bare = get("/v1/stations/bare").await.unwrap();
    assert_eq!(bare.headers()["content-type"], "text/plain;charset=utf-8");
    assert_eq!(get("/v1/stations/text").await.unwrap().text().await.unwrap(), "just text");

    let failed = (500, json!({"message": "Internal Server Error"}));
    assert_eq!(refused(get("/v1/stations/wrong").await.unwrap()).await, failed);
    assert_eq!(refused(get("/broken").await.unwrap()).await, failed);
    for path in ["/", "/v1/stations", "/v1/stations/a/b"] {
        assert_eq!(refused(get(path).await.unwrap()).await, (404, json!({"message": "Not Found"})), "{path}");
    }
    let released = http.delete(format!("{address}/v1/bookings/holds/hold_1_abc")).send().await.unwrap();
    assert_eq!(released.json::<Value>().await.unwrap(), json!({"released": "hold_1_abc"}));
    assert_eq!(http.delete(format!("{address}/broken")).send().await.unwrap().status(), 404);

    // Bodies.
    let post = |kind: &'static str, body: Vec<u8>| {
        http.post(format!("{address}/webhooks/stripe/v1")).header("content-type", kind).body(body).send()
    };
    post("application/json; charset=utf-8", br#"{"a":1}"#.to_vec()).await.unwrap();
    post("application/octet-stream", vec![0, 255]).await.unwrap();
    post("application/x-www-form-urlencoded", b"a=1".to_vec()).await.unwrap();
    let events = functions.events("Webhook");
    let bodies: Vec<_> = events.iter().map(|event| (&event["body"], &event["isBase64Encoded"])).collect();
    assert_eq!(
        bodies,
        [
            (&json!("{\"a\":1}"), &json!(false)),
            (&json!("AP8="), &json!(true)),
            (&json!("YT0x"), &json!(true))
        ]
    );
    assert_eq!(events[0]["pathParameters"], json!({"proxy": "stripe/v1"}));
    let too_large = post("text/plain", vec![b'x'; 1001]).await.unwrap();
    assert_eq!(refused(too_large).await, (413, json!({"message": "Request Entity Too Large"})));
}

#[tokio::test]
async fn pages_of_other_origins() {
    let functions = arc(Functions::default().returning(
        "GetStation",
        json!({"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "https://function.example"}}),
    ));
    let address = open(functions.clone(), CORS, Options::default()).await;
    let http = Client::new();
    let ask = |method: Method, origin: &'static str| {
        let request = http.request(method, format!("{address}/v1/stations/1")).header("origin", origin);
        request.header("access-control-request-method", "GET").send()
    };
    let preflight = ask(Method::OPTIONS, "https://app.example").await.unwrap();
    assert_eq!(preflight.status(), 204);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-methods", "GET,POST"),
        ("access-control-allow-headers", "authorization"),
        ("access-control-max-age", "600"),
        ("access-control-allow-credentials", "true"),
    ] {
        assert_eq!(preflight.headers()[name], value);
    }
    let foreign = ask(Method::OPTIONS, "https://evil.example").await.unwrap();
    assert!(!foreign.headers().keys().any(|name| name.as_str().starts_with("access-control")));
    assert!(functions.events("GetStation").is_empty());
    let answer = ask(Method::GET, "https://app.example").await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://app.example");
    assert_eq!(answer.headers()["access-control-expose-headers"], "etag");
    let answer = ask(Method::GET, "https://evil.example").await.unwrap();
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    // No page asks, so that nothing is said, whatever the function says.
    let answer = http.get(format!("{address}/v1/stations/1")).send().await.unwrap();
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    // What the gateway itself answers, a page may read, too.
    let nothing = http.get(format!("{address}/nothing")).header("origin", "https://app.example");
    let nothing = nothing.send().await.unwrap();
    assert_eq!(
        (nothing.status().as_u16(), nothing.headers().contains_key("access-control-allow-origin")),
        (404, true)
    );
    // A preflight is told by both of its headers.
    let options = http.request(Method::OPTIONS, format!("{address}/v1/stations/1"));
    assert_eq!(options.header("origin", "https://app.example").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_scheme_may_be_allowed_whole() {
    let functions = arc(Functions::default().returning("GetStation", json!({"statusCode": 200})));
    let address =
        open(functions, &CORS.replace("https://app.example", "https://*"), Options::default()).await;
    let http = Client::new();
    for (origin, allowed) in [("https://any.example", true), ("http://any.example", false), ("null", false)] {
        let request = http.get(format!("{address}/v1/stations/1")).header("origin", origin);
        let answer = request.send().await.unwrap();
        let named = answer.headers().get("access-control-allow-origin");
        assert_eq!(named.map(|value| value.to_str().unwrap()), allowed.then_some(origin));
    }
}

#[tokio::test]
async fn what_is_over_the_limit_is_refused() {
    let functions = arc(Functions::default().returning("GetStation", json!({"statusCode": 200})));
    let http = Client::new();
    let limits = "      DefaultRouteSettings: {ThrottlingBurstLimit: 2, ThrottlingRateLimit: 0.001}\n";
    let address = open(functions, limits, Options::default()).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(refused_or_ok(http.get(format!("{address}/v1/stations/1")).send().await.unwrap()).await);
    }
    assert_eq!(
        codes,
        [(200, String::new()), (200, String::new()), (429, r#"{"message":"Too Many Requests"}"#.to_owned())]
    );
}

#[tokio::test]
async fn a_route_with_limits_of_its_own_is_under_no_others() {
    let ok = || json!({"statusCode": 200});
    let functions = arc(Functions::default().returning("GetStation", ok()).returning("ReleaseHold", ok()));
    let limits = "      DefaultRouteSettings: {ThrottlingBurstLimit: 1, ThrottlingRateLimit: 0.001}\n      \
                  RouteSettings: {'DELETE /v1/bookings/holds/{token}': {ThrottlingBurstLimit: 2, \
                  ThrottlingRateLimit: 0.001}}\n";
    let address = open(functions, limits, Options::default()).await;
    let http = Client::new();
    let mut statuses = Vec::new();
    for (method, path) in [(Method::DELETE, "/v1/bookings/holds/a"), (Method::GET, "/v1/stations/1")] {
        for _ in 0..3 {
            let request = http.request(method.clone(), format!("{address}{path}"));
            statuses.push(request.send().await.unwrap().status().as_u16());
        }
    }
    assert_eq!(statuses, [200, 200, 429, 200, 429, 429]);
}

async fn refused_or_ok(response: Response) -> (u16, String) {
    (response.status().as_u16(), response.text().await.unwrap())
}

#[test]
fn origins_that_are_none_are_refused() {
    for (origins, is_fine) in [
        ("['https://a.example', 'http://localhost:5173', 'http://*', 'https://*']", true),
        ("['*']", false),
        ("['http://localhost:*']", false),
        ("['https://*.example']", false),
        ("['https://a.example/']", false),
        ("[a.example]", false),
    ] {
        let text = resources(&CORS.replace("[https://app.example]", origins));
        let definition = ApiDefinition::from_stack(&stack(&text));
        let place = definition.err().map(|error| error.place);
        let expected = (!is_fine).then(|| "Resources.Api.Properties.CorsConfiguration".to_owned());
        assert_eq!(place, expected, "{origins}");
    }
}

#[test]
fn what_the_door_does_not_do_is_refused_by_name() {
    for (from, to, place) in [
        ("StageName: $default", "StageName: $default\n      Auth: {}", "Resources.Api.Properties"),
        (
            "StageName: $default",
            "StageName: $default\n      RouteSettings: {GET /other: {ThrottlingBurstLimit: 1}}",
            "Resources.Api.Properties.RouteSettings",
        ),
        (
            "Path: /broken",
            "Path: /broken\n            Auth: {}",
            "Resources.Broken.Properties.Events.Route.Properties",
        ),
        ("Path: /broken", "Path: broken", "Resources.Broken.Properties.Events.Route.Properties"),
        ("Path: /broken", "Path: /broken\n            PayloadFormatVersion: '1.0'", "PayloadFormatVersion"),
        ("Path: /broken", "Path: '/v1/stations/{other}'", "Resources.GetStation"),
    ] {
        let text = resources("");
        assert!(text.contains(from), "{from}");
        let error = ApiDefinition::from_stack(&stack(&text.replace(from, to))).unwrap_err();
        assert!(error.place.contains(place), "{error}");
    }
}
