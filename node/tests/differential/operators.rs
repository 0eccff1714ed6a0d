//! What operators see of three servers: the admin server's commands, `mntr`, Prometheus's families, and read-only mode.
//!
//! Every command that both have must answer with the same keys, and values of the same types; what is left out here, and what
//! is ours alone, stands in the tables below. In read-only mode the same requests must be answered with the same codes.

use crate::ports::free_ports;
use crate::servers::{is_there, word};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
const SERVLETS: &str = "/usr/share/java/servlet-api.jar";

/// Commands whose answers are compared.
const COMMANDS: [&str; 22] = [
    "configuration",
    "connection_stat_reset",
    "connections",
    "dirs",
    "dump",
    "environment",
    "hash",
    "initial_configuration",
    "is_read_only",
    "last_snapshot",
    "leader",
    "monitor",
    "observer_connection_stat_reset",
    "observers",
    "ruok",
    "server_stats",
    "stats",
    "voting_view",
    "watch_summary",
    "watches",
    "watches_by_path",
    "zabstate",
];

/// Commands that answer here that they have no meaning, and ours.
const NOT_COMPARED: [&str; 5] = [
    "get_trace_mask",
    "set_trace_mask",
    "system_properties",
    "stat_reset",
    "alerts",
];

/// Keys of Apache's that are left out: Java's own.
const JAVA: [&str; 2] = ["java.", "os.memory."];

/// Metrics of Apache's that are left out, by their beginnings: queues between its threads, caches, what is authenticated otherwise,
/// metrics by namespace, and moments that this server does not have.
const LEFT_OUT: &[&str] = &[
    "add_dead_watcher_stall_time",
    "dead_watchers_",
    "response_packet_",
    "ensemble_auth_",
    "prep_process",
    "request_commit_queued",
    "close_session_prep_time",
    "read_commit",
    "write_commit",
    "commit_commit",
    "read_final",
    "write_final",
    "om_",
    "jvm_pause",
    "local_write_committed",
    "server_write_committed",
    "commit_process_time",
    "proposal_process_time",
    "netty_",
    "learner_handler_",
    "learner_request_",
    "requests_in_session",
    "pending_session",
    "reads_after",
    "reads_issued",
    "session_queues",
    "time_waiting",
    "write_batch",
    "concurrent_request",
    "requests_not_forwarded",
    "stale_re",
    "throttled_ops",
    "request_throttle_queue",
    "insecure_admin",
    "tls_handshake",
    "unsuccessful_handshake",
    "skip_learner",
    "socket_closing",
    "quit_leading",
    "unrecoverable_error",
    "sync_process_time",
    "sync_processor_queue_time_ms",
    "proposal_latency",
    "proposal_ack_creation",
    "commit_propagation",
    "inflight_",
    "connection_token_deficit",
    "startup_txns_load_time",
    "read_per_namespace",
    "write_per_namespace",
];

/// Metrics that Apache has in some moments only.
const SOMETIMES: [&str; 1] = ["ack_latency"];

/// The metrics that only this node has.
const OURS: [&str; 4] = [
    "alerts",
    "seats_lent",
    "seats_lent_count",
    "seats_returned_count",
];

struct Ensemble {
    children: Vec<Child>,
    clients: Vec<SocketAddr>,
    admins: Vec<SocketAddr>,
    ports: [[u16; 4]; 3],
    _dir: TempDir,
}

