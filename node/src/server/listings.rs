//! The four-letter words whose answer is a list: connections, sessions, watches. All in order.

use super::engine::Engine;
use super::event::ConnectionId;
use super::lookout::wall_clock;
use super::pipeline::Client;
use super::words::put;
use crate::request::SessionId;
use crate::warn::Wall;
use crate::watches::Watcher;
use chrono::DateTime;

impl Engine {
    pub(super) fn clients_in_short(&self) -> String {
        let mut out = String::from("Clients:\n");
        for (_, client) in self.clients.all() {
            put(&mut out, format_args!("{})\n", in_short(client)));
        }
        out.push('\n');
        out
    }

    pub(super) fn cons(&self) -> String {
        let mut out = String::new();
        for (_, client) in self.clients.all() {
            out.push_str(&in_short(client));
            if let Some(session) = client.session() {
                put_session(&mut out, session, client);
            }
            out.push_str(")\n");
        }
        out.push('\n');
        out
    }

    /// Only the leader knows when sessions expire.
    pub(super) fn dump(&self) -> String {
        let mut out = String::from("SessionTracker dump:\n");
        if let Some(leader) = &self.leader {
            let sets = leader.sessions.by_expiry();
            let all = self.tree.sessions().count();
            put(
                &mut out,
                format_args!("Session Sets ({})/({all}):\n", sets.len()),
            );
            for (at, ids) in sets {
                let (left, now) = (at.since(self.now), wall_clock());
                let at = java_date(Wall(now.0 + 1000 * left as i64));
                put(&mut out, format_args!("{} expire at {at}:\n", ids.len()));
                for id in ids {
                    put(&mut out, format_args!("\t{id}\n"));
                }
            }
        } else {
            let count = self.tree.sessions().count();
            put(&mut out, format_args!("Global Sessions({count}):\n"));
            for (id, session) in self.tree.sessions() {
                let timeout_ms = session.timeout_ms;
                put(&mut out, format_args!("{id}\t{timeout_ms}ms\n"));
            }
        }
        self.put_ephemerals(&mut out);
        out.push_str("Connections dump:\n");
        for (_, client) in self.clients.all() {
            let session = client.session().unwrap_or(SessionId::NONE);
            put(
                &mut out,
                format_args!("\tip: /{} sessionId: {session}\n", client.link.address),
            );
        }
        out
    }

    fn put_ephemerals(&self, out: &mut String) {
        let owners: Vec<_> = self
            .tree
            .sessions()
            .filter(|(_, session)| !session.ephemerals.is_empty())
            .collect();
        put(
            out,
            format_args!(
                "ephemeral nodes dump:\nSessions with Ephemerals ({}):\n",
                owners.len()
            ),
        );
        for (id, session) in owners {
            put(out, format_args!("{id}:\n"));
            for path in &session.ephemerals {
                put(out, format_args!("\t{path}\n"));
            }
        }
    }

    pub(super) fn watches_in_short(&self) -> String {
        let watches = &self.clients.watches;
        format!(
            "{} connections watching {} paths\nTotal watches:{}\n",
            watches.watcher_count(),
            watches.path_count(),
            watches.len()
        )
    }

    pub(super) fn watches_by_path(&self) -> String {
        let mut out = String::new();
        for (path, watchers) in self.clients.watches.by_path() {
            put(&mut out, format_args!("{path}\n"));
            for watcher in watchers {
                put(&mut out, format_args!("\t{}\n", self.session_of(watcher)));
            }
        }
        out.push('\n');
        out
    }

    pub(super) fn watches_by_session(&self) -> String {
        let mut out = String::new();
        for (watcher, paths) in self.clients.watches.by_watcher() {
            put(&mut out, format_args!("{}\n", self.session_of(watcher)));
            for path in paths {
                put(&mut out, format_args!("\t{path}\n"));
            }
        }
        out.push('\n');
        out
    }

    fn session_of(&self, watcher: Watcher) -> SessionId {
        self.clients
            .session(ConnectionId(watcher.0))
            .unwrap_or(SessionId::NONE)
    }
}

/// What a connection's line has of its session.
fn put_session(out: &mut String, session: SessionId, client: &Client) {
    let (latency, last) = (&client.traffic.latency, client.traffic.last);
    let name = last.map_or("NA", |(name, ..)| name);
    let (established, timeout_ms) = (client.established_ms, client.timeout_ms);
    put(
        out,
        format_args!(",sid={session},lop={name},est={established},to={timeout_ms}"),
    );
    // Pings and events have numbers below zero.
    if let Some((_, xid, ..)) = last.filter(|(_, xid, ..)| *xid >= 0) {
        put(out, format_args!(",lcxid=0x{xid:x}"));
    }
    let (zxid, at, took) = last.map_or((u64::MAX, 0, 0), |(_, _, zxid, at, took)| {
        (zxid.0, at.0, took)
    });
    let (min, average, max) = (latency.min, latency.average(), latency.max);
    put(
        out,
        format_args!(
            ",lzxid=0x{zxid:x},lresp={at},llat={took},minlat={min},avglat={average:.0},maxlat={max}"
        ),
    );
}

/// A time as Java prints it.
fn java_date(time: Wall) -> String {
    let time = DateTime::from_timestamp_micros(time.0).unwrap_or_default();
    time.format("%a %b %d %H:%M:%S UTC %Y").to_string()
}

/// As ZooKeeper begins a connection's line: its interest is always to read.
fn in_short(client: &Client) -> String {
    let (queued, traffic) = (client.outstanding(), &client.traffic);
    format!(
        " /{}[1](queued={queued},recved={},sent={}",
        client.link.address, traffic.received, traffic.sent
    )
}
