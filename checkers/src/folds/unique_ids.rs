//! Ids that were given out: each only once.

use crate::breaches::Breaches;
use crate::history::{History, Operation, ValueRef};
use crate::verdict::{Budget, Checker, Finding, Misfit, Reason, Verdict, some_operations};
use rustc_hash::FxHashMap;
use serde_json::json;

const NAME: &str = "unique-ids";

/// The checker `unique-ids`.
///
/// Ids that were given out: each only once.
///
/// It proves that no two answered operations `generate` returned the same value. It says nothing about ids whose answer was
/// lost, nor about their order.
///
/// Anomaly: `duplicate-id`.
///
/// ```text
/// {"index":0,"time":5,"process":1,"type":"invoke","f":"generate","value":null}
/// {"index":1,"time":9,"process":1,"type":"ok","f":"generate","value":42}
/// ```
///
/// Details: `{"attempted", "acknowledged", "duplicated", "range"}`: operations, answered ones, ids that were given out more
/// than once, and the least and the greatest whole number among the ids (or `null`).
#[derive(Debug, Clone, Copy, Default)]
pub struct UniqueIds;

impl Checker for UniqueIds {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        if let Some(other) = operations.iter().find(|op| op.f() != "generate") {
            let text = format!(
                "is `{}`, which unique ids do not have: they know generate",
                other.f()
            );
            return Finding::misfit(NAME, Misfit::of(other, text));
        }
        let ids = operations
            .iter()
            .filter(|operation| operation.error().is_none())
            .filter_map(|operation| operation.result().map(|id| (id, operation)));
        let mut tally = Tally::default();
        for (id, operation) in ids {
            tally.take(id, operation);
        }
        let details = json!({
            "attempted": operations.len(),
            "acknowledged": tally.acknowledged,
            "duplicated": tally.duplicated,
            "range": tally.range,
        });
        let nothing = (tally.acknowledged == 0).then(|| Reason {
            checker: NAME.to_owned(),
            text: "no id was given out: nothing was tested".to_owned(),
        });
        Finding {
            verdict: Verdict::of(
                tally.breaches.into_anomalies(NAME),
                nothing.into_iter().collect(),
            ),
            outside_contract: Vec::new(),
            details,
        }
    }
}

#[derive(Default)]
struct Tally<'h> {
    /// Who was given the id first, and whether somebody else was too.
    owners: FxHashMap<ValueRef<'h>, (Operation<'h>, bool)>,
    acknowledged: usize,
    duplicated: usize,
    range: Option<(i64, i64)>,
    breaches: Breaches<'h>,
}

impl<'h> Tally<'h> {
    fn take(&mut self, id: ValueRef<'h>, operation: &Operation<'h>) {
        self.acknowledged += 1;
        if let Some(number) = id.as_i64() {
            let (least, greatest) = self.range.unwrap_or((number, number));
            self.range = Some((least.min(number), greatest.max(number)));
        }
        let (first, again) = self.owners.entry(id).or_insert((*operation, false));
        if first.inv() == operation.inv() {
            return;
        }
        self.duplicated += usize::from(!*again);
        *again = true;
        let text = format!("the id {id} was given out twice");
        self.breaches
            .add("duplicate-id", text, vec![*first, *operation]);
    }
}
