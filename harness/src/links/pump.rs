//! One direction of one connection.
//!
//! Reads from one socket and writes to the other as the direction's link allows, with one fixed buffer. On an open
//! link a chunk is written in the same wake-up in which it was read; only what the receiver does not take waits.

use super::state::{Link, LinkState};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

/// What is read at once.
const CHUNK: usize = 16 * 1024;

/// What may be on its way over a slow link; beyond that the sender feels back-pressure.
const IN_FLIGHT: usize = 256 * 1024;

/// How often a cut link is looked at for what its senders attempt.
const LOOK: Duration = Duration::from_millis(100);

/// The connection must be reset at both ends.
pub(super) struct Reset;

/// Bytes that were read and are not written yet.
struct Waiting {
    due: Instant,
    bytes: Vec<u8>,
    written: usize,
}

/// One direction.
pub(super) struct Pump<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    link: &'a Link,
    state: watch::Receiver<LinkState>,
    /// The opposite direction's link: a RST from the receiver comes that way.
    opposite: watch::Receiver<LinkState>,
    randomness: ChaCha8Rng,
    buffer: Box<[u8]>,
    waiting: VecDeque<Waiting>,
    in_flight: usize,
    at_end: bool,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        from: &'a TcpStream,
        to: &'a TcpStream,
        link: &'a Link,
        opposite: &Link,
        randomness: ChaCha8Rng,
    ) -> Pump<'a> {
        Pump {
            from,
            to,
            link,
            state: link.watch(),
            opposite: opposite.watch(),
            randomness,
            buffer: vec![0; CHUNK].into_boxed_slice(),
            waiting: VecDeque::new(),
            in_flight: 0,
            at_end: false,
        }
    }

    /// Carries bytes until the sender's FIN has been passed on.
    pub(super) async fn run(mut self) -> Result<(), Reset> {
        loop {
            let state = *self.state.borrow_and_update();
            match state {
                LinkState::Reset => return Err(Reset),
                LinkState::Cut => self.hold().await,
                LinkState::Open | LinkState::Slow { .. } => {
                    if self.carry(state).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Passes bytes on until the link's state changes (`false`) or the FIN has been passed on (`true`).
    async fn carry(&mut self, state: LinkState) -> Result<bool, Reset> {
        loop {
            if self.at_end && self.waiting.is_empty() {
                // Fails only if the receiver is gone, which the opposite direction finds out.
                let _ = rustix::net::shutdown(self.to, rustix::net::Shutdown::Write);
                return Ok(true);
            }
            let next = self.waiting.front().map(|head| match state {
                LinkState::Slow { .. } => head.due,
                _ => Instant::now(),
            });
            let due = next.is_some_and(|due| due <= Instant::now());
            let room = match state {
                LinkState::Slow { .. } => self.in_flight < IN_FLIGHT,
                _ => self.waiting.is_empty(),
            };
            tokio::select! {
                biased;
                _ = self.state.changed() => return Ok(false),
                _ = self.to.writable(), if due => self.write().await?,
                _ = self.from.readable(), if room && !self.at_end => self.read(state).await?,
                () = sleep_until(next), if !due && next.is_some() => {}
            }
        }
    }

    /// Reads one chunk. On an open link it is written at once, as far as the receiver takes it.
    async fn read(&mut self, state: LinkState) -> Result<(), Reset> {
        let count = match self.from.try_read(&mut self.buffer) {
            Ok(0) => {
                self.at_end = true;
                return Ok(());
            }
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(_) => return Err(Reset),
        };
        let mut written = 0;
        let mut due = Instant::now();
        match state {
            LinkState::Slow { delay, jitter } => due += delay + self.draw(jitter),
            _ => match self.to.try_write(&self.buffer[..count]) {
                Ok(taken) => written = taken,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return self.receiver_is_gone().await,
            },
        }
        if written < count {
            self.in_flight += count - written;
            self.waiting.push_back(Waiting {
                due,
                bytes: self.buffer[written..count].to_vec(),
                written: 0,
            });
        }
        Ok(())
    }

    /// Writes what waits longest.
    async fn write(&mut self) -> Result<(), Reset> {
        let Some(head) = self.waiting.front_mut() else {
            return Ok(());
        };
        match self.to.try_write(&head.bytes[head.written..]) {
            Ok(taken) => {
                head.written += taken;
                self.in_flight -= taken;
                if head.written == head.bytes.len() {
                    self.waiting.pop_front();
                }
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(_) => self.receiver_is_gone().await,
        }
    }

    /// The receiver answers with a RST, which reaches the sender over the opposite link.
    async fn receiver_is_gone(&mut self) -> Result<(), Reset> {
        // The sender of a link's state lives as long as its connections.
        let _ = self
            .opposite
            .wait_for(|state| *state != LinkState::Cut)
            .await;
        Err(Reset)
    }

    /// Lets nothing cross until the link's state changes, and counts what is attempted meanwhile.
    async fn hold(&mut self) {
        let mut counted = 0;
        let mut look_again = self.at_end;
        loop {
            let attempted = self.in_flight as u64 + readable_bytes(self.from);
            counted = count_held(self.link, counted, attempted);
            // The first byte is counted at once, in case the sender's end is reset soon after; then a look now and then
            // is enough. (Readiness may also mean a FIN or a RST, which wait for the heal.)
            let quiet = counted == 0 && !look_again;
            tokio::select! {
                biased;
                _ = self.state.changed() => return,
                _ = self.from.readable(), if quiet => look_again = true,
                () = tokio::time::sleep(LOOK), if !quiet => {}
            }
        }
    }

    fn draw(&mut self, jitter: Duration) -> Duration {
        let widest = u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.randomness.random_range(0..=widest))
    }
}

/// Bytes that the sender's host has delivered to the proxy and that the proxy has not read.
pub(super) fn readable_bytes(stream: &TcpStream) -> u64 {
    rustix::io::ioctl_fionread(stream).unwrap_or(0)
}

/// Counts on the link what is held now beyond what was counted before; the new count.
pub(super) fn count_held(link: &Link, counted: u64, now: u64) -> u64 {
    link.hold_bytes(now.saturating_sub(counted));
    counted.max(now)
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
