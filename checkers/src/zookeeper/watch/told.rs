//! What a session was told: each event has a watch that stood and a change of its own, at its place among the answers.
//!
//! A change without a zxid of its own (an indeterminate write's) can be anywhere in the order of writes, but only once.

use super::causes::Cause;
use super::session::{Event, Registration, Scene, Session};
use super::{Change, SHOWN, shown};
use crate::breaches::Breaches;
use crate::history::Operation;
use crate::zookeeper::call::{PathId, Zxid};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// Which changes a session was told of.
#[derive(Debug, Default)]
pub(super) struct Told<'h> {
    /// For each event its change's zxid, where it is known, in the events' order.
    pub(super) zxids: Vec<Option<Zxid>>,
    /// Events that came too late, by line.
    pub(super) late: BTreeMap<u64, Late<'h>>,
}

/// An event that came too late.
#[derive(Debug)]
pub(super) struct Late<'h> {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) event: Event<'h>,
    pub(super) operations: Vec<Operation<'h>>,
}

/// The watches that may stand on one znode.
#[derive(Debug, Default)]
struct Standing<'s> {
    next: usize,
    now: Vec<&'s Registration>,
}

/// Which changes come into question for an event, and how many were told before.
#[derive(Debug, Default)]
struct Used {
    /// Sure changes before this place.
    sure: usize,
    indeterminate: usize,
}

/// Where the change that an event tells may be.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Newer than this.
    after: Zxid,
    /// Newer than this, for the session saw as much before.
    seen: Zxid,
    /// At least as new as this, for an event before told of it.
    told: Zxid,
    /// Not newer than this, for that would have taken the watch.
    upto: Zxid,
    /// Whether a change that was told already counts.
    again: bool,
}

/// An explanation of an event.
#[derive(Debug, Clone, Copy)]
enum Explained {
    Sure(usize),
    Indeterminate,
}

struct Judge<'j, 'h> {
    scene: &'j Scene<'j, 'h>,
    session: &'j Session<'h>,
    name: &'j str,
    standing: FxHashMap<PathId, Standing<'j>>,
    used: FxHashMap<(PathId, Change), Used>,
    told: Told<'h>,
    /// The last event's line, and the newest change that was certainly told.
    last: (u64, Zxid),
}

pub(super) fn judge<'h>(
    scene: &Scene<'_, 'h>,
    session: &Session<'h>,
    name: &str,
    breaches: &mut Breaches<'h>,
) -> Told<'h> {
    let mut judge = Judge {
        scene,
        session,
        name,
        standing: FxHashMap::default(),
        used: FxHashMap::default(),
        told: Told::default(),
        last: (0, Zxid::MIN),
    };
    for event in &session.events {
        let zxid = judge.take(event, breaches);
        judge.told.zxids.push(zxid);
    }
    judge.told
}

impl<'j, 'h> Judge<'j, 'h> {
    /// Judges the next event, and gives the zxid of its change, if it is known.
    fn take(&mut self, event: &Event<'h>, breaches: &mut Breaches<'h>) -> Option<Zxid> {
        let session = self.session;
        if session.link.changed(self.last.0, event.line) {
            self.last.1 = Zxid::MIN;
        }
        self.last.0 = event.line;
        let candidates = self.candidates(event);
        self.take_watches(event);
        if candidates.is_empty() {
            let text = format!(
                "{}, and no watch of that kind was left to fire",
                self.about(event)
            );
            self.breach("unregistered-event", text, event, breaches);
            return None;
        }
        if session.link.changed(event.line, event.line) {
            if !self.explained_loosely(event, &candidates) {
                self.without_change(event, &candidates, breaches);
            }
            return None;
        }
        let known = self.explain(event, &candidates, breaches)?;
        // The client asks its server, which has told it of that change already.
        let next = session
            .answers
            .partition_point(|(ret, ..)| *ret < event.line);
        if let Some((ret, zxid, op)) = session.answers.get(next)
            && *zxid < known
            && !session.link.changed(event.line, *ret)
        {
            let text = format!(
                "{} of {known:#x}, and was then answered as of {zxid:#x}",
                self.about(event)
            );
            let operations = vec![self.operation(*op)];
            breaches.add_with("stale-read-after-event", text, operations, shown(event));
        }
        Some(known)
    }

