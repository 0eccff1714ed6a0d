//! Read-only mode: while there is no leader, clients that allow it may read what this server knows.
//!
//! What it knows is what it has applied, a prefix of what is committed: old perhaps, never wrong. So it begins only on a server that
//! has served since it started (before that it knows its snapshot alone), and after a while, since most elections are over sooner.
//! Sessions are this server's own: nobody else knows them, nothing is written, and they end with the mode. As in ZooKeeper,
//! a client that does not allow it, a session of the ensemble, and a client that has seen more than this server are turned away.

use super::Micros;
use super::engine::Engine;
use super::event::ConnectionId;
use super::outbox::ClientLink;
use super::pipeline::{Client, Waiting};
use crate::jute::{ConnectRequest, Operation, Request};
use crate::request::{ErrorCode, Password, SessionId, Write};
use crate::zab::{Millis, Status};
use rand::Rng;
use std::collections::BTreeMap;

/// How long there must be no leader, in milliseconds; as in ZooKeeper.
const AFTER_MS: u64 = 2000;

/// Where an ensemble's session has its epoch, one that no ensemble reaches.
const NO_EPOCH: i64 = 0xff_ffff << 32;

/// A session of this server alone.
#[derive(Debug)]
struct Local {
    password: Password,
    timeout_ms: i32,
    heard: Millis,
}

/// The mode, and its sessions.
#[derive(Debug, Default)]
pub(super) struct ReadOnly {
    /// Clients are served for reading.
    on: bool,
    /// This server has served everything since it started.
    has_served: bool,
    looking_since: Option<Millis>,
    sessions: BTreeMap<SessionId, Local>,
    /// How many sessions there have been.
    made: u32,
}

impl ReadOnly {
    /// Whether clients are served for reading alone.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// How many sessions only this server knows.
    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The status has changed; true if the mode ends with it.
    pub(super) fn status(&mut self, status: Status, now: Millis) -> bool {
        self.has_served |= status.serving();
        if status == Status::Looking {
            self.looking_since.get_or_insert(now);
            return false;
        }
        self.looking_since = None;
        self.sessions.clear();
        std::mem::replace(&mut self.on, false)
    }

    /// Whether it is time that the mode begins.
    fn is_due(&self, now: Millis) -> bool {
        let long = |since: Millis| now.since(since) >= AFTER_MS;
        !self.on && self.has_served && self.looking_since.is_some_and(long)
    }

    /// The sessions whose time is over, in order; they are forgotten.
    fn expired(&mut self, now: Millis) -> Vec<SessionId> {
        let over = |local: &Local| now.since(local.heard) > local.timeout_ms.max(0) as u64;
        let expired: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, local)| over(local))
            .map(|(id, _)| *id)
            .collect();
        for id in &expired {
            self.sessions.remove(id);
        }
        expired
    }
}

impl Engine {
    /// Begins the mode when it is time, and ends sessions that are silent.
    pub(super) fn keep_read_only(&mut self) {
        if !self.config.read_only {
            return;
        }
        let sure = self.jury.doubts().is_none() && !self.is_restoring();
        if sure && self.read_only.is_due(self.now) {
            self.read_only.on = true;
            tracing::warn!(zxid = %self.tree.zxid(), "no leader: clients that allow it are served for reading alone");
        }
        for session in self.read_only.expired(self.now) {
            if let Some(id) = self.clients.of_session(session) {
                self.clients.close(id);
            }
        }
    }

    /// A client's first frame, in this mode.
    pub(super) fn connect_read_only(
        &mut self,
        id: ConnectionId,
        link: ClientLink,
        request: &ConnectRequest,
    ) {
        let address = link.address;
        let refuse =
            |why: &str| tracing::info!(client = %address, "refused in read-only mode: {why}");
        if request.read_only != Some(true) {
            return refuse("it does not allow it");
        }
        if request.last_zxid_seen > self.tree.zxid().0 as i64 {
            return refuse("it has seen more than this server");
        }
        let (wanted, limits) = (SessionId(request.session), &self.config.limits);
        if self.tree.session(wanted).is_some() {
            return refuse("its session is the ensemble's");
        }
        if self.read_only.sessions.len() >= limits.connections {
            return refuse("there are as many sessions as there may be connections");
        }
        let least_and_most = (limits.session_timeout_min_ms, limits.session_timeout_max_ms);
        let timeout_ms = request.timeout_ms.clamp(least_and_most.0, least_and_most.1);
        let identity = self.identity_of(&link);
        let mut client = Client::new(link, identity, wanted, timeout_ms, Some(true));
        let (session, password) = match wanted {
            SessionId::NONE => self.begin_local(timeout_ms),
            wanted => {
                let local = self.read_only.sessions.get_mut(&wanted);
                let Some(local) =
                    local.filter(|local| local.password == *request.password.as_ref())
                else {
                    client
                        .replies()
                        .connected(SessionId::NONE, 0, &[0; 16], Some(true));
                    self.clients.insert(id, client);
                    return self.clients.close(id);
                };
                (local.timeout_ms, local.heard) = (timeout_ms, self.now);
                (wanted, local.password)
            }
        };
        client
            .replies()
            .connected(session, timeout_ms, &password, Some(true));
        self.metrics.packets_sent.inc();
        self.clients.insert(id, client);
        self.clients.opened(id, session);
        self.clients.touch(id);
    }

