//! Clients' events: connects, reconnects, requests.

use super::Micros;
use super::engine::Engine;
use super::event::ConnectionId;
use super::forward::Upward;
use super::outbox::ClientLink;
use super::pipeline::{Client, Stage, Waiting};
use crate::jute::{ConnectRequest, Operation, Request};
use crate::request::{ErrorCode, Id, Identity, SessionId, Write};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use rand::Rng;

impl Engine {
    /// A client's first frame: a new session, or one that goes on here.
    pub(super) fn connect(&mut self, id: ConnectionId, link: ClientLink, request: ConnectRequest) {
        if self.read_only.is_on() {
            self.metrics.connection_request_count.inc();
            return self.connect_read_only(id, link, &request);
        }
        if !self.status.serving() {
            self.metrics.cnxn_closed_without_zk_server_running.inc();
            tracing::debug!(client = %link.address, "refused: not serving");
            return;
        }
        if request.last_zxid_seen > self.tree.zxid().0 as i64 {
            // Serving it here would take its session back in time.
            let (seen, ours) = (request.last_zxid_seen, self.tree.zxid());
            if let Some(times) = self
                .ahead
                .about(link.address.ip(), std::time::Instant::now())
            {
                tracing::info!(client = %link.address, times, "refused: it has seen 0x{seen:x}, and this server {ours}; not said again for a minute");
            }
            return;
        }
        self.metrics.connection_request_count.inc();
        if request.session != 0 {
            self.metrics.connection_revalidate_count.inc();
        }
        let limits = &self.config.limits;
        let timeout_ms = request
            .timeout_ms
            .clamp(limits.session_timeout_min_ms, limits.session_timeout_max_ms);
        let identity = self.identity_of(&link);
        self.clients.insert(
            id,
            Client::new(
                link,
                identity.clone(),
                SessionId(request.session),
                timeout_ms,
                request.read_only.map(|_| false),
            ),
        );
        let number = self.next_number(id);
        let question = if request.session == 0 {
            let mut password = [0; 16];
            self.random.fill_bytes(&mut password);
            let write = Write::OpenSession {
                timeout_ms,
                password,
            };
            Upward::Write {
                number,
                session: SessionId::NONE,
                cxid: 0,
                identity,
                write,
            }
        } else {
            // A password of another length is none of ours; an empty one is never right either.
            let password = request.password.as_ref().try_into().unwrap_or_default();
            Upward::Revalidate {
                number,
                session: SessionId(request.session),
                password,
            }
        };
        self.submit(question);
    }

    /// Who a client is before it has shown anything in a request.
    pub(super) fn identity_of(&self, link: &ClientLink) -> Identity {
        let mut identity = Identity::at(link.address.ip());
        let Some(subject) = &link.subject else {
            return identity;
        };
        let clients = self.config.tls.clients.as_ref();
        let id = |scheme: &str| Id {
            scheme: scheme.into(),
            id: subject.clone(),
        };
        if clients.and_then(|clients| clients.super_subject.as_ref()) == Some(subject) {
            identity.add(id("super"));
        }
        identity.add(id("x509"));
        identity
    }

    fn next_number(&mut self, id: ConnectionId) -> u64 {
        self.number += 1;
        self.clients.ask(self.number, id);
        self.number
    }

    /// The session that a client asked for is open.
    pub(super) fn session_opened(&mut self, id: ConnectionId, session: SessionId) {
        let Some(password) = self.tree.session(session).map(|session| session.password) else {
            return;
        };
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let (timeout_ms, flag) = (client.timeout_ms, client.read_only_flag);
        client
            .replies()
            .connected(session, timeout_ms, &password, flag);
        self.metrics.packets_sent.inc();
        tracing::debug!(client = %client.link.address, %session, timeout_ms, "session");
        let held = match std::mem::replace(&mut client.stage, Stage::Open(session)) {
            Stage::Connecting { held, .. } => held,
            Stage::Open(_) => Vec::new(),
        };
        self.clients.opened(id, session);
        self.clients.touch(id);
        self.requests(id, held, self.at);
    }

