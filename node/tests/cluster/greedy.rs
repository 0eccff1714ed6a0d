//! Requests that are short and want much: each has a limit, and keeps nobody else waiting for long.

use crate::client::*;
use crate::process::{Cluster, eventually, word};

const MULTI_READ: i32 = 22;
const GET_DATA: i32 = 4;
const CREATE: i32 = 1;
const COUNT_ALL_CHILDREN: i32 = 104;
const AUTH: i32 = 100;
const MARSHALLING: i32 = -5;
const INVALID_ACL: i32 = -114;
const AUTH_FAILED: i32 = -115;

#[test]
fn who_shows_more_than_anybody_has_is_refused_and_no_write_carries_it() {
    let cluster = Cluster::start(3, "");
    cluster.wait();
    for n in 0..3 {
        let mut client = Client::connect(cluster.address(n));
        let credential = format!("{}:x", "n".repeat(900_000));
        let shown = Bytes::default()
            .int(0)
            .text("digest")
            .buffer(credential.as_bytes());
        assert_eq!(client.try_ask(AUTH, &shown).unwrap().error, AUTH_FAILED);
        assert!(client.is_closed());
    }
    // What stands for `auth` may not make a megabyte out of a few bytes, again and again.
    let mut client = Client::connect(cluster.address(0));
    client.show(&format!("{}:x", "n".repeat(15_000)));
    let with_own = |path: &str| {
        let list = Bytes::default().text(path).buffer(b"").int(1).int(31);
        list.text("auth").text("").int(0)
    };
    client.ask(CREATE, &with_own("/own")).unwrap();
    let parts: Vec<(i32, Bytes)> = (0..200)
        .map(|n| (CREATE, with_own(&format!("/own-{n}"))))
        .collect();
    assert!(
        client
            .multi(&parts)
            .iter()
            .any(|(_, error)| *error == INVALID_ACL)
    );
    assert_eq!(client.exists("/own-0").unwrap_err(), NO_NODE);
}

#[test]
fn a_multi_read_that_wants_too_much_gets_a_part_of_it() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    let data = vec![7; 1_000_000];
    client.create("/large", &data, 0).unwrap();
    let read = Bytes::default().text("/large").byte(0);
    let mut read_all = |times: usize| {
        let parts: Vec<(i32, Bytes)> = (0..times).map(|_| (GET_DATA, read.clone())).collect();
        let mut body = client.ask(MULTI_READ, &multi(&parts)).unwrap();
        let (mut whole, mut refused) = (0, 0);
        loop {
            let (code, done, error) = (body.int(), body.byte(), body.int());
            match (code, done) {
                (_, 1) => return (whole, refused),
                (GET_DATA, _) => {
                    assert_eq!(body.buffer().unwrap().len(), data.len());
                    body.stat();
                    whole += 1;
                }
                _ => {
                    assert_eq!((error, body.int()), (MARSHALLING, MARSHALLING));
                    refused += 1;
                }
            }
        }
    };
    // More than may be left unread, events included: a single answer may be.
    assert_eq!(read_all(40), (40, 0));
    let (whole, refused) = read_all(2200);
    assert_eq!(whole + refused, 2200);
    assert!((60..80).contains(&whole), "{whole}");
    assert!(client.exists("/large").is_ok(), "it is served as before");
}

#[test]
fn who_has_the_tree_counted_again_and_again_does_not_keep_others_waiting() {
    let cluster = Cluster::start(1, "[admin]\nwords = [\"srvr\", \"cons\"]");
    let mut greedy = Client::connect(cluster.address(0));
    greedy.create("/many", b"", 0).unwrap();
    for hundred in 0..300 {
        let creates: Vec<(i32, Bytes)> = (0..100)
            .map(|n| (CREATE, create(&format!("/many/{hundred}-{n}"), b"", 0)))
            .collect();
        greedy.multi(&creates);
    }
    let count = Bytes::default().text("/many");
    let before = word(cluster.address(0), "cons").unwrap();
    assert!(before.contains("queued=0"), "{before}");
    for _ in 0..800 {
        greedy.send(COUNT_ALL_CHILDREN, &count).unwrap();
    }
    eventually("somebody else is served meanwhile", || {
        let others = word(cluster.address(0), "cons")?;
        let queued = others.split("queued=").skip(1);
        let queued = queued.filter(|rest| !rest.starts_with("0,"));
        (queued.count() > 0).then_some(())
    });
    for _ in 0..800 {
        assert_eq!(greedy.receive().unwrap().error, 0);
    }
}
