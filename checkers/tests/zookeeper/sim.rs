//! A small ZooKeeper: one order of writes, servers that lag behind, sessions, answers that get lost. Its histories are sound
//! by construction; what it recorded can be changed afterwards and written down again.

use crate::common::Script;
use crate::common::random::pick;
use keelhaul_checkers::{History, Kind, Nanos};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A znode.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Znode {
    pub(crate) data: i64,
    pub(crate) version: i64,
    pub(crate) creates: i64,
    /// The number of the next sequential child.
    pub(crate) next: i64,
    pub(crate) deletes: i64,
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) pzxid: i64,
    pub(crate) owner: Option<usize>,
}

/// The tree; `/t` is there from the beginning, with a Stat that no history knows.
#[derive(Debug, Clone)]
pub(crate) struct Tree(pub(crate) BTreeMap<String, Znode>);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Create {
        path: String,
        data: i64,
        sequential: bool,
        ephemeral: bool,
        made: Option<String>,
    },
    Set {
        path: String,
        data: i64,
        expected: Option<i64>,
    },
    Delete {
        path: String,
        expected: Option<i64>,
    },
    Check {
        path: String,
        expected: Option<i64>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    One(Step),
    Multi(Vec<Step>),
    Close,
    Read {
        path: String,
        look: &'static str,
        mode: &'static str,
    },
}

impl Request {
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Request::Read { .. })
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        match self {
            Request::One(step) => vec![step.clone()],
            Request::Multi(steps) => steps.clone(),
            _ => Vec::new(),
        }
    }
}

/// What the answer to a request says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) error: Option<&'static str>,
    pub(crate) results: Vec<Value>,
    pub(crate) made: Option<String>,
    pub(crate) data: Option<i64>,
    pub(crate) children: Option<Vec<String>>,
    pub(crate) stat: Option<Znode>,
    pub(crate) zxid: i64,
}

impl Answer {
    /// Results by part are told of a multi only.
    fn of(mut self, request: &Request) -> Answer {
        if !matches!(request, Request::Multi(_)) {
            self.results.clear();
        }
        self
    }
}

pub(crate) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

impl Default for Tree {
    fn default() -> Tree {
        let given = Znode {
            data: 0,
            version: 0,
            creates: 0,
            next: 0,
            deletes: 0,
            czxid: 0,
            mzxid: 0,
            pzxid: 0,
            owner: None,
        };
        Tree(BTreeMap::from([("/t".to_owned(), given)]))
    }
}

impl Tree {
    fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    pub(crate) fn children(&self, path: &str) -> Vec<String> {
        self.0
            .keys()
            .filter(|other| parent(other) == path)
            .map(|other| other[path.len() + 1..].to_owned())
            .collect()
    }

