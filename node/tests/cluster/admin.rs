//! The admin server: ZooKeeper's commands as JSON, metrics as Prometheus reads them, and operators who behave badly.

use crate::client::*;
use crate::http::{command, exchange, get, request};
use crate::ports::free_ports;
use crate::process::{Cluster, LIMIT, eventually, word};
use crate::prometheus;
use serde_json::{Value, json};
use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

const ADMIN: &str = "[admin]\naddress = \"@ADMIN@\"\nwords = [\"*\"]";
const GET_DATA: i32 = 4;

#[test]
fn commands_tell_what_is_there() {
    let cluster = Cluster::start(3, ADMIN);
    let leader = cluster.wait();
    let follower = (leader + 1) % 3;
    let ask = |n: usize, name: &str| command(cluster.servers[n].admin_address, name);
    let mut client = Client::connect_for(cluster.address(leader), 5000);
    client.create("/e", b"x", EPHEMERAL).unwrap();
    client.watch(GET_DATA, "/e").unwrap();
    let session = client.session;
    for n in 0..3 {
        assert_eq!(ask(n, "ruok"), json!({ "command": "ruok", "error": null }));
        assert_eq!(ask(n, "is_read_only")["read_only"], false);
        let state = ask(n, "zabstate");
        assert_eq!(
            (&state["myid"], &state["zabstate"]),
            (&json!(n + 1), &json!("broadcast"))
        );
        assert_eq!(
            (&state["is_leader"], &state["voting"]),
            (&json!(n == leader), &json!(true))
        );
        let who = ask(n, "leader");
        assert_eq!(
            (&who["leader_id"], &who["leader_ip"]),
            (&json!(leader + 1), &json!("127.0.0.1"))
        );
        assert_eq!(
            ask(n, "voting_view")["current_config"]
                .as_object()
                .unwrap()
                .len(),
            3
        );
    }
    assert_eq!(
        ask(leader, "srvr")["server_stats"]["server_state"],
        "leader"
    );
    assert_eq!(
        ask(follower, "srvr")["server_stats"]["server_state"],
        "follower"
    );
    assert!(
        ask(leader, "srvr").get("proposal_stats").is_some()
            && ask(follower, "srvr").get("proposal_stats").is_none()
    );
    let connections = ask(leader, "connections");
    let [connection] = connections["connections"].as_array().unwrap().as_slice() else {
        panic!("one connection: {connections}");
    };
    assert_eq!(connection["session_id"], session);
    assert_eq!(
        (
            &connection["session_timeout"],
            &connection["last_operation"]
        ),
        (&json!(5000), &json!("GETD"))
    );
    assert_eq!(
        ask(leader, "stats")["connections"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let by_session = json!({ session.to_string(): ["/e"] });
    assert_eq!(
        ask(leader, "watches")["session_id_to_watched_paths"],
        by_session
    );
    assert_eq!(
        ask(leader, "watches_by_path")["path_to_session_ids"],
        json!({ "/e": [session] })
    );
    assert_eq!(ask(leader, "watch_summary")["num_total_watches"], 1);
    let dump = ask(leader, "dump");
    assert_eq!(dump["session_id_to_ephemeral_paths"], by_session);
    let expiring = dump["expiry_time_to_session_ids"].as_object().unwrap();
    assert!(expiring.values().any(|ids| ids == &json!([session])));
    eventually("the ephemeral znode on the follower", || {
        let dump = ask(follower, "dump");
        assert_eq!(dump["expiry_time_to_session_ids"], json!({}));
        (dump["session_id_to_ephemeral_paths"] == by_session).then_some(())
    });
    assert_eq!(ask(leader, "crst")["command"], "connection_stat_reset");
    assert_eq!(
        ask(leader, "connections")["connections"][0]["packets_received"],
        0
    );
    assert_eq!(
        ask(leader, "nonsense"),
        json!({ "command": "nonsense", "error": "Unknown command: nonsense" })
    );
}

#[test]
fn the_index_names_commands_that_all_answer() {
    let cluster = Cluster::start(
        1,
        "[admin]\naddress = \"@ADMIN@\"\ncommand_url = \"/zk/admin\"",
    );
    let address = cluster.servers[0].admin_address;
    let index = get(address, "/zk/admin").body;
    assert_eq!(index, get(address, "/zk/admin/").body);
    let names: Vec<&str> = index
        .split("\">")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap())
        .collect();
    assert!(names.len() > 20, "{index}");
    for name in names {
        let answer = get(address, &format!("/zk/admin/{name}"));
        let json: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(json["command"], name);
        assert!(json.get("error").is_some());
    }
    assert_eq!(get(address, "/commands/ruok").status, 404);
}

#[test]
fn mntr_monitor_and_prometheus_tell_the_same() {
    let cluster = Cluster::start(1, ADMIN);
    let mut client = Client::connect(cluster.address(0));
    for n in 0..50u8 {
        client.create(&format!("/{n}"), &[n], 0).unwrap();
        client.get(&format!("/{n}")).unwrap();
    }
    let address = cluster.servers[0].admin_address;
    let mntr = word(cluster.address(0), "mntr").unwrap();
    let monitor = command(address, "monitor");
    let text = get(address, "/metrics");
    assert_eq!(text.kind, "text/plain; version=0.0.4; charset=utf-8");
    let families = prometheus::parse(&text.body).unwrap();
    for line in mntr.lines() {
        let (name, value) = line.strip_prefix("zk_").unwrap().split_once('\t').unwrap();
        let json = &monitor[name];
        assert!(!json.is_null(), "{name} is missing");
        if [
            "znode_count",
            "proposal_count",
            "cnt_updatelatency",
            "sum_sync_processor_batch_size",
        ]
        .contains(&name)
        {
            assert_eq!(json.to_string(), value, "{name}");
        }
        // A summary has one family and several lines.
        let family = match name.split_once('_') {
            Some((
                "avg" | "min" | "max" | "cnt" | "sum" | "p50" | "p95" | "p99" | "p999",
                rest,
            )) if families.contains_key(rest) => rest,
            _ => name,
        };
        let is_word = ["version", "server_state", "peer_state"].contains(&name);
        assert_eq!(families.contains_key(family), !is_word, "{name}");
    }
    assert_eq!(
        families["znode_count"].samples["znode_count"],
        monitor["znode_count"].as_f64().unwrap()
    );
    let updates = &families["updatelatency"].samples;
    assert_eq!(updates["updatelatency_count"], 50.0);
    let (half, most) = (
        updates["updatelatency{quantile=\"0.5\"}"],
        updates["updatelatency{quantile=\"0.99\"}"],
    );
    assert!(0.0 < half && half <= most && most < 30_000.0);
    assert!(
        families["process_resident_memory_bytes"]
            .samples
            .values()
            .all(|bytes| *bytes > 1e6)
    );
}

#[test]
fn metrics_have_a_port_of_their_own_if_it_is_given() {
    let port = free_ports(1)[0];
    let cluster = Cluster::start(
        1,
        &format!("[admin]\nmetrics_address = \"127.0.0.1:{port}\""),
    );
    let address = ([127, 0, 0, 1], port).into();
    assert!(
        prometheus::parse(&get(address, "/metrics").body)
            .unwrap()
            .len()
            > 50
    );
    assert_eq!(get(address, "/commands/ruok").status, 404);
    assert!(
        TcpStream::connect(cluster.servers[0].admin_address).is_err(),
        "there is no admin server unless it is asked for"
    );
}

#[test]
fn without_a_majority_it_says_so_and_still_tells_how_it_is() {
    let mut cluster = Cluster::start(3, ADMIN);
    cluster.servers[1].kill();
    cluster.servers[2].kill();
    let address = cluster.servers[0].admin_address;
    let answer = eventually("the end of service", || {
        Some(command(address, "server_stats")).filter(|answer| !answer["error"].is_null())
    });
    let refusal = json!({ "command": "server_stats", "error": "This ZooKeeper instance is not currently serving requests" });
    assert_eq!(answer, refusal);
    eventually("an election", || {
        (command(address, "zabstate")["zabstate"] == "election").then_some(())
    });
    let metrics = prometheus::parse(&get(address, "/metrics").body).unwrap();
    assert!(metrics["looking_count"].samples["looking_count"] >= 2.0);
}

#[test]
fn requests_that_make_no_sense_are_refused_and_touch_nobody() {
    let cluster = Cluster::start(1, ADMIN);
    let address = cluster.servers[0].admin_address;
    for (method, path, status) in [
        ("POST", "/commands/ruok", 405),
        ("DELETE", "/metrics", 405),
        ("TRACE", "/commands", 405),
        ("GET", "/", 404),
        ("GET", "/commands/a/b", 404),
        ("GET", "/commands/../metrics", 404),
        ("GET", "/commands/%00%ff", 400),
        ("HEAD", "/commands/ruok", 200),
    ] {
        assert_eq!(
            request(address, method, path).status,
            status,
            "{method} {path}"
        );
    }
    let long = format!("GET /commands/{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    for bytes in [
        &b"\0\0\0\x2c garbage\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"ruok\r\n\r\n",
        long.as_bytes(),
    ] {
        // It answers that this is wrong, or closes.
        let answer = exchange(address, bytes);
        assert!(answer.is_none_or(|answer| (400..=499).contains(&answer.status)));
    }
    assert_eq!(command(address, "ruok")["error"], Value::Null);
}

/// Whether the other side closes within the limit; what it sends is thrown away.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).is_ok()
}

