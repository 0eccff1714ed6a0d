//! Early warning, as an operator sees it: who is named, by whom, how soon.

use crate::client::*;
use crate::process::{Cluster, Server, eventually, word};
use rustix::process::Signal;
use std::time::Instant;

/// The lines of the word `warn` that say this: `kind about=N by=M`.
fn alerts(server: &Server, kind: &str, about: usize, by: usize) -> Vec<String> {
    let wanted = format!(" {kind} about={about} by={by} ");
    let answer = word(server.address, "warn").unwrap_or_default();
    answer
        .lines()
        .filter(|line| line.contains(&wanted))
        .map(str::to_owned)
        .collect()
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
