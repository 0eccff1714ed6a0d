//! `lock` and `election`: holders one after the other, each with effects under its token; then the fence lets one thing through.

use crate::common::Script;
use crate::common::blinding::{Row, invalid, measure};
use keelhaul_checkers::{History, Kind};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const BLINDINGS: u64 = 200;
const RESOURCES: [&str; 2] = ["r0", "r1"];

/// Checker, and its words for the beginning and the end of holding.
const CHECKERS: [(&str, &str, &str); 2] = [
    ("lock", "acquire", "release"),
    ("election", "elect", "resign"),
];

/// An effect that was accepted.
#[derive(Debug, Clone, Copy)]
struct Effect {
    zxid: i64,
    resource: usize,
}

/// Somebody held, from its token on.
#[derive(Debug, Clone)]
struct Holder {
    token: i64,
    /// The view in which it was the first.
    alone: i64,
    effects: Vec<Effect>,
    /// What it did after a pause, when somebody else held: refused, unless the fence is broken.
    late: Option<Late>,
}

#[derive(Debug, Clone, Copy)]
struct Late {
    resource: usize,
    accepted: Option<i64>,
}

/// Holders one after the other; tokens, views and effects take zxids as they come.
fn holders(rng: &mut ChaCha8Rng) -> Vec<Holder> {
    let mut zxid = 0;
    let mut next = |rng: &mut ChaCha8Rng| {
        zxid += rng.random_range(1..3);
        zxid
    };
    let count = rng.random_range(3..8);
    (0..count)
        .map(|_| Holder {
            token: next(rng),
            alone: next(rng),
            effects: (0..rng.random_range(1..5))
                .map(|_| Effect {
                    zxid: next(rng),
                    resource: rng.random_range(0..2),
                })
                .collect(),
            late: rng.random_bool(0.3).then(|| Late {
                resource: rng.random_range(0..2),
                accepted: None,
            }),
        })
        .collect()
}

/// The history of what they did: what a holder did late comes after all that its successor did.
fn history(begin: &str, end: &str, holders: &[Holder]) -> History {
    let mut script = Script::default();
    let mut value = 0;
    let mut write = |script: &mut Script, process: usize, resource: usize, zxid: Option<i64>| {
        value += 1;
        let (process, key) = (process as u64, Some(RESOURCES[resource]));
        let asked = json!({ "token": holders[process as usize].token });
        let answer = match zxid {
            Some(zxid) => json!({ "zxid": zxid }),
            None => json!({ "error": "NoNode" }),
        };
        script.client(process, Kind::Invoke, "write", key, json!(value), asked);
        script.client(process, Kind::Ok, "write", key, json!(value), answer);
    };
    for (place, holder) in holders.iter().enumerate() {
        let process = place as u64;
        let seen = json!({ "token": holder.token, "zxid": holder.alone });
        script.client(process, Kind::Invoke, begin, None, Value::Null, Value::Null);
        script.client(process, Kind::Ok, begin, None, Value::Null, seen);
        for effect in &holder.effects {
            write(&mut script, place, effect.resource, Some(effect.zxid));
        }
        let before = place.checked_sub(1);
        if let Some((before, late)) = before.and_then(|at| Some((at, holders[at].late?))) {
            write(&mut script, before, late.resource, late.accepted);
        }
        script.client(process, Kind::Invoke, end, None, Value::Null, Value::Null);
        script.client(process, Kind::Ok, end, None, Value::Null, Value::Null);
    }
    script.history
}

/// Breaks something in a sound history.
type Breach = fn(&mut ChaCha8Rng, &mut [Holder]);

/// A zxid after all that this holder did.
fn after(holder: &Holder) -> i64 {
    holder.effects.last().map_or(holder.alone, |last| last.zxid) + 1
}

const BREACHES: [(&str, Breach); 5] = [
    (
        "an effect accepted after one of a later token on the same resource",
        |rng, holders| {
            let at = rng.random_range(1..holders.len());
            let resource = holders[at].effects[0].resource;
            // The view of its successor comes later, so that nothing but the order of the effects tells.
            holders[at].alone = i64::MAX;
            let accepted = Some(after(&holders[at]));
            holders[at - 1].late = Some(Late { resource, accepted });
        },
    ),
    (
        "an effect accepted after the next holder had seen itself alone",
        |rng, holders| {
            let at = rng.random_range(1..holders.len());
            let resource = rng.random_range(0..2);
            holders[at]
                .effects
                .retain(|effect| effect.resource != resource);
            let accepted = Some(after(&holders[at]));
            holders[at - 1].late = Some(Late { resource, accepted });
        },
    ),
    ("an effect accepted before its token", |rng, holders| {
        let at = rng.random_range(0..holders.len());
        holders[at].effects[0].zxid = holders[at].token - 1;
    }),
    ("a token given twice", |rng, holders| {
        let at = rng.random_range(1..holders.len());
        holders[at].token = holders[at - 1].token;
    }),
    (
        "a token that is less than an earlier holder's",
        |rng, holders| {
            let at = rng.random_range(1..holders.len());
            // Nothing was done under either of them: the tokens themselves must tell.
            for holder in &mut holders[at - 1..=at] {
                (holder.effects, holder.late) = (Vec::new(), None);
            }
            let (one, other) = (holders[at - 1].token, holders[at].token);
            (holders[at - 1].token, holders[at].token) = (other, one);
            (holders[at - 1].alone, holders[at].alone) = (other, other);
        },
    ),
];

pub(crate) fn rows() -> Vec<Row> {
    let rows = CHECKERS.iter().flat_map(|&(checker, begin, end)| {
        BREACHES.iter().map(move |&(mutation, breach)| {
            measure(checker, mutation, 0..BLINDINGS, |rng| {
                let mut holders = holders(rng);
                let sound = history(begin, end, &holders);
                assert!(!invalid(checker, &sound), "the base must be sound");
                breach(rng, &mut holders);
                Some(invalid(checker, &history(begin, end, &holders)))
            })
        })
    });
    rows.collect()
}
