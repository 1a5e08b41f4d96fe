//! Feeds [`levee_fuzz::frames`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| levee_fuzz::frames(data));
