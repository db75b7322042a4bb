//! Where in the response a value goes, as a list that lives on the stack: most values have no error to report it.

use std::fmt;

use crate::error::PathSegment;

/// A path, innermost step first.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a>(Option<Step<'a>>);

#[derive(Clone, Copy)]
struct Step<'a> {
    parent: &'a Path<'a>,
    at: At<'a>,
}

#[derive(Clone, Copy)]
enum At<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    pub(crate) const ROOT: Self = Self(None);

    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self(Some(Step { parent: self, at: At::Key(key) }))
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self(Some(Step { parent: self, at: At::Index(index) }))
    }

    pub(crate) fn to_vec(self) -> Vec<PathSegment> {
        let mut steps = Vec::new();
        let mut path = &self;
        while let Some(step) = &path.0 {
            steps.push(match step.at {
                At::Key(key) => PathSegment::Key(key.to_owned()),
                At::Index(index) => PathSegment::Index(index),
            });
            path = step.parent;
        }
        steps.reverse();
        steps
    }
}

/// `/listStations/items[0]/name`, as AppSync's messages have it.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.0 {
            step.parent.fmt(f)?;
            match step.at {
                At::Key(key) => write!(f, "/{key}")?,
                At::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
