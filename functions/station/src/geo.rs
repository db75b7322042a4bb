//! Places on the globe and the distances between them.

use serde::{Deserialize, Serialize};

/// The Earth's mean radius (IUGG), in kilometres.
pub(crate) const EARTH_RADIUS_KM: f64 = 6371.0088;

/// Degrees north of the equator, -90 to 90.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Latitude(f64);

/// Degrees east of Greenwich, -180 to 180.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Longitude(f64);

impl TryFrom<f64> for Latitude {
    type Error = &'static str;

    fn try_from(degrees: f64) -> Result<Self, Self::Error> {
        (-90.0..=90.0).contains(&degrees).then_some(Self(degrees)).ok_or("must be between -90 and 90")
    }
}

impl TryFrom<f64> for Longitude {
    type Error = &'static str;

    fn try_from(degrees: f64) -> Result<Self, Self::Error> {
        (-180.0..=180.0).contains(&degrees).then_some(Self(degrees)).ok_or("must be between -180 and 180")
    }
}

/// A place on the globe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Degrees north.
    pub latitude: Latitude,
    /// Degrees east.
    pub longitude: Longitude,
}

impl Point {
    /// The place at these degrees; none when they are not on the globe.
    pub fn at(latitude: f64, longitude: f64) -> Option<Self> {
        Some(Self { latitude: latitude.try_into().ok()?, longitude: longitude.try_into().ok()? })
    }

    /// Degrees north.
    pub fn north(self) -> f64 {
        self.latitude.0
    }

    /// Degrees east.
    pub fn east(self) -> f64 {
        self.longitude.0
    }

    /// Along the great circle (haversine).
    pub fn distance(self, to: Self) -> Distance {
        let half = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
        let cosines = self.north().to_radians().cos() * to.north().to_radians().cos();
        let chord = half(self.north(), to.north()) + cosines * half(self.east(), to.east());
        Distance::from_km(2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin())
    }

    /// The place to four decimals of a degree, within 8 m of this one: what near-by requests share.
    pub(crate) fn rounded(self) -> Self {
        let round = |degrees: f64| (degrees * 1e4).round() / 1e4;
        Self { latitude: Latitude(round(self.north())), longitude: Longitude(round(self.east())) }
    }

    /// The nearest place whose degrees are multiples of `step`.
    pub(crate) fn rounded_to(self, step: f64) -> Self {
        let round = |degrees: f64| (degrees / step).round() * step;
        Self { latitude: Latitude(round(self.north())), longitude: Longitude(round(self.east())) }
    }
}

/// A distance in whole millimetres: exact to compare and to carry in a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distance(u64);

impl Distance {
    /// The nearest whole millimetre; a negative distance is none.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the globe first")]
    pub fn from_km(km: f64) -> Self {
        Self((km.clamp(0.0, 50_000.0) * 1e6).round() as u64)
    }

    /// In kilometres.
    #[expect(clippy::cast_precision_loss, reason = "the globe is 4e10 mm around, a double holds 9e15")]
    pub fn km(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn known_distances_are_met() {
        let london = Point::at(51.5074, -0.1278).unwrap();
        let paris = Point::at(48.8566, 2.3522).unwrap();
        assert!((london.distance(paris).km() - 343.56).abs() < 0.1);
        let poles = Point::at(90.0, 0.0).unwrap().distance(Point::at(-90.0, 77.0).unwrap());
        assert!((poles.km() - std::f64::consts::PI * EARTH_RADIUS_KM).abs() < 1e-3);
        let across = Point::at(0.0, 179.999).unwrap().distance(Point::at(0.0, -179.999).unwrap());
        assert!(across.km() < 0.3);
    }

    #[test]
    fn degrees_off_the_globe_are_refused() {
        assert!(Point::at(90.1, 0.0).is_none());
        assert!(Point::at(0.0, -180.1).is_none());
        assert!(Point::at(f64::NAN, 0.0).is_none());
        assert!(serde_json::from_str::<Latitude>("90").is_ok());
    }
}
