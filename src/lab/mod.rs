//! The lab: the core against made worlds.

pub mod chaos;
pub mod plan;
