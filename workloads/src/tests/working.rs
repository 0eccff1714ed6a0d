//! Set-up, workers, final reads and probes against servers that misbehave now and then.

use super::fake::{Fake, Misbehaviour, servers};
use crate::meter::Meter;
use crate::options::WorkloadOptions;
use crate::probe;
use crate::readback::read_back;
use crate::record::Record;
use crate::registry;
use crate::setup::{PrepareError, prepare};
use crate::wire::request::op;
use crate::worker::{WorkerSetup, WorkerSummary, run_worker};
use crate::workload::Workload;
use keelhaul_checkers::{Kind, Nanos, Process};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
struct Line {
    process: Process,
    kind: Kind,
    f: String,
    key: Option<String>,
    value: Value,
    extra: Map<String, Value>,
}

#[derive(Default)]
struct Lines(Mutex<Vec<Line>>);

impl Record for Lines {
    fn record(
        &self,
        process: Process,
        kind: Kind,
        f: &str,
        key: Option<&str>,
        value: Value,
        extra: Map<String, Value>,
    ) -> Nanos {
        let mut lines = self.0.lock().unwrap();
        let (f, key) = (f.to_owned(), key.map(str::to_owned));
        lines.push(Line {
            process,
            kind,
            f,
            key,
            value,
            extra,
        });
        Nanos(lines.len() as u64)
    }
}

impl Lines {
    fn all(&self) -> Vec<Line> {
        self.0.lock().unwrap().clone()
    }

