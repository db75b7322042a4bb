//! Which route a request takes: the most specific path, its own method before `ANY`, `$default` last.

use std::collections::BTreeMap;

use axum::http::Method;

use crate::integration::Integration;
use crate::query::decode;

#[derive(Debug, Clone, Default)]
pub(super) struct Routes {
    /// The most specific first.
    routes: Vec<Route>,
    default: Option<Integration>,
}

#[derive(Debug, Clone)]
struct Route {
    /// As `GET /stations/{id}`.
    key: String,
    /// None is `ANY`.
    method: Option<Method>,
    segments: Vec<Segment>,
    integration: Integration,
}

/// Ordered by how specific it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter(String),
    Greedy(String),
}

/// The route of a request, and what its path says.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) route_key: &'a str,
    pub(super) integration: &'a Integration,
    pub(super) parameters: BTreeMap<&'a str, String>,
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        let Some(braced) = text.strip_prefix('{') else {
            return match text.contains(['{', '}']) {
                true => Err(format!("{text:?} is no path segment")),
                false => Ok(Self::Literal(text.to_owned())),
            };
        };
        let name = braced.strip_suffix('}').ok_or_else(|| format!("{text:?} is not closed"))?;
        Ok(match name.strip_suffix('+') {
            Some(name) => Self::Greedy(name.to_owned()),
            None => Self::Parameter(name.to_owned()),
        })
    }

    /// For sorting: names do not matter.
    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Parameter(_) => 1,
            Self::Greedy(_) => 2,
        }
    }
}

impl Route {
    fn rank(&self) -> (Vec<u8>, bool) {
        (self.segments.iter().map(Segment::rank).collect(), self.method.is_none())
    }

    fn matches(&self, method: &Method, path: &[&str]) -> Option<BTreeMap<&str, String>> {
        if self.method.as_ref().is_some_and(|own| own != method) {
            return None;
        }
        let mut parameters = BTreeMap::new();
        let mut rest = path;
        for segment in &self.segments {
            let (first, after) = rest.split_first()?;
            match segment {
                Segment::Literal(text) if decode(first) == *text => {}
                Segment::Literal(_) => return None,
                Segment::Parameter(_) if first.is_empty() => return None,
                Segment::Parameter(name) => {
                    parameters.insert(name.as_str(), decode(first));
                }
                Segment::Greedy(name) => {
                    let whole = rest.join("/");
                    parameters.insert(name.as_str(), decode(&whole));
                    return (!whole.is_empty()).then_some(parameters);
                }
            }
            rest = after;
        }
        rest.is_empty().then_some(parameters)
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.strip_prefix('/').unwrap_or(path).split('/').collect()
}

impl Routes {
    /// Adds `method` on `path`; neither is `$default`.
    pub(super) fn add(
        &mut self,
        method: Option<&str>,
        path: Option<&str>,
        integration: Integration,
    ) -> Result<(), String> {
        let is_default = path.is_none_or(|path| path == "$default");
        if is_default {
            if self.default.replace(integration).is_some() {
                return Err("a second route $default".to_owned());
            }
            return Ok(());
        }
        let path = path.filter(|path| path.starts_with('/')).ok_or("Path must begin with a slash")?;
        let method = match method.map(str::to_ascii_uppercase).as_deref() {
            None | Some("ANY" | "*" | "X-AMAZON-APIGATEWAY-ANY-METHOD") => None,
            Some(name) => {
                Some(Method::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no method"))?)
            }
        };
        let segments = segments(path).into_iter().map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let greedy = segments.iter().position(|segment| matches!(segment, Segment::Greedy(_)));
        if greedy.is_some_and(|at| at + 1 != segments.len()) {
            return Err(format!("a greedy parameter must end {path:?}"));
        }
        let key = format!("{} {path}", method.as_ref().map_or("ANY", Method::as_str));
        let route = Route { key, method, segments, integration };
        let is_same =
            |other: &Route| other.method == route.method && same_path(&other.segments, &route.segments);
        if let Some(other) = self.routes.iter().find(|other| is_same(other)) {
            return Err(format!("{} is the same route as {}", route.key, other.key));
        }
        self.routes.push(route);
        self.routes.sort_by_key(Route::rank);
        Ok(())
    }

    /// Whether `key` is a route's.
    pub(super) fn has(&self, key: &str) -> bool {
        (key == "$default" && self.default.is_some()) || self.routes.iter().any(|route| route.key == key)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Option<Found<'_>> {
        let path = segments(path);
        let found = self.routes.iter().find_map(|route| {
            let parameters = route.matches(method, &path)?;
            Some(Found { route_key: &route.key, integration: &route.integration, parameters })
        });
        found.or_else(|| {
            let integration = self.default.as_ref()?;
            Some(Found { route_key: "$default", integration, parameters: BTreeMap::new() })
        })
    }
}

fn same_path(one: &[Segment], other: &[Segment]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| match (one, other) {
            (Segment::Literal(one), Segment::Literal(other)) => one == other,
            _ => one.rank() == other.rank(),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    fn integration(function: &str) -> Integration {
        Integration { function: function.to_owned(), timeout: Duration::from_secs(1) }
    }

    fn routes() -> Routes {
        let mut routes = Routes::default();
        for (method, path) in [
            ("GET", "/stations/{id}"),
            ("ANY", "/stations/{id}"),
            ("get", "/stations/near"),
            ("ANY", "/{proxy+}"),
            ("GET", "/stations/{id}/tariffs/{tariff}"),
            ("GET", "/"),
        ] {
            routes.add(Some(method), Some(path), integration(path)).unwrap();
        }
        routes
    }

    fn found(method: &Method, path: &str) -> Option<(String, Vec<(String, String)>)> {
        let routes = routes();
        let found = routes.find(method, path)?;
        let parameters = found.parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Some((found.route_key.to_owned(), parameters))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_most_specific_route_wins() {
        for (method, path, key, parameters) in [
            (Method::GET, "/stations/near", "GET /stations/near", vec![]),
            (Method::GET, "/stations/a%20b", "GET /stations/{id}", pairs(&[("id", "a b")])),
            (Method::POST, "/stations/near", "ANY /stations/{id}", pairs(&[("id", "near")])),
            (
                Method::GET,
                "/stations/1/tariffs/2",
                "GET /stations/{id}/tariffs/{tariff}",
                pairs(&[("id", "1"), ("tariff", "2")]),
            ),
            (Method::PUT, "/x/y%2Fz", "ANY /{proxy+}", pairs(&[("proxy", "x/y/z")])),
            (Method::GET, "/", "GET /", vec![]),
        ] {
            assert_eq!(found(&method, path), Some((key.to_owned(), parameters)), "{path}");
        }
        assert_eq!(found(&Method::POST, "/"), None);
    }

    #[test]
    fn what_no_route_can_be_is_refused() {
        let mut routes = routes();
        for path in ["stations", "/a{b}", "/{a", "/{a+}/b", "/stations/{other}"] {
            assert!(routes.add(Some("GET"), Some(path), integration("f")).is_err(), "{path}");
        }
        assert!(routes.add(None, None, integration("f")).is_ok());
        assert!(routes.add(None, None, integration("f")).is_err());
    }
}
