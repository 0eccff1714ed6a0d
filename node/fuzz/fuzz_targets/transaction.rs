//! A transaction of the log.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keelhaul_node::hard::transaction(bytes));
