//! `cargo fuzz run card_numbers`: what was masked holds no card number.

#![no_main]

#[path = "../../tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::card_numbers_any(data));
