//! The ensemble's configuration as text, in ZooKeeper's form: what `/zookeeper/config` holds, what `reconfig` takes, and what
//! the log says of a change.
//!
//! `server.N=host:peerPort:electionPort:role;host:clientPort`, a line for each server, in the order of their ids; without the part for
//! clients where only the server itself knows it. Pure: nothing is looked up.

use crate::config::{Member, Role, shared_address};
use crate::txn::{Body, Txn};
use crate::zab::{Change, Members, NodeId, Reading, View, Zxid};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// All servers of a configuration.
pub type Servers = BTreeMap<NodeId, Member>;

/// How the protocol core finds changes of the ensemble in transactions and snapshots.
pub const READING: Reading = Reading {
    change: change_in,
    view: crate::tree::view_in,
    activation: Txn::activation,
};

fn change_in(txn: &Bytes) -> Option<Change> {
    match Txn::decode_if_members(txn)?.body {
        Body::Join { from, to } => Some(Change::Join {
            from: parse(&from).map(|servers| members(&servers))?,
            to: parse(&to).map(|servers| members(&servers))?,
        }),
        Body::Activate => Some(Change::Activate),
        Body::Found {
            members: text,
            mark,
        } => parse(&text).map(|servers| Change::Found {
            members: members(&servers),
            mark,
        }),
        _ => None,
    }
}

/// The configuration as text, without its version.
pub fn text(servers: &Servers) -> String {
    servers
        .values()
        .map(|member| format!("{member}\n"))
        .collect()
}

/// The configuration in a text, if it is one.
pub fn parse(text: &str) -> Option<Servers> {
    let mut servers = Servers::new();
    for line in text.split(['\n', ',']).map(str::trim) {
        if line.is_empty() || line.starts_with("version=") {
            continue;
        }
        let member = parse_line(line)?;
        if servers.insert(member.id, member).is_some() {
            return None;
        }
    }
    Some(servers)
}

/// One server's line.
fn parse_line(line: &str) -> Option<Member> {
    let (key, value) = line.split_once('=')?;
    let id = key.trim().strip_prefix("server.")?.parse().ok()?;
    Member::parse(NodeId(id), value).ok()
}

/// For the protocol core.
pub fn members(servers: &Servers) -> Members {
    let of = |role: Role| {
        let is = move |member: &&Member| member.role == role;
        let ids = servers.values().filter(is).map(|member| member.id);
        ids.collect::<BTreeSet<NodeId>>()
    };
    Members {
        voters: of(Role::Voter),
        observers: of(Role::Observer),
        about: text(servers).into(),
    }
}

/// The servers of what the protocol core carries.
pub fn servers(members: &Members) -> Servers {
    let text = std::str::from_utf8(&members.about).unwrap_or_default();
    parse(text).unwrap_or_default()
}

/// What `/zookeeper/config` holds once this is the configuration.
pub fn znode(members: &Members, version: Zxid) -> Bytes {
    let mut text = members.about.to_vec();
    text.extend_from_slice(format!("version={:x}", version.0).as_bytes());
    text.into()
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Wanted {
    /// Servers that join, or change their role or addresses: lines, separated by commas.
    pub joining: Option<String>,
    /// Ids of servers that leave, separated by commas.
    pub leaving: Option<String>,
    /// The whole configuration, instead of the two above.
    pub members: Option<String>,
    /// The version that is to be changed, or -1.
    pub from: i64,
}

impl Wanted {
    /// Its size, in bytes, roughly.
    pub fn size(&self) -> usize {
        let texts = [&self.joining, &self.leaving, &self.members];
        16 + texts
            .map(|text| text.as_ref().map_or(0, String::len))
            .iter()
            .sum::<usize>()
    }

    /// The servers afterwards; `None` if what is wanted makes no sense.
    pub fn servers(&self, view: &View) -> Option<Servers> {
        let servers = match &self.members {
            Some(members) => parse(members)?,
            None => self.incremental(servers(&view.members))?,
        };
        let votes = servers.values().any(|member| member.role == Role::Voter);
        (votes && shared_address(servers.values()).is_none()).then_some(servers)
    }

    fn incremental(&self, mut servers: Servers) -> Option<Servers> {
        let list = |text: &Option<String>| {
            let parts = text
                .as_deref()
                .unwrap_or_default()
                .split(',')
                .map(str::trim);
            parts
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for id in list(&self.leaving) {
            servers.remove(&NodeId(id.parse().ok()?));
        }
        for line in list(&self.joining) {
            // Where clients reach who joins must be said, as ZooKeeper has it.
            let member = parse_line(&line).filter(|member| member.client_address.is_some())?;
            servers.insert(member.id, member);
        }
        Some(servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "server.1=127.0.0.1:1:1:participant;127.0.0.1:11\n\
                         server.2=[::1]:2:22:participant;0.0.0.0:12\n\
                         server.3=n3.example:3:33:observer\n";

    fn view() -> View {
        View::initial(members(&parse(THREE).unwrap()))
    }

    fn wanted(joining: &str, leaving: &str) -> Option<String> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let wanted = Wanted {
            joining: some(joining),
            leaving: some(leaving),
            members: None,
            from: -1,
        };
        wanted.servers(&view()).map(|servers| text(&servers))
    }

    #[test]
    fn a_configuration_survives_its_text() {
        let servers = parse(THREE).unwrap();
        assert_eq!(text(&servers), THREE);
        assert_eq!(super::servers(&members(&servers)), servers);
        let znode = znode(&members(&servers), Zxid(0x1_0000_000a));
        assert_eq!(znode, format!("{THREE}version=10000000a"));
        assert_eq!(parse(std::str::from_utf8(&znode).unwrap()), Some(servers));
    }

    #[test]
    fn an_incremental_change_removes_first_and_then_adds_or_replaces() {
        let after = wanted("server.4=127.0.0.1:4:4;14,server.3=127.0.0.1:3:3;13", "1,9").unwrap();
        assert_eq!(
            after,
            "server.2=[::1]:2:22:participant;0.0.0.0:12\n\
             server.3=127.0.0.1:3:3:participant;0.0.0.0:13\n\
             server.4=127.0.0.1:4:4:participant;0.0.0.0:14\n"
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(
            wanted("server.4=127.0.0.1:1:4;14", ""),
            None,
            "1's peer address"
        );
        assert_eq!(wanted("", "1,2"), None, "no voter is left");
        assert_eq!(wanted("", "one"), None);
        assert_eq!(wanted("server.4=127.0.0.1", ""), None);
        assert_eq!(wanted("server.4=127.0.0.1:4:4", ""), None, "no clients");
        let twice = Wanted {
            joining: None,
            leaving: None,
            members: Some("server.1=127.0.0.1:1:1;11,server.1=127.0.0.1:2:2;12".into()),
            from: -1,
        };
        assert_eq!(twice.servers(&view()), None);
    }
}
