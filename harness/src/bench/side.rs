//! What is measured: servers by their addresses, and the cluster behind them if it was started for the bench.

use super::system::Started;
use crate::failure::Failure;
use keelhaul_workloads::Server;

/// One side of a comparison.
pub struct Side {
    /// How the tables call it.
    pub name: String,
    /// Where clients dial.
    pub servers: Vec<Server>,
    /// The cluster, if the bench started it.
    pub started: Option<Started>,
}

impl Side {
    /// Servers that somebody else runs: `host:port,host:port,…`.
    ///
    /// # Errors
    /// If an address does not resolve.
    pub fn endpoints(text: &str) -> Result<Side, Failure> {
        let mut servers = Vec::new();
        for endpoint in text.split(',').map(str::trim) {
            let resolved = std::net::ToSocketAddrs::to_socket_addrs(endpoint);
            let address = resolved.ok().and_then(|mut all| all.next()).ok_or_else(|| {
                Failure::Usage(format!(
                    "--endpoints: `{endpoint}` is no address that resolves; write host:port,host:port,…"
                ))
            })?;
            servers.push(Server {
                name: endpoint.to_owned(),
                address,
            });
        }
        Ok(Side {
            name: text.to_owned(),
            servers,
            started: None,
        })
    }

    /// A cluster that was started for the bench.
    pub fn started(started: Started) -> Side {
        Side {
            name: started.system.name().to_owned(),
            servers: started.servers(),
            started: Some(started),
        }
    }

    /// The cluster.
    ///
    /// # Errors
    /// If somebody else runs these servers.
    pub(super) fn cluster(&self) -> Result<&Started, Failure> {
        self.started.as_ref().ok_or_else(|| {
            Failure::Usage(format!(
                "{}: this figure needs servers that the bench has started itself: use --system",
                self.name
            ))
        })
    }
}
