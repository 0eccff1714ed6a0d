//! The leader's knowledge about sessions: which server serves each, and when it expires.
//!
//! It is not replicated: a new leader gives every session its whole time-out again. Expiry is rounded up to whole
//! intervals, so that a sign of life costs nothing while it falls into the same interval, and sessions expire in
//! batches (ZooKeeper's `ExpiryQueue`).

use crate::request::{ErrorCode, SessionId};
use crate::zab::{Millis, NodeId};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
struct Live {
    /// The server that serves it; `None` until a new leader hears of it.
    owner: Option<NodeId>,
    timeout_ms: u64,
    /// The end of the interval in which it expires.
    expires: u64,
    /// Its end is proposed: nothing of it is accepted any more.
    closing: bool,
}

/// All open sessions.
#[derive(Debug)]
pub struct Sessions {
    interval_ms: u64,
    live: FxHashMap<SessionId, Live>,
    /// Sessions by the end of the interval in which they expire; closing ones are in none.
    buckets: BTreeMap<u64, BTreeSet<SessionId>>,
    /// How many are closing.
    closing: usize,
    last_check: Millis,
}

impl Sessions {
    /// No sessions. They expire in batches, at multiples of `interval_ms`.
    pub fn new(interval_ms: u64, now: Millis) -> Sessions {
        assert!(interval_ms > 0, "an interval takes time");
        Sessions {
            interval_ms,
            live: FxHashMap::default(),
            buckets: BTreeMap::new(),
            closing: 0,
            last_check: now,
        }
    }

    /// The session is open, and has its whole time-out from now.
    pub fn add(&mut self, id: SessionId, timeout_ms: i32, owner: Option<NodeId>, now: Millis) {
        let timeout_ms = u64::try_from(timeout_ms).unwrap_or(0);
        let expires = self.round(now.0 + timeout_ms);
        self.remove(id);
        self.live.insert(
            id,
            Live {
                owner,
                timeout_ms,
                expires,
                closing: false,
            },
        );
        self.buckets.entry(expires).or_default().insert(id);
    }

    /// The session is closed.
    pub fn remove(&mut self, id: SessionId) {
        if let Some(live) = self.live.remove(&id) {
            self.closing -= usize::from(live.closing);
            self.leave(id, live.expires);
        }
    }

    /// A sign of life.
    pub fn touch(&mut self, id: SessionId, now: Millis) {
        let interval = self.interval_ms;
        let Some(live) = self.live.get_mut(&id).filter(|live| !live.closing) else {
            return;
        };
        let expires = (now.0 + live.timeout_ms).next_multiple_of(interval);
        let before = live.expires;
        if expires > before {
            live.expires = expires;
            self.leave(id, before);
            self.buckets.entry(expires).or_default().insert(id);
        }
    }

    /// Whether a request of this session, forwarded by this server, may be prepared.
    pub fn check(&mut self, id: SessionId, from: NodeId) -> Result<(), ErrorCode> {
        match self.live.get_mut(&id).filter(|live| !live.closing) {
            None => Err(ErrorCode::SessionExpired),
            Some(live) => {
                // The first server that speaks for it after a change of leader is the one that serves it.
                let owner = *live.owner.get_or_insert(from);
                if owner == from {
                    Ok(())
                } else {
                    Err(ErrorCode::SessionMoved)
                }
            }
        }
    }

    /// The session goes on at this server; false if it is gone.
    pub fn move_to(&mut self, id: SessionId, owner: NodeId, now: Millis) -> bool {
        match self.live.get_mut(&id).filter(|live| !live.closing) {
            None => false,
            Some(live) => {
                live.owner = Some(owner);
                self.touch(id, now);
                true
            }
        }
    }

    /// The sessions by the time at which they expire, both in order.
    pub fn by_expiry(&self) -> impl ExactSizeIterator<Item = (Millis, &BTreeSet<SessionId>)> {
        self.buckets.iter().map(|(at, ids)| (Millis(*at), ids))
    }

    /// The session's end is proposed.
    pub fn closing(&mut self, id: SessionId) {
        if let Some(live) = self.live.get_mut(&id) {
            self.closing += usize::from(!live.closing);
            live.closing = true;
            let expires = live.expires;
            self.leave(id, expires);
        }
    }

    /// The sessions whose time is over, in order. To be called about once an interval: if it was not, this process
    /// did not run, signs of life may lie unread, and every session gets the lost time back. Of more than `most` the rest
    /// is told the next time.
    pub fn expired(&mut self, now: Millis, most: usize) -> Vec<SessionId> {
        let stalled = now
            .since(self.last_check)
            .saturating_sub(2 * self.interval_ms);
        self.last_check = now;
        if stalled > 0 {
            self.postpone(self.round(stalled));
        }
        let mut due = Vec::new();
        while let Some(mut bucket) = self.buckets.first_entry() {
            if *bucket.key() > now.0 {
                break;
            }
            while due.len() < most
                && let Some(id) = bucket.get_mut().pop_first()
            {
                due.push(id);
            }
            if !bucket.get().is_empty() {
                break;
            }
            bucket.remove();
        }
        due
    }

