//! What one session asked to be told, what it saw, and what it was told.

use super::causes::Causes;
use super::link::Link;
use super::{Change, Kind};
use crate::history::{EventRef, History};
use crate::verdict::Misfit;
use crate::zookeeper::call::{Call, Code, Look, Op, Outcome, PathId, Zxid};
use crate::zookeeper::decode::Decoded;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// A watch that was, or may have been, registered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registration {
    pub(super) kind: Kind,
    /// What the session saw with it is at least as new as `low`, and shows nothing of the znode that is newer than `high`; none:
    /// nobody knows whether it was registered.
    pub(super) low: Zxid,
    pub(super) high: Option<Zxid>,
    /// Whether the znode was not there.
    pub(super) absent: bool,
    pub(super) inv: u64,
    pub(super) ret: Option<u64>,
    pub(super) end: End,
    pub(super) op: usize,
}

impl Registration {
    /// Whether it was answered before this line.
    pub(super) fn answered(&self, line: u64) -> bool {
        self.ret.is_some_and(|ret| ret < line)
    }
}

/// Up to where a watch stood for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stop {
    /// The line on which its removal was asked for.
    line: u64,
    /// It fired for all changes up to here, where that is known.
    zxid: Option<Zxid>,
}

/// When a watch was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    whole: Stop,
    /// Its half for creation and data.
    data: Stop,
    /// Its half for children.
    children: Stop,
    /// From this line on it is gone.
    pub(super) surely: u64,
}

impl End {
    /// Whether the watch was there when this change was applied, which is shown on a line.
    pub(super) fn is_after(&self, change: Change, zxid: Option<Zxid>, shown: u64) -> bool {
        let half = match change {
            Change::Created | Change::Data => &self.data,
            Change::Children => &self.children,
            Change::Deleted => &NO_STOP,
        };
        let after = |stop: &Stop| shown <= stop.line || (stop.zxid.is_some() && zxid <= stop.zxid);
        after(&self.whole) && after(half)
    }
}

const NO_STOP: Stop = Stop {
    line: u64::MAX,
    zxid: None,
};

const NEVER: End = End {
    whole: NO_STOP,
    data: NO_STOP,
    children: NO_STOP,
    surely: u64::MAX,
};

/// Which watches a removal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Only(Kind),
    All,
}

impl Which {
    fn of(word: &str) -> Option<Which> {
        Some(match word {
            "data" => Which::Only(Kind::Data),
            "children" => Which::Only(Kind::Children),
            "persistent" => Which::Only(Kind::Lasting),
            "persistent-recursive" => Which::Only(Kind::Below),
            "any" => Which::All,
            _ => return None,
        })
    }

    fn is_about(self, kind: Kind) -> bool {
        matches!(self, Which::All) || self == Which::Only(kind)
    }
}

#[derive(Debug, Clone, Copy)]
struct Removal {
    which: Which,
    inv: u64,
    ret: Option<u64>,
    zxid: Option<Zxid>,
}

/// What a session was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'h> {
    pub(super) line: u64,
    pub(super) path: PathId,
    pub(super) change: Change,
    pub(super) zxid: Option<Zxid>,
    pub(super) shown: EventRef<'h>,
}

/// What shows how far a session's server is.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) ret: u64,
    /// The newest view of all up to this line.
    pub(super) zxid: Zxid,
    /// The read; none: an event that was told, of the change after this zxid.
    pub(super) op: Option<usize>,
}

/// One session.
#[derive(Debug, Default)]
pub(super) struct Session<'h> {
    pub(super) registrations: BTreeMap<PathId, Vec<Registration>>,
    removals: FxHashMap<PathId, Vec<Removal>>,
    /// Answers that show more than all before them, in their order.
    pub(super) views: Vec<View>,
    /// All answers of reads with their zxids, in their order.
    pub(super) answers: Vec<(u64, Zxid, usize)>,
    pub(super) events: Vec<Event<'h>>,
    pub(super) link: Link,
    /// Whether it has recursive watches.
    pub(super) recursive: bool,
}

