//! How many more voters may fail: the leader counts those that follow it, and whoever finds no leader knows that it is bad.

use super::gate::{Hold, Sign};
use super::post::Reading;

/// `live` of so many voters are there; `None`: there is no leader.
pub(super) fn reading(live: Option<usize>, near: usize, voters: usize) -> Reading {
    let quorum = voters / 2 + 1;
    let design = voters - quorum;
    let live_here = live.unwrap_or(0);
    let sign = match live {
        None => Sign::Critical,
        Some(live) if live < quorum => Sign::Critical,
        Some(live) if live == voters || design == 0 => Sign::Calm,
        Some(live) if live == quorum => Sign::Critical,
        Some(_) => Sign::Warning,
    };
    let more = (live_here as f64 - quorum as f64).max(-1.0);
    Reading {
        sign,
        // An election in passing is no news; nobody misses a member that comes back at once.
        hold: Hold {
            raise_ms: if live.is_none() { 3000 } else { 1000 },
            clear_ms: 2000,
        },
        evidence: vec![
            ("missing", (voters - live_here.min(voters)) as f64),
            ("may_fail", more),
            ("made_for", design as f64),
            ("voters", voters as f64),
            ("heard", near as f64),
            ("leader", f64::from(u8::from(live.is_some()))),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_live_voters() {
        let sign = |live, voters| reading(live, 0, voters).sign;
        assert_eq!(sign(Some(5), 5), Sign::Calm);
        assert_eq!(sign(Some(4), 5), Sign::Warning);
        assert_eq!(sign(Some(3), 5), Sign::Critical);
        assert_eq!(sign(Some(2), 3), Sign::Critical);
        assert_eq!(sign(Some(1), 1), Sign::Calm);
        assert_eq!(sign(Some(2), 2), Sign::Calm);
        assert_eq!(sign(None, 3), Sign::Critical);
    }
}
