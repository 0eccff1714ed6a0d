//! From a history's operations to [`Op`]s.

use super::call::{
    Answer, Call, Code, DataId, Look, Op, Outcome, PathId, SessionId, StatSeen, Step, Write, Zxid,
};
use super::given::Presumed;
use crate::contract::ReplyZxid;
use crate::history::{EventRef, History, Kind, Operation, Process, ValueRef};
use crate::reads::ReadMode;
use crate::verdict::{Finding, Misfit, some_operations};
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// All paths of a history, with the parent of each.
#[derive(Debug, Default)]
pub(super) struct Paths<'h> {
    ids: FxHashMap<Cow<'h, str>, PathId>,
    names: Vec<(Cow<'h, str>, Option<PathId>)>,
}

impl<'h> Paths<'h> {
    pub(super) fn id(&mut self, path: impl Into<Cow<'h, str>>) -> PathId {
        let path = path.into();
        if let Some(id) = self.ids.get(&path) {
            return *id;
        }
        let parent = match path.rfind('/') {
            _ if path == "/" => None,
            Some(0) => Some("/".to_owned()),
            Some(at) => Some(path[..at].to_owned()),
            None => None,
        };
        let parent = parent.map(|parent| self.id(parent));
        let id =
            PathId(u32::try_from(self.names.len()).expect("a history has fewer than 2^32 paths"));
        self.names.push((path.clone(), parent));
        self.ids.insert(path, id);
        id
    }

    pub(super) fn name(&self, path: PathId) -> &str {
        &self.names[path.0 as usize].0
    }

    pub(super) fn parent(&self, path: PathId) -> Option<PathId> {
        self.names[path.0 as usize].1
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it is `/`, which is always there.
    pub(super) fn is_root(&self, path: PathId) -> bool {
        self.name(path) == "/"
    }

    fn child(&mut self, parent: PathId, name: &str) -> PathId {
        let path = match self.name(parent) {
            "/" => format!("/{name}"),
            above => format!("{above}/{name}"),
        };
        self.id(path)
    }
}

/// A history's operations, decoded, in the order of their invocations.
#[derive(Debug, Default)]
pub(super) struct Decoded<'h> {
    pub(super) ops: Vec<Op<'h>>,
    pub(super) paths: Paths<'h>,
    pub(super) sessions: Vec<String>,
    session_ids: FxHashMap<Cow<'h, str>, SessionId>,
    /// The session that a process was last answered in.
    of_process: FxHashMap<u32, SessionId>,
    data: FxHashMap<ValueRef<'h>, DataId>,
    /// What is presumed of the time before the history where that is doubtful.
    pub(super) presumed: Presumed,
}

/// A history's operations, decoded; or the finding of `checker` that there are none, or that they cannot be.
pub(super) fn decoded<'h>(
    history: &'h History,
    checker: &str,
) -> Result<Decoded<'h>, Box<Finding>> {
    let operations = some_operations(history, checker)?;
    decode(&operations).map_err(|misfit| Box::new(Finding::misfit(checker, misfit)))
}

/// Decodes all operations; failed ones stay in their places, for they say that their session was alive.
pub(super) fn decode<'h>(operations: &[Operation<'h>]) -> Result<Decoded<'h>, Misfit> {
    crate::repeats::all_known(operations)?;
    let mut decoded = Decoded::default();
    // Answers first: an operation without one ran in the session that its process had.
    for operation in operations {
        if let Some(session) = operation.completion().and_then(|line| line.text("session")) {
            let id = decoded.session(Cow::Borrowed(session));
            decoded
                .of_process
                .entry(operation.process_id())
                .or_insert(id);
        }
    }
    for operation in operations {
        let op = decoded
            .op(operation)
            .map_err(|text| Misfit::of(operation, text))?;
        decoded.ops.push(op);
    }
    Ok(decoded)
}

impl<'h> Decoded<'h> {
    fn session(&mut self, name: Cow<'h, str>) -> SessionId {
        if let Some(id) = self.session_ids.get(&name) {
            return *id;
        }
        let id = SessionId(self.sessions.len() as u32);
        self.sessions.push(name.to_string());
        self.session_ids.insert(name, id);
        id
    }

