//! Containers, locks and counters: generated histories, each with one answer changed.

use crate::common::blinding::{Row, invalid, measure};
use crate::common::random::pick;
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{Event, History, Kind, Process};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const BLINDINGS: u64 = 100;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for model in ["fifo-queue", "unordered-queue", "stack", "priority-queue"] {
        rows.push(blinded(model, "a value came out twice", twice));
        rows.push(blinded(model, "a value that nobody put", unknown));
        rows.push(blinded(
            model,
            "found nothing while something was inside",
            nothing,
        ));
    }
    for model in ["fifo-queue", "stack", "priority-queue"] {
        rows.push(blinded(
            model,
            "two values in the wrong order",
            |history, rng| swapped(model_order(history), history, rng),
        ));
    }
    for model in ["mutex", "fenced-mutex", "reentrant-mutex"] {
        rows.push(blinded(model, "a release was lost", lost_release));
    }
    rows.push(blinded(
        "fenced-mutex",
        "two fencing tokens swapped",
        swapped_tokens,
    ));
    rows.push(blinded("counter", "more than was added", too_much));
    rows.push(blinded("counter", "a stale read", stale));
    rows
}

fn blinded(
    model: &'static str,
    mutation: &'static str,
    change: impl Fn(&mut [Event], &mut ChaCha8Rng) -> Option<()>,
) -> Row {
    let bases: Vec<Vec<Event>> = (0..5).map(|seed| base(model, seed)).collect();
    measure(model, mutation, 0..BLINDINGS, |rng| {
        let mut history = pick(rng, &bases).clone();
        change(&mut history, rng)?;
        Some(invalid(model, &History::from_events(&history)))
    })
}

/// A sound history.
fn base(model: &str, seed: u64) -> Vec<Event> {
    let options = Options {
        model: model.to_owned(),
        operations: 300,
        concurrency: 4,
        info: 0.0,
        fail: 0.02,
        seed,
        ..Options::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut lines).unwrap();
    let (history, _) = History::read(&lines[..]).unwrap();
    assert!(!invalid(model, &history), "{model}: the base must be sound");
    history.to_events()
}

/// An operation that was answered, by the places of its lines.
#[derive(Clone, Copy)]
struct Done {
    inv: usize,
    ret: usize,
}

fn answered(history: &[Event], functions: &[&str]) -> Vec<Done> {
    let of = |ret: usize| {
        let event = &history[ret];
        let inv = history[..ret]
            .iter()
            .rposition(|other| other.process == event.process);
        inv.map(|inv| Done { inv, ret })
    };
    let ends = (0..history.len())
        .filter(|at| history[*at].kind == Kind::Ok && functions.contains(&&*history[*at].f));
    ends.filter_map(of).collect()
}

const PUTS: [&str; 3] = ["enqueue", "push", "add"];
const GETS: [&str; 3] = ["dequeue", "pop", "poll"];

/// Gets that gave a value, each with its put.
fn pairs(history: &[Event]) -> Vec<(Done, Done)> {
    let puts = answered(history, &PUTS);
    let gets = answered(history, &GETS).into_iter();
    gets.filter(|get| !history[get.ret].value.is_null())
        .filter_map(|get| {
            let put = puts
                .iter()
                .find(|put| history[put.ret].value == history[get.ret].value);
            put.map(|put| (*put, get))
        })
        .collect()
}

fn twice(history: &mut [Event], rng: &mut ChaCha8Rng) -> Option<()> {
    let pairs = pairs(history);
    let (one, other) = (pick(rng, &pairs).1, pick(rng, &pairs).1);
    if one.ret == other.ret {
        return None;
    }
    history[one.ret].value = history[other.ret].value.clone();
    Some(())
}

fn unknown(history: &mut [Event], rng: &mut ChaCha8Rng) -> Option<()> {
    let get = pick(rng, &pairs(history)).1;
    history[get.ret].value = json!(1_i64 << 50);
    Some(())
}

fn nothing(history: &mut [Event], rng: &mut ChaCha8Rng) -> Option<()> {
    let mut pairs = pairs(history);
    pairs.retain(|(put, get)| put.ret < get.inv);
    history[pick(rng, &pairs).1.ret].value = Value::Null;
    Some(())
}

/// Whether of two values the first must come out first.
type First = fn(&[Event], (Done, Done), (Done, Done)) -> bool;

fn model_order(history: &[Event]) -> First {
    match history
        .iter()
        .find_map(|event| PUTS.iter().find(|put| ***put == *event.f))
    {
        Some(&"enqueue") => |_, (one, _), (other, _)| one.ret < other.inv,
        Some(&"push") => |_, (one, get), (other, _)| other.ret < one.inv && one.ret < get.inv,
        _ => |history, (one, get), (other, _)| {
            let number = |put: Done| history[put.ret].value.as_i64();
            number(one) < number(other) && one.ret < get.inv && other.ret < get.inv
        },
    }
}

fn swapped(first: First, history: &mut [Event], rng: &mut ChaCha8Rng) -> Option<()> {
    let pairs = pairs(history);
    let mut places: Vec<(usize, usize)> = Vec::new();
    for one in &pairs {
        for other in &pairs {
            if one.1.ret < other.1.inv && first(history, *one, *other) {
                places.push((one.1.ret, other.1.ret));
            }
        }
    }
    let (one, other) = *pick(rng, &places);
    let value = history[one].value.clone();
    history[one].value = std::mem::replace(&mut history[other].value, value);
    Some(())
}

fn lost_release(history: &mut [Event], rng: &mut ChaCha8Rng) -> Option<()> {
    let releases = answered(history, &["release"]);
    let Done { inv, ret } = *pick(rng, &releases);
    // Somebody else acquires it afterwards.
    let mut later = answered(history, &["acquire"]).into_iter();
    later.find(|acquire| {
        acquire.inv > ret && history[acquire.inv].process != history[inv].process
    })?;
    // Lines of nobody's operation.
    for at in [inv, ret] {
        history[at].process = Process::Named("nemesis".into());
        history[at].kind = Kind::Info;
    }
    Some(())
}

fn swapped_tokens(history: &mut [Event], rng: &mut ChaCha8Rng) -> Option<()> {
    let acquires = answered(history, &["acquire"]);
    let (one, other) = (pick(rng, &acquires).ret, pick(rng, &acquires).ret);
    if one == other {
        return None;
    }
    let token = history[one].value.clone();
    history[one].value = std::mem::replace(&mut history[other].value, token);
    Some(())
}

fn too_much(history: &mut [Event], rng: &mut ChaCha8Rng) -> Option<()> {
    let read = *pick(rng, &answered(history, &["read"]));
    let begun = history[..read.ret].iter();
    let begun = begun
        .filter(|event| event.kind == Kind::Invoke && &*event.f == "add")
        .count();
    history[read.ret].value = json!(begun + 1);
    Some(())
}

fn stale(history: &mut [Event], rng: &mut ChaCha8Rng) -> Option<()> {
    let read = *pick(rng, &answered(history, &["read"]));
    let ended = history[..read.inv].iter();
    let ended = ended
        .filter(|event| event.kind == Kind::Ok && &*event.f == "add")
        .count();
    history[read.ret].value = json!(ended.checked_sub(1)?);
    Some(())
}
