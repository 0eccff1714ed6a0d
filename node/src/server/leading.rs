//! The leader's part: prepares and proposes what servers ask, keeps sessions, confirms syncs.

use super::engine::Engine;
use super::forward::{Downward, Upward};
use crate::config::NodeConfig;
use crate::prep::{self, Overlay, Prepared, Sessions};
use crate::request::{ErrorCode, Password, SessionId, Write};
use crate::seats::Seats;
use crate::storage;
use crate::tree::{Outcome, Tree};
use crate::txn::{Incarnation, Origin, Txn};
use crate::warn::Observation;
use crate::zab::{Millis, NodeId, Zxid};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// A sync that waits for the leader's confirmation.
#[derive(Debug)]
struct Asker {
    node: NodeId,
    incarnation: Incarnation,
    number: u64,
}

/// What only a leader knows. A new leader begins with nothing but the tree.
#[derive(Debug)]
pub(super) struct Leader {
    overlay: Overlay,
    pub(super) sessions: Sessions,
    /// Syncs that came in this turn.
    syncs: Vec<Asker>,
    /// Syncs by the token under which the replica was asked.
    confirming: BTreeMap<u64, Vec<Asker>>,
    token: u64,
    /// When containers and times to live are looked through again.
    next_look: Millis,
    /// When the znodes of alerts are compared again.
    pub(super) next_comparison: Millis,
    /// When seats are looked at again.
    pub(super) next_seating: Millis,
    pub(super) seats: Seats,
    /// Since when it leads.
    pub(super) since: Millis,
    /// Those that are still to be looked at.
    perishing: Vec<String>,
    has_more_to_expire: bool,
}

/// How many perished znodes are removed at a time; ZooKeeper's limit is 10,000 a minute.
const PERISHED: usize = 2;

/// The longest transaction, in bytes: a log can hold it, and a frame between servers carry it.
const LONGEST: usize = storage::LONGEST_TXN - (1 << 20);
const _: () = assert!(LONGEST + (1 << 20) <= super::wire::LIMIT);

/// How many sessions are closed at a time: clients, and other servers, wait meanwhile.
const EXPIRED: usize = 1000;

/// How many are looked at at a time: clients wait meanwhile.
const LOOKED_AT: usize = 1000;

impl Leader {
    /// Every session has its whole time-out again: nobody knows what the leader before has heard.
    pub(super) fn new(tree: &Tree, config: &NodeConfig, now: Millis) -> Leader {
        let interval_ms = config.timing.tick_ms;
        let mut sessions = Sessions::new(interval_ms, now);
        for (id, session) in tree.sessions() {
            sessions.add(id, session.timeout_ms, None, now);
        }
        Leader {
            overlay: Overlay::default(),
            sessions,
            syncs: Vec::new(),
            confirming: BTreeMap::new(),
            token: 0,
            next_look: Millis(now.0 + interval_ms),
            next_comparison: now,
            next_seating: now,
            seats: Seats::new(config.reconfig.terms()),
            since: now,
            perishing: Vec::new(),
            has_more_to_expire: false,
        }
    }

    /// Syncs that wait for a majority's confirmation.
    pub(super) fn pending_syncs(&self) -> usize {
        self.syncs.len() + self.confirming.values().map(Vec::len).sum::<usize>()
    }

    /// Whether more sessions are due than were told the last time.
    pub(super) fn has_more_to_expire(&self) -> bool {
        self.has_more_to_expire
    }

    fn expired(&mut self, now: Millis) -> Vec<SessionId> {
        let expired = self.sessions.expired(now, EXPIRED);
        self.has_more_to_expire = expired.len() == EXPIRED;
        expired
    }

    pub(super) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// A transaction was applied; `timeout_ms` is that of the session that it opened, if it did.
    pub(super) fn applied(
        &mut self,
        zxid: Zxid,
        origin: NodeId,
        outcome: &Outcome,
        timeout_ms: i32,
        now: Millis,
    ) {
        self.overlay.applied(zxid);
        match outcome {
            Outcome::SessionOpened(id) => self.sessions.add(*id, timeout_ms, Some(origin), now),
            Outcome::SessionClosed(id) => self.sessions.remove(*id),
            _ => {}
        }
    }
}

