//! Whether a zxid is left where an indeterminate write would have to stand.
//!
//! A write that is put in just before another operation may stand anywhere after the last operation before that which tells whether
//! the write had happened. In ZooKeeper every zxid is a transaction's, and few are left: where none is, the write cannot have been there. Whether two
//! writes need the same one is not asked here.

use super::super::call::Zxid;
use super::super::decode::Decoded;
use super::super::effect::{Effect, Mark, Reach};
use super::super::replay::Effects;
use super::calls::{Calls, Fact, Kind};

/// A place in the order of all that have zxids, and the zxid there.
type Place = (u32, Zxid);

/// The zxids that are taken, and where operations with zxids stand.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// By writes that were answered, or that answers show. Ascending.
    taken: Vec<Zxid>,
    /// By path: where writes have to do with it, where it was shown, and where it was shown not to be there.
    written: Vec<Vec<Place>>,
    shown: Vec<Vec<Place>>,
    absent: Vec<Vec<Place>>,
    /// By call: the place of the first operation that made it.
    first: Vec<u32>,
    /// By call: the zxid before which it must have happened.
    end: Vec<Zxid>,
}

impl Gaps {
    /// Of all calls of a history, or of a part of it.
    pub(super) fn of(
        decoded: &Decoded<'_>,
        calls: &Calls,
        reach: &Reach,
        effects: &Effects,
    ) -> Gaps {
        let mut places: Vec<(Zxid, bool, usize, u32)> = Vec::new();
        let own = calls.of.iter().enumerate();
        let own = own.filter_map(|(at, call)| Some((at, (*call)?)));
        for (at, call) in own.chain(calls.claims.iter().copied()) {
            let fact = &calls.facts[call as usize];
            if let Some(zxid) = fact.zxid {
                places.push((zxid, fact.kind != Kind::Write, at, call));
            }
        }
        places.sort_unstable();
        let mut gaps = Gaps {
            taken: effects.taken_zxids(),
            written: vec![Vec::new(); decoded.paths.len()],
            shown: vec![Vec::new(); decoded.paths.len()],
            absent: vec![Vec::new(); decoded.paths.len()],
            first: vec![u32::MAX; calls.facts.len()],
            end: Vec::new(),
        };
        for (place, (zxid, _, _, call)) in places.iter().enumerate() {
            let place = place as u32;
            let first = &mut gaps.first[*call as usize];
            *first = place.min(*first);
            let op = &decoded.ops[calls.facts[*call as usize].op];
            // One that may not have happened stands for nothing.
            let mark = match op.may_take_effect() {
                true => Mark::Nothing,
                false => reach.mark(decoded, op),
            };
            match mark {
                Mark::Write(paths) => {
                    let paths = paths.iter().map(|path| path.0 as usize);
                    paths.for_each(|path| gaps.written[path].push((place, *zxid)));
                }
                Mark::Shown(path) => gaps.shown[path.0 as usize].push((place, *zxid)),
                Mark::Absent(path) => gaps.absent[path.0 as usize].push((place, *zxid)),
                Mark::Nothing => {}
            }
        }
        for fact in &calls.facts {
            // Equal calls of several sessions are one only where no session has ended.
            let (_, end) = match fact.ends {
                Some(_) => effects.bounds(decoded, fact.op),
                None => (0, Zxid::MAX),
            };
            gaps.end.push(end);
        }
        gaps
    }

    /// Whether a write can have had a zxid if it came just before something that has one.
    pub(super) fn have_room(
        &self,
        (call, write, effect): (usize, &Fact, &Effect),
        (before, next): (usize, &Fact),
    ) -> bool {
        let Some(zxid) = next.zxid else { return true };
        let place = self.first[before];
        let told = [
            (&effect.touches, &self.written),
            (&effect.changes, &self.shown),
            (&effect.makes, &self.absent),
        ];
        let mut after = write.floor.max(0);
        for (paths, places) in told {
            for path in paths {
                let places = &places[path.0 as usize];
                let earlier = places.partition_point(|(at, _)| *at < place);
                after = after.max(places[..earlier].last().map_or(0, |(_, zxid)| *zxid));
            }
        }
        // A look sees what was done at its own zxid.
        let most = zxid - Zxid::from(next.kind == Kind::Write);
        let most = most.min(self.end[call].saturating_sub(1));
        if most <= after {
            return false;
        }
        let up_to = |limit: Zxid| self.taken.partition_point(|zxid| *zxid <= limit);
        (most - after) as usize > up_to(most) - up_to(after)
    }
}
