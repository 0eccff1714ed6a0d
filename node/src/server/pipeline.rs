//! The order of answers: each client gets them in the order of its requests.
//!
//! A read is answered when everything before it on its connection is; a write when its transaction is delivered; a
//! sync when the leader has confirmed itself and everything up to its zxid is delivered. No socket is touched here but
//! through [`ClientLink`].

use super::event::ConnectionId;
use super::leading::wall_clock_ms;
use super::metrics::{Metrics, Sizes};
use super::outbox::ClientLink;
use super::{Micros, reads, watching};
use crate::acl;
use crate::config::Security;
use crate::jute::{Operation, ReplyBuffer, ReplyKind, Request};
use crate::request::{ErrorCode, Id, Identity, Read, SessionId, WatchRequest};
use crate::sasl::{Exchange, Said};
use crate::tree::{Outcome, Tree};
use crate::watches::{Watcher, Watches};
use crate::zab::{Millis, Zxid};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An answer from beyond this server.
#[derive(Debug)]
pub(super) enum Answer {
    /// The write's transaction, delivered here.
    Done(Zxid, Outcome),
    /// The leader's word on a sync: answered once this is delivered here.
    Synced(Zxid),
}

/// How long, in one turn, answers may take that are not quick: then others have their turn, and heartbeats go out.
const LONG: Duration = Duration::from_millis(5);

/// A request that is not yet answered.
#[derive(Debug)]
pub(super) enum Waiting {
    /// Answered from the tree.
    Read(Read),
    /// Answered at once.
    Watch(WatchRequest),
    /// Answered at once.
    Ping,
    /// Answered at once.
    Auth {
        scheme: String,
        shown: Option<Bytes>,
    },
    /// Answered at once; a challenge has this nonce.
    Sasl { token: Bytes, nonce: String },
    /// Answered at once.
    Malformed,
    /// Answered at once.
    Unimplemented,
    /// Answered at once, with this error.
    Refused(ErrorCode),
    /// The end of a session that nobody else knows; answered at once.
    Farewell,
    /// Answered when its transaction is delivered.
    Write {
        number: u64,
        kind: ReplyKind,
        done: Option<(Zxid, Outcome)>,
    },
    /// Answered when the leader has answered and the zxid is delivered.
    Sync {
        number: u64,
        path: String,
        zxid: Option<Zxid>,
    },
}

#[derive(Debug)]
struct Item {
    xid: i32,
    since: Micros,
    waiting: Waiting,
}

/// Whether a client has a session yet.
#[derive(Debug)]
pub(super) enum Stage {
    /// The leader was asked; what the client sends meanwhile is held.
    Connecting {
        /// The session that it wants to go on with, or none.
        wanted: SessionId,
        /// What it sent meanwhile.
        held: Vec<Request>,
    },
    /// It has its session.
    Open(SessionId),
}

/// What an answer is made from.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) tree: &'a Tree,
    pub(super) watches: &'a mut Watches,
    /// The client, as one who watches.
    pub(super) watcher: Watcher,
    pub(super) session: SessionId,
    pub(super) identity: &'a Identity,
}

/// What all clients' answers have in common.
struct Common<'a> {
    tree: &'a Tree,
    watches: &'a mut Watches,
    metrics: &'a Metrics,
    response_sizes: &'a mut Sizes,
    /// When this turn's first answer began that is not quick.
    slow: &'a mut Option<Instant>,
    security: &'a Security,
    now: Millis,
    at: Micros,
}

/// One client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) link: ClientLink,
    pub(super) stage: Stage,
    /// The time-out that it gets, in milliseconds.
    pub(super) timeout_ms: i32,
    /// What the response says of read-only mode, if the request had a word on it.
    pub(super) read_only_flag: Option<bool>,
    pub(super) identity: Identity,
    sasl: Exchange,
    /// When it connected, in milliseconds since 1970.
    pub(super) established_ms: i64,
    queue: VecDeque<Item>,
    /// What has come and is not yet begun, and when it came.
    unbegun: VecDeque<(Request, Micros)>,
    pub(super) traffic: Traffic,
    replies: ReplyBuffer,
    answered: usize,
    /// The longest answer among those that it has not read.
    longest: usize,
    last: bool,
    /// What it asks takes long: the rest comes when others had their turn.
    paused: bool,
    dirty: bool,
}

