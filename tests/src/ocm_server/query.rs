//! The API's query string: names without regard to case, lists by comma, lenient as the real one is.

use std::collections::HashMap;

/// One request's parameters.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// By lower-case name; the last value wins.
    parameters: HashMap<String, String>,
}

/// Two corners of a map, degrees.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoundingBox {
    pub(super) south: f64,
    pub(super) west: f64,
    pub(super) north: f64,
    pub(super) east: f64,
}

impl Query {
    /// Reads a raw query string; what makes no sense is left out.
    pub fn parse(raw: &str) -> Self {
        let pairs = url::form_urlencoded::parse(raw.as_bytes());
        Self { parameters: pairs.map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect() }
    }

    /// A parameter that is there and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name)?.parse().ok()
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.text(name).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }

    /// `1,2,3`; none when the filter is not there.
    pub(super) fn ids(&self, name: &str) -> Option<Vec<i64>> {
        let ids: Vec<i64> = self.text(name)?.split(',').filter_map(|id| id.trim().parse().ok()).collect();
        (!ids.is_empty()).then_some(ids)
    }

    /// How many POIs at most: 100 unless told, and no upper limit.
    pub(super) fn max_results(&self) -> usize {
        self.text("maxresults").and_then(|n| n.parse().ok()).unwrap_or(100)
    }

    /// Latitude and longitude, when both are on the globe: others are ignored without a word.
    pub(super) fn point(&self) -> Option<(f64, f64)> {
        let (latitude, longitude) = (self.number("latitude")?, self.number("longitude")?);
        ((-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude))
            .then_some((latitude, longitude))
    }

    /// Kilometres in the unit of the request's distances (miles unless told), and the unit's number in answers.
    pub(super) fn distance_unit(&self) -> (f64, i64) {
        if self.text("distanceunit").is_some_and(|unit| unit.to_lowercase().starts_with("km")) {
            (1.0, 1)
        } else {
            (1.609_344, 2)
        }
    }

    /// `(south,west),(north,east)`.
    pub(super) fn bounding_box(&self) -> Option<BoundingBox> {
        let text = self.text("boundingbox")?.replace(['(', ')', ' '], "");
        let numbers: Vec<f64> = text.split(',').filter_map(|number| number.parse().ok()).collect();
        let [a, b, c, d] = numbers[..] else { return None };
        Some(BoundingBox { south: a.min(c), west: b.min(d), north: a.max(c), east: b.max(d) })
    }

    /// For the log of requests.
    pub(super) fn without_key(&self) -> String {
        let mut pairs: Vec<_> = self.parameters.iter().filter(|(name, _)| *name != "key").collect();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}
