//! One trouble at a time: who says it, about whom, how soon, and what is advised.

use super::world::*;
use crate::warn::{Change, Event, Kind, Observation, Severity, Stuck};

#[test]
fn a_follower_that_stops_is_named_by_both_others_and_forgiven_when_it_is_back() {
    let mut world = World::new(3, 1);
    world.run(20_000);
    assert_eq!(world.changes, []);
    let since = world.now;
    world.stopped.insert(id(3));
    world.run(10_000);
    for by in [id(1), id(2)] {
        let raised = world.raised(since, by, Kind::PeerSilent, id(3)).unwrap();
        assert!(raised < 700, "by {by} after {raised} ms");
        assert_eq!(world.servers[&by].advice.unwrap().abandon, None);
    }
    // The leader counts: one more, and nothing is written any more.
    let margin = world
        .raised(since, id(1), Kind::QuorumMargin, id(1))
        .unwrap();
    assert!((1000..2500).contains(&margin), "{margin}");
    assert!(
        world.standing(id(1)).contains(&(Kind::ReplicaLag, id(3)))
            || world
                .raised(since, id(1), Kind::ReplicaLag, id(3))
                .is_none()
    );
    let since = world.now;
    world.stopped.clear();
    world.run(15_000);
    assert!(
        world
            .cleared(since, id(1), Kind::PeerSilent, id(3))
            .unwrap()
            < 4000
    );
    // It says of itself that it did not run, and accuses nobody for the time.
    assert!(
        world
            .raised(since, id(3), Kind::LoopStalled, id(3))
            .unwrap()
            < 100
    );
    assert_eq!(
        world.raised(0, id(3), Kind::PeerSilent, id(1)),
        None,
        "{}",
        world.told()
    );
    world.run(15_000);
    for by in 1..=3 {
        assert_eq!(world.standing(id(by)), []);
    }
}

#[test]
fn a_link_that_is_cut_one_way_is_seen_from_both_ends() {
    let mut world = World::new(3, 2);
    world.run(20_000);
    let since = world.now;
    world.cut.insert((id(1), id(2)));
    world.run(3000);
    assert!(world.raised(since, id(2), Kind::PeerSilent, id(1)).unwrap() < 700);
    assert!(world.raised(since, id(1), Kind::PeerDeaf, id(2)).unwrap() < 1200);
    assert_eq!(world.raised(since, id(1), Kind::PeerSilent, id(2)), None);
    // One follower alone does not depose a leader that the other hears.
    assert_eq!(world.servers[&id(2)].advice.unwrap().abandon, None);
    world.cut.clear();
    world.run(10_000);
    assert_eq!(
        (world.standing(id(1)), world.standing(id(2))),
        (vec![], vec![]),
        "{}",
        world.told()
    );
}

#[test]
fn a_leader_that_stops_is_left_by_all_as_soon_as_a_majority_is_certain() {
    for size in [3, 5] {
        let mut world = World::new(size, 3);
        world.run(20_000);
        world.stopped.insert(id(1));
        let since = world.now;
        while !(2..=size).all(|n| world.servers[&id(n)].advice.unwrap().abandon == Some(id(1))) {
            world.run(10);
            assert!(
                world.now - since < 800,
                "they wait as long as they would without advice"
            );
        }
        // It goes on after a while, and must not go on leading.
        world.run(2000);
        world.stopped.clear();
        world.run(50);
        assert!(world.servers[&id(1)].overslept);
        for n in 2..=size {
            assert!(!world.servers[&id(n)].overslept);
        }
    }
}

#[test]
fn a_disk_that_stalls_is_seen_without_a_write_and_its_server_hands_over_if_others_can_do_better() {
    let mut world = World::new(3, 4);
    world.run(20_000);
    let since = world.now;
    world.stalled_disks.insert(id(1));
    world.run(4000);
    let raised = world
        .raised(since, id(1), Kind::DiskStalled, id(1))
        .unwrap();
    assert!(raised < 1700, "{raised}");
    assert!(!world.servers[&id(1)].advice.unwrap().fit);
    assert!(world.servers[&id(2)].advice.unwrap().fit);
    let critical = world.servers[&id(1)]
        .lookout
        .alerts()
        .iter()
        .any(|alert| alert.severity == Severity::Critical);
    assert!(critical, "three times the limit is past");
    // When all stall, it helps nobody to give up.
    world.stalled_disks.extend([id(2), id(3)]);
    world.run(4000);
    for n in 1..=3 {
        assert!(world.servers[&id(n)].advice.unwrap().fit, "{n}");
    }
    world.stalled_disks.clear();
    world.run(20_000);
    assert_eq!(world.standing(id(1)), [], "{}", world.told());
}

#[test]
fn a_follower_that_applies_nothing_lags() {
    let mut world = World::new(3, 5);
    world.run(20_000);
    let since = world.now;
    world.lagging.insert(id(2));
    world.run(5000);
    let raised = world.raised(since, id(1), Kind::ReplicaLag, id(2)).unwrap();
    assert!((2000..4000).contains(&raised), "{raised}");
    assert_eq!(world.standing(id(1)), [(Kind::ReplicaLag, id(2))]);
    world.lagging.clear();
    world.run(10_000);
    assert_eq!(world.standing(id(1)), []);
}

