//! Random schedules: an hour without trouble on a machine that stutters; and troubles that come as they like.

use super::world::*;
use crate::warn::{Event, Kind};
use rand::RngExt;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;

/// A machine on which everything is up to 250 ms late now and then raises nothing in an hour.
#[test]
fn an_hour_of_stutter_raises_no_alert() {
    for seed in 0..6 {
        let mut world = World::new(3, seed);
        for _ in 0..3600 {
            world.jitter_ms = if world.random.random_bool(0.05) {
                250
            } else {
                20
            };
            world.run(1000);
        }
        assert!(world.changes.is_empty(), "seed {seed}:\n{}", world.told());
    }
}

/// Whatever happens, alerts are raised and cleared in turn, a trouble that lasts is named by whoever can see it, nobody whose
/// links, process, disk and clock were always well is accused by one that was well too, and all is quiet in the end.
#[test]
fn troubles_that_come_as_they_like_are_named_and_nobody_else_is() {
    let (mut named, mut episodes) = (0, 0);
    for seed in 0..60 {
        let size = if seed % 2 == 0 { 3 } else { 5 };
        let mut world = World::new(size, 1000 + seed);
        world.run(20_000);
        // 1 and 2 are never touched.
        for _ in 0..12 {
            let victim = id(world.random.random_range(3..=size));
            let held = *[300, 2000, 4000, 9000].choose(&mut world.random).unwrap();
            let since = world.now;
            let (by, kind) = match world.random.random_range(0..5) {
                0 => {
                    world.stopped.insert(victim);
                    (id(1), Kind::PeerSilent)
                }
                1 => {
                    world.cut.insert((victim, id(1)));
                    (id(1), Kind::PeerSilent)
                }
                2 => {
                    world.cut.insert((id(2), victim));
                    (victim, Kind::PeerSilent)
                }
                3 => {
                    world.stalled_disks.insert(victim);
                    (victim, Kind::DiskStalled)
                }
                _ => {
                    world.lagging.insert(victim);
                    (id(1), Kind::ReplicaLag)
                }
            };
            let about = if by == victim && kind == Kind::PeerSilent {
                id(2)
            } else {
                victim
            };
            // It may still stand from before.
            let stood = world.standing(by).contains(&(kind, about));
            world.run(held);
            // What a server learns to be usual makes it slower to call a lag one.
            let long = if kind == Kind::ReplicaLag { 9000 } else { 4000 };
            if held >= long {
                episodes += 1;
                let found = stood || world.raised(since, by, kind, about).is_some();
                assert!(
                    found,
                    "seed {seed}: {kind:?} by {by} about {about} since {since}\n{}",
                    world.told()
                );
                named += 1;
            }
            world.stopped.clear();
            world.cut.clear();
            world.stalled_disks.clear();
            world.lagging.clear();
            let pause = world.random.random_range(100..8000);
            world.run(pause);
        }
        world.run(420_000);
        let mut stands = BTreeMap::new();
        for (at, change) in &world.changes {
            let subject = change.alert.subject;
            let before = stands
                .insert(subject, change.event != Event::Cleared)
                .unwrap_or(false);
            assert_eq!(
                before,
                change.event != Event::Raised,
                "seed {seed}: {subject} at {at}"
            );
            let well = subject.by.0 <= 2 && subject.about.0 <= 2;
            assert!(
                !well || subject.kind == Kind::QuorumMargin,
                "seed {seed}: {subject}\n{}",
                world.told()
            );
        }
        assert!(
            stands.values().all(|stands| !stands),
            "seed {seed}: {stands:?}"
        );
    }
    assert!(episodes > 150 && named == episodes);
}
