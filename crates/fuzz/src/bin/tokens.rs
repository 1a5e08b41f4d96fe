//! Feeds [`levee_fuzz::tokens`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| levee_fuzz::tokens(data));
