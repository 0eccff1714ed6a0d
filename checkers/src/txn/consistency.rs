//! Consistency models, and which anomalies rule them out: two small graphs and a table, as data.
//!
//! After Adya's thesis, Bailis and others' *Highly Available Transactions*, Cerone and others' framework, and Elle's account of
//! how they relate. What it proves: if an anomaly was found, every model in [`Ruled::not`] and [`Ruled::also_not`] is broken. What it cannot:
//! that a model holds, of those that forbid some cases only of an anomaly: which cases, `weaker` finds out by
//! other means, or says that it cannot.
//!
//! As far as the models know of time they are meant without it: there are moments at which transactions could have begun and
//! ended. The ones that begin with *strong* take the real ones, or those of *strong session* the order of each process. No other
//! model knows sessions: `--model read-committed`, `read-atomic` and `causal` ([`crate::weak`]) do, and are stronger.
//!
//! | model | holds exactly if there is no |
//! | --- | --- |
//! | monotonic atomic view | G1, or cycle of one `rw` and of one `wr` to a read that came before that of the `rw` (Bailis' OTV) |
//! | read atomic | G1, internal, or cycle of one `rw` and one `wr` |
//! | update atomic | the same, or cycle of one `rw` and one `ww` |
//! | causal | G1, internal, or cycle of one `rw` and any `wr` |
//! | parallel snapshot isolation | G1, internal, G-single: PL-2+ with `internal` |
//! | prefix | G1, internal, or cycle in which each `rw` stands behind a `wr` |
//! | snapshot isolation | G1, internal, or cycle in which no `rw` stands behind another (G-nonadjacent) |
//! | cursor stability | G1, or cycle of one `rw` and of `ww`, all of one key (G-cursor) |
//! | PL-3U | G1, or cycle with any `rw` and at most one transaction that only reads (G-update) |
//!
//! (After each `rw` of the first four, `ww` of the same key may stand: they read what is older still. Of lists, the `wr` of read atomic
//! is from the last element's writer, and any `wr` of causal may be a `ww` of a list that was read: who has read a list has read from
//! the writers of all its elements.) From Cerone and Gotsman,
//! *Analysing Snapshot Isolation*, and Biswas and Enea, *On the Complexity of Checking Transactional Consistency*. Monotonic view
//! (PL-2L) and monotonic snapshot reads (PL-MSR) depend on the order of operations within transactions, which the graph does not
//! have: where there is a G-single, or a G-nonadjacent, they are not decided.
//!
//! ```
//! use keelhaul_checkers::txn::consistency::{Model, rule_out};
//!
//! assert_eq!(Model::by_name("strict-serializable"), Model::by_name("PL-SS"));
//! let ruled = rule_out(["G-single-item"]);
//! let names = |models: &[Model]| models.iter().map(|model| model.name()).collect::<Vec<_>>();
//! assert_eq!(names(&ruled.not), ["consistent-view", "repeatable-read"]);
//! assert!(names(&ruled.also_not).contains(&"snapshot-isolation"));
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// A consistency model: a row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Model(usize);

struct Row {
    name: &'static str,
    aliases: &'static [&'static str],
    /// Models that hold wherever this one does.
    weaker: &'static [&'static str],
    /// Anomalies that it forbids beyond what its weaker ones forbid.
    forbids: &'static [&'static str],
    /// What it forbids in some cases only.
    open: Option<Open>,
}

/// An anomaly of which a model forbids some cases only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    /// The anomaly: without it, and without what the model forbids, the model holds.
    pub(crate) wide: &'static str,
    /// The forbidden cases, by the names that they have; none: nothing here can tell them.
    pub(crate) cases: &'static [&'static str],
}

