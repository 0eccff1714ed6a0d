//! Which values are legal.

use super::member::{LEGAL_IDS, is_legal};
use super::tls::check_tls;
use super::{Address, Admin, File, Member, NodeConfig, Role, Sasl, shared_address};
use crate::acl;
use crate::jute::Word;
use crate::sasl::jaas;
use crate::zab::NodeId;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A value that is not legal.
pub(super) struct Illegal {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) legal: String,
}

pub(super) fn illegal<T>(
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

/// A whole configuration, if every value is legal.
pub(super) fn check(mut file: File) -> Result<NodeConfig, Illegal> {
    check_id("id", file.id)?;
    check_numbers(&file)?;
    let members = check_members(&file)?;
    let own = &members[&file.id];
    let client_address = listened_on(
        "client_address",
        file.client_address,
        own.client_address.as_ref(),
    )?;
    let peer_address = listened_on("peer_address", file.peer_address, Some(&own.peer_address))?;
    if client_address == peer_address {
        return illegal(
            "client_address",
            client_address,
            "it must differ from peer_address",
        );
    }
    let dial = check_dial(&file, &members)?;
    check_words(&file.admin)?;
    let mut taken = vec![client_address, peer_address];
    if let Some(clients) = &file.tls.clients {
        if taken.iter().any(|other| overlap(*other, clients.address)) {
            return illegal(
                "tls.clients.address",
                clients.address,
                "another service of this server has this address; addresses are unique",
            );
        }
        taken.push(clients.address);
    }
    check_tls(&file.tls)?;
    check_admin(&file.admin, taken)?;
    check_reconfig(&file)?;
    check_digest(file.security.super_digest.as_deref())?;
    read_users(&mut file.security.sasl)?;
    check_required(&file)?;
    Ok(NodeConfig {
        id: file.id,
        cluster: file.cluster,
        data_dir: file.data_dir,
        read_only: file.read_only,
        client_address,
        peer_address,
        members,
        dial,
        timing: file.timing,
        ticks: None,
        log: file.log,
        limits: file.limits,
        znodes: file.znodes,
        security: file.security,
        tls: file.tls,
        reconfig: file.reconfig,
        admin: file.admin,
        warn: file.warn,
    })
}

/// Where this server listens: where it is told to, or where the others are told that it is.
fn listened_on(
    key: &str,
    own: Option<SocketAddr>,
    told: Option<&Address>,
) -> Result<SocketAddr, Illegal> {
    match (own.or(told.and_then(Address::socket)), told) {
        (Some(address), _) => Ok(address),
        (None, Some(told)) => illegal(
            key,
            told,
            format!(
                "the host is a name: give {key} above the members too, as a number, to say where to listen"
            ),
        ),
        (None, None) => illegal(
            key,
            "none",
            "it must be given, above the members or for this one",
        ),
    }
}

fn check_id(key: &str, id: NodeId) -> Result<(), Illegal> {
    match is_legal(id) {
        true => Ok(()),
        false => illegal(key, id, LEGAL_IDS),
    }
}

fn check_reconfig(file: &File) -> Result<(), Illegal> {
    let reconfig = &file.reconfig;
    if !reconfig.lend_seats {
        return Ok(());
    }
    if !reconfig.enabled {
        let legal = "a seat is lent by a change of the members: reconfig.enabled must be true";
        return illegal("reconfig.lend_seats", true, legal);
    }
    let least = file.timing.sync_limit_ms;
    at_least("reconfig.grace_ms", reconfig.grace_ms, least)
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
            peer_address: peer_address.into(),
            election_port: None,
            client_address: Some(client_address.into()),
            role: Role::Voter,
        };
        return Ok(BTreeMap::from([(file.id, alone)]));
    }
    let mut members = BTreeMap::new();
    for member in &file.members {
        check_id("members.id", member.id)?;
        if members.insert(member.id, member.clone()).is_some() {
            return illegal(
                "members.id",
                member.id,
                "two members have this id; ids are unique",
            );
        }
    }
    if let Some(address) = shared_address(members.values()) {
        return illegal(
            "members",
            address,
            "two members or services have this address; addresses are unique",
        );
    }
    if members.values().all(|member| member.role != Role::Voter) {
        return illegal(
            "members.role",
            "observer",
            "at least one member must be a voter",
        );
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

fn check_words(admin: &Admin) -> Result<(), Illegal> {
    let known = |word: &&String| *word == "*" || Word::ALL.contains(&word.as_str());
    match admin.words.iter().find(|word| !known(word)) {
        Some(word) => illegal(
            "admin.words",
            word,
            format!("*, or some of {}", Word::ALL.join(", ")),
        ),
        None => Ok(()),
    }
}

/// Whether nobody can listen on both: an address that is every address is each.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let every = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && (every || a.ip() == b.ip())
}

/// Each service has an address of its own.
fn check_admin(admin: &Admin, mut taken: Vec<SocketAddr>) -> Result<(), Illegal> {
    let url = &admin.command_url;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    if !url.starts_with('/') || url.ends_with('/') || url.contains("//") || !url.chars().all(legal)
    {
        return illegal(
            "admin.command_url",
            url,
            "a path such as /commands: letters, digits, '-', '_' and '.' between slashes, and none at its end",
        );
    }
    if matches!(url.as_str(), "/metrics" | "/alerts") {
        return illegal(
            "admin.command_url",
            url,
            "what stands there is not a command",
        );
    }
    for (key, address) in [
        ("admin.address", admin.address),
        ("admin.metrics_address", admin.metrics_address),
    ] {
        let Some(address) = address else { continue };
        if address.port() != 0 && taken.iter().any(|other| overlap(*other, address)) {
            return illegal(
                key,
                address,
                "another service of this server has this address; addresses are unique",
            );
        }
        taken.push(address);
    }
    Ok(())
}

