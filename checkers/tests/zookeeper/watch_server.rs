//! A small server with watches of every kind, for two sessions that each see the log up to a place of their own.

use crate::common::random::pick;
use keelhaul_checkers::{Event, Kind, Nanos, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

pub(crate) const PATHS: [&str; 3] = ["/a", "/a/b", "/c"];

/// The znode above, by place.
pub(crate) fn above(path: usize) -> Option<usize> {
    (path == 1).then_some(0)
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Znode {
    czxid: i64,
    mzxid: i64,
    pzxid: i64,
}

type Tree = [Option<Znode>; 3];

/// Watches of one session on one znode: data and children once, persistent, recursive.
type Watches = [bool; 4];

#[derive(Clone)]
struct Watcher {
    /// What it sees of the log.
    at: usize,
    tree: Tree,
    watches: [Watches; 3],
    /// The newest zxid of its answers.
    answered: i64,
}

struct Server<'r> {
    rng: &'r mut ChaCha8Rng,
    exact: bool,
    tells: bool,
    events: Vec<Event>,
    /// All writes: what was done, where, its zxid.
    log: Vec<(&'static str, usize, i64)>,
    newest: Tree,
    watchers: [Watcher; 2],
}

fn apply(tree: &mut Tree, f: &str, path: usize, zxid: i64) {
    match f {
        "create" => {
            tree[path] = Some(Znode {
                czxid: zxid,
                mzxid: zxid,
                pzxid: zxid,
            })
        }
        "set" => tree[path].as_mut().unwrap().mzxid = zxid,
        _ => tree[path] = None,
    }
    if let Some(above) = above(path).filter(|_| f != "set")
        && let Some(above) = &mut tree[above]
    {
        above.pzxid = zxid;
    }
}

impl Server<'_> {
    fn line(
        &mut self,
        process: Process,
        kind: Kind,
        f: &str,
        path: usize,
        value: Value,
        extra: Value,
    ) {
        let extra: Map<String, Value> = extra.as_object().unwrap().clone();
        self.events.push(Event {
            index: 0,
            time: Nanos(0),
            process,
            kind,
            f: f.into(),
            key: Some(PATHS[path].into()),
            value,
            extra: extra.into(),
        });
    }

    /// The session's server applies one more write, and tells of it.
    fn advance(&mut self, session: usize) {
        let watcher = &mut self.watchers[session];
        let (f, path, zxid) = self.log[watcher.at];
        watcher.at += 1;
        apply(&mut watcher.tree, f, path, zxid);
        let recursive = |watches: &[Watches; 3]| {
            watches[path][3] || above(path).is_some_and(|above| watches[above][3])
        };
        let mut told = Vec::new();
        let own = watcher.watches[path];
        let children = f == "delete" && own[1];
        if own[0] || own[2] || children || recursive(&watcher.watches) {
            told.push((
                path,
                ["NodeCreated", "NodeDataChanged", "NodeDeleted"][["create", "set", "delete"]
                    .iter()
                    .position(|word| *word == f)
                    .unwrap()],
            ));
        }
        watcher.watches[path][0] = false;
        watcher.watches[path][1] &= f != "delete";
        if let Some(above) = above(path).filter(|_| f != "set") {
            if watcher.watches[above][1] || watcher.watches[above][2] {
                told.push((above, "NodeChildrenChanged"));
            }
            watcher.watches[above][1] = false;
        }
        for (path, word) in told {
            let zxid = if self.tells { json!(zxid) } else { Value::Null };
            let extra = json!({ "event": word, "zxid": zxid, "session": format!("s{session}") });
            self.line(
                Process::Named("watcher".into()),
                Kind::Info,
                "event",
                path,
                Value::Null,
                extra,
            );
        }
    }

    fn any_advance(&mut self) {
        let session = self.rng.random_range(0..2);
        if self.watchers[session].at < self.log.len() {
            self.advance(session);
        }
    }

    /// A write that does something, of a client that watches nothing.
    fn write(&mut self, process: u64, lost: bool) {
        let path = self.rng.random_range(0..3);
        let there = self.newest[path].is_some();
        let f = match there {
            false => "create",
            true => pick(self.rng, &["set", "set", "delete"]),
        };
        let orphan = above(path).is_some_and(|above| self.newest[above].is_none());
        let parent = path == 0 && f == "delete" && self.newest[1].is_some();
        let own = json!({ "session": "w" });
        self.line(
            Process::Client(process),
            Kind::Invoke,
            f,
            path,
            Value::Null,
            own.clone(),
        );
        if self.rng.random_bool(0.3) {
            self.any_advance();
        }
        let zxid = self.log.last().map_or(0, |write| write.2) + 1;
        let zxid = zxid + i64::from(self.rng.random_bool(0.1));
        if orphan || parent {
            let code = if orphan { "NoNode" } else { "NotEmpty" };
            let extra = json!({ "zxid": zxid, "error": code, "session": "w" });
            return self.line(
                Process::Client(process),
                Kind::Ok,
                f,
                path,
                Value::Null,
                extra,
            );
        }
        if !lost || self.rng.random_bool(0.6) {
            apply(&mut self.newest, f, path, zxid);
            self.log.push((f, path, zxid));
        }
        if self.rng.random_bool(0.3) {
            self.any_advance();
        }
        match lost {
            true => self.line(
                Process::Client(process),
                Kind::Info,
                f,
                path,
                Value::Null,
                own,
            ),
            false => {
                let extra = json!({ "zxid": zxid, "session": "w" });
                self.line(
                    Process::Client(process),
                    Kind::Ok,
                    f,
                    path,
                    Value::Null,
                    extra,
                );
            }
        }
    }

    fn ask(&mut self, session: usize) {
        let f = *pick(
            self.rng,
            &[
                "get",
                "exists",
                "exists",
                "children",
                "add-watch",
                "add-watch",
                "remove-watches",
            ],
        );
        let path = self.rng.random_range(0..3);
        let value = match f {
            "add-watch" => json!(pick(self.rng, &["persistent", "persistent-recursive"])),
            "remove-watches" => json!(pick(
                self.rng,
                &[
                    "any",
                    "any",
                    "data",
                    "children",
                    "persistent",
                    "persistent-recursive"
                ]
            )),
            _ => Value::Null,
        };
        let watch = self.rng.random_bool(0.7);
        let mut asked = json!({ "session": format!("s{session}") });
        if watch && matches!(f, "get" | "exists" | "children") {
            asked["watch"] = json!(true);
        }
        let process = Process::Client(session as u64);
        self.line(process.clone(), Kind::Invoke, f, path, value.clone(), asked);
        for _ in 0..self.rng.random_range(0..3) {
            self.any_advance();
        }
        let answer = self.serve(session, f, path, &value, watch);
        // Where the answer's zxid is not the read's own, other writes may come in between, and are told before it.
        let value = match f {
            "children" if answer.get("error").is_none() => json!([]),
            _ => value,
        };
        self.line(process, Kind::Ok, f, path, value, answer);
    }

    fn serve(&mut self, session: usize, f: &str, path: usize, value: &Value, watch: bool) -> Value {
        let watcher = &mut self.watchers[session];
        let seen = watcher.tree[path];
        let own = &mut watcher.watches[path];
        let mut answer = json!({ "session": format!("s{session}") });
        match (f, value.as_str()) {
            ("add-watch", Some("persistent")) => own[2] = true,
            ("add-watch", _) => own[3] = true,
            ("remove-watches", Some("any")) => *own = [false; 4],
            ("remove-watches", Some(word)) => {
                let at = ["data", "children", "persistent", "persistent-recursive"]
                    .iter()
                    .position(|one| *one == word);
                own[at.unwrap()] = false;
            }
            _ if seen.is_none() => {
                answer["error"] = json!("NoNode");
                own[0] |= watch && f == "exists";
            }
            _ => own[usize::from(f == "children")] |= watch,
        }
        if let Some(seen) = seen.filter(|_| !f.contains('-')) {
            (answer["czxid"], answer["mzxid"], answer["pzxid"]) =
                (json!(seen.czxid), json!(seen.mzxid), json!(seen.pzxid));
        }
        let at = watcher.at.checked_sub(1).map_or(0, |last| self.log[last].2);
        let newest = self.log.last().map_or(0, |write| write.2);
        let zxid = match self.exact {
            true => at,
            false => self
                .rng
                .random_range(at.max(watcher.answered)..=newest.max(watcher.answered)),
        };
        watcher.answered = zxid;
        answer["zxid"] = json!(zxid);
        answer
    }
}

/// A sound history of a dozen operations; so many writes are indeterminate at most.
pub(crate) fn recorded(rng: &mut ChaCha8Rng, exact: bool, mut unsure: usize) -> Vec<Event> {
    let watcher = Watcher {
        at: 0,
        tree: [None; 3],
        watches: [[false; 4]; 3],
        answered: 0,
    };
    let tells = rng.random_bool(0.5);
    let steps = rng.random_range(8..18);
    let mut server = Server {
        rng,
        exact,
        tells,
        events: Vec::new(),
        log: Vec::new(),
        newest: [None; 3],
        watchers: [watcher.clone(), watcher],
    };
    let mut process = 10;
    server.write(process, false);
    for step in 0..steps {
        match server.rng.random_range(0..6) {
            0 | 1 => {
                let lost = unsure > 0 && (server.rng.random_bool(0.3) || step + 2 > steps);
                unsure -= usize::from(lost);
                server.write(process, lost);
                process += u64::from(lost);
            }
            2..=4 => {
                let session = server.rng.random_range(0..2);
                server.ask(session);
            }
            _ => server.any_advance(),
        }
    }
    numbered(&mut server.events);
    server.events
}

fn numbered(events: &mut [Event]) {
    for (at, event) in events.iter_mut().enumerate() {
        event.index = at as u64;
        event.time = Nanos(at as u64 * 1_000_000);
    }
}

fn set(event: &mut Event, name: &str, value: Value) {
    let mut fields: Map<String, Value> = event
        .extra
        .iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    fields.insert(name.to_owned(), value);
    event.extra = fields.into();
}

/// Changes one thing about the watches of a history.
pub(crate) fn falsify(rng: &mut ChaCha8Rng, events: &mut Vec<Event>) {
    let told: Vec<usize> = (0..events.len())
        .filter(|at| &*events[*at].f == "event")
        .collect();
    let reads = ["get", "exists", "children"];
    let asked: Vec<usize> = (0..events.len())
        .filter(|at| events[*at].kind == Kind::Invoke && reads.contains(&&*events[*at].f))
        .collect();
    let way = rng.random_range(0..9);
    if told.is_empty() || way == 8 {
        if let Some(at) = (!asked.is_empty()).then(|| *pick(rng, &asked)) {
            let watch = events[at].extra.get("watch").is_none();
            set(&mut events[at], "watch", json!(watch));
        }
        return;
    }
    let at = *pick(rng, &told);
    match way {
        0 | 1 => drop(events.remove(at)),
        2 => {
            let again = events[at].clone();
            let to = rng.random_range(at..=events.len());
            events.insert(to, again);
        }
        3 | 4 => {
            let moved = events.remove(at);
            let to = rng.random_range(0..=events.len());
            events.insert(to, moved);
        }
        5 if events[at]
            .extra
            .get("zxid")
            .is_some_and(|zxid| !zxid.is_null()) =>
        {
            let zxid = rng.random_range(1..9);
            set(&mut events[at], "zxid", json!(zxid));
        }
        5 | 6 => {
            let word = *pick(
                rng,
                &[
                    "NodeCreated",
                    "NodeDataChanged",
                    "NodeDeleted",
                    "NodeChildrenChanged",
                ],
            );
            set(&mut events[at], "event", json!(word));
        }
        _ => events[at].key = Some((*pick(rng, &PATHS)).into()),
    }
    numbered(events);
}