const fn open(wide: &'static str, cases: &'static [&'static str]) -> Option<Open> {
    Some(Open { wide, cases })
}

/// Sorted by name. PL-1 … PL-SS are Adya's names.
const MODELS: &[Row] = &[
    Row {
        name: "causal-cerone",
        aliases: &["causal"],
        weaker: &["read-atomic"],
        forbids: &["internal", "G1a", "causality-violation"],
        open: open("G-single-item", &["causality-violation"]),
    },
    Row {
        name: "consistent-view",
        aliases: &["PL-2+"],
        weaker: &["cursor-stability", "monotonic-view"],
        forbids: &["G1", "G-single"],
        open: None,
    },
    Row {
        name: "cursor-stability",
        aliases: &["PL-CS"],
        weaker: &["read-committed"],
        forbids: &["G1", "lost-update", "G-cursor"],
        open: open("G-single-item", &["G-cursor"]),
    },
    Row {
        name: "forward-consistent-view",
        aliases: &["PL-FCV"],
        weaker: &["consistent-view"],
        forbids: &["G1"],
        open: None,
    },
    Row {
        name: "monotonic-atomic-view",
        aliases: &[],
        weaker: &["read-committed"],
        forbids: &["non-monotonic-read"],
        open: open("G-single-item", &["non-monotonic-read"]),
    },
    Row {
        name: "monotonic-snapshot-read",
        aliases: &["PL-MSR"],
        weaker: &["monotonic-atomic-view"],
        forbids: &["G1"],
        open: open("G-nonadjacent-item", &[]),
    },
    Row {
        name: "monotonic-view",
        aliases: &["PL-2L"],
        weaker: &["monotonic-atomic-view"],
        forbids: &["G1"],
        open: open("G-single-item", &[]),
    },
    Row {
        name: "parallel-snapshot-isolation",
        aliases: &["PSI"],
        weaker: &["causal-cerone", "consistent-view", "update-atomic"],
        forbids: &["internal", "G1a", "G-single"],
        open: None,
    },
    Row {
        name: "prefix",
        aliases: &[],
        weaker: &["causal-cerone"],
        forbids: &["internal", "G1a", "prefix-violation"],
        open: open("G-nonadjacent-item", &["prefix-violation"]),
    },
    Row {
        name: "read-atomic",
        aliases: &[],
        weaker: &["monotonic-atomic-view"],
        forbids: &["internal", "G1a", "future-read", "fractured-read"],
        open: open("G-single-item", &["fractured-read"]),
    },
    Row {
        name: "read-committed",
        aliases: &["PL-2"],
        weaker: &["read-uncommitted"],
        forbids: &["G1"],
        open: None,
    },
    Row {
        name: "read-uncommitted",
        aliases: &["PL-1"],
        weaker: &[],
        // Beyond G0: with any of these there is no history in Adya's sense, hence no model that it satisfies.
        forbids: &[
            "G0",
            "duplicate-elements",
            "cyclic-versions",
            "garbage-read",
            "version-contradiction",
        ],
        open: None,
    },
    Row {
        name: "repeatable-read",
        aliases: &["PL-2.99"],
        weaker: &["cursor-stability", "monotonic-atomic-view"],
        forbids: &["G1", "G2-item", "lost-update"],
        open: None,
    },
    Row {
        name: "serializable",
        aliases: &["PL-3", "conflict-serializable"],
        weaker: &[
            "repeatable-read",
            "snapshot-isolation",
            "update-serializable",
        ],
        forbids: &["internal", "G1", "G2"],
        open: None,
    },
    Row {
        name: "snapshot-isolation",
        aliases: &["PL-SI", "SI"],
        weaker: &[
            "forward-consistent-view",
            "monotonic-atomic-view",
            "monotonic-snapshot-read",
            "parallel-snapshot-isolation",
            "prefix",
        ],
        forbids: &["internal", "G1", "G-nonadjacent"],
        open: None,
    },
    Row {
        name: "strong-read-committed",
        aliases: &["strong-PL-2"],
        weaker: &["strong-session-read-committed", "strong-read-uncommitted"],
        forbids: &["G1c-realtime"],
        open: None,
    },
    Row {
        name: "strong-read-uncommitted",
        aliases: &["strong-PL-1"],
        weaker: &["strong-session-read-uncommitted"],
        forbids: &["G0-realtime"],
        open: None,
    },
    Row {
        name: "strong-serializable",
        aliases: &["strict-serializable", "PL-SS"],
        weaker: &[
            "serializable",
            "strong-session-serializable",
            "strong-snapshot-isolation",
        ],
        forbids: &["G1", "G1c-realtime", "G2-realtime"],
        open: None,
    },
    Row {
        name: "strong-session-read-committed",
        aliases: &["strong-session-PL-2"],
        weaker: &["read-committed", "strong-session-read-uncommitted"],
        forbids: &["G1c-process"],
        open: None,
    },
    Row {
        name: "strong-session-read-uncommitted",
        aliases: &["strong-session-PL-1"],
        weaker: &["read-uncommitted"],
        forbids: &["G0-process"],
        open: None,
    },
    Row {
        name: "strong-session-serializable",
        aliases: &[],
        weaker: &["serializable", "strong-session-snapshot-isolation"],
        forbids: &["G1-process", "G2-process"],
        open: None,
    },
    Row {
        name: "strong-session-snapshot-isolation",
        aliases: &["strong-session-SI"],
        weaker: &["snapshot-isolation", "strong-session-read-committed"],
        forbids: &["internal", "G1-process", "G-nonadjacent-process"],
        open: None,
    },
    Row {
        name: "strong-snapshot-isolation",
        aliases: &["strong-SI"],
        weaker: &["strong-session-snapshot-isolation", "strong-read-committed"],
        forbids: &["internal", "G1-realtime", "G-nonadjacent-realtime"],
        open: None,
    },
    Row {
        name: "update-atomic",
        aliases: &[],
        weaker: &["read-atomic"],
        forbids: &["lost-update", "G-cursor", "conflict-not-seen"],
        open: open("G-single-item", &["fractured-read", "conflict-not-seen"]),
    },
    Row {
        name: "update-serializable",
        aliases: &["PL-3U"],
        weaker: &["forward-consistent-view"],
        forbids: &["G1", "G-update"],
        open: open("G2-item", &["G-update"]),
    },
];

/// What each anomaly is a case of. A variant with process or real-time order is the weaker claim: that order was broken too.
const IMPLIED: &[(&str, &[&str])] = &[
    ("G0", &["G1c", "G0-process"]),
    ("G0-process", &["G1c-process", "G0-realtime"]),
    ("G0-realtime", &["G1c-realtime"]),
    ("G1", &["G1-process"]),
    ("G1-process", &["G1-realtime"]),
    ("G1a", &["G1"]),
    ("G1b", &["G1"]),
    ("G1c", &["G1", "G1c-process"]),
    ("G1c-process", &["G1c-realtime", "G1-process"]),
    ("G1c-realtime", &["G1-realtime"]),
    (
        "G-single-item",
        &["G-single", "G-single-item-process", "G-nonadjacent-item"],
    ),
    (
        "G-single-item-process",
        &[
            "G-single-process",
            "G-single-item-realtime",
            "G-nonadjacent-item-process",
        ],
    ),
    (
        "G-single-item-realtime",
        &["G-single-realtime", "G-nonadjacent-item-realtime"],
    ),
    ("G-single", &["G-nonadjacent", "G-single-process"]),
    (
        "G-single-process",
        &["G-nonadjacent-process", "G-single-realtime"],
    ),
    ("G-single-realtime", &["G-nonadjacent-realtime"]),
    (
        "G-nonadjacent-item",
        &["G-nonadjacent", "G2-item", "G-nonadjacent-item-process"],
    ),
    (
        "G-nonadjacent-item-process",
        &[
            "G-nonadjacent-process",
            "G2-item-process",
            "G-nonadjacent-item-realtime",
        ],
    ),
    (
        "G-nonadjacent-item-realtime",
        &["G-nonadjacent-realtime", "G2-item-realtime"],
    ),
    ("G-nonadjacent", &["G2", "G-nonadjacent-process"]),
    (
        "G-nonadjacent-process",
        &["G2-process", "G-nonadjacent-realtime"],
    ),
    ("G-nonadjacent-realtime", &["G2-realtime"]),
    ("G2-item", &["G2", "G2-item-process"]),
    ("G2-item-process", &["G2-process", "G2-item-realtime"]),
    ("G2-item-realtime", &["G2-realtime"]),
    ("G2", &["G2-process"]),
    ("G2-process", &["G2-realtime"]),
    // Two committed reads that no one order of appends explains: one of them saw what never was.
    ("incompatible-order", &["G1a"]),
    // A transaction that observes its own later write: a cycle of one.
    ("future-read", &["G1c"]),
    // Like an aborted read, through a write: any model that forbids the one would forbid the other.
    ("dirty-update", &["G1a"]),
    ("lost-update", &["G-cursor"]),
    ("G-cursor", &["G-single-item"]),
    ("non-monotonic-read", &["fractured-read"]),
    ("fractured-read", &["causality-violation"]),
    // Under every order of versions.
    ("causality-violation", &["G-single-item"]),
    ("conflict-not-seen", &["G-single-item"]),
    ("prefix-violation", &["G-nonadjacent-item"]),
    ("G-update", &["G2-item"]),
];

/// Models that anomalies rule out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ruled {
    /// The weakest models that cannot hold.
    pub not: Vec<Model>,
    /// The stronger ones, which cannot hold either.
    pub also_not: Vec<Model>,
}

