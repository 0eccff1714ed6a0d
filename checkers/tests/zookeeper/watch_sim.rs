//! A small server with one-shot watches, whose clients' histories are sound, or broken in one place.

use crate::common::Script;
use keelhaul_checkers::{Kind, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const PATHS: [&str; 2] = ["/a", "/b"];

/// What is broken, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    Missed,
    Late,
    Double,
    NoChange,
}

struct Sim<'r> {
    rng: &'r mut ChaCha8Rng,
    script: Script,
    zxid: i64,
    there: [bool; 2],
    /// Standing watches, by session and znode.
    stands: [[bool; 2]; 3],
    breaking: Option<Break>,
    broken: bool,
    late: Vec<(usize, usize, &'static str, i64)>,
    tells: bool,
    lost: bool,
}

impl Sim<'_> {
    fn event(&mut self, session: usize, path: usize, word: &str, zxid: i64) {
        let zxid = if self.tells { json!(zxid) } else { Value::Null };
        let told = json!({ "event": word, "zxid": zxid, "session": format!("s{session}") });
        let watcher = Process::Named("watcher".into());
        self.script.line(
            watcher,
            Kind::Info,
            "event",
            Some(PATHS[path]),
            Value::Null,
            told,
        );
    }

    fn fire(&mut self, path: usize, word: &'static str) {
        for session in 0..3 {
            if !std::mem::take(&mut self.stands[session][path]) {
                continue;
            }
            let hit = !self.broken && self.rng.random_bool(0.5);
            match self.breaking {
                Some(Break::Missed) if hit => self.broken = true,
                Some(Break::Late) if hit => {
                    self.broken = true;
                    self.late.push((session, path, word, self.zxid));
                }
                Some(Break::Double) if hit => {
                    self.broken = true;
                    self.event(session, path, word, self.zxid);
                    self.event(session, path, word, self.zxid);
                }
                _ => self.event(session, path, word, self.zxid),
            }
        }
    }

    fn write(&mut self, f: &str, path: usize) -> Value {
        self.zxid += 1;
        let (error, word) = match (f, self.there[path]) {
            ("create", true) => (Some("NodeExists"), ""),
            ("create", false) => (None, "NodeCreated"),
            (_, false) => (Some("NoNode"), ""),
            ("set", true) => (None, "NodeDataChanged"),
            _ => (None, "NodeDeleted"),
        };
        let zxid = self.zxid;
        if error.is_none() {
            self.there[path] = word != "NodeDeleted";
            self.fire(path, word);
        }
        json!({ "zxid": zxid, "error": error })
    }

    fn read(&mut self, session: usize, f: &str, path: usize, watch: bool) -> Value {
        let there = self.there[path];
        if watch && (there || f == "exists") {
            self.stands[session][path] = true;
        }
        json!({ "zxid": self.zxid, "error": (!there).then_some("NoNode") })
    }

    fn run(mut self, steps: usize) -> (keelhaul_checkers::History, bool) {
        let mut open: [Option<(&str, usize, bool)>; 3] = [None; 3];
        let mut process = [0, 1, 2];
        // What is open at the end is answered, too: an open operation may have done anything.
        for step in 0..steps + 3 {
            let at = match step.checked_sub(steps) {
                None => self.rng.random_range(0..3),
                Some(last) if open[last].is_some() => last,
                Some(_) => continue,
            };
            let Some((f, path, watch)) = open[at].take() else {
                let words = ["get", "exists", "exists", "create", "set", "set", "delete"];
                let f = words[self.rng.random_range(0..words.len())];
                let read = matches!(f, "get" | "exists");
                let call = (
                    f,
                    self.rng.random_range(0..2),
                    read && self.rng.random_bool(0.6),
                );
                let asked = json!({ "watch": call.2, "session": format!("s{at}") });
                self.script.client(
                    process[at],
                    Kind::Invoke,
                    f,
                    Some(PATHS[call.1]),
                    Value::Null,
                    asked,
                );
                open[at] = Some(call);
                continue;
            };
            let lost = self.lost && self.rng.random_bool(0.15);
            let mut answer = json!({});
            if !lost || self.rng.random_bool(0.5) {
                answer = match f {
                    "get" | "exists" => self.read(at, f, path, watch),
                    _ => self.write(f, path),
                };
            }
            if lost {
                answer = json!({});
            }
            answer["session"] = json!(format!("s{at}"));
            if answer["error"].is_null() {
                answer.as_object_mut().unwrap().remove("error");
            }
            let kind = if lost { Kind::Info } else { Kind::Ok };
            self.script
                .client(process[at], kind, f, Some(PATHS[path]), Value::Null, answer);
            if lost {
                process[at] += 3;
            }
        }
        // Every session sees the end, so that every watch that changed is due.
        for session in 0..3 {
            let process = 1_000 + session as u64;
            let own = json!({ "session": format!("s{session}") });
            self.script.client(
                process,
                Kind::Invoke,
                "exists",
                Some("/c"),
                Value::Null,
                own,
            );
            let answer =
                json!({ "session": format!("s{session}"), "zxid": self.zxid, "error": "NoNode" });
            self.script
                .client(process, Kind::Ok, "exists", Some("/c"), Value::Null, answer);
        }
        for (session, path, word, zxid) in std::mem::take(&mut self.late) {
            self.event(session, path, word, zxid);
        }
        if self.breaking == Some(Break::NoChange) {
            let stands = (0..3)
                .flat_map(|session| [(session, 0), (session, 1)])
                .find(|(session, path)| self.stands[*session][*path]);
            if let Some((session, path)) = stands {
                self.broken = true;
                self.event(session, path, "NodeDataChanged", self.zxid + 1);
            }
        }
        (self.script.history, self.broken)
    }
}

/// A history of so many steps, and whether the promise was broken in it.
pub(crate) fn made(
    rng: &mut ChaCha8Rng,
    steps: usize,
    lost: bool,
    breaking: Option<Break>,
) -> (keelhaul_checkers::History, bool) {
    let tells = rng.random_bool(0.5);
    let sim = Sim {
        rng,
        script: Script::default(),
        zxid: 0,
        there: [false; 2],
        stands: [[false; 2]; 3],
        breaking,
        broken: false,
        late: Vec::new(),
        tells,
        lost,
    };
    sim.run(steps)
}
