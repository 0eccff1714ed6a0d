//! Which process exactly: a process id alone may be taken by somebody else later.
//!
//! Looks at processes from outside and never touches them. Reads `/proc` where there is one, and asks `ps` elsewhere.

use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;
use std::str::SplitAsciiWhitespace;

/// A process that cannot be mistaken for a later one of the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// When it started, in the host's own form: clock ticks since boot on Linux, a date elsewhere.
    pub started: String,
    /// The boot in which it runs, where the host names it.
    pub boot: Option<String>,
}

/// What a process is doing, as the host shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessState {
    /// There, and not stopped.
    Running,
    /// Stopped by a signal (state `T`).
    Stopped,
    /// Not there: ended, dead but not yet reaped, or another process has its number.
    Gone,
}

impl ProcessIdentity {
    /// The process that has this id now; `None` if there is none.
    pub fn of(pid: u32) -> Option<ProcessIdentity> {
        let look = look(pid)?;
        Some(ProcessIdentity {
            pid,
            started: look.started,
            boot: boot_id(),
        })
    }

    /// What this very process is doing now.
    pub fn state(&self) -> ProcessState {
        if self.boot != boot_id() {
            return ProcessState::Gone;
        }
        match look(self.pid) {
            Some(look) if look.started == self.started => match look.letter {
                'T' | 't' => ProcessState::Stopped,
                'Z' | 'X' => ProcessState::Gone,
                _ => ProcessState::Running,
            },
            _ => ProcessState::Gone,
        }
    }
}

struct Look {
    letter: char,
    started: String,
}

fn look(pid: u32) -> Option<Look> {
    if fs::exists("/proc/self/stat").unwrap_or(false) {
        parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    } else {
        let output = Command::new("ps")
            .args(["-o", "state=,lstart=", "-p", &pid.to_string()])
            .output()
            .ok()?;
        parse_ps(&String::from_utf8_lossy(&output.stdout))
    }
}

/// `pid (name) state ppid …`, from the state on, which is field 3 of proc(5): the name may hold spaces and parentheses, so everything
/// counts from the last `)`.
pub(crate) fn stat_fields(stat: &str) -> Option<SplitAsciiWhitespace<'_>> {
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_ascii_whitespace())
}

/// The start time is field 22.
fn parse_stat(stat: &str) -> Option<Look> {
    let mut fields = stat_fields(stat)?;
    let letter = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.to_owned();
    Some(Look { letter, started })
}

fn parse_ps(line: &str) -> Option<Look> {
    let (state, started) = line.trim().split_once(char::is_whitespace)?;
    Some(Look {
        letter: state.chars().next()?,
        started: started.trim().to_owned(),
    })
}

fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat =
            "4711 (a (b) c) T 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 10";
        let look = parse_stat(stat).unwrap();
        assert_eq!((look.letter, look.started.as_str()), ('T', "98765"));
    }

    #[test]
    fn ps_gives_state_and_start() {
        let look = parse_ps("T    Sun Nov 22 10:49:56 2026\n").unwrap();
        assert_eq!(look.letter, 'T');
        assert_eq!(look.started, "Sun Nov 22 10:49:56 2026");
    }

    #[test]
    fn this_process_runs_and_another_start_time_is_another_process() {
        let mut me = ProcessIdentity::of(std::process::id()).unwrap();
        assert_eq!(me.state(), ProcessState::Running);
        me.started.push('0');
        assert_eq!(me.state(), ProcessState::Gone);
    }
}
