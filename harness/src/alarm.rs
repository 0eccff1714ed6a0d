//! The alarm: the harness itself has failed, and the run must end.
//!
//! The first reason stays: what fails after it fails mostly because of it.

use tokio::sync::watch;

/// Raised by whoever notices that the harness has failed; watched by the run.
#[derive(Debug, Clone)]
pub struct Alarm(watch::Sender<Option<String>>);

impl Default for Alarm {
    fn default() -> Alarm {
        Alarm(watch::Sender::new(None))
    }
}

impl Alarm {
    /// The harness has failed, and why.
    pub fn raise(&self, reason: String) {
        self.0.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(reason);
            }
            first
        });
    }

    /// Why the harness has failed, if it has.
    pub fn raised(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Returns once it is raised.
    pub async fn wait(&self) {
        // The sender is `self`, so the channel is open.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}
