//! How a run pages through OpenChargeMap, in spite of its quirks.
//!
//! The cursor is `modifiedsince` with `sortby=modified_asc`, because both look at the same field
//! (`DateLastStatusUpdate`): what changes during a run moves ahead of the cursor and is seen again, never skipped.
//! `greaterthanid` cannot be the cursor: with `id_asc` the real server may sort by date of creation, and then the
//! largest ID of a page says nothing about the rows to come.
//!
//! `modifiedsince` includes its own moment, so each page repeats the edge of the last: the IDs at the edge are kept and
//! left out. When a page holds a single moment (imports stamp hundreds of POIs alike) the cursor cannot move:
//! then the next page is asked for larger. A run is over when a page brings nothing new and is not full.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use shared::Timestamp;

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The next page begins with this moment; none: with the first POI there is.
    pub(crate) since: Option<Timestamp>,
    /// The POIs at that moment which were already taken.
    pub(crate) edge: BTreeSet<i64>,
}

/// What paging looks at in a POI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    /// `ID`; none in a broken POI.
    pub(crate) id: Option<i64>,
    /// `DateLastStatusUpdate`; none when absent or no date.
    pub(crate) modified: Option<Timestamp>,
}

/// What a page means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Indexes of the rows not taken before.
    pub(crate) fresh: Vec<usize>,
    /// Where the next page begins.
    pub(crate) position: Position,
    /// What to ask for next.
    pub(crate) next: Next,
}

/// What to ask for after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next page.
    Page,
    /// A larger page: this one was too small to get past its only moment.
    LargerPage,
    /// Nothing: that was all.
    End,
}

/// The server did not sort by modification, so that its pages cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("OpenChargeMap's page is not sorted by DateLastStatusUpdate")]
pub(crate) struct Unsorted;

impl Position {
    /// What `page`, asked for with `limit` rows from this position, means.
    pub(crate) fn step(&self, page: &[Row], limit: usize) -> Result<Step, Unsorted> {
        if !page.iter().filter_map(|row| row.modified).is_sorted() {
            return Err(Unsorted);
        }
        let taken = |row: &Row| row.id.is_some_and(|id| self.edge.contains(&id));
        // A row without an ID cannot be recognised, so it counts as new only on the page where the cursor moves.
        let fresh: Vec<usize> = (0..page.len()).filter(|index| !taken(&page[*index])).collect();
        let newest = page.iter().filter_map(|row| row.modified).max().max(self.since);
        let full = page.len() >= limit;
        let moved = newest > self.since;
        let at_edge = page.iter().filter(|row| row.modified >= newest);
        let mut edge: BTreeSet<i64> = at_edge.filter_map(|row| row.id).collect();
        if !moved {
            edge.extend(page.iter().filter_map(|row| row.id));
            edge.extend(&self.edge);
        }
        let known = |index: &usize| page[*index].id.is_some();
        let next = match (moved, full) {
            (true, _) => Next::Page,
            (false, true) => Next::LargerPage,
            (false, false) if fresh.iter().any(known) => Next::Page,
            (false, false) => Next::End,
        };
        Ok(Step { fresh, position: Position { since: newest, edge }, next })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_timestamp(1_400_000_000 + minute * 60, 0).unwrap()
    }

    /// The server's part: rows from the position's moment on, sorted by it, equal ones in any (fixed) order.
    fn serve(rows: &[Row], position: &Position, limit: usize) -> Vec<Row> {
        let mut page: Vec<Row> = rows
            .iter()
            .filter(|row| position.since.is_none() || row.modified >= position.since)
            .copied()
            .collect();
        page.sort_by_key(|row| row.modified);
        page.truncate(limit);
        page
    }

    proptest! {
        #[test]
        fn every_row_is_taken_exactly_once(minutes in prop::collection::vec(prop::option::of(0..12_i64), 0..120), size in 1..9_usize) {
            let rows: Vec<Row> = minutes
                .iter()
                .zip(1..)
                .map(|(minute, id)| Row { id: Some(id), modified: minute.map(at) })
                .collect();
            let (mut position, mut limit, mut taken) = (Position::default(), size, Vec::new());
            for _ in 0..1_000 {
                let page = serve(&rows, &position, limit);
                let step = position.step(&page, limit).unwrap();
                taken.extend(step.fresh.iter().filter_map(|index| page[*index].id));
                position = step.position;
                match step.next {
                    Next::Page => limit = size,
                    Next::LargerPage => limit *= 2,
                    Next::End => break,
                }
            }
            taken.sort_unstable();
            prop_assert_eq!(taken, (1..=i64::try_from(rows.len()).unwrap()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_server_that_does_not_sort_is_not_followed() {
        let rows = [Row { id: Some(1), modified: Some(at(2)) }, Row { id: Some(2), modified: Some(at(1)) }];
        assert_eq!(Position::default().step(&rows, 2), Err(Unsorted));
    }
}