#[test]
fn a_wrong_clock_is_told_by_its_own_server_and_of_two_each_names_the_other() {
    let mut world = World::new(3, 6);
    world.run(20_000);
    let since = world.now;
    world.clock_ms.insert(id(2), 700);
    world.run(5000);
    assert!(
        world
            .raised(since, id(2), Kind::ClockOffset, id(2))
            .unwrap()
            < 3500,
        "{}",
        world.told()
    );
    assert_eq!(world.changes.len(), 1, "{}", world.told());
    let mut world = World::new(2, 6);
    world.clock_ms.insert(id(2), -9000);
    world.run(5000);
    assert!(world.raised(0, id(1), Kind::ClockOffset, id(2)).is_some());
    assert!(world.raised(0, id(2), Kind::ClockOffset, id(1)).is_some());
}

#[test]
fn no_leader_is_said_by_everybody_and_a_leader_that_changes_again_and_again_too() {
    let mut world = World::new(3, 7);
    world.run(20_000);
    let since = world.now;
    world.leader = None;
    world.run(5000);
    for n in 1..=3 {
        assert!(
            (3000..4000).contains(
                &world
                    .raised(since, id(n), Kind::QuorumMargin, id(n))
                    .unwrap()
            )
        );
    }
    for epoch in 2..=6 {
        (world.leader, world.epoch) = (Some(id(u64::from(epoch) % 3 + 1)), epoch);
        world.run(2000);
    }
    for n in 1..=3 {
        assert!(
            world
                .standing(id(n))
                .contains(&(Kind::LeaderFlapping, id(n))),
            "{}",
            world.told()
        );
    }
    world.run(310_000);
    for n in 1..=3 {
        assert_eq!(world.standing(id(n)), []);
    }
}

#[test]
fn a_majority_that_falls_silent_is_told_as_soon_as_the_leader_has_resigned() {
    let mut world = World::new(3, 12);
    world.run(20_000);
    let since = world.now;
    world.stopped.extend([id(2), id(3)]);
    world.run(LEASE_MS);
    world.leader = None;
    world.run(5000);
    let raised = world
        .raised(since, id(1), Kind::QuorumMargin, id(1))
        .unwrap();
    assert!(raised < LEASE_MS + 200, "{raised}");
    let told = world.told();
    assert!(
        told.contains("missing=2 ") && told.contains(" missing_voters=2,3"),
        "{told}"
    );
}

#[test]
fn a_leader_that_loses_its_last_quorum_says_that_there_is_no_service_though_its_margin_was_critical_before()
 {
    let mut world = World::new(3, 13);
    world.run(20_000);
    world.stopped.insert(id(2));
    world.run(5000);
    assert_eq!(
        world.meaning(id(1), Kind::QuorumMargin).unwrap(),
        "fewer members may fail than the ensemble is made for"
    );
    let since = world.now;
    world.stopped.insert(id(3));
    world.run(LEASE_MS);
    world.leader = None;
    world.run(1000);
    let is = |(at, change): &&(u64, Change)| {
        *at >= since
            && change.event == Event::Updated
            && change.alert.meaning().contains("no service")
    };
    assert!(
        world.changes.iter().any(|change| is(&change)),
        "{}",
        world.told()
    );
    // When it is over, nothing is told but that.
    let since = world.now;
    world.stopped.clear();
    world.leader = Some(id(1));
    world.run(6000);
    let later = world.changes.iter().filter(|(at, _)| *at >= since);
    let margin: Vec<Event> = later
        .filter(|(_, change)| change.alert.subject.kind == Kind::QuorumMargin)
        .map(|(_, change)| change.event)
        .collect();
    assert_eq!(margin, [Event::Cleared], "{}", world.told());
}

#[test]
fn an_ensemble_that_starts_has_five_seconds() {
    let mut world = World::new(3, 14);
    world.leader = None;
    world.run(4000);
    world.leader = Some(id(1));
    world.stopped.insert(id(3));
    world.run(900);
    world.stopped.clear();
    world.run(5000);
    let margin = |world: &World| world.raised(0, id(1), Kind::QuorumMargin, id(1));
    assert_eq!(margin(&world), None, "{}", world.told());
    for (leader, stopped) in [(None, None), (Some(id(1)), Some(id(3)))] {
        let mut world = World::new(3, 15);
        world.leader = leader;
        world.stopped.extend(stopped);
        world.run(10_000);
        let raised = margin(&world).unwrap();
        assert!((5000..6200).contains(&raised), "{raised}");
    }
}

