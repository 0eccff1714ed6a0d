//! A member of the ensemble: its addresses and its role, in TOML and as ZooKeeper's line.
//!
//! `host:peerPort:electionPort[:role][;[clientHost:]clientPort]`. Hosts are kept as they were written, names too: a name is looked up
//! whenever somebody connects, because what it stands for may change. Members need one port for each other: the first; the election's is
//! kept, and has no use. Pure: nothing is looked up here.

use crate::zab::NodeId;
use serde::Deserialize;
use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Where something is: a host, by its name or its number, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "host:port is legal: a name, a number, or an IPv6 number in brackets; and a port from 0 to 65535"
)]
pub struct NoAddress;

/// The longest name of a host.
const LONGEST_HOST: usize = 253;

impl Address {
    /// An address, if the host can be one. An IPv6 number may stand in brackets.
    pub fn new(host: &str, port: u16) -> Result<Address, NoAddress> {
        let inside = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let host = match inside.unwrap_or(host).parse::<IpAddr>() {
            Ok(number) => number.to_string(),
            Err(_) if is_name(host) => host.to_owned(),
            Err(_) => return Err(NoAddress),
        };
        Ok(Address { host, port })
    }

    /// The name or the number.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The number, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The same without a name to look up, if the host is a number.
    pub fn socket(&self) -> Option<SocketAddr> {
        self.ip().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// Whether it stands for every address of its host.
    pub fn is_unspecified(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }
}

/// What a name stands for, IPv4 first: the same on every member, whatever its resolver prefers.
pub(crate) fn in_order(found: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut found: Vec<SocketAddr> = found.collect();
    found.sort_by_key(|address| (address.is_ipv6(), *address));
    found
}

fn is_name(host: &str) -> bool {
    let may = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !host.is_empty() && host.len() <= LONGEST_HOST && host.chars().all(may)
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Address, NoAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NoAddress)?;
        let is_bare_number = host.contains(':') && !host.starts_with('[');
        match port.parse() {
            Ok(port) if !is_bare_number => Address::new(host, port),
            _ => Err(NoAddress),
        }
    }
}

impl TryFrom<String> for Address {
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Address, NoAddress> {
        text.parse()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

/// The ids that a server may have. The id stands in the highest byte of each session's id, and 255 there is what says that a znode has a time
/// to live: ZooKeeper has the same bound when such znodes are enabled.
const IDS: RangeInclusive<u64> = 1..=254;

/// What is said of another one.
pub(super) const LEGAL_IDS: &str = "ids are 1 to 254";

/// Whether a server may have this id.
pub(crate) fn is_legal(id: NodeId) -> bool {
    IDS.contains(&id.0)
}

/// What a member does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It votes and acknowledges.
    Voter,
    /// It hears what is committed, serves clients, and counts nowhere.
    Observer,
}

impl Role {
    /// ZooKeeper's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Voter => "participant",
            Role::Observer => "observer",
        }
    }

    /// The role that ZooKeeper's word means.
    pub fn parse(word: &str) -> Result<Role, &'static str> {
        match word.trim().to_ascii_lowercase().as_str() {
            "participant" => Ok(Role::Voter),
            "observer" => Ok(Role::Observer),
            _ => Err("participant or observer is legal"),
        }
    }
}

/// A member of the ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Where the other members reach it.
    pub peer_address: Address,
    /// The port that ZooKeeper would hold elections on; as its peers' if it is not given.
    pub election_port: Option<u16>,
    /// Where clients reach it, if that is known here.
    pub client_address: Option<Address>,
    /// What it does.
    #[serde(default = "voter")]
    pub role: Role,
}

fn voter() -> Role {
    Role::Voter
}

impl Member {
    /// Reads what stands behind `server.N=` in ZooKeeper's form.
    pub fn parse(id: NodeId, text: &str) -> Result<Member, &'static str> {
        const QUORUM: &str = "host:peerPort:electionPort is legal";
        const CLIENTS: &str = "clientPort or clientHost:clientPort is legal after the semicolon";
        if !is_legal(id) {
            return Err(LEGAL_IDS);
        }
        let (quorum, client) = match text.trim().split_once(';') {
            Some((quorum, client)) => (quorum, Some(client)),
            None => (text.trim(), None),
        };
        let (host, ports) = host_and_rest(quorum).ok_or(QUORUM)?;
        let mut ports = ports.split(':');
        let mut port = || ports.next()?.trim().parse().ok();
        let (Some(peer), Some(election)) = (port(), port()) else {
            return Err(QUORUM);
        };
        let role = ports.next().map_or(Ok(Role::Voter), Role::parse)?;
        if ports.next().is_some() {
            return Err(QUORUM);
        }
        let client_address = match client.map(|client| (client, client.rsplit_once(':'))) {
            None => None,
            Some((_, Some((host, port)))) => {
                let port = port.parse().map_err(|_| CLIENTS)?;
                Some(Address::new(host, port).map_err(|_| CLIENTS)?)
            }
            Some((port, None)) => {
                let port = port.trim().parse().map_err(|_| CLIENTS)?;
                Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())
            }
        };
        Ok(Member {
            id,
            peer_address: Address::new(host, peer).map_err(|_| QUORUM)?,
            election_port: Some(election).filter(|election| *election != peer),
            client_address,
            role,
        })
    }

    /// The port that ZooKeeper would hold elections on.
    pub fn election_port(&self) -> u16 {
        self.election_port.unwrap_or(self.peer_address.port())
    }

    /// Where ZooKeeper would hold elections.
    pub fn election_address(&self) -> Address {
        Address {
            host: self.peer_address.host.clone(),
            port: self.election_port(),
        }
    }
}