/// Adds the users of the file in Java's format, if there is one.
fn read_users(sasl: &mut Sasl) -> Result<(), Illegal> {
    let Some(path) = &sasl.jaas else {
        return Ok(());
    };
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
    match text.and_then(|text| jaas::users(&text, "Server")) {
        Ok(found) => {
            sasl.users.0.extend(found.0);
            Ok(())
        }
        Err(problem) => illegal("security.sasl.jaas", path.display(), problem),
    }
}

/// A scheme that nobody can show would keep everybody out.
fn check_required(file: &File) -> Result<(), Illegal> {
    let sasl = !file.security.sasl.users.0.is_empty();
    for scheme in &file.security.require {
        let needed = match scheme.as_str() {
            "digest" => continue,
            "sasl" if sasl => continue,
            "sasl" => "it needs users: give security.sasl.users or security.sasl.jaas",
            "x509" if file.tls.clients.is_some() => continue,
            "x509" => "it needs tls.clients",
            _ => "some of digest, sasl and x509",
        };
        return illegal("security.require", scheme, needed);
    }
    Ok(())
}

fn check_digest(digest: Option<&str>) -> Result<(), Illegal> {
    match digest {
        Some(digest) if !acl::is_whole_digest(digest) => illegal(
            "security.super_digest",
            digest,
            "name:BASE64(SHA1(name:password)); `keelhaul-node digest name:password` prints it",
        ),
        _ => Ok(()),
    }
}

fn check_numbers(file: &File) -> Result<(), Illegal> {
    let (timing, log, limits) = (&file.timing, &file.log, &file.limits);
    check_times(file)?;
    at_least("timing.tick_ms", timing.tick_ms, 10)?;
    if timing.sync_limit_ms < 2 * timing.tick_ms {
        let legal = format!("at least twice timing.tick_ms, which is {}", timing.tick_ms);
        return illegal("timing.sync_limit_ms", timing.sync_limit_ms, legal);
    }
    if timing.init_limit_ms < timing.sync_limit_ms {
        let legal = format!(
            "at least timing.sync_limit_ms, which is {}",
            timing.sync_limit_ms
        );
        return illegal("timing.init_limit_ms", timing.init_limit_ms, legal);
    }
    at_least("timing.finalize_wait_ms", timing.finalize_wait_ms, 1)?;
    at_least("log.snapshot_every", log.snapshot_every, 1)?;
    at_least("log.segment_bytes", log.segment_bytes, 4096)?;
    at_least("log.read_batch", log.read_batch as u64, 1)?;
    if (limits.session_timeout_min_ms.max(0) as u64) < 2 * timing.tick_ms {
        let legal = format!("at least twice timing.tick_ms, which is {}", timing.tick_ms);
        return illegal(
            "limits.session_timeout_min_ms",
            limits.session_timeout_min_ms,
            legal,
        );
    }
    if limits.session_timeout_max_ms < limits.session_timeout_min_ms {
        let legal = format!(
            "at least limits.session_timeout_min_ms, which is {}",
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
    at_least(
        "limits.unsent_event_bytes",
        limits.unsent_event_bytes as u64,
        limits.unsent_bytes as u64,
    )?;
    at_least("limits.frame_bytes", limits.frame_bytes as u64, 1024)?;
    if limits.frame_bytes > 16 << 20 {
        return illegal(
            "limits.frame_bytes",
            limits.frame_bytes,
            "at most 16777216 (16 MiB)",
        );
    }
    at_least(
        "znodes.container_check_ms",
        file.znodes.container_check_ms,
        1,
    )?;
    let beat_ms = file.warn.beat_ms;
    if !(20..=1000).contains(&beat_ms) {
        return illegal("warn.beat_ms", beat_ms, "20 to 1000");
    }
    at_least("limits.greetings", limits.greetings as u64, 1)?;
    at_least("limits.greeting_ms", limits.greeting_ms, 1)?;
    at_least(
        "limits.peer_queue_bytes",
        limits.peer_queue_bytes as u64,
        1 << 20,
    )
}

/// Nothing that is waited for is longer than the time that ZooKeeper has numbers for, some 24 days: nobody means more, and sums of such times fit.
fn check_times(file: &File) -> Result<(), Illegal> {
    const MOST: u64 = i32::MAX as u64;
    let (timing, reconfig) = (&file.timing, &file.reconfig);
    for (key, value) in [
        ("timing.tick_ms", timing.tick_ms),
        ("timing.sync_limit_ms", timing.sync_limit_ms),
        ("timing.init_limit_ms", timing.init_limit_ms),
        ("timing.finalize_wait_ms", timing.finalize_wait_ms),
        ("limits.greeting_ms", file.limits.greeting_ms),
        ("znodes.container_check_ms", file.znodes.container_check_ms),
        ("reconfig.grace_ms", reconfig.grace_ms),
        ("reconfig.settle_ms", reconfig.settle_ms),
    ] {
        if value > MOST {
            return illegal(key, value, format!("at most {MOST}"));
        }
    }
    Ok(())
}

fn at_least(key: &str, value: u64, least: u64) -> Result<(), Illegal> {
    if value >= least {
        Ok(())
    } else {
        illegal(key, value, format!("at least {least}"))
    }
}
