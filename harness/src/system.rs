//! The systems that can be tested: one row for each.

use serde::Serialize;

/// A system, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct System {
    /// Its name on the command line and in a plan.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What it owes: its row in the checkers' contract.
    pub contract: &'static str,
}

/// All systems; the first is the default.
pub const SYSTEMS: &[System] = &[System {
    name: "node",
    about: "our own coordination service, keelhaul-node",
    contract: "keelhaul-node",
}];

/// The system of this name.
pub fn by_name(name: &str) -> Option<&'static System> {
    SYSTEMS.iter().find(|system| system.name == name)
}
