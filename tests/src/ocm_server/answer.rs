//! The forms of an answer: with or without nulls (`verbose`), reference objects (`compact`) and capitals
//! (`camelcase`).

use serde_json::{Map, Value};

use super::query::Query;

/// Objects that only explain the ID beside them.
const REFERENCES: [&str; 9] = [
    "ConnectionType",
    "Country",
    "CurrentType",
    "DataProvider",
    "Level",
    "OperatorInfo",
    "StatusType",
    "SubmissionStatus",
    "UsageType",
];

/// The whole answer.
pub(super) fn shape(pois: &[Value], query: &Query) -> Value {
    let form = Form {
        nulls: query.flag("verbose", true),
        references: !query.flag("compact", false),
        camel_case: query.flag("camelcase", false),
    };
    Value::Array(pois.iter().map(|poi| form.of(poi)).collect())
}

struct Form {
    nulls: bool,
    references: bool,
    camel_case: bool,
}

impl Form {
    fn of(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => Value::Array(values.iter().map(|value| self.of(value)).collect()),
            Value::Object(fields) => {
                let kept = fields.iter().filter(|(name, value)| {
                    (self.nulls || !value.is_null())
                        && (self.references || !REFERENCES.contains(&name.as_str()))
                });
                Value::Object(
                    kept.map(|(name, value)| (self.name(name), self.of(value))).collect::<Map<_, _>>(),
                )
            }
            other => other.clone(),
        }
    }

    fn name(&self, name: &str) -> String {
        if self.camel_case { camel_case(name) } else { name.to_owned() }
    }
}

/// `UUID` to `uuid`, `ISOCode` to `isoCode`: all leading capitals but the one that begins a word.
fn camel_case(name: &str) -> String {
    let capitals = name.chars().take_while(char::is_ascii_uppercase).count();
    let lowered = if capitals == name.len() { capitals } else { capitals.saturating_sub(1).max(1) };
    let (head, tail) = name.split_at(lowered.min(name.len()));
    head.to_ascii_lowercase() + tail
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use serde_json::json;

    use super::super::{Catalogue, Query};
    use super::*;

    fn ask(query: &str) -> Vec<Value> {
        let query = Query::parse(query);
        let pois = Catalogue::real().unwrap().select(&query).unwrap();
        shape(&pois, &query).as_array().unwrap().clone()
    }

    #[test]
    fn the_compact_form_is_the_recorded_one() {
        let mut text = String::new();
        let file = &include_bytes!("../../ocm/poi-compact.json.gz")[..];
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        let recorded: Vec<Value> = serde_json::from_str(&text).unwrap();
        let export = Catalogue::default();
        let form = Form { nulls: false, references: false, camel_case: false };
        let verbose = super::super::real_pois().unwrap();
        assert!(export.is_empty() && recorded.len() == 3834);
        for (verbose, compact) in verbose.iter().zip(&recorded) {
            assert_eq!(form.of(verbose), *compact);
        }
    }

    #[test]
    fn names_become_camel_case_as_in_the_real_answers() {
        let names = ["ID", "UUID", "ISOCode", "PowerKW", "DataProviderID", "Title"].map(camel_case);
        assert_eq!(names, ["id", "uuid", "isoCode", "powerKW", "dataProviderID", "title"]);
    }

    #[test]
    fn a_hundred_live_pois_newest_id_first_unless_told() {
        let pois = ask("");
        assert_eq!(pois.len(), 100);
        assert!(pois.windows(2).all(|pair| pair[0]["ID"].as_i64() > pair[1]["ID"].as_i64()));
        let live = ask("maxresults=10000");
        let all = ask("maxresults=10000&submissionstatustypeid=0");
        assert_eq!(all.len(), 3834 + 684 - 5);
        assert_eq!(all.len() - live.len(), 93 + 92 + 27 + 25 + 2);
    }

    #[test]
    fn a_point_orders_by_distance_in_miles_and_one_off_the_globe_is_ignored() {
        let near = ask("latitude=30.2672&longitude=-97.7431&distance=1&maxresults=500");
        let distances: Vec<f64> =
            near.iter().map(|poi| poi["AddressInfo"]["Distance"].as_f64().unwrap()).collect();
        assert!(!distances.is_empty() && distances.is_sorted());
        assert!(distances.iter().all(|miles| *miles <= 1.0));
        assert_eq!(near[0]["AddressInfo"]["DistanceUnit"], json!(2));
        assert_eq!(ask("latitude=130&longitude=-97.7431&distance=1").len(), 100);
    }

    #[test]
    fn modifiedsince_includes_its_own_moment_and_greaterthanid_excludes_its_own_id() {
        let since = ask("modifiedsince=2019-12-15T06:07:00Z&sortby=modified_asc&maxresults=10");
        assert!(since.iter().all(|poi| poi["DateLastStatusUpdate"] == "2019-12-15T06:07:00Z"));
        let after = ask("greaterthanid=464942&maxresults=10");
        assert_eq!(after.iter().map(|poi| poi["ID"].clone()).collect::<Vec<_>>(), [json!(464_943)]);
    }
}
