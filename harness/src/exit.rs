//! The exit codes: the one list of what a command's end can mean to a script.

use keelhaul_checkers::Validity;
use std::process::ExitCode;

/// How a command ended. The numbers are a contract with users' scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Valid, or simply done.
    Valid = 0,
    /// At least one promise was broken.
    Invalid = 1,
    /// It cannot be told; not covered counts as unknown.
    Unknown = 2,
    /// The command line, or what it names, is wrong.
    Usage = 64,
    /// The harness itself failed: nothing is said about the system.
    Harness = 70,
    /// Interrupted twice.
    Interrupted = 130,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Validity> for Exit {
    fn from(valid: Validity) -> Exit {
        match valid {
            Validity::Valid => Exit::Valid,
            Validity::Invalid => Exit::Invalid,
            Validity::Unknown => Exit::Unknown,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
