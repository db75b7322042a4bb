//! The POIs served, and which of them a request asks for.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Read;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::query::Query;

const EARTH_RADIUS_KM: f64 = 6371.0;
const VERBOSE: &[u8] = include_bytes!("../../ocm/poi-verbose.json.gz");
const AUSTIN: &[u8] = include_bytes!("../../ocm/austin-api.json.gz");
const REFERENCE: &[u8] = include_bytes!("../../ocm/reference-2021.json.gz");
/// Submission statuses of POIs that are live.
const PUBLISHED: [i64; 2] = [100, 200];

/// POIs by ID, each in the verbose, uncompacted form.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    pois: BTreeMap<i64, Value>,
}

/// Every real POI of `tests/ocm`: the export of 2020, then Austin as of 2025 (5 POIs are in both).
pub fn real_pois() -> std::io::Result<Vec<Value>> {
    let mut pois: Vec<Value> = decompress(VERBOSE)?;
    pois.extend(decompress::<Vec<Value>>(AUSTIN)?);
    Ok(pois)
}

pub(super) fn reference_data() -> std::io::Result<Value> {
    decompress(REFERENCE)
}

fn decompress<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> std::io::Result<T> {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

impl Catalogue {
    /// All POIs of `tests/ocm`; the newer of two with the same ID.
    pub fn real() -> std::io::Result<Self> {
        Ok(Self::of(real_pois()?))
    }

    /// The 684 POIs of Austin alone.
    pub fn austin() -> std::io::Result<Self> {
        Ok(Self::of(decompress(AUSTIN)?))
    }

    fn of(pois: Vec<Value>) -> Self {
        let mut catalogue = Self::default();
        for poi in pois {
            catalogue.put(poi);
        }
        catalogue
    }

    /// Adds a POI or replaces the one with its ID. False when it has none.
    pub fn put(&mut self, poi: Value) -> bool {
        let Some(id) = poi["ID"].as_i64() else { return false };
        self.pois.insert(id, poi);
        true
    }

    /// How many POIs there are, live or not.
    pub fn len(&self) -> usize {
        self.pois.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pois.is_empty()
    }

    /// The POIs asked for, in the order asked for, with their distances where the request has a point.
    pub(super) fn select(&self, query: &Query) -> Result<Vec<Value>, String> {
        for name in ["polygon", "polyline"] {
            if query.text(name).is_some() {
                return Err(format!("this stand-in does not know {name}"));
            }
        }
        let filter = Filter::of(query);
        let mut found: Vec<(f64, &Value)> = self
            .pois
            .values()
            .filter(|poi| filter.takes(poi))
            .filter_map(|poi| Some((filter.distance_within(poi)?, poi)))
            .collect();
        match query.text("sortby") {
            // The real server's mirror may have its rows by date of creation behind this name.
            Some("id_asc" | "created_asc") => {
                found.sort_by_cached_key(|(_, poi)| moment(&poi["DateCreated"]))
            }
            Some("modified_asc") => found.sort_by_cached_key(|(_, poi)| moment(&poi["DateLastStatusUpdate"])),
            _ if filter.point.is_some() => {
                found.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(Ordering::Equal));
            }
            _ => found.reverse(),
        }
        found.truncate(query.max_results());
        let (unit_km, unit) = query.distance_unit();
        let with_distance = |(km, poi): (f64, &Value)| {
            let mut poi = poi.clone();
            if filter.point.is_some() {
                poi["AddressInfo"]["Distance"] = json!(km / unit_km);
                poi["AddressInfo"]["DistanceUnit"] = json!(unit);
            }
            poi
        };
        Ok(found.into_iter().map(with_distance).collect())
    }
}

/// What a POI must be to be taken.
struct Filter<'a> {
    query: &'a Query,
    point: Option<(f64, f64)>,
    radius_km: f64,
    modified_since: Option<DateTime<Utc>>,
    country_code: Option<Vec<String>>,
}

impl<'a> Filter<'a> {
    fn of(query: &'a Query) -> Self {
        let (unit_km, _) = query.distance_unit();
        Self {
            query,
            point: query.point(),
            radius_km: query.number("distance").unwrap_or(100.0) * unit_km,
            modified_since: query.text("modifiedsince").and_then(parse_moment),
            country_code: query
                .text("countrycode")
                .map(|codes| codes.split(',').map(str::to_owned).collect()),
        }
    }

