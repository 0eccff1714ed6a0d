//! A schedule from a seed: pure.
//!
//! - The first episode of each kind keeps a majority, goes for the leader, and lasts long enough that the others can notice
//!   and elect another: whatever else a run does, each kind has then been survived or not.
//! - After these, targets and shapes come from shuffled decks, so that a run meets every size (a majority and all nodes
//!   included) before it meets one again.
//! - Episodes do not overlap; between two of them the cluster has at least a second to recover.
//! - There is work before the first episode and after the last.

use crate::fault::{Episode, Fault, Schedule, Shape, Target};
use crate::kind::FaultKind;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// The stream of random numbers from which schedules are drawn ("schedule" in ASCII).
const STREAM: u64 = u64::from_be_bytes(*b"schedule");

/// Shortest and longest time for which an episode is held: milliseconds.
const SHORTEST_MS: u64 = 1_200;
const LONGEST_MS: u64 = 4_000;
/// Shortest and longest time between two episodes: milliseconds.
const SHORTEST_GAP_MS: u64 = 1_000;
const LONGEST_GAP_MS: u64 = 2_000;
/// A killed leader's connections end at once; that a silent one is gone must be noticed by time-outs.
const FIRST_KILL_MS: u64 = 2_200;
const FIRST_SILENCE_MS: u64 = 3_000;
/// Work before the first episode and after the last, at most: milliseconds.
const LONGEST_LEAD_MS: u64 = 3_000;
const LONGEST_TAIL_MS: u64 = 3_000;
/// Rounds (an episode of each kind) to fit in, if need be with short episodes; more come only where there is ample time.
const ROUNDS_WANTED: u64 = 3;
const AMPLE_MS: u64 = 4_100;
/// The grain in which spare time is shared out: milliseconds.
const GRAIN_MS: u64 = 100;

/// What a schedule is made for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleOptions {
    /// The kinds of fault; none: an empty schedule.
    pub kinds: Vec<FaultKind>,
    /// How many nodes there are.
    pub nodes: usize,
    /// Length of the work phase: milliseconds.
    pub time_limit_ms: u64,
}

/// The schedule of this seed. What does not fit into the time limit is left out, so a very short one may be empty.
pub fn generate(seed: u64, options: &ScheduleOptions) -> Schedule {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(STREAM);
    let lead = lead_ms(options.time_limit_ms);
    let window = window_ms(options.time_limit_ms);
    let mut drafts = draw_drafts(window, options, &mut rng);
    share_out(window, &mut drafts, &mut rng);
    Schedule {
        episodes: lay_out(lead, drafts, &mut rng),
    }
}

/// The kinds that were asked for and have no episode in the schedule, in the order in which they are shown.
pub fn unplanned(kinds: &[FaultKind], schedule: &Schedule) -> Vec<FaultKind> {
    let planned = |kind: &FaultKind| {
        let mut episodes = schedule.episodes.iter();
        episodes.any(|episode| episode.fault.kind() == *kind)
    };
    let all = FaultKind::ALL.iter().copied();
    all.filter(|kind| kinds.contains(kind) && !planned(kind))
        .collect()
}

/// The shortest time limit, in whole seconds, with which every schedule has an episode of each of these kinds.
pub fn shortest_time_limit_s(kinds: &[FaultKind]) -> u64 {
    let asked_for = FaultKind::ALL.iter().filter(|kind| kinds.contains(kind));
    let needed: u64 = asked_for
        .map(|kind| first_length_ms(*kind) + SHORTEST_GAP_MS)
        .sum();
    (0..)
        .find(|seconds| window_ms(seconds * 1_000) >= needed)
        .expect("the window grows with the time limit without end")
}

/// Work before the first episode.
fn lead_ms(time_limit_ms: u64) -> u64 {
    (time_limit_ms / 12).min(LONGEST_LEAD_MS)
}

/// The time that episodes and the gaps after them may take.
fn window_ms(time_limit_ms: u64) -> u64 {
    let tail = (time_limit_ms / 8).min(LONGEST_TAIL_MS);
    time_limit_ms - lead_ms(time_limit_ms) - tail
}

/// How long the first episode of a kind is held at least.
fn first_length_ms(kind: FaultKind) -> u64 {
    match kind {
        FaultKind::Kill => FIRST_KILL_MS,
        FaultKind::Pause | FaultKind::Partition => FIRST_SILENCE_MS,
    }
}

/// An episode before it has its place.
#[derive(Debug)]
struct Draft {
    fault: Fault,
    target: Target,
    length_ms: u64,
    /// Time after it until the next one.
    gap_ms: u64,
}

impl Draft {
    fn time_ms(&self) -> u64 {
        self.length_ms + self.gap_ms
    }
}