impl Client {
    pub(super) fn new(
        link: ClientLink,
        identity: Identity,
        wanted: SessionId,
        timeout_ms: i32,
        read_only_flag: Option<bool>,
    ) -> Client {
        Client {
            identity,
            sasl: Exchange::default(),
            link,
            stage: Stage::Connecting {
                wanted,
                held: Vec::new(),
            },
            timeout_ms,
            read_only_flag,
            established_ms: wall_clock_ms(),
            queue: VecDeque::new(),
            unbegun: VecDeque::new(),
            traffic: Traffic::of_connect(),
            replies: ReplyBuffer::default(),
            answered: 0,
            longest: 0,
            last: false,
            paused: false,
            dirty: false,
        }
    }

    /// The session, once it has one.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self.stage {
            Stage::Connecting { .. } => None,
            Stage::Open(session) => Some(session),
        }
    }

    /// Requests without an answer yet.
    pub(super) fn outstanding(&self) -> usize {
        self.queue.len() + self.unbegun.len()
    }

    /// What goes out with the next flush, for a connect response.
    pub(super) fn replies(&mut self) -> &mut ReplyBuffer {
        &mut self.replies
    }

    /// Answers what can be answered, in order, as long as the turn has time for it.
    fn pump(&mut self, common: &mut Common<'_>, watcher: Watcher) {
        if self.replies.is_empty() && self.link.unsent() == 0 {
            self.longest = 0;
        }
        while !self.last && !self.paused && !self.is_full() {
            let Some(item) = self.queue.front() else {
                return;
            };
            if !item.is_ready(common.tree) {
                return;
            }
            if item.waiting.may_take_long()
                && common.slow.get_or_insert_with(Instant::now).elapsed() >= LONG
            {
                self.paused = true;
                return;
            }
            let item = self
                .queue
                .pop_front()
                .expect("it has a front, as the lines above found");
            let took = common.at.since(item.since);
            let metrics = common.metrics;
            metrics.latency.add(took);
            match item.waiting {
                Waiting::Write { .. } => metrics.updatelatency.add(took),
                _ => metrics.readlatency.add(took),
            }
            self.traffic.answered(&item, took / 1000, common);
            self.answered += 1;
            let before = self.replies.len();
            self.reply(common, watcher, item);
            let bytes = self.replies.len() - before;
            self.longest = self.longest.max(bytes);
            metrics.packets_sent.inc();
            metrics.response_bytes.add(bytes as u64);
            common.response_sizes.add(bytes);
        }
    }

    /// The next request to begin. A write waits while something before it is still to be answered from the tree: that answer
    /// must not show what the session writes only later.
    fn next(&mut self) -> Option<(Request, Micros)> {
        let (first, _) = self.unbegun.front()?;
        let write = matches!(first.operation, Operation::Write(..));
        let only_writes = |item: &Item| matches!(item.waiting, Waiting::Write { .. });
        if write && !self.queue.iter().all(only_writes) {
            return None;
        }
        self.unbegun.pop_front()
    }

    fn is_full(&self) -> bool {
        self.link.is_full() || self.replies.len() >= self.link.limit()
    }

    /// Whether it leaves so many events unread that it is better closed: events cannot wait for a reader as requests do. A single answer may be
    /// longer than all of them may be.
    fn is_drowned(&self) -> bool {
        self.link.unsent() + self.replies.len() > self.link.event_limit() + self.longest
    }

    /// Whether it has shown what a client must have shown.
    pub(super) fn is_believed(&self, security: &Security) -> bool {
        let shown = |scheme: &String| self.identity.ids.iter().any(|id| id.scheme == *scheme);
        security.require.is_empty() || security.require.iter().any(shown)
    }

    /// Answers its next token of SASL. As in ZooKeeper, a server without users answers with nothing, and is not offended.
    fn converse(&mut self, common: &Common<'_>, xid: i32, token: &[u8], nonce: String) {
        let (security, client) = (common.security, self.link.address);
        let users = &security.sasl.users;
        if users.0.is_empty() {
            return self.replies.token(xid, ErrorCode::Ok, None);
        }
        match self.sasl.hear(token, || nonce, users) {
            Ok(Said::Challenge(challenge)) => {
                self.replies.token(xid, ErrorCode::Ok, Some(&challenge))
            }
            Ok(Said::Welcome { user, token }) => {
                tracing::info!(%client, user, "authenticated by SASL");
                let id = |scheme: &str, id: &str| Id {
                    scheme: scheme.into(),
                    id: id.into(),
                };
                self.identity.add(id("sasl", &user));
                if security.sasl.super_users.contains(&user) {
                    self.identity.add(id("super", ""));
                }
                self.replies.token(xid, ErrorCode::Ok, Some(&token));
            }
            Err(problem) => {
                tracing::warn!(%client, %problem, "closed: SASL failed");
                common.metrics.auth_failed.inc();
                let code = match security.require.iter().any(|scheme| scheme == "sasl") {
                    true => ErrorCode::AuthRequired,
                    false => ErrorCode::AuthFailed,
                };
                self.replies.token(xid, code, None);
                self.last = true;
            }
        }
    }

    fn reply(&mut self, common: &mut Common<'_>, watcher: Watcher, item: Item) {
        let session = self.session().unwrap_or(SessionId::NONE);
        // A write was looked at when it was begun.
        let free = matches!(
            item.waiting,
            Waiting::Auth { .. } | Waiting::Sasl { .. } | Waiting::Write { .. }
        );
        if !free && !self.is_believed(common.security) {
            common.metrics.auth_failed.inc();
            self.last = true;
            return self
                .replies
                .error(item.xid, Zxid::ZERO, ErrorCode::AuthRequired);
        }
        if let Waiting::Sasl { token, nonce } = item.waiting {
            return self.converse(common, item.xid, &token, nonce);
        }
        let (out, xid, tree) = (&mut self.replies, item.xid, common.tree);
        let mut at = Surroundings {
            tree,
            watches: common.watches,
            watcher,
            session,
            identity: &self.identity,
        };
        match item.waiting {
            Waiting::Read(read) => reads::answer(&mut at, out, xid, &read),
            Waiting::Watch(request) => watching::answer(&mut at, out, xid, &request),
            Waiting::Ping => out.empty(xid, tree.zxid()),
            Waiting::Auth { scheme, shown } => {
                let super_digest = common.security.super_digest.as_deref();
                let shown = shown.as_deref();
                match acl::authenticate(&mut self.identity, &scheme, shown, super_digest) {
                    Ok(()) => out.empty(xid, Zxid::ZERO),
                    Err(code) => {
                        common.metrics.auth_failed.inc();
                        out.error(xid, Zxid::ZERO, code);
                        self.last = true;
                    }
                }
            }
            Waiting::Sasl { .. } => {}
            Waiting::Refused(code) => out.error(xid, tree.zxid(), code),
            Waiting::Farewell => {
                out.empty(xid, tree.zxid());
                self.last = true;
            }
            Waiting::Malformed => out.error(xid, tree.zxid(), ErrorCode::Marshalling),
            // As ZooKeeper does: who speaks another protocol is not led on.
            Waiting::Unimplemented => {
                out.error(xid, Zxid(u64::MAX), ErrorCode::Unimplemented);
                self.last = true;
            }
            Waiting::Sync { path, .. } => {
                out.body(xid, tree.zxid(), |out| {
                    crate::jute::reply::put_string(out, &path)
                });
            }
            Waiting::Write { kind, done, .. } => {
                let (zxid, outcome) = done.expect("it is ready");
                match outcome {
                    // The client is served elsewhere: an answer here could overtake one there.
                    Outcome::Failed(ErrorCode::SessionMoved) => self.last = true,
                    _ => out.write(xid, zxid, &kind, &outcome),
                }
                let gone = matches!(
                    outcome,
                    Outcome::SessionClosed(_) | Outcome::Failed(ErrorCode::SessionExpired)
                );
                self.last |= gone;
            }
        }
    }

    /// True if there is more to say than is said at a time, and the client can get more at once: no event of its own will say so.
    fn flush(&mut self) -> bool {
        self.dirty = false;
        let held_back = std::mem::take(&mut self.paused) || self.is_full();
        if !self.replies.is_empty() || self.answered > 0 {
            self.link
                .send(self.replies.take(), std::mem::take(&mut self.answered));
        }
        held_back && !self.link.is_full() && !self.queue.is_empty()
    }
}

