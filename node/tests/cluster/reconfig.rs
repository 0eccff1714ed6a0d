//! Members that come and go while the ensemble works.

use crate::client::*;
use crate::ports::free_ports;
use crate::process::{Cluster, eventually, word};
use std::net::{SocketAddr, TcpListener, TcpStream};

const RECONFIG: i32 = 16;
const GET_DATA: i32 = 4;
const CHANGED: i32 = 3;
const CONFIG: &str = "/zookeeper/config";

const BAD_ARGUMENTS: i32 = -8;
const NEW_CONFIG_NO_QUORUM: i32 = -13;
const NO_AUTH: i32 = -102;

/// `root:r`.
pub(crate) const ENABLED: &str =
    "[reconfig]\nenabled = true\n[security]\nsuper_digest = \"root:gIN1qIOiR6J+O9R96nNDsKRfDDM=\"";

/// Asks for a change: what joins, what leaves, from which version. Returns the new configuration's text and its Stat.
pub(crate) fn reconfig(
    client: &mut Client,
    joining: &str,
    leaving: &str,
    from: i64,
) -> Result<(String, Stat), i32> {
    let text = |bytes: Bytes, text: &str| match text {
        "" => bytes.int(-1),
        text => bytes.text(text),
    };
    let body = text(text(Bytes::default(), joining), leaving)
        .int(-1)
        .long(from);
    client
        .ask(RECONFIG, &body)
        .map(|mut body| (body.text(), body.stat()))
}

pub(crate) fn as_root(cluster: &Cluster, n: usize) -> Client {
    let mut client = Client::connect(cluster.address(n));
    client.show("root:r");
    client
}

/// The configuration that a server serves, once it has one, and its version.
pub(crate) fn config(client: &mut Client) -> (String, i64) {
    eventually("a configuration", || {
        client.sync(CONFIG).unwrap();
        let text = String::from_utf8(client.get(CONFIG).unwrap().0).unwrap();
        let version = text.lines().last()?.strip_prefix("version=")?;
        let version = i64::from_str_radix(version, 16).unwrap();
        Some((text, version))
    })
}

#[test]
fn a_server_joins_leads_and_the_others_leave() {
    let mut cluster = Cluster::start(3, ENABLED);
    let mut client = as_root(&cluster, 0);
    client.create("/kept", b"x", 0).unwrap();
    let (before, version) = config(&mut client);
    assert_eq!(
        before.lines().count(),
        4,
        "three servers and the version: {before}"
    );

    // It joins with what it knows: the others, and itself.
    let newcomer = cluster.join(ENABLED);
    let line = cluster.line(newcomer, "participant");
    eventually("the newcomer's service", || {
        cluster.servers[newcomer].mode()
    });
    client.watch(GET_DATA, CONFIG).unwrap();
    let (after, stat) = reconfig(&mut client, &line, "", version).unwrap();
    assert_eq!(after.lines().count(), 5, "{after}");
    assert!(after.contains(&line), "{after}");
    assert_eq!((stat.version, stat.mzxid), (-1, config(&mut client).1));
    assert_eq!(client.take_events(), [(CHANGED, CONFIG.to_owned())]);
    assert_eq!(
        reconfig(&mut client, "", "1", version).unwrap_err(),
        BAD_VERSION
    );

    // Four vote now: with two down nothing goes on, with one down everything does.
    let leader = cluster.wait();
    let other = (0..3).find(|n| *n != leader && *n != 0).unwrap();
    cluster.servers[other].kill();
    client.create("/with-three", b"", 0).unwrap();
    cluster.servers[other].start();
    cluster.wait();

    // The three leave, the leader among them, and the newcomer serves alone.
    let mut at_newcomer = as_root(&cluster, newcomer);
    let (last, _) = eventually("the change", || {
        reconfig(&mut at_newcomer, "", "1,2,3", -1).ok()
    });
    assert_eq!(last.lines().count(), 2, "{last}");
    for n in 0..3 {
        eventually("that it hears that it was removed", || {
            let srvr = word(cluster.address(n), "srvr")?;
            srvr.contains("NOT A MEMBER").then_some(())
        });
        let log = cluster.servers[n].log();
        assert!(log.contains("is not one of the members"), "{log}");
    }
    (0..3).for_each(|n| cluster.servers[n].kill());
    let mut alone = eventually("the newcomer as leader", || {
        (cluster.servers[newcomer].mode()? == "leader").then(|| as_root(&cluster, newcomer))
    });
    assert_eq!(alone.get("/kept").unwrap().0, b"x");
    alone.create("/alone", b"", 0).unwrap();
    // Also after a restart: its configuration file names four, its log one.
    cluster.servers[newcomer].kill();
    cluster.servers[newcomer].start();
    eventually("the leader again", || {
        cluster.servers[newcomer]
            .mode()
            .filter(|mode| mode == "leader")
    });
    let mut alone = as_root(&cluster, newcomer);
    assert!(alone.exists("/alone").is_ok());
    // Somebody who left can come back.
    cluster.servers[0].start();
    eventually("the first server's service", || cluster.servers[0].mode());
    let line = cluster.line(0, "participant");
    eventually("its return", || reconfig(&mut alone, &line, "", -1).ok());
    assert_eq!(config(&mut alone).0.lines().count(), 3);
}

