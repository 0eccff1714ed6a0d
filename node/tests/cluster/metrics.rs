//! What a server counts is what happened, and the four-letter word `mntr` tells it under ZooKeeper's names.

use crate::client::*;
use crate::process::{Cluster, eventually, word};
use std::collections::BTreeMap;

const GET_DATA: i32 = 4;

/// `mntr` of a server, by name without `zk_`.
fn mntr(cluster: &Cluster, n: usize) -> BTreeMap<String, String> {
    let text = word(cluster.address(n), "mntr").unwrap();
    let line = |line: &str| {
        let (name, value) = line.split_once('\t').expect("a name, a tab, a value");
        let name = name.strip_prefix("zk_").expect("every name begins alike");
        (name.to_owned(), value.to_owned())
    };
    let lines: Vec<_> = text.lines().map(line).collect();
    let map: BTreeMap<_, _> = lines.iter().cloned().collect();
    assert_eq!(map.len(), lines.len(), "a name comes once");
    map
}

fn number(readings: &BTreeMap<String, String>, name: &str) -> i64 {
    let value = readings
        .get(name)
        .unwrap_or_else(|| panic!("{name} is there"));
    value
        .parse()
        .unwrap_or_else(|_| panic!("{name} is {value}"))
}

#[test]
fn writes_reads_watches_and_sessions_are_counted_where_they_happen() {
    let cluster = Cluster::start(3, "");
    let leader = cluster.wait();
    let follower = (leader + 1) % 3;
    let before = mntr(&cluster, follower);
    let lead_before = mntr(&cluster, leader);
    let mut client = Client::connect(cluster.address(follower));
    client.create("/m", &[7; 100], 0).unwrap();
    client.create("/m/e", b"", EPHEMERAL).unwrap();
    for n in 0..20u8 {
        client.watch(GET_DATA, "/m").unwrap();
        client.set("/m", &[n; 50], -1).unwrap();
        client.get("/m").unwrap();
    }
    client.sync("/").unwrap();
    let here = mntr(&cluster, follower);
    let grown = |name: &str| number(&here, name) - number(&before, name);
    assert_eq!(here["server_state"], "follower");
    assert_eq!(here["peer_state"], "following - broadcast");
    // 22 writes; 40 reads and a sync.
    assert_eq!(
        (grown("cnt_updatelatency"), grown("cnt_readlatency")),
        (22, 41)
    );
    assert_eq!(grown("cnt_node_changed_watch_count"), 20);
    assert_eq!(grown("sum_node_changed_watch_count"), 20);
    assert_eq!(grown("connection_request_count"), 1);
    assert_eq!(
        (
            grown("znode_count"),
            grown("ephemerals_count"),
            grown("global_sessions")
        ),
        (2, 1, 1)
    );
    assert!(grown("learner_proposal_received_count") >= 23);
    assert!(grown("bytes_received_count") > 20 * 50 && grown("response_bytes") > 20 * 100);
    assert!(grown("watch_bytes") >= 20 * 20);
    assert!(grown("packets_sent") > 22 + 41 + 20 && grown("packets_received") >= 1 + 22 + 41);
    assert!(number(&here, "cnt_fsynctime") > 0 && number(&here, "max_client_response_size") > 100);
    assert!(!here.contains_key("learners") && number(&here, "quorum_size") == 3);
    let lead = mntr(&cluster, leader);
    let grown = |name: &str| number(&lead, name) - number(&lead_before, name);
    assert_eq!(lead["peer_state"], "leading - broadcast");
    // The session and 22 writes.
    assert_eq!((grown("proposal_count"), grown("commit_count")), (23, 23));
    assert_eq!(
        (
            grown("cnt_quorum_ack_latency"),
            grown("cnt_propagation_latency")
        ),
        (23, 23)
    );
    assert_eq!(
        (number(&lead, "learners"), number(&lead, "synced_followers")),
        (2, 2)
    );
    assert!(number(&lead, "max_proposal_size") > 100 && number(&lead, "min_proposal_size") > 0);
    let id = follower + 1;
    eventually("acknowledgements", || {
        (number(&mntr(&cluster, leader), &format!("cnt_{id}_ack_latency")) >= 23).then_some(())
    });
}

