//! The state of one ordered pair, and the count of what it holds back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// What a link does with what is sent over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// Passes everything on at once.
    #[default]
    Open,
    /// Lets nothing cross.
    Cut,
    /// Passes everything on, in order, after `delay` and up to `jitter` more.
    Slow {
        /// The least delay.
        delay: Duration,
        /// What is drawn for each chunk and added.
        jitter: Duration,
    },
    /// Resets every connection that it is part of, and every dial.
    Reset,
}

/// What was attempted on a cut link and not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Bytes that were sent into it. A sender whose buffers are full sends no more, so this is a lower bound.
    pub bytes: u64,
    /// Connections that were dialled into it.
    pub dials: u64,
}

/// One ordered pair.
#[derive(Debug, Default)]
pub(super) struct Link {
    state: watch::Sender<LinkState>,
    bytes: AtomicU64,
    dials: AtomicU64,
}

impl Link {
    pub(super) fn set(&self, state: LinkState) {
        self.state.send_if_modified(|now| {
            let changed = *now != state;
            if changed && state == LinkState::Cut {
                self.bytes.store(0, Ordering::Relaxed);
                self.dials.store(0, Ordering::Relaxed);
            }
            *now = state;
            changed
        });
    }

    pub(super) fn state(&self) -> LinkState {
        *self.state.borrow()
    }

    pub(super) fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    pub(super) fn held(&self) -> Held {
        Held {
            bytes: self.bytes.load(Ordering::Relaxed),
            dials: self.dials.load(Ordering::Relaxed),
        }
    }

    pub(super) fn hold_bytes(&self, more: u64) {
        self.bytes.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn hold_dial(&self) {
        self.dials.fetch_add(1, Ordering::Relaxed);
    }
}