impl Ruled {
    /// Whether this model cannot hold.
    pub fn out(&self, model: Model) -> bool {
        self.not.contains(&model) || self.also_not.contains(&model)
    }
}

impl Model {
    /// All models, sorted by name.
    pub fn all() -> impl Iterator<Item = Model> {
        (0..MODELS.len()).map(Model)
    }

    /// The model of this name or alias, in whatever case.
    pub fn by_name(name: &str) -> Option<Model> {
        let named = |row: &Row| {
            let mut names = std::iter::once(&row.name).chain(row.aliases);
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        MODELS.iter().position(named).map(Model)
    }

    /// The most demanding model.
    pub fn strict_serializable() -> Model {
        Model::named("strong-serializable")
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its other names.
    pub fn aliases(self) -> &'static [&'static str] {
        self.row().aliases
    }

    /// What it forbids in some cases only.
    pub(crate) fn open(self) -> Option<Open> {
        self.row().open
    }

    fn row(self) -> &'static Row {
        &MODELS[self.0]
    }

    fn named(name: &str) -> Model {
        Model::by_name(name).expect("the tables name known models only; a test reads them all")
    }

    /// Whether this model holds wherever the other one does.
    pub fn follows_from(self, other: Model) -> bool {
        closures().below[other.0] & 1 << self.0 != 0
    }
}

