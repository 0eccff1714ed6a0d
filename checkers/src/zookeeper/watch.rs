//! One-shot watches: an event for each that was due, before the data that it announces, and none that was not.
//!
//! A registration is a read with `watch: true` on its invocation: `get` and `exists` leave a watch of the znode's data
//! (`exists` also of a znode that is not there, and then it is `ok` with `error: NoNode`), `children` one of its children. An event is
//! one line of a named process, of type `info` (or `ok`); it is no operation and has no invocation:
//!
//! ```text
//! {"process":4,"type":"invoke","f":"get","key":"/a","value":null,"watch":true}
//! {"process":4,"type":"ok","f":"get","key":"/a","value":7,"mzxid":12,"zxid":14,"session":"0x1"}
//! {"process":"watcher","type":"info","f":"event","key":"/a","value":null,"event":"NodeDataChanged","zxid":15,"session":"0x1"}
//! ```
//!
//! `event` is `NodeCreated`, `NodeDataChanged`, `NodeDeleted` or `NodeChildrenChanged`; `zxid` is the change's, absent or -1 where
//! the server does not tell. Everything else is an [operation on the tree](super). Events and answers of a session must stand in
//! the order in which they came over its connection, and the client must set its watches again when it reconnects.
//!
//! It proves, for each session:
//! - `missed-event`: a watch was registered, an acknowledged write then changed the znode, a later read of the session shows a
//!   tree with that change, and no event came;
//! - `data-before-event`: as before, and the event came after that read;
//! - `unregistered-event`: no watch of that kind stood: none was registered, or an event took it that came after its registration
//!   was answered, so that a one-shot watch fired twice; registrations of one watch may share an event;
//! - `event-without-change`: no write since the registration can have made the change that the event tells;
//! - `events-out-of-order`: on one connection an event is older, by zxid, than one before it.
//!
//! A read shows the tree at its reply's zxid where the contract has that, else at least at the newest zxid of its Stat. An
//! indeterminate registration may stand, so its event may come and need not. Changes between an event and the next
//! registration are rightly unseen. Around an indeterminate or failed operation and `connect` the connection may have been
//! another one: a created znode that is gone again may then have no event, a znode made anew tells of changed data or
//! children, and zxids of events are not held against anything.
//!
//! It cannot judge persistent watches, and takes no event as due for what only an indeterminate write or an expiry can have done.

use super::call::{Call, Code, Look, Op, Outcome, PathId, SessionId, Step, Write, Zxid};
use super::decode::{Decoded, decode};
use crate::breaches::Breaches;
use crate::contract::{self, ReplyZxid};
use crate::history::{EventRef, History, Process};
use crate::parameters::Parameters;
use crate::verdict::{Budget, Checker, Finding, Reason, Verdict, some_operations};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const NAME: &str = "watch";

/// A witness names so many of the latest registrations.
const SHOWN: usize = 4;

/// The checker `watch`.
///
/// Details: `{"registrations", "events", "due"}`: watches that were registered for certain, events, and watches that had to fire.
#[derive(Debug, Clone)]
pub struct Watch {
    exact: bool,
}

impl Watch {
    /// A checker for a system under this contract.
    pub fn new(parameters: &Parameters) -> Watch {
        Watch {
            exact: contract::reply_zxid(&parameters.contract) == ReplyZxid::OfTheRead,
        }
    }
}

/// What a watch is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Children,
}

/// What happened to a znode, and what an event says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Created,
    Data,
    Deleted,
    Children,
}

impl Change {
    fn of(word: &str) -> Option<Change> {
        Some(match word {
            "NodeCreated" => Change::Created,
            "NodeDataChanged" => Change::Data,
            "NodeDeleted" => Change::Deleted,
            "NodeChildrenChanged" => Change::Children,
            _ => return None,
        })
    }

    /// Whether it fires a watch of this kind: the end of a znode fires both.
    fn fires(self, kind: Kind) -> bool {
        match self {
            Change::Created | Change::Data => kind == Kind::Data,
            Change::Children => kind == Kind::Children,
            Change::Deleted => true,
        }
    }
}

/// Something that changed a znode, or may have.
#[derive(Debug, Clone, Copy)]
struct Cause {
    change: Change,
    /// Its place in the order of writes; none if nobody knows, or whether it was at all.
    zxid: Option<Zxid>,
    /// Whether it took place for certain.
    sure: bool,
    op: usize,
}

