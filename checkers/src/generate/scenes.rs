//! Anomalies of transactions, each as a few transactions on keys of their own.
//!
//! A scene is written as text, so that it can be compared with the literature: one line for each event, `T1 {` for an
//! invocation and `T1 }` for its completion, then the micro-operations with what the reads saw. Keys are `x`, `y`, `z`, `w`;
//! `T1 !` is a completion that failed. Transactions whose events interleave are concurrent, so that only the order of
//! their data speaks.

use super::engine::{Speaker, Staged};
use super::line::Phase;
use std::fmt::Write;

/// What transactions work on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Lists,
    Registers,
}

impl Shape {
    /// The micro-operation that writes.
    pub(super) fn word(self) -> &'static str {
        match self {
            Shape::Lists => "append",
            Shape::Registers => "w",
        }
    }
}

/// What can be staged with lists.
pub(super) const LISTS: &[&str] = &[
    "G0",
    "G1a",
    "G1b",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "G2-item",
    "lost-update",
    "dirty-update",
    "internal",
    "duplicate-elements",
    "incompatible-order",
    "future-read",
    "garbage-read",
    "long-fork",
    "stale-read",
    "lost-write",
    "fractured-read",
    "causal",
];

/// What can be staged with registers.
pub(super) const REGISTERS: &[&str] = &[
    "G1a",
    "G1b",
    "G1c",
    "G-single",
    "G-nonadjacent",
    "G2-item",
    "lost-update",
    "internal",
    "cyclic-versions",
    "future-read",
    "garbage-read",
    "long-fork",
    "stale-read",
    "lost-write",
    "fractured-read",
    "causal",
];

/// The scene of an anomaly: what is wrong, and its events.
struct Scene {
    name: &'static str,
    about: &'static str,
    events: &'static str,
}

/// `a x 1`: append or write; `r x 1 2`: a read that saw the list [1, 2], or the register's 2; `r x`: it saw nothing.
const BOTH: &[Scene] = &[
    Scene {
        name: "G1a",
        about: "T2 reads what T1 wrote, and T1 failed",
        events: "T1 { a x 1; T1 !; T2 { r x; T2 } r x 1",
    },
    Scene {
        name: "G1b",
        about: "T2 reads what T1 wrote first, and T1 went on to write the same key again",
        events: "T1 { a x 1, a x 2; T2 { r x; T2 } r x 1; T1 } a x 1, a x 2",
    },
    Scene {
        name: "G1c",
        about: "T1 and T2 read each other's writes",
        events: "T1 { a x 1, r y; T2 { a y 1, r x; T1 } a x 1, r y 1; T2 } a y 1, r x 1",
    },
    Scene {
        name: "G-single",
        about: "T1 misses T2's write of x and sees its write of y",
        events: "T1 { r x, r y; T2 { a x 1, a y 1; T2 } a x 1, a y 1; T1 } r x, r y 1; T3 { r x; T3 } r x 1",
    },
    Scene {
        name: "G-nonadjacent",
        about: "T1 sees w and not x, T3 sees y and not z, but x came with y, and z with w",
        events: "T1 { r x, r w; T2 { a x 1, a y 1; T3 { r y, r z; T4 { a z 1, a w 1; \
                 T1 } r x, r w 1; T2 } a x 1, a y 1; T3 } r y 1, r z; T4 } a z 1, a w 1; \
                 T5 { r x, r z; T5 } r x 1, r z 1",
    },
    Scene {
        name: "G2-item",
        about: "T1 and T2 each miss what the other writes: write skew",
        events: "T1 { r x, a y 1; T2 { r y, a x 1; T1 } r x, a y 1; T2 } r y, a x 1; T3 { r x, r y; T3 } r x 1, r y 1",
    },
    Scene {
        name: "long-fork",
        about: "T3 sees x and not y, T4 sees y and not x",
        events: "T1 { a x 1; T2 { a y 1; T3 { r x, r y; T4 { r x, r y; T1 } a x 1; T2 } a y 1; \
                 T3 } r x 1, r y; T4 } r x, r y 1; T5 { r x, r y; T5 } r x 1, r y 1",
    },
    Scene {
        name: "fractured-read",
        about: "T2 sees one half of what T1 wrote",
        events: "T1 { a x 1, a y 1; T2 { r x, r y; T1 } a x 1, a y 1; T2 } r x, r y 1; T3 { r x; T3 } r x 1",
    },
    Scene {
        name: "causal",
        about: "T3 sees T2's write but not T1's, which T2 had read",
        events: "T1 { a x 1; T2 { r x, a y 1; T3 { r y, r x; T1 } a x 1; T2 } r x 1, a y 1; T3 } r y 1, r x; \
                 T4 { r x; T4 } r x 1",
    },
];

