//! `junit.xml`: the verdict as CI systems read it, one test case for each checker.
//!
//! Invalid is a failure. Unknown is an error, so that no CI system shows it green.

use crate::failure::Failure;
use crate::plan::Plan;
use crate::store::{RunDirectory, write_whole};
use keelhaul_checkers::{Results, Validity};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeSet;
use std::time::Duration;

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
    for checker in names(plan, results) {
        suite.add_test_case(case(&checker, plan, results));
    }
    let mut report = Report::new("keelhaul");
    report.set_time(took);
    report.add_test_suite(suite);
    report
        .to_string()
        .expect("a report of plain text always has an XML form")
}

/// The plan's checkers first, then whoever else has something to say.
fn names(plan: &Plan, results: &Results) -> Vec<String> {
    let mut seen = BTreeSet::new();
    plan.checkers
        .iter()
        .chain(results.checkers.keys())
        .filter(|name| seen.insert(name.as_str()))
        .cloned()
        .collect()
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
            let all: Vec<&str> = anomalies.iter().map(|one| one.summary.as_str()).collect();
            status.set_description(all.join("\n"));
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
