//! The configuration file: its keys, defaults and bounds.
//!
//! Reads one file, and nothing else. Every error names the file, the key and what is legal there.

use crate::zab::{Config as ZabConfig, NodeId};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The complete list of keys with comments and defaults, itself a legal configuration.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(
        "cannot read the configuration {path}: {source}; `keelhaul-node --example-config` prints one"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not TOML, a key is unknown or missing, or a value has the wrong type.
    #[error(
        "the configuration {path} cannot be understood:\n{source}`keelhaul-node --example-config` prints every key"
    )]
    Parse {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A value is not legal.
    #[error("the configuration {path} has {key} = {value}: {legal}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What is legal.
        legal: String,
    },
}

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It votes and acknowledges.
    Voter,
}

/// A member of the ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Where the other members reach it.
    pub peer_address: SocketAddr,
    /// Where clients reach it.
    pub client_address: SocketAddr,
    /// What it does.
    #[serde(default = "voter")]
    pub role: Role,
}

fn voter() -> Role {
    Role::Voter
}

/// Delays of the protocol, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// Between two heartbeats.
    pub tick_ms: u64,
    /// How long leader and followers bear silence.
    pub sync_limit_ms: u64,
    /// How long discovery and synchronisation may take.
    pub init_limit_ms: u64,
    /// How long a member waits for a better vote once a majority agrees.
    pub finalize_wait_ms: u64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            tick_ms: 100,
            sync_limit_ms: 1200,
            init_limit_ms: 5000,
            finalize_wait_ms: 50,
        }
    }
}

/// Sizes of the log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Transactions between two snapshots.
    pub snapshot_every: u64,
    /// Bytes at which a log segment is closed.
    pub segment_bytes: u64,
    /// Transactions kept in memory for followers that lag a little.
    pub window: usize,
    /// Transactions read from the log at a time.
    pub read_batch: usize,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            snapshot_every: 100_000,
            segment_bytes: 64 << 20,
            window: 10_000,
            read_batch: 1000,
        }
    }
}

/// Bounds of what clients and peers can make this server hold.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The shortest time-out of a session, in milliseconds.
    pub session_timeout_min_ms: i32,
    /// The longest time-out of a session, in milliseconds.
    pub session_timeout_max_ms: i32,
    /// Client connections at a time.
    pub connections: usize,
    /// Unanswered requests of one connection.
    pub outstanding: usize,
    /// Bytes of answers that one connection may leave unread.
    pub unsent_bytes: usize,
    /// The longest request, in bytes.
    pub frame_bytes: usize,
    /// How long a connection may take to say what it wants, in milliseconds.
    pub greeting_ms: u64,
    /// Bytes that may wait for a peer.
    pub peer_queue_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            session_timeout_min_ms: 500,
            session_timeout_max_ms: 40_000,
            connections: 10_000,
            outstanding: 1000,
            unsent_bytes: 4 << 20,
            frame_bytes: 1 << 20,
            greeting_ms: 10_000,
            peer_queue_bytes: 1 << 30,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: NodeId,
    data_dir: PathBuf,
    client_address: Option<SocketAddr>,
    peer_address: Option<SocketAddr>,
    #[serde(default)]
    members: Vec<Member>,
    #[serde(default)]
    dial: BTreeMap<String, SocketAddr>,
    #[serde(default)]
    timing: Timing,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    limits: Limits,
}

/// A whole, legal configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// This server.
    pub id: NodeId,
    /// Where its disk is.
    pub data_dir: PathBuf,
    /// Where it serves clients.
    pub client_address: SocketAddr,
    /// Where it listens for its peers.
    pub peer_address: SocketAddr,
    /// All members by id, this server among them.
    pub members: BTreeMap<NodeId, Member>,
    /// Where it connects to reach a member, instead of the member's address.
    pub dial: BTreeMap<NodeId, SocketAddr>,
    /// Delays.
    pub timing: Timing,
    /// Sizes of the log.
    pub log: Log,
    /// Bounds.
    pub limits: Limits,
}