    fn begin_local(&mut self, timeout_ms: i32) -> (SessionId, Password) {
        let mut password = [0; 16];
        self.random.fill_bytes(&mut password);
        if self.read_only.made == 0 {
            // Ids of an earlier run must not come again too soon.
            self.read_only.made = self.random.next_u32();
        }
        self.read_only.made = self.read_only.made.wrapping_add(1);
        let own = (self.config.id.0 as i64) << 56;
        let session = SessionId(own | NO_EPOCH | i64::from(self.read_only.made));
        let heard = self.now;
        let local = Local {
            password,
            timeout_ms,
            heard,
        };
        self.read_only.sessions.insert(session, local);
        (session, password)
    }

    /// A sign of life.
    pub(super) fn touch_local(&mut self, session: SessionId) {
        if let Some(local) = self.read_only.sessions.get_mut(&session) {
            local.heard = self.now;
        }
    }

    /// A request, in this mode: what would need the leader is refused.
    pub(super) fn request_read_only(
        &mut self,
        id: ConnectionId,
        session: SessionId,
        request: Request,
        came: Micros,
    ) {
        let waiting = match request.operation {
            Operation::Read(read) => Waiting::Read(read),
            Operation::Watch(request) => Waiting::Watch(request),
            Operation::Ping => Waiting::Ping,
            Operation::Auth { scheme, shown } => Waiting::Auth { scheme, shown },
            Operation::Sasl(token) => self.sasl(token),
            Operation::Unknown(_) => Waiting::Unimplemented,
            Operation::Malformed => Waiting::Malformed,
            Operation::Write(Write::CloseSession, _) => {
                self.read_only.sessions.remove(&session);
                Waiting::Farewell
            }
            Operation::Write(..) | Operation::Sync(_) => Waiting::Refused(ErrorCode::NotReadOnly),
        };
        self.clients.enqueue(id, request.xid, waiting, came);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::{Epoch, NodeId};

    const SERVES: Status = Status::Following {
        leader: NodeId(2),
        epoch: Epoch(1),
        serving: true,
    };

    #[test]
    fn it_begins_a_while_after_service_has_ended_and_ends_with_the_first_leader() {
        let mut mode = ReadOnly::default();
        mode.status(Status::Looking, Millis(0));
        assert!(
            !mode.is_due(Millis(60_000)),
            "it has never served: it knows its snapshot alone"
        );
        mode.status(SERVES, Millis(60_000));
        assert!(!mode.is_due(Millis(90_000)));
        mode.status(Status::Looking, Millis(100_000));
        mode.status(Status::Looking, Millis(101_000));
        assert!(!mode.is_due(Millis(101_999)) && mode.is_due(Millis(102_000)));
        mode.on = true;
        assert!(!mode.is_due(Millis(103_000)));
        let follows = Status::Following {
            leader: NodeId(2),
            epoch: Epoch(0),
            serving: false,
        };
        assert!(mode.status(follows, Millis(104_000)) && !mode.is_on());
        assert!(!mode.status(SERVES, Millis(104_001)));
    }

    #[test]
    fn silent_sessions_end() {
        let mut mode = ReadOnly::default();
        let local = |heard| Local {
            password: [1; 16],
            timeout_ms: 500,
            heard: Millis(heard),
        };
        mode.sessions = BTreeMap::from([(SessionId(1), local(0)), (SessionId(2), local(100))]);
        assert_eq!(mode.expired(Millis(500)), []);
        assert_eq!(mode.expired(Millis(501)), [SessionId(1)]);
        assert_eq!(mode.sessions(), 1);
    }
}