impl Drop for Ensemble {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(
            start.elapsed() < LIMIT,
            "{what} did not happen within {LIMIT:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Three servers, each started by `start`, which is given its number, its directory and all ports.
fn ensemble(start: impl Fn(usize, &Path, &[[u16; 4]; 3]) -> Child) -> Ensemble {
    let dir = tempfile::tempdir().unwrap();
    let ports = [(); 3].map(|()| free_ports(4).try_into().expect("four ports"));
    let children = (0..3).map(|n| start(n, dir.path(), &ports)).collect();
    let ensemble = Ensemble {
        children,
        clients: ports.iter().map(|of| local(of[0])).collect(),
        admins: ports.iter().map(|of| local(of[1])).collect(),
        ports,
        _dir: dir,
    };
    eventually("service", || {
        (0..3).all(|n| ensemble.mode(n).is_some()).then_some(())
    });
    ensemble
}

/// Writes the `zoo.cfg` and the `myid` from which either system starts, with what only one of them is told. Where the file is.
fn write_config(n: usize, dir: &Path, ports: &[[u16; 4]; 3], more: &str) -> PathBuf {
    let data = dir.join(format!("d{n}"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("myid"), (n + 1).to_string()).unwrap();
    let mut text = format!(
        "tickTime=500\ninitLimit=20\nsyncLimit=4\ndataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\nadmin.serverPort={}\n\
         admin.serverAddress=127.0.0.1\n4lw.commands.whitelist=*\n{more}",
        data.display(),
        ports[n][0],
        ports[n][1]
    );
    for (m, of) in ports.iter().enumerate() {
        writeln!(text, "server.{}=localhost:{}:{}", m + 1, of[2], of[3]).unwrap();
    }
    let config = dir.join(format!("{n}.cfg"));
    std::fs::write(&config, text).unwrap();
    config
}

fn apache() -> Ensemble {
    ensemble(|n, dir, ports| {
        let more = "localSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n";
        let config = write_config(n, dir, ports, more);
        let log = std::fs::File::create(dir.join(format!("{n}.log"))).unwrap();
        Command::new("java")
            .args([
                "-Xmx128m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dreadonlymode.enabled=true",
                "-Dzookeeper.forceSync=no",
            ])
            .args(["-cp", &format!("/usr/share/java/zookeeper.jar:{SERVLETS}")])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    })
}

fn ours() -> Ensemble {
    ensemble(|n, dir, ports| {
        let more = "readonlymode.enabled=true\nkeelhaul.warn.znodes=false\n";
        let config = write_config(n, dir, ports, more);
        let binary = env!("CARGO_BIN_EXE_keelhaul-node");
        let format = Command::new(binary).arg("format").arg(&config).status();
        assert!(format.unwrap().success());
        let log = std::fs::File::create(dir.join(format!("{n}.log"))).unwrap();
        Command::new(binary)
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    })
}

impl Ensemble {
    fn mode(&self, n: usize) -> Option<String> {
        let answer = word(self.clients[n], "srvr")?;
        answer
            .lines()
            .find_map(|line| line.strip_prefix("Mode: ").map(str::to_owned))
    }

    fn get(&self, n: usize, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admins[n]).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        body.to_owned()
    }

    fn command(&self, n: usize, name: &str) -> Value {
        serde_json::from_str(&self.get(n, &format!("/commands/{name}"))).unwrap()
    }

    /// What `/zookeeper/config` holds, with the ports by their numbers in [`ensemble`].
    fn config(&self, n: usize) -> String {
        let (mut reader, _) = Reader::open(self.clients[n], false, 0, 0);
        let request = [text("/zookeeper/config"), vec![0]].concat();
        let request = [&1i32.to_be_bytes()[..], &4i32.to_be_bytes(), &request].concat();
        reader.0.write_all(&frame(&request)).unwrap();
        let answer = reader.receive().unwrap();
        let length = i32::from_be_bytes(answer[16..20].try_into().unwrap()) as usize;
        let mut config = String::from_utf8(answer[20..20 + length].to_vec()).unwrap();
        for (n, of) in self.ports.iter().enumerate() {
            for (number, port) in of.iter().enumerate() {
                config = config.replace(&format!(":{port}"), &format!(":port{number}of{n}"));
            }
        }
        config
    }

    /// A leader and a follower.
    fn roles(&self) -> [usize; 2] {
        let is = |n: &usize, mode: &str| self.mode(*n).as_deref() == Some(mode);
        ["leader", "follower"].map(|mode| (0..3).find(|n| is(n, mode)).unwrap())
    }
}

/// The types of a value, by where they stand. Keys that are paths or numbers are all alike.
fn shape(value: &Value, at: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let varies = key.starts_with('/') || key.parse::<i64>().is_ok();
                let key = if varies { "*" } else { key };
                shape(value, &format!("{at}/{key}"), out);
            }
        }
        Value::Array(list) => list
            .iter()
            .for_each(|value| shape(value, &format!("{at}[]"), out)),
        Value::Number(number) if number.is_f64() => drop(out.insert(format!("{at}: fraction"))),
        Value::Number(_) => drop(out.insert(format!("{at}: number"))),
        Value::String(_) => drop(out.insert(format!("{at}: text"))),
        Value::Bool(_) => drop(out.insert(format!("{at}: truth"))),
        Value::Null => drop(out.insert(format!("{at}: null"))),
    }
}

fn shape_of(value: &Value) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    shape(value, "", &mut out);
    out
}

