//! Early warning, as an operator sees it: who is named, by whom, how soon.

use crate::client::*;
use crate::process::{Cluster, Server, eventually, word};
use crate::proxy::Links;
use crate::reconfig::{ENABLED, as_root, config, reconfig};
use rustix::process::Signal;
use std::time::Instant;

const NO_AUTH: i32 = -102;

/// The lines of the word `warn` that say this: `kind about=N by=`, and this server among those that say it.
fn alerts(server: &Server, kind: &str, about: usize, by: usize) -> Vec<String> {
    let wanted = format!(" {kind} about={about} by=");
    let by = by.to_string();
    let said = |line: &&str| {
        let speakers = line
            .split_once(&wanted)
            .and_then(|(_, rest)| rest.split_once(' '));
        speakers.is_some_and(|(speakers, _)| speakers.split(',').any(|one| one == by))
    };
    let answer = word(server.address, "warn").unwrap_or_default();
    answer.lines().filter(said).map(str::to_owned).collect()
}

fn stands(server: &Server, kind: &str, about: usize, by: usize) -> Option<String> {
    alerts(server, kind, about, by)
        .into_iter()
        .find(|line| line.contains(" stands "))
}

#[test]
fn a_follower_that_is_stopped_is_named_and_forgiven_when_it_goes_on() {
    let cluster = Cluster::start(3, "");
    let leader = cluster.wait();
    let follower = (leader + 1) % 3;
    assert_eq!(
        stands(
            &cluster.servers[leader],
            "peer-silent",
            follower + 1,
            leader + 1
        ),
        None
    );
    let start = Instant::now();
    cluster.servers[follower].signal(Signal::STOP);
    let line = eventually("the alert", || {
        stands(
            &cluster.servers[leader],
            "peer-silent",
            follower + 1,
            leader + 1,
        )
    });
    println!("named after {:?}: {line}", start.elapsed());
    // The other follower sees it too, and the leader knows that.
    let other = (leader + 2) % 3;
    eventually("the other's alert", || {
        stands(
            &cluster.servers[leader],
            "peer-silent",
            follower + 1,
            other + 1,
        )
    });
    eventually("the margin", || {
        stands(
            &cluster.servers[leader],
            "quorum-margin",
            leader + 1,
            leader + 1,
        )
    });
    assert!(
        cluster.servers[leader]
            .log()
            .contains("nothing comes from it")
    );
    cluster.servers[follower].signal(Signal::CONT);
    eventually("the end of it", || {
        let lines = alerts(
            &cluster.servers[leader],
            "peer-silent",
            follower + 1,
            leader + 1,
        );
        lines
            .iter()
            .any(|line| line.contains(" cleared_ms="))
            .then_some(())
    });
    eventually("its own word that it did not run", || {
        alerts(
            &cluster.servers[follower],
            "loop-stalled",
            follower + 1,
            follower + 1,
        )
        .pop()
    });
}

#[test]
fn a_leader_that_loses_its_majority_says_that_there_is_no_service_and_whom_it_misses() {
    let cluster = Cluster::start(3, "");
    let leader = cluster.wait();
    let server = &cluster.servers[leader];
    // The time that every start has is over.
    std::thread::sleep(std::time::Duration::from_secs(6));
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    let start = Instant::now();
    for n in followers {
        cluster.servers[n].signal(Signal::STOP);
    }
    let line = eventually("the alert", || {
        stands(server, "quorum-margin", leader + 1, leader + 1)
            .filter(|line| line.contains("no leader is found"))
    });
    println!("said after {:?}: {line}", start.elapsed());
    let mut missing = followers.map(|n| (n + 1).to_string());
    missing.sort();
    let missing = format!(" missing_voters={} ", missing.join(","));
    assert!(
        line.starts_with("critical ") && line.contains(&missing),
        "{line}"
    );
    for n in followers {
        cluster.servers[n].signal(Signal::CONT);
    }
}

#[test]
fn what_a_leader_said_that_was_removed_ends_with_its_membership() {
    let limits = ENABLED.to_owned();
    let cluster = Cluster::start(4, &limits);
    let leader = cluster.wait();
    let [stopped, other] = [1, 2].map(|n| (leader + n) % 4);
    cluster.servers[stopped].signal(Signal::STOP);
    let knows = || {
        stands(
            &cluster.servers[other],
            "quorum-margin",
            leader + 1,
            leader + 1,
        )
    };
    eventually("the margin, as another knows it", knows);
    let mut client = as_root(&cluster, other);
    config(&mut client);
    let id = (leader + 1).to_string();
    eventually("the removal", || reconfig(&mut client, "", &id, -1).ok());
    eventually("its end", || {
        let lines = alerts(
            &cluster.servers[other],
            "quorum-margin",
            leader + 1,
            leader + 1,
        );
        let stands = lines.iter().any(|line| line.contains(" stands "));
        (!stands).then_some(())
    });
    let log = cluster.servers[other].log();
    let ended = |line: &&str| {
        line.contains(&format!("quorum-margin-{id}-by-{id}-")) && line.contains("cleared")
    };
    assert!(log.lines().any(|line| ended(&line)), "{log}");
}

