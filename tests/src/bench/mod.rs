//! The figures of `make bench`: what is measured, and how it is told.

pub mod figure;
pub mod load;
pub mod push;
pub mod sample;
pub mod spawn;
pub mod uncached;
