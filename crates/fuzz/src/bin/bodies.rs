//! Feeds [`levee_fuzz::bodies`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| levee_fuzz::bodies(data));