/// What went over a connection, for those who ask.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) received: u64,
    /// Answers and events.
    pub(super) sent: u64,
    pub(super) latency: Latency,
    /// The last request that was answered: ZooKeeper's short name for it, the client's number, the zxid of the answer, when,
    /// and how long it took, in milliseconds.
    pub(super) last: Option<(&'static str, i32, Zxid, Millis, u64)>,
}

impl Traffic {
    /// The request to connect, and its answer.
    fn of_connect() -> Traffic {
        Traffic {
            received: 1,
            sent: 1,
            ..Traffic::default()
        }
    }

    fn answered(&mut self, item: &Item, took: u64, common: &Common<'_>) {
        self.sent += 1;
        self.latency.add(took);
        let name = item.waiting.short_name();
        self.last = Some((name, item.xid, common.tree.zxid(), common.now, took));
    }
}

impl Waiting {
    /// Whether the answer may take more than a few microseconds.
    fn may_take_long(&self) -> bool {
        matches!(
            self,
            Waiting::Read(
                Read::GetAllChildrenNumber { .. }
                    | Read::GetChildren { .. }
                    | Read::GetChildren2 { .. }
                    | Read::GetEphemerals { .. }
                    | Read::Multi(_)
            )
        )
    }

    fn short_name(&self) -> &'static str {
        match self {
            Waiting::Read(Read::Exists { .. }) => "EXIS",
            Waiting::Read(Read::GetData { .. }) => "GETD",
            Waiting::Read(Read::GetAcl { .. }) => "GETA",
            Waiting::Read(Read::GetChildren { .. } | Read::GetChildren2 { .. }) => "GETC",
            Waiting::Read(Read::GetAllChildrenNumber { .. }) => "GETACN",
            Waiting::Read(Read::GetEphemerals { .. }) => "GETE",
            Waiting::Read(Read::WhoAmI) => "HOMI",
            Waiting::Read(Read::Multi(_)) => "MLTR",
            Waiting::Watch(WatchRequest::Set(_)) => "SETW",
            Waiting::Watch(WatchRequest::Add { .. }) => "ADDW",
            Waiting::Watch(WatchRequest::Remove { .. }) => "REMW",
            Waiting::Watch(WatchRequest::Check { .. }) => "CHKW",
            Waiting::Ping => "PING",
            Waiting::Auth { .. } => "AUTH",
            Waiting::Sasl { .. } => "SASL",
            Waiting::Sync { .. } => "SYNC",
            Waiting::Malformed | Waiting::Unimplemented | Waiting::Refused(_) => "NA",
            Waiting::Farewell => "CLOS",
            Waiting::Write { done, .. } => match done {
                Some((_, Outcome::Created { .. })) => "CREA",
                Some((_, Outcome::Deleted)) => "DELE",
                Some((_, Outcome::Set(_))) => "SETD",
                Some((_, Outcome::Multi(_))) => "MULT",
                Some((_, Outcome::Checked)) => "CHEC",
                Some((_, Outcome::SessionOpened(_))) => "SESS",
                Some((_, Outcome::SessionClosed(_))) => "CLOS",
                Some((_, Outcome::Reconfigured { .. })) => "RECO",
                Some((_, Outcome::Failed(_) | Outcome::Joining)) | None => "NA",
            },
        }
    }
}

