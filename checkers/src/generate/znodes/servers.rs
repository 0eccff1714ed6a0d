//! Servers that apply the writes one after the other, each at its own pace, and tell watchers of them.

use super::tree::{Code, Made, News, Part, Path, Tree, Txn};
use crate::generate::dice::Dice;
use crate::generate::line::Text;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many servers answer.
pub(super) const SERVERS: usize = 3;
/// How far a server may lag behind, in writes.
const LAG: u64 = 64;

/// What a watch is of, and whether it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watch {
    Data,
    Children,
    Persistent,
    Recursive,
}

impl Watch {
    fn is_told(self, news: News) -> bool {
        match news {
            News::Deleted => true,
            News::Created | News::Data => self != Watch::Children,
            News::Children => matches!(self, Watch::Children | Watch::Persistent),
        }
    }

    fn is_once(self) -> bool {
        matches!(self, Watch::Data | Watch::Children)
    }
}

/// One server: the tree up to a place of the log, and the watches of the sessions that are connected to it.
#[derive(Debug, Default)]
struct Server {
    tree: Tree,
    zxid: i64,
    /// How many writes it has applied.
    applied: u64,
    watches: BTreeMap<(Path, u64), BTreeSet<Watch>>,
    /// By session: the znodes that it watches.
    watched: BTreeMap<u64, BTreeSet<Path>>,
}

/// The leader's tree, the log, and the servers behind it.
#[derive(Debug)]
pub(super) struct Ensemble {
    pub(super) newest: Tree,
    pub(super) zxid: i64,
    log: VecDeque<Txn>,
    /// How many writes came before those of the log that are kept.
    gone: u64,
    servers: [Server; SERVERS],
    /// Events on their way, in their order.
    told: VecDeque<String>,
    zxids: bool,
}

impl Ensemble {
    /// `zxids`: whether events say which change they tell of.
    pub(super) fn new(zxids: bool) -> Ensemble {
        Ensemble {
            newest: Tree::default(),
            zxid: 1 << 32,
            log: VecDeque::new(),
            gone: 0,
            servers: Default::default(),
            told: VecDeque::new(),
            zxids,
        }
    }

    pub(super) fn told(&mut self) -> Option<String> {
        self.told.pop_front()
    }

    /// Does a write, or refuses it: either takes a zxid.
    pub(super) fn write(
        &mut self,
        parts: &[Part],
        session: u64,
    ) -> Result<Vec<Made>, (usize, Code)> {
        self.zxid += 1;
        let (result, txn) = match self.newest.write(parts, session, self.zxid) {
            Ok((made, txn)) => (Ok(made), txn),
            Err(refused) => (
                Err(refused),
                Txn {
                    zxid: self.zxid,
                    ..Txn::default()
                },
            ),
        };
        self.append(txn);
        result
    }

    pub(super) fn close(&mut self, session: u64) {
        self.zxid += 1;
        let txn = self.newest.close(session, self.zxid);
        self.append(txn);
    }

    fn append(&mut self, txn: Txn) {
        self.log.push_back(txn);
        let end = self.gone + self.log.len() as u64;
        for server in 0..SERVERS {
            self.apply(server, end.saturating_sub(LAG));
        }
        let all = self
            .servers
            .iter()
            .map(|server| server.applied)
            .min()
            .unwrap_or(end);
        self.log.drain(..(all - self.gone) as usize);
        self.gone = all;
    }

    /// A server applies what comes before this place of the log.
    fn apply(&mut self, at: usize, place: u64) {
        while self.servers[at].applied < place {
            let server = &mut self.servers[at];
            let txn = &self.log[(server.applied - self.gone) as usize];
            server.tree.apply(txn);
            server.zxid = txn.zxid;
            server.applied += 1;
            for (path, news) in &txn.news {
                let zxid = self.zxids.then_some(txn.zxid);
                server.tell(*path, *news, zxid, &mut self.told);
            }
        }
    }

    /// A server applies some more of what it has not applied yet, or all of it.
    pub(super) fn advance(&mut self, at: usize, all: bool, dice: &mut Dice) {
        let end = self.gone + self.log.len() as u64;
        let left = end - self.servers[at].applied;
        let some = match all {
            true => left,
            false => dice.below(left as usize + 1) as u64,
        };
        self.apply(at, self.servers[at].applied + some);
    }

    /// A server applies all up to this zxid: it is about to answer the write that has it.
    pub(super) fn catch_up(&mut self, at: usize, zxid: i64) {
        let place = self.log.partition_point(|txn| txn.zxid <= zxid) as u64;
        self.apply(at, self.gone + place);
    }

    /// What a server shows now.
    pub(super) fn seen(&self, at: usize) -> (&Tree, i64) {
        (&self.servers[at].tree, self.servers[at].zxid.max(1 << 32))
    }

    pub(super) fn watch(&mut self, at: usize, path: Path, session: u64, watch: Watch) {
        let server = &mut self.servers[at];
        server
            .watches
            .entry((path, session))
            .or_default()
            .insert(watch);
        server.watched.entry(session).or_default().insert(path);
    }

    /// Takes away this watch of a znode, or all of them.
    pub(super) fn unwatch(&mut self, at: usize, path: Path, session: u64, watch: Option<Watch>) {
        let Some(watches) = self.servers[at].watches.get_mut(&(path, session)) else {
            return;
        };
        match watch {
            Some(watch) => drop(watches.remove(&watch)),
            None => watches.clear(),
        }
    }

    /// Which watches of a znode a session has.
    pub(super) fn watches(
        &self,
        at: usize,
        path: Path,
        session: u64,
    ) -> impl Iterator<Item = Watch> {
        let watches = self.servers[at].watches.get(&(path, session));
        watches.into_iter().flatten().copied()
    }

    /// A session's connection is gone, and its watches with it.
    pub(super) fn disconnect(&mut self, at: usize, session: u64) {
        let server = &mut self.servers[at];
        for path in server.watched.remove(&session).unwrap_or_default() {
            server.watches.remove(&(path, session));
        }
    }
}

impl Server {
    /// Each session that watches it is told once.
    fn tell(&mut self, path: Path, news: News, zxid: Option<i64>, told: &mut VecDeque<String>) {
        let mut sessions = BTreeSet::new();
        for ((_, session), watches) in self.watches.range_mut((path, 0)..=(path, u64::MAX)) {
            if watches.iter().any(|watch| watch.is_told(news)) {
                sessions.insert(*session);
            }
            watches.retain(|watch| !(watch.is_once() && watch.is_told(news)));
        }
        if let Some(parent) = path.parent() {
            let above = self.watches.range((parent, 0)..=(parent, u64::MAX));
            let recursive = above.filter(|(_, watches)| {
                watches.contains(&Watch::Recursive) && Watch::Recursive.is_told(news)
            });
            sessions.extend(recursive.map(|((_, session), _)| *session));
        }
        told.extend(
            sessions
                .into_iter()
                .map(|session| event(path, news, zxid, session)),
        );
    }
}

/// An event's line, from `"f":` on.
pub(super) fn event(path: Path, news: News, zxid: Option<i64>, session: u64) -> String {
    let mut text = Text::default();
    text.raw("\"f\":\"event\",\"key\":\"");
    path.write(false, &mut text);
    text.raw("\"")
        .value()
        .raw("null")
        .word("event", news.word());
    if let Some(zxid) = zxid {
        text.field("zxid", zxid);
    }
    text.raw(",\"session\":\"s").count(session).raw("\"");
    text.as_str().to_owned()
}
