//! Watches: an event for each that was due, before the data that it announces, and none that was not.

mod causes;
mod due;
mod link;
mod session;
mod told;

use super::call::Zxid;
use super::decode::decoded;
use crate::breaches::Breaches;
use crate::contract::{self, ReplyZxid};
use crate::history::History;
use crate::parameters::Parameters;
use crate::verdict::{Budget, Checker, Finding, Reason, Verdict};
use causes::{Cause, Causes};
use serde_json::{Map, Value, json};
use session::{Event, Scene};

const NAME: &str = "watch";

/// A witness names so many of the latest registrations.
const SHOWN: usize = 4;

/// The checker `watch`.
///
/// Watches: an event for each that was due, before the data that it announces, and none that was not.
///
/// A registration of a one-shot watch is a read with `watch: true` on its invocation: `get` and `exists` leave a watch of the
/// znode's data (`exists` also of a znode that is not there, and then it is `ok` with `error: NoNode`), `children` one of its
/// children. `add-watch` registers one that lasts, and has as its value `persistent` (every event of the znode) or
/// `persistent-recursive` (creation, data and end of the znode and of all below it). `remove-watches` has as its value which of
/// the key's watches go: `data`, `children`, `persistent`, `persistent-recursive` or `any`. An event is
/// one line of a named process, of type `info` (or `ok`); it is no operation and has no invocation:
///
/// ```text
/// {"process":4,"type":"invoke","f":"get","key":"/a","value":null,"watch":true}
/// {"process":4,"type":"ok","f":"get","key":"/a","value":7,"mzxid":12,"zxid":14,"session":"0x1"}
/// {"process":"watcher","type":"info","f":"event","key":"/a","value":null,"event":"NodeDataChanged","zxid":15,"session":"0x1"}
/// {"process":4,"type":"invoke","f":"add-watch","key":"/b","value":"persistent-recursive"}
/// {"process":4,"type":"ok","f":"add-watch","key":"/b","value":"persistent-recursive","zxid":15,"session":"0x1"}
/// ```
///
/// `event` is `NodeCreated`, `NodeDataChanged`, `NodeDeleted` or `NodeChildrenChanged`; `zxid` is the change's, absent or -1 where
/// the server does not tell (ZooKeeper tells since 3.9). Everything else is an [operation on the tree](super). Events and answers
/// of a session must stand in the order in which they came over its connection, and the client must set its watches again when it
/// reconnects, before it asks anything else.
///
/// It proves, for each session:
/// - `missed-event`: a watch was registered, an acknowledged write then changed the znode, a later read of the session shows a
///   tree with that change (or a later event tells of a newer one), and no event of it came;
/// - `data-before-event`: as before, and the event came after that;
/// - `unregistered-event`: no watch of that kind stood: none was registered, it was removed, or an event took it that came after
///   its registration was answered, so that a one-shot watch fired twice; registrations of one watch may share an event;
/// - `event-without-change`: no write since the registration can have made the change that the event tells;
/// - `event-twice`: every change that the event can mean was told before: on one connection a change is told once of each znode,
///   however many watches it meets;
/// - `events-out-of-order`: on one connection an event is older than one before it;
/// - `stale-read-after-event`: on one connection, what was told was not yet there in the next answer.
///
/// A read shows the tree at its reply's zxid where the contract has that, else at least at the newest zxid of its Stat. An
/// indeterminate registration may stand, so its event may come and need not; an indeterminate removal likewise. Changes between
/// an event and the next registration are rightly unseen. Around an indeterminate or failed operation and `connect`, until the
/// first answer to what was asked after it, the connection may have been
/// another one: a created znode that is gone again may then have no event, a znode made anew tells of changed data or
/// children, a watch that lasts is told nothing of what it missed, and neither zxids nor order are held against an event.
///
/// It cannot judge what `remove-watches` answers, and takes no event as due for what only an indeterminate write or an expiry can
/// have done. Watches of different kinds on one znode stand beside each other; before 3.9 ZooKeeper let the newer take the older
/// one's place (ZOOKEEPER-4466), which is found as a missed event.
///
/// Details: `{"registrations", "events", "due"}`: watches that were registered for certain, events, and events that had to come.
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

/// What a watch is of, and whether it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Once, of data and existence.
    Data,
    /// Once, of children and the end.
    Children,
    /// Persistent: of all of that.
    Lasting,
    /// Persistent and recursive: of data and existence of the znode and of all below it.
    Below,
}

impl Kind {
    fn is_once(self) -> bool {
        matches!(self, Kind::Data | Kind::Children)
    }
}

/// What happened to a znode, and what an event says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

    /// Whether it fires a watch of this kind: the end of a znode fires all.
    fn fires(self, kind: Kind) -> bool {
        match self {
            Change::Created | Change::Data => kind != Kind::Children,
            Change::Children => matches!(kind, Kind::Children | Kind::Lasting),
            Change::Deleted => true,
        }
    }
}

/// The first change after `high` that fires a watch of this kind for certain, by its place.
fn first_after(causes: &[Cause], high: Zxid, kind: Kind) -> Option<usize> {
    let newer = causes.partition_point(|cause| cause.zxid <= Some(high));
    let fires = |cause: &Cause| cause.sure && cause.change.fires(kind);
    causes[newer..].iter().position(fires).map(|at| newer + at)
}

impl Checker for Watch {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let mut decoded = match decoded(history, NAME) {
            Ok(decoded) => decoded,
            Err(finding) => return *finding,
        };
        let sessions = match session::sessions(history, &mut decoded, self.exact) {
            Ok(sessions) => sessions,
            Err(misfit) => return Finding::misfit(NAME, misfit),
        };
        let causes = Causes::of(&decoded);
        let scene = Scene {
            below: causes.below(&decoded, &session::bases(&sessions)),
            decoded: &decoded,
            causes: &causes,
        };
        let mut breaches = Breaches::default();
        let (mut due, mut sure, mut events) = (0, 0, 0);
        for (session, name) in sessions.iter().zip(&decoded.sessions) {
            let mut told = told::judge(&scene, session, name, &mut breaches);
            due += due::judge(&scene, session, name, &mut told, &mut breaches);
            events += session.events.len();
            let registrations = session.registrations.values().flatten();
            sure += registrations.filter(|one| one.high.is_some()).count();
        }
        let nothing = (sure == 0 && events == 0).then(|| Reason {
            checker: NAME.to_owned(),
            text: "no watch was registered: nothing was tested".to_owned(),
        });
        Finding {
            verdict: Verdict::of(breaches.into_anomalies(NAME), nothing.into_iter().collect()),
            outside_contract: Vec::new(),
            details: json!({ "registrations": sure, "events": events, "due": due }),
        }
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