impl Item {
    fn is_ready(&self, tree: &Tree) -> bool {
        match &self.waiting {
            Waiting::Read(_)
            | Waiting::Watch(_)
            | Waiting::Ping
            | Waiting::Auth { .. }
            | Waiting::Sasl { .. }
            | Waiting::Malformed
            | Waiting::Refused(_)
            | Waiting::Farewell
            | Waiting::Unimplemented => true,
            Waiting::Write { done, .. } => done.is_some(),
            Waiting::Sync { zxid, .. } => zxid.is_some_and(|zxid| zxid <= tree.zxid()),
        }
    }
}

/// How long requests took, in milliseconds, from decoding to the answer.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Latency {
    pub(super) count: u64,
    pub(super) sum: u64,
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Latency {
    pub(super) fn average(&self) -> f64 {
        if self.count == 0 {
            0.0
        } else {
            self.sum as f64 / self.count as f64
        }
    }

    fn add(&mut self, took: u64) {
        self.min = if self.count == 0 {
            took
        } else {
            self.min.min(took)
        };
        self.max = self.max.max(took);
        self.count += 1;
        self.sum += took;
    }
}

/// All clients.
#[derive(Debug, Default)]
pub(super) struct Clients {
    open: FxHashMap<ConnectionId, Client>,
    by_session: FxHashMap<SessionId, ConnectionId>,
    /// Whose answer each number is.
    asked: FxHashMap<u64, ConnectionId>,
    dirty: Vec<ConnectionId>,
    /// Those that can be answered more since the last flush; who has waited longest comes first.
    held_back: Vec<ConnectionId>,
    /// When this turn's first answer began that is not quick.
    slow: Option<Instant>,
    pub(super) watches: Watches,
    pub(super) security: Security,
    pub(super) metrics: Arc<Metrics>,
    /// Sizes of answers, in bytes.
    pub(super) response_sizes: Sizes,
}

