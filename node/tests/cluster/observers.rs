//! Observers: they serve clients as any server does, and nothing ever waits for them or rests on them.

use crate::client::*;
use crate::process::{Cluster, eventually, word};

const CHANGED: i32 = 3;
const GET_DATA: i32 = 4;

/// The observer of an ensemble of three voters and one observer.
const OBSERVER: usize = 3;

fn is_observing(cluster: &Cluster) -> bool {
    cluster.servers[OBSERVER].mode().as_deref() == Some("observer")
}

#[test]
fn an_observer_reads_writes_watches_and_syncs() {
    let cluster = Cluster::with_observers(3, 1, "");
    let (mut here, mut there) = (
        Client::connect(cluster.address(OBSERVER)),
        Client::connect(cluster.address(0)),
    );
    here.create("/o", b"0", 0).unwrap();
    here.create("/o/mine", b"", EPHEMERAL).unwrap();
    assert_eq!(here.create("/o", b"", 0), Err(NODE_EXISTS));
    for round in 1..40u8 {
        here.watch(GET_DATA, "/o").unwrap();
        there.set("/o", &[round], -1).unwrap();
        here.sync("/o").unwrap();
        let (data, stat) = here.get("/o").unwrap();
        assert_eq!((data, stat.version), (vec![round], i32::from(round)));
        assert_eq!(here.take_events(), [(CHANGED, "/o".to_owned())]);
    }
    there.sync("/o").unwrap();
    assert_eq!(there.exists("/o/mine").unwrap().owner, here.session);
    // Its session goes on at a voter, and comes back.
    let moved = eventually("the session at a voter", || {
        here.moved_to(cluster.address(1)).ok()
    });
    assert_eq!(moved.session, here.session);
    let back = eventually("the session at the observer", || {
        moved.moved_to(cluster.address(OBSERVER)).ok()
    });
    assert_eq!(back.session, here.session);
    back.close();
    there.sync("/o").unwrap();
    assert_eq!(there.exists("/o/mine").unwrap_err(), NO_NODE);
}

#[test]
fn an_observer_says_what_it_is() {
    let cluster = Cluster::with_observers(1, 1, "");
    let ask = |n: usize, what: &str| word(cluster.address(n), what).unwrap();
    assert_eq!(cluster.servers[0].mode().as_deref(), Some("leader"));
    assert!(ask(1, "srvr").contains("\nMode: observer\n"));
    assert!(ask(1, "stat").contains("\nMode: observer\n"));
    assert!(ask(1, "mntr").contains("zk_server_state\tobserver\n"));
    assert!(ask(1, "conf").contains("\npeerType=1\n"));
    assert!(ask(0, "conf").contains("\npeerType=0\n"));
    assert!(ask(0, "conf").contains(":observer;"));
}

#[test]
fn observers_are_not_part_of_a_majority() {
    let mut cluster = Cluster::with_observers(3, 2, "");
    let leader = cluster.wait();
    let mut client = Client::connect(cluster.address(OBSERVER));
    client.create("/kept", b"x", 0).unwrap();
    // Without the observers everything goes on.
    cluster.servers[OBSERVER].kill();
    cluster.servers[OBSERVER + 1].kill();
    let mut other = Client::connect(cluster.address(leader));
    other.create("/without", b"", 0).unwrap();
    cluster.servers[OBSERVER].start();
    cluster.servers[OBSERVER + 1].start();
    cluster.wait();
    // One voter of three is no majority, however many observers there are.
    cluster.servers[(leader + 1) % 3].kill();
    cluster.servers[(leader + 2) % 3].kill();
    for n in [leader, OBSERVER, OBSERVER + 1] {
        eventually("the end of service", || {
            let answer = word(cluster.address(n), "srvr")?;
            (answer == "This ZooKeeper instance is not currently serving requests\n").then_some(())
        });
    }
    cluster.servers[(leader + 1) % 3].start();
    cluster.wait();
    let mut client = Client::connect(cluster.address(OBSERVER));
    client.sync("/").unwrap();
    assert!(client.exists("/kept").is_ok() && client.exists("/without").is_ok());
}

#[test]
fn an_observer_goes_on_under_the_next_leader_with_its_clients() {
    let mut cluster = Cluster::with_observers(3, 1, "");
    let mut client = Client::connect(cluster.address(OBSERVER));
    client.create("/kept", b"x", 0).unwrap();
    client.create("/mine", b"", EPHEMERAL).unwrap();
    for _ in 0..3 {
        let leader = cluster.wait();
        cluster.servers[leader].kill();
        assert_ne!(cluster.wait(), leader);
        client = eventually("the session on the observer again", || {
            client.moved_to(cluster.address(OBSERVER)).ok()
        });
        assert!(is_observing(&cluster));
        assert_eq!(client.exists("/mine").unwrap().owner, client.session);
        client.set("/kept", b"y", -1).unwrap();
        cluster.servers[leader].start();
    }
    cluster.wait();
    let mut voter = Client::connect(cluster.address(0));
    voter.sync("/").unwrap();
    assert_eq!(voter.get("/kept").unwrap().1.version, 3);
}

#[test]
fn an_observer_that_was_killed_catches_up_from_memory_from_the_log_and_by_a_snapshot() {
    let mut cluster = Cluster::with_observers(
        3,
        1,
        "[log]\nsnapshot_every = 100\nwindow = 5\nsegment_bytes = 4096",
    );
    let mut client = Client::connect(cluster.address(0));
    client.create("/d", b"", 0).unwrap();
    let mut count = 0;
    for missed in [3, 30, 400] {
        cluster.servers[OBSERVER].kill();
        for _ in 0..missed {
            client.create("/d/", &[1; 50], SEQUENTIAL).unwrap();
        }
        count += missed;
        cluster.servers[OBSERVER].start();
        cluster.wait();
        let mut back = Client::connect(cluster.address(OBSERVER));
        back.sync("/").unwrap();
        assert_eq!(back.children("/d").unwrap().len(), count);
    }
    let log = cluster.servers[OBSERVER].log();
    assert!(log.contains("replaced by a snapshot"));
}
