//! What a session had to be told: each watch whose znode changed has fired before the session saw a tree with that change.

use super::causes::{Cause, Place};
use super::session::{Event, Registration, Scene, Session, View, newest_first_seen};
use super::told::Told;
use super::{Change, Kind, first_after, shown};
use crate::breaches::Breaches;
use crate::zookeeper::call::{PathId, Zxid};
use rustc_hash::FxHashMap;

/// By znode and change, how many events older changes have taken.
type Taken = FxHashMap<(PathId, Change), usize>;

/// From where on a watch that lasts must tell of changes.
struct Stands {
    /// Of those that are newer than this.
    zxid: Zxid,
    /// To those who see them after this line.
    line: u64,
    /// The line after which it may have stood: what is newer than the zxid may have been told before the answer that has it was
    /// received.
    may_be_told: u64,
}

struct Judge<'j, 'h, 'b> {
    scene: &'j Scene<'j, 'h>,
    session: &'j Session<'h>,
    name: &'j str,
    told: &'j mut Told<'h>,
    /// What shows how far the session's server was: its answers, and the events themselves.
    views: Vec<View>,
    /// The session's events by znode, by place.
    events: FxHashMap<PathId, Vec<usize>>,
    breaches: &'b mut Breaches<'h>,
    due: usize,
}

/// Judges one session; gives how many events were due.
pub(super) fn judge<'h>(
    scene: &Scene<'_, 'h>,
    session: &Session<'h>,
    name: &str,
    told: &mut Told<'h>,
    breaches: &mut Breaches<'h>,
) -> usize {
    let mut views = session.views.clone();
    let mut events: FxHashMap<PathId, Vec<usize>> = FxHashMap::default();
    for (at, (event, zxid)) in session.events.iter().zip(&told.zxids).enumerate() {
        events.entry(event.path).or_default().push(at);
        // Events come in the order of their changes: those of all older ones have come before.
        views.extend(zxid.map(|zxid| View {
            ret: event.line,
            zxid: zxid - 1,
            op: None,
        }));
    }
    newest_first_seen(&mut views);
    let mut judge = Judge {
        scene,
        session,
        name,
        told,
        views,
        events,
        breaches,
        due: 0,
    };
    for (path, registrations) in &session.registrations {
        for registration in registrations.iter().filter(|one| one.kind.is_once()) {
            judge.once(*path, registration);
        }
        for kind in [Kind::Lasting, Kind::Below] {
            judge.all_lasting(*path, kind, registrations);
        }
    }
    let due = judge.due;
    for late in std::mem::take(&mut told.late).into_values() {
        breaches.add_with(late.kind, late.text, late.operations, shown(&late.event));
    }
    due
}

impl<'h> Judge<'_, 'h, '_> {
    /// The first view that shows this change after a line.
    fn view(&self, changed: Zxid, line: u64) -> Option<View> {
        let shows = self
            .views
            .partition_point(|view| view.zxid < changed || view.ret <= line);
        self.views.get(shows).copied()
    }

    fn once(&mut self, path: PathId, registration: &Registration) {
        let (Some(high), Some(registered)) = (registration.high, registration.ret) else {
            return;
        };
        let causes = self.scene.causes.at(path);
        let Some(at) = first_after(causes, high, registration.kind) else {
            return;
        };
        let changed = causes[at].zxid.unwrap_or(high);
        let Some(view) = self.view(changed, registered) else {
            return;
        };
        let end = &registration.end;
        if !end.is_after(causes[at].change, causes[at].zxid, view.ret) {
            return;
        }
        let link = &self.session.link;
        let vanished = registration.absent
            && link.changed(registration.inv, view.ret)
            && causes.iter().any(|cause| cause.change == Change::Deleted);
        if vanished {
            return;
        }
        self.due += 1;
        let events = self.events.get(&path).map_or(&[][..], Vec::as_slice);
        let since = events.partition_point(|at| self.session.events[*at].line <= registered);
        let taken = events[since..]
            .iter()
            .find(|at| self.session.events[**at].change.fires(registration.kind));
        // The first event takes the watch: it is its own only if it tells of this change, or of one before.
        let own = taken.filter(|at| {
            // An event that does not tell its zxid may be of any change from there on.
            let tells = self.session.events[**at].zxid.is_some();
            let told = self.told.zxids[**at]
                .is_none_or(|zxid| zxid <= changed && (!tells || zxid > registration.low));
            told || link.changed(registered, self.session.events[**at].line)
        });
        let line = own.map(|at| self.session.events[*at].line);
        self.due_by(registration, (path, at), &view, line);
    }

    /// Watches that last, of one znode and kind.
    fn all_lasting(&mut self, path: PathId, kind: Kind, registrations: &[Registration]) {
        let mut judged: Option<&Registration> = None;
        for registration in registrations
            .iter()
            .filter(|one| one.kind == kind && one.high.is_some())
        {
            // A second registration that ends with the first adds nothing.
            if judged.is_some_and(|before| before.end == registration.end) {
                continue;
            }
            judged = Some(registration);
            match kind {
                Kind::Below => {
                    let places = self.scene.below.get(&path).map_or(&[][..], Vec::as_slice);
                    self.lasting(registration, places);
                }
                _ => {
                    let causes = self.scene.causes.at(path);
                    let places: Vec<Place> = (0..causes.len())
                        .filter(|at| causes[*at].sure && causes[*at].zxid.is_some())
                        .map(|at| (path, at))
                        .collect();
                    self.lasting(registration, &places);
                }
            }
        }
    }

