//! Links: in-process proxies between nodes, and between clients and nodes, whose traffic can be cut, slowed and reset.
//!
//! Every ordered pair (from, to) has a [`LinkState`]. A connection carries bytes of both directions and obeys both
//! ordered pairs, whoever dialled: what flows from a to b obeys (a, b), what flows from b to a obeys (b, a). A *cut*
//! link lets nothing cross: no byte, no FIN, no RST. The proxy stops reading, so the sender's own buffers fill and
//! its back-pressure is real; what was under way is delivered when the link heals. A dial to a node that does not run
//! is reset at once.
//!
//! What proxies in user space cannot imitate:
//! - a dial into a cut is accepted by the kernel and then silent, where a real network would leave it unanswered; if
//!   the dialler gives up before the heal, nothing of it is ever delivered;
//! - a dial to a dead node succeeds and is reset at once, where a real one would be refused;
//! - bytes on a cut link are acknowledged by TCP on the sender's host up to the size of the socket buffers, so neither
//!   retransmission nor its time-outs (ETIMEDOUT) ever occur, also on a link that is cut one way only;
//! - loss, reordering and duplication of packets: TCP hides them here.
//!
//! The controller's own queries never pass here.

mod proxy;
mod pump;
mod state;
#[cfg(test)]
mod tests;

pub use state::{Held, LinkState};

use proxy::Route;
use state::Link;
use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Who is at an end of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// All clients together.
    Clients,
    /// A node by name.
    Node(String),
}

impl End {
    /// A node's end.
    pub fn node(name: &str) -> End {
        End::Node(name.to_owned())
    }
}

/// One proxy: who dials it, whom it reaches.
#[derive(Debug)]
pub struct Proxied {
    /// Who dials.
    pub from: End,
    /// Whom the dial is meant for.
    pub to: End,
    /// Where the dials arrive.
    pub listener: TcpListener,
    /// Where they are passed on to.
    pub target: SocketAddr,
}

/// All links of a cluster. Dropping it closes every proxy and every connection.
pub struct Links {
    links: BTreeMap<(End, End), Arc<Link>>,
    proxies: Vec<JoinHandle<()>>,
}

impl Links {
    /// Opens the proxies; every link is open. `seed` feeds the jitter of slow links.
    ///
    /// # Errors
    /// If a listener cannot be used.
    pub fn open(proxied: Vec<Proxied>, seed: u64) -> io::Result<Links> {
        let mut links: BTreeMap<(End, End), Arc<Link>> = BTreeMap::new();
        for one in &proxied {
            let pair = (one.from.clone(), one.to.clone());
            links.entry(pair).or_default();
            let pair = (one.to.clone(), one.from.clone());
            links.entry(pair).or_default();
        }
        let mut proxies = Vec::with_capacity(proxied.len());
        for (number, one) in (0u32..).zip(proxied) {
            one.listener.set_nonblocking(true)?;
            let listener = tokio::net::TcpListener::from_std(one.listener)?;
            let route = Route {
                forth: links[&(one.from.clone(), one.to.clone())].clone(),
                back: links[&(one.to, one.from)].clone(),
                target: one.target,
                seed,
                number,
            };
            proxies.push(tokio::spawn(proxy::serve(listener, route)));
        }
        Ok(Links { links, proxies })
    }

    /// Sets the state of a link. A link that nobody can dial has none, and is left alone.
    pub fn set(&self, from: &End, to: &End, state: LinkState) {
        if let Some(link) = self.links.get(&(from.clone(), to.clone())) {
            link.set(state);
        }
    }

    /// The state of a link.
    pub fn state(&self, from: &End, to: &End) -> Option<LinkState> {
        let link = self.links.get(&(from.clone(), to.clone()))?;
        Some(link.state())
    }

    /// What was held back on a link since it was cut last.
    pub fn held(&self, from: &End, to: &End) -> Held {
        match self.links.get(&(from.clone(), to.clone())) {
            Some(link) => link.held(),
            None => Held::default(),
        }
    }

    /// Opens every link.
    pub fn open_all(&self) {
        for link in self.links.values() {
            link.set(LinkState::Open);
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for proxy in &self.proxies {
            proxy.abort();
        }
    }
}