const FOR_LISTS: &[Scene] = &[
    Scene {
        name: "G0",
        about: "T1 is before T2 at x, and T2 before T1 at y",
        events: "T1 { a x 1, a y 1; T2 { a x 2, a y 2; T1 } a x 1, a y 1; T2 } a x 2, a y 2; \
                 T3 { r x, r y; T3 } r x 1 2, r y 2 1",
    },
    Scene {
        name: "lost-update",
        about: "T1 and T2 both read x as empty and append to it",
        events: "T1 { r x, a x 1; T2 { r x, a x 2; T1 } r x, a x 1; T2 } r x, a x 2; T3 { r x; T3 } r x 1 2",
    },
    Scene {
        name: "dirty-update",
        about: "T2 appends after what T1 appended, and T1 failed",
        events: "T1 { a x 1; T2 { a x 2; T1 !; T2 } a x 2; T3 { r x; T3 } r x 1 2",
    },
    Scene {
        name: "internal",
        about: "T1 does not see its own append",
        events: "T1 { a x 1, r x; T1 } a x 1, r x",
    },
    Scene {
        name: "duplicate-elements",
        about: "T2 reads one element twice",
        events: "T1 { a x 1; T1 } a x 1; T2 { r x; T2 } r x 1 1",
    },
    Scene {
        name: "incompatible-order",
        about: "T3 and T4 read x in different orders",
        events: "T1 { a x 1; T2 { a x 2; T3 { r x; T4 { r x; T1 } a x 1; T2 } a x 2; T3 } r x 1 2; T4 } r x 2 1",
    },
    Scene {
        name: "future-read",
        about: "T1 reads what it appends only later",
        events: "T1 { r x, a x 1; T1 } r x 1, a x 1",
    },
    Scene {
        name: "garbage-read",
        about: "T2 reads 7, which nobody appended",
        events: "T1 { a x 1; T1 } a x 1; T2 { r x; T2 } r x 1 7",
    },
    Scene {
        name: "stale-read",
        about: "T3 misses T2's append, which was complete before",
        events: "T1 { a x 1; T1 } a x 1; T2 { a x 2; T2 } a x 2; T3 { r x; T3 } r x 1; T4 { r x; T4 } r x 1 2",
    },
    Scene {
        name: "lost-write",
        about: "T1's append was acknowledged and is gone",
        events: "T1 { a x 1; T1 } a x 1; T2 { a x 2; T2 } a x 2; T3 { r x; T3 } r x 2",
    },
];

const FOR_REGISTERS: &[Scene] = &[
    Scene {
        name: "lost-update",
        about: "T1 and T2 both read 1 from x and write over it",
        events: "T0 { a x 1; T0 } a x 1; T1 { r x, a x 2; T2 { r x, a x 3; T1 } r x 1, a x 2; T2 } r x 1, a x 3; \
                 T3 { r x; T3 } r x 3",
    },
    Scene {
        name: "internal",
        about: "T1 does not see its own write",
        events: "T0 { a x 1; T0 } a x 1; T1 { a x 2, r x; T1 } a x 2, r x 1",
    },
    Scene {
        name: "cyclic-versions",
        about: "T1 writes 2 over 1, and T2 writes 1 over 2",
        events: "T1 { r x, a x 2; T2 { r x, a x 1; T1 } r x 1, a x 2; T2 } r x 2, a x 1",
    },
    Scene {
        name: "future-read",
        about: "T1 reads what it writes only later",
        events: "T1 { r x, a x 1; T1 } r x 1, a x 1",
    },
    Scene {
        name: "garbage-read",
        about: "T2 reads 7, which nobody wrote",
        events: "T1 { a x 1; T1 } a x 1; T2 { r x; T2 } r x 7",
    },
    Scene {
        name: "stale-read",
        about: "T3 reads 1, and T2 had written 2 over it before",
        events: "T1 { a x 1; T1 } a x 1; T2 { r x, a x 2; T2 } r x 1, a x 2; T3 { r x; T3 } r x 1; T4 { r x; T4 } r x 2",
    },
    Scene {
        name: "lost-write",
        about: "T1's write was acknowledged, and x is empty",
        events: "T1 { a x 1; T1 } a x 1; T2 { r x; T2 } r x",
    },
];

/// The scene of this name, with keys that nobody else uses.
pub(super) fn stage(shape: Shape, name: &str, mut new_key: impl FnMut() -> u64) -> Option<Staged> {
    let own = match shape {
        Shape::Lists => FOR_LISTS,
        Shape::Registers => FOR_REGISTERS,
    };
    let scene = own.iter().chain(BOTH).find(|scene| scene.name == name)?;
    let mut staged = Staged::new(scene.about);
    let keys: [u64; 4] = std::array::from_fn(|_| new_key());
    let mut asked: Vec<(u64, String)> = Vec::new();
    for event in scene.events.split(';') {
        let mut words = event.trim().splitn(3, ' ');
        let guest = words.next()?.strip_prefix('T')?.parse().ok()?;
        let phase = match words.next()? {
            "{" => Phase::Invoke,
            "}" => Phase::Ok,
            _ => Phase::Fail,
        };
        let body = match words.next() {
            Some(micros) => txn(shape, micros, &keys, phase),
            // A failure repeats what was asked.
            None => asked.iter().find(|(asker, _)| *asker == guest)?.1.clone(),
        };
        if phase == Phase::Invoke {
            asked.push((guest, body.clone()));
        }
        staged.lines.push((Speaker::Guest(guest), phase, body));
    }
    for (name, key) in ["x", "y", "z", "w"].iter().zip(keys) {
        if scene.about.split([' ', ',']).any(|word| word == *name) {
            write!(staged.text, "; {name} is {key}").expect("writing to a string does not fail");
        }
    }
    Some(staged)
}

/// A transaction from `"f":` on.
fn txn(shape: Shape, micros: &str, keys: &[u64; 4], phase: Phase) -> String {
    let micros = micros.split(',').map(|micro| {
        let words: Vec<&str> = micro.split_whitespace().collect();
        let key = keys["xyzw".find(words[1]).expect("keys are x, y, z and w")];
        let values = &words[2..];
        match (words[0], shape) {
            ("a", _) => format!("[\"{}\",{key},{}]", shape.word(), values[0]),
            (_, _) if phase == Phase::Invoke => format!("[\"r\",{key},null]"),
            (_, Shape::Lists) => format!("[\"r\",{key},[{}]]", values.join(",")),
            (_, Shape::Registers) => {
                format!("[\"r\",{key},{}]", values.last().copied().unwrap_or("null"))
            }
        }
    });
    let micros: Vec<String> = micros.collect();
    format!("\"f\":\"txn\",\"value\":[{}]", micros.join(","))
}