#[test]
fn who_says_nothing_or_does_not_read_is_closed_and_the_others_have_their_turn() {
    let cluster = Cluster::start(1, ADMIN);
    let address = cluster.servers[0].admin_address;
    let mut client = Client::connect(cluster.address(0));
    for n in 0..2000 {
        // Long names, so that an answer is longer than what the sockets hold.
        client.add_watch(&format!("/{n}{}", "x".repeat(5000)), false);
    }
    let open = || -> i64 {
        let mntr = word(cluster.address(0), "mntr").unwrap();
        let line = mntr
            .lines()
            .find(|line| line.starts_with("zk_open_file_descriptor_count\t"));
        line.unwrap().split('\t').nth(1).unwrap().parse().unwrap()
    };
    let before = open();
    let mut silent: Vec<TcpStream> = (0..4)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let mut half = TcpStream::connect(address).unwrap();
    half.write_all(b"GET /commands/ruok HTTP/1.1\r\nHost:")
        .unwrap();
    let deaf: Vec<TcpStream> = (0..11)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream
                .write_all(b"GET /commands/watches HTTP/1.1\r\nHost: x\r\n\r\n")
                .unwrap();
            stream
        })
        .collect();
    // All places are taken, and come free again one after another; clients are not touched meanwhile.
    assert!(client.exists("/").is_ok());
    assert_eq!(command(address, "ruok")["command"], "ruok");
    assert!(silent.iter_mut().all(is_closed) && is_closed(&mut half));
    eventually("the end of those who do not read", || {
        (open() <= before).then_some(())
    });
    for mut stream in deaf {
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 9_000_000, "it was cut off before it read");
    }
}

