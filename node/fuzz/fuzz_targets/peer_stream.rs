//! What a peer sends, frames and all.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keelhaul_node::hard::peer_stream(bytes));