/// A watch that was, or may have been, registered.
#[derive(Debug, Clone, Copy)]
struct Registration {
    kind: Kind,
    /// Its view is at least as new as `low`, and shows nothing of the znode that is newer than `high`; none: indeterminate.
    low: Zxid,
    high: Option<Zxid>,
    /// Whether the znode was not there.
    absent: bool,
    op: usize,
}

#[derive(Debug, Clone, Copy)]
struct Event<'h> {
    line: u64,
    change: Change,
    zxid: Option<Zxid>,
    shown: EventRef<'h>,
}

/// What one session has to do with one znode.
#[derive(Debug, Default)]
struct Pair<'h> {
    registrations: Vec<Registration>,
    events: Vec<Event<'h>>,
}

/// A read's view of the tree.
#[derive(Debug, Clone, Copy)]
struct View {
    ret: u64,
    /// The newest view of all reads up to this line.
    zxid: Zxid,
    op: usize,
}

struct Scene<'a, 'h> {
    decoded: &'a Decoded<'h>,
    exact: bool,
    /// By znode; those without a zxid first, then in the order of their zxids.
    causes: FxHashMap<PathId, Vec<Cause>>,
    /// The zxids of all acknowledged writes.
    owned: FxHashSet<Zxid>,
    /// Indeterminate sequential creates: of their names only the beginning is known.
    nameless: Vec<(usize, &'h str)>,
    pairs: BTreeMap<(SessionId, PathId), Pair<'h>>,
    /// By session: reads that show more than all before them, in the order of their answers.
    views: FxHashMap<SessionId, Vec<View>>,
    /// By session: when the connection may have changed, from line to line.
    disturbed: FxHashMap<SessionId, Vec<(u64, u64)>>,
}

impl Checker for Watch {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let mut decoded = match decode(&operations) {
            Ok(decoded) => decoded,
            Err(text) => return Finding::unknown(NAME, text),
        };
        let events = match events(history, &mut decoded) {
            Ok(events) => events,
            Err(text) => return Finding::unknown(NAME, text),
        };
        let mut scene = Scene::of(&decoded, self.exact);
        let count = events.len();
        for (session, path, event) in &events {
            let pair = scene.pairs.entry((*session, *path)).or_default();
            pair.events.push(*event);
        }
        let mut breaches = Breaches::default();
        scene.judge_order(&events, &mut breaches);
        let (mut due, mut sure) = (0, 0);
        for ((session, path), pair) in &scene.pairs {
            let firm = |registration: &&Registration| registration.high.is_some();
            sure += pair.registrations.iter().filter(firm).count();
            scene.judge_events(*session, *path, pair, &mut breaches);
            due += scene.judge_due(*session, *path, pair, &mut breaches);
        }
        let nothing = (sure == 0 && count == 0).then(|| Reason {
            checker: NAME.to_owned(),
            text: "no watch was registered: nothing was tested".to_owned(),
        });
        Finding {
            verdict: Verdict::of(breaches.into_anomalies(NAME), nothing.into_iter().collect()),
            outside_contract: Vec::new(),
            details: json!({ "registrations": sure, "events": count, "due": due }),
        }
    }
}

type Told<'h> = (SessionId, PathId, Event<'h>);

fn events<'h>(history: &'h History, decoded: &mut Decoded<'h>) -> Result<Vec<Told<'h>>, String> {
    let mut events = Vec::new();
    for line in history.events() {
        if line.f() != "event" || !matches!(line.process(), Process::Named(_)) {
            continue;
        }
        let wrong = |what: &str| format!("the event at index {} {what}", line.index());
        let session = line
            .text("session")
            .ok_or_else(|| wrong("has no session"))?;
        let path = line
            .key()
            .ok_or_else(|| wrong("has no key: the path of the znode"))?;
        let change = line.text("event").and_then(Change::of).ok_or_else(|| {
            wrong("needs `event`: NodeCreated, NodeDataChanged, NodeDeleted or NodeChildrenChanged")
        })?;
        let event = Event {
            line: line.index(),
            change,
            zxid: line.int("zxid").filter(|zxid| *zxid > 0),
            shown: line,
        };
        events.push((
            decoded.session_named(session),
            decoded.paths.id(path),
            event,
        ));
    }
    Ok(events)
}