    /// How many sessions are open and not about to be closed.
    pub fn staying(&self) -> usize {
        self.live.len() - self.closing
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn postpone(&mut self, by: u64) {
        let buckets = std::mem::take(&mut self.buckets);
        self.buckets = buckets
            .into_iter()
            .map(|(expires, ids)| (expires + by, ids))
            .collect();
        for (expires, ids) in &self.buckets {
            for id in ids {
                if let Some(live) = self.live.get_mut(id) {
                    live.expires = *expires;
                }
            }
        }
    }

    fn leave(&mut self, id: SessionId, expires: u64) {
        if let Some(bucket) = self.buckets.get_mut(&expires) {
            bucket.remove(&id);
            if bucket.is_empty() {
                self.buckets.remove(&expires);
            }
        }
    }

    fn round(&self, millis: u64) -> u64 {
        millis.next_multiple_of(self.interval_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    fn expired_at(
        sessions: &mut Sessions,
        times: impl Iterator<Item = u64>,
    ) -> Vec<(u64, SessionId)> {
        times
            .flat_map(|t| {
                sessions
                    .expired(Millis(t), usize::MAX)
                    .into_iter()
                    .map(move |id| (t, id))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn a_session_without_a_sign_of_life_expires_after_its_time_out_rounded_up() {
        let mut sessions = Sessions::new(100, Millis(0));
        sessions.add(A, 450, None, Millis(10));
        sessions.add(B, 450, None, Millis(10));
        sessions.touch(B, Millis(260));
        assert_eq!(
            expired_at(&mut sessions, (0..12).map(|n| n * 100)),
            [(500, A), (800, B)]
        );
    }

    #[test]
    fn of_many_that_expire_together_some_are_told_at_a_time() {
        let mut sessions = Sessions::new(100, Millis(0));
        (1..=5).for_each(|id| sessions.add(SessionId(id), 150, None, Millis(0)));
        let mut told = |now: u64| {
            let ids = sessions.expired(Millis(now), 2);
            ids.iter().for_each(|id| sessions.closing(*id));
            ids
        };
        let ids = |ids: &[i64]| ids.iter().map(|id| SessionId(*id)).collect::<Vec<_>>();
        assert_eq!(told(200), ids(&[1, 2]));
        assert_eq!(told(201), ids(&[3, 4]));
        assert_eq!(told(202), ids(&[5]));
        assert_eq!(told(300), ids(&[]));
    }

    #[test]
    fn time_in_which_the_leader_did_not_run_does_not_count() {
        let mut sessions = Sessions::new(100, Millis(0));
        sessions.add(A, 450, None, Millis(0));
        assert_eq!(expired_at(&mut sessions, [100, 200, 5000].into_iter()), []);
        sessions.touch(A, Millis(5000));
        assert_eq!(
            expired_at(&mut sessions, (51..60).map(|n| n * 100)),
            [(5500, A)]
        );
    }

    #[test]
    fn a_request_from_a_server_that_the_session_has_left_is_refused() {
        let mut sessions = Sessions::new(100, Millis(0));
        sessions.add(A, 1000, Some(NodeId(1)), Millis(0));
        assert_eq!(sessions.check(A, NodeId(1)), Ok(()));
        assert!(sessions.move_to(A, NodeId(2), Millis(0)));
        assert_eq!(sessions.check(A, NodeId(1)), Err(ErrorCode::SessionMoved));
        assert_eq!(sessions.check(A, NodeId(2)), Ok(()));
        assert_eq!(sessions.check(B, NodeId(2)), Err(ErrorCode::SessionExpired));
    }

    #[test]
    fn a_session_whose_end_is_proposed_accepts_nothing_and_does_not_expire_again() {
        let mut sessions = Sessions::new(100, Millis(0));
        sessions.add(A, 200, Some(NodeId(1)), Millis(0));
        sessions.closing(A);
        sessions.touch(A, Millis(50));
        assert_eq!(sessions.check(A, NodeId(1)), Err(ErrorCode::SessionExpired));
        assert!(!sessions.move_to(A, NodeId(2), Millis(50)));
        assert_eq!(expired_at(&mut sessions, (0..9).map(|n| n * 100)), []);
        assert_eq!((sessions.len(), sessions.staying()), (1, 0));
        sessions.closing(A);
        sessions.add(B, 200, None, Millis(900));
        assert_eq!((sessions.len(), sessions.staying()), (2, 1));
        sessions.remove(A);
        assert_eq!((sessions.len(), sessions.staying()), (1, 1));
        sessions.remove(B);
        assert!(sessions.is_empty());
    }
}
