//! The four-letter words, in the shape that ZooKeeper's tools read.

use super::engine::Engine;
use crate::jute::Word;
use crate::zab::Status;
use std::fmt::Write;

/// The version of ZooKeeper whose protocol is spoken, and ours.
const VERSION: &str = concat!(
    "3.8.0-keelhaul-",
    env!("CARGO_PKG_VERSION"),
    ", built on unknown"
);

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

impl Engine {
    /// The answer to a four-letter word.
    pub(super) fn word(&self, word: Word) -> String {
        match word {
            Word::Ruok => "imok".into(),
            Word::Isro => if self.status.serving() { "rw" } else { "null" }.into(),
            Word::Srvr if self.status.serving() => self.srvr(),
            Word::Mntr if self.status.serving() => self.mntr(),
            Word::Srvr | Word::Mntr => NOT_SERVING.into(),
            Word::Other(word) => {
                format!(
                    "{} is not executed because it is not in the whitelist.\n",
                    String::from_utf8_lossy(&word)
                )
            }
        }
    }

    fn mode(&self) -> &'static str {
        match self.status {
            Status::Leading { .. } => "leader",
            _ => "follower",
        }
    }

    fn average_latency(&self) -> f64 {
        let latency = &self.clients.latency;
        if latency.count == 0 {
            0.0
        } else {
            latency.sum as f64 / latency.count as f64
        }
    }

    fn srvr(&self) -> String {
        let (latency, average) = (&self.clients.latency, self.average_latency());
        format!(
            "Zookeeper version: {VERSION}\n\
             Latency min/avg/max: {}/{average:.1}/{}\n\
             Received: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {}\nMode: {}\nNode count: {}\n",
            latency.min,
            latency.max,
            self.clients.received,
            latency.count,
            self.clients.len(),
            self.clients.outstanding(),
            self.tree.zxid(),
            self.mode(),
            self.tree.znode_count(),
        )
    }

    fn mntr(&self) -> String {
        let latency = &self.clients.latency;
        let mut out = String::new();
        let mut line = |key: &str, value: String| {
            writeln!(out, "zk_{key}\t{value}").expect("a String takes every text");
        };
        line("version", VERSION.into());
        line("server_state", self.mode().into());
        line("avg_latency", format!("{:.1}", self.average_latency()));
        line("min_latency", latency.min.to_string());
        line("max_latency", latency.max.to_string());
        line("packets_received", self.clients.received.to_string());
        line("packets_sent", latency.count.to_string());
        line("num_alive_connections", self.clients.len().to_string());
        line(
            "outstanding_requests",
            self.clients.outstanding().to_string(),
        );
        line("znode_count", self.tree.znode_count().to_string());
        line("watch_count", self.clients.watches.len().to_string());
        line("ephemerals_count", self.tree.ephemeral_count().to_string());
        line("approximate_data_size", self.tree.data_bytes().to_string());
        line("global_sessions", self.tree.sessions().count().to_string());
        line("uptime", self.now.0.to_string());
        if self.leader.is_some() {
            line("quorum_size", self.config.members.len().to_string());
            line("connected_peers", self.peers.len().to_string());
        }
        out
    }
}
