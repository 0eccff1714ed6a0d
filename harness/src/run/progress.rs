//! What a person sees while a run is at work. Never evidence, and never on standard output.

use crate::aside;
use crate::control::Faults;
use crate::roles::{self, Board};
use indicatif::{ProgressBar, ProgressStyle};
use keelhaul_workloads::Meter;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often the line on a terminal changes.
const ON_TERMINAL: Duration = Duration::from_millis(500);

/// How often a plain line is printed elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// Where messages for a person go: standard error, with a live line where that is a terminal.
#[derive(Debug, Clone)]
pub struct Screen {
    live: Option<ProgressBar>,
}

impl Default for Screen {
    fn default() -> Screen {
        Screen::new()
    }
}

impl Screen {
    /// Looks at what standard error is.
    pub fn new() -> Screen {
        let live = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .expect("a constant template that names known fields");
            ProgressBar::new_spinner().with_style(style)
        });
        Screen { live }
    }

    /// Prints a line that stays.
    pub fn say(&self, line: &str) {
        match &self.live {
            Some(bar) => bar.suspend(|| aside::say(line)),
            None => aside::say(line),
        }
    }

    /// Shows what is being done now: on a terminal alone, until something else is shown.
    pub fn show(&self, line: String) {
        if let Some(bar) = &self.live {
            bar.set_message(line);
            bar.tick();
        }
    }

    /// Takes the live line away.
    pub fn clear(&self) {
        if let Some(bar) = &self.live {
            bar.finish_and_clear();
        }
    }
}

/// The display of a run at work, until it is dropped.
pub(super) struct Progress(JoinHandle<()>);

/// What the display looks at.
pub(super) struct Sources {
    /// Counts and latency.
    pub(super) meter: Arc<Meter>,
    /// Who leads.
    pub(super) board: watch::Receiver<Board>,
    /// What is broken.
    pub(super) faults: Arc<Faults>,
    /// How long the work lasts.
    pub(super) time_limit: Duration,
}

impl Progress {
    /// Begins to show.
    pub(super) fn start(screen: Screen, sources: Sources) -> Progress {
        Progress(tokio::spawn(async move {
            let period = match screen.live {
                Some(_) => ON_TERMINAL,
                None => ELSEWHERE,
            };
            let began = Instant::now();
            let mut answered = 0;
            loop {
                tokio::time::sleep(period).await;
                let (line, now) = sources.line(began.elapsed(), period, answered);
                answered = now;
                match screen.live {
                    Some(_) => screen.show(line),
                    None => screen.say(&line),
                }
            }
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sources {
    fn line(&self, elapsed: Duration, period: Duration, before: u64) -> (String, u64) {
        let meter = self.meter.snapshot();
        let rate = (meter.ok - before) as f64 / period.as_secs_f64();
        let broken = self.faults.in_place();
        let leader = roles::leader(&self.board.borrow()).map_or("nobody".to_owned(), str::to_owned);
        let line = format!(
            "{:>3.0} of {:.0} s · {rate:.0} op/s · p50 {} p99 {} · {leader} leads · {}",
            elapsed.as_secs_f64(),
            self.time_limit.as_secs_f64(),
            millis(meter.p50_us),
            millis(meter.p99_us),
            if broken.is_empty() {
                "nothing broken"
            } else {
                &broken
            },
        );
        (line, meter.ok)
    }
}

fn millis(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1_000.0)
}
