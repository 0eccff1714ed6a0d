//! Who may do what, on every server.

use crate::client::*;
use crate::process::{BINARY, Cluster};
use std::process::Command;

const NO_AUTH: i32 = -102;
const INVALID_ACL: i32 = -114;
const AUTH_FAILED: i32 = -115;

/// As `keelhaul-node digest` prints it.
fn digest(secret: &str) -> String {
    let output = Command::new(BINARY)
        .args(["digest", secret])
        .output()
        .unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_list_is_enforced_for_reads_and_writes_on_leader_and_followers() {
    let cluster = Cluster::start(3, "");
    let mut owner = Client::connect(cluster.address(0));
    owner.create("/secret", b"s", 0).unwrap();
    assert_eq!(
        owner.set_acl("/secret", 31, "auth", "", -1).unwrap_err(),
        INVALID_ACL
    );
    owner.show("owner:o");
    assert_eq!(
        owner
            .set_acl("/secret", 31, "auth", "", 0)
            .unwrap()
            .aversion,
        1
    );
    owner.create("/secret/child", b"", 0).unwrap();
    for n in 0..3 {
        let mut stranger = Client::connect(cluster.address(n));
        stranger.sync("/").unwrap();
        assert_eq!(stranger.get("/secret").unwrap_err(), NO_AUTH);
        assert_eq!(stranger.children("/secret").unwrap_err(), NO_AUTH);
        assert_eq!(stranger.set("/secret", b"", -1).unwrap_err(), NO_AUTH);
        assert_eq!(stranger.create("/secret/x", b"", 0).unwrap_err(), NO_AUTH);
        assert_eq!(stranger.delete("/secret/child", -1).unwrap_err(), NO_AUTH);
        assert_eq!(stranger.acl("/secret").unwrap_err(), NO_AUTH);
        assert_eq!(
            stranger
                .set_acl("/secret", 31, "world", "anyone", -1)
                .unwrap_err(),
            NO_AUTH
        );
        assert!(stranger.exists("/secret").is_ok());
        assert!(
            stranger.get("/secret/child").is_ok(),
            "lists are not inherited"
        );
        stranger.show("owner:wrong");
        assert_eq!(stranger.get("/secret").unwrap_err(), NO_AUTH);
        stranger.show("owner:o");
        assert_eq!(stranger.get("/secret").unwrap().0, b"s");
        stranger.create("/secret/x", b"", 0).unwrap();
        stranger.delete("/secret/x", -1).unwrap();
        let (permissions, scheme, id, _) = stranger.acl("/secret").unwrap();
        assert_eq!(
            (permissions, scheme.as_str(), id),
            (31, "digest", digest("owner:o"))
        );
    }
}

#[test]
fn who_may_read_but_not_administrate_sees_no_digest() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    client.create("/d", b"", 0).unwrap();
    client.create("/e", b"", 0).unwrap();
    client.show("me:m");
    client.set_acl("/d", 1, "auth", "", -1).unwrap();
    let (_, _, id, _) = client.acl("/d").unwrap();
    assert_eq!(id, "me:x");
    client.set_acl("/e", 31, "ip", "127.0.0.0/8", -1).unwrap();
    assert!(client.set("/e", b"", -1).is_ok());
    client.set_acl("/e", 31, "ip", "10.0.0.0/8", -1).unwrap();
    assert_eq!(client.set("/e", b"", -1).unwrap_err(), NO_AUTH);
}

#[test]
fn the_super_digest_opens_everything_and_a_scheme_that_is_unknown_ends_the_connection() {
    let security = format!("[security]\nsuper_digest = {:?}", digest("root:r"));
    let cluster = Cluster::start(1, &security);
    let mut client = Client::connect(cluster.address(0));
    client.create("/closed", b"", 0).unwrap();
    client.set_acl("/closed", 0, "world", "anyone", -1).unwrap();
    assert_eq!(client.get("/closed").unwrap_err(), NO_AUTH);
    client.show("root:r");
    client.get("/closed").unwrap();
    client
        .set_acl("/closed", 31, "world", "anyone", -1)
        .unwrap();
    client.zxid = 0;
    let wrong = Bytes::default().int(0).text("kerberos").text("ticket");
    assert_eq!(client.try_ask(100, &wrong).unwrap().error, AUTH_FAILED);
    assert!(client.is_closed());
}

#[test]
fn who_may_not_read_a_znode_is_not_told_of_it() {
    let cluster = Cluster::start(1, "");
    let mut owner = Client::connect(cluster.address(0));
    owner.show("owner:o");
    let mut curious = Client::connect(cluster.address(0));
    curious.add_watch("/", true);
    owner.create("/hidden", b"", 0).unwrap();
    owner.set_acl("/hidden", 31, "auth", "", -1).unwrap();
    owner.set("/hidden", b"", -1).unwrap();
    owner.create("/hidden/open", b"", 0).unwrap();
    owner.delete("/hidden/open", -1).unwrap();
    owner.delete("/hidden", -1).unwrap();
    curious.ping();
    let told = curious.take_events();
    let told: Vec<_> = told
        .iter()
        .map(|(kind, path)| (*kind, path.as_str()))
        .collect();
    assert_eq!(
        told,
        [(1, "/hidden"), (1, "/hidden/open"), (2, "/hidden/open")]
    );
}
