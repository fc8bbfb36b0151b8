#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::targets::spec::specs(data));
