//! A hundred thousand random small histories of each model, a third of them wrong: every layer against every order.

use super::common::text;
use super::layers::{judged, quick, searched};
use super::oracle::{self, Op, Steps, linearizable, operations};
use super::systems::{Container, Elements, Lock, LockKind, Number, Order};
use super::workers::{Shape, System, work};
use keelhaul_checkers::History;
use keelhaul_checkers::linear::{Model, Quick};
use keelhaul_checkers::models::{
    Counter, FencedMutex, FifoQueue, Mutex, PriorityQueue, ReentrantMutex, Semaphore, Set, Stack,
    UnorderedQueue,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const HISTORIES: u64 = 100_000;

/// Histories that are made at most until there are as many, a third of them wrong.
const MADE: u64 = 800_000;

/// Of so many histories one goes through the general search and through the whole checker as well.
const WHOLE: u64 = 10;

#[derive(Default)]
struct Mix {
    all: u32,
    invalid: u32,
    indeterminate: u32,
    open: u32,
    open_with: std::collections::BTreeMap<&'static str, u32>,
}

impl Mix {
    fn report(&self, model: &str) {
        let percent = |count: u32| f64::from(1_000 * count / self.all) / 10.0;
        println!(
            "{model}: {} histories, {} % invalid, {} % with indeterminate operations; {} % fell through to the search {:?}",
            self.all,
            percent(self.invalid),
            percent(self.indeterminate),
            percent(self.open),
            self.open_with,
        );
        assert!(
            10 * self.invalid >= 3 * self.all,
            "at least 30 % must be invalid"
        );
        assert!(
            10 * (self.all - self.invalid) >= 3 * self.all,
            "at least 30 % must be valid"
        );
        assert!(
            10 * self.indeterminate >= 3 * self.all,
            "at least 30 % must have indeterminate operations"
        );
    }
}

fn shape(rng: &mut ChaCha8Rng) -> Shape {
    Shape {
        operations: rng.random_range(3..=10),
        workers: rng.random_range(1..=4),
        lost: [0, 15][rng.random_range(0..2)],
    }
}

/// What a contradiction's operations must show.
#[derive(Clone, Copy, PartialEq)]
enum Shows {
    /// They have no order among themselves, whatever calls of unknown outcome beside them did.
    ByThemselves,
    /// They are named in a sentence about what must have happened before: without that, they show nothing.
    InWords,
}

/// Compares every layer of a model with the oracle.
fn agrees<M: Model + 'static, S: System>(
    model: impl Fn() -> M,
    system: impl Fn(&mut ChaCha8Rng) -> S,
    steps: &Steps,
    shows: Shows,
) {
    let mut mix = Mix::default();
    let name = model().name();
    for seed in 0..MADE {
        if u64::from(mix.all) == HISTORIES {
            break;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut system = system(&mut rng);
        let shape = shape(&mut rng);
        let history = work(&mut rng, &mut system, shape);
        let all = operations(&history);
        if all.iter().all(|operation| !operation.answered) {
            continue;
        }
        let legal = linearizable(&all, steps);
        // A third of them is to be wrong.
        if legal && 20 * mix.invalid < 7 * mix.all {
            continue;
        }
        mix.all += 1;
        mix.invalid += u32::from(!legal);
        mix.indeterminate += u32::from(all.iter().any(|operation| !operation.answered));
        let told = || format!("{name}, seed {seed}:\n{}", text(&history));
        match quick(&model(), &history) {
            Quick::Legal => assert!(legal, "quick finds it legal; {}", told()),
            Quick::Illegal(found) => {
                assert!(!legal, "quick finds: {}; {}", found.text, told());
                let shown: Vec<Op> = all
                    .iter()
                    .filter(|op| {
                        found.operations.contains(&op.place)
                            || (shows == Shows::ByThemselves && !op.answered)
                    })
                    .cloned()
                    .collect();
                assert!(
                    shows == Shows::InWords || !linearizable(&shown, steps),
                    "{} does not show it: {:?}; {}",
                    found.text,
                    found.operations,
                    told()
                );
            }
            Quick::Open(why) => {
                mix.open += 1;
                *mix.open_with.entry(why).or_default() += 1;
            }
        }
        if seed % WHOLE == 0 {
            judge_whole(&model, &history, legal, &told);
        }
    }
    assert_eq!(u64::from(mix.all), HISTORIES, "{name}");
    mix.report(name);
}

fn judge_whole<M: Model + 'static>(
    model: &impl Fn() -> M,
    history: &History,
    legal: bool,
    told: &dyn Fn() -> String,
) {
    if let Some(said) = searched(model(), history) {
        assert_eq!(said, legal, "the search; {}", told());
    }
    if let Some(said) = judged(model(), history) {
        assert_eq!(said, legal, "all layers; {}", told());
    }
}

#[test]
fn fifo_queues() {
    agrees(
        FifoQueue::default,
        |rng| Container::new(Order::Fifo, rng),
        &oracle::fifo,
        Shows::ByThemselves,
    );
}

#[test]
fn stacks() {
    agrees(
        Stack::default,
        |rng| Container::new(Order::Lifo, rng),
        &oracle::stack,
        Shows::ByThemselves,
    );
}

#[test]
fn priority_queues() {
    agrees(
        PriorityQueue::default,
        |rng| Container::new(Order::Least, rng),
        &oracle::priority,
        Shows::ByThemselves,
    );
}

#[test]
fn unordered_queues() {
    agrees(
        UnorderedQueue::default,
        |rng| Container::new(Order::None, rng),
        &oracle::bag,
        Shows::ByThemselves,
    );
}

#[test]
fn mutexes() {
    agrees(
        Mutex::default,
        |rng| Lock::new(LockKind::Mutex, rng),
        &|state, op| oracle::permits(state, op, 1),
        Shows::InWords,
    );
}

#[test]
fn semaphores() {
    let semaphore = || Semaphore { permits: json!(3) };
    let system = |rng: &mut ChaCha8Rng| Lock::new(LockKind::Semaphore(3), rng);
    agrees(
        semaphore,
        system,
        &|state, op| oracle::permits(state, op, 3),
        Shows::InWords,
    );
}

#[test]
fn fenced_mutexes() {
    let system = |rng: &mut ChaCha8Rng| Lock::new(LockKind::Fenced(1), rng);
    agrees(
        FencedMutex::default,
        system,
        &|state, op| oracle::owned(state, op, 1, true),
        Shows::ByThemselves,
    );
}

#[test]
fn reentrant_fenced_mutexes() {
    let system = |rng: &mut ChaCha8Rng| Lock::new(LockKind::Fenced(2), rng);
    let model = || FencedMutex { limit: json!(2) };
    agrees(
        model,
        system,
        &|state, op| oracle::owned(state, op, 2, true),
        Shows::ByThemselves,
    );
}

#[test]
fn reentrant_mutexes() {
    let system = |rng: &mut ChaCha8Rng| Lock::new(LockKind::Reentrant(2), rng);
    agrees(
        ReentrantMutex::default,
        system,
        &|state, op| oracle::owned(state, op, 2, false),
        Shows::ByThemselves,
    );
}

#[test]
fn sets() {
    let once = || Set {
        once: true,
        ..Set::default()
    };
    agrees(once, Elements::new, &oracle::set, Shows::InWords);
}

#[test]
fn sets_to_which_an_element_may_be_added_again() {
    agrees(
        Set::default,
        Elements::new,
        &oracle::set_again,
        Shows::InWords,
    );
}

#[test]
fn counters() {
    agrees(
        Counter::default,
        Number::new,
        &oracle::counter,
        Shows::InWords,
    );
}
