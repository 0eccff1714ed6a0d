//! TLS: for clients beside the plain port, and between members instead of it.

use super::check::{Illegal, illegal};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Keys {
    /// This server's certificate, and behind it those between it and an authority.
    pub certificate: PathBuf,
    /// Its private key; by default it stands in the same file.
    pub key: Option<PathBuf>,
    /// The authorities whose certificates are believed.
    pub trust: Option<PathBuf>,
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They may.
    Want,
    /// They must.
    #[default]
    Need,
}

/// The port for clients that speak TLS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecureClients {
    /// Where it is.
    pub address: SocketAddr,
    /// What this server shows, and whom it believes.
    pub keys: Keys,
    /// Whether clients show a certificate; its subject is their id in the scheme `x509`.
    #[serde(default)]
    pub auth: ClientAuth,
    /// The subject of the certificate whose owner may do everything.
    pub super_subject: Option<String>,
}

/// TLS between members: each shows a certificate to the other.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerTls {
    /// What this server shows, and whom it believes.
    pub keys: Keys,
    /// Whether a certificate must name the member that shows it: its host, or its address.
    #[serde(default = "yes")]
    pub verify_names: bool,
    /// The members' hosts, where their certificates do not name their addresses.
    #[serde(default)]
    pub hosts: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// For clients, if there is such a port.
    pub clients: Option<SecureClients>,
    /// Between members, if they speak TLS.
    pub peers: Option<PeerTls>,
}

/// Whether every file that is needed is named. Whether it can be used shows when the node starts.
pub(super) fn check_tls(tls: &Tls) -> Result<(), Illegal> {
    let named = |key: &str, keys: &Keys| {
        if keys.certificate.as_os_str().is_empty() {
            return illegal(
                format!("{key}.keys.certificate"),
                "\"\"",
                "a file in PEM must be given",
            );
        }
        Ok(())
    };
    if let Some(clients) = &tls.clients {
        named("tls.clients", &clients.keys)?;
        if clients.auth != ClientAuth::None && clients.keys.trust.is_none() {
            return illegal(
                "tls.clients.keys.trust",
                "\"\"",
                "clients that show a certificate need an authority that is trusted: give a file in PEM, or say auth = \"none\"",
            );
        }
    }
    if let Some(peers) = &tls.peers {
        named("tls.peers", &peers.keys)?;
        if peers.keys.trust.is_none() {
            return illegal(
                "tls.peers.keys.trust",
                "\"\"",
                "members believe certificates of an authority that is trusted: give a file in PEM",
            );
        }
    }
    Ok(())
}
