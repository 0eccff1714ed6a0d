//! What a client sends from its first byte on.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keelhaul_node::hard::client_stream(bytes));
