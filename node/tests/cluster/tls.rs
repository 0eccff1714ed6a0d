//! TLS, for clients and between members: who is let in, who is not, and that nobody else is harmed by those who are not.

use crate::authority::Authority;
use crate::client::*;
use crate::process::{Cluster, LIMIT, eventually};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring,
};

const NO_AUTH: i32 = -102;
const INVALID_ACL: i32 = -114;

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// A connection over TLS that trusts one authority, and shows what is in the store.
fn secured(address: SocketAddr, trust: &Path, store: Option<&Path>) -> io::Result<Secured> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(trust).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match store {
        None => config.with_no_client_auth(),
        Some(store) => {
            let chain = vec![CertificateDer::from_pem_file(store).unwrap()];
            let key = PrivateKeyDer::from_pem_file(store).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let name = ServerName::IpAddress(address.ip().into());
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    Ok(StreamOwned::new(connection, dial(address)?))
}

fn connect(address: SocketAddr, trust: &Path, store: Option<&Path>) -> io::Result<Client> {
    Client::open(secured(address, trust, store)?, 10_000)
}

/// What `whoAmI` says: scheme and user.
fn who(client: &mut Client) -> Vec<(String, String)> {
    let mut answer = client.ask(107, &Bytes::default()).unwrap();
    (0..answer.int())
        .map(|_| (answer.text(), answer.text()))
        .collect()
}

#[test]
fn clients_over_tls_are_whom_their_certificate_names_and_the_plain_port_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (ca, other_ca) = (
        ours.trust(dir.path(), "ca"),
        theirs.trust(dir.path(), "other"),
    );
    let server = ours.store(dir.path(), "server", &["127.0.0.1"]);
    let [ann, bob, admin] = ["ann", "bob", "admin"].map(|name| ours.store(dir.path(), name, &[]));
    let stranger = theirs.store(dir.path(), "ann2", &[]);
    let cluster = Cluster::start(
        1,
        &format!(
            "[tls.clients]\naddress = \"@ADMIN@\"\nkeys = {{ certificate = {server:?}, trust = {ca:?} }}\n\
             super_subject = \"CN=admin,O=Keelhaul\""
        ),
    );
    let secure = cluster.servers[0].admin_address;
    let mut plain = Client::connect(cluster.address(0));
    let mut one = connect(secure, &ca, Some(&ann)).unwrap();
    assert_eq!(
        who(&mut one)[1],
        ("x509".into(), "CN=ann,O=Keelhaul".into())
    );
    one.create("/ann", b"hers", 0).unwrap();
    one.set_acl("/ann", 31, "auth", "", -1).unwrap();
    assert_eq!(one.acl("/ann").unwrap().2, "CN=ann,O=Keelhaul");
    assert_eq!(plain.get("/ann").unwrap_err(), NO_AUTH);
    let mut two = connect(secure, &ca, Some(&bob)).unwrap();
    assert_eq!(two.get("/ann").unwrap_err(), NO_AUTH);
    one.set_acl("/ann", 1, "x509", "CN=bob,O=Keelhaul", -1)
        .unwrap();
    assert_eq!(two.get("/ann").unwrap().0, b"hers");
    assert_eq!(one.get("/ann").unwrap_err(), NO_AUTH);
    let mut root = connect(secure, &ca, Some(&admin)).unwrap();
    root.set("/ann", &vec![7; 500_000], -1).unwrap();
    assert_eq!(root.get("/ann").unwrap().0.len(), 500_000);
    assert_eq!(
        root.set_acl("/ann", 1, "x509", "bob", -1).unwrap_err(),
        INVALID_ACL
    );

    // Nobody else gets in, whatever it tries.
    assert!(connect(secure, &ca, None).is_err(), "without a certificate");
    assert!(
        connect(secure, &ca, Some(&stranger)).is_err(),
        "of another authority"
    );
    assert!(
        connect(secure, &other_ca, Some(&ann)).is_err(),
        "the client does not believe the server"
    );
    assert!(
        Client::try_connect(secure, 4000).is_err(),
        "plain on the secure port"
    );
    assert!(
        connect(cluster.address(0), &ca, Some(&ann)).is_err(),
        "TLS on the plain port"
    );
    assert!(plain.exists("/ann").is_ok() && one.exists("/ann").is_ok());
    let refused = "no TLS handshake";
    eventually("a warning", || {
        cluster.servers[0].log().contains(refused).then_some(())
    });
    assert_eq!(cluster.servers[0].log().matches(refused).count(), 1);
    one.close();
}

#[test]
fn who_may_show_a_certificate_need_not() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let (ca, server) = (
        ours.trust(dir.path(), "ca"),
        ours.store(dir.path(), "server", &["127.0.0.1"]),
    );
    let ann = ours.store(dir.path(), "ann", &[]);
    for (auth, known) in [("want", true), ("none", false)] {
        let cluster = Cluster::start(
            1,
            &format!(
                "[tls.clients]\naddress = \"@ADMIN@\"\nauth = {auth:?}\nkeys = {{ certificate = {server:?}, trust = {ca:?} }}"
            ),
        );
        let secure = cluster.servers[0].admin_address;
        let mut anonymous = connect(secure, &ca, None).unwrap();
        anonymous.create("/a", b"", 0).unwrap();
        assert_eq!(who(&mut anonymous).len(), 1);
        let mut shown = connect(secure, &ca, Some(&ann)).unwrap();
        assert_eq!(who(&mut shown).len(), 1 + usize::from(known), "{auth}");
    }
}

