//! Bank accounts: transfers move money, and neither make nor destroy it.

use super::nothing_tested;
use crate::describe;
use crate::history::{History, Operation};
use crate::parameters::Parameters;
use crate::verdict::{Anomaly, Budget, Checker, Finding, Misfit, Verdict, some_operations};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const NAME: &str = "bank";

/// Where the accounts and the total are known from, if they were not told.
const FIRST_READ: &str = "first read";

/// More anomalies of a kind than this are not reported.
const MOST: usize = 8;

/// Judges reads of all balances.
///
/// Bank accounts: transfers move money, and neither make nor destroy it.
///
/// What it proves: every read of all balances has the right accounts and the right total, and no balance is negative (unless
/// one was at the beginning). It is necessary for snapshot isolation, not enough: transfers that vanish whole go unseen. What it needs:
/// reads with a map of balances. Accounts and total are those of `--initial '{"0":100,"1":0}'`
/// ([`Parameters::initial`](crate::Parameters)); else those of the first read that was answered.
///
/// `details`: `{"reads", "accounts", "total", "from": "initial"|"first read"}`. Anomalies: `wrong-total`, `negative-balance`,
/// `unexpected-account`, `missing-account`, `no-balance`.
///
/// ```text
/// {"process":1,"type":"invoke","f":"transfer","value":{"from":0,"to":1,"amount":5}}
/// {"process":2,"type":"ok","f":"read","value":{"0":95,"1":5}}
/// ```
#[derive(Debug, Clone)]
pub struct Bank {
    initial: Option<Value>,
}

/// Balances by account; none: the account has no number there.
type Balances = BTreeMap<String, Option<i128>>;

/// What every read must show.
struct Expected {
    balances: Balances,
    total: i128,
    from: &'static str,
}

impl Expected {
    fn new(balances: Balances, from: &'static str) -> Expected {
        let total = balances.values().flatten().sum();
        Expected {
            balances,
            total,
            from,
        }
    }

    fn may_be_negative(&self) -> bool {
        self.balances.values().flatten().any(|balance| *balance < 0)
    }
}

impl Bank {
    /// With the balances at the beginning, if they are known.
    pub fn new(parameters: &Parameters) -> Bank {
        Bank {
            initial: parameters.initial.clone(),
        }
    }

    fn judge(
        operations: &[Operation<'_>],
        mut expected: Option<Expected>,
    ) -> Result<Finding, Misfit> {
        let mut anomalies: Vec<Anomaly> = Vec::new();
        let mut reads = 0_u64;
        for operation in operations
            .iter()
            .filter(|operation| operation.f() == "read")
        {
            let Some(result) = operation.result() else {
                continue;
            };
            let map = result.as_map().ok_or_else(|| {
                let text = format!(
                    "is an ok read of {result}; expected a map of balances such as {{\"0\":95,\"1\":5}}"
                );
                Misfit::of(operation, text)
            })?;
            let number = |value: crate::history::ValueRef<'_>| value.as_i64().map(i128::from);
            let balances: Balances = map
                .iter()
                .map(|(account, value)| (account.to_owned(), number(value)))
                .collect();
            reads += 1;
            let expected = match &expected {
                Some(expected) => expected,
                // Whether the first read itself is right cannot be told, but for its signs.
                None => {
                    let positive = balances
                        .clone()
                        .into_iter()
                        .map(|(account, value)| (account, value.map(|value| value.max(0))));
                    let total = balances.values().flatten().sum();
                    let first = Expected {
                        balances: positive.collect(),
                        total,
                        from: FIRST_READ,
                    };
                    expected.insert(first)
                }
            };
            for (kind, text) in breaches(expected, &balances) {
                if anomalies
                    .iter()
                    .filter(|anomaly| anomaly.kind == kind)
                    .count()
                    < MOST
                {
                    anomalies.push(anomaly(kind, text, operation));
                }
            }
        }
        let Some(expected) = expected.filter(|_| reads > 0) else {
            let text = "no read of balances was answered: nothing was tested";
            return Err(text.to_owned().into());
        };
        let alone = (reads == 1 && expected.from == FIRST_READ).then(|| {
            nothing_tested(
                NAME,
                "one read alone was answered, and what the accounts began with was not told (--initial)",
            )
        });
        Ok(Finding {
            verdict: Verdict::of(anomalies, alone.into_iter().collect()),
            outside_contract: Vec::new(),
            details: json!({
                "reads": reads,
                "accounts": expected.balances.len(),
                "total": expected.total.to_string(),
                "from": expected.from,
            }),
        })
    }
}

impl Checker for Bank {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let expected = match self.initial.as_ref().map(of_json).transpose() {
            Ok(initial) => initial.map(|balances| Expected::new(balances, "initial")),
            Err(text) => return Finding::misfit_initial(NAME, text),
        };
        match some_operations(history, NAME) {
            Ok(operations) => Bank::judge(&operations, expected)
                .unwrap_or_else(|misfit| Finding::misfit(NAME, misfit)),
            Err(finding) => *finding,
        }
    }
}

fn of_json(initial: &Value) -> Result<Balances, String> {
    let wrong = || {
        format!(
            "the initial state of a bank is a map of balances such as {{\"0\":100,\"1\":0}}, not {initial}"
        )
    };
    let map = initial.as_object().ok_or_else(wrong)?;
    let balance = |(account, value): (&String, &Value)| {
        let value = value.as_i64().ok_or_else(wrong)?;
        Ok((account.clone(), Some(i128::from(value))))
    };
    map.iter().map(balance).collect()
}

/// What is wrong about a read.
fn breaches(expected: &Expected, balances: &Balances) -> Vec<(&'static str, String)> {
    let mut breaches = Vec::new();
    for account in balances
        .keys()
        .filter(|account| !expected.balances.contains_key(*account))
    {
        breaches.push((
            "unexpected-account",
            format!("there is no account {account}, but it was read"),
        ));
    }
    for account in expected
        .balances
        .keys()
        .filter(|account| !balances.contains_key(*account))
    {
        breaches.push((
            "missing-account",
            format!("account {account} is not in the read"),
        ));
    }
    for (account, balance) in balances {
        match balance {
            None => breaches.push((
                "no-balance",
                format!("account {account} has no whole number as balance"),
            )),
            Some(balance) if *balance < 0 && !expected.may_be_negative() => {
                breaches.push((
                    "negative-balance",
                    format!("account {account} has {balance}"),
                ));
            }
            Some(_) => {}
        }
    }
    let total: i128 = balances.values().flatten().sum();
    if breaches.iter().all(|(kind, _)| *kind == "negative-balance") && total != expected.total {
        let should = expected.total;
        breaches.push((
            "wrong-total",
            format!("the balances come to {total}, and all money to {should}"),
        ));
    }
    breaches
}

fn anomaly(kind: &str, text: String, operation: &Operation<'_>) -> Anomaly {
    Anomaly {
        kind: kind.to_owned(),
        checker: NAME.to_owned(),
        summary: text.clone(),
        witness: json!({ "operations": [describe::operation(operation)], "text": text }),
    }
}
