//! `cargo fuzz run config`: no merchant file makes its reader panic.

#![no_main]

#[path = "../../tests/it/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::config_any(data));