    /// The leader's word on a session that wants to go on here.
    pub(super) fn revalidated(&mut self, number: u64, timeout_ms: Option<i32>) {
        let Some(id) = self.clients.asker(number) else {
            return;
        };
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let Stage::Connecting { wanted, .. } = client.stage else {
            return;
        };
        match timeout_ms {
            // The session's opening was committed before the leader answered, so it is known here, unless it was
            // closed meanwhile.
            Some(timeout_ms) if self.tree.session(wanted).is_some() => {
                client.timeout_ms = timeout_ms;
                self.session_opened(id, wanted);
            }
            _ => {
                let flag = client.read_only_flag;
                client
                    .replies()
                    .connected(SessionId::NONE, 0, &[0; 16], flag);
                self.clients.close(id);
            }
        }
    }

    /// A client's further frames.
    pub(super) fn requests(&mut self, id: ConnectionId, mut requests: Vec<Request>, came: Micros) {
        let session = match self.clients.get(id).map(|client| &mut client.stage) {
            None => return,
            Some(Stage::Connecting { held, .. }) => return held.append(&mut requests),
            Some(Stage::Open(session)) => *session,
        };
        if self.read_only.is_on() {
            self.touch_local(session);
        } else {
            self.touched.insert(session);
        }
        self.clients.keep(id, requests, came);
        self.pump(id);
    }

    /// Answers a client what can be answered, and begins what can be begun, until neither goes on.
    pub(super) fn pump(&mut self, id: ConnectionId) {
        loop {
            self.clients.pump(id, &self.tree, self.now, self.at);
            let Some((session, request, came)) = self.clients.next(id) else {
                return;
            };
            self.request(id, session, request, came);
            while let Some((session, request, came)) = self.clients.next(id) {
                self.request(id, session, request, came);
            }
        }
    }

    fn request(&mut self, id: ConnectionId, session: SessionId, request: Request, came: Micros) {
        if self.read_only.is_on() {
            return self.request_read_only(id, session, request, came);
        }
        let Request { xid, operation } = request;
        let (waiting, question) = match operation {
            Operation::Read(read) => (Waiting::Read(read), None),
            Operation::Watch(request) => (Waiting::Watch(request), None),
            Operation::Ping => (Waiting::Ping, None),
            Operation::Unknown(_) => (Waiting::Unimplemented, None),
            Operation::Auth { scheme, shown } => (Waiting::Auth { scheme, shown }, None),
            Operation::Sasl(token) => (self.sasl(token), None),
            Operation::Malformed => (Waiting::Malformed, None),
            Operation::Write(..) if !self.is_believed(id) => {
                (Waiting::Refused(ErrorCode::AuthRequired), None)
            }
            Operation::Write(write, kind) => {
                let Some(identity) = self.clients.identity(id) else {
                    return;
                };
                let number = self.next_number(id);
                let question = Upward::Write {
                    number,
                    session,
                    cxid: xid,
                    identity,
                    write,
                };
                (
                    Waiting::Write {
                        number,
                        kind,
                        done: None,
                    },
                    Some(question),
                )
            }
            Operation::Sync(path) if self.syncs_locally() => (
                Waiting::Sync {
                    number: 0,
                    path,
                    zxid: Some(self.tree.zxid()),
                },
                None,
            ),
            Operation::Sync(path) => {
                let number = self.next_number(id);
                (
                    Waiting::Sync {
                        number,
                        path,
                        zxid: None,
                    },
                    Some(Upward::Sync { number }),
                )
            }
        };
        self.clients.enqueue(id, xid, waiting, came);
        if let Some(question) = question {
            self.submit(question);
        }
    }

    /// The client's next token of SASL, and a nonce in case that it is the first.
    pub(super) fn sasl(&mut self, token: Bytes) -> Waiting {
        let mut nonce = [0; 18];
        self.random.fill_bytes(&mut nonce);
        let nonce = STANDARD.encode(nonce);
        Waiting::Sasl { token, nonce }
    }

    /// Whether the client has shown what it must have shown before it is served.
    fn is_believed(&mut self, id: ConnectionId) -> bool {
        let Some(client) = self.clients.get(id) else {
            return false;
        };
        client.is_believed(&self.config.security)
    }

    #[cfg(feature = "bugs")]
    fn syncs_locally(&self) -> bool {
        self.bug == Some(crate::zab::Bug::StaleSync)
    }

    #[cfg(not(feature = "bugs"))]
    fn syncs_locally(&self) -> bool {
        false
    }
}
