//! Learning: what past outcomes say about the next attempt, as data.
//!
//! What must stay true: pure, seeded by its arguments, versioned, and shrunk toward what is known
//! without any data.

pub mod chance;
pub mod exact;
pub mod facts;
pub mod health;
pub mod priors;
pub mod routing;
pub mod trees;
