//! Watches, as clients see them: the event before the new data, on every server, and after reconnecting too.

use crate::client::*;
use crate::process::{Cluster, eventually, word};
use std::time::Instant;

const CREATED: i32 = 1;
const DELETED: i32 = 2;
const CHANGED: i32 = 3;
const CHILDREN: i32 = 4;
const NO_WATCHER: i32 = -121;

const EXISTS: i32 = 3;
const DATA: i32 = 4;
const GET_CHILDREN: i32 = 8;
const GET_CHILDREN2: i32 = 12;

fn event(kind: i32, path: &str) -> (i32, String) {
    (kind, path.to_owned())
}

#[test]
fn one_shot_watches_fire_once_and_before_the_answer_that_shows_the_change() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    assert_eq!(client.watch(EXISTS, "/a"), Err(NO_NODE));
    assert_eq!(
        client.watch(DATA, "/a"),
        Err(NO_NODE),
        "only exists can wait for it"
    );
    client.create("/a", b"1", 0).unwrap();
    assert_eq!(client.take_events(), [event(CREATED, "/a")]);
    client.set("/a", b"2", -1).unwrap();
    assert_eq!(client.take_events(), []);
    client.watch(DATA, "/a").unwrap();
    client.watch(EXISTS, "/a").unwrap();
    client.watch(GET_CHILDREN, "/a").unwrap();
    client.watch(GET_CHILDREN2, "/a").unwrap();
    client.create("/a/b", b"", 0).unwrap();
    assert_eq!(client.take_events(), [event(CHILDREN, "/a")]);
    client.set("/a", b"3", -1).unwrap();
    assert_eq!(client.take_events(), [event(CHANGED, "/a")]);
    client.watch(DATA, "/a/b").unwrap();
    client.watch(GET_CHILDREN, "/a/b").unwrap();
    client.watch(GET_CHILDREN, "/a").unwrap();
    client.delete("/a/b", -1).unwrap();
    assert_eq!(
        client.take_events(),
        [event(DELETED, "/a/b"), event(CHILDREN, "/a")]
    );
    assert!(
        word(cluster.address(0), "mntr")
            .unwrap()
            .contains("zk_watch_count\t0\n")
    );
}

#[test]
fn a_multi_tells_of_each_part_and_a_failed_one_of_nothing() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    client.create("/m", b"", 0).unwrap();
    client.add_watch("/m", true);
    let set = Bytes::default().text("/m/a").buffer(b"x").int(0);
    let parts = [(1, create("/m/a", b"", 0)), (5, set), (2, check("/m/a", 1))];
    client.multi(&parts);
    assert_eq!(
        client.take_events(),
        [
            event(CREATED, "/m/a"),
            event(CHANGED, "/m/a"),
            event(DELETED, "/m/a")
        ]
    );
    client.multi(&[(1, create("/m/b", b"", 0)), (13, check("/m", 9))]);
    client.ping();
    assert_eq!(client.take_events(), []);
}

#[test]
fn persistent_watches_stay_until_they_are_removed() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    client.add_watch("/p", false);
    for _ in 0..2 {
        client.create("/p", b"", 0).unwrap();
        client.set("/p", b"", -1).unwrap();
        client.create("/p/c", b"", 0).unwrap();
        client.set("/p/c", b"", -1).unwrap();
        client.delete("/p/c", -1).unwrap();
        client.delete("/p", -1).unwrap();
        let expected =
            [CREATED, CHANGED, CHILDREN, CHILDREN, DELETED].map(|kind| event(kind, "/p"));
        assert_eq!(client.take_events(), expected);
    }
    assert_eq!(client.about_watch(17, "/p", 3), Ok(()));
    assert_eq!(client.about_watch(17, "/q", 3), Err(NO_WATCHER));
    assert_eq!(client.about_watch(18, "/p", 1), Ok(()));
    assert_eq!(client.about_watch(18, "/p", 1), Err(NO_WATCHER));
    client.create("/p", b"", 0).unwrap();
    client.create("/p/c", b"", 0).unwrap();
    assert_eq!(client.take_events(), [event(CREATED, "/p")]);
    assert_eq!(client.about_watch(18, "/p", 3), Ok(()));
    client.set("/p", b"", -1).unwrap();
    assert_eq!(client.take_events(), []);
}

#[test]
fn every_server_tells_its_own_clients_before_they_can_see_the_change() {
    let cluster = Cluster::start(3, "");
    let mut writer = Client::connect(cluster.address(0));
    writer.create("/w", b"0", 0).unwrap();
    let mut watchers: Vec<Client> = (0..3)
        .map(|n| Client::connect(cluster.address(n)))
        .collect();
    for watcher in &mut watchers {
        watcher.sync("/w").unwrap();
        watcher.watch(DATA, "/w").unwrap();
    }
    for n in 1..100u32 {
        writer.set("/w", &n.to_be_bytes(), -1).unwrap();
        for watcher in &mut watchers {
            // Reads until the new data is there: the event must have come before it.
            while watcher.get("/w").unwrap().0 != n.to_be_bytes() {}
            assert_eq!(watcher.take_events(), [event(CHANGED, "/w")], "change {n}");
            watcher.watch(DATA, "/w").unwrap();
        }
    }
}

