//! Ctrl-C: the first ends the run in order, the second at once.

use crate::aside;
use crate::exit::Exit;
use crate::failure::Failure;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Listens for SIGINT and SIGTERM.
#[derive(Debug, Clone)]
pub struct Interrupts(watch::Receiver<bool>);

impl Interrupts {
    /// Begins to listen, for the rest of the process's life.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn listen() -> Result<Interrupts, Failure> {
        let failed = |error| Failure::Machinery(format!("could not listen for Ctrl-C: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let (publish, interrupted) = watch::channel(false);
        tokio::spawn(async move {
            for again in [false, true] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if again {
                    aside::say("interrupted again: stopping at once; nothing was checked");
                    // The supervisor sees its pipe close and ends every node.
                    std::process::exit(Exit::Interrupted.code().into());
                }
                publish.send_replace(true);
            }
        });
        Ok(Interrupts(interrupted))
    }

    /// Whether there was a first one.
    pub fn is_interrupted(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once there is a first one.
    pub async fn wait(&self) {
        // The listening task keeps the channel open until the process ends.
        let _ = self.0.clone().wait_for(|interrupted| *interrupted).await;
    }
}
