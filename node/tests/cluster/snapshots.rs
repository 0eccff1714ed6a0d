//! Who is behind is brought up to date between processes: by snapshots, and by the log.

use crate::client::*;
use crate::process::{Cluster, Server, eventually};
use crate::proxy::Links;
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// What has come of a leader's snapshot, in bytes.
fn arrived(server: &Server) -> Option<u64> {
    let entries = fs::read_dir(server.files().1).ok()?;
    entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("arriving-"))
        .and_then(|entry| Some(entry.metadata().ok()?.len()))
}

fn snapshots(data: &Path) -> usize {
    let histories = fs::read_dir(data).unwrap().map(|entry| entry.unwrap());
    let histories = histories.filter(|e| e.file_name().to_string_lossy().starts_with("history-"));
    histories
        .flat_map(|history| fs::read_dir(history.path()).unwrap())
        .filter(|file| {
            let name = file.as_ref().unwrap().file_name();
            let name = name.to_string_lossy();
            name.starts_with("snapshot-") && !name.ends_with(".tmp")
        })
        .count()
}

/// How long a snapshot may take to begin.
const WHILE: Duration = Duration::from_secs(5);

/// Kills a server, takes its disk away, and starts it again; it is killed in the middle of the leader's snapshot, of which so many
/// bytes had come. `None` if the snapshot was quicker.
fn killed_half_way(server: &mut Server) -> Option<u64> {
    server.kill();
    fs::remove_dir_all(server.files().1).unwrap();
    server.start();
    // Looked at closely: it does not take long.
    let start = Instant::now();
    while arrived(server).is_none_or(|bytes| bytes < 2 << 20) && start.elapsed() < WHILE {
        std::thread::sleep(Duration::from_micros(100));
    }
    server.signal(Signal::STOP);
    let bytes = arrived(server);
    server.kill();
    bytes
}

#[test]
fn a_wiped_server_fetches_a_snapshot_and_goes_on_with_it_after_kill_9_while_others_write() {
    let mut cluster = Cluster::start(
        3,
        "[log]\nsnapshot_every = 100\nsegment_bytes = 4096\nwindow = 10",
    );
    let leader = cluster.wait();
    let wiped = (leader + 1) % 3;
    let mut client = Client::connect(cluster.address(leader));
    client.create("/k", b"", 0).unwrap();
    let data = vec![b'x'; 30_000];
    for n in 0..60 {
        let creates: Vec<_> = (0..20)
            .map(|m| (1, create(&format!("/k/{}", 20 * n + m), &data, 0)))
            .collect();
        assert!(client.multi(&creates).iter().all(|(_, code)| *code == 0));
    }
    for n in 0..250 {
        client.set("/k", format!("{n}").as_bytes(), -1).unwrap();
    }
    let leaders = cluster.servers[leader].files().1;
    eventually("two snapshots", || (snapshots(&leaders) == 2).then_some(()));

    let before = eventually("a snapshot that is interrupted", || {
        killed_half_way(&mut cluster.servers[wiped])
    });
    assert!(before > 1 << 20);
    cluster.servers[wiped].start();
    // A piece may have been cut off.
    let kept = before - (300 << 10);
    let mut least = u64::MAX;
    eventually("the rest of it, while others write", || {
        least = least.min(arrived(&cluster.servers[wiped]).unwrap_or(u64::MAX));
        client.set("/k", b"meanwhile", -1).unwrap();
        cluster.servers[wiped].mode()
    });
    assert!(
        least >= kept,
        "it began anew: {least} bytes, and {before} had come"
    );
    assert_eq!(arrived(&cluster.servers[wiped]), None);

    let mut reader = Client::connect(cluster.address(wiped));
    reader.sync("/").unwrap();
    assert_eq!(reader.get("/k").unwrap().0, b"meanwhile");
    assert_eq!(reader.children("/k").unwrap().len(), 1200);
    assert_eq!(reader.get("/k/1199").unwrap().0, data);
    // It has a history of its own now.
    cluster.servers[wiped].kill();
    cluster.servers[wiped].start();
    cluster.wait();
    let mut reader = Client::connect(cluster.address(wiped));
    assert_eq!(reader.children("/k").unwrap().len(), 1200);
}

#[test]
fn who_is_far_behind_on_a_slow_link_gets_the_log_bit_by_bit_and_the_leader_does_not_hold_it_in_memory()
 {
    let mut cluster = Cluster::start(
        3,
        "[log]\nwindow = 10\nsegment_bytes = 8000000\n[timing]\nsync_limit_ms = 4000",
    );
    let links = Links::between(&mut cluster);
    let leader = cluster.wait();
    let behind = (leader + 1) % 3;
    cluster.servers[behind].kill();
    let mut client = Client::connect(cluster.address(leader));
    client.create("/k", b"", 0).unwrap();
    const SENT_MIB: usize = 100;
    let data = vec![b'x'; 1 << 19];
    for _ in 0..2 * SENT_MIB {
        client.set("/k", &data, -1).unwrap();
    }
    let before = cluster.servers[leader].memory();
    // 32 MiB a second at most.
    links.slow(leader, behind, Duration::from_micros(500));
    cluster.servers[behind].start();
    let mut most = before;
    let server = &cluster.servers[behind];
    eventually("it serves", || {
        most = most.max(cluster.servers[leader].memory());
        server.mode()
    });
    let log = server.log();
    let (_, since) = log.rsplit_once("started id=").unwrap();
    let connected = format!(" connected peer={}\n", leader + 1);
    assert_eq!(
        since.matches(&connected).count(),
        1,
        "heartbeats went on: {log}"
    );
    assert!(!cluster.servers[leader].log().contains("takes a snapshot"));
    let grown_mib = most - before;
    println!("{SENT_MIB} MiB of log: the leader grew by {grown_mib} MiB");
    assert!(grown_mib < SENT_MIB / 2, "{grown_mib} MiB");
    let mut client = Client::connect(cluster.address(behind));
    client.sync("/k").unwrap();
    assert_eq!(client.get("/k").unwrap().1.version, 2 * SENT_MIB as i32);
}
