//! Checkers that know one object, for histories of several: every key is judged by itself.
//!
//! The key of a line (`"key"`, or the first of a `[key value]`) names the object that it is about, a whole store or bank by
//! itself; keys within micro-operations belong to that object.

use crate::history::History;
use crate::verdict::{Anomaly, Budget, Checker, Finding, Reason, Verdict};
use serde_json::{Map, Value, json};

/// Illegal keys whose anomalies are told.
const MOST_TOLD: usize = 16;

/// Judges each key of a history by itself.
///
/// Where there are several, `details` is `{"keys": N, "illegal_keys": [key, …], "undecided_keys": [key, …], "not", "also_not",
/// "by_key": {key: its details}}`: `not` and `also_not` only where the checker has them, `by_key` for the keys that are
/// illegal or undecided, 16 at most of each; and witnesses have `"object"`: the key. Else all is as the checker says it.
pub(crate) struct Keyed<C>(pub(crate) C);

impl<C: Checker> Checker for Keyed<C> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        let objects = history.objects();
        if objects.len() < 2 {
            return self.0.check(history, budget);
        }
        let mut all = All::default();
        for object in &objects {
            let name = object.key.map_or("", |key| &**key);
            let finding = self.0.check(&object.history(), budget);
            // A line that does not fit makes the history another checker's.
            if finding.details["misfit"].is_object() {
                return finding;
            }
            all.take(name, finding);
        }
        all.finding(objects.len())
    }
}

/// What was said of each key so far.
#[derive(Default)]
struct All {
    anomalies: Vec<Anomaly>,
    outside_contract: Vec<Anomaly>,
    reasons: Vec<Reason>,
    /// What is said where a key has nothing to judge: it counts if no key has.
    nothing: Vec<Reason>,
    valid: usize,
    illegal: Vec<Value>,
    undecided: Vec<Value>,
    not: Vec<Value>,
    also_not: Vec<Value>,
    rules_out: bool,
    by_key: Map<String, Value>,
}

impl All {
    fn take(&mut self, key: &str, finding: Finding) {
        let is_nothing = finding.is_nothing();
        for (names, all) in [("not", &mut self.not), ("also_not", &mut self.also_not)] {
            let names = finding.details[names].as_array();
            self.rules_out |= names.is_some();
            for name in names.into_iter().flatten() {
                if !all.contains(name) {
                    all.push(name.clone());
                }
            }
        }
        let named = |mut anomaly: Anomaly| {
            anomaly.summary = format!("{}: {}", shown(key), anomaly.summary);
            anomaly.witness["object"] = json!(key);
            anomaly
        };
        let outside = finding.outside_contract.into_iter().map(named);
        if self.outside_contract.len() < MOST_TOLD {
            self.outside_contract.extend(outside);
        }
        let told = match finding.verdict {
            Verdict::Valid => {
                self.valid += 1;
                return;
            }
            Verdict::Invalid(anomalies) => {
                self.illegal.push(json!(key));
                if self.illegal.len() <= MOST_TOLD {
                    self.anomalies.extend(anomalies.into_iter().map(named));
                }
                self.illegal.len() <= MOST_TOLD
            }
            Verdict::Unknown(reasons) if is_nothing => {
                self.nothing = reasons;
                return;
            }
            Verdict::Unknown(reasons) => {
                self.undecided.push(json!(key));
                self.reasons
                    .extend(reasons.into_iter().map(|reason| Reason {
                        text: format!("{}: {}", shown(key), reason.text),
                        ..reason
                    }));
                self.undecided.len() <= MOST_TOLD
            }
        };
        if told {
            self.by_key.insert(key.to_owned(), finding.details);
        }
    }

    fn finding(mut self, keys: usize) -> Finding {
        let nothing = self.valid == 0 && self.reasons.is_empty();
        if nothing {
            self.reasons = self.nothing;
        }
        let mut details = json!({
            "keys": keys,
            "illegal_keys": self.illegal,
            "undecided_keys": self.undecided,
            "by_key": self.by_key,
        });
        if self.rules_out {
            // What one key rules out is ruled out; the weakest models are those that follow from no other one.
            self.not.retain(|name| !self.also_not.contains(name));
            for names in [&mut self.not, &mut self.also_not] {
                names.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
            }
            details["not"] = Value::Array(self.not);
            details["also_not"] = Value::Array(self.also_not);
        }
        Finding {
            verdict: Verdict::of(self.anomalies, self.reasons),
            outside_contract: self.outside_contract,
            details,
        }
    }
}

fn shown(key: &str) -> &str {
    match key {
        "" => "without a key",
        key => key,
    }
}