/// Three members that speak TLS with each other; each has a certificate for a host of its own.
fn secured_cluster(dir: &Path, authority: &Authority) -> Cluster {
    let ca = authority.trust(dir, "ca");
    for n in 1..=3 {
        authority.store(dir, &format!("n{n}"), &[&format!("n{n}.keelhaul")]);
    }
    let stores = dir.join("n@N@.pem");
    Cluster::start(
        3,
        &format!(
            "[tls.peers]\nkeys = {{ certificate = {stores:?}, trust = {ca:?} }}\n\
             hosts = {{ 1 = \"n1.keelhaul\", 2 = \"n2.keelhaul\", 3 = \"n3.keelhaul\" }}"
        ),
    )
}

#[test]
fn members_over_tls_elect_write_and_survive_their_leader() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = secured_cluster(dir.path(), &Authority::new("ours"));
    let leader = cluster.wait();
    let mut client = Client::connect(cluster.address((leader + 1) % 3));
    client.create("/a", &vec![1; 300_000], 0).unwrap();
    cluster.servers[leader].kill();
    let next = cluster.wait();
    assert_ne!(next, leader);
    let mut client = Client::connect(cluster.address(next));
    client.set("/a", b"2", 0).unwrap();
    cluster.servers[leader].start();
    cluster.wait();
    let mut back = Client::connect(cluster.address(leader));
    back.sync("/").unwrap();
    assert_eq!(back.get("/a").unwrap().0, b"2");
}

#[test]
fn a_stranger_on_the_peer_port_is_refused_and_told_of_once() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let cluster = secured_cluster(dir.path(), &ours);
    let stranger = theirs.store(dir.path(), "stranger", &["n2.keelhaul"]);
    let ca = dir.path().join("ca");
    let mut client = Client::connect(cluster.address(0));
    for round in 0..30 {
        let address = cluster.servers[round % 3].peer_address;
        // In plain, over TLS with a certificate of another authority, and with none.
        let mut stream = dial(address).unwrap();
        stream
            .write_all(b"KEELHL and much more that could be a greeting")
            .unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(said.len() <= 7, "an alert at most: {said:?}");
        for store in [Some(stranger.as_path()), None] {
            let mut stream = secured(address, &ca, store).unwrap();
            // Members' certificates name hosts; whoever believes that nevertheless is not believed.
            let said = stream.write_all(b"hello").and_then(|()| stream.flush());
            assert!(said.is_err() || stream.read(&mut [0; 16]).is_err());
        }
        client.create(&format!("/{round}"), b"", 0).unwrap();
    }
    for server in &cluster.servers {
        let said = "a peer's connection was refused or broken";
        eventually("a warning", || server.log().contains(said).then_some(()));
        let log = server.log();
        assert_eq!(log.matches(said).count(), 1, "{log}");
    }
    cluster.wait();
}

#[test]
fn a_member_with_the_certificate_of_another_is_no_member() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let mut cluster = secured_cluster(dir.path(), &ours);
    cluster.servers[2].kill();
    ours.store(dir.path(), "n3", &["n2.keelhaul"]);
    cluster.servers[2].start();
    eventually("a refusal", || {
        let refused = "its certificate is not that of server 3";
        (0..2)
            .any(|n| cluster.servers[n].log().contains(refused))
            .then_some(())
    });
    assert_eq!(cluster.servers[2].mode(), None);
    cluster.servers[2].kill();
    ours.store(dir.path(), "n3", &["n3.keelhaul"]);
    cluster.servers[2].start();
    cluster.wait();
}

#[test]
fn handshakes_that_never_finish_keep_nobody_out_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let (ca, server) = (
        ours.trust(dir.path(), "ca"),
        ours.store(dir.path(), "server", &["127.0.0.1"]),
    );
    let cluster = Cluster::start(
        1,
        &format!(
            "[limits]\ngreetings = 50\ngreeting_ms = 3000\n\
             [tls.clients]\naddress = \"@ADMIN@\"\nauth = \"none\"\nkeys = {{ certificate = {server:?}, trust = {ca:?} }}"
        ),
    );
    let secure = cluster.servers[0].admin_address;
    // The head of a handshake's record, and nothing behind it; or nothing at all.
    let mut halves: Vec<TcpStream> = Vec::new();
    for n in 0..300 {
        let mut stream = dial(secure).unwrap();
        if n % 2 == 0 {
            stream.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 0xfc]).unwrap();
        }
        halves.push(stream);
        if n % 50 == 49 {
            connect(secure, &ca, None).unwrap().close();
            Client::connect(cluster.address(0)).close();
        }
    }
    let start = std::time::Instant::now();
    for stream in &mut halves {
        assert!(matches!(stream.read(&mut [0; 64]), Ok(0 | 7) | Err(_)));
    }
    assert!(start.elapsed() < LIMIT, "all have ended");
}