    /// All data, by number.
    pub(super) fn data_by_number(&self) -> Vec<ValueRef<'h>> {
        let mut all: Vec<(DataId, ValueRef<'h>)> =
            self.data.iter().map(|(value, id)| (*id, *value)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.into_iter().map(|(_, value)| value).collect()
    }

    /// The session of this name.
    pub(super) fn session_named(&mut self, name: &'h str) -> SessionId {
        self.session(Cow::Borrowed(name))
    }

    /// The session that an operation ran in; in histories without sessions, its process.
    fn session_of(&mut self, operation: &Operation<'h>) -> SessionId {
        let named = [operation.completion(), Some(operation.invocation())]
            .into_iter()
            .flatten()
            .find_map(|line| line.text("session"));
        let process = operation.process_id();
        let id = match (named, self.of_process.get(&process)) {
            (Some(name), _) => self.session(Cow::Borrowed(name)),
            (None, Some(id)) => *id,
            (None, None) => {
                let name = match operation.process() {
                    Process::Client(number) => format!("process {number}"),
                    Process::Named(name) => name.to_string(),
                };
                self.session(Cow::Owned(name))
            }
        };
        self.of_process.insert(process, id);
        id
    }

    fn data(&mut self, value: ValueRef<'h>) -> DataId {
        let next = DataId(self.data.len() as u32);
        *self.data.entry(value).or_insert(next)
    }

    fn op(&mut self, operation: &Operation<'h>) -> Result<Op<'h>, String> {
        let session = self.session_of(operation);
        let mut call = self.call(operation)?;
        let outcome = self.outcome(operation, &mut call)?;
        let zxid = operation.answer().and_then(|answer| {
            let own = match (&call, &outcome) {
                (
                    Call::Write(Write::One(Step::Create { .. } | Step::Set { .. })),
                    Outcome::Done(answer),
                ) => answer.stat.mzxid,
                _ => None,
            };
            own.or_else(|| answer.int("zxid"))
        });
        Ok(Op {
            operation: *operation,
            session,
            call,
            outcome,
            zxid,
        })
    }

    fn call(&mut self, operation: &Operation<'h>) -> Result<Call<'h>, String> {
        let asked = operation.invocation();
        let value = operation.argument();
        let f = operation.f();
        if matches!(f, "sync" | "connect" | "add-watch" | "remove-watches") {
            return Ok(Call::Other);
        }
        if f == "close" {
            return Ok(Call::Write(Write::Close));
        }
        let made_nothing =
            operation.kind() == Kind::Fail || operation.is_ok() && operation.error().is_some();
        if f == "multi" {
            return Ok(Call::Write(Write::Multi(self.parts(value, made_nothing)?)));
        }
        let key = operation
            .key()
            .ok_or_else(|| format!("is `{f}` without a key: the path of the znode"))?;
        let read = |look, paths: &mut Paths<'h>| Call::Read {
            path: paths.id(key),
            look,
            mode: mode(asked),
        };
        let step = match f {
            "get" | "read" => return Ok(read(Look::Get, &mut self.paths)),
            "exists" => return Ok(read(Look::Exists, &mut self.paths)),
            "children" => return Ok(read(Look::Children, &mut self.paths)),
            "create" => {
                if !made_nothing {
                    stays(|name| asked.get(name))?;
                }
                let flags = (asked.flag("sequential"), asked.flag("ephemeral"));
                self.create(key, value, flags)
            }
            "set" | "write" | "cas" => Step::Set {
                path: self.paths.id(key),
                data: match f {
                    "cas" => self.second(value)?,
                    _ => self.data(value),
                },
                expected: expected(asked.int("expected"))?,
            },
            "delete" => Step::Delete {
                path: self.paths.id(key),
                expected: expected(asked.int("expected"))?,
            },
            "check" => Step::Check {
                path: self.paths.id(key),
                expected: expected(asked.int("expected"))?,
            },
            other => {
                return Err(format!(
                    "is `{other}`, which the tree does not have: it knows create, set (write, cas), delete, check, multi, \
                     get (read), exists, children, sync, connect, close, add-watch and remove-watches"
                ));
            }
        };
        Ok(Call::Write(Write::One(step)))
    }

    fn second(&mut self, pair: ValueRef<'h>) -> Result<DataId, String> {
        match pair
            .as_list()
            .filter(|pair| pair.len() == 2)
            .and_then(|pair| pair.get(1))
        {
            Some(new) => Ok(self.data(new)),
            None => Err(format!(
                "is a cas with the argument {pair}; expected [old, new]"
            )),
        }
    }

    fn create(&mut self, asked: &'h str, data: ValueRef<'h>, flags: (bool, bool)) -> Step<'h> {
        let (sequential, ephemeral) = flags;
        let data = self.data(data);
        let (path, parent) = if sequential {
            let above = asked.rfind('/').map(|at| &asked[..at.max(1)]);
            (None, above.map(|above| self.paths.id(above)))
        } else {
            let path = self.paths.id(asked);
            (Some(path), self.paths.parent(path))
        };
        Step::Create {
            asked,
            path,
            parent,
            data,
            sequential,
            ephemeral,
        }
    }

    fn parts(&mut self, value: ValueRef<'h>, made_nothing: bool) -> Result<Vec<Step<'h>>, String> {
        let wrong = |part: ValueRef<'_>| {
            format!(
                "has the part {part}; expected [\"check\"|\"delete\", path, version], [\"create\", path, data, {{…}}] or \
                 [\"set\", path, data, version]"
            )
        };
        let list = value
            .as_list()
            .ok_or_else(|| format!("is a multi of {value}; expected a list of parts"))?;
        let mut steps = Vec::with_capacity(list.len());
        for part in list.iter() {
            let words = part.as_list().ok_or_else(|| wrong(part))?;
            let word = |at| words.get(at);
            let f = word(0)
                .and_then(ValueRef::as_str)
                .ok_or_else(|| wrong(part))?;
            let path = word(1)
                .and_then(ValueRef::as_str)
                .ok_or_else(|| wrong(part))?;
            let version = |at| expected(word(at).and_then(ValueRef::as_i64));
            steps.push(match f {
                "check" => Step::Check {
                    path: self.paths.id(path),
                    expected: version(2)?,
                },
                "delete" => Step::Delete {
                    path: self.paths.id(path),
                    expected: version(2)?,
                },
                "set" => Step::Set {
                    path: self.paths.id(path),
                    data: self.data(word(2).ok_or_else(|| wrong(part))?),
                    expected: version(3)?,
                },
                "create" => {
                    let flags = word(3).and_then(ValueRef::as_map);
                    if !made_nothing {
                        stays(|name| flags.and_then(|flags| flags.get(name)))?;
                    }
                    let flag = |name| {
                        let value = flags.and_then(|flags| flags.get(name));
                        value.and_then(ValueRef::as_bool).unwrap_or(false)
                    };
                    let flags = (flag("sequential"), flag("ephemeral"));
                    self.create(path, word(2).ok_or_else(|| wrong(part))?, flags)
                }
                _ => return Err(wrong(part)),
            });
        }
        Ok(steps)
    }

    fn outcome(
        &mut self,
        operation: &Operation<'h>,
        call: &mut Call<'h>,
    ) -> Result<Outcome<'h>, String> {
        let answer = match (operation.kind(), operation.answer()) {
            (Kind::Ok, Some(answer)) => answer,
            (Kind::Fail, _) => return Ok(Outcome::Failed),
            _ => return Ok(Outcome::Unknown),
        };
        if let Some(error) = operation.error() {
            let code = Code::of(error).ok_or_else(|| {
                format!("is ok with the error {error}, which the tree cannot explain: it knows NoNode, NodeExists, BadVersion, NotEmpty, NoChildrenForEphemerals and NoWatcher")
            })?;
            return Ok(Outcome::Refused(code, codes(answer)?));
        }
        let mut seen = Answer {
            stat: self.stat(answer),
            ..Answer::default()
        };
        match call {
            Call::Read { path, look, .. } => match look {
                Look::Get => {
                    seen.value = Some(answer.value());
                    seen.data = Some(self.data(answer.value()));
                }
                Look::Exists => {}
                Look::Children => seen.children = Some(self.names(*path, answer.value())?),
            },
            Call::Write(Write::One(step)) => self.made(step, answer.get("path"))?,
            Call::Write(Write::Multi(steps)) => {
                let results = answer.get("results").and_then(ValueRef::as_list);
                for (at, step) in steps.iter_mut().enumerate() {
                    let result = results.and_then(|results| results.get(at));
                    self.made(step, result)?;
                    let version = result.and_then(ValueRef::as_i64);
                    seen.versions
                        .push(version.and_then(|version| i32::try_from(version).ok()));
                }
            }
            Call::Write(Write::Close) | Call::Other => {}
        }
        Ok(Outcome::Done(seen))
    }

