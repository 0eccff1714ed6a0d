//! `lock` against its definition: every pair of operations, on random small histories of a lock service with pauses.

use crate::common::random::Mix;
use crate::common::{Script, judge, text, validity};
use keelhaul_checkers::Kind;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const HISTORIES: u64 = 100_000;

#[derive(Debug, Clone, Copy)]
struct Done {
    /// `acquire`, else an effect.
    acquire: bool,
    token: i64,
    zxid: i64,
    inv: u64,
    ret: Option<u64>,
    resource: usize,
}

const RESOURCES: [&str; 2] = ["r0", "r1"];

/// Holders in the order of their tokens; each effect is accepted while its holder's node is there.
fn history(rng: &mut ChaCha8Rng) -> (keelhaul_checkers::History, Vec<Done>, bool) {
    let mut done: Vec<Done> = Vec::new();
    let mut script = Script::default();
    let (mut zxid, mut process, mut value) = (0, 0, 0);
    for _ in 0..rng.random_range(1..4) {
        zxid += 1;
        let token = zxid;
        zxid += rng.random_range(0..2);
        let line = script.history.len() as u64;
        done.push(Done {
            acquire: true,
            token,
            zxid,
            inv: line,
            ret: Some(line + 1),
            resource: 0,
        });
        script.client(
            process,
            Kind::Invoke,
            "acquire",
            Some("l"),
            Value::Null,
            Value::Null,
        );
        script.client(
            process,
            Kind::Ok,
            "acquire",
            Some("l"),
            Value::Null,
            json!({ "token": token, "zxid": zxid }),
        );
        for _ in 0..rng.random_range(0..3) {
            zxid += 1;
            value += 1;
            let (line, resource) = (script.history.len() as u64, rng.random_range(0..2));
            let key = Some(RESOURCES[resource]);
            let asked = json!({ "lock": "l", "token": token });
            script.client(process, Kind::Invoke, "write", key, json!(value), asked);
            let lost = rng.random_bool(0.2);
            let kind = if lost { Kind::Info } else { Kind::Ok };
            let fields = if lost {
                Value::Null
            } else {
                json!({ "zxid": zxid })
            };
            script.client(process, kind, "write", key, json!(value), fields);
            let ret = (!lost).then_some(line + 1);
            let effect = Done {
                acquire: false,
                token,
                zxid,
                inv: line,
                ret,
                resource,
            };
            if !lost {
                done.push(effect);
            } else if rng.random_bool(0.6) {
                script.client(900, Kind::Invoke, "read", key, Value::Null, Value::Null);
                script.client(
                    900,
                    Kind::Ok,
                    "read",
                    key,
                    json!(value),
                    json!({ "mzxid": zxid, "zxid": zxid }),
                );
                done.push(effect);
            }
            if lost {
                process += 10;
            }
        }
        process += 1;
    }
    let mut changed = false;
    // Exchanges two tokens or two zxids, or repeats one.
    if rng.random_bool(0.85) && done.len() > 1 {
        let (one, other) = (
            rng.random_range(0..done.len()),
            rng.random_range(0..done.len()),
        );
        let mut events = script.history.to_events();
        let mut set = |entry: &mut Done, field: &str, to: i64| {
            let Some(ret) = entry.ret else { return };
            let line = if field == "token" && !entry.acquire {
                entry.inv
            } else {
                ret
            };
            events[line as usize]
                .extra
                .insert(field.to_owned(), json!(to));
            match field {
                "token" => entry.token = to,
                _ => entry.zxid = to,
            }
            changed = true;
        };
        let (a, b) = (done[one], done[other]);
        match rng.random_range(0..3) {
            0 => {
                set(&mut done[one], "token", b.token);
                set(&mut done[other], "token", a.token);
            }
            1 => {
                set(&mut done[one], "zxid", b.zxid);
                set(&mut done[other], "zxid", a.zxid);
            }
            _ => set(&mut done[one], "token", b.token),
        }
        script.history = keelhaul_checkers::History::from_events(&events);
    }
    (script.history, done, changed)
}

fn kept(done: &[Done]) -> bool {
    done.iter().enumerate().all(|(place, one)| {
        done.iter()
            .enumerate()
            .filter(|(other, _)| *other != place)
            .all(|(_, two)| match (one.acquire, two.acquire) {
                (true, true) => {
                    one.token != two.token
                        && !(one.ret.is_some_and(|ret| ret < two.inv) && one.token > two.token)
                }
                // The holder saw itself alone before the effect of an earlier token.
                (true, false) => !(one.zxid < two.zxid && one.token > two.token),
                (false, false) => {
                    !(one.resource == two.resource && one.zxid < two.zxid && one.token > two.token)
                }
                (false, true) => true,
            })
            && (one.acquire || one.zxid > one.token)
    })
}

#[test]
fn lock_agrees_with_its_definition() {
    let mut mix = Mix::default();
    for seed in 0..HISTORIES {
        let (history, done, changed) = history(&mut ChaCha8Rng::seed_from_u64(seed));
        if done.iter().all(|done| done.acquire) {
            continue;
        }
        let kept = kept(&done);
        // Two effects with one zxid have no order.
        let effects = || done.iter().filter(|done| !done.acquire);
        if effects().any(|one| effects().filter(|two| two.zxid == one.zxid).count() > 1) {
            continue;
        }
        let finding = judge("lock", &history);
        let shows = || format!("seed {seed}: {:?}\n{}", finding.verdict, text(&history));
        assert!(changed || kept, "{}", shows());
        assert_eq!(validity(&finding), Some(kept), "{}", shows());
        mix.count(&history, kept);
    }
    mix.report("lock");
}

#[test]
fn holders_that_overlap_are_reported_and_not_judged() {
    let mut script = Script::default();
    for (process, token) in [(1, 5), (2, 9)] {
        script.client(
            process,
            Kind::Invoke,
            "elect",
            None,
            Value::Null,
            Value::Null,
        );
        script.client(
            process,
            Kind::Ok,
            "elect",
            None,
            Value::Null,
            json!({ "token": token, "zxid": token }),
        );
    }
    script.client(
        2,
        Kind::Invoke,
        "write",
        Some("r"),
        json!(1),
        json!({ "token": 9 }),
    );
    script.client(
        2,
        Kind::Ok,
        "write",
        Some("r"),
        json!(1),
        json!({ "zxid": 10 }),
    );
    script.client(1, Kind::Invoke, "resign", None, Value::Null, Value::Null);
    script.client(1, Kind::Ok, "resign", None, Value::Null, Value::Null);
    let finding = judge("election", &script.history);
    assert_eq!(validity(&finding), Some(true));
    assert_eq!(finding.details["overlaps"]["count"], json!(1));
    assert_eq!(finding.details["overlaps"]["longest_ns"], json!(3_000_000));
}