/// Four-letter words whose answers are compared.
const WORDS: [&str; 14] = [
    "ruok", "isro", "srvr", "stat", "conf", "cons", "dump", "dirs", "wchs", "wchc", "wchp", "envi",
    "crst", "srst",
];

/// Properties whose values are the same, because both are told the same.
const SAME: [&str; 10] = [
    "tickTime",
    "initLimit",
    "syncLimit",
    "minSessionTimeout",
    "maxSessionTimeout",
    "maxClientCnxns",
    "clientPortListenBacklog",
    "secureClientPort",
    "electionAlg",
    "serverId",
];

/// The lines of a word's answer, each once, with `#` for every number and id, and without the values of properties that need not be the same.
///
/// Left out: the word's own connection, of which only Apache tells; when its connections expire (ours end with their sessions); and
/// properties of Java. Apache has local sessions here, without which it answers nobody in read-only mode, and lists them too.
fn lines_of(answer: &str) -> BTreeSet<String> {
    const LEFT_OUT: [&str; 8] = [
        "Local Session Sets",
        " expire at ",
        "[0](queued",
        "Connections Sets",
        "sessionId: 0x0",
        "java.",
        "os.memory.",
        "Zookeeper version: ",
    ];
    let is_number = |part: &str| part.contains(|c: char| c.is_ascii_digit());
    let numberless = |line: &str| {
        let mut shape = String::new();
        for part in line.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '.') {
            let end = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '.');
            let shown = if is_number(end) { "#" } else { end };
            shape.push_str(shown);
            shape.push_str(&part[end.len()..]);
        }
        shape
    };
    let lines = answer.lines();
    let lines = lines.filter(|line| !LEFT_OUT.iter().any(|left| line.contains(left)));
    lines
        .map(|line| match line.split_once('=') {
            Some((key, _)) if SAME.contains(&key) => line.to_owned(),
            Some((key, _)) if !line.starts_with(' ') && !key.contains("server.") => key.to_owned(),
            _ => numberless(line.trim_start_matches("Global ")),
        })
        .collect()
}

/// The metric that a name of `monitor` belongs to: without the part of its summary, and without its follower or namespace.
fn metric(name: &str) -> &str {
    const PARTS: [&str; 9] = [
        "avg_", "min_", "max_", "cnt_", "sum_", "p50_", "p95_", "p99_", "p999_",
    ];
    // Gauges whose names begin like a summary's parts.
    const GAUGES: [&str; 8] = [
        "avg_latency",
        "min_latency",
        "max_latency",
        "min_client_response_size",
        "max_client_response_size",
        "min_proposal_size",
        "max_proposal_size",
        "max_file_descriptor_count",
    ];
    if GAUGES.contains(&name) {
        return name;
    }
    let rest = PARTS
        .iter()
        .find_map(|part| name.strip_prefix(part))
        .unwrap_or(name);
    match rest.split_once('_') {
        Some((key, set)) if key.parse::<u64>().is_ok() || set.ends_with("_per_namespace") => set,
        _ => rest,
    }
}

fn compare_metrics(apache: &BTreeSet<String>, ours: &BTreeSet<String>, differences: &mut String) {
    let names = |shape: &BTreeSet<String>| -> BTreeSet<String> {
        shape
            .iter()
            .map(|line| line.trim_start_matches('/').to_owned())
            .collect()
    };
    let (apache, ours) = (names(apache), names(ours));
    for line in ours.difference(&apache) {
        let (name, _) = line.split_once(": ").unwrap();
        if !SOMETIMES.contains(&metric(name)) && !OURS.contains(&metric(name)) {
            writeln!(differences, "monitor: only ours has {line}").unwrap();
        }
    }
    for line in apache.difference(&ours) {
        let (name, _) = line.split_once(": ").unwrap();
        if !LEFT_OUT
            .iter()
            .any(|beginning| metric(name).starts_with(beginning))
            && !SOMETIMES.contains(&metric(name))
        {
            writeln!(differences, "monitor: only Apache has {line}").unwrap();
        }
    }
}

/// Every family that Prometheus reads must be a metric of Apache's, or the process's, or ours.
fn compare_families(apache: &Value, text: &str, differences: &mut String) {
    let known: BTreeSet<&str> = apache
        .as_object()
        .unwrap()
        .keys()
        .map(|name| metric(name))
        .collect();
    for name in text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
    {
        let known = known.contains(name) || SOMETIMES.contains(&name) || OURS.contains(&name);
        if !known && !name.starts_with("process_") {
            writeln!(differences, "Prometheus: only ours has {name}").unwrap();
        }
    }
}