    async fn wait_until(&self, enough: impl Fn(&[Line]) -> bool) {
        let began = Instant::now();
        while !enough(&self.0.lock().unwrap()) {
            assert!(
                began.elapsed() < LIMIT,
                "not enough after {} lines",
                self.0.lock().unwrap().len()
            );
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn quick() -> WorkloadOptions {
    WorkloadOptions {
        operation_timeout_ms: 300,
        connect_timeout_ms: 300,
        reconnect_delay_ms: 5,
        roam_interval_ms: 20,
        ..WorkloadOptions::default()
    }
}

/// A run of some workers; ends them once `lines` lines are recorded.
async fn work(
    fakes: &[Fake],
    workload: &Arc<dyn Workload>,
    workers: u64,
    lines: usize,
) -> (Arc<Lines>, Vec<WorkerSummary>) {
    work_until(fakes, workload, workers, |all| all.len() >= lines).await
}

/// A run of some workers; ends them once what is recorded is enough.
async fn work_until(
    fakes: &[Fake],
    workload: &Arc<dyn Workload>,
    workers: u64,
    enough: impl Fn(&[Line]) -> bool,
) -> (Arc<Lines>, Vec<WorkerSummary>) {
    prepare(&servers(fakes), &**workload, LIMIT).await.unwrap();
    let record = Arc::new(Lines::default());
    let (running, stop) = watch::channel(false);
    let mut tasks = Vec::new();
    for index in 0..workers {
        let setup = WorkerSetup {
            index,
            workers,
            servers: servers(fakes),
            seed: 11,
            rate: 0.0,
            record: record.clone(),
            stop: stop.clone(),
            meter: Arc::new(Meter::new()),
        };
        tasks.push(tokio::spawn(run_worker(setup, Arc::clone(workload))));
    }
    record.wait_until(enough).await;
    running.send(true).unwrap();
    let mut summaries = Vec::new();
    for task in tasks {
        summaries.push(task.await.unwrap().unwrap());
    }
    (record, summaries)
}

/// What every history must keep: a process does one thing at a time, is dead after `info`, and has one session at most.
fn assert_sound(lines: &[Line]) {
    let mut open: BTreeMap<Process, Line> = BTreeMap::new();
    let mut dead = BTreeSet::new();
    let mut sessions: BTreeMap<Process, Value> = BTreeMap::new();
    for line in lines {
        let process = line.process.clone();
        assert!(!dead.contains(&process), "a dead process acts: {line:?}");
        if line.kind == Kind::Invoke {
            assert!(
                open.insert(process, line.clone()).is_none(),
                "two at a time: {line:?}"
            );
            continue;
        }
        let invocation = open
            .remove(&process)
            .expect("a completion needs an invocation");
        assert_eq!((&invocation.f, &invocation.key), (&line.f, &line.key));
        let session = sessions
            .entry(process.clone())
            .or_insert(line.extra["session"].clone());
        assert_eq!(
            *session, line.extra["session"],
            "a second session: {line:?}"
        );
        match line.kind {
            Kind::Ok => assert!(line.extra.contains_key("zxid"), "{line:?}"),
            _ => assert!(line.extra.contains_key("error") && line.value == invocation.value),
        }
        if line.kind == Kind::Info {
            dead.insert(process);
        }
    }
    assert!(open.is_empty(), "an operation without an end: {open:?}");
}

#[tokio::test]
async fn registers_are_worked_on_and_read_back() {
    let fakes = Fake::ensemble(3).await;
    let workload = registry::build("register", &quick()).unwrap();
    let (record, summaries) = work(&fakes, &workload, 5, 3000).await;
    let lines = record.all();
    assert_sound(&lines);
    for f in ["create", "read", "write", "cas"] {
        let answered = |line: &&Line| line.f == f && line.kind == Kind::Ok;
        assert!(
            lines
                .iter()
                .any(|line| answered(&line) && !line.extra.contains_key("error")),
            "{f}"
        );
    }
    let read = lines
        .iter()
        .find(|line| line.f == "read" && line.kind == Kind::Ok)
        .unwrap();
    assert_eq!(read.extra["mode"], "sync");
    assert!(
        read.value.is_i64() && read.extra.contains_key("mzxid"),
        "{read:?}"
    );

    let first = summaries
        .iter()
        .map(|summary| summary.next_process)
        .max()
        .unwrap();
    let record: Arc<dyn Record> = record;
    let result = read_back(&servers(&fakes), &*workload, &record, first, LIMIT)
        .await
        .unwrap();
    assert!(result.read > 0 && result.unread.is_empty(), "{result:?}");
    assert_eq!(result.read as usize, workload.final_reads().len());
}

#[tokio::test]
async fn sets_are_added_to_and_read_back_whole() {
    let fakes = Fake::ensemble(2).await;
    let workload = registry::build("set", &quick()).unwrap();
    let (record, _) = work(&fakes, &workload, 3, 1000).await;
    assert_sound(&record.all());
    let writer: Arc<dyn Record> = record.clone();
    read_back(&servers(&fakes), &*workload, &writer, 1000, LIMIT)
        .await
        .unwrap();
    let (mut added, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for line in record.all().iter().filter(|line| line.kind == Kind::Ok) {
        if line.f == "add" {
            added.insert(line.value.as_u64().unwrap());
        } else if line.extra.get("final") == Some(&Value::Bool(true)) {
            seen.extend(
                line.value
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|value| value.as_u64().unwrap()),
            );
        }
    }
    assert_eq!(added, seen);
}

#[tokio::test]
async fn whatever_a_server_does_the_history_stays_sound() {
    let fakes = Fake::ensemble(3).await;
    for what in [
        Misbehaviour::Close,
        Misbehaviour::Silence,
        Misbehaviour::Garbage,
        Misbehaviour::EndlessFrame,
        Misbehaviour::OtherXid,
        Misbehaviour::Code(-112),
        Misbehaviour::Code(-5),
        Misbehaviour::AnswerAndClose,
    ] {
        for op in [op::SET_DATA, op::CREATE2, op::GET_DATA, op::MULTI] {
            fakes[0].order(op, what);
        }
    }
    let workload = registry::build("register", &quick()).unwrap();
    // The first creates are the set-up's own: it tries again.
    let (record, summaries) = work(&fakes, &workload, 5, 4000).await;
    assert_sound(&record.all());
    let reasons: BTreeSet<String> = record
        .all()
        .iter()
        .filter(|line| line.kind != Kind::Ok)
        .filter_map(|line| line.extra.get("error")?.as_str().map(str::to_owned))
        .collect();
    for reason in [
        "connection-lost",
        "timed-out",
        "garbled-reply",
        "SessionExpired",
        "step-before-failed",
    ] {
        assert!(
            reasons.contains(reason),
            "{reason} is not among {reasons:?}"
        );
    }
    assert!(summaries.iter().map(|summary| summary.info).sum::<u64>() > 0);
}

#[tokio::test]
async fn the_last_fifth_roams_and_keeps_its_session_and_its_process_number() {
    let fakes = Fake::ensemble(3).await;
    let workload = registry::build("register", &quick()).unwrap();
    let values = |all: &[Line], process: u64, name: &str| -> BTreeSet<String> {
        all.iter()
            .filter(|line| line.kind == Kind::Ok && line.process == Process::Client(process))
            .map(|line| line.extra[name].to_string())
            .collect()
    };
    // When it moves is a matter of time, not of how much was done.
    let everywhere = |all: &[Line]| {
        (0..4).all(|pinned| values(all, pinned, "server").len() == 1)
            && values(all, 4, "server").len() == 3
    };
    let (record, summaries) = work_until(&fakes, &workload, 5, everywhere).await;
    let all = record.all();
    for process in 0..5 {
        let servers = if process == 4 { 3 } else { 1 };
        assert_eq!(values(&all, process, "server").len(), servers, "{process}");
        assert_eq!(values(&all, process, "session").len(), 1, "{process}");
    }
    assert!(summaries.iter().all(|summary| summary.sessions == 1));
}

#[tokio::test]
async fn a_worker_stops_promptly_though_its_server_is_silent() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = crate::Server {
        name: "n1".into(),
        address: silent.local_addr().unwrap(),
    };
    let options = WorkloadOptions {
        connect_timeout_ms: 60_000,
        ..quick()
    };
    let workload = registry::build("register", &options).unwrap();
    let (running, stop) = watch::channel(false);
    let setup = WorkerSetup {
        index: 0,
        workers: 1,
        servers: vec![server],
        seed: 1,
        rate: 0.0,
        record: Arc::new(Lines::default()),
        stop,
        meter: Arc::new(Meter::new()),
    };
    let worker = tokio::spawn(run_worker(setup, workload));
    silent.accept().await.unwrap();
    running.send(true).unwrap();
    let summary = tokio::time::timeout(LIMIT, worker)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(
        summary,
        WorkerSummary {
            next_process: 1,
            ..WorkerSummary::default()
        }
    );
}

#[tokio::test]
async fn a_slow_worker_keeps_its_session_and_closes_it_when_told_to_stop() {
    let fake = Fake::start().await;
    let options = WorkloadOptions {
        session_timeout_ms: 150,
        ..quick()
    };
    let workload = registry::build("register", &options).unwrap();
    let (running, stop) = watch::channel(false);
    let record = Arc::new(Lines::default());
    let setup = WorkerSetup {
        index: 0,
        workers: 1,
        servers: vec![fake.server.clone()],
        seed: 1,
        rate: 0.001,
        record: record.clone(),
        stop,
        meter: Arc::new(Meter::new()),
    };
    let worker = tokio::spawn(run_worker(setup, workload));
    // The first operation is due at once, the next one in a quarter of an hour.
    let pings = || {
        fake.state()
            .asked
            .iter()
            .filter(|asked| **asked == op::PING)
            .count()
    };
    let began = Instant::now();
    while pings() < 5 {
        assert!(began.elapsed() < LIMIT);
        sleep(Duration::from_millis(5)).await;
    }
    running.send(true).unwrap();
    let summary = tokio::time::timeout(LIMIT, worker)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((summary.sessions, record.all().len()), (1, 2));
    assert_eq!(fake.state().asked.last(), Some(&op::CLOSE_SESSION));
}

#[tokio::test]
async fn set_up_says_what_it_could_not_make_and_why() {
    let fake = Fake::start().await;
    let workload = registry::build("register", &quick()).unwrap();
    let gone = fake.server.clone();
    drop(fake);
    let error = prepare(&[gone], &*workload, Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, PrepareError::NotServing { path, .. } if path == "/keelhaul"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_serves_once_a_write_and_a_read_went_through_it() {
    let fake = Fake::start().await;
    let early = probe::serves(&fake.server, Duration::from_millis(100))
        .await
        .unwrap_err();
    assert!(early.to_string().contains("NoNode"), "{early}");
    let workload = registry::build("register", &quick()).unwrap();
    prepare(std::slice::from_ref(&fake.server), &*workload, LIMIT)
        .await
        .unwrap();
    fake.order(op::SET_DATA, Misbehaviour::Close);
    probe::serves(&fake.server, LIMIT).await.unwrap();
    let srvr = probe::srvr(fake.server.address, LIMIT).await.unwrap();
    assert_eq!(srvr.mode, "follower");
}
