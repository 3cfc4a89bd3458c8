//! recoup gets failed subscription payments back.
//!
//! The map:
//!
//! | room | what it is for |
//! |---|---|
//! | [`core`] | decides: the recovery case as a pure state machine |
//! | [`gateway`] | payment gateways: verify, parse, charge, look up |
//! | [`channel`], [`message`] | what a customer reads, and how it gets there |
//! | [`store`] | everything that must survive, behind one trait |
//! | [`worker`] | inbox → core → outbox; performs effects |
//! | [`http`] | webhooks in, hosted page, API, dashboard |
//! | [`config`] | the merchant file |
//! | [`sandbox`], [`lab`] | gateways and worlds that are made up, for demo, tests and study |
//! | [`cli`] | one file a command; puts the concrete parts together |
//!
//! A host application mounts it: [`Recoup`] has the router and the future to run.
//!
//! ```text
//! gateway ──signed webhook──▶ http ──verify, dedupe, fsync──▶ inbox ──▶ worker ──▶ core::case
//!                                                                         │           │ pure
//!                                                                         ▼           ▼
//!                 gateway API, mail ◀── outbox ◀── one transaction: case, timers, ledger, effects
//!                         └──── the outcome is the next input ────▶ worker
//! ```

#![forbid(unsafe_code)]

pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod core;
pub mod gateway;
pub mod http;
pub mod lab;
pub mod message;
pub mod sandbox;
pub mod store;
pub mod telemetry;
pub mod worker;

pub use cli::embed::Recoup;