#[test]
fn the_stream_of_alerts_stays_open_and_its_places_are_few() {
    let cluster = Cluster::start(1, ADMIN);
    let address = cluster.servers[0].admin_address;
    let open = || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
            .write_all(b"GET /alerts HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        (stream, String::from_utf8(head).unwrap())
    };
    let streams: Vec<_> = (0..8).map(|_| open()).collect();
    assert!(
        streams
            .iter()
            .all(|(_, head)| head.starts_with("HTTP/1.1 200")
                && head.contains("application/x-ndjson"))
    );
    assert!(open().1.starts_with("HTTP/1.1 503"));
    drop(streams);
    eventually("a place", || {
        open().1.starts_with("HTTP/1.1 200").then_some(())
    });
    assert!(command(address, "alerts")["alerts"].is_array());
}

#[test]
fn an_address_that_is_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let [client, peer] = free_ports(2).try_into().unwrap();
    let config = dir.path().join("n.toml");
    let text = format!(
        "id = 1\ndata_dir = {:?}\nclient_address = \"127.0.0.1:{client}\"\npeer_address = \"127.0.0.1:{peer}\"\n[admin]\naddress = \"{}\"\n",
        dir.path().join("data"),
        taken.local_addr().unwrap()
    );
    std::fs::write(&config, text).unwrap();
    let output = Command::new(crate::process::BINARY)
        .arg(&config)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    let expected = format!(
        "cannot listen for operators on {}",
        taken.local_addr().unwrap()
    );
    assert!(
        said.contains(&expected) && said.contains("choose another admin.address"),
        "{said}"
    );
}

#[test]
fn a_stopped_follower_is_announced_by_all_three_ways() {
    let mut cluster = Cluster::start(3, ADMIN);
    let leader = cluster.wait();
    let (away, address) = ((leader + 1) % 3, cluster.servers[leader].admin_address);
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
        .write_all(b"GET /alerts HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    cluster.servers[away].kill();
    let mut reader = std::io::BufReader::new(stream);
    let found = loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the stream ended");
        if let Ok(alert) = serde_json::from_str::<Value>(&line)
            && alert["kind"] == "peer-silent"
        {
            break alert;
        }
    };
    assert_eq!(
        (&found["about"], &found["by"], &found["event"]),
        (&json!(away + 1), &json!(leader + 1), &json!("raised"))
    );
    let alerts = command(address, "alerts");
    let same = |alert: &&Value| alert["id"] == found["id"];
    let alert = alerts["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .find(same)
        .unwrap();
    assert_eq!(alert["cleared_ms"], Value::Null);
    let standing = || {
        let metrics = prometheus::parse(&get(address, "/metrics").body).unwrap();
        let of = |severity: &str| {
            metrics["alerts"].samples
                [&format!("alerts{{kind=\"peer-silent\",severity=\"{severity}\"}}")]
        };
        of("warning") + of("critical")
    };
    assert!(standing() >= 1.0);
    cluster.servers[away].start();
    eventually("the alert's end", || (standing() == 0.0).then_some(()));
}