impl Clients {
    pub(super) fn new(security: Security, metrics: Arc<Metrics>) -> Clients {
        Clients {
            security,
            metrics,
            ..Clients::default()
        }
    }

    pub(super) fn insert(&mut self, id: ConnectionId, client: Client) {
        self.open.insert(id, client);
    }

    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Client> {
        self.open.get_mut(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// All clients, by their connections' order.
    pub(super) fn all(&self) -> Vec<(ConnectionId, &Client)> {
        let mut all: Vec<_> = self.open.iter().map(|(id, client)| (*id, client)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// The session of a connection.
    pub(super) fn session(&self, id: ConnectionId) -> Option<SessionId> {
        self.open.get(&id)?.session()
    }

    /// Begins all statistics anew.
    pub(super) fn reset_traffic(&mut self) {
        for client in self.open.values_mut() {
            client.traffic = Traffic::default();
        }
    }

    /// Begins the server's statistics anew.
    pub(super) fn reset_totals(&mut self) {
        self.metrics.reset();
        self.response_sizes = Sizes::default();
    }

    /// Requests without an answer yet.
    pub(super) fn outstanding(&self) -> usize {
        self.open.values().map(Client::outstanding).sum()
    }

    /// How long the oldest request has been waiting that is not waiting for its own client to read, in microseconds.
    pub(super) fn oldest(&self, at: Micros) -> u64 {
        let waits = |client: &Client| {
            let front = client.queue.front().filter(|_| !client.is_full())?;
            Some(at.since(front.since))
        };
        self.open.values().filter_map(waits).max().unwrap_or(0)
    }

    /// The client asks the leader under this number.
    pub(super) fn ask(&mut self, number: u64, id: ConnectionId) {
        self.asked.insert(number, id);
    }

    /// Who asked under this number; once.
    pub(super) fn asker(&mut self, number: u64) -> Option<ConnectionId> {
        self.asked.remove(&number)
    }

    /// Adds a request to its client's queue.
    pub(super) fn enqueue(&mut self, id: ConnectionId, xid: i32, waiting: Waiting, since: Micros) {
        if let Some(client) = self.open.get_mut(&id) {
            client.traffic.received += 1;
            client.queue.push_back(Item {
                xid,
                since,
                waiting,
            });
        }
    }

    /// Keeps requests until they are begun.
    pub(super) fn keep(&mut self, id: ConnectionId, requests: Vec<Request>, came: Micros) {
        if let Some(client) = self.open.get_mut(&id) {
            client
                .unbegun
                .extend(requests.into_iter().map(|request| (request, came)));
        }
    }

    /// The client's next request to begin now, if there is one, with its session, and when it came.
    pub(super) fn next(&mut self, id: ConnectionId) -> Option<(SessionId, Request, Micros)> {
        let client = self.open.get_mut(&id)?;
        let session = client.session()?;
        let (request, came) = client.next()?;
        Some((session, request, came))
    }

    /// Who the client is.
    pub(super) fn identity(&self, id: ConnectionId) -> Option<Identity> {
        self.open.get(&id).map(|client| client.identity.clone())
    }

    /// The answer to what the client asked under this number has come.
    pub(super) fn answer(&mut self, id: ConnectionId, number: u64, answer: Answer) {
        let Some(client) = self.open.get_mut(&id) else {
            return;
        };
        let asked = client
            .queue
            .iter_mut()
            .map(|item| &mut item.waiting)
            .find(|waiting| match waiting {
                Waiting::Write { number: n, .. } | Waiting::Sync { number: n, .. } => *n == number,
                _ => false,
            });
        match (asked, answer) {
            (Some(Waiting::Write { done, .. }), Answer::Done(zxid, outcome)) => {
                *done = Some((zxid, outcome))
            }
            (Some(Waiting::Sync { zxid, .. }), Answer::Synced(to)) => *zxid = Some(to),
            (asked, answer) => tracing::error!(?asked, ?answer, "an answer to another question"),
        }
    }

    /// Answers what can be answered, and closes the client after its last answer.
    pub(super) fn pump(&mut self, id: ConnectionId, tree: &Tree, now: Millis, at: Micros) {
        let Some(client) = self.open.get_mut(&id) else {
            return;
        };
        let mut common = Common {
            tree,
            watches: &mut self.watches,
            metrics: &self.metrics,
            response_sizes: &mut self.response_sizes,
            slow: &mut self.slow,
            security: &self.security,
            now,
            at,
        };
        client.pump(&mut common, Watcher(id.0));
        if client.last {
            self.close(id);
        } else {
            self.touch(id);
        }
    }

    /// There is something to flush.
    pub(super) fn touch(&mut self, id: ConnectionId) {
        if let Some(client) = self.open.get_mut(&id)
            && !std::mem::replace(&mut client.dirty, true)
        {
            self.dirty.push(id);
        }
    }

    /// The client has its session; if another connection here had it, that one is closed.
    pub(super) fn opened(&mut self, id: ConnectionId, session: SessionId) {
        if let Some(before) = self
            .by_session
            .get(&session)
            .copied()
            .filter(|before| *before != id)
        {
            self.close(before);
        }
        if let Some(client) = self.open.get_mut(&id) {
            client.stage = Stage::Open(session);
            self.by_session.insert(session, id);
        }
    }

    /// The connection of this session, if it is here.
    pub(super) fn of_session(&self, session: SessionId) -> Option<ConnectionId> {
        self.by_session.get(&session).copied()
    }

    /// Closes a connection once its answers so far are sent; what is not answered never will be.
    pub(super) fn close(&mut self, id: ConnectionId) {
        let Some(mut client) = self.open.remove(&id) else {
            return;
        };
        client.flush();
        self.forget(id, &client);
    }

    fn forget(&mut self, id: ConnectionId, client: &Client) {
        self.watches.forget(Watcher(id.0));
        if let Some(session) = client.session()
            && self.by_session.get(&session) == Some(&id)
        {
            self.by_session.remove(&session);
        }
    }

    /// Closes all connections.
    pub(super) fn close_all(&mut self) {
        for client in self.open.values_mut() {
            client.flush();
        }
        self.open.clear();
        self.by_session.clear();
        self.asked.clear();
        self.dirty.clear();
        self.watches = Watches::default();
    }

    /// Whether some can be answered more since the last flush.
    pub(super) fn has_held_back(&self) -> bool {
        !self.held_back.is_empty()
    }

    /// Those that can be answered more since the last flush; once.
    pub(super) fn take_held_back(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.held_back)
    }

    /// Sends what was answered since the last flush.
    pub(super) fn flush(&mut self) {
        self.slow = None;
        let (mut drowned, mut served) = (Vec::new(), Vec::new());
        for id in self.dirty.drain(..) {
            if let Some(client) = self.open.get_mut(&id) {
                let had_its_turn = client.answered > 0;
                if client.is_drowned() {
                    drowned.push(id);
                } else if client.flush() {
                    match had_its_turn {
                        true => served.push(id),
                        false => self.held_back.push(id),
                    }
                }
            }
        }
        self.held_back.append(&mut served);
        for id in drowned {
            if let Some(client) = self.open.remove(&id) {
                tracing::warn!(client = %client.link.address, "closed: it leaves too many events unread");
                client.link.abort();
                self.forget(id, &client);
            }
        }
    }
}
