//! The tariffs that this process has seen. Their prices never change, so what is known stays true.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shared::TariffId;
use tariff::Tariff;

/// Far more than a country's stations are billed by in an hour.
const ROOM: usize = 256;

/// Tariffs by their id; when there is no room left it begins anew.
#[derive(Default)]
pub(crate) struct Tariffs(Mutex<HashMap<TariffId, Arc<Tariff>>>);

impl Tariffs {
    pub(crate) fn get(&self, id: TariffId) -> Option<Arc<Tariff>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(crate) fn keep(&self, tariff: Tariff) -> Arc<Tariff> {
        let tariff = Arc::new(tariff);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ROOM && !known.contains_key(&tariff.id) {
            known.clear();
        }
        known.insert(tariff.id, Arc::clone(&tariff));
        tariff
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use serde_json::json;

    use super::*;

    fn tariff() -> Tariff {
        serde_json::from_value(json!({
            "id": TariffId::new(), "currency": "EUR", "perKWh": "0.49", "perMinute": "0", "startFee": "0.35",
            "idlePerMinute": "0", "idleGraceMinutes": 0, "minimum": "0", "vatRate": "0.19",
            "timeZone": "Europe/Berlin", "bands": [], "validFrom": "2020-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn no_more_than_there_is_room_for_are_kept() {
        let tariffs = Tariffs::default();
        let first = tariffs.keep(tariff()).id;
        assert!(tariffs.get(first).is_some());
        for _ in 0..ROOM {
            let known = tariffs.keep(tariff());
            assert_eq!(tariffs.get(known.id), Some(known));
        }
        assert_eq!(tariffs.get(first), None);
        assert_eq!(tariffs.0.lock().unwrap().len(), 1);
    }
}
