//! When a session's connection may have been another one.

use crate::zookeeper::call::{Op, Zxid};
use crate::zookeeper::decode::Decoded;

/// A time in which the connection may have changed, from line to line, ends not included.
///
/// It ends with the first answer to what was asked after the change: the client sets its watches again before it asks
/// anything else, so their events have come by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) begin: u64,
    pub(super) end: u64,
    /// The zxid of the answer that ended it: from there on, watches that last stand again.
    pub(super) zxid: Option<Zxid>,
}

/// The times in which one session's connection may have changed: ascending, and apart from each other.
#[derive(Debug, Default)]
pub(super) struct Link(Vec<Change>);

impl Link {
    /// For each session, by number.
    pub(super) fn of_all(decoded: &Decoded<'_>) -> Vec<Link> {
        let mut asked: Vec<Vec<&Op<'_>>> = vec![Vec::new(); decoded.sessions.len()];
        for op in &decoded.ops {
            asked[op.session.0 as usize].push(op);
        }
        asked.iter().map(|ops| Link::of(ops)).collect()
    }

    /// `ops` are in the order of their invocations.
    fn of(ops: &[&Op<'_>]) -> Link {
        // The first answer to anything that was asked from a place on.
        let mut first_answers = vec![None; ops.len() + 1];
        for (at, op) in ops.iter().enumerate().rev() {
            let later: Option<&Op<'_>> = first_answers[at + 1];
            let own = op.ret().filter(|_| op.operation.is_ok());
            first_answers[at] = match (own, later) {
                (Some(own), Some(later)) if later.ret().is_some_and(|ret| ret < own) => Some(later),
                (Some(_), _) => Some(op),
                (None, later) => later,
            };
        }
        let mut changes: Vec<Change> = Vec::new();
        for op in ops {
            if op.operation.f() != "connect" && op.operation.is_ok() {
                continue;
            }
            let over = op
                .operation
                .completion()
                .map_or(u64::MAX, |line| line.index());
            let next = ops.partition_point(|other| other.inv() <= over);
            let answer = first_answers[next];
            let change = Change {
                begin: op.inv(),
                end: answer.and_then(Op::ret).unwrap_or(u64::MAX),
                zxid: answer.and_then(|op| op.zxid),
            };
            match changes.last_mut() {
                Some(last) if change.begin < last.end => {
                    if last.end < change.end {
                        (last.end, last.zxid) = (change.end, change.zxid);
                    }
                }
                _ => changes.push(change),
            }
        }
        Link(changes)
    }

    /// Whether it may have changed between two lines; a line's own moment, if they are the same.
    pub(super) fn changed(&self, from: u64, to: u64) -> bool {
        self.next(from).is_some_and(|change| change.begin < to)
    }

    /// The first change that was not over by this line.
    pub(super) fn next(&self, from: u64) -> Option<&Change> {
        self.0
            .get(self.0.partition_point(|change| change.end <= from))
    }
}