struct Reader(TcpStream);

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as i32).to_be_bytes(), text.as_bytes()].concat()
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as i32).to_be_bytes(), bytes].concat()
}

impl Reader {
    /// The connect response, without what varies: whether there is a session, and the flag.
    fn open(address: SocketAddr, allows: bool, seen: i64, session: i64) -> (Reader, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut request = [
            &0i32.to_be_bytes()[..],
            &seen.to_be_bytes(),
            &4000i32.to_be_bytes(),
            &session.to_be_bytes(),
        ]
        .concat();
        request.extend([&16i32.to_be_bytes()[..], &[0; 16], &[u8::from(allows)]].concat());
        stream.write_all(&frame(&request)).unwrap();
        let mut reader = Reader(stream);
        let said = match reader.receive() {
            None => "closed".to_owned(),
            Some(answer) => {
                let timeout = i32::from_be_bytes(answer[4..8].try_into().unwrap());
                let session = i64::from_be_bytes(answer[8..16].try_into().unwrap());
                format!(
                    "timeout {timeout}, a session: {}, read-only {:?}",
                    session != 0,
                    answer.last()
                )
            }
        };
        (reader, said)
    }

    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut bytes = vec![0; i32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Number, code, and how many bytes follow.
    fn ask(&mut self, xid: i32, code: i32, body: &[u8]) -> String {
        let request = [&xid.to_be_bytes()[..], &code.to_be_bytes(), body].concat();
        if self.0.write_all(&frame(&request)).is_err() {
            return "closed".into();
        }
        match self.receive() {
            None => "closed".into(),
            Some(answer) => {
                let int = |at: usize| i32::from_be_bytes(answer[at..at + 4].try_into().unwrap());
                format!(
                    "xid {} error {}, {} bytes",
                    int(0),
                    int(12),
                    answer.len() - 16
                )
            }
        }
    }
}

fn acl() -> Vec<u8> {
    [
        &1i32.to_be_bytes()[..],
        &31i32.to_be_bytes(),
        &text("world"),
        &text("anyone"),
    ]
    .concat()
}

/// What clients meet at a server that is read-only.
fn read_only(address: SocketAddr) -> Vec<String> {
    let mut lines: Vec<String> = [(false, 0, 0), (true, i64::MAX, 0), (true, 0, 0x7777)]
        .map(|(allows, seen, session)| Reader::open(address, allows, seen, session).1)
        .into();
    let (mut reader, said) = Reader::open(address, true, 0, 0);
    lines.push(said);
    let any = (-1i32).to_be_bytes();
    let create = [text("/x"), text(""), acl(), 0i32.to_be_bytes().to_vec()].concat();
    let end = [&any[..], &[1], &any].concat();
    let digest = [0i32.to_be_bytes().to_vec(), text("digest"), text("a:b")].concat();
    for (name, xid, code, body) in [
        ("exists", 1, 3, [text("/"), vec![0]].concat()),
        ("getData", 2, 4, [text("/d"), vec![1]].concat()),
        (
            "getData of nothing",
            3,
            4,
            [text("/none"), vec![1]].concat(),
        ),
        ("getChildren", 4, 8, [text("/d"), vec![0]].concat()),
        ("getACL", 5, 6, text("/d")),
        ("create", 6, 1, create.clone()),
        ("create2", 7, 15, create),
        (
            "setData",
            8,
            5,
            [text("/d"), text(""), any.to_vec()].concat(),
        ),
        ("delete", 9, 2, [text("/d"), any.to_vec()].concat()),
        ("setACL", 10, 7, [text("/d"), acl(), any.to_vec()].concat()),
        ("sync", 11, 9, text("/")),
        ("multi", 12, 14, end.clone()),
        ("multiRead", 13, 22, end),
        ("ping", -2, 11, Vec::new()),
        ("auth", -4, 100, digest),
        (
            "addWatch",
            14,
            106,
            [text("/d"), 0i32.to_be_bytes().to_vec()].concat(),
        ),
        (
            "checkWatches",
            15,
            17,
            [text("/d"), 2i32.to_be_bytes().to_vec()].concat(),
        ),
        ("getEphemerals", 16, 103, text("/")),
        ("getAllChildrenNumber", 17, 104, text("/d")),
        ("closeSession", 18, -11, Vec::new()),
        ("after closeSession", 19, 3, [text("/"), vec![0]].concat()),
    ] {
        lines.push(format!("{name}: {}", reader.ask(xid, code, &body)));
    }
    lines
}

#[test]
fn operators_see_the_same_of_apache_zookeeper_and_of_this_node() {
    if !is_there() {
        return;
    }
    if !Path::new(SERVLETS).exists() {
        println!(
            "skipped, because {SERVLETS} is not there: install Debian's package libservlet-api-java"
        );
        return;
    }
    let (mut apache, mut ours) = (apache(), ours());
    let (theirs, here) = (apache.roles(), ours.roles());
    let mut clients = Vec::new();
    for address in [&apache, &ours].map(|all| all.clients.clone()).concat() {
        let (mut client, _) = Reader::open(address, false, 0, 0);
        // Both may exist already.
        client.ask(
            1,
            1,
            &[text("/d"), text("data"), acl(), 0i32.to_be_bytes().to_vec()].concat(),
        );
        client.ask(
            2,
            1,
            &[text("/e"), text("data"), acl(), 1i32.to_be_bytes().to_vec()].concat(),
        );
        client.ask(3, 4, &[text("/d"), vec![1]].concat());
        clients.push(client);
    }
    let mut differences = String::new();
    for (role, (a, b)) in theirs.into_iter().zip(here).enumerate() {
        for name in COMMANDS {
            let (their, our) = (apache.command(a, name), ours.command(b, name));
            let (their_shape, our_shape) = (shape_of(&their), shape_of(&our));
            if name == "monitor" {
                compare_metrics(&their_shape, &our_shape, &mut differences);
                compare_families(&their, &ours.get(b, "/metrics"), &mut differences);
                continue;
            }
            let left_out = |line: &&String| {
                !JAVA
                    .iter()
                    .any(|java| line.starts_with(&format!("/{java}")))
            };
            for line in their_shape.difference(&our_shape).filter(left_out) {
                writeln!(differences, "{name} ({role}): only Apache has {line}").unwrap();
            }
            for line in our_shape.difference(&their_shape) {
                writeln!(differences, "{name} ({role}): only ours has {line}").unwrap();
            }
        }
    }
    for (role, (a, b)) in theirs.into_iter().zip(here).enumerate() {
        for name in WORDS {
            let ask = |all: &Ensemble, n: usize| lines_of(&word(all.clients[n], name).unwrap());
            let (their, our) = (ask(&apache, a), ask(&ours, b));
            if their != our {
                writeln!(
                    differences,
                    "{name} ({role}): Apache {their:#?}, ours {our:#?}"
                )
                .unwrap();
            }
        }
    }
    let config = apache.config(theirs[1]);
    assert!(
        config.contains("server.2=localhost:port2of1:port3of1:participant\n"),
        "{config}"
    );
    assert_eq!(ours.config(here[1]), config);
    for name in ["get_trace_mask", "nonsense"] {
        assert_eq!(
            ours.command(0, name)["command"],
            apache.command(0, name)["command"]
        );
    }
    let index = |all: &Ensemble| -> BTreeSet<String> {
        let text = all.get(0, "/commands/");
        text.split("\">")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap().to_owned())
            .collect()
    };
    let all: BTreeSet<String> = COMMANDS
        .iter()
        .chain(&NOT_COMPARED)
        .map(|name| (*name).to_owned())
        .collect();
    assert_eq!(index(&ours), all);
    assert_eq!(index(&apache).difference(&all).count(), 0);
    assert!(differences.is_empty(), "\n{differences}");
    // Alone, the follower of each is read-only.
    for (all, stays) in [(&mut apache, theirs[1]), (&mut ours, here[1])] {
        for n in (0..3).filter(|n| *n != stays) {
            all.children[n].kill().unwrap();
        }
        eventually("read-only mode", || {
            (word(all.clients[stays], "isro")? == "ro").then_some(())
        });
    }
    let (their, our) = (
        read_only(apache.clients[theirs[1]]),
        read_only(ours.clients[here[1]]),
    );
    assert_eq!(their, our);
    for name in ["is_read_only", "stats", "connections"] {
        assert_eq!(
            shape_of(&apache.command(theirs[1], name)),
            shape_of(&ours.command(here[1], name)),
            "{name}"
        );
    }
    println!(
        "{} commands and {} words in two roles, {} steps in read-only mode",
        COMMANDS.len(),
        WORDS.len(),
        our.len()
    );
}
