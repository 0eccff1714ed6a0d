//! What is not counted but looked up when somebody asks, and all readings together, in ZooKeeper's order of kinds.

use super::{Reading, Value};
use crate::server::engine::Engine;
use crate::warn::{Alert, Kind, Severity};
use crate::zab::{Learning, Status};

fn reading(name: &'static str, help: &'static str, value: Value) -> Reading {
    Reading { name, help, value }
}

fn whole(name: &'static str, help: &'static str, value: impl TryInto<i64>) -> Reading {
    reading(
        name,
        help,
        Value::Whole(value.try_into().unwrap_or(i64::MAX)),
    )
}

fn word(name: &'static str, help: &'static str, value: impl Into<String>) -> Reading {
    reading(name, help, Value::Word(value.into()))
}

impl Engine {
    /// All that is counted and looked up, as it is now.
    pub(in crate::server) fn readings(&self) -> Vec<Reading> {
        let mut all = vec![
            word(
                "version",
                "The version of ZooKeeper whose protocol is spoken, and ours.",
                crate::server::words::VERSION,
            ),
            word("server_state", "What this server is.", self.mode()),
            word(
                "peer_state",
                "What this server is, and in which phase of the protocol.",
                self.peer_state(),
            ),
        ];
        all.extend(self.server_gauges());
        if let Some(leader) = &self.leader {
            let learners = self.replica.learners();
            let count =
                |wanted: fn(&Learning) -> bool| learners.iter().filter(|one| wanted(one)).count();
            let sizes = &self.passing.proposal_sizes;
            let since = self.passing.leading_since.unwrap_or(self.at);
            all.extend([
                whole(
                    "learners",
                    "Members that follow this leader.",
                    learners.len(),
                ),
                whole(
                    "synced_followers",
                    "Members that vote and are up to date.",
                    count(|one| one.votes && one.synced),
                ),
                whole(
                    "synced_non_voting_followers",
                    "Followers without a vote that are up to date.",
                    0,
                ),
                whole(
                    "synced_observers",
                    "Observers that are up to date.",
                    count(|one| !one.votes && one.synced),
                ),
                whole(
                    "pending_syncs",
                    "Syncs that wait for the leader's confirmation.",
                    leader.pending_syncs(),
                ),
                whole(
                    "leader_uptime",
                    "Milliseconds since this server leads.",
                    self.at.since(since) / 1000,
                ),
                whole(
                    "last_proposal_size",
                    "Bytes of the last proposal.",
                    sizes.last,
                ),
                whole(
                    "min_proposal_size",
                    "Bytes of the shortest proposal.",
                    sizes.min,
                ),
                whole(
                    "max_proposal_size",
                    "Bytes of the longest proposal.",
                    sizes.max,
                ),
            ]);
        }
        let counters = self.metrics.counters();
        all.extend(counters.map(|(name, help, counter)| Reading {
            name,
            help,
            value: Value::Count(counter.get()),
        }));
        let summaries = self.metrics.summaries();
        all.extend(summaries.map(|(name, help, summary)| Reading {
            name,
            help,
            value: Value::Summary(summary.read()),
        }));
        all.push(self.alerts_by_kind());
        let acks: Vec<_> = self
            .passing
            .ack_latency
            .iter()
            .map(|(id, acks)| (id.to_string(), acks.read()))
            .collect();
        if !acks.is_empty() {
            all.push(reading(
                "ack_latency",
                "Milliseconds from a proposal to its acknowledgement, by follower.",
                Value::Summaries(acks),
            ));
        }
        all
    }

    /// The alerts that this server itself says and that stand: over all servers each is counted once.
    fn alerts_by_kind(&self) -> Reading {
        let (me, alerts) = (self.config.id, self.lookout.alerts());
        let count = |kind: Kind, severity: Severity| {
            let stands = |alert: &&Alert| {
                let subject = alert.subject;
                (subject.by, subject.kind, alert.severity) == (me, kind, severity)
                    && alert.cleared_ms.is_none()
            };
            (
                format!("kind=\"{}\",severity=\"{}\"", kind.name(), severity.word()),
                alerts.iter().filter(stands).count() as i64,
            )
        };
        let severities = [Severity::Warning, Severity::Critical];
        let each = Kind::ALL
            .iter()
            .flat_map(|kind| severities.map(|severity| count(*kind, severity)));
        reading(
            "alerts",
            "Alerts of this server that stand, by kind and severity.",
            Value::Labelled(each.collect()),
        )
    }

