//! What three servers owe together.

use crate::client::*;
use crate::process::{Cluster, eventually};

#[test]
fn every_server_takes_writes_and_a_sync_makes_reads_current_everywhere() {
    let cluster = Cluster::start(3, "");
    let mut clients: Vec<Client> = (0..3)
        .map(|n| Client::connect(cluster.address(n)))
        .collect();
    clients[0].create("/c", b"", 0).unwrap();
    for round in 0..60u32 {
        let (writer, reader) = (round as usize % 3, (round as usize + 1) % 3);
        let version = clients[writer]
            .set("/c", &round.to_be_bytes(), -1)
            .unwrap()
            .version;
        clients[reader].sync("/c").unwrap();
        let (data, stat) = clients[reader].get("/c").unwrap();
        assert_eq!(
            (data, stat.version),
            (round.to_be_bytes().to_vec(), version)
        );
    }
}

#[test]
fn the_ensemble_survives_its_leader_and_the_leader_comes_back() {
    let mut cluster = Cluster::start(3, "");
    let first = cluster.wait();
    let mut client = Client::connect(cluster.address((first + 1) % 3));
    client.create("/kept", b"x", 0).unwrap();
    client.create("/mine", b"", EPHEMERAL).unwrap();
    cluster.servers[first].kill();
    let second = cluster.wait();
    assert_ne!(first, second);
    // The connection died with the leader; the session did not.
    let mut client = eventually("the session on another server", || {
        client
            .moved_to(cluster.address((first + 2) % 3))
            .ok()
            .filter(|moved| moved.session == client.session)
    });
    assert_eq!(client.get("/kept").unwrap().0, b"x");
    assert_eq!(client.exists("/mine").unwrap().owner, client.session);
    client.create("/later", b"y", 0).unwrap();
    cluster.servers[first].start();
    cluster.wait();
    let mut back = Client::connect(cluster.address(first));
    back.sync("/").unwrap();
    assert_eq!(back.get("/later").unwrap().0, b"y");
}

#[test]
fn a_session_moves_and_the_server_that_it_left_is_refused() {
    let cluster = Cluster::start(3, "");
    let mut old = Client::connect(cluster.address(0));
    old.create("/e", b"", EPHEMERAL).unwrap();
    let mut new = eventually("the session on a server that has caught up", || {
        old.moved_to(cluster.address(1)).ok()
    });
    assert_eq!(new.session, old.session);
    new.create("/new", b"", 0).unwrap();
    assert!(
        old.try_ask(1, &create("/old", b"", 0)).is_err(),
        "its connection is closed without an answer"
    );
    new.sync("/").unwrap();
    assert_eq!(new.exists("/old").unwrap_err(), NO_NODE);
    assert_eq!(new.exists("/e").unwrap().owner, new.session);
}

#[test]
fn a_follower_keeps_its_sessions_alive_and_the_leader_ends_those_that_are_silent() {
    let cluster = Cluster::start(3, "");
    let follower = (cluster.wait() + 1) % 3;
    let (mut lively, mut silent) = (
        Client::connect_for(cluster.address(follower), 600),
        Client::connect_for(cluster.address(follower), 600),
    );
    lively.create("/lively", b"", EPHEMERAL).unwrap();
    silent.create("/silent", b"", EPHEMERAL).unwrap();
    // Reads are answered by the follower alone: it is the follower that tells the leader.
    eventually("the silent session's end", || {
        lively.exists("/silent").err()
    });
    assert!(lively.exists("/lively").is_ok());
    assert!(silent.is_closed());
}

#[test]
fn without_a_majority_nobody_serves_and_with_one_all_is_there_again() {
    let mut cluster = Cluster::start(3, "");
    let mut client = Client::connect(cluster.address(0));
    client.create("/kept", b"x", 0).unwrap();
    cluster.servers[1].kill();
    cluster.servers[2].kill();
    eventually("the end of service", || {
        let answer = crate::process::word(cluster.address(0), "srvr")?;
        (answer == "This ZooKeeper instance is not currently serving requests\n").then_some(())
    });
    assert!(client.is_closed());
    assert!(Client::try_connect(cluster.address(0), 1000).is_err());
    cluster.servers[1].start();
    cluster.wait();
    cluster.servers[2].start();
    cluster.wait();
    for n in 0..3 {
        let mut client = Client::connect(cluster.address(n));
        client.sync("/").unwrap();
        assert_eq!(client.get("/kept").unwrap().0, b"x");
    }
}