/// As many rounds as fit, each kind once a round, in a drawn order.
fn draw_drafts(window: u64, options: &ScheduleOptions, rng: &mut ChaCha8Rng) -> Vec<Draft> {
    let mut kinds = options.kinds.clone();
    kinds.sort_unstable();
    kinds.dedup();
    let mut decks = Decks::new(options.nodes);
    let mut drafts: Vec<Draft> = Vec::new();
    let mut used = 0;
    for round in 0.. {
        let rounds = round + 1;
        let ample = rounds * kinds.len() as u64 * AMPLE_MS <= window;
        if kinds.is_empty() || (rounds > ROUNDS_WANTED && !ample) {
            break;
        }
        kinds.shuffle(rng);
        for kind in &kinds {
            let draft = decks.draft(*kind, round == 0, rng);
            if used + draft.time_ms() > window {
                return drafts;
            }
            used += draft.time_ms();
            drafts.push(draft);
        }
    }
    drafts
}

/// What is still to be drawn before anything is drawn again.
struct Decks {
    nodes: usize,
    sizes: Vec<Target>,
    shapes: Vec<Shape>,
}

impl Decks {
    fn new(nodes: usize) -> Decks {
        // Every first episode is the leader's: its turn comes again when the rest has been drawn.
        let sizes = sizes(nodes)
            .into_iter()
            .filter(|size| *size != Target::Leader)
            .collect();
        Decks {
            nodes,
            sizes,
            shapes: shapes(nodes),
        }
    }

    fn draft(&mut self, kind: FaultKind, first: bool, rng: &mut ChaCha8Rng) -> Draft {
        let (fault, target) = match kind {
            FaultKind::Kill => (Fault::Kill, self.size(first, rng)),
            FaultKind::Pause => (Fault::Pause, self.size(first, rng)),
            FaultKind::Partition => self.partition(first, rng),
        };
        let length_ms = match first {
            true => first_length_ms(kind),
            false => SHORTEST_MS,
        };
        Draft {
            fault,
            target,
            length_ms,
            gap_ms: SHORTEST_GAP_MS,
        }
    }

    fn size(&mut self, first: bool, rng: &mut ChaCha8Rng) -> Target {
        if first {
            return Target::Leader;
        }
        take(&mut self.sizes, rng).unwrap_or_else(|| {
            self.sizes = sizes(self.nodes);
            take(&mut self.sizes, rng).expect("there is always one node to hit")
        })
    }

    fn partition(&mut self, first: bool, rng: &mut ChaCha8Rng) -> (Fault, Target) {
        if first {
            let shape = if rng.random_bool(0.5) {
                Shape::Halves
            } else {
                Shape::Isolate
            };
            self.shapes.retain(|other| *other != shape);
            return (Fault::Partition { shape }, Target::Leader);
        }
        let shape = take(&mut self.shapes, rng).unwrap_or_else(|| {
            self.shapes = shapes(self.nodes);
            take(&mut self.shapes, rng).expect("there is always a shape")
        });
        let target = match shape {
            Shape::MajoritiesRing => Target::All,
            Shape::Isolate => {
                let sizes = sizes(self.nodes);
                sizes
                    .choose(rng)
                    .cloned()
                    .expect("there is always one node to hit")
            }
            Shape::Halves | Shape::Bridge | Shape::Mute | Shape::Deaf => {
                if rng.random_bool(0.5) {
                    Target::Leader
                } else {
                    Target::One
                }
            }
        };
        (Fault::Partition { shape }, target)
    }
}

/// Takes a drawn one out of a deck.
fn take<T>(deck: &mut Vec<T>, rng: &mut ChaCha8Rng) -> Option<T> {
    (!deck.is_empty()).then(|| deck.swap_remove(rng.random_range(0..deck.len())))
}

/// The symbolic targets that mean somebody, and not all the same, among so many nodes.
fn sizes(nodes: usize) -> Vec<Target> {
    match nodes {
        0..=2 => vec![Target::Leader, Target::One, Target::All],
        _ => vec![
            Target::Leader,
            Target::One,
            Target::Minority,
            Target::Majority,
            Target::All,
        ],
    }
}

/// The shapes that can cut something among so many nodes.
fn shapes(nodes: usize) -> Vec<Shape> {
    let mut shapes = vec![Shape::Halves, Shape::Isolate, Shape::Mute, Shape::Deaf];
    if nodes >= 3 {
        shapes.extend([Shape::MajoritiesRing, Shape::Bridge]);
    }
    shapes
}

/// Gives spare time to drawn episodes and gaps, in small grains, until all is given or everything is as long as it may be.
fn share_out(window: u64, drafts: &mut [Draft], rng: &mut ChaCha8Rng) {
    let used: u64 = drafts.iter().map(Draft::time_ms).sum();
    let mut grains = window.saturating_sub(used) / GRAIN_MS;
    while grains > 0 {
        let mut growing: Vec<&mut u64> = drafts
            .iter_mut()
            .flat_map(|draft| {
                [
                    (&mut draft.length_ms, LONGEST_MS),
                    (&mut draft.gap_ms, LONGEST_GAP_MS),
                ]
            })
            .filter_map(|(time, longest)| (*time + GRAIN_MS <= longest).then_some(time))
            .collect();
        if growing.is_empty() {
            return;
        }
        let place = rng.random_range(0..growing.len());
        *growing[place] += GRAIN_MS;
        grains -= 1;
    }
}

