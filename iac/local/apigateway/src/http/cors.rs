//! `CorsConfiguration`: the answer to preflights, and the headers on every other response, whatever the function
//! set.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lambda_host::scalar;
use serde::Deserialize;

/// `true` is every origin.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum CorsConfiguration {
    All(bool),
    Some(Settings),
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Settings {
    allow_origins: Vec<String>,
    allow_headers: Vec<String>,
    allow_methods: Vec<String>,
    expose_headers: Vec<String>,
    #[serde(deserialize_with = "scalar::optional")]
    max_age: Option<u32>,
    #[serde(deserialize_with = "scalar::optional")]
    allow_credentials: Option<bool>,
}

#[derive(Debug, Clone)]
pub(super) struct Cors {
    origins: Vec<String>,
    credentials: bool,
    preflight: HeaderMap,
    exposed: Option<HeaderValue>,
}

fn list(names: &[String]) -> Result<Option<HeaderValue>, String> {
    if names.is_empty() {
        return Ok(None);
    }
    HeaderValue::try_from(names.join(",")).map(Some).map_err(|_| format!("{names:?} is no list of names"))
}

/// What a response to a request that is no preflight may say.
const SIMPLE: [HeaderName; 3] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// `*`, `https://*`, `http://*`, or scheme and host, and the port where it is not the scheme's.
fn is_origin(text: &str) -> bool {
    match text.split_once("://") {
        Some((scheme, host)) => {
            let is_host = !host.is_empty() && !host.contains(['*', '/', ' ']);
            !scheme.is_empty() && (is_host || (host == "*" && ["http", "https"].contains(&scheme)))
        }
        None => text == "*",
    }
}

impl Cors {
    pub(super) fn new(configuration: CorsConfiguration) -> Result<Self, String> {
        let settings = match configuration {
            CorsConfiguration::All(true) => {
                Settings { allow_origins: vec!["*".to_owned()], ..Settings::default() }
            }
            CorsConfiguration::All(false) => Settings::default(),
            CorsConfiguration::Some(settings) => settings,
        };
        let credentials = settings.allow_credentials == Some(true);
        if credentials && settings.allow_origins.iter().any(|origin| origin == "*") {
            return Err("AllowCredentials needs origins other than *".to_owned());
        }
        if let Some(origin) = settings.allow_origins.iter().find(|origin| !is_origin(origin)) {
            return Err(format!("{origin:?} is no origin; * stands for all, or for all of one scheme"));
        }
        let mut preflight = HeaderMap::new();
        if let Some(names) = list(&settings.allow_headers)? {
            preflight.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        if let Some(names) = list(&settings.allow_methods)? {
            preflight.insert(header::ACCESS_CONTROL_ALLOW_METHODS, names);
        }
        if let Some(seconds) = settings.max_age {
            preflight.insert(header::ACCESS_CONTROL_MAX_AGE, seconds.into());
        }
        let exposed = list(&settings.expose_headers)?;
        Ok(Self { origins: settings.allow_origins, credentials, preflight, exposed })
    }

    /// The header value for a request's origin, if it is allowed.
    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        let of_all = |pattern: &str| pattern.strip_suffix('*').is_some_and(|scheme| text.starts_with(scheme));
        let pattern = self.origins.iter().find(|allowed| *allowed == text || of_all(allowed))?;
        Some(if pattern == "*" { HeaderValue::from_static("*") } else { origin.clone() })
    }

    /// The answer to a preflight, which reaches no function.
    pub(super) fn preflight(&self, method: &Method, request: &HeaderMap) -> Option<Response> {
        let is_preflight = method == Method::OPTIONS
            && request.contains_key(header::ORIGIN)
            && request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        if self.allowed(request).is_some() {
            response.headers_mut().extend(self.preflight.clone());
        }
        self.apply(request, response.headers_mut());
        Some(response)
    }

    /// Sets the headers of a response, in the place of those that its function set.
    pub(super) fn apply(&self, request: &HeaderMap, response: &mut HeaderMap) {
        for name in SIMPLE {
            response.remove(name);
        }
        let Some(origin) = self.allowed(request) else { return };
        let mut set = |name: HeaderName, value: HeaderValue| drop(response.insert(name, value));
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            set(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(exposed) = &self.exposed {
            set(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }
}
