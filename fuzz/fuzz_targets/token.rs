//! `cargo fuzz run token`: no text opens a case but the token that we made.

#![no_main]

#[path = "../../tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::token_any(data));
