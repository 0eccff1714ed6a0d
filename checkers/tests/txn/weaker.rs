//! Models weaker than snapshot isolation, against their definitions: every order of commits is tried.

use crate::common::judge_with;
use crate::story::{self, Micro, Outcome, Shape, Size, Txn};
use keelhaul_checkers::{Finding, History, Parameters, Verdict};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn judge(history: &History, checker: &str, model: &str) -> Finding {
    let parameters = Parameters {
        consistency: vec![model.to_owned()],
        ..Parameters::default()
    };
    judge_with(checker, &parameters, history)
}

/// One order of commits, and of each committed read of another's version: key, writer (none: nobody), micro-operation.
struct Order<'t> {
    txns: &'t [Txn],
    /// By transaction.
    at: Vec<usize>,
    reads: Vec<Vec<(u8, Option<usize>)>>,
    /// By transaction: all whose appends it has in its lists.
    shown: Vec<Vec<usize>>,
}

fn writes(txn: &Txn, key: u8) -> bool {
    let mut micros = txn.micros.iter();
    micros.any(|micro| matches!(micro, Micro::Write(own, _) if *own == key))
}

/// All appends to a key: what is read, own appends included, shows the order of versions.
fn whole(txns: &[Txn], order: &[usize], key: u8) -> Vec<u8> {
    let micros = order.iter().flat_map(|txn| &txns[*txn].micros);
    let of_key = micros.filter_map(|micro| match micro {
        Micro::Write(k, element) if *k == key => Some(*element),
        _ => None,
    });
    of_key.collect()
}

impl<'t> Order<'t> {
    /// None if a read shows no version that there is in this order.
    fn of(txns: &'t [Txn], order: &[usize]) -> Option<Order<'t>> {
        let mut at = vec![0; txns.len()];
        for (place, txn) in order.iter().enumerate() {
            at[*txn] = place;
        }
        let mut reads = Vec::new();
        let mut shown = Vec::new();
        for txn in txns {
            let (mut own, mut all): (Vec<(u8, u8)>, Vec<usize>) = (Vec::new(), Vec::new());
            let mut external = Vec::new();
            for micro in &txn.micros {
                match micro {
                    Micro::Write(key, element) => own.push((*key, *element)),
                    Micro::Read(key, seen) => {
                        let mine = own.iter().filter(|(k, _)| k == key).count();
                        let others = &seen[..seen.len().checked_sub(mine)?];
                        let mut list: Vec<u8> = Vec::new();
                        let mut writer = None;
                        for one in order {
                            if list.len() == others.len() {
                                break;
                            }
                            let of_key = txns[*one].micros.iter().filter_map(|micro| match micro {
                                Micro::Write(k, element) if k == key => Some(*element),
                                _ => None,
                            });
                            let before = list.len();
                            list.extend(of_key);
                            if list.len() > before {
                                writer = Some(*one);
                                all.push(*one);
                            }
                        }
                        if list != others || !whole(txns, order, *key).starts_with(seen) {
                            return None;
                        }
                        external.push((*key, writer));
                    }
                }
            }
            reads.push(external);
            shown.push(all);
        }
        Some(Order {
            txns,
            at,
            reads,
            shown,
        })
    }

    /// Whether no read misses a write that is visible to it. `visible` has for each transaction those that it sees.
    fn sees(&self, visible: &[Vec<bool>]) -> bool {
        let all = 0..self.txns.len();
        all.clone().all(|txn| {
            let mut seen = all.clone().filter(|other| visible[txn][*other]);
            seen.clone().all(|other| self.at[other] < self.at[txn])
                && seen.all(|other| self.none_missed(txn, 0, other))
        })
    }

    /// Whether no read from the first one on misses this transaction's write.
    fn none_missed(&self, txn: usize, first: usize, other: usize) -> bool {
        self.reads[txn][first..].iter().all(|(key, writer)| {
            !writes(&self.txns[other], *key)
                || writer.is_some_and(|writer| self.at[other] <= self.at[writer])
        })
    }

    fn read_from(&self) -> Vec<Vec<bool>> {
        let all = 0..self.txns.len();
        let rows = self.reads.iter().map(|reads| {
            let from = |other| reads.iter().any(|(_, writer)| *writer == Some(other));
            all.clone().map(from).collect()
        });
        rows.collect()
    }

    fn overwritten(&self, mut visible: Vec<Vec<bool>>) -> Vec<Vec<bool>> {
        for (txn, row) in visible.iter_mut().enumerate() {
            for (other, sees) in row.iter_mut().enumerate() {
                let both =
                    (0..8).any(|k| writes(&self.txns[txn], k) && writes(&self.txns[other], k));
                *sees |= both && self.at[other] < self.at[txn];
            }
        }
        visible
    }

    fn holds(&self, model: &str) -> bool {
        let acyclic = self.sees_in_order();
        acyclic
            && match model {
                "monotonic-atomic-view" => (0..self.txns.len()).all(|txn| {
                    let reads = self.reads[txn].iter().enumerate();
                    reads
                        .filter_map(|(at, (_, writer))| Some((at, (*writer)?)))
                        .all(|(at, writer)| self.none_missed(txn, at + 1, writer))
                }),
                "read-atomic" => self.sees(&self.read_from()),
                "update-atomic" => self.sees(&self.overwritten(self.read_from())),
                "causal" => self.sees(&closed(self.all_shown())),
                "parallel-snapshot-isolation" => {
                    self.sees(&closed(self.overwritten(self.all_shown())))
                }
                "prefix" => (0..self.txns.len()).all(|txn| {
                    (0..=self.at[txn]).any(|snapshot| {
                        self.reads[txn].iter().all(|(key, writer)| {
                            let before = (0..self.txns.len()).filter(|other| {
                                self.at[*other] < snapshot && writes(&self.txns[*other], *key)
                            });
                            before.max_by_key(|other| self.at[*other]) == *writer
                        })
                    })
                }),
                other => panic!("{other}"),
            }
    }

    fn sees_in_order(&self) -> bool {
        let all =
            (0..self.txns.len()).flat_map(|txn| self.reads[txn].iter().map(move |r| (txn, r)));
        let mut from = all.filter_map(|(txn, (_, writer))| Some((txn, (*writer)?)));
        from.all(|(txn, writer)| self.at[writer] < self.at[txn])
    }

    fn all_shown(&self) -> Vec<Vec<bool>> {
        let all = 0..self.txns.len();
        let shown = self.shown.iter();
        shown
            .map(|shown| all.clone().map(|other| shown.contains(&other)).collect())
            .collect()
    }
}

fn closed(mut sees: Vec<Vec<bool>>) -> Vec<Vec<bool>> {
    for middle in 0..sees.len() {
        let through = sees[middle].clone();
        for row in sees.iter_mut().filter(|row| row[middle]) {
            row.iter_mut()
                .zip(&through)
                .for_each(|(sees, too)| *sees |= too);
        }
    }
    sees
}

/// All orders of so many.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for next in 0..count {
        all = all
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..=order.len()).map(move |place| {
                    let mut longer = order.clone();
                    longer.insert(place, next);
                    longer
                })
            })
            .collect();
    }
    all
}

