//! What one server owes a client.

use crate::client::*;
use crate::ports::free_ports;
use crate::process::{BINARY, Cluster, eventually, word};
use std::process::Command;

#[test]
fn a_znode_is_created_read_changed_and_deleted() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    assert_eq!(client.create("/a", b"one", 0), Ok("/a".into()));
    let created = client.zxid;
    assert_eq!(client.create("/a", b"two", 0), Err(NODE_EXISTS));
    assert_eq!(
        client.zxid,
        created + 1,
        "a failed write has a place in the order too"
    );
    let (data, stat) = client.get("/a").unwrap();
    assert_eq!(
        (&data[..], stat.version, stat.czxid, stat.mzxid),
        (&b"one"[..], 0, created, created)
    );
    let stat = client.set("/a", b"three", 0).unwrap();
    assert_eq!((stat.version, stat.length, stat.mzxid), (1, 5, client.zxid));
    assert_eq!(client.set("/a", b"four", 0), Err(BAD_VERSION));
    assert_eq!(client.create2("/a/b", b"", 0).unwrap().1.czxid, client.zxid);
    assert_eq!(client.delete("/a", -1), Err(NOT_EMPTY));
    assert_eq!(client.delete("/a/b", 0), Ok(()));
    let stat = client.exists("/a").unwrap();
    assert_eq!(
        (stat.cversion, stat.children, stat.pzxid),
        (2, 0, client.zxid)
    );
    assert_eq!(client.delete("/a", 1), Ok(()));
    assert_eq!(client.get("/a").unwrap_err(), NO_NODE);
    assert_eq!(client.exists("/a").unwrap_err(), NO_NODE);
    client.ping();
    client.close();
}

#[test]
fn children_are_sorted_and_sequential_names_count() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    client.create("/q", b"", 0).unwrap();
    assert_eq!(
        client.create("/q/z-", b"", SEQUENTIAL).unwrap(),
        "/q/z-0000000000"
    );
    client.create("/q/m", b"", 0).unwrap();
    assert_eq!(
        client.create("/q/a-", b"", SEQUENTIAL | EPHEMERAL).unwrap(),
        "/q/a-0000000002"
    );
    assert_eq!(
        client.children("/q").unwrap(),
        ["a-0000000002", "m", "z-0000000000"]
    );
    let (children, stat) = client.children2("/q").unwrap();
    assert_eq!((children.len(), stat.children, stat.cversion), (3, 3, 3));
    assert_eq!(
        client.exists("/q/a-0000000002").unwrap().owner,
        client.session
    );
    let (permissions, scheme, id, _) = client.acl("/q").unwrap();
    assert_eq!(
        (permissions, scheme.as_str(), id.as_str()),
        (31, "world", "anyone")
    );
    assert_eq!(client.sync("/q"), Ok("/q".into()));
}

#[test]
fn a_multi_is_all_or_nothing() {
    let cluster = Cluster::start(1, "");
    let mut client = Client::connect(cluster.address(0));
    let set = Bytes::default().text("/m").buffer(b"x").int(0);
    let works = [
        (1, create("/m", b"", 0)),
        (15, create("/m/a", b"", 0)),
        (5, set),
        (13, check("/m", 1)),
    ];
    assert_eq!(client.multi(&works), [(1, 0), (1, 0), (5, 0), (13, 0)]);
    assert_eq!(
        client.exists("/m/a").unwrap().czxid,
        client.exists("/m").unwrap().mzxid
    );
    let fails = [
        (2, check("/m/a", 0)),
        (13, check("/m", 7)),
        (1, create("/n", b"", 0)),
    ];
    assert_eq!(client.multi(&fails), [(-1, 0), (-1, BAD_VERSION), (-1, -2)]);
    assert!(client.exists("/m/a").is_ok());
    assert_eq!(client.multi(&[]), []);
}

