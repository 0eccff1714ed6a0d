//! Mutexes with owners: only who holds it releases it, and may acquire it again where it is reentrant.
//!
//! A process does one thing after another, so its acquires and releases fall into *holds*: from the acquire that takes the
//! mutex to the release that frees it. Between the return of the one and the invocation of the other it held the mutex for
//! certain. Two such intervals must not meet, and then the holds have one order only, in which the fencing tokens must rise.
//! Exact, also with operations of unknown outcome: an acquire that nobody saw may as well not have happened, for it would only
//! keep the others out; a release may as well have happened, at some time.
//!
//! It needs processes that do nothing more after an operation of unknown outcome, as histories have them.

use super::{END, FOREVER, Span, zones};
use crate::linear::{Contradiction, Quick};
use rustc_hash::FxHashMap;

/// An acquire or a release of some process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grip {
    /// With the fencing token, if it was told.
    Acquire(Option<i64>),
    Release,
}

const GOES_ON: &str = "a process goes on after an operation of unknown outcome";

/// From the acquire that took the mutex to the release that freed it.
struct Hold {
    acquire: Span,
    release: Span,
    released: bool,
    token: Option<(i64, u32)>,
    /// Acquires and releases within it.
    within: Vec<u32>,
}

impl Hold {
    fn operations(&self) -> Vec<u32> {
        let release = self.released.then_some(self.release.operation);
        let within = self.within.iter().copied();
        std::iter::once(self.acquire.operation)
            .chain(within)
            .chain(release)
            .collect()
    }
}

/// What a process is at.
struct Owner {
    depth: u64,
    /// Its hold, by place, while the depth is not 0.
    hold: usize,
    lost: bool,
}

/// Judges a mutex that its owner may acquire `limit` times without a release between; each operation comes with its process,
/// and `show` tells a process.
pub(crate) fn judge(
    operations: &mut [(u64, Grip, Span)],
    limit: u64,
    show: &dyn Fn(u64) -> String,
) -> Quick {
    operations.sort_unstable_by_key(|(_, _, span)| span.inv);
    match holds(operations, limit, show) {
        Err(known) => known,
        Ok(mut holds) => match met(&mut holds) {
            Some(found) => Quick::Illegal(found),
            None => Quick::Legal,
        },
    }
}

fn holds(
    operations: &[(u64, Grip, Span)],
    limit: u64,
    show: &dyn Fn(u64) -> String,
) -> Result<Vec<Hold>, Quick> {
    let mut holds: Vec<Hold> = Vec::new();
    let mut owners: FxHashMap<u64, Owner> = FxHashMap::default();
    for (process, grip, span) in operations {
        let owner = owners.entry(*process).or_insert(Owner {
            depth: 0,
            hold: 0,
            lost: false,
        });
        if owner.lost {
            return Err(Quick::Open(GOES_ON));
        }
        owner.lost = span.ret == FOREVER;
        match grip {
            Grip::Acquire(_) if owner.lost => {}
            Grip::Acquire(token) => {
                if owner.depth == limit {
                    return Err(held_too_often(
                        &holds[owner.hold],
                        span,
                        limit,
                        &show(*process),
                    ));
                }
                if owner.depth == 0 {
                    owner.hold = holds.len();
                    holds.push(Hold::begun(*span));
                } else {
                    holds[owner.hold].within.push(span.operation);
                }
                owner.depth += 1;
                holds[owner.hold].take_token(token.map(|token| (token, span.operation)))?;
            }
            Grip::Release if owner.depth == 0 && owner.lost => {}
            Grip::Release if owner.depth == 0 => {
                let text = format!("{} released what it did not hold", show(*process));
                return Err(Quick::Illegal(zones(text, vec![span.operation], span.ret)));
            }
            Grip::Release => {
                owner.depth -= 1;
                let hold = &mut holds[owner.hold];
                if owner.depth == 0 {
                    hold.release = *span;
                    hold.released = true;
                } else {
                    hold.within.push(span.operation);
                }
            }
        }
    }
    Ok(holds)
}

impl Hold {
    fn begun(acquire: Span) -> Hold {
        Hold {
            acquire,
            release: Span {
                inv: END,
                ret: FOREVER,
                operation: acquire.operation,
            },
            released: false,
            token: None,
            within: Vec::new(),
        }
    }

    /// Within one hold every token is the same.
    fn take_token(&mut self, token: Option<(i64, u32)>) -> Result<(), Quick> {
        match (self.token, token) {
            (_, None) => {}
            (None, Some(_)) => self.token = token,
            (Some((known, _)), Some((other, _))) if known == other => {}
            (Some((known, first)), Some((other, second))) => {
                let text = format!("one hold has two fencing tokens, {known} and {other}");
                return Err(Quick::Illegal(zones(text, vec![first, second], END)));
            }
        }
        Ok(())
    }
}

fn held_too_often(hold: &Hold, acquire: &Span, limit: u64, process: &str) -> Quick {
    let text = match limit {
        1 => format!("{process} acquired again what it held already"),
        _ => format!("{process} acquired again what it held {limit} times already"),
    };
    let mut operations = vec![hold.acquire.operation];
    operations.extend(&hold.within);
    operations.push(acquire.operation);
    Quick::Illegal(zones(text, operations, acquire.ret))
}

/// Two holds at once, or out of the order of their tokens.
fn met(holds: &mut [Hold]) -> Option<Contradiction> {
    holds.sort_unstable_by_key(|hold| hold.acquire.ret);
    for pair in holds.windows(2) {
        let [one, other] = pair else { continue };
        if other.acquire.ret < one.release.inv {
            let mut operations = one.operations();
            operations.extend(other.operations());
            let at = other.acquire.ret;
            return Some(zones(
                "it was held twice at once".to_owned(),
                operations,
                at,
            ));
        }
    }
    let mut highest: Option<(i64, &Hold)> = None;
    for hold in &*holds {
        let Some((token, by)) = hold.token else {
            continue;
        };
        if let Some((before, earlier)) = highest.filter(|(before, _)| token <= *before) {
            let text = format!("the fencing token {token} was given out after {before}");
            let told = earlier.token.map(|(_, by)| by).into_iter().chain([by]);
            let mut operations: Vec<u32> = told
                .chain(earlier.operations())
                .chain(hold.operations())
                .collect();
            operations.sort_unstable();
            operations.dedup();
            return Some(zones(text, operations, hold.acquire.ret));
        }
        highest = Some((token, hold));
    }
    None
}