#[test]
fn the_end_of_a_session_is_told_to_those_who_watch_its_ephemerals() {
    let cluster = Cluster::start(3, "");
    let mut silent = Client::connect_for(cluster.address(0), 1);
    silent.create("/lock", b"", EPHEMERAL).unwrap();
    let mut waiting = Client::connect(cluster.address(1));
    waiting.sync("/").unwrap();
    waiting.watch(EXISTS, "/lock").unwrap();
    waiting.watch(GET_CHILDREN, "/").unwrap();
    // Nobody asks: the event comes by itself.
    assert_eq!(waiting.event(), event(DELETED, "/lock"));
    assert_eq!(waiting.event(), event(CHILDREN, "/"));
    assert_eq!(waiting.exists("/lock").unwrap_err(), NO_NODE);
}

#[test]
fn watches_set_again_on_another_server_tell_what_was_missed() {
    let cluster = Cluster::start(3, "");
    let mut writer = Client::connect(cluster.address(0));
    for path in ["/same", "/changed", "/gone", "/again", "/parent", "/quiet"] {
        writer.create(path, b"", 0).unwrap();
    }
    let mut client = Client::connect(cluster.address(1));
    client.sync("/").unwrap();
    let seen = client.zxid;
    writer.set("/changed", b"x", -1).unwrap();
    writer.delete("/gone", -1).unwrap();
    writer.delete("/again", -1).unwrap();
    writer.create("/again", b"", 0).unwrap();
    writer.create("/born", b"", 0).unwrap();
    writer.create("/parent/child", b"", 0).unwrap();
    // It has seen nothing of this when it comes to another server, which has.
    let mut moved = eventually("a server that has everything", || {
        let mut moved = client.moved_to(cluster.address(2)).ok()?;
        moved.sync("/").ok()?;
        Some(moved)
    });
    moved.set_watches(
        seen,
        [
            &["/same", "/changed", "/gone", "/again"],
            &["/born", "/unborn"],
            &["/parent", "/quiet", "/gone"],
            &["/changed"],
            &["/parent"],
        ],
    );
    assert_eq!(
        moved.take_events(),
        [
            event(CHANGED, "/changed"),
            event(DELETED, "/gone"),
            event(CHANGED, "/again"),
            event(CREATED, "/born"),
            event(CHILDREN, "/parent"),
            event(DELETED, "/gone"),
        ]
    );
    moved.create("/unborn", b"", 0).unwrap();
    moved.set("/same", b"", -1).unwrap();
    moved.create("/quiet/child", b"", 0).unwrap();
    moved.set("/changed", b"", -1).unwrap();
    moved.create("/parent/second", b"", 0).unwrap();
    moved.ping();
    assert_eq!(
        moved.take_events(),
        [
            event(CREATED, "/unborn"),
            event(CHANGED, "/same"),
            event(CHILDREN, "/quiet"),
            event(CHANGED, "/changed"),
            event(CREATED, "/parent/second"),
        ]
    );
}

#[test]
fn watches_go_with_their_connection() {
    let cluster = Cluster::start(1, "");
    let count = || {
        let mntr = word(cluster.address(0), "mntr").unwrap();
        let line = mntr
            .lines()
            .find_map(|line| line.strip_prefix("zk_watch_count\t"));
        line.unwrap().parse::<u32>().unwrap()
    };
    let mut client = Client::connect(cluster.address(0));
    for n in 0..1000 {
        let _ = client.watch(EXISTS, &format!("/{n}"));
    }
    client.add_watch("/", true);
    assert_eq!(count(), 1001);
    drop(client);
    eventually("no watches", || (count() == 0).then_some(()));
}

#[test]
fn a_thousand_watchers_of_one_znode_are_told_at_once() {
    // More need more file descriptors than many machines give by default.
    let count = std::env::var("KEELHAUL_WATCHERS").map_or(1000, |count| count.parse().unwrap());
    let cluster = Cluster::start(1, "[limits]\nsession_timeout_max_ms = 600000");
    let mut writer = Client::connect_for(cluster.address(0), 600_000);
    writer.create("/config", b"0", 0).unwrap();
    let mut watchers: Vec<Client> = (0..count)
        .map(|_| Client::connect_for(cluster.address(0), 600_000))
        .collect();
    for watcher in &mut watchers {
        watcher.watch(DATA, "/config").unwrap();
    }
    let start = Instant::now();
    writer.set("/config", b"1", -1).unwrap();
    for watcher in &mut watchers {
        assert_eq!(watcher.event(), event(CHANGED, "/config"));
    }
    println!("{count} watchers were told within {:?}", start.elapsed());
}

#[test]
fn a_client_that_reads_no_events_is_closed_and_others_are_served() {
    let limits = "[limits]\nunsent_bytes = 10000\nunsent_event_bytes = 300000";
    let cluster = Cluster::start(1, limits);
    let mut deaf = Client::connect(cluster.address(0));
    deaf.add_watch("/", true);
    let mut writer = Client::connect(cluster.address(0));
    let name = format!("/{}", "n".repeat(20_000));
    writer.create(&name, b"", 0).unwrap();
    let drowned = || {
        let mntr = word(cluster.address(0), "mntr").unwrap();
        mntr.contains("zk_watch_count\t0\n").then_some(())
    };
    // The kernel takes some megabytes before the server notices.
    for _ in 0..2000 {
        writer.set(&name, b"", -1).unwrap();
        if drowned().is_some() {
            return;
        }
    }
    panic!("the client that does not read was not closed");
}