    fn server_gauges(&self) -> Vec<Reading> {
        let (clients, metrics) = (&self.clients, &self.metrics);
        let latency = metrics.latency.read();
        let sizes = &clients.response_sizes;
        vec![
            reading(
                "avg_latency",
                "Milliseconds from a request's arrival to its answer.",
                Value::Float(latency.average() / 1000.0),
            ),
            whole(
                "min_latency",
                "Milliseconds that the quickest answer took.",
                latency.min / 1000,
            ),
            whole(
                "max_latency",
                "Milliseconds that the slowest answer took.",
                latency.max / 1000,
            ),
            whole(
                "packets_received",
                "Requests received, and four-letter words.",
                metrics.packets_received.get(),
            ),
            whole(
                "packets_sent",
                "Answers and events sent.",
                metrics.packets_sent.get(),
            ),
            whole(
                "num_alive_connections",
                "Client connections.",
                clients.len(),
            ),
            whole(
                "outstanding_requests",
                "Requests without an answer yet.",
                clients.outstanding(),
            ),
            whole(
                "uptime",
                "Milliseconds since this server began to serve.",
                self.now.0,
            ),
            whole("znode_count", "Znodes, the root twice.", self.node_count()),
            whole("watch_count", "Watches.", clients.watches.len()),
            whole(
                "ephemerals_count",
                "Ephemeral znodes.",
                self.tree.ephemeral_count(),
            ),
            whole(
                "approximate_data_size",
                "Bytes of all paths and data.",
                self.tree.data_bytes(),
            ),
            whole(
                "global_sessions",
                "Sessions of the ensemble.",
                self.tree.session_count(),
            ),
            whole(
                "local_sessions",
                "Sessions that only this server knows.",
                self.read_only.sessions(),
            ),
            whole(
                "open_file_descriptor_count",
                "Open file descriptors of this process.",
                open_files(),
            ),
            whole(
                "max_file_descriptor_count",
                "File descriptors that this process may have.",
                most_files(),
            ),
            reading(
                "connection_drop_probability",
                "The chance that a connection is refused to spare the server: it never is.",
                Value::Float(0.0),
            ),
            whole(
                "last_client_response_size",
                "Bytes of the last answer.",
                sizes.last,
            ),
            whole(
                "min_client_response_size",
                "Bytes of the shortest answer.",
                sizes.min,
            ),
            whole(
                "max_client_response_size",
                "Bytes of the longest answer.",
                sizes.max,
            ),
            whole(
                "auth_failed_count",
                "Clients that showed what proves nothing.",
                metrics.auth_failed.get(),
            ),
            whole(
                "non_mtls_local_conn_count",
                "Connections from this host, without TLS, since the start.",
                metrics.local_connections.get(),
            ),
            whole(
                "non_mtls_remote_conn_count",
                "Connections from elsewhere, without TLS, since the start.",
                metrics.remote_connections.get(),
            ),
            whole("outstanding_tls_handshake", "TLS handshakes under way.", 0),
            whole(
                "quorum_size",
                "Members that vote.",
                self.replica.view().members.voters.len(),
            ),
            whole(
                "seats_lent",
                "Voters that observe, because they were away, while an observer votes.",
                self.loans().len(),
            ),
        ]
    }

    /// As ZooKeeper tells its peers' states.
    fn peer_state(&self) -> &'static str {
        match self.status {
            Status::Looking => "looking",
            Status::Following { serving, .. } => match (self.replica.is_voter(), serving) {
                (true, true) => "following - broadcast",
                (true, false) => "following - synchronization",
                (false, true) => "observing - broadcast",
                (false, false) => "observing - synchronization",
            },
            Status::Leading { serving: true, .. } => "leading - broadcast",
            Status::Leading { .. } => "leading - synchronization",
        }
    }
}

/// What the operating system says about this process; nothing where it says nothing.
pub(in crate::server) fn of_the_process() -> Vec<Reading> {
    let mut all = Vec::new();
    if let Some(usage) = Usage::read() {
        all.extend([
            reading(
                "process_cpu_seconds_total",
                "Seconds of processor time that this process has used.",
                Value::Float(usage.cpu_seconds),
            ),
            reading(
                "process_start_time_seconds",
                "When this process started, in seconds since 1970.",
                Value::Float(usage.started),
            ),
            whole(
                "process_resident_memory_bytes",
                "Bytes of this process in memory.",
                usage.resident,
            ),
            whole(
                "process_virtual_memory_bytes",
                "Bytes of this process's address space.",
                usage.virtual_bytes,
            ),
        ]);
    }
    all
}

struct Usage {
    cpu_seconds: f64,
    started: f64,
    resident: u64,
    virtual_bytes: u64,
}

impl Usage {
    fn read() -> Option<Usage> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name, in parentheses, may hold anything; the fields are counted from behind it: state is the third.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let field = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(Usage {
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks,
            started: boot.trim().parse::<f64>().ok()? + field(22)? as f64 / ticks,
            resident: field(24)? * rustix::param::page_size() as u64,
            virtual_bytes: field(23)?,
        })
    }
}

/// -1 where it cannot be told.
fn open_files() -> i64 {
    // One of them is the folder itself, open for reading.
    std::fs::read_dir("/proc/self/fd").map_or(-1, |folder| folder.count() as i64 - 1)
}

fn most_files() -> i64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit
        .current
        .and_then(|most| i64::try_from(most).ok())
        .unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_as_the_operating_system_sees_it() {
        let usage = Usage::read().unwrap();
        assert!(usage.resident > 1 << 20 && usage.virtual_bytes > usage.resident);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let age = now.as_secs_f64() - usage.started;
        assert!((-2.0..86_400.0).contains(&age), "it started {age} s ago");
        assert!(open_files() >= 3 && open_files() < most_files());
    }
}