impl Engine {
    /// Does, as the leader, what a server asks.
    pub(super) fn lead(&mut self, from: NodeId, incarnation: Incarnation, question: Upward) {
        match question {
            Upward::Write {
                number,
                session,
                cxid,
                identity,
                write,
            } => {
                let origin = Origin {
                    node: from,
                    incarnation,
                    number,
                };
                let asker = prep::Asker {
                    session,
                    identity: &identity,
                    quotas: self.config.znodes.enforce_quotas,
                    schemes: self.config.schemes(),
                };
                self.propose(origin, asker, cxid, write);
            }
            Upward::Sync { number } => self.lead_sync(Asker {
                node: from,
                incarnation,
                number,
            }),
            Upward::Revalidate {
                number,
                session,
                password,
            } => {
                self.metrics.revalidate_count.inc();
                let timeout_ms = self.revalidate(from, session, &password);
                self.reply(
                    from,
                    incarnation,
                    Downward::Revalidated { number, timeout_ms },
                );
            }
            Upward::Touched(ids) => {
                if let Some(leader) = &mut self.leader {
                    for id in ids {
                        leader.sessions.touch(id, self.now);
                    }
                }
            }
        }
    }

    fn propose(&mut self, origin: Origin, asker: prep::Asker<'_>, cxid: i32, write: Write) {
        let session = asker.session;
        let Some(leader) = &mut self.leader else {
            return;
        };
        let closes = matches!(write, Write::CloseSession);
        let alive = match write {
            Write::OpenSession { .. } => Ok(()),
            _ => leader.sessions.check(session, origin.node),
        };
        let prepared = match (alive, write) {
            (Ok(()), Write::Reconfig(wanted)) => self.reconfigure(asker.identity, &wanted),
            (Ok(()), write) => prep::prepare(&self.tree, &leader.overlay, asker, write),
            (Err(code), _) => Prepared::error(code),
        };
        let Some(leader) = &mut self.leader else {
            return;
        };
        leader.sessions.touch(session, self.now);
        if closes && alive.is_ok() {
            leader.sessions.closing(session);
        }
        self.put_in_log(origin, session, cxid, prepared);
    }

    pub(super) fn put_in_log(
        &mut self,
        origin: Origin,
        session: SessionId,
        cxid: i32,
        prepared: Prepared,
    ) {
        let Prepared { body, mut changes } = prepared;
        let (time_ms, state) = (wall_clock_ms(), Some(self.tree.checkpoint()));
        let encoded = |body| {
            let txn = Txn {
                origin,
                session,
                cxid,
                time_ms,
                state,
                body,
            };
            txn.encode()
        };
        let mut bytes = encoded(body);
        if bytes.len() > LONGEST {
            // Requests have a limit, and so has what they grow by: none is near it.
            tracing::error!(%session, bytes = bytes.len(), "refused: a transaction that no log can hold");
            let refusal = Prepared::error(ErrorCode::Marshalling);
            (bytes, changes) = (encoded(refusal.body), refusal.changes);
        }
        // Without a zxid this server leads no longer, and everything here is about to be forgotten.
        let size = bytes.len();
        let zxid = self.replica.propose(self.now, bytes);
        if let (Some(zxid), Some(leader)) = (zxid, &mut self.leader) {
            self.passing.proposed(zxid, size, self.at);
            self.metrics.outstanding_changes_queued.inc();
            leader.overlay.proposed(zxid, changes);
        }
    }

    fn lead_sync(&mut self, asker: Asker) {
        if let Some(leader) = &mut self.leader {
            leader.syncs.push(asker);
        }
    }

