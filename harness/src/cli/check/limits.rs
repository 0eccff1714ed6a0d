//! How much work `keelhaul check` may do.

use keelhaul_checkers::Budget;
use std::time::Duration;

/// Search configurations at most, over one file: memory runs out long before.
pub(super) const STATES: u64 = 1_000_000_000;

/// Memory for searching, unless said otherwise.
const MEMORY: u64 = 4 << 30;

/// Several files share the machine.
pub(super) fn threads(files: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    files.min(cores)
}

/// Each of the files that are judged at a time has its share of the memory; all have the same deadline.
pub(super) fn budget(
    states: u64,
    memory: Option<u64>,
    deadline: Option<Duration>,
    threads: usize,
) -> Budget {
    let memory = memory.unwrap_or_else(|| MEMORY.min(machine() / 2));
    Budget {
        states,
        bytes: memory / (threads as u64).max(1),
        deadline: super::until(deadline),
    }
}

/// The machine's memory in bytes.
fn machine() -> u64 {
    let system = rustix::system::sysinfo();
    #[allow(clippy::unnecessary_cast)] // Its width differs between machines.
    let units = system.totalram as u64;
    units.saturating_mul(u64::from(system.mem_unit))
}

/// Reads a size: `1000000`, `512MiB`, `4GiB`, `4G`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let expected = || format!("`{text}` is no size: write 1000000, 512MiB or 4GiB");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| expected())?;
    let factor = match unit {
        "" | "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        _ => return Err(expected()),
    };
    number.checked_mul(factor).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_none() {
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes("512M"), Ok(512 << 20));
        assert_eq!(bytes("1000"), Ok(1_000));
        assert!(bytes("much").is_err());
        assert!(bytes("99999999999T").is_err());
    }

    #[test]
    fn files_at_a_time_share_the_memory() {
        assert_eq!(budget(1, Some(1_000), None, 4).bytes, 250);
        assert!(budget(1, None, None, 1).bytes >= 1 << 28, "{}", machine());
    }
}
