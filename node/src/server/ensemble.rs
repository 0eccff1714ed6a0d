//! The ensemble as this server knows it: whom it connects to, and how the leader changes it on request.

use super::engine::Engine;
use super::listener::Place;
use super::peer::PeerLink;
use crate::acl::{self, Permission};
use crate::config::{Address, Member, NodeConfig};
use crate::ensemble::{self, Servers, Wanted};
use crate::prep::{Changes, Prepared};
use crate::request::{ErrorCode, Identity, SessionId};
use crate::tree::path;
use crate::txn::Body;
use crate::warn::Observation;
use crate::zab::{Founding, Members, Refusal, Replica, View, Zxid};
use std::net::SocketAddr;

/// Says it where the log and the configuration file do not agree on who the members are, and which of them counts.
pub(super) fn compare_with_file(config: &NodeConfig, replica: &Replica) {
    let view = replica.view();
    if view.version == Zxid::ZERO || view.next.is_some() {
        return;
    }
    let known = |member: &Member| (member.id, member.role, member.peer_address.clone());
    let by_log = ensemble::servers(&view.members);
    if !by_log
        .values()
        .map(known)
        .eq(config.members.values().map(known))
    {
        let in_a_line = |servers| ensemble::text(servers).trim_end().replace('\n', ", ");
        tracing::warn!(
            version = %view.version, log = in_a_line(&by_log), file = in_a_line(&config.members),
            "the members are those that the log says, not those of the configuration file: they change by reconfig"
        );
    }
    let by_file = (config.peer_address.into(), config.client_address.into());
    if let Some((peers, clients)) = places(config, view).filter(|places| *places != by_file) {
        tracing::warn!(
            version = %view.version, %peers, %clients,
            "this server listens where the log has it, not where the configuration file says: change the file, or give the server another address (reconfig)"
        );
    }
}

impl Engine {
    /// Looks whose history this server holds now. Who greeted with that of another ensemble before is heard no more.
    pub(super) fn keep_to_own(&mut self) {
        let ours = self.replica.ensemble();
        if self.founded.send_replace(ours) == ours {
            return;
        }
        let others = self.peers.iter();
        let others = others.filter(|(_, link)| self.is_of_another_ensemble(link));
        for peer in others.map(|(&peer, _)| peer).collect::<Vec<_>>() {
            self.peer_lost(peer);
        }
    }

    /// Whether the peer held the history of another ensemble when it greeted.
    pub(super) fn is_of_another_ensemble(&self, link: &PeerLink) -> bool {
        Founding::apart(*self.founded.borrow(), link.founded).is_some()
    }

    /// The servers of the configuration in force, by this server's log.
    pub(super) fn servers(&self) -> Servers {
        self.servers_of(self.replica.view())
    }

    fn servers_of(&self, view: &View) -> Servers {
        // Before the first change the configuration file says it: with addresses that need not be the same everywhere.
        if view.version.0 == 0 && view.next.is_none() {
            return self.config.members.clone();
        }
        let mut all = ensemble::servers(&view.members);
        if let Some(next) = &view.next {
            all.extend(ensemble::servers(next));
        }
        all
    }

    /// The newest view that the replica knows of has changed.
    pub(super) fn view_changed(&mut self, view: View) {
        if view.version.0 > 0 {
            tracing::info!(version = %view.version, members = %view.members, changing = view.next.is_some(), "ensemble");
        }
        let me = self.config.id;
        if self.newest.knows(me) && !view.knows(me) {
            tracing::warn!(
                version = %view.version,
                "this server is not one of the members: it serves clients as an observer does, counts for nothing, and says nothing of the \
                 others. If it was removed, stop it; if it is to join, add it (reconfig -add)"
            );
        }
        let observers = |members: &Members| members.observers.clone();
        let mut others = observers(&view.members);
        others.extend(view.next.iter().flat_map(observers));
        let voters = view.voters();
        self.lookout.observe(Observation::Members {
            observers: others.difference(&voters).copied().collect(),
            voters: voters.into_iter().collect(),
        });
        self.keep_home(&view);
        self.newest = view;
        self.keep_to_own();
        self.choose_dials();
    }

