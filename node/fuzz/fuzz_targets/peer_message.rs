//! What a peer sends, behind a checksum that fits.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keelhaul_node::hard::peer_message(bytes));
