//! Counts, errors, rates and latencies of the clients' operations. Judges nothing: alone it makes no verdict.

use crate::history::{History, Kind, Nanos, Operation};
use crate::verdict::{Budget, Checker, Finding, Verdict, operations};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(crate) const NAME: &str = "stats";

/// The checker `stats`.
///
/// Details: `{"operations", "first_ok_ns", "duration_ns", "ok_per_second", "ok", "fail", "info", "errors": {word: N}, "latency_ns": L,
/// "by_f": {f: {"ok", "fail", "info", "errors", "latency_ns"}}}`. The duration is from the first invocation to the last
/// completion, `first_ok_ns` from the run's start to the first answer (or `null`); `ok` includes answers that are errors. `L` is `{"p50", "p90", "p99", "p999", "max", "mean"}` of ok
/// operations, exact (nearest rank), or `null` where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stats;

impl Checker for Stats {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let mut all = Tally::default();
        let mut by_f: BTreeMap<&str, Tally<'_>> = BTreeMap::new();
        for operation in &operations {
            all.count(operation);
            by_f.entry(operation.f()).or_default().count(operation);
        }
        let first = operations
            .iter()
            .map(Operation::start)
            .min()
            .unwrap_or_default();
        let last = operations
            .iter()
            .filter_map(Operation::end)
            .max()
            .unwrap_or(first);
        let duration = last.0.saturating_sub(first.0);
        let per_second = if duration == 0 {
            0.0
        } else {
            all.ok as f64 * 1e9 / duration as f64
        };
        let answered = operations.iter().filter(|op| op.kind() == Kind::Ok);
        let first_ok = answered.filter_map(Operation::end).min();
        let mut details = json!({
            "operations": operations.len(),
            "first_ok_ns": first_ok.map(|at| at.0),
            "duration_ns": duration,
            "ok_per_second": (per_second * 10.0).round() / 10.0,
        });
        for (name, value) in all.into_json() {
            details[name] = value;
        }
        let by_f: Map<String, Value> = by_f
            .into_iter()
            .map(|(f, tally)| (f.to_owned(), Value::Object(tally.into_json())))
            .collect();
        details["by_f"] = Value::Object(by_f);
        Finding {
            verdict: Verdict::Valid,
            outside_contract: Vec::new(),
            details,
        }
    }
}

#[derive(Default)]
struct Tally<'h> {
    ok: u64,
    fail: u64,
    info: u64,
    errors: BTreeMap<&'h str, u64>,
    latencies: Vec<u64>,
}

impl<'h> Tally<'h> {
    fn count(&mut self, operation: &Operation<'h>) {
        match operation.kind() {
            Kind::Ok => {
                self.ok += 1;
                let took = operation
                    .end()
                    .map_or(0, |Nanos(end)| end - operation.start().0);
                self.latencies.push(took);
            }
            Kind::Fail => self.fail += 1,
            Kind::Info | Kind::Invoke => self.info += 1,
        }
        if let Some(error) = operation.error() {
            *self.errors.entry(error).or_default() += 1;
        }
    }

    fn into_json(self) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("ok".to_owned(), json!(self.ok));
        shown.insert("fail".to_owned(), json!(self.fail));
        shown.insert("info".to_owned(), json!(self.info));
        shown.insert("errors".to_owned(), json!(self.errors));
        shown.insert("latency_ns".to_owned(), latency(self.latencies));
        shown
    }
}

fn latency(mut latencies: Vec<u64>) -> Value {
    latencies.sort_unstable();
    let Some(max) = latencies.last() else {
        return Value::Null;
    };
    let rank =
        |thousandths: usize| latencies[(latencies.len() * thousandths).div_ceil(1000).max(1) - 1];
    let sum: u128 = latencies.iter().map(|latency| u128::from(*latency)).sum();
    json!({
        "p50": rank(500),
        "p90": rank(900),
        "p99": rank(990),
        "p999": rank(999),
        "max": max,
        "mean": (sum / latencies.len() as u128) as u64,
    })
}