#[test]
fn a_leader_that_is_stopped_is_left_by_those_that_are_certain_and_leads_no_more_when_it_goes_on() {
    let cluster = Cluster::start(3, "");
    let leader = cluster.wait();
    let mut client = Client::connect(cluster.address((leader + 1) % 3));
    client.create("/a", b"", 0).unwrap();
    let start = Instant::now();
    cluster.servers[leader].signal(Signal::STOP);
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let next = eventually("another leader", || {
        others
            .into_iter()
            .find(|&n| cluster.servers[n].mode().as_deref() == Some("leader"))
    });
    println!("another leader after {:?}", start.elapsed());
    let mut client = Client::connect(cluster.address(next));
    client.set("/a", b"later", -1).unwrap();
    println!("a write after {:?}", start.elapsed());
    cluster.servers[leader].signal(Signal::CONT);
    eventually("the old leader as a follower", || {
        (cluster.servers[leader].mode().as_deref() == Some("follower")).then_some(())
    });
    let mut client = Client::connect(cluster.address(leader));
    client.sync("/a").unwrap();
    assert_eq!(client.get("/a").unwrap().0, b"later");
    let said = alerts(&cluster.servers[next], "peer-silent", leader + 1, next + 1);
    assert!(!said.is_empty(), "{}", cluster.servers[next].log());
}

#[test]
fn a_link_that_is_cut_one_way_is_named_by_the_one_that_is_not_heard() {
    // Who hears nothing breaks the connection after twice this; until then it can say that it hears nothing.
    let mut cluster = Cluster::start(3, "[timing]\nsync_limit_ms = 3000\n[warn]\nznodes = false");
    let links = Links::between(&mut cluster);
    let leader = cluster.wait();
    let (mute, deaf) = ((leader + 1) % 3, (leader + 2) % 3);
    // Both ways, all hear each other.
    let mut client = Client::connect(cluster.address(deaf));
    client.create("/a", b"", 0).unwrap();
    let named = |n: usize| alerts(&cluster.servers[n], "peer-deaf", deaf + 1, mute + 1);
    assert_eq!(named(mute), Vec::<String>::new());
    let start = Instant::now();
    links.cut(mute, deaf, true);
    let line = eventually("the alert", || named(mute).pop());
    println!("named after {:?}: {line}", start.elapsed());
    // The leader hears of it, and nobody says it of the other direction.
    eventually("the leader's knowledge", || named(leader).pop());
    let other_way = alerts(&cluster.servers[deaf], "peer-deaf", mute + 1, deaf + 1);
    assert_eq!(other_way, Vec::<String>::new());
    // A majority hears each other as before.
    client.set("/a", b"x", -1).unwrap();
    links.cut(mute, deaf, false);
    eventually("the end of the alert", || {
        let stands = stands(&cluster.servers[mute], "peer-deaf", deaf + 1, mute + 1);
        stands.is_none().then_some(())
    });
}

/// All servers behind the shim, with these clocks.
fn with_shim(limits: &str, clocks_ms: [i64; 3]) -> Cluster {
    let mut cluster = Cluster::start(3, limits);
    for (n, clock_ms) in clocks_ms.into_iter().enumerate() {
        cluster.servers[n].kill();
        cluster.servers[n].start_with_shim(clock_ms);
    }
    cluster.wait();
    cluster
}

#[test]
fn a_leader_whose_disk_does_not_answer_says_so_without_a_write_and_hands_over() {
    let cluster = with_shim("", [0; 3]);
    let leader = cluster.wait();
    let start = Instant::now();
    cluster.servers[leader].stall_disk();
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let next = eventually("another leader", || {
        others
            .into_iter()
            .find(|&n| cluster.servers[n].mode().as_deref() == Some("leader"))
    });
    println!("another leader after {:?}", start.elapsed());
    let mut client = Client::connect(cluster.address(next));
    client.create("/a", b"x", 0).unwrap();
    println!("a write after {:?}", start.elapsed());
    let line = eventually("the alert", || {
        stands(
            &cluster.servers[leader],
            "disk-stalled",
            leader + 1,
            leader + 1,
        )
    });
    println!("{line}");
    // The others have been told.
    eventually("the same elsewhere", || {
        stands(
            &cluster.servers[next],
            "disk-stalled",
            leader + 1,
            leader + 1,
        )
    });
    cluster.servers[leader].free_disk();
    eventually("its return as a follower", || {
        (cluster.servers[leader].mode().as_deref() == Some("follower")).then_some(())
    });
    eventually("the end of it", || {
        stands(
            &cluster.servers[leader],
            "disk-stalled",
            leader + 1,
            leader + 1,
        )
        .is_none()
        .then_some(())
    });
    assert_eq!(
        cluster.servers[next].mode().as_deref(),
        Some("leader"),
        "nobody was elected again"
    );
}

