//! `cargo fuzz run table`: no table or export that somebody hands over makes a reader panic.

#![no_main]

#[path = "../../tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::table_any(data));
