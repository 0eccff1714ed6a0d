//! The answers to commands, as JSON with ZooKeeper's keys. Long lists are written as they are walked, not gathered first.

use super::Question;
use super::commands::{Command, What};
use crate::config::Member;
use crate::request::SessionId;
use crate::server::engine::Engine;
use crate::server::event::ConnectionId;
use crate::server::facts::environment;
use crate::server::metrics::{monitor_json, of_the_process, prometheus_text};
use crate::server::pipeline::Client;
use crate::server::words::{NOT_SERVING, VERSION};
use crate::tree::{Checkpoint, Digest};
use crate::warn::Alert;
use crate::watches::Watcher;
use crate::zab::{Epoch, Status};
use axum::body::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

/// What a command says, and ZooKeeper's two keys after it.
#[derive(Serialize)]
struct Answer<'a, T> {
    #[serde(flatten)]
    data: T,
    command: &'a str,
    error: Option<&'a str>,
}

fn write<T: Serialize>(command: &str, error: Option<&str>, data: T) -> Bytes {
    let answer = Answer {
        data,
        command,
        error,
    };
    let json =
        serde_json::to_vec_pretty(&answer).expect("keys are text, and a Vec takes everything");
    json.into()
}

/// A list that is made while it is written.
struct List<F>(F);

impl<I: IntoIterator<Item: Serialize>, F: Fn() -> I> Serialize for List<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// An object with one key, whose value is an object that is made while it is written.
struct Table<F>(&'static str, F);

impl<K: Serialize, V: Serialize, I: IntoIterator<Item = (K, V)>, F: Fn() -> I> Serialize
    for Table<F>
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Inner<'a, F>(&'a F);
        impl<K: Serialize, V: Serialize, I: IntoIterator<Item = (K, V)>, F: Fn() -> I> Serialize
            for Inner<'_, F>
        {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map((self.0)())
            }
        }
        serializer.collect_map([(self.0, Inner(&self.1))])
    }
}

impl Engine {
    /// All clients over TLS, or all others.
    fn clients_over(&self, tls: bool) -> impl Iterator<Item = &Client> {
        let all = self.clients.all().into_iter().map(|(_, client)| client);
        all.filter(move |client| client.link.secure == tls)
    }

    /// The answer to a question of the admin server.
    pub(in crate::server) fn answer(&mut self, question: Question) -> Bytes {
        match question {
            Question::Metrics => {
                let mut readings = self.readings();
                readings.extend(of_the_process());
                prometheus_text(&readings).into()
            }
            Question::Command(name) => match Command::named(&name) {
                None => write(&name, Some(&format!("Unknown command: {name}")), Map::new()),
                Some(command) if command.needs_service && !self.serves_anybody() => {
                    write(command.name(), Some(NOT_SERVING.trim_end()), Map::new())
                }
                Some(command) => self.run_command(command),
            },
        }
    }

