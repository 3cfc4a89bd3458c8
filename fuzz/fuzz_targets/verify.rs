//! `cargo fuzz run verify`: no webhook makes a verifier panic, and none that was not signed passes.
//!
//! The first byte chooses the gateway; the rest is headers, a zero line, and the body.

#![no_main]

#[path = "../../tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::verify_any(data));