impl Session<'_> {
    /// The newest view before a line, if the connection is the same since.
    pub(super) fn floor(&self, line: u64) -> Option<Zxid> {
        let before = self.views.partition_point(|view| view.ret < line);
        let view = self.views[..before].last()?;
        (!self.link.changed(view.ret, line)).then_some(view.zxid)
    }

    fn end_of(&self, path: PathId, registration: &Registration) -> End {
        let removals = self.removals.get(&path).map_or(&[][..], Vec::as_slice);
        let mut end = NEVER;
        let kind = registration.kind;
        for removal in removals {
            let over = removal.ret.unwrap_or(u64::MAX);
            if over < registration.inv {
                continue;
            }
            // Up to ZooKeeper 3.9, the removal of watches of data, or of children, takes that half of the lasting ones too.
            let part = match (removal.which, kind) {
                (which, kind) if which.is_about(kind) => &mut end.whole,
                (Which::Only(Kind::Data), Kind::Below) => &mut end.whole,
                (Which::Only(Kind::Data), Kind::Lasting) => &mut end.data,
                (Which::Only(Kind::Children), Kind::Lasting) => &mut end.children,
                _ => continue,
            };
            let answered = registration.answered(removal.inv) && removal.ret.is_some();
            if *part == NO_STOP {
                *part = Stop {
                    line: removal.inv,
                    zxid: removal.zxid.filter(|_| answered),
                };
            }
            if answered && removal.which.is_about(kind) {
                end.surely = over;
                break;
            }
        }
        end
    }
}

/// All sessions, by number.
pub(super) fn sessions<'h>(
    history: &'h History,
    decoded: &mut Decoded<'h>,
    exact: bool,
) -> Result<Vec<Session<'h>>, Misfit> {
    let events = events(history, decoded)?;
    let mut all: Vec<Session<'h>> = Vec::new();
    all.resize_with(decoded.sessions.len(), Session::default);
    for (session, link) in all.iter_mut().zip(Link::of_all(decoded)) {
        session.link = link;
    }
    for (session, event) in events {
        all[session].events.push(event);
    }
    let named: Vec<Option<PathId>> = (decoded.ops.iter())
        .map(|op| op.operation.key().filter(|_| is_about_watches(op)))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|key| key.map(|key| decoded.paths.id(key)))
        .collect();
    for (at, op) in decoded.ops.iter().enumerate() {
        let session = &mut all[op.session.0 as usize];
        match (&op.call, named[at]) {
            (Call::Read { path, look, .. }, _) => session.take_read(at, op, *path, *look, exact),
            (_, Some(path)) => session.take_watch(at, op, path, exact)?,
            _ if is_about_watches(op) => {
                return Err(wrong(op, "has no key: the path of the znode"));
            }
            _ => {}
        }
    }
    for session in &mut all {
        session.finish();
    }
    Ok(all)
}

fn is_about_watches(op: &Op<'_>) -> bool {
    matches!(op.operation.f(), "add-watch" | "remove-watches")
}

fn wrong(op: &Op<'_>, what: &str) -> Misfit {
    Misfit::of(&op.operation, what)
}

impl<'h> Session<'h> {
    fn take_read(&mut self, at: usize, op: &Op<'h>, path: PathId, look: Look, exact: bool) {
        let seen = match &op.outcome {
            Outcome::Done(answer) => answer.stat,
            _ => Default::default(),
        };
        let view = match exact {
            true => op.zxid.unwrap_or(0),
            false => seen.newest(),
        };
        self.take_view(at, op, view);
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
        let own = match (exact, kind) {
            (false, Kind::Data) => seen.mzxid,
            (false, Kind::Children) => seen.pzxid,
            _ => None,
        };
        let high = own.or(op.zxid).unwrap_or(Zxid::MAX);
        self.register(path, kind, (view, stands.then_some(high)), absent, at, op);
    }

    fn take_view(&mut self, at: usize, op: &Op<'h>, zxid: Zxid) {
        if let Some(ret) = op.ret().filter(|_| op.operation.is_ok()) {
            self.views.push(View {
                ret,
                zxid,
                op: Some(at),
            });
            self.answers.extend(op.zxid.map(|zxid| (ret, zxid, at)));
        }
    }

