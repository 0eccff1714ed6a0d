//! The shapes of cycles that are anomalies, as data; `search` interprets them.

use super::relation::Relations;

/// How often an anti-dependency may stand in a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rw {
    /// Never.
    None,
    /// Exactly once.
    One,
    /// Several times, but never one behind the other.
    Apart,
    /// Several times.
    Any,
}

/// Which order beside the data's is broken too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// None: the data alone contradict each other.
    Data,
    /// Each process's own.
    Process,
    /// Real time.
    Realtime,
}

/// A shape of cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Steps that may stand anywhere.
    pub(crate) steps: Relations,
    /// A step that must be there, from which the search starts. (Real time starts where time runs back.)
    pub(crate) must: Relations,
    pub(crate) rw: Rw,
    pub(crate) variant: Variant,
}

const W: Relations = Relations::WW;
const WR: Relations = Relations::WW.and(Relations::WR);

const fn data(name: &'static str, steps: Relations, must: Relations, rw: Rw) -> Kind {
    Kind {
        name,
        steps,
        must,
        rw,
        variant: Variant::Data,
    }
}

const fn process(name: &'static str, steps: Relations, rw: Rw) -> Kind {
    let must = match rw {
        Rw::None => Relations::PROCESS,
        _ => Relations::RW,
    };
    Kind {
        name,
        steps: steps.and(Relations::PROCESS),
        must,
        rw,
        variant: Variant::Process,
    }
}

const fn realtime(name: &'static str, steps: Relations, rw: Rw) -> Kind {
    Kind {
        name,
        steps,
        must: Relations::REALTIME,
        rw,
        variant: Variant::Realtime,
    }
}

/// Worst first: what comes later is looked for only where nothing that is a case of it was found.
pub(crate) const KINDS: [Kind; 15] = [
    data("G0", W, Relations::WW, Rw::None),
    data("G1c", WR, Relations::WR, Rw::None),
    data("G-single-item", WR, Relations::RW, Rw::One),
    data("G-nonadjacent-item", WR, Relations::RW, Rw::Apart),
    data("G2-item", WR, Relations::RW, Rw::Any),
    process("G0-process", W, Rw::None),
    process("G1c-process", WR, Rw::None),
    process("G-single-item-process", WR, Rw::One),
    process("G-nonadjacent-item-process", WR, Rw::Apart),
    process("G2-item-process", WR, Rw::Any),
    realtime("G0-realtime", W, Rw::None),
    realtime("G1c-realtime", WR, Rw::None),
    realtime("G-single-item-realtime", WR, Rw::One),
    realtime("G-nonadjacent-item-realtime", WR, Rw::Apart),
    realtime("G2-item-realtime", WR, Rw::Any),
];

/// What a cycle of these relations is called; none if it is no cycle of the data at all.
pub(crate) fn name_of(cycle: &[Relations]) -> Option<&'static str> {
    let has = |relation: Relations| cycle.iter().any(|step| step.has(relation));
    let rw = cycle.iter().filter(|step| step.has(Relations::RW)).count();
    let follows = cycle.iter().cycle().skip(1);
    let adjacent = cycle
        .iter()
        .zip(follows)
        .any(|(one, next)| one.has(Relations::RW) && next.has(Relations::RW));
    let allowed = match (rw, adjacent && rw > 1) {
        (0, _) => Rw::None,
        (1, _) => Rw::One,
        (_, false) => Rw::Apart,
        (_, true) => Rw::Any,
    };
    let variant = match (has(Relations::REALTIME), has(Relations::PROCESS)) {
        (true, _) => Variant::Realtime,
        (false, true) => Variant::Process,
        (false, false) => Variant::Data,
    };
    if !has(Relations::DATA) {
        return None;
    }
    let reads = rw > 0 || has(Relations::WR);
    let named = |kind: &&Kind| {
        kind.rw == allowed && kind.variant == variant && kind.steps.has(Relations::WR) == reads
    };
    KINDS.iter().find(named).map(|kind| kind.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::consistency::known_anomaly;

    #[test]
    fn cycles_are_named_by_what_they_need() {
        const WW: Relations = Relations::WW;
        const WR: Relations = Relations::WR;
        const RW: Relations = Relations::RW;
        const P: Relations = Relations::PROCESS;
        const RT: Relations = Relations::REALTIME;
        for (cycle, name) in [
            (vec![WW, WW], "G0"),
            (vec![WW, WR], "G1c"),
            (vec![WR, WR, RW], "G-single-item"),
            (vec![RW, WW, RW, WR], "G-nonadjacent-item"),
            (vec![RW, WW, RW], "G2-item"),
            (vec![RW, RW], "G2-item"),
            (vec![WW, P], "G0-process"),
            (vec![RW, RT], "G-single-item-realtime"),
            (vec![RW, P, RW, RT], "G-nonadjacent-item-realtime"),
            (vec![RW, RW, P], "G2-item-process"),
        ] {
            assert_eq!(name_of(&cycle), Some(name), "{cycle:?}");
        }
        assert_eq!(name_of(&[P, RT]), None);
        assert!(KINDS.iter().all(|kind| known_anomaly(kind.name).is_some()));
    }
}
