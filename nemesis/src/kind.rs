//! The kinds of fault by name: adding one is one row here, its data in [`fault`](crate::fault), and its mechanism in the
//! harness.

use crate::fault::Fault;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A kind of fault, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// kill -9 and restart.
    Kill,
    /// SIGSTOP and SIGCONT.
    Pause,
    /// Links between nodes are cut.
    Partition,
}

impl FaultKind {
    /// All kinds, in the order in which they are shown.
    pub const ALL: &[FaultKind] = &[FaultKind::Kill, FaultKind::Pause, FaultKind::Partition];

    /// Its name: on the command line, and the `f` of its history lines.
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::Kill => "kill",
            FaultKind::Pause => "pause",
            FaultKind::Partition => "partition",
        }
    }

    /// What it does, in a line.
    pub fn about(self) -> &'static str {
        match self {
            FaultKind::Kill => "kill -9, then a restart on the same data",
            FaultKind::Pause => "SIGSTOP, then SIGCONT",
            FaultKind::Partition => {
                "links between nodes cut: halves, isolate, majorities-ring, bridge, mute, deaf"
            }
        }
    }
}

impl Fault {
    /// Which kind of fault it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Fault::Kill => FaultKind::Kill,
            Fault::Pause => FaultKind::Pause,
            Fault::Partition { .. } => FaultKind::Partition,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No fault has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault `{0}`: use kill, pause or partition, separated by commas, or none")]
pub struct UnknownKind(pub String);

impl FromStr for FaultKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<FaultKind, UnknownKind> {
        FaultKind::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
        }
        assert_eq!("none".parse::<FaultKind>(), Err(UnknownKind("none".into())));
    }
}