fn weaker(model: Model) -> Vec<Model> {
    let weaker = model.row().weaker.iter();
    weaker.map(|name| Model::named(name)).collect()
}

fn stronger(model: Model) -> Vec<Model> {
    let name = model.name();
    Model::all()
        .filter(|other| other.row().weaker.contains(&name))
        .collect()
}

fn implied(anomaly: &'static str) -> Vec<&'static str> {
    let row = IMPLIED.iter().find(|(name, _)| *name == anomaly);
    row.map_or_else(Vec::new, |(_, implied)| implied.to_vec())
}

/// All that can be reached, the start included.
fn reach<T: Copy + Ord>(start: impl IntoIterator<Item = T>, next: fn(T) -> Vec<T>) -> BTreeSet<T> {
    let mut reached: BTreeSet<T> = start.into_iter().collect();
    let mut todo: Vec<T> = reached.iter().copied().collect();
    while let Some(one) = todo.pop() {
        todo.extend(next(one).into_iter().filter(|other| reached.insert(*other)));
    }
    reached
}

/// A set of models, a bit each.
type Models = u32;

/// What the tables say, worked out once.
struct Closures {
    /// By model: it and all weaker ones.
    below: Vec<Models>,
    /// By model: it and all stronger ones.
    above: Vec<Models>,
    /// By anomaly: it and all that it is a case of, and the models that cannot hold where it is.
    anomalies: BTreeMap<&'static str, (BTreeSet<&'static str>, Models)>,
}

