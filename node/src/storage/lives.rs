//! The file `lives`: the starts of this server, and the newest that it knows of the others' (see [`crate::zab::Lives`]).
//!
//! A few lines of text with a checksum, replaced as a whole. Each time that the store is opened, one life more stands in it before
//! anybody hears of it. Where there is no such file, the store is new, or from a time before there were lives: a first one begins.

use super::StorageError;
use super::files::{Files, read_text, replace};
use crate::zab::{Chain, Cure, Epoch, Life, Lives, NodeId};
use std::collections::BTreeMap;
use std::fmt::Write;

pub(super) const NAME: &str = "lives";

fn encode(lives: &Lives) -> String {
    let mut body = "keelhaul-lives 1\n".to_owned();
    let mut line = |whose: &str, life: &Life| {
        let Life {
            number,
            mark,
            promised,
            cured,
        } = life;
        let (promised, epoch, edition) = (promised.0, cured.epoch.0, cured.edition);
        writeln!(
            body,
            "{whose} {number} {mark:016x} promised {promised} cured {epoch} {edition}"
        )
    };
    for life in &lives.own.lives {
        line("own", life).expect("a string takes all");
    }
    for (id, known) in &lives.known {
        for life in known {
            line(&format!("known {id}"), life).expect("a string takes all");
        }
    }
    let crc = crc32c::crc32c(body.as_bytes());
    format!("{body}crc32c {crc:08x}\n")
}

fn life(words: &[&str]) -> Option<Life> {
    let &[number, mark, "promised", promised, "cured", epoch, edition] = words else {
        return None;
    };
    Some(Life {
        number: number.parse().ok()?,
        mark: u64::from_str_radix(mark, 16).ok()?,
        promised: Epoch(promised.parse().ok()?),
        cured: Cure {
            epoch: Epoch(epoch.parse().ok()?),
            edition: edition.parse().ok()?,
        },
    })
}

fn decode(text: &str) -> Option<Lives> {
    let mut own = Vec::new();
    let mut known: BTreeMap<NodeId, Vec<Life>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["own", ref rest @ ..] => own.push(life(rest)?),
            ["known", id, ref rest @ ..] => {
                let id = NodeId(id.parse().ok()?);
                known.entry(id).or_default().push(life(rest)?);
            }
            ["keelhaul-lives" | "crc32c", _] => {}
            _ => return None,
        }
    }
    let own = Chain { lives: own };
    let lives = Lives { own, known };
    // A checksum of what was read proves all of it, its order included.
    (!lives.own.lives.is_empty() && encode(&lives) == text).then_some(lives)
}

pub(super) fn write(files: &mut dyn Files, lives: &Lives) -> Result<(), StorageError> {
    replace(files, "", NAME, encode(lives).as_bytes())
}

/// The lives up to now; `None` if there is no such file.
pub(super) fn read(files: &dyn Files) -> Result<Option<Lives>, StorageError> {
    read_text(files, NAME, usize::MAX, decode)
}

/// Removes the file, if there is one.
pub(super) fn forget(files: &mut dyn Files) -> Result<(), StorageError> {
    let names = StorageError::io("list", files.path(""), files.list(""))?;
    if names.iter().any(|n| n == NAME) {
        StorageError::io("remove", files.path(NAME), files.remove(NAME))?;
        StorageError::io("sync", files.path(""), files.sync_dir(""))?;
    }
    Ok(())
}

/// Writes down that another life begins. The one before had promised this epoch by its end.
pub(super) fn begin(
    files: &mut dyn Files,
    mark: u64,
    promised: Epoch,
) -> Result<Lives, StorageError> {
    let lives = match read(files)? {
        Some(mut lives) => {
            lives.own.start(mark, promised);
            lives
        }
        None => Lives {
            own: Chain::begin(mark),
            known: BTreeMap::new(),
        },
    };
    write(files, &lives)?;
    Ok(lives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives() -> Lives {
        let mut own = Chain::begin(1);
        own.start(u64::MAX, Epoch(4));
        own.cure(Cure {
            epoch: Epoch(3),
            edition: 2,
        });
        let other = Chain::begin(0xabc).present();
        let known = BTreeMap::from([(NodeId(2), vec![other, own.present()])]);
        Lives { own, known }
    }

    #[test]
    fn lives_come_back_and_no_damaged_byte_passes() {
        let lives = lives();
        let text = encode(&lives);
        assert_eq!(decode(&text), Some(lives));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let damaged = String::from_utf8(bytes);
            assert_eq!(
                damaged.ok().as_deref().and_then(decode),
                None,
                "{text} at {at}"
            );
            assert_eq!(decode(&text[..at]), None, "cut at {at}");
        }
    }
}
