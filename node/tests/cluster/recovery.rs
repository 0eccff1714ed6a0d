//! A majority of the members is lost for good: what is left of the ensemble goes on from one server's disk.

use crate::client::*;
use crate::damage::copy_folder;
use crate::process::{BINARY, Cluster, eventually, word};
use crate::reconfig::{ENABLED, as_root, config, reconfig};
use std::process::Command;

/// Recovers from this server's disk; what it prints, or what it says is wrong.
fn recover(cluster: &Cluster, n: usize, flags: &[&str]) -> Result<String, String> {
    let (file, _) = cluster.servers[n].files();
    let output = Command::new(BINARY)
        .arg("recover")
        .arg(file)
        .args(flags)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    match output.status.success() {
        true => Ok(text(output.stdout)),
        false => Err(text(output.stderr)),
    }
}

fn lose_disk(cluster: &Cluster, n: usize) {
    std::fs::remove_dir_all(cluster.servers[n].files().1).unwrap();
}

#[test]
fn the_ensemble_goes_on_from_the_one_disk_that_is_left_and_grows_again() {
    let mut cluster = Cluster::start(3, ENABLED);
    let leader = cluster.wait();
    let [left, lost, last] = [1, 2, 0].map(|n| (leader + n) % 3);
    let mut client = as_root(&cluster, left);
    config(&mut client);
    client.create("/kept", b"x", 0).unwrap();
    let before = client.exists("/kept").unwrap().czxid;
    let refused = recover(&cluster, left, &[]).unwrap_err();
    assert!(refused.contains("another process uses"), "{refused}");

    (0..3).for_each(|n| cluster.servers[n].kill());
    lose_disk(&cluster, lost);
    lose_disk(&cluster, last);
    let refused = recover(&cluster, lost, &[]).unwrap_err();
    assert!(refused.contains("nothing to go on from"), "{refused}");
    let said = recover(&cluster, left, &[]).unwrap();
    assert!(
        said.contains("before, by its log: voters 1, 2, 3"),
        "{said}"
    );

    cluster.servers[left].start();
    let mut client = eventually("the leader that is left", || {
        (cluster.servers[left].mode()? == "leader").then(|| as_root(&cluster, left))
    });
    assert_eq!(client.get("/kept").unwrap().0, b"x");
    assert_eq!(config(&mut client).0.lines().count(), 2);
    client.create("/after", b"", 0).unwrap();
    let after = client.exists("/after").unwrap().czxid;
    assert!(
        after >> 32 > (before >> 32) + 100,
        "greater than whatever the lost ones had: {after:x}"
    );
    let log = cluster.servers[left].log();
    assert!(log.contains("not those of the configuration file"), "{log}");

    // The others come back with nothing, and with the configuration files that they had.
    for n in [lost, last] {
        cluster.servers[n].start();
        eventually("its service", || cluster.servers[n].mode());
        let line = cluster.line(n, "participant");
        eventually("its seat", || reconfig(&mut client, &line, "", -1).ok());
    }
    assert_eq!(config(&mut client).0.lines().count(), 4);
    cluster.servers[left].kill();
    let mut client = eventually("the others as a majority", || {
        Client::try_connect(cluster.address(lost), 10_000).ok()
    });
    assert_eq!(client.get("/kept").unwrap().0, b"x");
    client.create("/again", b"", 0).unwrap();
    // Who was recovered is one of three now, and remembers it.
    cluster.servers[left].start();
    cluster.wait();
    let srvr = word(cluster.address(left), "srvr").unwrap();
    assert!(!srvr.contains("NOT A MEMBER"), "{srvr}");
    // Each of the others said once that it was no member yet; it does not say it again of what its log went through.
    cluster.servers[last].kill();
    cluster.servers[last].start();
    cluster.wait();
    let log = cluster.servers[last].log();
    assert_eq!(log.matches("is not one of the members").count(), 1, "{log}");
}

#[test]
fn servers_that_wait_for_each_other_because_a_majority_lost_its_disks_say_so() {
    let mut cluster = Cluster::start(3, "");
    let leader = cluster.wait();
    let lost = [1, 2].map(|n| (leader + n) % 3);
    (0..3).for_each(|n| cluster.servers[n].kill());
    lost.iter().for_each(|n| lose_disk(&cluster, *n));
    (0..3).for_each(|n| cluster.servers[n].start());
    let mut ids = lost.map(|n| n + 1);
    ids.sort();
    for n in 0..3 {
        let log = eventually("the reason", || {
            let log = cluster.servers[n].log();
            log.contains("2 of 3 voters are without memory")
                .then_some(log)
        });
        assert!(log.contains("`keelhaul-node recover`"), "{log}");
        let named = format!(" without_memory={},{} (no leader is found", ids[0], ids[1]);
        eventually("the alert, once", || {
            let said = word(cluster.address(n), "warn")?;
            let lines: Vec<&str> = said
                .lines()
                .filter(|l| l.contains("quorum-margin"))
                .collect();
            let is_whole =
                matches!(lines[..], [line] if line.contains(" by=1,2,3 ") && line.contains(&named));
            is_whole.then_some(())
        });
    }
}

