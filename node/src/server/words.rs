//! The four-letter words, in the shape that ZooKeeper's tools read.

use super::engine::Engine;
use super::facts::environment;
use super::metrics::{java_float, mntr_lines};
use crate::jute::Word;
use crate::zab::Status;
use std::fmt::{Arguments, Display, Write};

/// The version of ZooKeeper whose protocol is spoken, and ours.
pub(super) const VERSION: &str = concat!(
    "3.8.0-keelhaul-",
    env!("CARGO_PKG_VERSION"),
    ", built on unknown"
);

pub(super) const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

impl Engine {
    /// The answer to a four-letter word.
    pub(super) fn word(&mut self, word: Word) -> String {
        let word = word.as_str();
        let answered = self.config.admin.answers(word);
        // Tracing masks and digests in the history are Apache's own.
        if !answered || matches!(word, "gtmk" | "stmk" | "hash") {
            return format!("{word} is not executed because it is not in the whitelist.\n");
        }
        match word {
            "ruok" => "imok".into(),
            "isro" if self.is_read_only() => "ro".into(),
            "isro" => if self.status.serving() { "rw" } else { "null" }.into(),
            "conf" => self.conf(),
            "envi" => envi(),
            "warn" => self.warn(),
            _ if !self.serves_anybody() => NOT_SERVING.into(),
            "srvr" => self.srvr(None),
            "stat" => self.srvr(Some(self.clients_in_short())),
            "mntr" => mntr_lines(&self.readings()),
            "dirs" => self.dirs(),
            "cons" => self.cons(),
            "dump" => self.dump(),
            "wchs" => self.watches_in_short(),
            "wchp" => self.watches_by_path(),
            "wchc" => self.watches_by_session(),
            "crst" => {
                self.clients.reset_traffic();
                "Connection stats reset.\n".into()
            }
            "srst" => {
                self.reset_statistics();
                "Server stats reset.\n".into()
            }
            other => unreachable!("{other} is none of the words"),
        }
    }

    /// What this server is, as ZooKeeper calls it.
    pub(super) fn mode(&self) -> &'static str {
        match self.status {
            _ if self.is_read_only() => "read-only",
            Status::Leading { .. } if self.is_standalone() => "standalone",
            Status::Leading { .. } => "leader",
            _ if self.replica.is_voter() => "follower",
            _ => "observer",
        }
    }

    /// One server that was never meant to be more, as its file and its log say.
    fn is_standalone(&self) -> bool {
        self.config.members.len() == 1 && self.servers().len() == 1
    }

    /// The number of znodes as ZooKeeper tells it: it counts the root twice, by its names "" and "/".
    pub(super) fn node_count(&self) -> usize {
        self.tree.znode_count() + 1
    }

    fn srvr(&self, clients: Option<String>) -> String {
        let latency = self.metrics.latency.read();
        let (ms, clients) = (|us: u64| us / 1000, clients.unwrap_or_default());
        let mut warnings = String::new();
        if self.is_read_only() {
            warnings.push_str("READ-ONLY mode; serving only read-only clients\n");
        }
        if let Some(version) = self.outside_of() {
            let line = format_args!("NOT A MEMBER of the configuration of version {version}\n");
            put(&mut warnings, line);
        }
        let mut out = format!(
            "Zookeeper version: {VERSION}\n{warnings}{clients}\
             Latency min/avg/max: {}/{}/{}\n\
             Received: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {}\nMode: {}\nNode count: {}\n",
            ms(latency.min),
            java_float(latency.average() / 1000.0),
            ms(latency.max),
            self.metrics.packets_received.get(),
            self.metrics.packets_sent.get(),
            self.clients.len(),
            self.clients.outstanding(),
            self.tree.zxid(),
            self.mode(),
            self.node_count(),
        );
        if self.mode() == "leader" {
            let sizes = &self.passing.proposal_sizes;
            put(
                &mut out,
                format_args!(
                    "Proposal sizes last/min/max: {}/{}/{}\n",
                    sizes.last, sizes.min, sizes.max
                ),
            );
        }
        out
    }

    /// Whether clients are served, be it for reading alone.
    pub(super) fn serves_anybody(&self) -> bool {
        self.status.serving() || self.is_read_only()
    }

    /// Whether clients are served for reading alone.
    pub(super) fn is_read_only(&self) -> bool {
        self.read_only.is_on()
    }

    /// Begins all that is counted anew.
    pub(super) fn reset_statistics(&mut self) {
        self.clients.reset_totals();
        self.passing.reset();
    }

    fn conf(&self) -> String {
        let (config, mut out) = (&self.config, String::new());
        let ticks = config.told_ticks();
        let (snapshots, log) = self.sizes_on_disk();
        let secure = config.tls.clients.as_ref();
        let secure = secure.map_or("-1".into(), |clients| clients.address.port().to_string());
        let dir = config.data_dir.display();
        let limits = &config.limits;
        let mut line =
            |key: &str, value: &dyn Display| put(&mut out, format_args!("{key}={value}\n"));
        line("clientPort", &self.client_address().port());
        line("secureClientPort", &secure);
        line("dataDir", &dir);
        line("dataDirSize", &snapshots);
        line("dataLogDir", &dir);
        line("dataLogSize", &log);
        line("tickTime", &ticks.tick_ms);
        line("maxClientCnxns", &limits.connections_per_address);
        line("minSessionTimeout", &limits.session_timeout_min_ms);
        line("maxSessionTimeout", &limits.session_timeout_max_ms);
        line("clientPortListenBacklog", &-1);
        line("serverId", &config.id);
        if self.is_standalone() {
            return out;
        }
        let servers = self.servers();
        line("initLimit", &ticks.init_limit);
        line("syncLimit", &ticks.sync_limit);
        line("electionAlg", &3);
        line("electionPort", &self.election_port());
        line("quorumPort", &self.home.peers.now().port());
        line("peerType", &usize::from(!self.replica.is_voter()));
        out.push_str("membership: \n");
        out.push_str(&crate::ensemble::text(&servers));
        let version = self.replica.view().version.0;
        put(&mut out, format_args!("version={version:x}"));
        out
    }

    fn dirs(&self) -> String {
        let (snapshots, log) = self.sizes_on_disk();
        format!("datadir_size: {snapshots}\nlogdir_size: {log}\n")
    }
}

pub(super) fn put(out: &mut String, text: Arguments<'_>) {
    out.write_fmt(text).expect("a String takes every text");
}

fn envi() -> String {
    let mut out = String::from("Environment:\n");
    for (key, value) in environment() {
        put(
            &mut out,
            format_args!("{key}={}\n", value.as_str().unwrap_or_default()),
        );
    }
    out
}
