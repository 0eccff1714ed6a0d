//! What is said of an address once a minute, and not once per attempt: who knocks ten thousand times a second must not fill the log.

use rustc_hash::FxHashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long the same is not said again.
const PAUSE: Duration = Duration::from_secs(60);

/// Addresses that are remembered at a time.
const MOST: usize = 4096;

/// When something was last said of whom, and how often it has happened since.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    said: FxHashMap<IpAddr, (Instant, u64)>,
}

impl Complaints {
    /// It has happened, now. How often it happened since it was last said, if it is to be said now.
    pub(super) fn about(&mut self, address: IpAddr, now: Instant) -> Option<u64> {
        if let Some((last, silent)) = self.said.get_mut(&address) {
            if now.duration_since(*last) < PAUSE {
                *silent += 1;
                return None;
            }
            let times = *silent + 1;
            (*last, *silent) = (now, 0);
            return Some(times);
        }
        if self.said.len() >= MOST {
            // Who has been quiet for long is forgotten; with too many at a time, nothing new is said.
            self.said
                .retain(|_, (last, _)| now.duration_since(*last) < PAUSE);
            if self.said.len() >= MOST {
                return None;
            }
        }
        self.said.insert(address, (now, 0));
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn the_same_is_said_once_a_minute_with_the_number_of_times() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let one = IpAddr::from([10, 0, 0, 1]);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(complaints.about(one, at(0)), Some(1));
        for _ in 0..9 {
            assert_eq!(complaints.about(one, at(59)), None);
        }
        assert_eq!(complaints.about(one, at(60)), Some(10));
        assert_eq!(
            complaints.about(IpAddr::from([10, 0, 0, 2]), at(60)),
            Some(1)
        );
    }

    #[test]
    fn so_many_addresses_are_remembered_and_no_more() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let said = (0..10_000u32)
            .filter_map(|n| complaints.about(Ipv4Addr::from(n).into(), start))
            .count();
        assert_eq!((said, complaints.said.len()), (MOST, MOST));
        let later = start + PAUSE;
        assert_eq!(
            complaints.about(Ipv4Addr::from(20_000).into(), later),
            Some(1)
        );
        assert_eq!(complaints.said.len(), 1);
    }
}
