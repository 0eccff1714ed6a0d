//! `junit.xml`: the verdict as CI systems read it, one test case for each checker.
//!
//! Invalid is a failure. Unknown is an error, so that no CI system shows it green.

use crate::failure::Failure;
use crate::plan::Plan;
use crate::store::{RunDirectory, write_whole};
use keelhaul_checkers::{Anomaly, Results, Validity};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeSet;
use std::time::Duration;

/// Anomalies of a checker that are told whole; the rest is in `results.json`.
const SHOWN: usize = 3;

/// The checker that only counts.
const STATS: &str = "stats";

/// Writes the file.
///
/// # Errors
/// If it cannot be written.
pub fn write(
    run: &RunDirectory,
    plan: &Plan,
    results: &Results,
    took: Duration,
) -> Result<(), Failure> {
    let xml = render(plan, results, took);
    write_whole(&run.junit(), xml.as_bytes())
}

fn render(plan: &Plan, results: &Results, took: Duration) -> String {
    let mut suite = TestSuite::new(plan.test.clone());
    suite.set_time(took);
    suite.add_property(("seed", plan.seed.to_string().as_str()));
    suite.add_property(("node", plan.node.version.as_str()));
    for checker in names(plan, results).filter(|name| judges(name, results)) {
        suite.add_test_case(case(checker, plan, results));
    }
    let mut report = Report::new("keelhaul");
    report.set_time(took);
    report.add_test_suite(suite);
    report
        .to_string()
        .expect("a report of plain text always has an XML form")
}

/// The plan's checkers first, then whoever else has something to say.
fn names<'a>(plan: &'a Plan, results: &'a Results) -> impl Iterator<Item = &'a str> {
    let mut seen = BTreeSet::new();
    plan.checkers
        .iter()
        .chain(results.checkers.keys())
        .map(String::as_str)
        .filter(move |name| seen.insert(*name))
}

/// Figures are no test; but what cannot be counted must not pass for tested either.
fn judges(name: &str, results: &Results) -> bool {
    name != STATS || results.unknown.iter().any(|reason| reason.checker == STATS)
}

fn case(checker: &str, plan: &Plan, results: &Results) -> TestCase {
    let of_checker = |name: &str| name == checker;
    let anomalies: Vec<_> = results
        .anomalies
        .iter()
        .filter(|anomaly| of_checker(&anomaly.checker))
        .collect();
    let reasons: Vec<_> = results
        .unknown
        .iter()
        .filter(|reason| of_checker(&reason.checker))
        .collect();
    let valid = results
        .checkers
        .get(checker)
        .and_then(|checked| checked.get("valid"));
    let valid = valid.and_then(|valid| Validity::try_from(valid.clone()).ok());
    let status = match valid {
        Some(Validity::Valid) => TestCaseStatus::success(),
        Some(Validity::Invalid) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            if let Some(first) = anomalies.first() {
                status.set_type(&*first.kind).set_message(&*first.summary);
            }
            status.set_description(told(&anomalies));
            status
        }
        Some(Validity::Unknown) | None => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            let all: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
            let text = match all.is_empty() {
                true => "it did not judge this run".to_owned(),
                false => all.join("\n"),
            };
            status.set_type("unknown").set_message(text);
            status
        }
    };
    let mut case = TestCase::new(checker, status);
    case.set_classname(format!("keelhaul.{}", plan.test));
    case
}

/// The anomalies with their witnesses, as the terminal has them.
fn told(anomalies: &[&Anomaly]) -> String {
    let mut parts: Vec<String> = anomalies
        .iter()
        .take(SHOWN)
        .map(|anomaly| keelhaul_checkers::render(anomaly))
        .collect();
    if anomalies.len() > SHOWN {
        let more = anomalies.len() - SHOWN;
        parts.push(format!("… and {more} more, all in results.json"));
    }
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_failure_carries_its_witness() {
        let anomaly = Anomaly {
            kind: "lost".to_owned(),
            checker: "set".to_owned(),
            summary: "an element is lost".to_owned(),
            witness: json!({"element": 812}),
        };
        let text = told(&[&anomaly; 5]);
        assert!(text.contains("element: 812"), "{text}");
        assert!(
            text.ends_with("… and 2 more, all in results.json"),
            "{text}"
        );
    }
}