fn closures() -> &'static Closures {
    static CLOSURES: OnceLock<Closures> = OnceLock::new();
    CLOSURES.get_or_init(|| {
        let bits = |models: BTreeSet<Model>| models.iter().fold(0, |all, model| all | 1 << model.0);
        let above: Vec<Models> = Model::all()
            .map(|model| bits(reach([model], stronger)))
            .collect();
        let forbidden = MODELS.iter().flat_map(|row| row.forbids.iter());
        let names = IMPLIED
            .iter()
            .flat_map(|(name, implied)| std::iter::once(name).chain(implied.iter()));
        let anomalies = forbidden.chain(names).map(|name| {
            let implied = reach([*name], implied);
            let forbids = |model: &Model| {
                let mut forbidden = model.row().forbids.iter();
                forbidden.any(|name| implied.contains(name))
            };
            let bad = Model::all().filter(forbids);
            let bad = bad.fold(0, |all, model| all | above[model.0]);
            (*name, (implied, bad))
        });
        Closures {
            anomalies: anomalies.collect(),
            below: Model::all()
                .map(|model| bits(reach([model], weaker)))
                .collect(),
            above,
        }
    })
}

/// Every name that the tables know for an anomaly.
pub fn known_anomaly(name: &str) -> Option<&'static str> {
    let known = closures().anomalies.get_key_value(name);
    known.map(|(name, _)| *name)
}

/// These anomalies and all that they are a case of.
pub fn all_implied<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'static str> {
    let known = anomalies
        .into_iter()
        .filter_map(|name| closures().anomalies.get(name));
    known.flat_map(|(implied, _)| implied).copied().collect()
}

/// The models that cannot hold where these anomalies are.
pub fn rule_out<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> Ruled {
    let known = anomalies
        .into_iter()
        .filter_map(|name| closures().anomalies.get(name));
    Ruled::of(known.fold(0, |all, (_, bad)| all | bad))
}

impl Ruled {
    /// Where these models cannot hold, none that is stronger can.
    pub fn by(models: impl IntoIterator<Item = Model>) -> Ruled {
        let above = &closures().above;
        Ruled::of(
            models
                .into_iter()
                .fold(0, |all, model| all | above[model.0]),
        )
    }

    /// All models that cannot hold, split.
    fn of(bad: Models) -> Ruled {
        let below = &closures().below;
        let all = Model::all().filter(|model| bad & 1 << model.0 != 0);
        let (not, also_not) = all.partition(|model| bad & below[model.0] == 1 << model.0);
        Ruled { not, also_not }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Model> {
        self.not.iter().chain(&self.also_not).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_name_only_what_they_define() {
        for model in Model::all() {
            weaker(model);
            assert!(Model::by_name(model.name()) == Some(model));
            assert!(!reach(weaker(model), weaker).contains(&model), "no cycles");
            // Whoever asks for a model must be able to see it broken.
            let forbids_something = reach([model], weaker)
                .into_iter()
                .any(|below| !below.row().forbids.is_empty());
            assert!(forbids_something, "{}", model.name());
            for case in model.open().into_iter().flat_map(|open| open.cases) {
                assert!(rule_out([*case]).out(model), "{case}");
            }
        }
        for (name, below) in IMPLIED {
            assert!(
                !reach(below.iter().copied(), implied).contains(name),
                "{name}"
            );
        }
        assert!(MODELS.is_sorted_by_key(|row| row.name));
    }

    #[test]
    fn each_strength_rules_out_what_it_should() {
        let ruled = |anomaly| {
            let ruled = rule_out([anomaly]);
            let names = |models: Vec<Model>| models.iter().map(|m| m.name()).collect::<Vec<_>>();
            (names(ruled.not), ruled.also_not.len())
        };
        assert_eq!(ruled("G0").0, ["read-uncommitted"]);
        assert_eq!(ruled("G0").1, MODELS.len() - 1);
        assert_eq!(ruled("G1c").0, ["read-committed"]);
        assert_eq!(ruled("internal").0, ["read-atomic"]);
        assert_eq!(
            ruled("lost-update").0,
            ["cursor-stability", "update-atomic"]
        );
        assert_eq!(
            ruled("G-nonadjacent-item").0,
            ["repeatable-read", "snapshot-isolation"]
        );
        assert_eq!(ruled("G2-item").0, ["repeatable-read"]);
        assert_eq!(
            ruled("G-single-item-realtime"),
            (vec!["strong-snapshot-isolation"], 1)
        );
        assert_eq!(ruled("G2-item-realtime"), (vec!["strong-serializable"], 0));
        assert_eq!(ruled("G1c-process").0, ["strong-session-read-committed"]);
    }
}
