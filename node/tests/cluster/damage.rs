//! Disks that do not hold what was written to them.

use crate::client::*;
use crate::process::{Cluster, Server, eventually};
use std::fs;
use std::path::{Path, PathBuf};

/// The log segments of a server, oldest first.
fn segments(server: &Server) -> Vec<PathBuf> {
    let data = server.files().1;
    let histories = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut logs: Vec<PathBuf> = histories
        .filter(|path| path.is_dir() && path.file_name().unwrap() != "lock")
        .filter(|path| path.to_string_lossy().contains("history-"))
        .flat_map(|history| fs::read_dir(history).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("log-"))
        .collect();
    logs.sort();
    logs
}

#[test]
fn a_damaged_log_is_set_aside_and_its_server_counts_for_nothing_until_it_is_up_to_date() {
    let mut cluster = Cluster::start(3, "");
    let leader = cluster.wait();
    let mut client = Client::connect(cluster.address(leader));
    for n in 0..50 {
        client.create(&format!("/n{n}"), b"x", 0).unwrap();
    }
    let (damaged, other) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.servers.iter_mut().for_each(Server::kill);
    let path = segments(&cluster.servers[damaged]).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[200] ^= 1;
    fs::write(&path, &bytes).unwrap();

    // With it there would be a majority: it must not be one.
    cluster.servers[damaged].start();
    cluster.servers[other].start();
    eventually("what it says", || {
        let log = cluster.servers[damaged].log();
        (log.contains("all files are set aside") && log.contains("amnesiac=true")).then_some(())
    });
    let log = cluster.servers[damaged].log();
    let line = log.lines().find(|line| line.contains("set aside")).unwrap();
    assert!(
        line.contains(path.to_str().unwrap()) && line.contains("offset="),
        "{line}"
    );
    let aside = cluster.servers[damaged].files().1.join("damaged-0");
    assert_eq!(
        fs::read(aside.join(path.file_name().unwrap())).unwrap(),
        bytes
    );
    // As long as an election of three takes, ten times over.
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_secs(3) {
        assert_eq!(cluster.servers[other].mode(), None, "no majority remembers");
        assert_eq!(cluster.servers[damaged].mode(), None);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    // The third remembers: now two do, and they bring it up to date.
    cluster.servers[leader].start();
    cluster.wait();
    eventually("its memory", || {
        let epochs = fs::read_to_string(cluster.servers[damaged].files().1.join("epochs")).ok()?;
        epochs.contains("amnesiac false").then_some(())
    });
    let mut client = Client::connect(cluster.address(damaged));
    client.sync("/").unwrap();
    for n in 0..50 {
        assert_eq!(client.get(&format!("/n{n}")).unwrap().0, b"x");
    }
    // From now on it counts.
    cluster.servers[other].kill();
    cluster.wait();
    let mut client = Client::connect(cluster.address(damaged));
    client.create("/counted", b"", 0).unwrap();
}

#[test]
fn a_damaged_snapshot_is_named_with_what_is_wrong_and_where_and_the_log_makes_good_for_it() {
    let mut cluster = Cluster::start(1, "[log]\nsnapshot_every = 50");
    let mut client = Client::connect(cluster.address(0));
    for n in 0..120 {
        client.create(&format!("/n{n}"), b"x", 0).unwrap();
    }
    let folder = cluster.servers[0].files().1.join("history-0");
    let newest = eventually("two snapshots", || {
        let names = fs::read_dir(&folder).unwrap();
        let mut names: Vec<PathBuf> = names.map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("snapshot-") && !name.ends_with(".tmp")
        });
        names.sort();
        names.pop().filter(|_| !names.is_empty())
    });
    cluster.servers[0].kill();
    let mut bytes = fs::read(&newest).unwrap();
    bytes[100] ^= 1;
    fs::write(&newest, &bytes).unwrap();
    cluster.servers[0].start();
    cluster.wait();
    let log = cluster.servers[0].log();
    let line = log.lines().find(|line| line.contains("damaged snapshot"));
    let line = line.expect(&log);
    for part in [
        newest.to_str().unwrap(),
        "offset=24",
        "a piece is not as it was written",
        "damaged-0",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    let mut client = Client::connect(cluster.address(0));
    assert_eq!(client.get("/n119").unwrap().0, b"x");
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn an_old_copy_of_a_data_directory_is_recognised_and_its_server_brought_up_to_date() {
    let mut cluster = Cluster::start(3, "");
    let leader = cluster.wait();
    let (restored, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut client = Client::connect(cluster.address(leader));
    client.create("/before", b"x", 0).unwrap();
    let data = cluster.servers[restored].files().1;
    let copy = data.with_extension("copy");
    assert!(cluster.servers[restored].terminate().success());
    copy_folder(&data, &copy);

    // Started as ever, it is nobody that forgot; what is written now is on its disk too.
    cluster.servers[restored].start();
    cluster.wait();
    for n in 0..20 {
        client.create(&format!("/after{n}"), b"y", 0).unwrap();
    }
    let mut reader = Client::connect(cluster.address(restored));
    reader.sync("/").unwrap();
    assert_eq!(reader.get("/after19").unwrap().0, b"y");
    assert!(cluster.servers[restored].terminate().success());
    assert!(!cluster.servers[restored].log().contains("has forgotten"));

    // The copy is whole, and does not know what it misses. The others do.
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&copy, &data).unwrap();
    cluster.servers[restored].start();
    eventually("that it notices", || {
        let log = cluster.servers[restored].log();
        log.contains("has forgotten").then_some(())
    });
    cluster.wait();
    eventually("its memory", || {
        let epochs = fs::read_to_string(data.join("epochs")).ok()?;
        epochs.contains("amnesiac false").then_some(())
    });
    let mut reader = Client::connect(cluster.address(restored));
    reader.sync("/").unwrap();
    assert_eq!(reader.get("/after19").unwrap().0, b"y");

    // From now on it counts, and an ordinary start is one again.
    cluster.servers[other].kill();
    cluster.wait();
    cluster.servers[restored].kill();
    cluster.servers[restored].start();
    cluster.wait();
    let mut client = Client::connect(cluster.address(restored));
    client.create("/counted", b"", 0).unwrap();
    let log = cluster.servers[restored].log();
    assert_eq!(log.matches("has forgotten").count(), 1, "{log}");
}