    /// Fills in the path that a sequential create made.
    fn made(&mut self, step: &mut Step<'h>, made: Option<ValueRef<'h>>) -> Result<(), String> {
        let Step::Create {
            asked,
            path,
            sequential,
            ..
        } = step
        else {
            return Ok(());
        };
        match (made.and_then(ValueRef::as_str), *sequential) {
            (Some(made), true) => {
                if number(asked, made).is_none() {
                    return Err(format!(
                        "made {made} for the sequential znode {asked}: expected that and a number of ten digits"
                    ));
                }
                *path = Some(self.paths.id(made));
            }
            (Some(made), false) if made != *asked => {
                return Err(format!("made {made}, and {asked} was asked for"));
            }
            (None, true) => {
                return Err(
                    "is an ok create of a sequential znode without `path`: what was made"
                        .to_owned(),
                );
            }
            _ => {}
        }
        Ok(())
    }

    fn names(&mut self, parent: PathId, value: ValueRef<'h>) -> Result<Vec<PathId>, String> {
        let wrong = || format!("shows the children {value}; expected a list of names, each once");
        let list = value.as_list().ok_or_else(wrong)?;
        let mut names = Vec::with_capacity(list.len());
        for name in list.iter() {
            names.push(match name.as_str() {
                Some(name) => self.paths.child(parent, name),
                None => self.paths.child(parent, &name.to_string()),
            });
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(wrong());
        }
        Ok(names)
    }