    fn at_version(&self, path: &str, expected: Option<i64>) -> Result<(), &'static str> {
        let node = self.0.get(path).ok_or("NoNode")?;
        match expected {
            Some(expected) if expected != node.version => Err("BadVersion"),
            _ => Ok(()),
        }
    }

    fn remove(&mut self, path: &str, zxid: i64) {
        self.0.remove(path);
        if let Some(above) = self.0.get_mut(parent(path)) {
            above.deletes += 1;
            above.pzxid = zxid;
        }
    }

    /// Does one step; says the path that it made. A sequential create that says what it made gets just that, if it may.
    pub(crate) fn step(
        &mut self,
        step: &Step,
        session: usize,
        zxid: i64,
    ) -> Result<Option<String>, &'static str> {
        match step {
            Step::Create {
                path,
                data,
                sequential,
                ephemeral,
                made,
            } => {
                let above = parent(path).to_owned();
                if !self.has(&above) {
                    return Err("NoNode");
                }
                let counter = self.0.get(&above).map_or(0, |node| node.next);
                let path = match (sequential, made) {
                    (false, _) => path.clone(),
                    (true, None) => format!("{path}{counter:010}"),
                    (true, Some(made)) => {
                        let number: i64 = made[path.len()..].parse().unwrap();
                        if number < counter {
                            return Err("its number is too small");
                        }
                        if let Some(node) = self.0.get_mut(&above) {
                            // A gap in the numbers is legal.
                            node.next = number;
                        }
                        made.clone()
                    }
                };
                if self.has(&path) {
                    return Err("NodeExists");
                }
                if let Some(node) = self.0.get_mut(&above) {
                    if node.owner.is_some() {
                        return Err("NoChildrenForEphemerals");
                    }
                    node.creates += 1;
                    node.next += 1;
                    node.pzxid = zxid;
                }
                let owner = ephemeral.then_some(session);
                let node = Znode {
                    data: *data,
                    version: 0,
                    creates: 0,
                    next: 0,
                    deletes: 0,
                    czxid: zxid,
                    mzxid: zxid,
                    pzxid: zxid,
                    owner,
                };
                self.0.insert(path.clone(), node);
                Ok(Some(path))
            }
            Step::Set {
                path,
                data,
                expected,
            } => {
                self.at_version(path, *expected)?;
                let node = self.0.get_mut(path).unwrap();
                node.data = *data;
                node.version += 1;
                node.mzxid = zxid;
                Ok(None)
            }
            Step::Delete { path, expected } => {
                self.at_version(path, *expected)?;
                if !self.children(path).is_empty() {
                    return Err("NotEmpty");
                }
                self.remove(path, zxid);
                Ok(None)
            }
            Step::Check { path, expected } => self.at_version(path, *expected).map(|()| None),
        }
    }

    /// Does a write, all of it or nothing.
    pub(crate) fn write(&mut self, request: &Request, session: usize, zxid: i64) -> Answer {
        let mut answer = Answer {
            zxid,
            ..Answer::default()
        };
        if *request == Request::Close {
            let owned: Vec<String> = self
                .0
                .iter()
                .filter(|(_, node)| node.owner == Some(session))
                .map(|(path, _)| path.clone())
                .collect();
            for path in owned {
                self.remove(&path, zxid);
            }
            return answer;
        }
        let before = self.clone();
        let steps = request.steps();
        for (part, step) in steps.iter().enumerate() {
            match self.step(step, session, zxid) {
                Ok(made) => {
                    let version = || json!(self.0.get(set_path(step)).map(|node| node.version));
                    answer.results.push(match (&made, step) {
                        (Some(made), _) => json!(made),
                        (None, Step::Set { .. }) => version(),
                        _ => Value::Null,
                    });
                    answer.made = made;
                }
                Err(error) => {
                    *self = before;
                    let rest = steps.len() - part - 1;
                    answer.results = vec![Value::Null; part];
                    answer.results.push(json!(error));
                    answer
                        .results
                        .extend(vec![json!("RuntimeInconsistency"); rest]);
                    answer.error = Some(error);
                    return answer.of(request);
                }
            }
        }
        if let Request::One(step) = request {
            let path = answer
                .made
                .clone()
                .unwrap_or_else(|| set_path(step).to_owned());
            if !matches!(step, Step::Delete { .. } | Step::Check { .. }) {
                answer.stat = self.0.get(&path).cloned();
            }
        }
        answer.of(request)
    }

    pub(crate) fn read(&self, path: &str, look: &str, zxid: i64) -> Answer {
        let mut answer = Answer {
            zxid,
            ..Answer::default()
        };
        let node = self.0.get(path);
        match (node, path) {
            (Some(_), "/t") => {}
            (None, _) => {
                answer.error = Some("NoNode");
                return answer;
            }
            (Some(node), _) => answer.stat = Some(node.clone()),
        }
        match look {
            "get" => answer.data = node.filter(|_| path != "/t").map(|node| node.data),
            "children" => answer.children = Some(self.children(path)),
            _ => {}
        }
        answer
    }
}

pub(crate) fn set_path(step: &Step) -> &str {
    match step {
        Step::Create { path, .. }
        | Step::Set { path, .. }
        | Step::Delete { path, .. }
        | Step::Check { path, .. } => path,
    }
}

/// An operation as it was recorded.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) process: u64,
    pub(crate) session: usize,
    pub(crate) request: Request,
    pub(crate) inv: u64,
    /// The line of its completion and what that was.
    pub(crate) ret: Option<(u64, Kind)>,
    pub(crate) answer: Option<Answer>,
}

impl Record {
    pub(crate) fn is_ok(&self) -> bool {
        matches!(self.ret, Some((_, Kind::Ok)))
    }

    /// The line by which it certainly happened.
    pub(crate) fn returned(&self) -> Option<u64> {
        self.ret
            .filter(|(_, kind)| *kind == Kind::Ok)
            .map(|(line, _)| line)
    }

    /// The answer, if it was received.
    pub(crate) fn ok(&self) -> Option<&Answer> {
        self.answer.as_ref().filter(|_| self.is_ok())
    }

    pub(crate) fn ok_mut(&mut self) -> Option<&mut Answer> {
        let ok = self.is_ok();
        self.answer.as_mut().filter(|_| ok)
    }

