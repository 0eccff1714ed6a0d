//! The watchdog of the controller itself: did it run all the time?
//!
//! A controller that stood still stamped answers late and let no client ask anything: what a history says about timing
//! across such an interval is worth nothing, so the interval becomes a line of the history.

use crate::store::HistoryWriter;
use keelhaul_checkers::Nanos;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often it looks at the clock.
const TICK: Duration = Duration::from_millis(50);

/// Later than this is a stall.
const TOLERATED: Duration = Duration::from_millis(500);

/// The watchdog, running until it is dropped.
pub struct Watchdog(JoinHandle<()>);

impl Watchdog {
    /// Begins to watch.
    pub fn start(history: Arc<HistoryWriter>) -> Watchdog {
        Watchdog(tokio::spawn(async move {
            let mut last = history.now();
            loop {
                tokio::time::sleep(TICK).await;
                let now = history.now();
                if let Some((from, to)) = stalled(last, now) {
                    tracing::warn!(
                        "the controller itself did not run for {} ms",
                        (to.0 - from.0) / 1_000_000
                    );
                    history.controller("stall", serde_json::json!({"from": from, "to": to}));
                }
                last = now;
            }
        }))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The interval of a stall, if two looks are too far apart.
fn stalled(last: Nanos, now: Nanos) -> Option<(Nanos, Nanos)> {
    let late = Duration::from_nanos(now.0.saturating_sub(last.0)).saturating_sub(TICK);
    (late > TOLERATED).then_some((last, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_is_later_than_a_tick_and_half_a_second() {
        let ms = |ms: u64| Nanos(ms * 1_000_000);
        assert_eq!(stalled(ms(100), ms(150)), None);
        assert_eq!(stalled(ms(100), ms(650)), None);
        assert_eq!(stalled(ms(100), ms(651)), Some((ms(100), ms(651))));
    }
}