    /// Listens where the ensemble has this server. A change under way does not count: it may come to nothing. Once its end is in anybody's
    /// log it is decided, since a majority had its beginning before.
    fn keep_home(&self, view: &View) {
        let Some((peers, clients)) = places(&self.config, view) else {
            return;
        };
        self.home.peers.move_to(peers);
        if let Some(home) = &self.home.clients {
            home.move_to(clients);
        }
    }

    /// Where clients reach this server without TLS.
    pub(super) fn client_address(&self) -> SocketAddr {
        let clients = self.home.clients.as_ref();
        clients.map_or(self.config.client_address, Place::now)
    }

    /// The port that ZooKeeper would hold elections on. Nobody is there, but it is what the configuration says.
    pub(super) fn election_port(&self) -> u16 {
        let servers = self.servers();
        let own = servers.get(&self.config.id);
        own.map_or(self.home.peers.now().port(), Member::election_port)
    }

    /// The version of the configuration in force, if this server is not in it.
    pub(super) fn outside_of(&self) -> Option<Zxid> {
        let (view, me) = (&self.newest, self.config.id);
        (!view.knows(me)).then_some(view.version)
    }

    /// Whether others may not count this server among the members yet: it may be one that is to join.
    pub(super) fn may_be_unknown(&self) -> bool {
        let view = self.replica.view();
        let is_known = view.version.0 > 0 && view.knows(self.config.id);
        self.config.reconfig.enabled && !is_known
    }

    /// Says whom to connect to: as a member, to those with smaller ids, since of two the one with the greater id dials; as
    /// one whom they may not know, to everybody who has not connected. They may not know a member either that does not serve: it can have
    /// left without having heard of it.
    pub(super) fn choose_dials(&mut self) {
        let me = self.config.id;
        let left = self.config.reconfig.enabled && !self.status.serving();
        let dials_all = left || self.may_be_unknown();
        let mut wanted = self.servers_of(&self.newest);
        if self.newest.founded.zxid > Zxid::ZERO {
            // Of the ensemble before nobody should run: whoever answers is told of.
            for (id, member) in &self.config.members {
                wanted.entry(*id).or_insert_with(|| member.clone());
            }
        }
        wanted.retain(|id, _| *id != me && (*id < me || dials_all) && !self.peers.contains_key(id));
        self.dials.send_if_modified(|before| {
            let news = *before != wanted;
            *before = wanted;
            news
        });
    }

    /// A new leader writes down what the ensemble is. One that may change does so first of all: from then on every server has the same
    /// list. Of one that may not, clients can read what the configuration files say.
    pub(super) fn write_down_ensemble(&mut self) {
        if self.replica.view().version.0 > 0 {
            return;
        }
        if !self.config.reconfig.enabled {
            if self.config.members.len() > 1 {
                let text = ensemble::znode(&self.config.zab_members(), Zxid::ZERO);
                self.write_own(path::CONFIG, Some(text));
            }
            return;
        }
        let members = self.config.zab_members();
        if self.replica.can_change(&members).is_ok() {
            let all = ensemble::text(&self.config.members);
            let (from, to) = (all.clone(), all);
            let prepared = Prepared {
                body: Body::Join { from, to },
                changes: Changes::default(),
            };
            self.put_in_log(self.nobody(), SessionId::NONE, 0, prepared);
        }
    }

    /// Prepares a change of the ensemble. What is checked, and in which order, is ZooKeeper's.
    pub(super) fn reconfigure(&self, identity: &Identity, wanted: &Wanted) -> Prepared {
        match self.change(identity, wanted) {
            Ok((from, to)) => Prepared {
                body: Body::Join { from, to },
                changes: Changes::default(),
            },
            Err(code) => Prepared::error(code),
        }
    }

