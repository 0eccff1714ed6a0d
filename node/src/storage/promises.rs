//! The file `epochs`: what a replica has promised, and which history is its own.
//!
//! A few lines of text with a checksum, replaced as a whole. Naming the history's folder here makes the switch to a
//! leader's snapshot, with its empty log, a single atomic step.

use super::StorageError;
use super::files::{Files, read_text, replace};
use crate::zab::{Epoch, Epochs};

pub(super) const NAME: &str = "epochs";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Promises {
    pub(super) epochs: Epochs,
    /// Number of the folder that holds log and snapshots.
    pub(super) history: u64,
}

fn encode(promises: &Promises) -> String {
    let Promises { epochs, history } = promises;
    let (accepted, current, amnesiac) = (epochs.accepted.0, epochs.current.0, epochs.amnesiac);
    let body = format!(
        "keelhaul-epochs 1\naccepted {accepted}\ncurrent {current}\namnesiac {amnesiac}\nhistory {history}\n"
    );
    let crc = crc32c::crc32c(body.as_bytes());
    format!("{body}crc32c {crc:08x}\n")
}

fn decode(text: &str) -> Option<Promises> {
    let mut fields = text.lines().filter_map(|line| line.split_once(' '));
    let mut field = |name: &str| {
        fields
            .next()
            .filter(|(n, _)| *n == name)
            .map(|(_, value)| value)
    };
    field("keelhaul-epochs").filter(|&v| v == "1")?;
    let accepted = Epoch(field("accepted")?.parse().ok()?);
    let current = Epoch(field("current")?.parse().ok()?);
    let amnesiac = field("amnesiac")?.parse().ok()?;
    let history = field("history")?.parse().ok()?;
    let promises = Promises {
        epochs: Epochs {
            accepted,
            current,
            amnesiac,
        },
        history,
    };
    (encode(&promises) == text).then_some(promises)
}

pub(super) fn write(files: &mut dyn Files, promises: &Promises) -> Result<(), StorageError> {
    replace(files, "", NAME, encode(promises).as_bytes())
}

/// The promises; `None` if there is no such file.
pub(super) fn read(files: &dyn Files) -> Result<Option<Promises>, StorageError> {
    read_text(files, NAME, 4096, decode)
}