#[test]
fn an_observer_becomes_a_voter_and_a_voter_an_observer() {
    let cluster = Cluster::with_observers(3, 1, ENABLED);
    let leader = cluster.wait();
    let follower = (leader + 1) % 3;
    let mut client = as_root(&cluster, leader);
    config(&mut client);
    let lines = [
        cluster.line(3, "participant"),
        cluster.line(follower, "observer"),
    ];
    reconfig(&mut client, &lines.join(","), "", -1).unwrap();
    for (n, mode) in [(3, "follower"), (follower, "observer")] {
        eventually(mode, || cluster.servers[n].mode().filter(|is| is == mode));
    }
    let mut there = Client::connect(cluster.address(follower));
    there.create("/x", b"", 0).unwrap();
    assert!(
        word(cluster.address(leader), "mntr")
            .unwrap()
            .contains("zk_quorum_size\t3\n")
    );
}

/// A server's line with other ports, and where clients find it then.
fn elsewhere(cluster: &Cluster, n: usize) -> (String, SocketAddr) {
    let ports = free_ports(2);
    let (peers, clients) = (ports[0], ports[1]);
    let line = format!(
        "server.{}=127.0.0.1:{peers}:{peers}:participant;127.0.0.1:{clients}",
        n + 1
    );
    assert_ne!(line, cluster.line(n, "participant"));
    (line, SocketAddr::from(([127, 0, 0, 1], clients)))
}

#[test]
fn a_server_moves_where_the_ensemble_has_it() {
    let mut cluster = Cluster::start(3, ENABLED);
    let mut client = as_root(&cluster, 1);
    config(&mut client);
    // Of two members the one with the greater id dials: the others find the first server, or nobody does.
    let (line, moved) = elsewhere(&cluster, 0);
    let mut stays = Client::connect(cluster.address(0));
    reconfig(&mut client, &line, "", -1).unwrap();
    let mode = || word(moved, "srvr").filter(|srvr| srvr.contains("Mode: "));
    eventually("service at the new address", mode);
    let conf = word(moved, "conf").unwrap();
    assert!(
        conf.contains(&format!("clientPort={}\n", moved.port())),
        "{conf}"
    );
    assert!(
        TcpStream::connect(cluster.address(0)).is_err(),
        "nobody is at the old address"
    );
    stays
        .create("/stays", b"", 0)
        .expect("a connection that stands is not touched");
    drop((stays, client));
    // Those that begin anew find it, and it comes back there itself though its file says otherwise.
    for n in [2, 0] {
        cluster.servers[n].kill();
        cluster.servers[n].start();
    }
    eventually("service after a restart", mode);
    cluster.servers[1].kill();
    let mut client = eventually("a majority of those that began anew", || {
        mode()?;
        Some(Client::connect(moved))
    });
    assert!(client.exists("/stays").is_ok());
}

#[test]
fn a_server_that_cannot_move_says_so_and_moves_when_it_can() {
    let cluster = Cluster::start(3, ENABLED);
    let mut client = as_root(&cluster, 1);
    config(&mut client);
    let (line, moved) = elsewhere(&cluster, 0);
    let another = TcpListener::bind(moved).unwrap();
    reconfig(&mut client, &line, "", -1).unwrap();
    eventually("what it says of it", || {
        let log = cluster.servers[0].log();
        log.contains("cannot listen for clients where the ensemble has this server")
            .then_some(())
    });
    let mut here = Client::connect(cluster.address(0));
    here.create("/here", b"", 0).unwrap();
    drop(another);
    eventually("service at the new address", || {
        word(moved, "srvr").filter(|srvr| srvr.contains("Mode: "))
    });
    let log = cluster.servers[0].log();
    assert_eq!(log.matches("cannot listen for clients").count(), 1, "{log}");
}

#[test]
fn what_cannot_be_is_refused() {
    let cluster = Cluster::start(3, ENABLED);
    let mut client = as_root(&cluster, 0);
    config(&mut client);
    let mut refused =
        |joining: &str, leaving: &str| reconfig(&mut client, joining, leaving, -1).unwrap_err();
    assert_eq!(refused("server.4=127.0.0.1", ""), BAD_ARGUMENTS);
    assert_eq!(refused("", "1,2,3"), BAD_ARGUMENTS);
    assert_eq!(
        refused("server.9=127.0.0.1:1:1;127.0.0.1:2", "1,2,3"),
        NEW_CONFIG_NO_QUORUM
    );
    let mut nobody = Client::connect(cluster.address(1));
    assert_eq!(reconfig(&mut nobody, "", "3", -1).unwrap_err(), NO_AUTH);
    assert_eq!(nobody.set(CONFIG, b"", -1).unwrap_err(), NO_AUTH);
}