impl NodeConfig {
    /// Reads a configuration file.
    pub fn read(path: &Path) -> Result<NodeConfig, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        NodeConfig::parse(path, &text)
    }

    /// Reads a configuration from `text`; `path` is named in errors.
    pub fn parse(path: &Path, text: &str) -> Result<NodeConfig, ConfigError> {
        let file: File = toml::from_str(text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        check(file).map_err(|Illegal { key, value, legal }| ConfigError::Value {
            path: path.to_owned(),
            key,
            value,
            legal,
        })
    }

    /// Where this server connects to reach `member`.
    pub fn dial_address(&self, member: &Member) -> SocketAddr {
        self.dial
            .get(&member.id)
            .copied()
            .unwrap_or(member.peer_address)
    }

    /// The protocol core's part.
    pub fn zab(&self) -> ZabConfig {
        ZabConfig {
            id: self.id,
            voters: self.members.keys().copied().collect(),
            tick: self.timing.tick_ms,
            sync_limit: self.timing.sync_limit_ms,
            init_limit: self.timing.init_limit_ms,
            finalize_wait: self.timing.finalize_wait_ms,
            window: self.log.window,
            snapshot_every: self.log.snapshot_every,
            read_batch: self.log.read_batch,
            #[cfg(feature = "bugs")]
            bug: None,
        }
    }
}

struct Illegal {
    key: String,
    value: String,
    legal: String,
}

fn illegal<T>(
    key: impl Into<String>,
    value: impl ToString,
    legal: impl Into<String>,
) -> Result<T, Illegal> {
    Err(Illegal {
        key: key.into(),
        value: value.to_string(),
        legal: legal.into(),
    })
}

fn check(file: File) -> Result<NodeConfig, Illegal> {
    check_id("id", file.id)?;
    check_numbers(&file)?;
    let members = check_members(&file)?;
    let own = &members[&file.id];
    let (client_address, peer_address) = (
        file.client_address.unwrap_or(own.client_address),
        file.peer_address.unwrap_or(own.peer_address),
    );
    if client_address == peer_address {
        return illegal(
            "client_address",
            client_address,
            "it must differ from peer_address",
        );
    }
    let dial = check_dial(&file, &members)?;
    Ok(NodeConfig {
        id: file.id,
        data_dir: file.data_dir,
        client_address,
        peer_address,
        members,
        dial,
        timing: file.timing,
        log: file.log,
        limits: file.limits,
    })
}

fn check_id(key: &str, id: NodeId) -> Result<(), Illegal> {
    if (1..=63).contains(&id.0) {
        Ok(())
    } else {
        illegal(key, id, "ids are 1 to 63")
    }
}

fn check_members(file: &File) -> Result<BTreeMap<NodeId, Member>, Illegal> {
    if file.members.is_empty() {
        let (Some(client_address), Some(peer_address)) = (file.client_address, file.peer_address)
        else {
            return illegal(
                "members",
                "[]",
                "without members, client_address and peer_address must be given",
            );
        };
        let alone = Member {
            id: file.id,
            peer_address,
            client_address,
            role: Role::Voter,
        };
        return Ok(BTreeMap::from([(file.id, alone)]));
    }
    let (mut members, mut addresses) = (BTreeMap::new(), BTreeSet::new());
    for member in &file.members {
        check_id("members.id", member.id)?;
        if members.insert(member.id, member.clone()).is_some() {
            return illegal(
                "members.id",
                member.id,
                "two members have this id; ids are unique",
            );
        }
        for address in [member.peer_address, member.client_address] {
            if !addresses.insert(address) {
                return illegal(
                    "members",
                    address,
                    "two members or services have this address; addresses are unique",
                );
            }
        }
    }
    if !members.contains_key(&file.id) {
        return illegal("id", file.id, "this server must be one of the members");
    }
    Ok(members)
}

fn check_dial(
    file: &File,
    members: &BTreeMap<NodeId, Member>,
) -> Result<BTreeMap<NodeId, SocketAddr>, Illegal> {
    let mut dial = BTreeMap::new();
    for (key, address) in &file.dial {
        match key.parse().map(NodeId) {
            Ok(id) if id == file.id => {
                return illegal(
                    format!("dial.{key}"),
                    address,
                    "a server does not connect to itself; remove it",
                );
            }
            Ok(id) if members.contains_key(&id) => dial.insert(id, *address),
            _ => {
                return illegal(
                    format!("dial.{key}"),
                    address,
                    "the key must be the id of a member",
                );
            }
        };
    }
    Ok(dial)
}