fn lay_out(lead: u64, drafts: Vec<Draft>, rng: &mut ChaCha8Rng) -> Vec<Episode> {
    let mut start_ms = lead;
    let mut episodes = Vec::with_capacity(drafts.len());
    for (id, draft) in (0..).zip(drafts) {
        let next_ms = start_ms + draft.time_ms();
        let Draft {
            fault,
            target,
            length_ms,
            ..
        } = draft;
        // Only 53 bits: the draw is written to JSON, and some readers hold numbers as doubles.
        let draw = rng.next_u64() >> 11;
        episodes.push(Episode {
            id,
            fault,
            target,
            start_ms,
            length_ms,
            draw,
        });
        start_ms = next_ms;
    }
    episodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn options(kinds: &[FaultKind], seconds: u64) -> ScheduleOptions {
        ScheduleOptions {
            kinds: kinds.to_vec(),
            nodes: 5,
            time_limit_ms: seconds * 1000,
        }
    }

    fn of_kind(schedule: &Schedule, kind: FaultKind) -> Vec<&Episode> {
        schedule
            .episodes
            .iter()
            .filter(|episode| episode.fault.kind() == kind)
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let options = options(FaultKind::ALL, 30);
        assert_eq!(generate(7, &options), generate(7, &options));
        assert_ne!(generate(7, &options), generate(8, &options));
    }

    #[test]
    fn a_default_run_has_three_episodes_of_each_kind_and_every_size() {
        for seed in 0..200 {
            let schedule = generate(seed, &options(FaultKind::ALL, 30));
            let mut targets = Vec::new();
            for kind in FaultKind::ALL {
                assert_eq!(of_kind(&schedule, *kind).len(), 3, "seed {seed}");
                targets.extend(
                    of_kind(&schedule, *kind)
                        .iter()
                        .map(|episode| episode.target.clone()),
                );
            }
            for size in sizes(5) {
                assert!(targets.contains(&size), "seed {seed} never hits {size:?}");
            }
        }
    }

    #[test]
    fn fifteen_seconds_hold_one_episode_of_each_kind() {
        for seed in 0..200 {
            let schedule = generate(seed, &options(FaultKind::ALL, 15));
            for kind in FaultKind::ALL {
                assert!(!of_kind(&schedule, *kind).is_empty(), "seed {seed}");
            }
        }
    }

    #[test]
    fn every_shape_is_drawn_before_one_is_drawn_again() {
        for seed in 0..50 {
            let schedule = generate(seed, &options(&[FaultKind::Partition], 60));
            let shape = |episode: &Episode| match episode.fault {
                Fault::Partition { shape } => format!("{shape:?}"),
                _ => panic!("only partitions were asked for"),
            };
            let shapes: Vec<String> = schedule.episodes.iter().map(shape).collect();
            assert!(shapes.len() >= 6, "seed {seed}");
            assert_eq!(
                shapes[..6].iter().collect::<BTreeSet<_>>().len(),
                6,
                "seed {seed}"
            );
        }
    }

    #[test]
    fn without_kinds_or_without_time_nothing_is_planned() {
        assert!(generate(1, &options(&[], 30)).episodes.is_empty());
        assert!(generate(1, &options(FaultKind::ALL, 1)).episodes.is_empty());
    }

    #[test]
    fn a_schedule_survives_json() {
        let schedule = generate(3, &options(FaultKind::ALL, 60));
        let json = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    }

    #[test]
    fn the_shortest_time_limit_is_just_enough_for_every_kind() {
        for kinds in [FaultKind::ALL, &FaultKind::ALL[..1], &FaultKind::ALL[1..]] {
            let seconds = shortest_time_limit_s(kinds);
            for seed in 0..50 {
                let missing = |seconds| unplanned(kinds, &generate(seed, &options(kinds, seconds)));
                assert!(missing(seconds).is_empty(), "seed {seed}, {seconds} s");
                assert!(!missing(seconds - 1).is_empty(), "seed {seed}, {seconds} s");
            }
        }
        assert_eq!(shortest_time_limit_s(&[]), 0);
    }

    proptest! {
        #[test]
        fn episodes_keep_to_their_limits(seed: u64, nodes in 1_usize..8, seconds in 0_u64..200, kinds in prop::sample::subsequence(FaultKind::ALL.to_vec(), 0..=3)) {
            let options = ScheduleOptions { kinds, nodes, time_limit_ms: seconds * 1000 };
            let schedule = generate(seed, &options);
            let mut free_from = 0;
            let mut seen = BTreeSet::new();
            for (place, episode) in schedule.episodes.iter().enumerate() {
                prop_assert_eq!(episode.id as usize, place);
                prop_assert!(episode.start_ms >= free_from);
                prop_assert!((SHORTEST_MS..=LONGEST_MS).contains(&episode.length_ms));
                if seen.insert(episode.fault.kind()) {
                    prop_assert_eq!(&episode.target, &Target::Leader);
                    prop_assert!(episode.length_ms >= FIRST_KILL_MS);
                }
                free_from = episode.start_ms + episode.length_ms + SHORTEST_GAP_MS;
            }
            prop_assert!(free_from <= options.time_limit_ms);
        }
    }
}