    /// `add-watch` and `remove-watches`.
    fn take_watch(
        &mut self,
        at: usize,
        op: &Op<'h>,
        path: PathId,
        exact: bool,
    ) -> Result<(), Misfit> {
        if exact {
            self.take_view(at, op, op.zxid.unwrap_or(0));
        }
        let word = op.operation.argument().as_str();
        let done = matches!(op.outcome, Outcome::Done(_));
        if !done && !matches!(op.outcome, Outcome::Unknown) {
            return Ok(());
        }
        if op.operation.f() == "remove-watches" {
            let which = word.and_then(Which::of).ok_or_else(|| {
                wrong(op, "needs as its value what it removes: data, children, persistent, persistent-recursive or any")
            })?;
            self.removals.entry(path).or_default().push(Removal {
                which,
                inv: op.inv(),
                ret: op.ret().filter(|_| done),
                zxid: op.zxid.filter(|_| exact && done),
            });
            return Ok(());
        }
        let kind = match word {
            Some("persistent") => Kind::Lasting,
            Some("persistent-recursive") => Kind::Below,
            _ => {
                return Err(wrong(
                    op,
                    "needs as its value the kind of watch: persistent or persistent-recursive",
                ));
            }
        };
        self.recursive |= kind == Kind::Below;
        // Where the answer's zxid is not the watch's own, the watch may be older, but by no more than the session had seen.
        let low = match exact {
            true => op.zxid.unwrap_or(0),
            false => 0,
        };
        let high = op.zxid.unwrap_or(Zxid::MAX);
        self.register(path, kind, (low, done.then_some(high)), false, at, op);
        Ok(())
    }

    fn register(
        &mut self,
        path: PathId,
        kind: Kind,
        (low, high): (Zxid, Option<Zxid>),
        absent: bool,
        at: usize,
        op: &Op<'h>,
    ) {
        self.registrations
            .entry(path)
            .or_default()
            .push(Registration {
                kind,
                low,
                high,
                absent,
                inv: op.inv(),
                ret: op.ret().filter(|_| high.is_some()),
                end: NEVER,
                op: at,
            });
    }

    fn finish(&mut self) {
        newest_first_seen(&mut self.views);
        self.answers.sort_unstable();
        let mut registrations = std::mem::take(&mut self.registrations);
        for (path, of_path) in &mut registrations {
            for registration in of_path {
                registration.end = self.end_of(*path, registration);
            }
        }
        self.registrations = registrations;
    }
}

/// Keeps the views that show more than all before them, in the order of their lines.
pub(super) fn newest_first_seen(views: &mut Vec<View>) {
    views.sort_by_key(|view| (view.ret, view.zxid));
    let mut newest = Zxid::MIN;
    views.retain(|view| {
        let newer = view.zxid > newest;
        newest = newest.max(view.zxid);
        newer
    });
}

/// The znodes of all recursive watches.
pub(super) fn bases(sessions: &[Session<'_>]) -> FxHashSet<PathId> {
    let below = |(path, all): (&PathId, &Vec<Registration>)| {
        let recursive = all.iter().any(|one| one.kind == Kind::Below);
        recursive.then_some(*path)
    };
    let of = |session| {
        let session: &Session<'_> = session;
        session.registrations.iter().filter_map(below)
    };
    sessions.iter().flat_map(of).collect()
}

fn events<'h>(
    history: &'h History,
    decoded: &mut Decoded<'h>,
) -> Result<Vec<(usize, Event<'h>)>, Misfit> {
    let mut events = Vec::new();
    for line in history.events() {
        // One of a client would be an operation, and the tree has none of this name.
        if line.f() != "event" {
            continue;
        }
        let wrong = |what: &str| Misfit::at(line.index(), format!("event {what}"));
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
            path: decoded.paths.id(path),
            change,
            zxid: line.int("zxid").filter(|zxid| *zxid > 0),
            shown: line,
        };
        events.push((decoded.session_named(session).0 as usize, event));
    }
    Ok(events)
}

/// What all sessions' events and watches are judged against.
pub(super) struct Scene<'a, 'h> {
    pub(super) decoded: &'a Decoded<'h>,
    pub(super) causes: &'a Causes<'h>,
    pub(super) below: FxHashMap<PathId, Vec<super::causes::Place>>,
}
