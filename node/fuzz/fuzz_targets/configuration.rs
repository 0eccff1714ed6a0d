//! The text of a configuration: zoo.cfg, TOML, or a JAAS file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| keelhaul_node::hard::configuration(text));
