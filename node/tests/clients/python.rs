//! kazoo: an application's day, all of its recipes, and the death of the server that it is connected to.

use crate::authority::Authority;
use crate::process::{Cluster, eventually};
use crate::{answers, hosts, skipped};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// A Python that has kazoo.
fn python() -> Option<String> {
    let python = std::env::var("KEELHAUL_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import kazoo"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skipped(&format!(
            "{python} has no kazoo: install it, and name its Python in KEELHAUL_PYTHON"
        ));
    }
    found.then_some(python)
}

#[test]
fn kazoo_and_all_of_its_recipes() {
    let Some(python) = python() else { return };
    let cluster = Cluster::start(3, "");
    let tour = format!("{SCRIPTS}/tour.py");
    let text = answers(&python, &[&tour, &hosts(&cluster)], "");
    assert!(text.ends_with("tour ended well\n"), "{text}");
}

#[test]
fn kazoo_by_sasl_and_over_tls() {
    let Some(python) = python() else { return };
    let sasl = Command::new(&python)
        .args(["-c", "import puresasl"])
        .output();
    if !sasl.is_ok_and(|output| output.status.success()) {
        return skipped(&format!(
            "{python} has no pure-sasl, which kazoo needs for SASL"
        ));
    }
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let ca = authority.trust(dir.path(), "ca.pem");
    let server = authority.store(dir.path(), "server", &["127.0.0.1"]);
    let store = authority.store(dir.path(), "kazoo", &[]);
    let cluster = Cluster::start(
        1,
        &format!(
            "[security.sasl]\nusers = {{ bob = \"secret\" }}\n\
             [tls.clients]\naddress = \"@ADMIN@\"\nkeys = {{ certificate = {server:?}, trust = {ca:?} }}"
        ),
    );
    let secure = cluster.servers[0].admin_address.to_string();
    let (script, hosts) = (format!("{SCRIPTS}/secure.py"), hosts(&cluster));
    let (ca, store) = (ca.to_str().unwrap(), store.to_str().unwrap());
    let text = answers(&python, &[&script, &hosts, &secure, ca, store], "");
    assert!(text.ends_with("secure ended well\n"), "{text}");
}

#[test]
fn kazoo_keeps_its_lock_its_ephemeral_and_its_watch_when_its_server_dies() {
    let Some(python) = python() else { return };
    let mut cluster = Cluster::start(3, "");
    let mut child = Command::new(python)
        .arg(format!("{SCRIPTS}/failover.py"))
        .arg(hosts(&cluster))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line
        .trim()
        .strip_prefix("connected ")
        .expect("where it is connected")
        .parse()
        .unwrap();
    let server = (0..3).find(|&n| cluster.address(n) == address).unwrap();
    cluster.servers[server].kill();
    child.stdin.take().unwrap().write_all(b"killed\n").unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    let status = eventually("the application's end", || child.try_wait().unwrap());
    assert!(status.success() && rest == "survived\n", "{status}: {rest}");
}