fn check_numbers(file: &File) -> Result<(), Illegal> {
    let (timing, log, limits) = (&file.timing, &file.log, &file.limits);
    at_least("timing.tick_ms", timing.tick_ms, 10)?;
    at_least(
        "timing.sync_limit_ms",
        timing.sync_limit_ms,
        2 * timing.tick_ms,
    )?;
    at_least(
        "timing.init_limit_ms",
        timing.init_limit_ms,
        timing.sync_limit_ms,
    )?;
    at_least("timing.finalize_wait_ms", timing.finalize_wait_ms, 1)?;
    at_least("log.snapshot_every", log.snapshot_every, 1)?;
    at_least("log.segment_bytes", log.segment_bytes, 4096)?;
    at_least("log.read_batch", log.read_batch as u64, 1)?;
    at_least(
        "limits.session_timeout_min_ms",
        limits.session_timeout_min_ms.max(0) as u64,
        2 * timing.tick_ms,
    )?;
    if limits.session_timeout_max_ms < limits.session_timeout_min_ms {
        let legal = format!(
            "at least session_timeout_min_ms, which is {}",
            limits.session_timeout_min_ms
        );
        return illegal(
            "limits.session_timeout_max_ms",
            limits.session_timeout_max_ms,
            legal,
        );
    }
    at_least("limits.connections", limits.connections as u64, 1)?;
    at_least("limits.outstanding", limits.outstanding as u64, 1)?;
    at_least("limits.unsent_bytes", limits.unsent_bytes as u64, 1)?;
    at_least("limits.frame_bytes", limits.frame_bytes as u64, 1024)?;
    if limits.frame_bytes > 16 << 20 {
        return illegal(
            "limits.frame_bytes",
            limits.frame_bytes,
            "at most 16777216 (16 MiB)",
        );
    }
    at_least("limits.greeting_ms", limits.greeting_ms, 1)?;
    at_least(
        "limits.peer_queue_bytes",
        limits.peer_queue_bytes as u64,
        1 << 20,
    )
}

fn at_least(key: &str, value: u64, least: u64) -> Result<(), Illegal> {
    if value >= least {
        Ok(())
    } else {
        illegal(key, value, format!("at least {least}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<NodeConfig, String> {
        NodeConfig::parse(Path::new("n.toml"), text).map_err(|e| e.to_string())
    }

    const SMALL: &str = r#"
        id = 2
        data_dir = "d"
        members = [
            { id = 1, peer_address = "127.0.0.1:1", client_address = "127.0.0.1:2" },
            { id = 2, peer_address = "127.0.0.1:3", client_address = "127.0.0.1:4", role = "voter" },
        ]
    "#;

    #[test]
    fn the_example_is_legal_and_shows_the_defaults() {
        let config = parse(EXAMPLE).unwrap();
        assert_eq!(
            (config.timing, config.log, config.limits),
            Default::default()
        );
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config = parse(SMALL).unwrap();
        assert_eq!(config.client_address, "127.0.0.1:4".parse().unwrap());
        assert_eq!(config.peer_address, "127.0.0.1:3".parse().unwrap());
        assert_eq!(
            config.dial_address(&config.members[&NodeId(1)]),
            "127.0.0.1:1".parse().unwrap()
        );
        assert_eq!(config.timing, Timing::default());
    }

    #[test]
    fn a_dial_address_stands_in_for_the_members_address() {
        let config = parse(&format!("{SMALL}\n[dial]\n\"1\" = \"127.0.0.1:9\"")).unwrap();
        assert_eq!(
            config.dial_address(&config.members[&NodeId(1)]),
            "127.0.0.1:9".parse().unwrap()
        );
    }

    #[test]
    fn errors_name_file_key_and_what_is_legal() {
        for (text, parts) in [
            (
                SMALL.replace("id = 2\n", "id = 64\n"),
                ["n.toml", "id = 64", "1 to 63"],
            ),
            (
                SMALL.replace("id = 2\n", "id = 3\n"),
                ["n.toml", "id = 3", "one of the members"],
            ),
            (
                SMALL.replace("id = 1,", "id = 2,"),
                ["n.toml", "members.id = 2", "unique"],
            ),
            (
                SMALL.replace(":3", ":1"),
                ["n.toml", "127.0.0.1:1", "unique"],
            ),
            (SMALL.replace("voter", "king"), ["n.toml", "king", "voter"]),
            (
                SMALL.replace("data_dir", "dtaa_dir"),
                ["n.toml", "dtaa_dir", "data_dir"],
            ),
            (
                format!("{SMALL}\n[dial]\n2 = \"127.0.0.1:9\""),
                ["n.toml", "dial.2", "itself"],
            ),
            (
                format!("{SMALL}\n[dial]\n7 = \"127.0.0.1:9\""),
                ["n.toml", "dial.7", "id of a member"],
            ),
            (
                format!("{SMALL}\n[timing]\ntick_ms = 0"),
                ["n.toml", "timing.tick_ms = 0", "at least 10"],
            ),
        ] {
            let error = parse(&text).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{part:?} is not in {error:?}");
            }
        }
    }
}