#[test]
fn requests_sent_without_waiting_are_answered_in_order_and_reads_see_the_writes_before_them() {
    let cluster = Cluster::start(1, "[limits]\noutstanding = 7\nunsent_bytes = 2000");
    let mut client = Client::connect(cluster.address(0));
    client.create("/p", b"0", 0).unwrap();
    for n in 0..200u32 {
        client
            .send(
                5,
                &Bytes::default().text("/p").buffer(&n.to_be_bytes()).int(-1),
            )
            .unwrap();
        client
            .send(4, &Bytes::default().text("/p").byte(0))
            .unwrap();
        client.send(9, &Bytes::default().text("/p")).unwrap();
        client.send(11, &Bytes::default()).unwrap();
    }
    for n in 0..200u32 {
        assert_eq!(client.receive().unwrap().error, 0);
        let mut read = client.receive().unwrap();
        assert_eq!(read.body.buffer().unwrap(), n.to_be_bytes());
        client.receive().unwrap();
        assert_eq!(client.receive().unwrap().xid as u32, 1 + (n + 1) * 4);
    }
}

#[test]
fn a_session_that_is_silent_expires_and_its_ephemerals_go_and_one_that_is_closed_goes_at_once() {
    let cluster = Cluster::start(1, "");
    let mut watcher = Client::connect(cluster.address(0));
    let mut silent = Client::connect_for(cluster.address(0), 1);
    assert_eq!(
        silent.timeout, 500,
        "what is asked for is moved into the bounds"
    );
    silent.create("/silent", b"", EPHEMERAL).unwrap();
    assert!(watcher.exists("/silent").is_ok());
    eventually("the silent session's end", || {
        watcher.exists("/silent").err()
    });
    assert!(silent.is_closed());
    let gone = silent.moved_to(cluster.address(0)).unwrap();
    assert_eq!((gone.session, gone.timeout), (0, 0));
    let mut closing = Client::connect(cluster.address(0));
    closing.create("/closing", b"", EPHEMERAL).unwrap();
    closing.close();
    assert_eq!(watcher.exists("/closing").unwrap_err(), NO_NODE);
}

#[test]
fn a_session_goes_on_over_a_new_connection_with_its_password_only() {
    let cluster = Cluster::start(1, "");
    let mut first = Client::connect(cluster.address(0));
    first.create("/e", b"", EPHEMERAL).unwrap();
    let stranger =
        Client::try_resume(cluster.address(0), 4000, first.session, &[7; 16], 0).unwrap();
    assert_eq!(stranger.session, 0);
    let mut second = first.moved_to(cluster.address(0)).unwrap();
    assert_eq!(second.session, first.session);
    assert!(first.is_closed(), "the session has one connection");
    assert_eq!(second.exists("/e").unwrap().owner, second.session);
    let from_the_future = Client::try_resume(
        cluster.address(0),
        4000,
        0,
        &[0; 16],
        second.zxid + 1_000_000,
    );
    assert!(from_the_future.is_err(), "it would see the past");
}

#[test]
fn four_letter_words_have_zookeepers_shape() {
    let cluster = Cluster::start(1, "");
    let address = cluster.address(0);
    Client::connect(address).create("/a", b"", 0).unwrap();
    assert_eq!(word(address, "ruok").unwrap(), "imok");
    assert_eq!(word(address, "isro").unwrap(), "rw");
    let srvr = word(address, "srvr").unwrap();
    assert!(
        srvr.contains("\nZxid: 0x100000002\nMode: standalone\nNode count: 6\n"),
        "{srvr}"
    );
    let mntr = word(address, "mntr").unwrap();
    assert!(
        mntr.lines().any(|line| line == "zk_znode_count\t6"),
        "{mntr}"
    );
    assert!(
        mntr.lines()
            .all(|line| line.starts_with("zk_") && line.contains('\t')),
        "{mntr}"
    );
    assert!(
        word(address, "dump")
            .unwrap()
            .starts_with("dump is not executed")
    );
    let envi = word(address, "envi").unwrap();
    assert!(
        envi.starts_with("Environment:\nzookeeper.version=3.8.0"),
        "{envi}"
    );
    let conf = word(address, "conf").unwrap();
    assert!(
        conf.contains(&format!("clientPort={}\n", address.port())),
        "{conf}"
    );
    assert!(conf.ends_with("serverId=1\n"), "{conf}");
    let dirs = word(address, "dirs").unwrap();
    let log: u64 = dirs
        .trim()
        .rsplit_once("logdir_size: ")
        .unwrap()
        .1
        .parse()
        .unwrap();
    assert!(log > 0, "{dirs}");
}

