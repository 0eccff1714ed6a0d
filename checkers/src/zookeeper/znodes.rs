//! The tree of znodes: every answer to every operation fits one order of all writes.
//!
//! It proves, over all paths together: writes and the errors that the tree decides are linearizable in the order of their
//! zxids; each read shows the tree at one prefix of that order, no older than what its session has seen (and, unless it is
//! `local`, no older than what had been acknowledged before it began); data, versions, child counts, owners and the zxids in
//! Stats are those of that prefix. It cannot prove anything about operations without a zxid, nor about watches.
//!
//! The [shape of operations](super) says what a history must have. One pass over the zxids decides; where indeterminate writes
//! leave it open, the verdict is unknown, with the first answer that could not be placed.
//!
//! Anomalies: `zxid-reused`, `zxid-against-real-time`, `session-went-back`, `write-does-not-fit`, `answer-does-not-fit`,
//! `stale-answer`, `future-read`: the first one only, because what follows it may follow from it. Witness: `{"zxid", "text",
//! "operations"}`; the last operation is the one that does not fit, those before it changed the same znodes last.

use super::decode::decode;
use super::replay::{Replayed, Rules, Tally, replay};
use crate::breaches::Breaches;
use crate::contract::{self, owes_sync_reads};
use crate::history::History;
use crate::parameters::Parameters;
use crate::verdict::{Budget, Checker, Finding, Reason, Verdict, some_operations};
use serde_json::{Map, Value, json};

const NAME: &str = "znodes";

/// The checker `znodes`.
///
/// Details: `{"paths", "sessions", "decided_by": "replay" | null, "writes", "errors", "reads", "indeterminate": {"shown", "put_in",
/// "unseen"}}`: what was placed, and indeterminate writes whose zxid an answer shows, that had to be put in to explain an
/// answer, and that nothing shows.
#[derive(Debug, Clone)]
pub struct Znodes {
    rules: Rules,
}

impl Znodes {
    /// A checker for a system under this contract.
    pub fn new(parameters: &Parameters) -> Znodes {
        Znodes {
            rules: Rules {
                reply_zxid: contract::reply_zxid(&parameters.contract),
                sync_is_owed: owes_sync_reads(&parameters.contract),
            },
        }
    }
}

impl Checker for Znodes {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let mut decoded = match decode(&operations) {
            Ok(decoded) => decoded,
            Err(text) => return Finding::unknown(NAME, text),
        };
        let (paths, sessions) = (decoded.paths.len(), decoded.sessions.len());
        let mut breaches = Breaches::default();
        let mut reasons = Vec::new();
        let mut decided = true;
        let tally = match replay(&mut decoded, self.rules) {
            Replayed::Fits(tally) => {
                if tally.errors + tally.reads + tally.writes == 0 {
                    reasons.push("no operation was answered: nothing was tested".to_owned());
                }
                tally
            }
            Replayed::Misfit(misfit, tally) => {
                let mut fields = Map::new();
                fields.insert("zxid".to_owned(), json!(misfit.zxid));
                breaches.add_with(misfit.kind, misfit.text, misfit.operations, fields);
                tally
            }
            Replayed::Open(text, tally) => {
                decided = false;
                reasons.push(text);
                tally
            }
        };
        let reasons = reasons.into_iter().map(|text| Reason {
            checker: NAME.to_owned(),
            text,
        });
        let mut details = details(&tally);
        details["paths"] = json!(paths);
        details["sessions"] = json!(sessions);
        details["decided_by"] = match decided {
            true => json!("replay"),
            false => Value::Null,
        };
        Finding {
            verdict: Verdict::of(breaches.into_anomalies(NAME), reasons.collect()),
            outside_contract: Vec::new(),
            details,
        }
    }
}

fn details(tally: &Tally) -> Value {
    json!({
        "writes": tally.writes,
        "errors": tally.errors,
        "reads": tally.reads,
        "indeterminate": { "shown": tally.shown, "put_in": tally.put_in, "unseen": tally.unseen },
    })
}