    fn run_command(&mut self, command: &Command) -> Bytes {
        let name = command.name();
        let ok = |data: Value| write(name, None, data);
        match command.what {
            What::Alerts => {
                let alerts: Vec<Value> = self.lookout.alerts().iter().map(Alert::json).collect();
                ok(json!({ "alerts": alerts }))
            }
            What::Configuration => ok(self.configuration()),
            What::ConnectionStatReset => {
                self.clients.reset_traffic();
                ok(json!({}))
            }
            What::Connections => {
                let connections = List(|| self.clients_over(false).map(whole));
                let secure_connections = List(|| self.clients_over(true).map(whole));
                let lists = Connections {
                    connections,
                    secure_connections,
                };
                write(name, None, lists)
            }
            What::Dirs => {
                let (snapshots, log) = self.sizes_on_disk();
                ok(json!({ "datadir_size": snapshots, "logdir_size": log }))
            }
            What::Dump => self.dumped(name),
            What::Environment => ok(environment().into_iter().collect::<Map<_, _>>().into()),
            What::TraceMask => write(
                name,
                Some("there are no trace masks: RUST_LOG chooses what is logged"),
                Map::new(),
            ),
            What::Hash => {
                let digest = |at: &Checkpoint| json!({ "digest": at.digest.value() as i64, "digestVersion": Digest::VERSION, "zxid": at.zxid.0 as i64 });
                ok(json!({ "digests": self.digests.kept().map(digest).collect::<Vec<_>>() }))
            }
            What::InitialConfiguration => ok(json!({ "initial_configuration": null })),
            What::IsReadOnly => ok(json!({ "read_only": self.is_read_only() })),
            What::LastSnapshot => ok(self.last_snapshot()),
            What::Leader => self.who_leads(name),
            What::Monitor => write(name, None, monitor_json(&self.readings())),
            What::ObserverConnectionStatReset | What::Ruok => ok(json!({})),
            What::Observers => ok(self.observers()),
            What::ServerStats => write(name, None, self.server_stats()),
            What::Stats => {
                let short = |client: &Client| Value::Object(brief(client));
                let connections = List(|| self.clients_over(false).map(short));
                let secure_connections = List(|| self.clients_over(true).map(short));
                let data = Stats {
                    stats: self.server_stats(),
                    lists: Connections {
                        connections,
                        secure_connections,
                    },
                };
                write(name, None, data)
            }
            What::StatReset => {
                self.reset_statistics();
                ok(json!({}))
            }
            What::SystemProperties => write(
                name,
                Some("there are no system properties: see configuration"),
                Map::new(),
            ),
            What::VotingView => ok(self.voting_view()),
            What::WatchSummary => {
                let watches = &self.clients.watches;
                ok(json!({
                    "num_connections": watches.watcher_count(),
                    "num_paths": watches.path_count(),
                    "num_total_watches": watches.len(),
                }))
            }
            What::Watches => {
                let watches = self.clients.watches.by_watcher();
                let by_session = || {
                    watches
                        .iter()
                        .map(|(watcher, paths)| (self.watching(*watcher).0, paths))
                };
                write(name, None, Table("session_id_to_watched_paths", by_session))
            }
            What::WatchesByPath => {
                let watches = self.clients.watches.by_path();
                let sessions = |watchers: &[Watcher]| -> Vec<i64> {
                    watchers
                        .iter()
                        .map(|watcher| self.watching(*watcher).0)
                        .collect()
                };
                let by_path = || {
                    watches
                        .iter()
                        .map(|(path, watchers)| (path, sessions(watchers)))
                };
                write(name, None, Table("path_to_session_ids", by_path))
            }
            What::ZabState => ok(self.zab_state()),
        }
    }

    fn watching(&self, watcher: Watcher) -> SessionId {
        self.clients
            .session(ConnectionId(watcher.0))
            .unwrap_or(SessionId::NONE)
    }

    fn configuration(&self) -> Value {
        let (config, limits) = (&self.config, &self.config.limits);
        json!({
            "client_port": self.client_address().port(),
            "data_dir": config.data_dir.display().to_string(),
            "data_log_dir": config.data_dir.display().to_string(),
            "tick_time": config.told_ticks().tick_ms,
            "max_client_cnxns": limits.connections_per_address,
            "min_session_timeout": limits.session_timeout_min_ms,
            "max_session_timeout": limits.session_timeout_max_ms,
            "server_id": config.id.0,
            "client_port_listen_backlog": -1,
        })
    }

    /// Only the leader knows when sessions expire.
    fn dumped(&self, name: &str) -> Bytes {
        #[derive(Serialize)]
        struct Dumped<A, B> {
            #[serde(flatten)]
            expiring: A,
            #[serde(flatten)]
            ephemerals: B,
        }
        let expiring = || {
            let sets = self
                .leader
                .iter()
                .flat_map(|leader| leader.sessions.by_expiry());
            sets.map(|(at, ids)| (at.0, ids))
        };
        let ephemerals = || {
            let owners = self
                .tree
                .sessions()
                .filter(|(_, session)| !session.ephemerals.is_empty());
            owners.map(|(id, session)| (id.0, &session.ephemerals))
        };
        let data = Dumped {
            expiring: Table("expiry_time_to_session_ids", expiring),
            ephemerals: Table("session_id_to_ephemeral_paths", ephemerals),
        };
        write(name, None, data)
    }

