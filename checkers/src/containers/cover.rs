//! Which slots are covered by intervals, and by which few of them.

/// An interval of slots, from `start` (inclusive) to `end` (exclusive), of whatever `owner` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Core<O> {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) owner: O,
}

/// The union of intervals.
#[derive(Debug)]
pub(super) struct Cover<O> {
    /// By start.
    cores: Vec<Core<O>>,
    /// Disjoint, ascending, no two touching: start and end.
    runs: Vec<(u64, u64)>,
}

impl<O: Copy> Cover<O> {
    pub(super) fn new(mut cores: Vec<Core<O>>) -> Cover<O> {
        cores.sort_by_key(|core| core.start);
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for core in &cores {
            match runs.last_mut() {
                Some((_, end)) if core.start <= *end => *end = core.end.max(*end),
                _ => runs.push((core.start, core.end)),
            }
        }
        Cover { cores, runs }
    }

    /// Whether all slots of this interval are covered.
    pub(super) fn covers(&self, start: u64, end: u64) -> bool {
        let after = self.runs.partition_point(|run| run.0 <= start);
        after > 0 && end <= self.runs[after - 1].1
    }

    /// The fewest intervals that cover this one, from left to right; asked only where it is covered.
    pub(super) fn chain(&self, start: u64, end: u64) -> Vec<Core<O>> {
        let mut chain: Vec<Core<O>> = Vec::new();
        let mut reached = start;
        let mut best: Option<Core<O>> = None;
        for core in &self.cores {
            if core.start > reached {
                let Some(link) = best.take() else { break };
                chain.push(link);
                reached = link.end;
                if reached >= end || core.start > reached {
                    break;
                }
            }
            if best.is_none_or(|best| core.end > best.end) && core.end > reached {
                best = Some(*core);
            }
        }
        if reached < end {
            chain.extend(best);
        }
        chain
    }
}