#[test]
fn what_one_said_that_is_no_member_any_more_ends_at_once() {
    let mut world = World::new(5, 16);
    world.run(20_000);
    world.stopped.insert(id(4));
    world.run(5000);
    let stands = |world: &World| world.standing_by(id(2), id(1), Kind::QuorumMargin);
    assert!(stands(&world), "{}", world.told());
    world.stopped.insert(id(1));
    let since = world.now;
    world.leader = Some(id(2));
    world.members_are(&[2, 3, 4, 5]);
    world.run(200);
    assert!(!stands(&world));
    let cleared = world.cleared(since, id(1), Kind::QuorumMargin, id(1));
    assert!(cleared.unwrap() < 200, "{}", world.told());
}

#[test]
fn a_dead_leaders_word_about_the_quorum_gives_way_to_the_new_leaders_and_the_rest_of_it_ends_in_time()
 {
    let mut world = World::new(5, 17);
    world.run(20_000);
    world.stopped.insert(id(4));
    world.run(5000);
    let stands = |world: &World, kind| world.standing_by(id(2), id(1), kind);
    assert!(stands(&world, Kind::QuorumMargin) && stands(&world, Kind::PeerSilent));
    let since = world.now;
    world.stopped.insert(id(1));
    (world.leader, world.epoch) = (Some(id(2)), 2);
    world.run(3000);
    assert!(!stands(&world, Kind::QuorumMargin) && stands(&world, Kind::PeerSilent));
    assert!(world.standing(id(2)).contains(&(Kind::QuorumMargin, id(2))));
    world.run(60_000);
    assert!(!stands(&world, Kind::PeerSilent));
    let cleared = world.cleared(since, id(1), Kind::PeerSilent, id(4));
    assert!(cleared.is_some(), "{}", world.told());
    world.run(90_000);
    let alerts = world.servers[&id(2)].lookout.alerts();
    assert!(
        alerts.iter().all(|alert| alert.subject.by != id(1)),
        "{alerts:?}"
    );
}

#[test]
fn voters_without_memory_are_named_when_no_leader_is_found_because_of_them() {
    let mut world = World::new(3, 18);
    for n in [2, 3] {
        let server = world.servers.get_mut(&id(n)).unwrap();
        server.lookout.observe(Observation::Forgetful(true));
    }
    world.leader = None;
    world.run(4000);
    let server = |world: &mut World| {
        world
            .servers
            .get_mut(&id(1))
            .unwrap()
            .lookout
            .news_of_stuck()
    };
    assert_eq!(server(&mut world), None);
    world.run(4000);
    let stuck = Stuck {
        voters: 3,
        without_memory: vec![id(2), id(3)],
        not_heard: vec![],
    };
    assert_eq!(server(&mut world), Some(stuck));
    assert_eq!(server(&mut world), None, "once");
    let alerts = world.servers[&id(1)].lookout.alerts();
    let own = alerts
        .iter()
        .find(|alert| alert.subject.by == id(1))
        .unwrap();
    assert!(own.numbers().contains("without_memory=2,3"), "{own:?}");
}

#[test]
fn a_short_election_after_a_long_quiet_is_no_news() {
    let mut world = World::new(3, 9);
    world.run(20_000);
    for epoch in 2..=4 {
        world.leader = None;
        world.run(500);
        (world.leader, world.epoch) = (Some(id(u64::from(epoch) % 3 + 1)), epoch);
        world.run(100_000);
    }
    assert_eq!(world.changes, []);
}

#[test]
fn everybody_knows_everybodys_alerts() {
    let mut world = World::new(3, 8);
    world.run(20_000);
    world.stalled_disks.insert(id(3));
    world.run(2500);
    for by in 1..=3 {
        let alerts = world.servers[&id(by)].lookout.alerts();
        let found = alerts
            .iter()
            .find(|alert| alert.subject.kind == Kind::DiskStalled);
        assert_eq!(
            found.map(|alert| alert.subject.by),
            Some(id(3)),
            "asked {by}"
        );
    }
    world.stalled_disks.clear();
    world.run(10_000);
    let alerts = world.servers[&id(1)].lookout.alerts();
    assert!(alerts[0].cleared_ms.is_some());
    world.run(90_000);
    assert_eq!(
        world.servers[&id(1)].lookout.alerts(),
        [],
        "what is over is forgotten"
    );
}

#[test]
fn who_was_removed_accuses_nobody_and_is_accused_by_nobody_until_it_belongs_again() {
    let mut world = World::new(4, 11);
    world.run(20_000);
    world.members_are(&[1, 2, 3]);
    world.run(30_000);
    assert_eq!(world.told(), "", "removed");
    world.members_are(&[1, 2, 3, 4]);
    world.run(30_000);
    assert_eq!(world.told(), "", "back");
    let since = world.now;
    world.stopped.insert(id(2));
    world.run(5_000);
    assert!(world.raised(since, id(4), Kind::PeerSilent, id(2)).unwrap() < 700);
    let since = world.now;
    world.stopped.clear();
    world.run(10_000);
    world.stopped.insert(id(4));
    world.run(5_000);
    assert!(
        world
            .raised(since, id(1), Kind::PeerSilent, id(4))
            .is_some()
    );
}
