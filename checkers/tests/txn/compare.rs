//! What the comparisons with brute force share.

use crate::common::judge_with;
use crate::story::{self, Outcome, Shape, Size, Txn};
use keelhaul_checkers::{Finding, Parameters, Verdict};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Whether the finding rules a model out.
pub fn rules_out(finding: &Finding, model: &str) -> bool {
    let lists = [&finding.details["not"], &finding.details["also_not"]];
    let mut all = lists
        .into_iter()
        .flat_map(|list| list.as_array().into_iter().flatten());
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

/// Judges random histories, and holds each finding against an oracle: `check` says whether the history is valid, and panics where
/// the finding is wrong. `zxids` gives each transaction a version, or none at all.
pub fn compare(
    seed: u64,
    count: u32,
    (size, shape): (Size, Shape),
    zxids: impl Fn(&mut ChaCha8Rng, &[Txn]) -> Vec<i64>,
    check: impl Fn(&[Txn], &[i64], &Finding) -> bool,
) -> Mix {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut mix = Mix::default();
    let (checker, initial) = match shape {
        Shape::Lists => ("list-append", None),
        Shape::Registers => ("rw-register", Some(Value::Null)),
    };
    let parameters = Parameters {
        initial,
        ..Parameters::default()
    };
    for number in 0..count {
        let txns = story::random(&mut rng, &size, shape);
        let zxids = zxids(&mut rng, &txns);
        let history = story::history(&txns, shape, &zxids);
        let finding = judge_with(checker, &parameters, &history);
        if let Verdict::Unknown(reasons) = &finding.verdict {
            assert!(
                reasons[0].text.contains("nothing was tested"),
                "{reasons:?}"
            );
        }
        let valid = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(&txns, &zxids, &finding)
        }));
        let Ok(valid) = valid else {
            let text = crate::common::text(&history);
            panic!(
                "history {number} of seed {seed}:\n{text}\n{:#}",
                kinds(&finding)
            );
        };
        mix.count(&txns, valid);
    }
    mix.assert_mixed();
    mix
}

fn kinds(finding: &Finding) -> Value {
    let anomalies = match &finding.verdict {
        Verdict::Invalid(anomalies) => anomalies.clone(),
        _ => Vec::new(),
    };
    let told = anomalies.iter().chain(&finding.outside_contract);
    told.map(|anomaly| format!("{}: {}", anomaly.kind, anomaly.summary))
        .collect()
}