    pub(crate) fn took_effect(&self) -> bool {
        !self.request.is_read() && self.ok().is_some_and(|answer| answer.error.is_none())
    }
}

/// Some multis that failed do not say which part did.
pub(crate) fn forget_parts(rng: &mut ChaCha8Rng, records: &mut [Record]) {
    for answer in records.iter_mut().filter_map(Record::ok_mut) {
        if answer.error.is_some() && !answer.results.is_empty() && rng.random_bool(0.5) {
            answer.results.clear();
        }
    }
}

/// What a run is like.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) operations: usize,
    pub(crate) sessions: usize,
    /// Whether a read's reply has the zxid of the read exactly.
    pub(crate) exact: bool,
    pub(crate) lost: f64,
    pub(crate) ephemeral: f64,
    pub(crate) multi: f64,
    pub(crate) sequential: f64,
    pub(crate) close: f64,
    /// How often a sequential znode is asked for by its name, whoever has learned it.
    pub(crate) by_name: f64,
}

/// The small ZooKeeper at work.
pub(crate) struct Sim {
    pub(crate) options: Options,
    pub(crate) records: Vec<Record>,
    lines: u64,
    zxid: i64,
    value: i64,
    /// The tree after each write.
    pub(crate) states: Vec<(i64, Tree)>,
    seen: Vec<i64>,
}

impl Sim {
    pub(crate) fn run(rng: &mut ChaCha8Rng, options: Options) -> Sim {
        let mut sim = Sim {
            options,
            records: Vec::new(),
            lines: 0,
            zxid: 0,
            value: 0,
            states: vec![(0, Tree::default())],
            seen: Vec::new(),
        };
        sim.work(rng);
        sim
    }

    fn work(&mut self, rng: &mut ChaCha8Rng) {
        let mut idle: Vec<usize> = (0..self.options.sessions).collect();
        self.seen = vec![0; self.options.sessions];
        let mut open: Vec<usize> = Vec::new();
        while self.records.len() < self.options.operations || !open.is_empty() {
            if self.records.len() < self.options.operations
                && !idle.is_empty()
                && rng.random_bool(0.5)
            {
                let session = idle.swap_remove(rng.random_range(0..idle.len()));
                let request = self.request(rng);
                open.push(self.records.len());
                let process = self.records.len() as u64;
                let inv = self.line();
                self.records.push(Record {
                    process,
                    session,
                    request,
                    inv,
                    ret: None,
                    answer: None,
                });
            }
            if open.is_empty() {
                continue;
            }
            let place = rng.random_range(0..open.len());
            let at = open[place];
            let read = self.records[at].request.is_read();
            if self.records[at].answer.is_none() {
                if !read && rng.random_bool(self.options.lost) {
                    // The answer is lost, and the effect may still come.
                    self.end(at, Kind::Info);
                    if rng.random_bool(0.5) {
                        self.apply(rng, at);
                    }
                    open.swap_remove(place);
                    idle.push(self.new_session());
                } else {
                    self.apply(rng, at);
                }
            } else {
                open.swap_remove(place);
                let lost = !read && rng.random_bool(self.options.lost);
                self.end(at, if lost { Kind::Info } else { Kind::Ok });
                let closed = self.records[at].request == Request::Close;
                let session = self.records[at].session;
                let next = if lost || closed {
                    self.new_session()
                } else {
                    session
                };
                idle.push(next);
            }
        }
    }

    fn new_session(&mut self) -> usize {
        self.seen.push(0);
        self.seen.len() - 1
    }

    fn line(&mut self) -> u64 {
        self.lines += 1;
        self.lines - 1
    }

    fn end(&mut self, at: usize, kind: Kind) {
        let line = self.line();
        self.records[at].ret = Some((line, kind));
    }

    fn tree(&self) -> &Tree {
        &self.states.last().unwrap().1
    }

    /// The tree at a zxid.
    pub(crate) fn at(&self, zxid: i64) -> &Tree {
        let after = self.states.partition_point(|(other, _)| *other <= zxid);
        &self.states[after - 1].1
    }