    fn takes(&self, poi: &Value) -> bool {
        let one_of = |name: &str, field: &Value| {
            self.query.ids(name).is_none_or(|ids| field.as_i64().is_some_and(|id| ids.contains(&id)))
        };
        let address = &poi["AddressInfo"];
        one_of("chargepointid", &poi["ID"])
            && one_of("countryid", &address["CountryID"])
            && one_of("operatorid", &poi["OperatorID"])
            && one_of("usagetypeid", &poi["UsageTypeID"])
            && one_of("statustypeid", &poi["StatusTypeID"])
            && one_of("dataproviderid", &poi["DataProviderID"])
            && self.submission(poi)
            && self.connections(poi)
            && self.country_code.as_ref().is_none_or(|codes| {
                let code = address["Country"]["ISOCode"].as_str().unwrap_or_default();
                codes.iter().any(|wanted| wanted.trim().eq_ignore_ascii_case(code))
            })
            && self.query.text("opendata").is_none_or(|open| {
                let licensed = poi["DataProvider"]["IsOpenDataLicensed"].as_bool().unwrap_or(false);
                licensed == open.eq_ignore_ascii_case("true")
            })
            && self.query.number("greaterthanid").is_none_or(|id| poi["ID"].as_f64().is_some_and(|n| n > id))
            && self.modified_since.is_none_or(|since| {
                moment(&poi["DateLastStatusUpdate"]).is_some_and(|modified| modified >= since)
            })
            && self.query.bounding_box().is_none_or(|area| {
                position(poi).is_some_and(|(latitude, longitude)| {
                    (area.south..=area.north).contains(&latitude)
                        && (area.west..=area.east).contains(&longitude)
                })
            })
    }

    /// Live ones unless told; 0 means all.
    fn submission(&self, poi: &Value) -> bool {
        let status = poi["SubmissionStatusTypeID"].as_i64();
        match self.query.ids("submissionstatustypeid") {
            None => status.is_none_or(|status| PUBLISHED.contains(&status)),
            Some(ids) => ids.contains(&0) || status.is_some_and(|status| ids.contains(&status)),
        }
    }

    /// All filters of connections must hold for one and the same.
    fn connections(&self, poi: &Value) -> bool {
        let kinds = self.query.ids("connectiontypeid");
        let levels = self.query.ids("levelid");
        let power = self.query.number("minpowerkw");
        if kinds.is_none() && levels.is_none() && power.is_none() {
            return true;
        }
        let has = |ids: &Option<Vec<i64>>, field: &Value| {
            ids.as_ref().is_none_or(|ids| field.as_i64().is_some_and(|id| ids.contains(&id)))
        };
        poi["Connections"].as_array().is_some_and(|connections| {
            connections.iter().any(|connection| {
                has(&kinds, &connection["ConnectionTypeID"])
                    && has(&levels, &connection["LevelID"])
                    && power.is_none_or(|kw| connection["PowerKW"].as_f64().is_some_and(|p| p >= kw))
            })
        })
    }

    /// Kilometres from the request's point; none beyond its radius. 0 when the request has no point.
    fn distance_within(&self, poi: &Value) -> Option<f64> {
        let Some(point) = self.point else { return Some(0.0) };
        let km = great_circle_km(point, position(poi)?);
        (km <= self.radius_km).then_some(km)
    }
}

fn position(poi: &Value) -> Option<(f64, f64)> {
    Some((poi["AddressInfo"]["Latitude"].as_f64()?, poi["AddressInfo"]["Longitude"].as_f64()?))
}

fn great_circle_km((from_latitude, from_longitude): (f64, f64), (latitude, longitude): (f64, f64)) -> f64 {
    let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let chord = half(from_latitude, latitude)
        + from_latitude.to_radians().cos() * latitude.to_radians().cos() * half(from_longitude, longitude);
    2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
}

fn moment(field: &Value) -> Option<DateTime<Utc>> {
    parse_moment(field.as_str()?)
}

/// With or without time zone, with or without time.
fn parse_moment(text: &str) -> Option<DateTime<Utc>> {
    let zoned = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    let unzoned = || text.parse::<NaiveDateTime>().map(|moment| moment.and_utc());
    let day = || text.parse::<NaiveDate>().map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc());
    zoned.or_else(|_| unzoned()).or_else(|_| day()).ok()
}
