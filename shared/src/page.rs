//! Lists in pages: `first` and `after` in, edges with cursors out (the Relay connection shape).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// How many edges are asked for: 1 to 100, 20 unless told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct First(u8);

impl First {
    /// The number, at least 1.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }

    /// One more than asked for: the row that tells whether there is a next page.
    pub fn with_lookahead(self) -> i64 {
        i64::from(self.0) + 1
    }
}

impl Default for First {
    fn default() -> Self {
        Self(20)
    }
}

impl TryFrom<i64> for First {
    type Error = &'static str;

    fn try_from(count: i64) -> Result<Self, Self::Error> {
        match u8::try_from(count) {
            Ok(count @ 1..=100) => Ok(Self(count)),
            _ => Err("must be between 1 and 100"),
        }
    }
}

/// A position in a list, opaque to clients: the sort key of an edge as base64url JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(String);

impl Cursor {
    /// The cursor of the edge whose sort key is `key`.
    pub fn of(key: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self(URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).map_err(Failure::fault)?)))
    }

    /// The sort key, or an invalid `after` when the text is no cursor of this list.
    pub fn key<K: DeserializeOwned>(&self) -> Result<K, Failure> {
        let invalid = || Failure::invalid("after", "is not a cursor of this list");
        let json = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| invalid())?;
        serde_json::from_slice(&json).map_err(|_| invalid())
    }
}

/// One entry of a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Edge<N> {
    /// Where `after` continues.
    pub cursor: Cursor,
    /// The entry.
    pub node: N,
}

/// What is beyond a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// Whether a next page has entries.
    pub has_next_page: bool,
    /// The last edge's cursor; none on an empty page.
    pub end_cursor: Option<Cursor>,
}

/// A page of `N`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<N> {
    /// In the list's order.
    pub edges: Vec<Edge<N>>,
    /// What is beyond.
    pub page_info: PageInfo,
}

impl<N> Page<N> {
    /// The page of `first` entries out of `rows`, which may hold one more to tell that a next page exists.
    pub fn of<K: Serialize>(first: First, mut rows: Vec<N>, key: impl Fn(&N) -> K) -> Result<Self, Failure> {
        let has_next_page = rows.len() > first.get();
        rows.truncate(first.get());
        let edges = rows
            .into_iter()
            .map(|node| Ok(Edge { cursor: Cursor::of(&key(&node))?, node }))
            .collect::<Result<Vec<_>, Failure>>()?;
        let end_cursor = edges.last().map(|edge| edge.cursor.clone());
        Ok(Self { edges, page_info: PageInfo { has_next_page, end_cursor } })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_row_too_many_means_a_next_page() {
        let page = Page::of(First(2), vec![10, 20, 30], |n| *n).unwrap();
        assert_eq!(page.edges.iter().map(|edge| edge.node).collect::<Vec<_>>(), [10, 20]);
        assert!(page.page_info.has_next_page);
        assert_eq!(page.page_info.end_cursor.unwrap().key::<i32>().unwrap(), 20);
    }

    #[test]
    fn a_foreign_cursor_is_an_invalid_after() {
        let failure = Cursor("!!".into()).key::<i32>().unwrap_err();
        assert_eq!(failure.error_type(), "Invalid");
        assert!(Cursor::of(&"text").unwrap().key::<i32>().is_err());
    }

    #[test]
    fn a_page_has_one_to_a_hundred_edges() {
        assert!(First::try_from(0).is_err());
        assert!(First::try_from(101).is_err());
        assert_eq!(First::try_from(100).unwrap().get(), 100);
    }
}
