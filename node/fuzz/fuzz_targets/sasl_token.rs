//! A client's token of SASL.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| keelhaul_node::hard::sasl_token(bytes));
