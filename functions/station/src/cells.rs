//! A grid over the globe, so that an ordinary index finds what is near: each station carries its cell, a search
//! asks for the cells its circle touches. Rows are 0.25° high; a row has fewer columns the nearer it is to a pole, so
//! that cells are about 28 km square everywhere and a circle never touches many.

use serde::{Deserialize, Serialize};

use crate::geo::{EARTH_RADIUS_KM, Point};

const ROW_HEIGHT: f64 = 0.25;
const ROWS: i32 = 720;
const COLUMNS_AT_EQUATOR: i32 = 1440;
/// Degrees by which a circle is taken larger than it is, for what floating point loses.
const MARGIN: f64 = 1e-6;

/// One cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cell(i32);

impl Cell {
    /// The cell a point lies in.
    pub fn of(point: Point) -> Self {
        let row = row_of(point.north());
        let columns = columns(row);
        Self::at(row, column_of(point.east(), columns).clamp(0, columns - 1))
    }

    /// Its number, as the mirror keeps it.
    pub fn number(self) -> i32 {
        self.0
    }

    fn at(row: i32, column: i32) -> Self {
        Self(row * COLUMNS_AT_EQUATOR + column)
    }
}

/// Every cell that a circle touches, and few others.
pub fn cover(center: Point, radius_km: f64) -> Vec<Cell> {
    let radius = (radius_km / EARTH_RADIUS_KM).to_degrees() + MARGIN;
    let (south, north) = (center.north() - radius, center.north() + radius);
    // Half the circle's width in degrees of longitude; a circle around a pole has every longitude.
    let half_width = if north >= 90.0 || south <= -90.0 {
        180.0
    } else {
        (radius.to_radians().sin() / center.north().to_radians().cos()).clamp(-1.0, 1.0).asin().to_degrees()
            + MARGIN
    };
    let mut cells = Vec::new();
    for row in row_of(south)..=row_of(north) {
        let columns = columns(row);
        let west = column_of(center.east() - half_width, columns);
        let east = column_of(center.east() + half_width, columns);
        if east - west >= columns - 1 {
            cells.extend((0..columns).map(|column| Cell::at(row, column)));
        } else {
            // Columns beyond the antimeridian are those on its other side.
            cells.extend((west..=east).map(|column| Cell::at(row, column.rem_euclid(columns))));
        }
    }
    cells
}

#[expect(clippy::cast_possible_truncation, reason = "degrees of the globe over a quarter of a degree")]
fn row_of(latitude: f64) -> i32 {
    (((latitude + 90.0) / ROW_HEIGHT).floor() as i32).clamp(0, ROWS - 1)
}

#[expect(clippy::cast_possible_truncation, reason = "at most 1440 columns at the equator")]
fn columns(row: i32) -> i32 {
    let middle = (f64::from(row) + 0.5) * ROW_HEIGHT - 90.0;
    ((f64::from(COLUMNS_AT_EQUATOR) * middle.to_radians().cos()).round() as i32).max(1)
}

/// May lie outside of `0..columns` for a longitude beyond the antimeridian.
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most one turn around the globe more than there are columns"
)]
fn column_of(longitude: f64, columns: i32) -> i32 {
    ((longitude + 180.0) / 360.0 * f64::from(columns)).floor() as i32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// The place at a distance and a bearing (radians) from another.
    fn towards(from: Point, km: f64, bearing: f64) -> Point {
        let (angle, latitude) = (km / EARTH_RADIUS_KM, from.north().to_radians());
        let sine = latitude.sin() * angle.cos() + latitude.cos() * angle.sin() * bearing.cos();
        let east = (bearing.sin() * angle.sin() * latitude.cos()).atan2(angle.cos() - latitude.sin() * sine);
        let longitude = (from.east() + east.to_degrees() + 540.0).rem_euclid(360.0) - 180.0;
        Point::at(sine.clamp(-1.0, 1.0).asin().to_degrees(), longitude).unwrap()
    }

    fn places() -> impl Strategy<Value = Point> {
        let latitudes = prop_oneof![4 => -90.0..=90.0, 1 => 88.0..=90.0, 1 => -90.0..=-88.0, 1 => Just(90.0)];
        let longitudes = prop_oneof![4 => -180.0..=180.0, 1 => 179.0..=180.0, 1 => -180.0..=-179.0];
        (latitudes, longitudes).prop_map(|(latitude, longitude)| Point::at(latitude, longitude).unwrap())
    }

    proptest! {
        #[test]
        fn whatever_lies_in_a_circle_lies_in_one_of_its_cells(
            center in places(), radius in 0.001..=100.0_f64, share in 0.0..=1.0_f64, bearing in 0.0..std::f64::consts::TAU,
        ) {
            let inside = towards(center, radius * share, bearing);
            let cells: HashSet<_> = cover(center, radius).into_iter().collect();
            prop_assert!(cells.contains(&Cell::of(inside)), "{inside:?}");
        }

        #[test]
        fn a_circle_touches_few_cells_each_once(center in places(), radius in 0.001..=100.0_f64) {
            let cells = cover(center, radius);
            prop_assert!(cells.len() <= 260, "{} cells", cells.len());
            prop_assert_eq!(cells.iter().collect::<HashSet<_>>().len(), cells.len());
        }
    }

    #[test]
    fn the_antimeridian_is_no_border() {
        let east = Point::at(-17.0, 179.99).unwrap();
        let west = Point::at(-17.0, -179.99).unwrap();
        assert_ne!(Cell::of(east), Cell::of(west));
        assert!(cover(east, 5.0).contains(&Cell::of(west)));
        assert_eq!(Cell::of(Point::at(0.0, 180.0).unwrap()).number() % COLUMNS_AT_EQUATOR, 1439);
    }
}
