//! The core: what recoup decides, without any IO.
//!
//! Why here: sans-IO. Time, randomness and new ids are arguments; what to do comes back as values.
//! The same code runs in production, under the test clock, in simulation and in tests.
//!
//! The contract: one input → [`case::step::step`] → one [`case::step::Step`] (the changed case,
//! ledger entries, effects), committed as one transaction → the next input.
//!
//! What must stay true: nothing in here imports tokio, axum, reqwest, sled or tracing, or reads a
//! clock, a file, the environment or a random source (`tests/tidy.rs` and clippy hold this).

pub mod access;
pub mod campaign;
pub mod card;
pub mod card_number;
pub mod case;
pub mod consent;
pub mod contact;
pub mod customer;
pub mod decline;
pub mod delivery;
pub mod effect;
pub mod event;
pub mod fault;
pub mod ids;
pub mod input;
pub mod lane;
pub mod learning;
pub mod ledger;
pub mod limits;
pub mod money;
pub mod policy;
pub mod report;
pub mod reputation;
pub mod routing;
pub mod schedule;
pub mod schema;
pub mod trial;
pub mod view;
pub mod worth;
