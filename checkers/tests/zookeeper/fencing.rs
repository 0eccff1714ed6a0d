//! `lock` against its definition: every pair of operations, on random small histories of a lock service with pauses.

use crate::common::random::{Mix, pick};
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
}

const RESOURCES: [&str; 2] = ["r0", "r1"];

/// Holders in the order of their tokens; each effect is accepted while its holder's node is there.
fn history(rng: &mut ChaCha8Rng) -> (keelhaul_checkers::History, Vec<Done>, bool) {
    let mut done: Vec<Done> = Vec::new();
    let mut script = Script::default();
    let (mut zxid, mut process, mut value) = (0, 0, 0);
    // Values of each resource; those of lost effects are not lost again, or nobody could tell which one is shown.
    let mut written: Vec<(usize, i32, bool)> = Vec::new();
    let mut shows_answered = false;
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
            let (line, resource) = (script.history.len() as u64, rng.random_range(0..2));
            let key = Some(RESOURCES[resource]);
            let lost = rng.random_bool(0.2);
            let again = |(other, _, was_lost): &&(usize, i32, bool)| {
                *other == resource && !(lost && *was_lost)
            };
            let known: Vec<i32> = written.iter().filter(again).map(|known| known.1).collect();
            let is_lost = |known: i32| written.contains(&(resource, known, true));
            let known: Vec<i32> = known
                .into_iter()
                .filter(|known| !(lost && is_lost(*known)))
                .collect();
            let value = match known.is_empty() || rng.random_bool(0.7) {
                true => {
                    value += 1;
                    value
                }
                false => *pick(rng, &known),
            };
            written.push((resource, value, lost));
            let asked = json!({ "lock": "l", "token": token });
            script.client(process, Kind::Invoke, "write", key, json!(value), asked);
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
            };
            let shown = rng.random_bool(if lost { 0.6 } else { 0.1 });
            if !lost || shown {
                done.push(effect);
            }
            shows_answered |= shown && !lost;
            if shown {
                script.client(900, Kind::Invoke, "read", key, Value::Null, Value::Null);
                script.client(
                    900,
                    Kind::Ok,
                    "read",
                    key,
                    json!(value),
                    json!({ "mzxid": zxid, "zxid": zxid }),
                );
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
            // A read that shows an answered effect tells its zxid.
            1 if shows_answered => {}
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
                (false, false) => !(one.zxid < two.zxid && one.token > two.token),
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

/// Lines of `process type f key value`, with further fields behind that.
fn story(lines: &[&str]) -> keelhaul_checkers::History {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().unwrap();
        let (process, kind, f, key, value) = (word(), word(), word(), word(), word());
        let more = words
            .next()
            .map_or(String::new(), |more| format!(",{more}"));
        text += &format!(
            r#"{{"index":{index},"time":{index},"process":{process},"type":"{kind}","f":"{f}","key":"{key}","value":{value}{more}}}"#
        );
        text.push('\n');
    }
    keelhaul_checkers::History::read(text.as_bytes()).unwrap().0
}

const HELD: [&str; 2] = [
    "1 invoke acquire l1 null",
    r#"1 ok acquire l1 null "token":3,"zxid":4"#,
];
const LOST: [&str; 2] = [
    r#"1 invoke write r1 7 "lock":"l1","token":3"#,
    r#"1 info write r1 7 "lock":"l1","token":3"#,
];
const HELD_NEXT: [&str; 2] = [
    "2 invoke acquire l1 null",
    r#"2 ok acquire l1 null "token":9,"zxid":20"#,
];
const READ: &str = "2 invoke read r1 null";

/// What a read shows is a lost effect's only if nobody else can have written it.
#[test]
fn a_lost_effect_is_shown_by_what_nobody_else_can_have_written() {
    let written = [
        r#"2 invoke write r1 7 "lock":"l1","token":9"#,
        r#"2 ok write r1 7 "lock":"l1","token":9,"zxid":50"#,
    ];
    let other = [
        r#"2 invoke write r2 8 "lock":"l1","token":9"#,
        r#"2 ok write r2 8 "lock":"l1","token":9,"zxid":40"#,
    ];
    let lost_again = [
        r#"2 invoke write r1 7 "lock":"l1","token":9"#,
        r#"2 info write r1 7 "lock":"l1","token":9"#,
    ];
    let again = [
        r#"3 invoke write r1 7 "lock":"l1","token":3"#,
        r#"3 info write r1 7 "lock":"l1","token":3"#,
    ];
    let read = |mzxid: &'static str| [READ, mzxid];
    let (at_50, at_51) = (
        read(r#"2 ok read r1 7 "zxid":51,"mzxid":50"#),
        read(r#"2 ok read r1 7 "zxid":51,"mzxid":51"#),
    );
    let before = read(r#"2 ok read r1 7 "zxid":20,"mzxid":2"#);
    let valid = [
        vec![HELD, LOST, HELD_NEXT, written, at_50],
        vec![HELD, LOST, HELD_NEXT, other, lost_again, at_51],
        // It was there before the history.
        vec![HELD, LOST, HELD_NEXT, other, before],
        vec![HELD, HELD_NEXT, other, at_51, LOST],
    ];
    for parts in valid {
        let finding = judge("lock", &story(&parts.concat()));
        assert_eq!(validity(&finding), Some(true), "{parts:?}");
    }
    for parts in [
        vec![HELD, LOST, HELD_NEXT, written, at_51],
        vec![HELD, LOST, HELD_NEXT, other, at_51],
        // It was tried again: which of the two it was makes no difference.
        vec![HELD, LOST, again, HELD_NEXT, other, at_51],
        vec![HELD, LOST, again, HELD_NEXT, other, at_50, at_51],
    ] {
        let finding = judge("lock", &story(&parts.concat()));
        assert_eq!(validity(&finding), Some(false), "{parts:?}");
    }
}

/// The fence is the lock's, not the resource's; what does not say which of several locks it is under is compared by its resource.
#[test]
fn effects_under_one_lock_are_accepted_in_the_order_of_its_tokens() {
    let acquired = |lock: &str| {
        [
            format!("1 invoke acquire {lock} null"),
            format!(r#"1 ok acquire {lock} null "token":3"#),
            "2 invoke acquire l1 null".to_owned(),
            r#"2 ok acquire l1 null "token":9"#.to_owned(),
        ]
    };
    let effect = |process: u32, resource: &str, lock: &str, token: u32, zxid: u32| {
        [
            format!(r#"{process} invoke write {resource} {zxid} {lock}"token":{token}"#),
            format!(r#"{process} ok write {resource} {zxid} {lock}"token":{token},"zxid":{zxid}"#),
        ]
    };
    let said = |lock: &str, effects: [[String; 2]; 2]| {
        let lines: Vec<String> = acquired(lock).into_iter().chain(effects.concat()).collect();
        let lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
        validity(&judge("lock", &story(&lines)))
    };
    let (l1, l2, none) = (r#""lock":"l1","#, r#""lock":"l2","#, "");
    let (late, late_elsewhere) = (effect(1, "r2", l1, 3, 60), effect(1, "r2", l2, 3, 60));
    let first = effect(2, "r1", l1, 9, 50);
    assert_eq!(said("l1", [first.clone(), late]), Some(false));
    assert_eq!(said("l2", [first, late_elsewhere]), Some(true));
    let unnamed = |resource: &str| {
        [
            effect(2, "r1", none, 9, 50),
            effect(1, resource, none, 3, 60),
        ]
    };
    assert_eq!(said("l2", unnamed("r2")), Some(true));
    assert_eq!(said("l2", unnamed("r1")), Some(false));
}