#[test]
fn who_may_have_forgotten_is_recovered_from_only_if_that_is_accepted() {
    let mut cluster = Cluster::start(3, "");
    let mut client = Client::connect(cluster.address(0));
    client.create("/kept", b"x", 0).unwrap();
    // The others come back with old copies of their disks, and hear from the first that they are old.
    (0..3).for_each(|n| cluster.servers[n].kill());
    let disks = [0, 1, 2].map(|n| cluster.servers[n].files().1);
    let copies = disks.clone().map(|disk| disk.with_extension("copy"));
    for n in [1, 2] {
        copy_folder(&disks[n], &copies[n]);
    }
    (0..3).for_each(|n| cluster.servers[n].start());
    cluster.wait();
    (0..3).for_each(|n| cluster.servers[n].kill());
    for n in [1, 2] {
        lose_disk(&cluster, n);
        copy_folder(&copies[n], &disks[n]);
    }
    (0..3).for_each(|n| cluster.servers[n].start());
    for n in [1, 2] {
        eventually("that it has forgotten", || {
            let log = cluster.servers[n].log();
            log.contains("has forgotten what the server said")
                .then_some(())
        });
        // It says so before its disk has it.
        eventually("the note of it", || {
            let epochs = std::fs::read_to_string(disks[n].join("epochs")).ok()?;
            epochs.contains("amnesiac true").then_some(())
        });
    }
    (0..3).for_each(|n| cluster.servers[n].kill());
    lose_disk(&cluster, 0);
    let refused = recover(&cluster, 1, &[]).unwrap_err();
    assert!(refused.contains("--without-memory"), "{refused}");
    let said = recover(&cluster, 1, &["--without-memory"]).unwrap();
    assert!(said.contains("It was without memory"), "{said}");
    assert!(said.contains("reconfig.enabled = true"), "{said}");
    cluster.servers[1].start();
    let mut client = eventually("the leader that is left", || {
        cluster.servers[1].mode()?;
        Client::try_connect(cluster.address(1), 10_000).ok()
    });
    assert_eq!(client.get("/kept").unwrap().0, b"x");
    client.create("/after", b"", 0).unwrap();
}

#[test]
fn a_server_that_was_recovered_beside_the_others_takes_nothing_from_them_and_they_nothing_from_it()
{
    // Of two members the one with the greater id dials, so that it makes a difference which of them is recovered.
    for (limits, gone) in [(ENABLED, 0), ("", 2)] {
        neither_takes_from_the_other(Cluster::start(3, limits), gone, limits == ENABLED);
    }
}

fn neither_takes_from_the_other(mut cluster: Cluster, gone: usize, can_grow: bool) {
    let [leader, stays] = [(gone + 1) % 3, (gone + 2) % 3];
    Client::connect(cluster.address(leader))
        .create("/before", b"", 0)
        .unwrap();
    cluster.servers[gone].kill();
    let mut client = eventually("the others", || {
        Client::try_connect(cluster.address(leader), 10_000).ok()
    });
    client.create("/without", b"x", 0).unwrap();
    let refused = recover(&cluster, gone, &[]).unwrap_err();
    assert!(refused.contains("--beside-others"), "{refused}");
    let looked = recover(&cluster, gone, &["--dry-run"]).unwrap();
    assert!(looked.contains("Nothing was changed"), "{looked}");
    let done = recover(&cluster, gone, &["--beside-others"]).unwrap();
    assert!(done.contains("is the only member"), "{done}");
    let again = recover(&cluster, gone, &["--beside-others"]).unwrap();
    assert!(again.contains("Nothing was changed"), "{again}");

    cluster.servers[gone].start();
    let mut alone = eventually("the leader that was recovered", || {
        cluster.servers[gone].mode()?;
        Client::try_connect(cluster.address(gone), 10_000).ok()
    });
    alone.create("/alone", b"", 0).unwrap();
    for n in [leader, stays, gone] {
        eventually("that it has heard of the other ensemble", || {
            let log = cluster.servers[n].log();
            log.contains("two ensembles run").then_some(())
        });
    }
    for n in [leader, stays] {
        // Whoever starts again goes on with its own as well.
        cluster.servers[n].kill();
        cluster.servers[n].start();
        eventually("its service", || cluster.servers[n].mode());
    }
    for n in [leader, stays] {
        let mut client = eventually("a session", || {
            Client::try_connect(cluster.address(n), 10_000).ok()
        });
        assert_eq!(client.get("/without").unwrap().0, b"x");
        assert!(client.exists("/alone").is_err());
    }
    assert!(alone.exists("/without").is_err());
    let log = cluster.servers[gone].log();
    assert!(log.contains("founded this one"), "{log}");
    if !can_grow {
        return;
    }

    // One of them is given up, and joins with an empty directory.
    cluster.servers[stays].kill();
    lose_disk(&cluster, stays);
    cluster.servers[leader].kill();
    cluster.servers[stays].start();
    eventually("its service", || cluster.servers[stays].mode());
    let mut client = Client::connect(cluster.address(stays));
    eventually("what is there", || client.exists("/alone").ok());
}