/// ZooKeeper's line.
impl Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (peer, election, role) = (&self.peer_address, self.election_port(), self.role.word());
        write!(f, "server.{}={peer}:{election}:{role}", self.id)?;
        match &self.client_address {
            Some(client) => write!(f, ";{client}"),
            None => Ok(()),
        }
    }
}

/// The host, which may be an IPv6 number in brackets, and what follows its colon.
fn host_and_rest(text: &str) -> Option<(&str, &str)> {
    match text.starts_with('[') {
        true => {
            let end = text.find("]:")?;
            Some((&text[..=end], &text[end + 2..]))
        }
        false => text.split_once(':'),
    }
}

/// An address that two members have, or one has twice, if there is one.
pub fn shared_address<'a>(members: impl IntoIterator<Item = &'a Member>) -> Option<&'a Address> {
    let mut addresses = std::collections::BTreeSet::new();
    let both = members
        .into_iter()
        .flat_map(|member| [Some(&member.peer_address), member.client_address.as_ref()]);
    // Where every address is listened on, the port alone tells nothing of another host; and a port that nobody knows is nobody's.
    both.flatten()
        .filter(|address| !address.is_unspecified() && address.port() != 0)
        .find(|address| !addresses.insert(*address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_as_it_was_written() {
        for (text, host, again) in [
            ("127.0.0.1:80", "127.0.0.1", "127.0.0.1:80"),
            ("[::0001]:80", "::1", "[::1]:80"),
            ("zk-1.zk.svc_x:80", "zk-1.zk.svc_x", "zk-1.zk.svc_x:80"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, 80));
            assert_eq!(address.to_string(), again);
            assert_eq!(address.socket().is_some(), host.parse::<IpAddr>().is_ok());
        }
        for text in [
            "", ":1", "a", "a:", "a:x", "a:65536", "::1:80", "[::1:80", "[a]:1", "a b:1", "a;b:1",
            "a=b:1", "a,b:1",
        ] {
            assert_eq!(text.parse::<Address>(), Err(NoAddress), "{text}");
        }
    }

    #[test]
    fn a_line_is_what_zookeeper_takes() {
        let same = [
            "server.4=127.0.0.1:4:5:participant;0.0.0.0:14",
            "server.4=[::1]:4:5:observer;[::1]:14",
            "server.254=zk-4.example:4:5:participant",
            "server.4=localhost:4:4:participant;zk-4.example:14",
        ];
        for line in same {
            assert_eq!(read(line).unwrap().to_string(), line);
        }
        for (line, again) in [
            ("server.4=h:4:5", "server.4=h:4:5:participant"),
            ("server.4=h:4:5;14", "server.4=h:4:5:participant;0.0.0.0:14"),
            (
                "server.4=h:4:5:PARTICIPANT;14",
                "server.4=h:4:5:participant;0.0.0.0:14",
            ),
        ] {
            assert_eq!(read(line).unwrap().to_string(), again);
        }
        for line in [
            "server.4=127.0.0.1:4;14",
            "server.4=127.0.0.1:4:5:judge;14",
            "server.4=127.0.0.1:4:5:observer:6;14",
            "server.255=127.0.0.1:4:5;14",
            "server.0=127.0.0.1:4:5;14",
            "server.4=127.0.0.1:4:99999;14",
            "server.4=127.0.0.1:4:5;",
            "server.4=some host:4:5;14",
            "server.4=",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    fn read(line: &str) -> Result<Member, &'static str> {
        let (key, value) = line.split_once('=').unwrap();
        let id = key.strip_prefix("server.").unwrap().parse().unwrap();
        Member::parse(NodeId(id), value)
    }

    #[test]
    fn two_members_have_no_address_together_but_every_address() {
        let members = |lines: [&str; 2]| lines.map(|line| read(line).unwrap());
        let apart = members(["server.1=a:1:2;9", "server.2=b:1:2;9"]);
        assert_eq!(shared_address(&apart), None);
        let shared = members(["server.1=a:1:2;b:1", "server.2=b:1:2;9"]);
        assert_eq!(shared_address(&shared), Some(&"b:1".parse().unwrap()));
    }
}
