//! The lab: the core against made worlds.

pub mod backtest;
pub mod bad_file;
pub mod change;
pub mod chaos;
pub mod plan;
pub mod simulate;