    fn apply(&mut self, rng: &mut ChaCha8Rng, at: usize) {
        let Record {
            session, request, ..
        } = self.records[at].clone();
        let seen = self.seen[session];
        let answer = match &request {
            Request::Read { path, look, mode } => {
                let prefix = match *mode {
                    "local" => rng.random_range(seen..=self.zxid.max(seen)),
                    _ => self.zxid,
                };
                let stamp = if self.options.exact {
                    prefix
                } else {
                    rng.random_range(prefix..=self.zxid)
                };
                let mut answer = self.at(prefix).read(path, look, stamp);
                answer.zxid = stamp;
                answer
            }
            write => {
                self.zxid += rng.random_range(1..=2);
                let mut tree = self.tree().clone();
                let answer = tree.write(write, session, self.zxid);
                self.states.push((self.zxid, tree));
                answer
            }
        };
        self.seen[session] = seen.max(answer.zxid);
        self.records[at].answer = Some(answer);
    }

    fn request(&mut self, rng: &mut ChaCha8Rng) -> Request {
        const PATHS: [&str; 4] = ["/t/a", "/t/b", "/t/a/c", "/t/a/d"];
        let mut path = (*pick(rng, &PATHS)).to_owned();
        if self.options.by_name > 0.0 && rng.random_bool(self.options.by_name) {
            let numbered = self.tree().0.keys().filter(|path| path.contains("/n-"));
            let numbered: Vec<String> = numbered.cloned().collect();
            if !numbered.is_empty() {
                path.clone_from(pick(rng, &numbered));
            }
        }
        if rng.random_bool(0.45) {
            let look = *pick(rng, &["get", "get", "exists", "children"]);
            let path = if look == "children" && rng.random_bool(0.5) {
                "/t".to_owned()
            } else {
                path
            };
            return Request::Read {
                path,
                look,
                mode: ["local", "local", "fenced"][rng.random_range(0..3)],
            };
        }
        if rng.random_bool(self.options.close) {
            return Request::Close;
        }
        if rng.random_bool(self.options.multi) {
            let other = (*pick(rng, &PATHS)).to_owned();
            return Request::Multi(vec![self.step(rng, path), self.step(rng, other)]);
        }
        Request::One(self.step(rng, path))
    }

    fn step(&mut self, rng: &mut ChaCha8Rng, path: String) -> Step {
        self.value += 1;
        let data = self.value;
        let expected = match self.tree().0.get(&path) {
            Some(node) if rng.random_bool(0.4) => {
                Some(node.version + i64::from(rng.random_bool(0.1)))
            }
            _ => None,
        };
        let exists = self.tree().0.contains_key(&path);
        match rng.random_range(0..10) {
            _ if !exists && rng.random_bool(0.7) => self.create(rng, path, data),
            0 | 1 => self.create(rng, path, data),
            2..=6 => Step::Set {
                path,
                data,
                expected,
            },
            7 => Step::Check { path, expected },
            _ => Step::Delete { path, expected },
        }
    }

    fn create(&mut self, rng: &mut ChaCha8Rng, path: String, data: i64) -> Step {
        let sequential = rng.random_bool(self.options.sequential);
        let path = if sequential {
            format!("{}/n-", parent(&path))
        } else {
            path
        };
        let ephemeral = rng.random_bool(self.options.ephemeral);
        Step::Create {
            path,
            data,
            sequential,
            ephemeral,
            made: None,
        }
    }
}

/// What a run recorded, as a history.
pub(crate) fn history(records: &[Record]) -> History {
    let mut lines: Vec<(u64, &Record, bool)> = Vec::new();
    for record in records {
        lines.push((record.inv, record, false));
        if let Some((line, _)) = record.ret {
            lines.push((line, record, true));
        }
    }
    lines.sort_by_key(|(line, ..)| *line);
    let mut script = Script::default();
    for (_, record, ends) in lines {
        let (f, key, value, asked) = asked(&record.request);
        let session = format!("0x{:x}", record.session + 1);
        if !ends {
            let mut asked = asked;
            asked.insert("session".to_owned(), json!(session));
            script.client(
                record.process,
                Kind::Invoke,
                f,
                key.as_deref(),
                value,
                Value::Object(asked),
            );
            continue;
        }
        let (_, kind) = record.ret.unwrap();
        let mut fields = Map::new();
        fields.insert("session".to_owned(), json!(session));
        let mut value = value;
        if let Some(answer) = record.ok() {
            value = answered(record, answer, value, &mut fields);
        }
        script.client(
            record.process,
            kind,
            f,
            key.as_deref(),
            value,
            Value::Object(fields),
        );
    }
    script.history
}

/// Whether somebody can have seen the tree before all of these writes: some are changed to have the zxid 0.
pub(crate) fn begins_after_0(records: &[Record]) -> bool {
    let writes = records.iter().filter(|record| record.took_effect());
    let mut answers = writes.filter_map(Record::ok);
    answers.all(|answer| {
        let own = answer.stat.as_ref().map_or(answer.zxid, |stat| stat.mzxid);
        own.min(answer.zxid) > 0
    })
}

