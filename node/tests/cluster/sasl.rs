//! SASL: who is let in by it, what he may do, and who is not served without it.

use crate::client::*;
use crate::process::Cluster;
use md5::{Digest, Md5};
use std::net::SocketAddr;

const NO_AUTH: i32 = -102;
const AUTH_FAILED: i32 = -115;
const AUTH_REQUIRED: i32 = -124;
const SASL: i32 = 102;

const USERS: &str = "[security.sasl]\nusers = { bob = \"secret\", ann = \"other\", super = \"s\", root = \"r\" }\nsuper_users = [\"root\"]";

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    Md5::digest(parts.join(&b':')).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// RFC 2831's answer to this nonce; without a method what the server must show in turn.
fn proof(name: &str, password: &str, nonce: &str, method: &str) -> String {
    let secret = hash(&[name.as_bytes(), b"zk-sasl-md5", password.as_bytes()]);
    let a1 = hex(&hash(&[&secret, nonce.as_bytes(), b"mine"]));
    let a2 = hex(&hash(&[method.as_bytes(), b"zookeeper/zk-sasl-md5"]));
    let parts = [&a1, nonce, "00000001", "mine", "auth", &a2].map(str::as_bytes);
    hex(&hash(&parts))
}

/// Sends a token; the server's, or its error.
fn token(client: &mut Client, token: &[u8]) -> Result<Vec<u8>, i32> {
    // Answers of SASL have no zxid.
    let seen = std::mem::take(&mut client.zxid);
    let mut reply = client
        .try_ask(SASL, &Bytes::default().buffer(token))
        .unwrap();
    client.zxid = seen;
    let answer = reply.body.buffer();
    assert!(reply.body.is_empty());
    match reply.error {
        0 => Ok(answer.unwrap_or_default()),
        error => {
            assert_eq!(answer, None);
            Err(error)
        }
    }
}

fn login(client: &mut Client, name: &str, password: &str) -> Result<(), i32> {
    let challenge = String::from_utf8(token(client, b"")?).unwrap();
    let nonce = challenge.split("nonce=\"").nth(1).unwrap();
    let nonce = nonce.split('"').next().unwrap();
    let shown = proof(name, password, nonce, "AUTHENTICATE");
    let answer = format!(
        "charset=utf-8,username=\"{name}\",realm=\"zk-sasl-md5\",nonce=\"{nonce}\",nc=00000001,cnonce=\"mine\",\
         digest-uri=\"zookeeper/zk-sasl-md5\",response={shown},qop=auth"
    );
    let last = token(client, answer.as_bytes())?;
    let expected = format!("rspauth={}", proof(name, password, nonce, ""));
    assert_eq!(String::from_utf8(last).unwrap(), expected);
    Ok(())
}

fn as_user(address: SocketAddr, name: &str, password: &str) -> Client {
    let mut client = Client::connect(address);
    login(&mut client, name, password).unwrap();
    client
}

#[test]
fn users_are_whom_they_show_themselves_to_be_on_every_server() {
    let cluster = Cluster::start(3, USERS);
    let mut bob = as_user(cluster.address(0), "bob", "secret");
    bob.create("/bob", b"his", 0).unwrap();
    bob.set_acl("/bob", 31, "auth", "", -1).unwrap();
    let (_, scheme, id, _) = bob.acl("/bob").unwrap();
    assert_eq!((scheme.as_str(), id.as_str()), ("sasl", "bob"));
    for n in 0..3 {
        let address = cluster.address(n);
        let mut nobody = Client::connect(address);
        nobody.sync("/").unwrap();
        assert_eq!(nobody.get("/bob").unwrap_err(), NO_AUTH);
        let mut ann = as_user(address, "ann", "other");
        ann.sync("/").unwrap();
        assert_eq!(ann.set("/bob", b"", -1).unwrap_err(), NO_AUTH);
        let mut again = as_user(address, "bob", "secret");
        again.sync("/").unwrap();
        again.set("/bob", b"his", -1).unwrap();
        // `super` is every user of the scheme; `root` is everybody.
        as_user(address, "super", "s").set("/bob", b"", -1).unwrap();
        as_user(address, "root", "r").set("/bob", b"", -1).unwrap();
    }
    bob.set_acl("/bob", 31, "ip", "10.0.0.1", -1).unwrap();
    let mut every = as_user(cluster.address(0), "super", "s");
    assert_eq!(every.get("/bob").unwrap_err(), NO_AUTH);
    as_user(cluster.address(0), "root", "r")
        .get("/bob")
        .unwrap();
}

#[test]
fn who_does_not_know_the_password_is_disconnected() {
    let cluster = Cluster::start(1, USERS);
    for (name, password) in [("bob", "guess"), ("eve", "secret")] {
        let mut client = Client::connect(cluster.address(0));
        assert_eq!(login(&mut client, name, password), Err(AUTH_FAILED));
        assert!(client.is_closed());
    }
    let mut client = Client::connect(cluster.address(0));
    assert_eq!(token(&mut client, b"out of turn"), Err(AUTH_FAILED));
    assert!(client.is_closed());
}

#[test]
fn a_server_without_users_has_nothing_to_say_and_goes_on() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    assert_eq!(token(&mut client, b""), Ok(Vec::new()));
    client.create("/a", b"", 0).unwrap();
}

#[test]
fn where_sasl_is_required_nothing_is_done_for_those_without_it() {
    let required = format!("[security]\nrequire = [\"sasl\"]\n{USERS}");
    let cluster = Cluster::start(1, &required);
    let requests: [(i32, Bytes); 5] = [
        (1, create("/a", b"", 0)),
        (4, Bytes::default().text("/").byte(0)),
        (9, Bytes::default().text("/")),
        (11, Bytes::default()),
        (-11, Bytes::default()),
    ];
    for (code, body) in requests {
        let mut client = Client::connect(cluster.address(0));
        assert_eq!(
            client.try_ask(code, &body).unwrap().error,
            AUTH_REQUIRED,
            "{code}"
        );
        assert!(client.is_closed(), "{code}");
    }
    let mut digest = Client::connect(cluster.address(0));
    digest.show("bob:secret");
    assert_eq!(digest.exists("/a").unwrap_err(), AUTH_REQUIRED);
    let mut wrong = Client::connect(cluster.address(0));
    assert_eq!(login(&mut wrong, "bob", "guess"), Err(AUTH_REQUIRED));
    let mut bob = as_user(cluster.address(0), "bob", "secret");
    assert_eq!(bob.exists("/a").unwrap_err(), NO_NODE, "nothing was done");
    bob.create("/a", b"", 0).unwrap();
}
