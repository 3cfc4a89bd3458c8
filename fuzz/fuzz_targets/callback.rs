//! `cargo fuzz run callback`: no callback of a message provider makes a reader panic, and none that was not signed passes.

#![no_main]

#[path = "../../tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::callback_any(data));