    fn last_snapshot(&self) -> Value {
        match self.newest_snapshot() {
            Some((zxid, seconds)) => {
                json!({ "zxid": format!("{:x}", zxid.0), "timestamp": seconds })
            }
            None => json!({ "zxid": format!("{:x}", -1i64), "timestamp": -1 }),
        }
    }

    fn who_leads(&self, name: &str) -> Bytes {
        let leader = match self.status {
            Status::Leading { .. } => self.config.id,
            Status::Following { leader, .. } => leader,
            Status::Looking => return write(name, Some("server is not initialized"), Map::new()),
        };
        let servers = self.servers();
        let ip = servers
            .get(&leader)
            .map(|member| member.peer_address.host().to_owned());
        let data = json!({
            "is_leader": leader == self.config.id,
            "leader_id": leader.0,
            "leader_ip": ip.unwrap_or_default(),
        });
        write(name, None, data)
    }

    fn observers(&self) -> Value {
        let (learners, servers) = (self.replica.learners(), self.servers());
        let observers: Vec<Value> = learners
            .iter()
            .filter(|learner| !learner.votes && learner.synced)
            .map(|learner| {
                let address = servers
                    .get(&learner.id)
                    .map(|member| member.peer_address.to_string());
                json!({ "remote_socket_address": address, "sid": learner.id.0 })
            })
            .collect();
        json!({ "synced_observers": observers.len(), "observers": observers })
    }

    fn server_stats(&self) -> Map<String, Value> {
        let (metrics, latency, sizes) = (
            &self.metrics,
            self.metrics.latency.read(),
            &self.clients.response_sizes,
        );
        let (data_dir_size, log_dir_size) = self.sizes_on_disk();
        let buffers = |sizes: &crate::server::metrics::Sizes| {
            json!({
                "last_buffer_size": sizes.last,
                "min_buffer_size": sizes.min,
                "max_buffer_size": sizes.max,
            })
        };
        let average = (latency.average() * 10.0).round() / 10_000.0;
        let stats = json!({
            "packets_sent": metrics.packets_sent.get(),
            "packets_received": metrics.packets_received.get(),
            "fsync_threshold_exceed_count": metrics.slow_syncs.get(),
            "client_response_stats": buffers(sizes),
            "provider_null": false,
            "server_state": self.mode(),
            "outstanding_requests": self.clients.outstanding(),
            "min_latency": latency.min / 1000,
            "avg_latency": average,
            "max_latency": latency.max / 1000,
            "data_dir_size": data_dir_size,
            "log_dir_size": log_dir_size,
            "last_processed_zxid": self.tree.zxid().0,
            "num_alive_client_connections": self.clients.len(),
            "uptime": self.now.0,
            "auth_failed_count": metrics.auth_failed.get(),
            "non_mtlsremote_conn_count": metrics.remote_connections.get(),
            "non_mtlslocal_conn_count": metrics.local_connections.get(),
        });
        let mut all = Map::new();
        all.insert("version".into(), VERSION.into());
        all.insert("read_only".into(), self.is_read_only().into());
        all.insert("server_stats".into(), stats);
        all.insert("client_response".into(), buffers(sizes));
        if self.leader.is_some() {
            all.insert(
                "proposal_stats".into(),
                buffers(&self.passing.proposal_sizes),
            );
        }
        all.insert("node_count".into(), self.node_count().into());
        all
    }

