//! Chunks are read by all cores, and joined by one in the order of the file.

use super::HistoryError;
use super::join::{Joiner, Parsed};
use super::split::{Chunk, End, Split};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;

/// Reads all chunks, and says how their stream ended.
pub(super) fn run(
    chunks: &mut dyn Split,
    parse: fn(&Chunk) -> Parsed,
    joiner: &mut Joiner,
) -> Result<End, HistoryError> {
    let first = match chunks.next() {
        Ok(chunk) => chunk,
        Err(end) => return Ok(end),
    };
    let second = match chunks.next() {
        // A small history needs no help. And one of rayon's own threads must not wait for the others.
        Ok(second) if rayon::current_thread_index().is_none() => second,
        next => return one_by_one(first, next, chunks, parse, joiner),
    };
    side_by_side(vec![first, second], chunks, parse, joiner)
}

fn one_by_one(
    first: Chunk,
    mut next: Result<Chunk, End>,
    chunks: &mut dyn Split,
    parse: fn(&Chunk) -> Parsed,
    joiner: &mut Joiner,
) -> Result<End, HistoryError> {
    joiner.join(&parse(&first))?;
    loop {
        match next {
            Ok(chunk) => joiner.join(&parse(&chunk))?,
            Err(end) => return Ok(end),
        }
        next = chunks.next();
    }
}

fn side_by_side(
    first: Vec<Chunk>,
    chunks: &mut dyn Split,
    parse: fn(&Chunk) -> Parsed,
    joiner: &mut Joiner,
) -> Result<End, HistoryError> {
    let ahead = rayon::current_num_threads() + 2;
    let mut first = first.into_iter();
    rayon::in_place_scope(|scope| {
        let (send, receive) = mpsc::channel();
        let mut early: BTreeMap<usize, Parsed> = BTreeMap::new();
        let (mut begun, mut joined) = (0, 0);
        let mut end = None;
        loop {
            while end.is_none() && begun < joined + ahead {
                let chunk = match first.next() {
                    Some(chunk) => Ok(chunk),
                    None => chunks.next(),
                };
                match chunk {
                    Ok(chunk) => {
                        let send = send.clone();
                        scope.spawn(move |_| {
                            let parsed = catch_unwind(AssertUnwindSafe(|| parse(&chunk)));
                            // Nobody listens any more when an earlier chunk was refused.
                            let _ = send.send((begun, parsed));
                        });
                        begun += 1;
                    }
                    Err(how) => end = Some(how),
                }
            }
            if joined == begun {
                return Ok(end.unwrap_or(End::Complete));
            }
            let parsed = loop {
                if let Some(parsed) = early.remove(&joined) {
                    break parsed;
                }
                let (number, parsed) = receive.recv().expect("this function holds a sender");
                early.insert(number, parsed.unwrap_or_else(|panic| resume_unwind(panic)));
            };
            joiner.join(&parsed)?;
            joined += 1;
        }
    })
}
