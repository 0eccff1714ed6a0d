//! What can be measured: one row for each.

use super::load::Load;
use super::recovery::Loss;

/// A figure, as `--measure` names it.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    /// How it is measured.
    pub kind: Kind,
}

/// How a figure is measured.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Clients work for a while.
    Load(Load),
    /// Memory of each server, as it stands.
    Memory,
    /// A large tree is made; then memory, and the restart of a server from its disk and wiped.
    Tree,
    /// The leader is lost, again and again.
    Leader(Loss),
}

impl Figure {
    /// Whether it is measured when nothing is asked for: what takes less than a minute.
    pub fn is_default(&self) -> bool {
        matches!(self.kind, Kind::Load(_) | Kind::Memory)
    }

    /// Whether it needs servers that the bench has started itself.
    pub fn needs_processes(&self) -> bool {
        !matches!(self.kind, Kind::Load(_))
    }
}

const fn load(clients: usize, outstanding: usize, reads_percent: u32) -> Kind {
    Kind::Load(Load {
        clients,
        outstanding,
        reads_percent,
    })
}

/// All figures, in the order in which they are best measured: the large tree last.
pub const FIGURES: &[Figure] = &[
    Figure {
        name: "memory",
        about: "memory of each server before any load",
        kind: Kind::Memory,
    },
    Figure {
        name: "writes",
        about: "100 clients, one write outstanding each",
        kind: load(100, 1, 0),
    },
    Figure {
        name: "pipelined-writes",
        about: "30 clients, 30 writes outstanding each",
        kind: load(30, 30, 0),
    },
    Figure {
        name: "reads",
        about: "100 clients, one read outstanding each",
        kind: load(100, 1, 100),
    },
    Figure {
        name: "mixed",
        about: "100 clients, 70 % reads and 30 % writes, one outstanding each",
        kind: load(100, 1, 70),
    },
    Figure {
        name: "leader-kill",
        about: "kill -9 of the leader to the next acknowledged write (--leaders N times)",
        kind: Kind::Leader(Loss::Kill),
    },
    Figure {
        name: "leader-stop",
        about: "SIGSTOP of the leader to the next acknowledged write (--leaders N times)",
        kind: Kind::Leader(Loss::Stop),
    },
    Figure {
        name: "tree",
        about: "--znodes N of 100 bytes: making them, memory of each server, restart of one from its disk, and wiped",
        kind: Kind::Tree,
    },
];

/// The figure of this name.
pub fn by_name(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}