impl<'a, 'h> Scene<'a, 'h> {
    fn of(decoded: &'a Decoded<'h>, exact: bool) -> Scene<'a, 'h> {
        let mut scene = Scene {
            decoded,
            exact,
            causes: FxHashMap::default(),
            owned: FxHashSet::default(),
            nameless: Vec::new(),
            pairs: BTreeMap::new(),
            views: FxHashMap::default(),
            disturbed: FxHashMap::default(),
        };
        for (at, op) in decoded.ops.iter().enumerate() {
            let change_of_connection = op.operation.f() == "connect" || !op.operation.is_ok();
            if change_of_connection {
                let end = op.operation.completion().map_or(u64::MAX, EventRef::index);
                let disturbed = scene.disturbed.entry(op.session).or_default();
                disturbed.push((op.inv(), end));
            }
            match &op.call {
                Call::Write(write) => scene.take_write(at, op, write),
                Call::Read { path, look, .. } => scene.take_read(at, op, *path, *look),
                Call::Other => {}
            }
        }
        scene.take_ends();
        for views in scene.views.values_mut() {
            views.sort_by_key(|view| view.ret);
            let mut newest = Zxid::MIN;
            views.retain(|view| {
                let newer = view.zxid > newest;
                newest = newest.max(view.zxid);
                newer
            });
        }
        for causes in scene.causes.values_mut() {
            causes.sort_by_key(|cause| (cause.zxid, cause.op));
        }
        scene
    }

    fn take_write(&mut self, at: usize, op: &Op<'h>, write: &Write<'h>) {
        let sure = op.took_effect();
        if !sure && !op.may_take_effect() {
            return;
        }
        if sure {
            self.owned.extend(op.zxid);
        }
        for step in write.steps() {
            let (change, parent) = match step {
                Step::Create {
                    asked,
                    path,
                    parent,
                    ..
                } => {
                    if path.is_none() {
                        self.nameless.push((at, asked));
                    }
                    (Change::Created, *parent)
                }
                Step::Delete { path, .. } => (Change::Deleted, self.decoded.paths.parent(*path)),
                Step::Set { .. } => (Change::Data, None),
                Step::Check { .. } => continue,
            };
            self.add(step.path(), change, op.zxid.filter(|_| sure), sure, at);
            self.add(parent, Change::Children, op.zxid.filter(|_| sure), sure, at);
        }
    }

    fn add(
        &mut self,
        path: Option<PathId>,
        change: Change,
        zxid: Option<Zxid>,
        sure: bool,
        op: usize,
    ) {
        if let Some(path) = path {
            self.causes.entry(path).or_default().push(Cause {
                change,
                zxid,
                sure,
                op,
            });
        }
    }

    /// The end of a session takes its ephemeral znodes; for certain those that nobody can have deleted before.
    fn take_ends(&mut self) {
        let decoded = self.decoded;
        let mut closes: FxHashMap<SessionId, Vec<usize>> = FxHashMap::default();
        for (at, op) in decoded.ops.iter().enumerate() {
            let close = matches!(op.call, Call::Write(Write::Close));
            if close && (op.took_effect() || op.may_take_effect()) {
                closes.entry(op.session).or_default().push(at);
            }
        }
        for made in &decoded.ops {
            let (Call::Write(write), Some(ends)) = (&made.call, closes.get(&made.session)) else {
                continue;
            };
            for step in write.steps() {
                let Step::Create {
                    path: Some(path),
                    ephemeral: true,
                    ..
                } = step
                else {
                    continue;
                };
                let deleted = self
                    .causes
                    .get(path)
                    .into_iter()
                    .flatten()
                    .any(|cause| cause.change == Change::Deleted);
                for end in ends {
                    let close = &decoded.ops[*end];
                    let zxid = close.zxid.filter(|_| close.took_effect());
                    let sure = made.took_effect() && zxid.is_some() && !deleted;
                    self.add(Some(*path), Change::Deleted, zxid, sure, *end);
                    let parent = decoded.paths.parent(*path);
                    self.add(parent, Change::Children, zxid, sure, *end);
                }
            }
        }
    }