#[test]
fn words_list_connections_sessions_and_watches_where_they_are_allowed() {
    let cluster = Cluster::start(1, "[admin]\nwords = [\"*\"]");
    let address = cluster.address(0);
    let mut client = Client::connect(address);
    client.create("/e", b"", EPHEMERAL).unwrap();
    client.watch(4, "/e").unwrap();
    client.watch(8, "/").unwrap();
    let session = format!("0x{:x}", client.session);
    let ask = |name| word(address, name).unwrap();
    assert_eq!(
        ask("wchs"),
        "1 connections watching 2 paths\nTotal watches:2\n"
    );
    assert_eq!(ask("wchp"), format!("/\n\t{session}\n/e\n\t{session}\n\n"));
    assert_eq!(ask("wchc"), format!("{session}\n\t/\n\t/e\n\n"));
    let stat = ask("stat");
    assert!(
        stat.contains("Clients:\n /127.0.0.1:") && stat.contains("Mode: standalone"),
        "{stat}"
    );
    let cons = ask("cons");
    assert!(
        cons.contains(&format!("recved=4,sent=4,sid={session},lop=GETC,est=")),
        "{cons}"
    );
    assert!(cons.contains(",lcxid=0x3,lzxid=0x"), "{cons}");
    let dump = ask("dump");
    assert!(
        dump.contains("Session Sets (1)/(1):\n1 expire at "),
        "{dump}"
    );
    assert!(
        dump.contains(&format!(
            "Sessions with Ephemerals (1):\n{session}:\n\t/e\n"
        )),
        "{dump}"
    );
    assert_eq!(ask("crst"), "Connection stats reset.\n");
    assert!(ask("cons").contains("recved=0,sent=0"), "{cons}");
    assert_eq!(ask("srst"), "Server stats reset.\n");
    assert!(ask("srvr").contains("\nReceived: 1\n"), "the word itself");
}