    /// Asks a majority, once for all syncs of this turn, whether this server still leads.
    pub(super) fn confirm_syncs(&mut self) {
        let Some(leader) = self
            .leader
            .as_mut()
            .filter(|leader| !leader.syncs.is_empty())
        else {
            return;
        };
        leader.token += 1;
        leader
            .confirming
            .insert(leader.token, std::mem::take(&mut leader.syncs));
        self.replica.confirm(self.now, leader.token);
    }

    /// A majority has confirmed.
    pub(super) fn confirmed(&mut self, token: u64, zxid: Zxid) {
        let askers = self
            .leader
            .as_mut()
            .and_then(|leader| leader.confirming.remove(&token));
        for Asker {
            node,
            incarnation,
            number,
        } in askers.unwrap_or_default()
        {
            self.reply(node, incarnation, Downward::Synced { number, zxid });
        }
    }

    /// Moves a session to a server, if it lives and the password is its own; returns its time-out.
    fn revalidate(&mut self, to: NodeId, id: SessionId, password: &Password) -> Option<i32> {
        let session = self
            .tree
            .session(id)
            .filter(|session| session.password == *password)?;
        let leader = self.leader.as_mut()?;
        leader
            .sessions
            .move_to(id, to, self.now)
            .then_some(session.timeout_ms)
    }

    /// Closes the sessions whose time is over.
    pub(super) fn expire_sessions(&mut self) {
        let expired = self.leader.as_mut().map(|leader| leader.expired(self.now));
        let expired = expired.unwrap_or_default();
        if let Some(leader) = self.leader.as_ref().filter(|_| !expired.is_empty()) {
            let open = leader.sessions.staying().saturating_sub(expired.len());
            let expired = expired.len();
            self.lookout
                .observe(Observation::SessionsExpired { expired, open });
        }
        for session in expired {
            let Some(leader) = &mut self.leader else {
                return;
            };
            self.metrics.stale_sessions_expired.inc();
            tracing::info!(%session, "session expired");
            let prepared = prep::close_session(&self.tree, &leader.overlay, session);
            leader.sessions.closing(session);
            // Whoever serves it, it is the leader that closes it.
            self.put_in_log(self.nobody(), session, 0, prepared);
        }
    }

    /// The origin of what the leader does by itself: nobody waits for the answer.
    pub(super) fn nobody(&self) -> Origin {
        Origin {
            node: self.config.id,
            incarnation: self.incarnation,
            number: 0,
        }
    }

    /// Gives a znode that only the service writes this data, or removes it.
    pub(super) fn write_own(&mut self, path: &str, data: Option<Bytes>) {
        let Some(leader) = &self.leader else {
            return;
        };
        if let Some(prepared) = prep::own(&self.tree, &leader.overlay, path, data) {
            self.put_in_log(self.nobody(), SessionId::NONE, 0, prepared);
        }
    }

    /// Removes containers without children and znodes whose time to live is over: now and then all are looked through,
    /// and a few of those found are removed each time.
    pub(super) fn remove_perished(&mut self) {
        let znodes = &self.config.znodes;
        let Some(leader) = &mut self.leader else {
            return;
        };
        if self.now >= leader.next_look {
            leader.next_look = Millis(self.now.0 + znodes.container_check_ms);
            leader.perishing = self.tree.perishable().map(str::to_owned).collect();
        }
        if leader.perishing.is_empty() {
            return;
        }
        let (now_ms, mut proposed) = (wall_clock_ms(), 0);
        for _ in 0..LOOKED_AT {
            if proposed == PERISHED {
                return;
            }
            let Some(leader) = &mut self.leader else {
                return;
            };
            let Some(path) = leader.perishing.pop() else {
                return;
            };
            let (overlay, never_used_ms) = (
                &leader.overlay,
                self.config.znodes.container_never_used_ms as i64,
            );
            if let Some(prepared) = prep::perish(&self.tree, overlay, &path, now_ms, never_used_ms)
            {
                tracing::debug!(path, "perished");
                self.put_in_log(self.nobody(), SessionId::NONE, 0, prepared);
                proposed += 1;
            }
        }
    }
}

/// Milliseconds since 1970. Only for what clients see as times: no promise rests on it.
pub(crate) fn wall_clock_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
