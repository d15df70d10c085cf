#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| stark_fuzz::run("image", data));
