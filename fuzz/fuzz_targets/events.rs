#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| iem_gateway_fuzz::events::check(input));
