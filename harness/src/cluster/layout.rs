//! Where everything of a cluster is: names, ports, files, and the configuration of each node.

use crate::failure::Failure;
use crate::links::{End, Proxied};
use crate::ports::{Lease, PortError, local};
use crate::store::{NodeFiles, RunDirectory};
use keelhaul_workloads::Server;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

/// One node of the cluster.
#[derive(Debug, Clone)]
pub struct Member {
    /// `n1`, `n2`, …
    pub name: String,
    /// 1, 2, …
    pub id: u64,
    /// Where it serves clients. The controller's own queries go here, past every fault.
    pub client_address: SocketAddr,
    /// Where it serves its peers.
    pub peer_address: SocketAddr,
    /// Where clients dial it: the proxy of their link to it.
    pub dialled_by_clients: SocketAddr,
    /// Where it dials each peer, by id: the proxy of its link to it.
    dial: BTreeMap<String, String>,
    /// Its files.
    pub files: NodeFiles,
}

/// The whole cluster: its members, and the proxies between them, listening but not yet passing anything on.
pub(super) struct Layout {
    /// In the order of their ids.
    pub(super) members: Vec<Member>,
    /// The proxies.
    pub(super) proxied: Vec<Proxied>,
    /// Keeps the ports for as long as it lives.
    pub(super) leases: Vec<Lease>,
}

#[derive(Serialize)]
struct NodeConfig<'a> {
    id: u64,
    data_dir: &'a PathBuf,
    client_address: SocketAddr,
    peer_address: SocketAddr,
    dial: &'a BTreeMap<String, String>,
    members: Vec<MemberConfig>,
}

#[derive(Serialize)]
struct MemberConfig {
    id: u64,
    peer_address: SocketAddr,
    client_address: SocketAddr,
    role: &'static str,
}

impl Layout {
    /// Takes the ports and lays the cluster out. `first_port`: the client ports are this one and those after it.
    ///
    /// # Errors
    /// If ports cannot be had.
    pub(super) fn plan(
        run: &RunDirectory,
        nodes: u16,
        first_port: Option<u16>,
    ) -> Result<Layout, Failure> {
        let count = usize::from(nodes);
        let (clients, mut leases) = match first_port {
            Some(first) => {
                let lease = Lease::exactly(consecutive(first, nodes)?).map_err(port_failure)?;
                (lease.ports().to_vec(), vec![lease])
            }
            None => {
                let lease = Lease::any(count).map_err(port_failure)?;
                (lease.ports().to_vec(), vec![lease])
            }
        };
        // A peer port for each node, and a proxy for each ordered pair and for the clients of each node.
        let others = Lease::any(count + count * count).map_err(port_failure)?;
        let mut ports = others.ports().iter().copied();
        let mut next = || ports.next().expect("as many were taken as are used");

        let mut members: Vec<Member> = (1u64..)
            .zip(clients)
            .map(|(id, client)| {
                let name = format!("n{id}");
                Member {
                    id,
                    client_address: local(client),
                    peer_address: local(next()),
                    dialled_by_clients: local(next()),
                    dial: BTreeMap::new(),
                    files: run.node(&name),
                    name,
                }
            })
            .collect();
        let mut proxied = Vec::with_capacity(count * count);
        for to in &members {
            proxied.push(Proxied {
                from: End::Clients,
                to: End::node(&to.name),
                listener: listen(to.dialled_by_clients)?,
                target: to.client_address,
            });
        }
        let targets: Vec<_> = members
            .iter()
            .map(|to| (to.id, to.name.clone(), to.peer_address))
            .collect();
        for from in &mut members {
            for (id, name, target) in targets.iter().filter(|(id, ..)| *id != from.id) {
                let address = local(next());
                from.dial.insert(id.to_string(), address.to_string());
                proxied.push(Proxied {
                    from: End::node(&from.name),
                    to: End::node(name),
                    listener: listen(address)?,
                    target: *target,
                });
            }
        }
        leases.push(others);
        Ok(Layout {
            members,
            proxied,
            leases,
        })
    }
}

impl Member {
    /// Its configuration file.
    pub fn config(&self, all: &[Member]) -> String {
        let config = NodeConfig {
            id: self.id,
            data_dir: &self.files.data,
            client_address: self.client_address,
            peer_address: self.peer_address,
            dial: &self.dial,
            members: all
                .iter()
                .map(|member| MemberConfig {
                    id: member.id,
                    peer_address: member.peer_address,
                    client_address: member.client_address,
                    role: "voter",
                })
                .collect(),
        };
        toml::to_string(&config).expect("a node's configuration is plain data")
    }

    /// As clients see it.
    pub fn for_clients(&self) -> Server {
        Server {
            name: self.name.clone(),
            address: self.dialled_by_clients,
        }
    }

    /// As the controller sees it: past every fault.
    pub fn for_controller(&self) -> Server {
        Server {
            name: self.name.clone(),
            address: self.client_address,
        }
    }
}

fn consecutive(first: u16, count: u16) -> Result<impl IntoIterator<Item = u16> + use<>, Failure> {
    match first.checked_add(count.saturating_sub(1)) {
        Some(last) if first >= 1 => Ok(first..=last),
        _ => Err(Failure::Usage(format!(
            "{count} ports from {first} on do not exist on a host"
        ))),
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).map_err(|error| {
        Failure::Machinery(format!("could not listen on {address} for a link: {error}"))
    })
}

fn port_failure(error: PortError) -> Failure {
    match error {
        PortError::InUse { .. } => Failure::Usage(error.to_string()),
        PortError::Exhausted { .. } | PortError::Locks { .. } => {
            Failure::Machinery(error.to_string())
        }
    }
}