/// Seats are lent, soon.
fn lends() -> String {
    ENABLED.replace(
        "enabled = true",
        "enabled = true\nlend_seats = true\ngrace_ms = 1000\nsettle_ms = 300",
    )
}

/// An ensemble whose observer, the fourth, has the seat of a voter that is away: who leads, and who is away. The client is at the leader.
fn with_a_lent_seat() -> (Cluster, [usize; 2], Client) {
    let mut cluster = Cluster::with_observers(3, 1, &lends());
    let leader = cluster.wait();
    let mut client = as_root(&cluster, leader);
    config(&mut client);
    let away = (leader + 1) % 3;
    cluster.servers[away].kill();
    eventually("the seat", || {
        cluster.servers[3].mode().filter(|mode| mode == "follower")
    });
    (cluster, [leader, away], client)
}

#[test]
fn who_holds_the_seat_of_one_that_is_removed_keeps_it_and_the_log_says_so() {
    let (cluster, [leader, away], mut client) = with_a_lent_seat();
    let id = (away + 1).to_string();
    eventually("the removal", || reconfig(&mut client, "", &id, -1).ok());
    eventually("the log", || {
        let log = cluster.servers[leader].log();
        log.contains("its holder keeps the seat").then_some(())
    });
    eventually("the end of the notes", || {
        client.exists("/zookeeper/seats").err()
    });
    assert_eq!(cluster.servers[3].mode().as_deref(), Some("follower"));
}

#[test]
fn a_seat_whose_holder_is_removed_goes_back_to_its_owner() {
    let (mut cluster, [leader, away], mut client) = with_a_lent_seat();
    eventually("the removal", || reconfig(&mut client, "", "4", -1).ok());
    eventually("the note of it", || {
        let notes = client.get("/zookeeper/seats").ok()?.0;
        (notes == format!("{} 0\n", away + 1).into_bytes()).then_some(())
    });
    cluster.servers[away].start();
    eventually("its seat", || {
        cluster.servers[away]
            .mode()
            .filter(|mode| mode == "follower")
    });
    eventually("the end of the notes", || {
        client.exists("/zookeeper/seats").err()
    });
    let log = cluster.servers[leader].log();
    assert!(
        log.contains("nobody has the seat until its owner is back"),
        "{log}"
    );
}

#[test]
fn the_seat_of_a_voter_that_stays_away_is_lent_and_given_back() {
    let mut cluster = Cluster::with_observers(3, 1, &lends());
    let mut client = Client::connect(cluster.address(3));
    config(&mut client);
    let mode = |cluster: &Cluster, n: usize, mode: &str| {
        eventually(mode, || cluster.servers[n].mode().filter(|is| is == mode));
    };
    let reading = |cluster: &Cluster, n: usize, key: &str| {
        let mntr = word(cluster.address(n), "mntr").unwrap();
        let line = mntr.lines().find_map(|line| line.strip_prefix(key));
        line.expect(key).trim().parse::<u64>().unwrap()
    };
    let leader = cluster.wait();
    let [first, second] = [1, 2].map(|n| (leader + n) % 3);

    cluster.servers[first].kill();
    mode(&cluster, 3, "follower");
    // It goes by its log already; what it has applied follows.
    eventually("the note of it", || {
        (reading(&cluster, 3, "zk_seats_lent\t") == 1).then_some(())
    });
    let (_, stat) = client.get("/zookeeper/seats").unwrap();
    assert_eq!(stat.version, 0);
    assert_eq!(
        client.set("/zookeeper/seats", b"", -1).unwrap_err(),
        NO_AUTH
    );

    // Two of the three that the ensemble began with are gone, and it goes on.
    cluster.servers[second].kill();
    client.create("/with-a-lent-seat", b"", 0).unwrap();
    assert!(reading(&cluster, leader, "zk_seats_lent_count\t") >= 1);

    // They come back, and all is as it was.
    for n in [first, second] {
        cluster.servers[n].start();
    }
    mode(&cluster, 3, "observer");
    for n in [first, second] {
        mode(&cluster, n, "follower");
        eventually("no loan", || {
            (reading(&cluster, n, "zk_seats_lent\t") == 0).then_some(())
        });
    }
    eventually("the end of the notes", || {
        client.sync("/").unwrap();
        client.exists("/zookeeper/seats").err()
    });
    let log = cluster.servers[leader].log();
    assert!(log.contains("an observer takes its seat") && log.contains("it gets its seat again"));
}