    /// Whether one of the watches may have told it, and which change that was; finds what is wrong otherwise.
    fn explain(
        &mut self,
        event: &Event<'h>,
        candidates: &[&Registration],
        breaches: &mut Breaches<'h>,
    ) -> Option<Zxid> {
        let seen = self.session.floor(event.line).unwrap_or(Zxid::MIN);
        let strict = |registration: &&Registration| Bounds {
            after: registration.low,
            seen,
            told: self.last.1,
            upto: self.limit(event, registration),
            again: false,
        };
        let bounds: Vec<Bounds> = candidates.iter().map(strict).collect();
        // The strictest first; what had to be given up says what is wrong.
        type Loosen = fn(&mut Bounds);
        let steps: [(&'static str, Loosen); 5] = [
            ("", |_| ()),
            ("missed-event", |bounds| bounds.upto = Zxid::MAX),
            ("events-out-of-order", |bounds| bounds.told = Zxid::MIN),
            ("data-before-event", |bounds| bounds.seen = Zxid::MIN),
            ("event-twice", |bounds| bounds.again = true),
        ];
        let mut loose = bounds;
        for (kind, loosen) in steps {
            loose.iter_mut().for_each(loosen);
            let found = loose.iter().filter_map(|bounds| self.cause(event, bounds));
            let Some(cause) = found.min_by_key(|cause| match cause {
                Explained::Sure(at) => (0, *at),
                Explained::Indeterminate => (1, 0),
            }) else {
                continue;
            };
            let zxid = self.note(event, cause);
            let told = zxid.map_or("a change".to_owned(), |zxid| {
                format!("the change at {zxid:#x}")
            });
            let text = match kind {
                "events-out-of-order" => format!(
                    "{}, {told}, after an event of {:#x}",
                    self.about(event),
                    self.last.1
                ),
                "data-before-event" => format!(
                    "{}, {told}, after it had seen the tree at {seen:#x}",
                    self.about(event)
                ),
                "event-twice" => format!(
                    "{}, and every change that can be meant had been told before",
                    self.about(event)
                ),
                // A watch that was due and did not fire is found where it was due.
                _ => {
                    self.last.1 = self.last.1.max(zxid.unwrap_or(Zxid::MIN));
                    return zxid;
                }
            };
            if kind == "event-twice" {
                self.breach(kind, text, event, breaches);
                return None;
            }
            let late = Late {
                kind,
                text,
                event: *event,
                operations: self.registered(event),
            };
            self.told.late.insert(event.line, late);
            return zxid;
        }
        self.without_change(event, candidates, breaches);
        None
    }

    /// The newest change of which the watch can tell: it fires for the first one.
    fn limit(&self, event: &Event<'_>, registration: &Registration) -> Zxid {
        let (Some(high), Some(ret)) = (registration.high, registration.ret) else {
            return Zxid::MAX;
        };
        if !registration.kind.is_once() || self.session.link.changed(ret, event.line) {
            return Zxid::MAX;
        }
        let causes = self.scene.causes.at(event.path);
        let first = super::first_after(causes, high, registration.kind);
        first.and_then(|at| causes[at].zxid).unwrap_or(Zxid::MAX)
    }

    /// A change that the event can tell of, within these bounds: the oldest one that is known.
    fn cause(&self, event: &Event<'_>, bounds: &Bounds) -> Option<Explained> {
        let causes = self.scene.causes.at(event.path);
        let fits = |cause: &Cause| cause.change == event.change && self.begun(cause.op, event);
        let none = Used::default();
        let used = match bounds.again {
            true => &none,
            false => self.used.get(&(event.path, event.change)).unwrap_or(&none),
        };
        let after = bounds.after.max(bounds.seen);
        let within = |zxid: Zxid| zxid > after && zxid >= bounds.told && zxid <= bounds.upto;
        let floor = causes.partition_point(|cause| {
            cause.zxid.is_none_or(|zxid| {
                let elsewhere = event.zxid.is_some_and(|told| zxid < told);
                zxid <= after || zxid < bounds.told || elsewhere
            })
        });
        let sure = causes[floor.max(used.sure).min(causes.len())..]
            .iter()
            .take_while(|cause| {
                cause
                    .zxid
                    .is_some_and(|zxid| zxid <= bounds.upto.min(event.zxid.unwrap_or(Zxid::MAX)))
            })
            .position(|cause| fits(cause) && (event.zxid.is_none() || event.zxid == cause.zxid));
        if let Some(at) = sure {
            return Some(Explained::Sure(floor.max(used.sure) + at));
        }
        let free = event
            .zxid
            .is_none_or(|zxid| within(zxid) && self.scene.causes.is_free(zxid));
        if !free {
            return None;
        }
        let unknown = causes.partition_point(|cause| cause.zxid.is_none());
        let oldest = after.max(bounds.told.saturating_sub(1));
        let possible = causes[..unknown].iter().filter(|cause| {
            let oldest = oldest.max(cause.after);
            let room = match event.zxid {
                Some(zxid) => zxid > oldest,
                None => self.scene.causes.has_room(oldest, bounds.upto),
            };
            fits(cause) && room
        });
        let possible = possible.count();
        let left = possible > used.indeterminate || self.may_be_nameless(event);
        left.then_some(Explained::Indeterminate)
    }

    /// Writes down that the change was told; gives its zxid where no other can be meant.
    fn note(&mut self, event: &Event<'_>, cause: Explained) -> Option<Zxid> {
        let causes = self.scene.causes.at(event.path);
        let used = self.used.entry((event.path, event.change)).or_default();
        match cause {
            Explained::Indeterminate => {
                used.indeterminate += 1;
                event.zxid
            }
            Explained::Sure(at) => {
                used.sure = used.sure.max(at + 1);
                let other =
                    |cause: &Cause| cause.change == event.change && self.begun(cause.op, event);
                let unknown = causes.partition_point(|cause| cause.zxid.is_none());
                let unsure = event.zxid.is_none()
                    && (causes[..unknown].iter().any(other) || self.may_be_nameless(event));
                causes[at].zxid.filter(|_| !unsure)
            }
        }
    }

    /// Around a change of the connection one event may stand for several changes: a znode made anew tells of changed data, and
    /// nobody knows in which order.
    fn explained_loosely(&self, event: &Event<'_>, candidates: &[&Registration]) -> bool {
        let low = candidates
            .iter()
            .map(|one| one.low)
            .min()
            .unwrap_or(Zxid::MAX);
        let fits = |cause: &Cause| {
            let coalesced = cause.change == Change::Created && event.change != Change::Deleted;
            self.begun(cause.op, event) && (cause.change == event.change || coalesced)
        };
        let causes = self.scene.causes.at(event.path);
        let newer = |cause: &Cause| cause.zxid.is_none_or(|zxid| zxid > low);
        causes.iter().any(|cause| newer(cause) && fits(cause)) || self.may_be_nameless(event)
    }

    fn begun(&self, op: usize, event: &Event<'_>) -> bool {
        self.scene.decoded.ops[op].inv() < event.line
    }

    fn may_be_nameless(&self, event: &Event<'_>) -> bool {
        let name = self.scene.decoded.paths.name(event.path);
        let begun = |op| self.begun(op, event);
        event.change == Change::Created && self.scene.causes.may_be_nameless(name, begun)
    }

    /// The watches that can have told it.
    fn candidates(&mut self, event: &Event<'_>) -> Vec<&'j Registration> {
        let mut candidates = Vec::new();
        let mut path = Some(event.path);
        while let Some(at) = path {
            let standing = self.standing_at(at, event.line);
            let own = at == event.path;
            // What a server registers it answers before it fires.
            let tells = |one: &&&Registration| {
                (own || one.kind == super::Kind::Below)
                    && event.change.fires(one.kind)
                    && one.ret.is_none_or(|ret| ret < event.line)
            };
            candidates.extend(standing.now.iter().filter(tells).copied());
            path = match self.session.recursive {
                true => self.scene.decoded.paths.parent(at),
                false => None,
            };
        }
        candidates
    }

    fn standing_at(&mut self, path: PathId, line: u64) -> &mut Standing<'j> {
        let all = self
            .session
            .registrations
            .get(&path)
            .map_or(&[][..], Vec::as_slice);
        let standing = self.standing.entry(path).or_default();
        while let Some(new) = all.get(standing.next).filter(|new| new.inv < line) {
            standing.next += 1;
            // A second one that lasts no longer changes nothing.
            let covered = |old: &&Registration| {
                !old.kind.is_once()
                    && old.kind == new.kind
                    && old.answered(new.inv)
                    && old.end.surely >= new.end.surely
            };
            if !standing.now.iter().any(covered) {
                standing.now.push(new);
            }
        }
        standing.now.retain(|one| one.end.surely >= line);
        standing
    }

    /// The event takes the watches that fire once.
    fn take_watches(&mut self, event: &Event<'_>) {
        let standing = self.standing_at(event.path, event.line);
        standing.now.retain(|one| {
            !(one.kind.is_once() && event.change.fires(one.kind) && one.answered(event.line))
        });
    }

    fn without_change(
        &self,
        event: &Event<'h>,
        candidates: &[&Registration],
        breaches: &mut Breaches<'h>,
    ) {
        let low = candidates.iter().map(|one| one.low).min().unwrap_or(0);
        let text = format!(
            "{}, and nothing can have made that change since {low:#x}",
            self.about(event)
        );
        self.breach("event-without-change", text, event, breaches);
    }

    fn breach(
        &self,
        kind: &'static str,
        text: String,
        event: &Event<'h>,
        breaches: &mut Breaches<'h>,
    ) {
        breaches.add_with(kind, text, self.registered(event), shown(event));
    }

    /// The latest registrations that come into question for an event.
    fn registered(&self, event: &Event<'_>) -> Vec<Operation<'h>> {
        let mut operations = Vec::new();
        let mut path = Some(event.path);
        while let Some(at) = path {
            let own = at == event.path;
            let all = self
                .session
                .registrations
                .get(&at)
                .map_or(&[][..], Vec::as_slice);
            let near = all
                .iter()
                .rev()
                .filter(|one| one.inv < event.line && (own || one.kind == super::Kind::Below));
            operations.extend(near.take(SHOWN).map(|one| self.operation(one.op)));
            path = self
                .scene
                .decoded
                .paths
                .parent(at)
                .filter(|_| self.session.recursive);
        }
        operations
    }

    fn operation(&self, op: usize) -> Operation<'h> {
        self.scene.decoded.ops[op].operation
    }

    fn about(&self, event: &Event<'_>) -> String {
        format!(
            "session {} was told {} of {}",
            self.name,
            event.shown.text("event").unwrap_or_default(),
            self.scene.decoded.paths.name(event.path)
        )
    }
}