    fn take_read(&mut self, at: usize, op: &Op<'h>, path: PathId, look: Look) {
        let seen = match &op.outcome {
            Outcome::Done(answer) => answer.stat,
            _ => Default::default(),
        };
        let view = match self.exact {
            true => op.zxid.unwrap_or(0),
            false => seen.newest(),
        };
        if let Some(ret) = op.ret().filter(|_| op.operation.is_ok()) {
            let views = self.views.entry(op.session).or_default();
            views.push(View {
                ret,
                zxid: view,
                op: at,
            });
        }
        if !op.operation.asked().flag("watch") {
            return;
        }
        let (stands, absent) = match (&op.outcome, look) {
            (Outcome::Done(_), _) => (true, false),
            (Outcome::Refused(Code::NoNode, _), Look::Exists) => (true, true),
            (Outcome::Unknown, _) => (false, false),
            _ => return,
        };
        let kind = match look {
            Look::Children => Kind::Children,
            Look::Get | Look::Exists => Kind::Data,
        };
        // What is newer than this in the znode, the read did not show.
        let own = match (self.exact, kind) {
            (true, _) => None,
            (_, Kind::Data) => seen.mzxid,
            (_, Kind::Children) => seen.pzxid,
        };
        let high = own.or(op.zxid).unwrap_or(Zxid::MAX);
        let pair = self.pairs.entry((op.session, path)).or_default();
        pair.registrations.push(Registration {
            kind,
            low: view,
            high: stands.then_some(high),
            absent,
            op: at,
        });
    }

    /// Whether the session's connection may have changed between two lines.
    fn disturbed(&self, session: SessionId, from: u64, to: u64) -> bool {
        let disturbed = self.disturbed.get(&session).into_iter().flatten();
        disturbed
            .into_iter()
            .any(|(begin, end)| *begin < to && from < *end)
    }

