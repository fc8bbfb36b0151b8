#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::targets::manifest_text::manifest_texts(data));