    fn voting_view(&self) -> Value {
        let (servers, voters) = (self.servers(), self.replica.view().voters());
        let view = |member: &Member| {
            let client = member.client_address.as_ref();
            json!({
                "server_addresses": [member.peer_address.to_string()],
                "election_addresses": [member.election_address().to_string()],
                "client_address": client.map(ToString::to_string).unwrap_or_default(),
                "learner_type": member.role.word(),
            })
        };
        let members = servers
            .values()
            .filter(|member| voters.contains(&member.id));
        let view: Map<String, Value> = members
            .map(|member| (member.id.to_string(), view(member)))
            .collect();
        json!({ "current_config": view })
    }

    fn zab_state(&self) -> Value {
        let zxid = self.tree.zxid();
        let state = match self.status {
            Status::Looking => "election",
            status if status.serving() => "broadcast",
            Status::Following { epoch, .. } | Status::Leading { epoch, .. }
                if epoch == Epoch(0) =>
            {
                "discovery"
            }
            _ => "synchronization",
        };
        let peers = self.home.peers.now();
        let elections = SocketAddr::new(peers.ip(), self.election_port());
        json!({
            "myid": self.config.id.0,
            "is_leader": self.status.leads(),
            "quorum_address": addresses(peers),
            "election_address": addresses(elections),
            "client_address": self.client_address().to_string(),
            "voting": self.replica.is_voter(),
            "last_zxid": zxid.to_string(),
            "zab_epoch": zxid.epoch().0,
            "zab_counter": zxid.counter(),
            "zabstate": state,
        })
    }
}

/// A server of ZooKeeper may have several addresses for one purpose; ours has one.
fn addresses(address: SocketAddr) -> Value {
    let (text, host) = (address.to_string(), address.ip().to_string());
    let anywhere = match address {
        SocketAddr::V4(_) => format!("0.0.0.0:{}", address.port()),
        SocketAddr::V6(_) => format!("[::]:{}", address.port()),
    };
    json!({
        "empty": false,
        "all_addresses": [text],
        "all_reachable_addresses": [text],
        "one": text,
        "reachable_address": text,
        "wildcard_addresses": [anywhere],
        "all_ports": [address.port()],
        "all_host_strings": [host],
        "all_reachable_addresses_or_all": [text],
        "reachable_or_one": text,
    })
}

#[derive(Serialize)]
struct Connections<L, S> {
    connections: L,
    secure_connections: S,
}

#[derive(Serialize)]
struct Stats<L, S> {
    #[serde(flatten)]
    stats: Map<String, Value>,
    #[serde(flatten)]
    lists: Connections<L, S>,
}

fn brief(client: &Client) -> Map<String, Value> {
    let all = json!({
        "remote_socket_address": client.link.address.to_string(),
        // Its interest is always to read.
        "interest_ops": 1,
        "outstanding_requests": client.outstanding(),
        "packets_received": client.traffic.received,
        "packets_sent": client.traffic.sent,
    });
    match all {
        Value::Object(map) => map,
        _ => unreachable!("it is an object"),
    }
}

fn whole(client: &Client) -> Map<String, Value> {
    let (mut all, latency) = (brief(client), &client.traffic.latency);
    let (name, xid, zxid, at, took) = match client.traffic.last {
        Some((name, xid, zxid, at, took)) => (name, xid.into(), zxid.0 as i64, at.0, took),
        None => ("NA", -1i64, -1, 0, 0),
    };
    let mut put = |key: &str, value: Value| all.insert(key.into(), value);
    put(
        "session_id",
        client.session().unwrap_or(SessionId::NONE).0.into(),
    );
    put("last_operation", name.into());
    put("established", client.established_ms.into());
    put("session_timeout", client.timeout_ms.into());
    put("last_cxid", xid.into());
    put("last_zxid", zxid.into());
    put("last_response_time", at.into());
    put("last_latency", took.into());
    put("min_latency", latency.min.into());
    put("avg_latency", (latency.average().round() as u64).into());
    put("max_latency", latency.max.into());
    all
}
