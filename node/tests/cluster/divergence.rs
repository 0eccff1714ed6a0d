//! Replicas are compared by digests, all the time.

use crate::client::*;
use crate::http::command;
use crate::process::{Cluster, eventually};
use std::collections::BTreeMap;

const ADMIN: &str = "[admin]\naddress = \"@ADMIN@\"";

/// The digests that a server shows, by zxid.
fn digests(cluster: &Cluster, n: usize) -> BTreeMap<i64, i64> {
    let answer = command(cluster.servers[n].admin_address, "hash");
    let list = answer["digests"].as_array().unwrap().clone();
    let number = |value: &serde_json::Value| value.as_i64().unwrap();
    list.iter()
        .map(|at| (number(&at["zxid"]), number(&at["digest"])))
        .collect()
}

#[test]
fn servers_show_the_same_digests_for_the_same_zxids() {
    let cluster = Cluster::start(3, ADMIN);
    let mut client = Client::connect(cluster.address(0));
    for n in 0..400 {
        client
            .create(&format!("/n{n}"), format!("{n}").as_bytes(), 0)
            .unwrap();
    }
    let shown: Vec<BTreeMap<i64, i64>> = (0..3)
        .map(|n| {
            eventually("the digests of every 128th zxid", || {
                let shown = digests(&cluster, n);
                (shown.len() >= 3).then_some(shown)
            })
        })
        .collect();
    for other in &shown[1..] {
        for (zxid, digest) in other {
            assert_eq!(shown[0].get(zxid), Some(digest), "at {zxid:x}");
        }
    }
    let values: std::collections::BTreeSet<i64> = shown[0].values().copied().collect();
    assert_eq!(values.len(), shown[0].len(), "each write changes it");
}

#[cfg(feature = "bugs")]
#[test]
fn a_follower_that_applies_something_else_stops_serving_says_so_and_is_given_the_leaders_state() {
    use crate::process::word;
    let mut cluster = Cluster::start(3, ADMIN);
    let leader = cluster.wait();
    let wrong = (leader + 1) % 3;
    cluster.servers[wrong].kill();
    cluster.servers[wrong].start_with_bug("divergence");
    cluster.wait();
    let mut client = Client::connect(cluster.address(leader));
    for n in 0..200 {
        client.create(&format!("/n{n}"), b"right", 0).unwrap();
    }
    eventually("the difference is found", || {
        cluster.servers[wrong]
            .log()
            .contains("state is not the leader's")
            .then_some(())
    });
    let alert = format!(" divergence about={0} by={0} ", wrong + 1);
    let mut seen = false;
    eventually("the leader's state", || {
        let alerts = word(cluster.address(leader), "warn").unwrap_or_default();
        seen |= alerts.contains(&alert);
        let log = cluster.servers[wrong].log();
        (seen && log.contains("state replaced by a snapshot")).then_some(())
    });
    eventually("it serves again", || {
        let mode = cluster.servers[wrong].mode()?;
        assert_eq!(mode, "follower");
        let counts = word(cluster.address(wrong), "mntr")?;
        let count = counts
            .lines()
            .find_map(|line| line.strip_prefix("zk_digest_mismatches_count\t"))?;
        assert_ne!(count, "0");
        Some(())
    });
    assert_eq!(
        cluster.servers[leader].mode().as_deref(),
        Some("leader"),
        "the others went on"
    );
    // Without the bug, what it took over is right, and stays.
    cluster.servers[wrong].kill();
    cluster.servers[wrong].start();
    cluster.wait();
    let mut client = Client::connect(cluster.address(wrong));
    client.sync("/").unwrap();
    for n in 0..200 {
        assert_eq!(client.get(&format!("/n{n}")).unwrap().0, b"right", "/n{n}");
    }
}