#[test]
fn when_all_disks_stall_nobody_gives_up_leading_for_it() {
    let cluster = with_shim("", [0; 3]);
    let leader = cluster.wait();
    // Those that follow first: when the leader notices, nobody can do better.
    for n in [(leader + 1) % 3, (leader + 2) % 3] {
        cluster.servers[n].stall_disk();
        eventually("its alert, known to the leader", || {
            stands(&cluster.servers[leader], "disk-stalled", n + 1, n + 1)
        });
    }
    cluster.servers[leader].stall_disk();
    eventually("the leader's alert", || {
        stands(
            &cluster.servers[leader],
            "disk-stalled",
            leader + 1,
            leader + 1,
        )
    });
    assert!(!cluster.servers[leader].log().contains("resigning"));
    cluster.servers.iter().for_each(|server| server.free_disk());
    cluster.wait();
}

#[test]
fn a_clock_that_is_wrong_is_told_by_its_own_server() {
    let cluster = with_shim("", [0, 0, 7000]);
    let line = eventually("the alert", || {
        stands(&cluster.servers[0], "clock-offset", 3, 3)
    });
    assert!(line.starts_with("critical "), "{line}");
    assert!(line.contains("ahead=1"), "{line}");
    assert_eq!(stands(&cluster.servers[0], "clock-offset", 1, 1), None);
    assert_eq!(stands(&cluster.servers[0], "clock-offset", 2, 2), None);
}

#[test]
fn alerts_are_znodes_that_can_be_watched_and_only_the_service_writes() {
    let digest = std::process::Command::new(crate::process::BINARY)
        .args(["digest", "super:test"])
        .output()
        .unwrap();
    let digest = String::from_utf8(digest.stdout).unwrap();
    let limits = format!(
        "[warn]\nznodes = true\n[security]\nsuper_digest = {:?}",
        digest.trim()
    );
    let cluster = Cluster::start(3, &limits);
    let leader = cluster.wait();
    let (stopped, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut client = Client::connect(cluster.address(other));
    cluster.servers[stopped].signal(Signal::STOP);
    let path = format!(
        "/zookeeper/alerts/peer-silent-{}-by-{}",
        stopped + 1,
        leader + 1
    );
    let data = eventually("the znode", || client.get(&path).ok()).0;
    let text = String::from_utf8(data).unwrap();
    assert!(
        text.contains("\"kind\":\"peer-silent\"") && text.contains("\"cleared_ms\":null"),
        "{text}"
    );
    for sure in [false, true] {
        if sure {
            client.show("super:test");
        }
        assert_eq!(client.set(&path, b"", -1).unwrap_err(), NO_AUTH);
        assert_eq!(client.delete(&path, -1).unwrap_err(), NO_AUTH);
        assert_eq!(
            client.create("/zookeeper/alerts/mine", b"", 0).unwrap_err(),
            NO_AUTH
        );
        assert_eq!(client.delete("/zookeeper/alerts", -1).unwrap_err(), NO_AUTH);
    }
    // A watch set while it stands tells when it is over.
    client.watch(4, &path).unwrap();
    cluster.servers[stopped].signal(Signal::CONT);
    assert_eq!(client.event(), (3, path.clone()), "its data was changed");
    eventually("the znode that tells the end", || {
        let text = String::from_utf8(client.get(&path).ok()?.0).unwrap();
        (!text.contains("\"cleared_ms\":null")).then_some(())
    });
}

/// What a member is brought up to date with is history: nobody waits for an acknowledgement of it, and an observer never gives one.
#[test]
fn who_came_back_by_diff_owes_no_acknowledgement_and_an_observer_never_does() {
    let mut cluster = Cluster::with_observers(3, 1, "");
    let leader = cluster.wait();
    let follower = (leader + 1) % 3;
    let mut client = Client::connect(cluster.address(leader));
    client.create("/a", b"", 0).unwrap();
    for back in [follower, 3] {
        cluster.servers[back].kill();
        for n in 0..5u8 {
            client.set("/a", &[n], -1).unwrap();
        }
        cluster.servers[back].start();
        eventually("its return", || cluster.servers[back].mode());
    }
    // Nothing is written from here on, so nothing later is acknowledged either: twice as long as the alert's limit.
    let start = Instant::now();
    while start.elapsed() < std::time::Duration::from_secs(2) {
        for back in [follower, 3] {
            let accused = stands(&cluster.servers[leader], "acks-late", back + 1, leader + 1);
            assert_eq!(accused, None);
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
