//! Read-only mode: without a majority, who allows it may read, and nobody may write.

use crate::client::*;
use crate::http::command;
use crate::process::{Cluster, eventually, word};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};

const CONFIG: &str = "read_only = true\n[admin]\naddress = \"@ADMIN@\"\nwords = [\"*\"]";
const NOT_READ_ONLY: i32 = -119;
const GET_DATA: i32 = 4;

/// A session that may be read-only: the stream, its id, its password, its time-out and what the server says of the mode.
fn open(
    address: SocketAddr,
    zxid: i64,
    timeout: i32,
    session: i64,
    password: &[u8],
    allows: u8,
) -> io::Result<(TcpStream, i64, Vec<u8>, i32, u8)> {
    let mut stream = dial(address)?;
    let mut request = connect_request(zxid, timeout, session, password);
    *request.0.last_mut().unwrap() = allows;
    stream.write_all(&request.frame())?;
    let mut answer = read_frame(&mut stream)?;
    answer.int();
    let (timeout, session) = (answer.int(), answer.long());
    let password = answer.buffer().unwrap();
    Ok((stream, session, password, timeout, answer.byte()))
}

/// A client in read-only mode.
fn reader(address: SocketAddr) -> Client {
    let (stream, session, password, timeout, read_only) =
        open(address, 0, 5000, 0, &[0; 16], 1).unwrap();
    assert_eq!(read_only, 1);
    Client::over(stream, session, password, timeout)
}

/// Leaves one server, and waits until it is read-only.
fn alone(cluster: &mut Cluster) -> SocketAddr {
    cluster.servers[1].kill();
    cluster.servers[2].kill();
    let address = cluster.address(0);
    eventually("read-only mode", || {
        (word(address, "isro")? == "ro").then_some(())
    });
    address
}

#[test]
fn without_a_majority_who_allows_it_reads_and_nothing_is_written() {
    let mut cluster = Cluster::start(3, CONFIG);
    let mut before = Client::connect(cluster.address(0));
    before.create("/kept", b"x", 0).unwrap();
    before.create("/mine", b"", EPHEMERAL).unwrap();
    assert_eq!(word(cluster.address(0), "isro").unwrap(), "rw");
    let address = alone(&mut cluster);
    // Who does not allow it, who has seen more, and whose session is the ensemble's.
    assert!(open(address, 0, 4000, 0, &[0; 16], 0).is_err());
    assert!(open(address, i64::MAX, 4000, 0, &[0; 16], 1).is_err());
    assert!(open(address, 0, 4000, before.session, &before.password, 1).is_err());
    // Whose session nobody knows.
    assert_eq!(open(address, 0, 4000, 0x77, &[0; 16], 1).unwrap().1, 0);
    let mut client = reader(address);
    assert_eq!(client.get("/kept").unwrap().0, b"x");
    assert_eq!(client.exists("/mine").unwrap().owner, before.session);
    assert_eq!(client.exists("/none").unwrap_err(), NO_NODE);
    assert!(client.children("/").unwrap().contains(&"kept".to_owned()));
    client.watch(GET_DATA, "/kept").unwrap();
    client.ping();
    client.show("a:b");
    assert_eq!(client.create("/new", b"", 0), Err(NOT_READ_ONLY));
    assert_eq!(client.set("/kept", b"y", -1), Err(NOT_READ_ONLY));
    assert_eq!(client.delete("/kept", -1), Err(NOT_READ_ONLY));
    assert_eq!(client.sync("/"), Err(NOT_READ_ONLY));
    assert_eq!(
        client.ask(14, &multi(&[(13, check("/kept", -1))])).err(),
        Some(NOT_READ_ONLY)
    );
    assert_eq!(client.get("/kept").unwrap().0, b"x");
    let srvr = word(address, "srvr").unwrap();
    assert!(
        srvr.contains("\nREAD-ONLY mode; serving only read-only clients\n")
            && srvr.contains("\nMode: read-only\n")
    );
    let mntr = word(address, "mntr").unwrap();
    assert!(
        mntr.contains("zk_server_state\tread-only\n") && mntr.contains("zk_local_sessions\t1\n"),
        "{mntr}"
    );
    let admin = cluster.servers[0].admin_address;
    assert_eq!(command(admin, "is_read_only")["read_only"], true);
    assert_eq!(
        command(admin, "connections")["connections"][0]["session_id"],
        client.session
    );
    // With a majority it ends, the clients are told by the end of their connections, and nothing is left of the sessions.
    cluster.servers[1].start();
    cluster.wait();
    assert!(client.is_closed());
    assert_eq!(word(address, "isro").unwrap(), "rw");
    assert_eq!(
        open(address, 0, 4000, client.session, &client.password, 1)
            .unwrap()
            .1,
        0
    );
    let (_, session, _, _, read_only) = open(address, 0, 4000, 0, &[0; 16], 1).unwrap();
    assert!(
        session != 0 && read_only == 0,
        "who allows it gets a whole session when there is one"
    );
    let mut client = Client::connect(address);
    assert_eq!(client.get("/kept").unwrap().1.version, 0);
}

#[test]
fn a_read_only_session_goes_on_at_its_server_and_ends_when_it_is_closed_or_silent() {
    let mut cluster = Cluster::start(3, CONFIG);
    Client::connect(cluster.address(0))
        .create("/kept", b"", 0)
        .unwrap();
    let address = alone(&mut cluster);
    let (mut first, session, password, ..) = open(address, 0, 700, 0, &[0; 16], 1).unwrap();
    let again = open(address, 0, 700, session, &password, 1).unwrap();
    assert_eq!((again.1, &again.2, again.4), (session, &password, 1));
    assert!(
        read_frame(&mut first).is_err(),
        "a session has one connection"
    );
    assert_eq!(
        open(address, 0, 700, session, &[9; 16], 1).unwrap().1,
        0,
        "a wrong password"
    );
    let mut silent = again.0;
    assert!(read_frame(&mut silent).is_err(), "who is silent is closed");
    assert_eq!(
        open(address, 0, 700, session, &password, 1).unwrap().1,
        0,
        "and its session is gone"
    );
    let client = reader(address);
    let (session, password) = (client.session, client.password.clone());
    client.close();
    assert_eq!(open(address, 0, 700, session, &password, 1).unwrap().1, 0);
}

#[test]
fn it_is_off_unless_it_is_asked_for_and_a_server_that_never_served_does_not_begin_it() {
    let mut cluster = Cluster::start(3, "");
    cluster.servers[1].kill();
    cluster.servers[2].kill();
    let address = cluster.address(0);
    eventually("the end of service", || {
        (word(address, "isro")? == "null").then_some(())
    });
    let mut cluster = Cluster::start(3, CONFIG);
    let address = alone(&mut cluster);
    // After a restart it knows its snapshot alone, which may be nothing.
    cluster.servers[0].kill();
    cluster.servers[0].start();
    let looking = || {
        let state =
            std::panic::catch_unwind(|| command(cluster.servers[0].admin_address, "mntr")).ok()?;
        (state["uptime"].as_u64()? > 3000).then_some(())
    };
    eventually("more than the time after which it would begin", looking);
    assert_eq!(word(address, "isro").unwrap(), "null");
    assert!(open(address, 0, 4000, 0, &[0; 16], 1).is_err());
}