#[test]
fn an_address_has_no_more_connections_than_it_may() {
    let cluster = Cluster::start(1, "[limits]\nconnections_per_address = 3");
    let address = cluster.address(0);
    // The place of a connection that ended is given back a moment later.
    let mut clients: Vec<Client> = (0..2).map(|_| Client::connect(address)).collect();
    clients.push(Client::connect(address));
    let refused = eventually("a refusal", || Client::try_connect(address, 4000).err());
    assert!(
        refused.kind() != std::io::ErrorKind::WouldBlock,
        "{refused}"
    );
    drop(clients.pop());
    Client::connect(address).create("/now", b"", 0).unwrap();
    for client in &mut clients {
        client.ping();
    }
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9_and_after_snapshots() {
    let mut cluster = Cluster::start(1, "[log]\nsnapshot_every = 10\nsegment_bytes = 4096");
    let mut client = Client::connect(cluster.address(0));
    client.create("/k", b"", 0).unwrap();
    for n in 0..40 {
        client
            .create("/k/", format!("{n}").as_bytes(), SEQUENTIAL)
            .unwrap();
    }
    cluster.servers[0].kill();
    cluster.servers[0].start();
    cluster.wait();
    let mut again = client.moved_to(cluster.address(0)).unwrap();
    assert_eq!(again.session, client.session, "sessions survive too");
    assert_eq!(again.children("/k").unwrap().len(), 40);
    assert_eq!(again.get("/k/0000000033").unwrap().0, b"33");
    assert_eq!(
        again.create("/k/", b"", SEQUENTIAL).unwrap(),
        "/k/0000000040"
    );
    assert!(cluster.servers[0].terminate().success());
}

#[test]
fn mistakes_on_the_command_line_are_explained() {
    let run = |args: &[&str]| {
        let output = Command::new(BINARY).args(args).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    let (ok, text) = run(&["--config", "/nowhere/n.toml"]);
    assert!(
        !ok && text.contains("/nowhere/n.toml") && text.contains("--example-config"),
        "{text}"
    );
    let (ok, text) = run(&[]);
    assert!(!ok && text.contains("Usage"), "{text}");
    let (ok, text) = run(&["--example-config"]);
    assert!(ok && text.contains("sync_limit_ms"), "{text}");
    let (ok, text) = run(&["--version"]);
    assert!(
        ok && text.starts_with("keelhaul-node 0.1.0 (features: "),
        "{text}"
    );
}

#[test]
fn zookeepers_own_configuration_starts_a_server_once_it_is_formatted() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (dir.path().join("zoo.cfg"), dir.path().join("data"));
    std::fs::create_dir(&data).unwrap();
    let port = free_ports(1)[0];
    let text = format!(
        "tickTime=2000\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nautopurge.purgeInterval=1\n",
        data.display()
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::new(BINARY).arg(&config).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for part in ["was never formatted", "`keelhaul-node format FILE`"] {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    let formatted = Command::new(BINARY).arg("format").arg(&config).status();
    assert!(formatted.unwrap().success());
    let log = dir.path().join("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let mut child = Command::new(BINARY)
        .arg(&config)
        .stderr(stderr)
        .spawn()
        .unwrap();
    let mut client = Client::connect(([127, 0, 0, 1], port).into());
    assert_eq!(client.timeout, 10_000);
    client.create("/a", b"", 0).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("autopurge.purgeInterval=1 (line 5)"), "{log}");
}

#[test]
fn who_would_begin_beside_apaches_data_is_told_that_it_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (dir.path().join("zoo.cfg"), dir.path().join("data"));
    let theirs = data.join("version-2");
    std::fs::create_dir_all(&theirs).unwrap();
    std::fs::write(theirs.join("log.1"), b"ZKLG").unwrap();
    let port = free_ports(1)[0];
    let text = format!(
        "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n\
         4lw.commands.whitelist=conf\n",
        data.display()
    );
    std::fs::write(&config, text).unwrap();
    for words in [&["format"][..], &[]] {
        let output = Command::new(BINARY).args(words).arg(&config).output();
        let output = output.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        for part in ["version-2", "Apache ZooKeeper", "another dataDir"] {
            assert!(error.contains(part), "{part:?} is not in {error}");
        }
    }
    assert!(!data.join("keelhaul").exists(), "nothing was begun");
    std::fs::rename(&theirs, data.join("away")).unwrap();
    let formatted = Command::new(BINARY).arg("format").arg(&config).status();
    assert!(formatted.unwrap().success());
    // A server that has begun goes on.
    std::fs::rename(data.join("away"), &theirs).unwrap();
    let log = dir.path().join("log");
    let stderr = std::fs::File::create(&log).unwrap();
    let mut child = Command::new(BINARY)
        .arg(&config)
        .stderr(stderr)
        .spawn()
        .unwrap();
    let address = ([127, 0, 0, 1], port).into();
    let conf = eventually("its configuration", || word(address, "conf"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        conf.contains("\ntickTime=2000\n"),
        "as the file says: {conf}"
    );
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("is not read"), "{log}");
}

#[test]
fn a_data_directory_of_another_server_or_cluster_or_in_use_is_refused() {
    let mut cluster = Cluster::start(1, "");
    let (config, data) = cluster.servers[0].files();
    let start = |text: &str| {
        let other = config.with_file_name("other.toml");
        let text = format!(
            "data_dir = {data:?}\nclient_address = \"127.0.0.1:0\"\npeer_address = \"127.0.0.2:0\"\n{text}\n"
        );
        std::fs::write(&other, text).unwrap();
        let output = Command::new(BINARY).arg(&other).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let error = start("id = 1");
    assert!(error.contains("lock") || error.contains("use"), "{error}");
    cluster.servers[0].kill();
    let error = start("id = 2");
    assert!(
        error.contains("belongs to server 1 of cluster \"keelhaul\""),
        "{error}"
    );
    let error = start("id = 1\ncluster = \"other\"");
    assert!(
        error.contains("this is server 1 of cluster \"other\""),
        "{error}"
    );
    std::fs::write(data.join("belongs-to"), "server 1 of clu").unwrap();
    let error = start("id = 1");
    assert!(
        error.contains("belongs-to: it is damaged") && error.contains("remove that file"),
        "{error}"
    );
}

#[test]
fn a_directory_that_was_formatted_belongs_to_its_server_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let run = |words: &[&str], id: u64| {
        let file = dir.path().join("n.toml");
        let data = dir.path().join("data");
        let text = format!(
            "id = {id}\ndata_dir = {data:?}\nclient_address = \"127.0.0.1:0\"\npeer_address = \"127.0.0.2:0\"\n"
        );
        std::fs::write(&file, text).unwrap();
        let output = Command::new(BINARY)
            .args(words)
            .arg(&file)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    let (done, said) = run(&["format"], 1);
    assert!(
        done && said.starts_with("formatted ")
            && said.contains("for server 1 of cluster \"keelhaul\""),
        "{said}"
    );
    for words in [&["format"][..], &[], &["recover"]] {
        let (done, said) = run(words, 2);
        assert!(
            !done && said.contains("it belongs to server 1"),
            "{words:?}: {said}"
        );
    }
}

#[test]
fn a_port_in_use_stops_the_start_with_its_name() {
    let cluster = Cluster::start(1, "");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("n.toml");
    let text = format!(
        "id = 1\ndata_dir = {:?}\nclient_address = \"{}\"\npeer_address = \"127.0.0.1:0\"\n",
        dir.path().join("data"),
        cluster.address(0)
    );
    std::fs::write(&config, text).unwrap();
    assert!(
        Command::new(BINARY)
            .arg("format")
            .arg("--config")
            .arg(&config)
            .status()
            .unwrap()
            .success()
    );
    let output = Command::new(BINARY)
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        error.contains("client_address") && error.contains(&cluster.address(0).to_string()),
        "{error}"
    );
}

#[test]
fn a_disk_that_takes_no_more_stops_the_server_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start(1, "");
    cluster.servers[0].kill();
    cluster.servers[0].start_with_small_disk(256);
    cluster.wait();
    let mut client = Client::connect(cluster.address(0));
    client.create("/f", b"", 0).unwrap();
    let mut acknowledged = 0;
    while client
        .try_ask(1, &create(&format!("/f/{acknowledged}"), &[7; 4000], 0))
        .is_ok()
    {
        acknowledged += 1;
    }
    assert!(!cluster.servers[0].end().success());
    let log = cluster.servers[0].log();
    assert!(
        log.contains("keelhaul-node: cannot") && log.contains("must not acknowledge"),
        "{log}"
    );
    cluster.servers[0].start();
    cluster.wait();
    let mut again = Client::connect(cluster.address(0));
    assert!(acknowledged > 10);
    for n in 0..acknowledged {
        assert!(
            again.exists(&format!("/f/{n}")).is_ok(),
            "{n} of {acknowledged} is lost"
        );
    }
}