    fn change(&self, identity: &Identity, wanted: &Wanted) -> Result<(String, String), ErrorCode> {
        if !self.config.reconfig.enabled {
            return Err(ErrorCode::ReconfigDisabled);
        }
        let view = self.replica.view();
        let nothing_new = self.replica.can_change(&view.members);
        if nothing_new == Err(Refusal::InProgress) {
            return Err(ErrorCode::ReconfigInProgress);
        }
        if wanted.from != -1 && wanted.from != view.version.0 as i64 {
            return Err(ErrorCode::BadVersion);
        }
        let servers = wanted.servers(view).ok_or(ErrorCode::BadArguments)?;
        match self.replica.can_change(&ensemble::members(&servers)) {
            Ok(()) => {}
            Err(Refusal::InProgress) => return Err(ErrorCode::ReconfigInProgress),
            Err(Refusal::NoQuorum | Refusal::NotLeading) => {
                return Err(ErrorCode::NewConfigNoQuorum);
            }
        }
        let config = self.tree.get(path::CONFIG).ok_or(ErrorCode::NoNode)?;
        acl::check(
            config.shared_acl().map(|acl| &**acl),
            Permission::WRITE,
            identity,
        )?;
        Ok((ensemble::text(&self.servers()), ensemble::text(&servers)))
    }
}

/// Where this server listens for peers and for clients, if the ensemble knows it.
fn places(config: &NodeConfig, view: &View) -> Option<(Address, Address)> {
    let now = ensemble::servers(&view.members).remove(&config.id)?;
    let listed = config.members.get(&config.id);
    let peers = listed.map(|member| &member.peer_address);
    let clients = listed.and_then(|member| member.client_address.as_ref());
    Some((
        place(config.peer_address, peers, Some(&now.peer_address)),
        place(config.client_address, clients, now.client_address.as_ref()),
    ))
}

/// Where a server listens whose file says `file`, and has it in the list of members as `listed`, once the ensemble has it at `now`. Who
/// listens at every address of his host, or is given a port alone, changes the port.
fn place(file: SocketAddr, listed: Option<&Address>, now: Option<&Address>) -> Address {
    match now.filter(|now| now.port() != 0 && Some(*now) != listed) {
        None => file.into(),
        Some(now) if file.ip().is_unspecified() || now.is_unspecified() => {
            SocketAddr::new(file.ip(), now.port()).into()
        }
        Some(now) => now.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_listens_where_the_ensemble_has_it() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        for (file, listed, now, expected) in [
            ("10.0.0.1:1", Some("n1:1"), None, "10.0.0.1:1"),
            // The file says it, in other words.
            ("10.0.0.1:1", Some("n1:1"), Some("n1:1"), "10.0.0.1:1"),
            ("0.0.0.0:1", Some("n1:1"), Some("n2:1"), "0.0.0.0:1"),
            ("10.0.0.1:1", None, Some("0.0.0.0:1"), "10.0.0.1:1"),
            ("10.0.0.1:1", None, Some("n1:0"), "10.0.0.1:1"),
            // It says another.
            ("0.0.0.0:1", Some("n1:1"), Some("n1:2"), "0.0.0.0:2"),
            ("10.0.0.1:1", Some("n1:1"), Some("0.0.0.0:2"), "10.0.0.1:2"),
            ("10.0.0.1:1", Some("n1:1"), Some("n1:2"), "n1:2"),
            ("10.0.0.1:1", Some("10.0.0.1:1"), Some("n2:1"), "n2:1"),
            ("10.0.0.1:1", None, Some("10.0.0.2:1"), "10.0.0.2:1"),
        ] {
            let (listed, now) = (listed.map(address), now.map(address));
            let place = place(file.parse().unwrap(), listed.as_ref(), now.as_ref());
            assert_eq!(place, address(expected), "{file} {listed:?} {now:?}");
        }
    }
}
