//! What there is beside creating, reading and writing.

use crate::client::*;
use crate::process::{Cluster, eventually};

const BAD_ARGUMENTS: i32 = -8;
const RECONFIG_DISABLED: i32 = -123;

fn create_ttl(path: &str, flags: i32, ttl: i64) -> Bytes {
    create(path, b"", flags).long(ttl)
}

#[test]
fn a_container_goes_with_its_last_child_and_a_time_to_live_ends() {
    let cluster = Cluster::start(3, "[znodes]\ncontainer_check_ms = 50");
    let mut client = Client::connect(cluster.address(1));
    let mut container = client.ask(19, &create("/box", b"", 4)).unwrap();
    assert_eq!(container.text(), "/box");
    assert_eq!(container.stat().owner, 0);
    client.create("/box/child", b"", 0).unwrap();
    assert_eq!(
        client.ask(21, &create_ttl("/ttl", 5, 0)).err(),
        Some(BAD_ARGUMENTS)
    );
    let mut ttl = client.ask(21, &create_ttl("/ttl-", 6, 200)).unwrap();
    assert_eq!(ttl.text(), "/ttl-0000000001");
    client.watch(3, "/ttl-0000000001").unwrap();
    assert_eq!(client.event(), (2, "/ttl-0000000001".to_owned()));
    assert!(client.exists("/box").is_ok(), "it has a child");
    client.delete("/box/child", -1).unwrap();
    eventually("the container's end", || client.exists("/box").err());
    assert_eq!(client.children("/").unwrap(), ["zookeeper"]);
}

#[test]
fn what_a_client_is_and_has_can_be_asked() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    client.show("me:m");
    let mut who = client.ask(107, &Bytes::default()).unwrap();
    assert_eq!(who.int(), 2);
    let pairs = [(who.text(), who.text()), (who.text(), who.text())];
    assert_eq!(pairs[0], ("ip".into(), "127.0.0.1".into()));
    assert_eq!(pairs[1], ("digest".into(), "me".into()));
    for path in ["/a", "/a/b", "/a/c", "/ab"] {
        client.create(path, b"", 0).unwrap();
    }
    for path in ["/a/e", "/f"] {
        client.create(path, b"", EPHEMERAL).unwrap();
    }
    let mut count = |path| {
        client
            .ask(104, &Bytes::default().text(path))
            .map(|mut n| n.int())
    };
    assert_eq!(
        (count("/a"), count("/a/b"), count("/x").err()),
        (Ok(3), Ok(0), Some(NO_NODE))
    );
    assert_eq!(count("/"), Ok(6 + 3), "with ZooKeeper's own three");
    let mut own = |prefix| {
        client
            .ask(103, &Bytes::default().text(prefix))
            .unwrap()
            .texts()
    };
    assert_eq!(own("/"), ["/a/e", "/f"]);
    assert_eq!(own("/a"), ["/a/e"]);
    assert_eq!(
        client
            .ask(16, &Bytes::default().text("").text("").text("").long(-1))
            .err(),
        Some(RECONFIG_DISABLED)
    );
}

#[test]
fn several_reads_at_one_point_have_each_its_own_result() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    client.create("/a", b"data", 0).unwrap();
    client.create("/a/b", b"", 0).unwrap();
    let read = |path| Bytes::default().text(path).byte(0);
    let body = multi(&[(4, read("/a")), (8, read("/a")), (4, read("/none"))]);
    let mut answer = client.ask(22, &body).unwrap();
    assert_eq!((answer.int(), answer.byte(), answer.int()), (4, 0, 0));
    assert_eq!(answer.buffer().unwrap(), b"data");
    assert_eq!(answer.stat().length, 4);
    assert_eq!((answer.int(), answer.byte(), answer.int()), (8, 0, 0));
    assert_eq!(answer.texts(), ["b"]);
    assert_eq!(
        (answer.int(), answer.byte(), answer.int()),
        (-1, 0, NO_NODE)
    );
    assert_eq!(answer.int(), NO_NODE);
    assert_eq!((answer.int(), answer.byte(), answer.int()), (-1, 1, -1));
    assert!(answer.is_empty());
    let mixed = multi(&[(4, read("/a")), (2, check("/a", -1))]);
    assert_eq!(client.try_ask(22, &mixed).unwrap().error, -5);
    assert!(client.exists("/a").is_ok());
}
