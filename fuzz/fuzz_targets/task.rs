#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nocache_gateway::fuzz::task(data));