    fn judge_order(&self, events: &[Told<'h>], breaches: &mut Breaches<'h>) {
        let mut last: FxHashMap<SessionId, (u64, Zxid)> = FxHashMap::default();
        for (session, path, event) in events {
            let Some(zxid) = event.zxid else { continue };
            if let Some((line, newer)) = last.get(session).filter(|(_, before)| *before > zxid)
                && !self.disturbed(*session, *line, event.line)
            {
                let text = format!(
                    "session {} was told of {} at zxid {zxid:#x} after an event of {newer:#x}",
                    self.session(*session),
                    self.decoded.paths.name(*path)
                );
                breaches.add_with("events-out-of-order", text, Vec::new(), shown(event));
            }
            last.insert(*session, (event.line, zxid));
        }
    }

    /// Every event has a watch that stood, and a change since that watch was registered.
    ///
    /// A watch that was registered, for all that the session knows, before an event of its kind was taken by that event.
    fn judge_events(
        &self,
        session: SessionId,
        path: PathId,
        pair: &Pair<'h>,
        breaches: &mut Breaches<'h>,
    ) {
        let mut later = pair.registrations.iter().peekable();
        let mut standing: Vec<&Registration> = Vec::new();
        for event in &pair.events {
            let begun =
                |registration: &&Registration| self.decoded.ops[registration.op].inv() < event.line;
            while let Some(registration) = later.next_if(|next| begun(next)) {
                standing.push(registration);
            }
            let candidates: Vec<&Registration> = standing
                .iter()
                .copied()
                .filter(|registration| event.change.fires(registration.kind))
                .filter(|registration| {
                    // What a server registers it answers before it fires.
                    let ret = self.decoded.ops[registration.op].ret();
                    ret.is_none_or(|ret| ret < event.line)
                })
                .collect();
            let about = || {
                format!(
                    "session {} was told {} of {}",
                    self.session(session),
                    event.shown.text("event").unwrap_or_default(),
                    self.decoded.paths.name(path)
                )
            };
            let registered = |all: &[Registration]| {
                let near = all.iter().rev().filter(begun).take(SHOWN);
                near.map(|one| self.decoded.ops[one.op].operation).collect()
            };
            match candidates.iter().map(|registration| registration.low).min() {
                None => {
                    let text = format!("{}, and no watch of that kind was left to fire", about());
                    let operations = registered(&pair.registrations);
                    breaches.add_with("unregistered-event", text, operations, shown(event));
                }
                Some(low) if !self.justified(session, path, event, low) => {
                    let text = format!(
                        "{}, and nothing can have made that change since {low:#x}",
                        about()
                    );
                    let operations = registered(&pair.registrations);
                    breaches.add_with("event-without-change", text, operations, shown(event));
                }
                Some(_) => {}
            }
            standing.retain(|registration| {
                let ret = self.decoded.ops[registration.op].ret();
                !event.change.fires(registration.kind) || ret.is_none_or(|ret| ret > event.line)
            });
        }
    }

    fn justified(&self, session: SessionId, path: PathId, event: &Event<'_>, low: Zxid) -> bool {
        let disturbed = self.disturbed(session, 0, event.line);
        let begun = |op: usize| self.decoded.ops[op].inv() < event.line;
        let told = |cause: &Cause| {
            begun(cause.op)
                && (cause.change == event.change
                    || (disturbed
                        && cause.change == Change::Created
                        && event.change != Change::Deleted))
        };
        // A zxid that an acknowledged write has is no indeterminate write's.
        let free = disturbed
            || event
                .zxid
                .is_none_or(|zxid| zxid > low && !self.owned.contains(&zxid));
        let causes = self.causes.get(&path).map_or(&[][..], Vec::as_slice);
        let known = causes.partition_point(|cause| cause.zxid.is_none());
        let newer = causes.partition_point(|cause| cause.zxid <= Some(low));
        if free && causes[..known].iter().any(told) {
            return true;
        }
        let own = |cause: &Cause| disturbed || event.zxid.is_none() || event.zxid == cause.zxid;
        if causes[newer.max(known)..]
            .iter()
            .any(|cause| own(cause) && told(cause))
        {
            return true;
        }
        let name = self.decoded.paths.name(path);
        free && event.change == Change::Created
            && (self.nameless.iter()).any(|(op, asked)| begun(*op) && name.starts_with(asked))
    }

    /// Every watch whose znode changed has fired before the session saw a tree with that change.
    fn judge_due(
        &self,
        session: SessionId,
        path: PathId,
        pair: &Pair<'h>,
        breaches: &mut Breaches<'h>,
    ) -> usize {
        let causes = self.causes.get(&path).map_or(&[][..], Vec::as_slice);
        let views = self.views.get(&session).map_or(&[][..], Vec::as_slice);
        let mut due = 0;
        for registration in &pair.registrations {
            let (Some(high), Some(registered)) =
                (registration.high, self.decoded.ops[registration.op].ret())
            else {
                continue;
            };
            let fires = |cause: &&Cause| {
                cause.sure
                    && cause.change.fires(registration.kind)
                    && cause.zxid.is_some_and(|zxid| zxid > high)
            };
            let newer = causes.partition_point(|cause| cause.zxid <= Some(high));
            let Some(cause) = causes[newer..].iter().find(fires) else {
                continue;
            };
            let changed = cause.zxid.unwrap_or(high);
            let shows = views.partition_point(|view| view.zxid < changed || view.ret <= registered);
            let Some(view) = views.get(shows) else {
                continue;
            };
            let begun = self.decoded.ops[registration.op].inv();
            let vanished = registration.absent
                && self.disturbed(session, begun, view.ret)
                && causes.iter().any(|cause| cause.change == Change::Deleted);
            if vanished {
                continue;
            }
            due += 1;
            let since = (pair.events).partition_point(|event| event.line <= registered);
            let fired = pair.events[since..].iter().find(|event| {
                event.change.fires(registration.kind)
                    && (event.zxid.is_none_or(|zxid| zxid > registration.low)
                        || self.disturbed(session, begun, event.line))
            });
            let about = format!(
                "session {} watched {}, which changed at zxid {changed:#x}, and saw the tree at {:#x}",
                self.session(session),
                self.decoded.paths.name(path),
                view.zxid
            );
            let places = [registration.op, cause.op, view.op];
            let operations = places.map(|place| self.decoded.ops[place].operation);
            match fired {
                Some(event) if event.line < view.ret => {}
                Some(event) => {
                    let text = format!("{about} before the event came");
                    breaches.add_with("data-before-event", text, operations.into(), shown(event));
                }
                None => {
                    let text = format!("{about}: no event came");
                    breaches.add("missed-event", text, operations.into());
                }
            }
        }
        due
    }

    fn session(&self, session: SessionId) -> &str {
        &self.decoded.sessions[session.0 as usize]
    }
}

fn shown(event: &Event<'_>) -> Map<String, Value> {
    let line = event.shown;
    let mut fields = Map::new();
    let told = json!({
        "index": line.index(), "key": line.key(), "event": line.text("event"), "zxid": event.zxid, "session": line.text("session"),
    });
    fields.insert("event".to_owned(), told);
    fields
}