    fn stat(&mut self, answer: EventRef<'h>) -> StatSeen {
        let small = |name| {
            answer
                .int(name)
                .and_then(|number| i32::try_from(number).ok())
        };
        let owner = answer.get("ephemeralOwner").map(|owner| {
            let text = match (owner.as_str(), owner.as_i64()) {
                (Some("0" | "0x0"), _) | (_, Some(0)) => None,
                (Some(text), _) => Some(Cow::Borrowed(text)),
                (_, Some(number)) => Some(Cow::Owned(format!("{number:#x}"))),
                _ => None,
            };
            text.map(|text| self.session(text))
        });
        StatSeen {
            czxid: answer.int("czxid"),
            mzxid: answer.int("mzxid"),
            pzxid: answer.int("pzxid"),
            version: small("version"),
            cversion: small("cversion"),
            aversion: small("aversion"),
            children: small("numChildren"),
            owner,
        }
    }

    /// The reply's zxid and the write's own one that its Stat shows, if they cannot both be right: a reply to a write is never older than
    /// that, and where replies have the zxid of what they answer, it is the same.
    pub(super) fn wrong_reply(op: &Op<'h>, reply_zxid: ReplyZxid) -> Option<(Zxid, Zxid)> {
        let own = op.zxid.filter(|_| op.took_effect())?;
        let reply = Self::reply(op)?;
        let is_right = match reply_zxid {
            ReplyZxid::OfTheRead => reply == own,
            ReplyZxid::SinceTheRead => reply >= own,
        };
        (!is_right).then_some((reply, own))
    }

    /// The zxid of the reply as it stands on the line.
    pub(super) fn reply(op: &Op<'h>) -> Option<Zxid> {
        op.operation.answer().and_then(|answer| answer.int("zxid"))
    }
}

/// The number of a sequential znode, if that is what was made of the name that was asked for.
pub(super) fn number(asked: &str, made: &str) -> Option<i32> {
    let digits = made.strip_prefix(asked)?;
    let whole = digits.strip_prefix('-').unwrap_or(digits);
    // A number below 0 has its sign among the ten places; one that needs more has all of its digits.
    let shaped = digits.len() >= 10 && whole.bytes().all(|byte| byte.is_ascii_digit());
    shaped.then(|| digits.parse().ok()).flatten()
}

/// The server takes containers and znodes with a time to live away by itself, by its own clock: no history tells when, so that none that
/// makes such znodes can be judged.
fn stays<'h>(flag: impl Fn(&str) -> Option<ValueRef<'h>>) -> Result<(), String> {
    // No time is none to live.
    let is_none = |value: ValueRef<'_>| {
        value.is_null()
            || value.as_bool() == Some(false)
            || value.as_i64().is_some_and(|ms| ms <= 0)
    };
    let is_asked = |name: &&str| flag(name).is_some_and(|value| !is_none(value));
    match ["container", "ttl"].into_iter().find(is_asked) {
        Some(name) => Err(format!(
            "makes a znode with `{name}`, which the server takes away by itself: the tree does not have such"
        )),
        None => Ok(()),
    }
}

fn mode(asked: EventRef<'_>) -> Option<ReadMode> {
    match asked.text("mode") {
        Some("local") => Some(ReadMode::Local),
        Some("sync") => Some(ReadMode::Sync),
        Some("fenced") => Some(ReadMode::Fenced),
        _ => None,
    }
}

/// -1 demands none, as in ZooKeeper.
fn expected(version: Option<i64>) -> Result<Option<i32>, String> {
    match version {
        None | Some(-1) => Ok(None),
        Some(version) => match i32::try_from(version) {
            Ok(version) => Ok(Some(version)),
            Err(_) => Err(format!(
                "demands version {version}, which no znode can have"
            )),
        },
    }
}

fn codes(answer: EventRef<'_>) -> Result<Option<Vec<Option<Code>>>, String> {
    let Some(list) = answer.get("results").and_then(ValueRef::as_list) else {
        return Ok(None);
    };
    list.iter()
        .map(|code| match (code.is_null(), code.as_str().and_then(Code::of)) {
            (true, _) => Ok(None),
            (false, Some(code)) => Ok(Some(code)),
            _ => Err(format!("is a failed multi with the result {code}; expected null or the word of an error")),
        })
        .collect::<Result<Vec<_>, String>>()
        .map(Some)
}
