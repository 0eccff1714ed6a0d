//! `list-append` against brute force: each consistency model by itself, on the same small histories.

use crate::common::judge;
use crate::oracle::{Order, read_committed, serializable, snapshot_isolation};
use crate::story::{self, Micro, Outcome, Shape, Size, Txn};
use keelhaul_checkers::{Finding, Verdict};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

const SIZE: Size = Size {
    txns: 5,
    micros: 3,
    keys: 2,
};

/// Whether the finding rules a model out.
pub fn rules_out(finding: &Finding, model: &str) -> bool {
    let lists = [&finding.details["not"], &finding.details["also_not"]];
    let mut all = lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten());
    all.any(|name| name == model)
}

/// Counts of a comparison.
#[derive(Debug, Default)]
pub struct Mix {
    pub tried: u32,
    pub invalid: u32,
    pub indeterminate: u32,
    pub failed: u32,
}

impl Mix {
    pub fn count(&mut self, txns: &[Txn], valid: bool) {
        let has = |outcome| txns.iter().any(|txn| txn.outcome == outcome);
        self.tried += 1;
        self.invalid += u32::from(!valid);
        self.indeterminate += u32::from(has(Outcome::Info));
        self.failed += u32::from(has(Outcome::Fail));
    }

    pub fn assert_mixed(&self) {
        println!("{self:?}");
        assert!(self.invalid * 10 >= self.tried * 3, "{self:?}");
        assert!((self.tried - self.invalid) * 10 >= self.tried, "{self:?}");
        assert!(self.indeterminate * 10 >= self.tried * 3, "{self:?}");
    }
}

/// Appends of a key that nobody saw, at most.
fn unseen_of_a_key(txns: &[Txn]) -> usize {
    let reads = |key: u8, element: u8| {
        let committed = txns.iter().filter(|txn| txn.outcome == Outcome::Ok);
        committed.flat_map(|txn| &txn.micros).any(
            |micro| matches!(micro, Micro::Read(k, seen) if *k == key && seen.contains(&element)),
        )
    };
    let unseen = |key: u8| {
        let possible = txns.iter().filter(|txn| txn.outcome != Outcome::Fail);
        let writers = possible.filter(|txn| {
            txn.micros.iter().any(
                |micro| matches!(micro, Micro::Write(k, element) if *k == key && !reads(key, *element)),
            )
        });
        writers.count()
    };
    (0..SIZE.keys).map(unseen).max().unwrap_or_default()
}

fn compare(seed: u64, count: u32, size: Size, check: impl Fn(&[Txn], &Finding) -> bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut mix = Mix::default();
    for number in 0..count {
        let txns = story::random(&mut rng, &size, Shape::Lists);
        let history = story::history(&txns, Shape::Lists, &[]);
        let finding = judge("list-append", &history);
        if let Verdict::Unknown(reasons) = &finding.verdict {
            assert!(reasons[0].text.contains("nothing to check"), "{reasons:?}");
        }
        let valid = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&txns, &finding)));
        let Ok(valid) = valid else {
            let text = crate::common::text(&history);
            panic!("history {number} of seed {seed}:\n{text}\n{:#}", kinds(&finding));
        };
        mix.count(&txns, valid);
    }
    mix.assert_mixed();
}

fn kinds(finding: &Finding) -> Value {
    let anomalies = match &finding.verdict {
        Verdict::Invalid(anomalies) => anomalies.clone(),
        _ => Vec::new(),
    };
    let told = anomalies.iter().chain(&finding.outside_contract);
    told.map(|anomaly| format!("{}: {}", anomaly.kind, anomaly.summary)).collect()
}

#[test]
fn serializability_of_each_strength_and_committed_reads_are_decided_exactly() {
    compare(1, 100_000, SIZE, |txns, finding| {
        for (model, order) in [
            ("serializable", Order::Any),
            ("strong-session-serializable", Order::Process),
            ("strong-serializable", Order::Realtime),
        ] {
            let valid = serializable(txns, order, Shape::Lists);
            assert_eq!(rules_out(finding, model), !valid, "{model}");
        }
        // With more unseen appends their order is open: then it may only be too lenient.
        let committed = read_committed(txns, Shape::Lists);
        if unseen_of_a_key(txns) <= 1 || rules_out(finding, "read-committed") {
            assert_eq!(rules_out(finding, "read-committed"), !committed);
        }
        let strict = !rules_out(finding, "strong-serializable");
        assert_eq!(matches!(finding.verdict, Verdict::Invalid(_)), !strict);
        strict
    });
}

#[test]
fn snapshot_isolation_of_each_strength_is_decided_exactly_where_orders_are_known() {
    compare(3, 100_000, Size { txns: 4, micros: 4, ..SIZE }, |txns, finding| {
        let exact = unseen_of_a_key(txns) <= 1;
        for (model, order) in [
            ("snapshot-isolation", Order::Any),
            ("strong-session-snapshot-isolation", Order::Process),
            ("strong-snapshot-isolation", Order::Realtime),
        ] {
            if exact || rules_out(finding, model) {
                let valid = snapshot_isolation(txns, order, Shape::Lists);
                assert_eq!(rules_out(finding, model), !valid, "{model}");
            }
        }
        !rules_out(finding, "strong-snapshot-isolation")
    });
}