#[test]
fn followers_elections_and_expired_sessions_are_counted() {
    let mut cluster = Cluster::start(
        3,
        "[log]\nsnapshot_every = 20\nwindow = 5\nsegment_bytes = 4096",
    );
    let leader = cluster.wait();
    let away = (leader + 1) % 3;
    let before = mntr(&cluster, leader);
    cluster.servers[away].kill();
    let mut client = Client::connect(cluster.address(leader));
    cluster.servers[away].start();
    cluster.wait();
    let after = mntr(&cluster, leader);
    let grown = |name: &str| number(&after, name) - number(&before, name);
    assert_eq!((grown("diff_count"), grown("snap_count")), (1, 0));
    cluster.servers[away].kill();
    for _ in 0..100 {
        client.create("/s-", b"", SEQUENTIAL).unwrap();
    }
    cluster.servers[away].start();
    cluster.wait();
    let after = mntr(&cluster, leader);
    assert_eq!(
        number(&after, "snap_count") - number(&before, "snap_count"),
        1
    );
    assert!(number(&after, "cnt_snapshottime") > 0);
    let back = mntr(&cluster, away);
    assert_eq!(
        (
            number(&back, "cnt_election_time"),
            number(&back, "cnt_follower_sync_time")
        ),
        (1, 1)
    );
    let silent = Client::connect_for(cluster.address(leader), 600);
    eventually("its expiry", || {
        (number(&mntr(&cluster, leader), "stale_sessions_expired") > 0).then_some(())
    });
    drop(silent);
    // Without its leader each of the others looks for another, and is without service meanwhile.
    cluster.servers[leader].kill();
    let second = cluster.wait();
    let other = (0..3).find(|n| ![leader, second].contains(n)).unwrap();
    let (second, other) = (mntr(&cluster, second), mntr(&cluster, other));
    assert_eq!(number(&second, "cnt_leader_unavailable_time"), 1);
    assert_eq!(
        (
            number(&other, "cnt_unavailable_time"),
            number(&other, "looking_count")
        ),
        (1, 2)
    );
}

#[test]
fn what_is_refused_is_counted_and_srst_begins_anew() {
    let limits = "[limits]\nconnections_per_address = 4\ngreeting_ms = 200\nframe_bytes = 2048\n[admin]\nwords = [\"*\"]";
    let cluster = Cluster::start(1, limits);
    let mut client = Client::connect(cluster.address(0));
    client.create("/a", b"", 0).unwrap();
    // One that says nothing, one that is too long.
    let silent = dial(cluster.address(0)).unwrap();
    eventually("the end of the silent one", || {
        (number(&mntr(&cluster, 0), "sessionless_connections_expired") == 1).then_some(())
    });
    drop(silent);
    let too_long =
        Client::connect(cluster.address(0)).try_ask(5, &Bytes::default().buffer(&[0; 4000]));
    assert!(too_long.is_err());
    let held: Vec<_> = (0..4).map(|_| dial(cluster.address(0)).unwrap()).collect();
    // The words need a place too.
    let readings = eventually("a place for a word", || {
        let text = word(cluster.address(0), "mntr")?;
        text.contains("zk_connection_rejected\t")
            .then(|| mntr(&cluster, 0))
    });
    assert!(number(&readings, "connection_rejected") >= 1);
    assert_eq!(number(&readings, "large_requests_rejected"), 1);
    assert!(number(&readings, "connection_drop_count") >= 2);
    drop(held);
    assert_eq!(
        eventually("srst", || word(cluster.address(0), "srst")
            .filter(|text| !text.is_empty())),
        "Server stats reset.\n"
    );
    let readings = mntr(&cluster, 0);
    for name in [
        "proposal_count",
        "cnt_updatelatency",
        "connection_rejected",
        "max_latency",
        "cnt_fsynctime",
    ] {
        assert_eq!(number(&readings, name), 0, "{name}");
    }
    assert_eq!(
        number(&readings, "znode_count"),
        6,
        "ZooKeeper's own with the root twice, and /a"
    );
}