    /// A watch that lasts tells of every change, but for those that came while the connection changed.
    fn lasting(&mut self, registration: &Registration, places: &[Place]) {
        let (Some(high), Some(ret)) = (registration.high, registration.ret) else {
            return;
        };
        let mut stands = Stands {
            zxid: high,
            line: ret,
            may_be_told: ret,
        };
        let mut taken = Taken::default();
        let first = places.partition_point(|place| self.cause(*place).zxid <= Some(high));
        for place in &places[first..] {
            let cause = self.cause(*place);
            let Some(view) = self.view_of_lasting(cause.zxid.unwrap_or(high), &mut stands) else {
                continue;
            };
            if (registration.end).is_after(cause.change, cause.zxid, view.ret) {
                self.due += 1;
                let line = self.line(*place, stands.may_be_told, &mut taken);
                self.due_by(registration, *place, &view, line);
            }
        }
    }

    /// The first view that shows a change after the zxid and line from which on the watch stands on one connection. Nothing is
    /// told again after reconnecting: it stands again from the first answer on.
    fn view_of_lasting(&self, changed: Zxid, stands: &mut Stands) -> Option<View> {
        let link = &self.session.link;
        loop {
            let view = self
                .view(changed, stands.line)
                .filter(|_| changed > stands.zxid)?;
            if !link.changed(stands.line, view.ret) {
                return Some(view);
            }
            let change = link.next(stands.line)?;
            *stands = Stands {
                zxid: stands.zxid.max(change.zxid.unwrap_or(Zxid::MAX)),
                line: change.end,
                may_be_told: change.begin,
            };
        }
    }

    /// The line on which the session was told of a change: by its zxid, or else by the first event after `since` that no older
    /// change needs.
    fn line(&self, place: Place, since: u64, taken: &mut Taken) -> Option<u64> {
        let cause = self.cause(place);
        let events = self.events.get(&place.0).map_or(&[][..], Vec::as_slice);
        let begun = self.scene.decoded.ops[cause.op].inv();
        let start = events.partition_point(|at| self.session.events[*at].line <= begun);
        let next = taken.entry((place.0, cause.change)).or_default();
        let from = start.max(*next);
        let means = |event: &Event<'_>| {
            let own = match event.zxid {
                Some(_) => event.zxid == cause.zxid,
                None => event.line > since,
            };
            event.change == cause.change && own
        };
        let own = (events.get(from..)?.iter()).position(|at| means(&self.session.events[*at]))?;
        *next = from + own + 1;
        Some(self.session.events[events[from + own]].line)
    }

    /// An event was due by a view, and came on this line, or never.
    fn due_by(
        &mut self,
        registration: &Registration,
        place: Place,
        view: &View,
        line: Option<u64>,
    ) {
        if line.is_some_and(|line| line < view.ret) {
            return;
        }
        // What came after an event of a newer change is out of order; what came after a read is told of here.
        if let Some(late) = line.and_then(|line| self.told.late.get(&line)) {
            if view.op.is_none() && late.kind == "events-out-of-order" {
                return;
            }
            let line = late.event.line;
            self.told.late.remove(&line);
        }
        let (cause, path) = (self.cause(place), place.0);
        let changed = cause.zxid.unwrap_or_default();
        let showed = match view.op {
            Some(_) => format!("saw the tree at {:#x}", view.zxid),
            None => format!("was told of a change at {:#x}", view.zxid + 1),
        };
        let about = format!(
            "session {} watched {}, which changed at zxid {changed:#x}, and {showed}",
            self.name,
            self.scene.decoded.paths.name(path),
        );
        let places = [Some(registration.op), Some(cause.op), view.op];
        let operations = places
            .into_iter()
            .flatten()
            .map(|op| self.scene.decoded.ops[op].operation)
            .collect();
        let event = line.and_then(|line| {
            let at = (self.session.events).binary_search_by_key(&line, |event| event.line);
            at.ok().map(|at| &self.session.events[at])
        });
        match event {
            Some(event) => {
                let text = format!("{about} before the event came");
                self.breaches
                    .add_with("data-before-event", text, operations, shown(event));
            }
            None => {
                let came = self.that_does_not_count(registration, place);
                let came = came.unwrap_or_else(|| "no event came".to_owned());
                self.breaches
                    .add("missed-event", format!("{about}: {came}"), operations);
            }
        }
    }

    /// An event that tells of the change, and yet is not the one that was due, in words.
    fn that_does_not_count(&self, registration: &Registration, place: Place) -> Option<String> {
        let cause = self.cause(place);
        let tells = |event: &&Event<'_>| {
            event.path == place.0 && event.change == cause.change && event.zxid == cause.zxid
        };
        let mut events = self.session.events.iter();
        let event = events.find(|event| cause.zxid.is_some() && tells(event))?;
        let why = match registration.ret {
            Some(ret) if event.line > ret => "after one of a newer change",
            _ => "before the watch was registered",
        };
        Some(format!(
            "the event of it on line {} came {why}, and no other",
            event.line + 1
        ))
    }

    fn cause(&self, place: Place) -> Cause {
        self.scene.causes.at(place.0)[place.1]
    }
}