/// The same after somebody saw that nothing was there but `/t`: of no znode it is doubtful whether it was.
pub(crate) fn history_from_nothing(records: &[Record]) -> History {
    let mut script = Script::default();
    let seen = json!({ "ephemeralOwner": "0x0", "zxid": 0 });
    let top = Some("/t");
    script.client(
        u64::MAX,
        Kind::Invoke,
        "children",
        top,
        Value::Null,
        Value::Null,
    );
    script.client(u64::MAX, Kind::Ok, "children", top, json!([]), seen);
    for mut event in history(records).to_events() {
        event.index += 2;
        event.time = Nanos(event.time.0 + 2_000_000);
        script.history.push(&event);
    }
    script.history
}

fn answered(
    record: &Record,
    answer: &Answer,
    value: Value,
    fields: &mut Map<String, Value>,
) -> Value {
    fields.insert("zxid".to_owned(), json!(answer.zxid));
    if let Some(error) = answer.error {
        fields.insert("error".to_owned(), json!(error));
    }
    let is_told_by_part = answer.error.is_none() || !answer.results.is_empty();
    if matches!(record.request, Request::Multi(_)) && is_told_by_part {
        fields.insert("results".to_owned(), json!(answer.results));
    }
    if let (Some(made), Request::One(_)) = (&answer.made, &record.request) {
        fields.insert("path".to_owned(), json!(made));
    }
    if let Some(node) = &answer.stat {
        fields.insert("version".to_owned(), json!(node.version));
        fields.insert("cversion".to_owned(), json!(node.creates + node.deletes));
        fields.insert("numChildren".to_owned(), json!(node.creates - node.deletes));
        fields.insert("czxid".to_owned(), json!(node.czxid));
        fields.insert("mzxid".to_owned(), json!(node.mzxid));
        fields.insert("pzxid".to_owned(), json!(node.pzxid));
        let owner = node.owner.map_or(0, |owner| owner as i64 + 1);
        fields.insert("ephemeralOwner".to_owned(), json!(format!("0x{owner:x}")));
    }
    match (&answer.children, answer.data) {
        (Some(children), _) => json!(children),
        (_, Some(data)) => json!(data),
        _ => value,
    }
}

fn asked(request: &Request) -> (&'static str, Option<String>, Value, Map<String, Value>) {
    let mut fields = Map::new();
    let expect = |fields: &mut Map<String, Value>, expected: &Option<i64>| {
        if let Some(expected) = expected {
            fields.insert("expected".to_owned(), json!(expected));
        }
    };
    match request {
        Request::Close => ("close", None, Value::Null, fields),
        Request::Read { path, look, mode } => {
            fields.insert("mode".to_owned(), json!(mode));
            (look, Some(path.clone()), Value::Null, fields)
        }
        Request::Multi(steps) => (
            "multi",
            None,
            Value::Array(steps.iter().map(part).collect()),
            fields,
        ),
        Request::One(Step::Create {
            path,
            data,
            sequential,
            ephemeral,
            ..
        }) => {
            for (name, set) in [("sequential", sequential), ("ephemeral", ephemeral)] {
                if *set {
                    fields.insert(name.to_owned(), json!(true));
                }
            }
            ("create", Some(path.clone()), json!(data), fields)
        }
        Request::One(Step::Set {
            path,
            data,
            expected,
        }) => {
            expect(&mut fields, expected);
            ("set", Some(path.clone()), json!(data), fields)
        }
        Request::One(Step::Delete { path, expected }) => {
            expect(&mut fields, expected);
            ("delete", Some(path.clone()), Value::Null, fields)
        }
        Request::One(Step::Check { path, expected }) => {
            expect(&mut fields, expected);
            ("check", Some(path.clone()), Value::Null, fields)
        }
    }
}

fn part(step: &Step) -> Value {
    match step {
        Step::Create {
            path,
            data,
            sequential,
            ephemeral,
            ..
        } => {
            json!(["create", path, data, { "sequential": sequential, "ephemeral": ephemeral }])
        }
        Step::Set {
            path,
            data,
            expected,
        } => json!(["set", path, data, expected.unwrap_or(-1)]),
        Step::Delete { path, expected } => json!(["delete", path, expected.unwrap_or(-1)]),
        Step::Check { path, expected } => json!(["check", path, expected.unwrap_or(-1)]),
    }
}