#[test]
fn a_server_that_missed_much_is_brought_up_to_date_by_a_snapshot() {
    let mut cluster = Cluster::start(
        3,
        "[log]\nsnapshot_every = 20\nwindow = 5\nsegment_bytes = 4096",
    );
    let away = (cluster.wait() + 1) % 3;
    cluster.servers[away].kill();
    let mut client = Client::connect(cluster.address((away + 1) % 3));
    client.create("/d", b"", 0).unwrap();
    for _ in 0..100 {
        client.create("/d/", &[1; 100], SEQUENTIAL).unwrap();
    }
    cluster.servers[away].start();
    cluster.wait();
    let mut back = Client::connect(cluster.address(away));
    back.sync("/").unwrap();
    assert_eq!(back.children("/d").unwrap().len(), 100);
    assert!(
        cluster.servers[away]
            .log()
            .contains("replaced by a snapshot")
    );
}

#[test]
fn requests_sent_ahead_are_answered_as_if_one_at_a_time() {
    let cluster = Cluster::start(3, "");
    let mut clients: Vec<Client> = (0..3)
        .map(|n| Client::connect(cluster.address(n)))
        .collect();
    clients[0].create("/p", b"", 0).unwrap();
    for (n, client) in clients.iter_mut().enumerate() {
        client.sync("/p").unwrap();
        for round in 0..100u32 {
            let data = (n as u32 * 1000 + round).to_be_bytes();
            let before = client.get("/p").unwrap().0;
            // All four are on their way before the first is answered.
            client.send(9, &Bytes::default().text("/p")).unwrap();
            client
                .send(4, &Bytes::default().text("/p").byte(0))
                .unwrap();
            let set = Bytes::default().text("/p").buffer(&data).int(-1);
            client.send(5, &set).unwrap();
            client
                .send(4, &Bytes::default().text("/p").byte(0))
                .unwrap();
            let replies: Vec<Reply> = (0..4).map(|_| client.receive().unwrap()).collect();
            assert!(replies.iter().all(|reply| reply.error == 0));
            let [_, mut early, _, mut late] = <[Reply; 4]>::try_from(replies).ok().unwrap();
            assert_eq!(
                early.body.buffer(),
                Some(before),
                "a read saw a later write"
            );
            assert_eq!(late.body.buffer(), Some(data.to_vec()));
        }
    }
}

#[test]
fn when_the_32_bits_of_the_counter_run_out_a_new_epoch_begins_and_nothing_is_lost() {
    let cluster = Cluster::start(3, "[log]\nfirst_counter = 4294967285");
    let (mut last, mut epochs) = (0, std::collections::BTreeSet::new());
    for n in 0..40 {
        let path = format!("/n{n}");
        // Who asks while the leader changes loses the connection, and asks again; it may have been done all the same.
        eventually("a write", || {
            let leader =
                (0..3).find(|n| cluster.servers[*n].mode().as_deref() == Some("leader"))?;
            let mut client = Client::try_connect(cluster.address(leader), 10_000).ok()?;
            let reply = client.try_ask(1, &create(&path, b"", 0)).ok()?;
            assert!(
                reply.error == 0 || reply.error == NODE_EXISTS,
                "{}",
                reply.error
            );
            let zxid = client.get(&path).ok()?.1.czxid;
            assert!(zxid > last, "{zxid:x} after {last:x}");
            last = zxid;
            epochs.insert(zxid >> 32);
            Some(())
        });
    }
    assert!(epochs.len() >= 3, "{epochs:?}");
    let server = cluster.wait();
    let mut client = Client::connect(cluster.address(server));
    for n in 0..40 {
        assert!(client.exists(&format!("/n{n}")).is_ok(), "/n{n}");
    }
}

#[test]
fn an_ephemeral_is_not_left_behind_when_the_close_of_its_session_is_lost() {
    let mut cluster = Cluster::start(3, "");
    let leader = cluster.wait();
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    let mut closing = Client::connect_for(cluster.address(leader), 1);
    closing.create("/left", b"", EPHEMERAL).unwrap();
    for other in others {
        let mut client = Client::connect(cluster.address(other));
        client.sync("/").unwrap();
        assert_eq!(client.exists("/left").unwrap().owner, closing.session);
    }
    // The close reaches the leader alone, if it still leads, and is on nobody else's disk.
    for other in others {
        cluster.servers[other].kill();
    }
    // closeSession; the leader may have closed the connection already.
    drop(closing.send(-11, &Bytes::default()));
    cluster.servers[leader].kill();
    for other in others {
        cluster.servers[other].start();
    }
    let next = cluster.wait();
    let mut client = Client::connect(cluster.address(next));
    eventually("the end of the session", || client.exists("/left").err());
    let gone = closing.moved_to(cluster.address(next)).unwrap();
    assert_eq!(gone.session, 0, "nobody can go on with it");
    // What the old leader has of it makes no difference either.
    cluster.servers[leader].start();
    cluster.wait();
    for n in 0..3 {
        let mut client = Client::connect(cluster.address(n));
        client.sync("/").unwrap();
        assert_eq!(client.exists("/left").unwrap_err(), NO_NODE);
        assert_eq!(client.children("/").unwrap(), ["zookeeper"]);
    }
}
