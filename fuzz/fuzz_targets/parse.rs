//! `cargo fuzz run parse`: no body makes a parser panic or yields an amount that cannot be.
//!
//! The first byte chooses the gateway; the rest is the body.

#![no_main]

#[path = "../../tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::parse_any(data));