const MODELS: [&str; 6] = [
    "monotonic-atomic-view",
    "read-atomic",
    "update-atomic",
    "causal",
    "parallel-snapshot-isolation",
    "prefix",
];

#[test]
fn models_below_snapshot_isolation_are_what_their_definitions_say() {
    let size = Size {
        txns: 5,
        micros: 3,
        keys: 3,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let mut counts = [[0_u32; 3]; MODELS.len()];
    for _ in 0..40_000 {
        let mut txns = story::random(&mut rng, &size, Shape::Lists);
        txns.retain(|txn| txn.outcome != Outcome::Fail);
        for txn in &mut txns {
            if txn.outcome == Outcome::Info {
                txn.micros.retain(|micro| matches!(micro, Micro::Write(..)));
                txn.process += 100;
            }
            txn.outcome = Outcome::Ok;
        }
        txns.retain(|txn| !txn.micros.is_empty());
        let history = story::history(&txns, Shape::Lists, &[]);
        let first = judge(&history, "list-append", "prefix");
        let anomalies = first.details["anomalies"].as_object();
        let by_themselves = ["G1a", "G1b", "internal", "future-read", "garbage-read"];
        let by_themselves = by_themselves
            .iter()
            .chain(&["duplicate-elements", "incompatible-order"]);
        let mut by_themselves = by_themselves.copied();
        if anomalies.is_none_or(|all| by_themselves.any(|kind| all.contains_key(kind))) {
            continue;
        }
        let possible: Vec<Order<'_>> = orders(txns.len())
            .iter()
            .filter_map(|order| Order::of(&txns, order))
            .collect();
        for (model, counts) in MODELS.iter().zip(&mut counts) {
            let holds = possible.iter().any(|order| order.holds(model));
            let finding = judge(&history, "list-append", model);
            let text = || crate::common::text(&history);
            match &finding.verdict {
                Verdict::Valid => {
                    // What hangs on an order that nobody saw may go unseen, and is said to.
                    let says_so = !finding.details["caveat"].is_null();
                    assert!(holds || says_so, "{model} does not hold:\n{}", text());
                    let exact = ["monotonic-atomic-view", "read-atomic", "causal"];
                    assert!(holds || !exact.contains(model), "{model}:\n{}", text());
                    counts[0] += 1;
                }
                Verdict::Invalid(_) => {
                    assert!(!holds, "{model} holds:\n{}\n{:?}", text(), finding.verdict);
                    counts[1] += 1;
                }
                Verdict::Unknown(reasons) => {
                    if reasons[0].text.contains("nothing was tested") {
                        continue;
                    }
                    assert_eq!(*model, "update-atomic", "{reasons:?}");
                    counts[2] += 1;
                }
            }
        }
    }
    println!("{counts:?}");
    for [valid, invalid, _] in counts {
        assert!(valid > 1_000 && invalid > 100, "{counts:?}");
    }
}

fn line(process: u64, told: &str) -> String {
    format!(
        "{{\"process\":{process},\"type\":\"invoke\",\"f\":\"txn\",\"value\":{told}}}\n\
         {{\"process\":{process},\"type\":\"ok\",\"f\":\"txn\",\"value\":{told}}}\n"
    )
}

fn said(checker: &str, model: &str, lines: &[&str]) -> (String, Finding) {
    let text: String = (0..)
        .zip(lines)
        .map(|(process, told)| line(process, told))
        .collect();
    let (history, _) = History::read(text.as_bytes()).unwrap();
    let finding = judge(&history, checker, model);
    let said = match &finding.verdict {
        Verdict::Valid => "valid".to_owned(),
        Verdict::Invalid(anomalies) => {
            let kinds: Vec<&str> = anomalies.iter().map(|one| &one.kind[..]).collect();
            kinds.join(" ")
        }
        Verdict::Unknown(reasons) => reasons[0].text.clone(),
    };
    (said, finding)
}

const FRACTURED: &[&str] = &[
    r#"[["append","x",1],["append","y",1]]"#,
    r#"[["r","x",[1]],["r","y",[]]]"#,
];
const NOT_CAUSAL: &[&str] = &[
    r#"[["append","x",1]]"#,
    r#"[["r","x",[1]],["append","y",1]]"#,
    r#"[["r","y",[1]],["r","x",[]]]"#,
];

#[test]
fn half_of_a_transaction_is_no_atomic_read() {
    for (model, expected) in [
        ("read-committed", "valid"),
        ("monotonic-atomic-view", "non-monotonic-read"),
        ("monotonic-view", "non-monotonic-read"),
        ("monotonic-snapshot-read", "non-monotonic-read"),
        ("read-atomic", "non-monotonic-read"),
        ("update-atomic", "non-monotonic-read"),
        ("causal", "non-monotonic-read"),
    ] {
        let (said, finding) = said("list-append", model, FRACTURED);
        assert_eq!(said, expected, "{model}");
        if expected != "valid" {
            let not = finding.details["not"].to_string();
            assert_eq!(not, "[\"monotonic-atomic-view\"]", "{model}");
            for one in &finding.outside_contract {
                assert!(!one.summary.contains("not forbidden"), "{}", one.summary);
            }
        }
    }
}

#[test]
fn an_effect_without_its_cause_is_not_causal_but_may_be_atomic() {
    for (model, expected) in [
        ("monotonic-atomic-view", "valid"),
        ("read-atomic", "valid"),
        ("causal", "causality-violation"),
    ] {
        assert_eq!(
            said("list-append", model, NOT_CAUSAL).0,
            expected,
            "{model}"
        );
    }
    let (said, _) = said("list-append", "monotonic-view", NOT_CAUSAL);
    assert!(said.starts_with("monotonic-view is not decided"), "{said}");
}

#[test]
fn a_model_that_is_not_decided_is_not_called_valid() {
    // Two updates skew, and a reader sees neither or one: adya's PL-3U forbids it without the reader.
    let skew = &[
        r#"[["r","x",[]],["append","y",1]]"#,
        r#"[["r","y",[]],["append","x",1]]"#,
    ];
    assert_eq!(
        said("list-append", "update-serializable", skew).0,
        "G-update"
    );
    assert_eq!(said("list-append", "PSI", skew).0, "valid");
    // The cursor was at the state before 1, and what it then wrote came behind.
    let cursor = &[
        r#"[["r","x",[]],["append","x",2]]"#,
        r#"[["append","x",1]]"#,
        r#"[["r","x",[1,2]]]"#,
    ];
    assert_eq!(
        said("list-append", "cursor-stability", cursor).0,
        "G-cursor"
    );
    assert_eq!(said("list-append", "read-atomic", cursor).0, "valid");
    // Who reads all of a key hides nothing; two appends that nobody read may stand in either order.
    let unread = &[
        r#"[["append","x",1],["r","y",[]],["append","y",1]]"#,
        r#"[["r","x",[]],["append","y",2]]"#,
    ];
    let (verdict, finding) = said("list-append", "snapshot-isolation", unread);
    assert_eq!(verdict, "valid");
    let caveat = "2 appends were never read, beside others of their key: cycles that hang on their order are not seen";
    assert_eq!(finding.details["caveat"], caveat);
    assert!(said("list-append", "serializable", unread).1.details["caveat"].is_null());
    let unordered = &[r#"[["w","x",1]]"#, r#"[["w","x",2]]"#, r#"[["r","x",1]]"#];
    let (verdict, finding) = said("rw-register", "serializable", unordered);
    assert_eq!(verdict, "valid");
    let caveat =
        "the order of 1 key's values is not known in full: cycles that hang on it are not seen";
    assert_eq!(finding.details["caveat"], caveat);
    let seen = said(
        "rw-register",
        "read-atomic",
        &[
            r#"[["w","x",1],["w","y",1]]"#,
            r#"[["r","y",null],["r","x",1]]"#,
        ],
    );
    assert_eq!(seen.0, "fractured-read");
}
