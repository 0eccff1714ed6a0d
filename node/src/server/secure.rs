//! The clients' port over TLS: a thread with a runtime of its own, which moves the bytes of these connections.
//!
//! A handshake takes up to a millisecond of signing. On the engine's thread a flood of handshakes would stop everybody; here it
//! stops those who come over TLS alone, and they have their share of the processor.

use super::NodeError;
use super::client;
use super::door::Door;
use super::listener::Listener;
use super::port::Port;
use crate::config::NodeConfig;
use crate::tls;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;

/// The port, taken before the node starts.
pub(super) struct SecurePort {
    port: Port,
    tls: Arc<ServerConfig>,
}

/// The thread; it ends when this is dropped.
pub(super) struct SecureThread {
    _stop: oneshot::Sender<()>,
}

impl SecurePort {
    /// Reads the files and takes the port, if the configuration has one.
    pub(super) fn take(config: &NodeConfig) -> Result<Option<SecurePort>, NodeError> {
        let Some(clients) = &config.tls.clients else {
            return Ok(None);
        };
        let tls = tls::for_clients(clients)?;
        let port = Port::take("clients over TLS", "tls.clients.address", clients.address)?;
        tracing::info!(address = %clients.address, auth = ?clients.auth, "clients over TLS");
        Ok(Some(SecurePort { port, tls }))
    }

    /// Serves on it, until what is returned is dropped.
    pub(super) fn serve(self, door: Arc<Door>) -> Result<SecureThread, NodeError> {
        let failed = |error: std::io::Error| NodeError::Start {
            what: "the thread for clients over TLS",
            problem: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            // It stays where it is: the ensemble knows nothing of this port.
            Listener::new(self.port)?.0
        };
        let (_stop, stopped) = oneshot::channel::<()>();
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = client::listen(listener, door, Some(self.tls)) => {}
                    _ = stopped => {}
                }
            });
        };
        std::thread::Builder::new()
            .name("tls".into())
            .spawn(work)
            .map_err(failed)?;
        Ok(SecureThread { _stop })
    }
}
