//! `fuzz::shared_cache` says what must hold.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::shared_cache::run(data));
