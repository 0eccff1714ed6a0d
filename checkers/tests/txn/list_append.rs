//! `list-append` against brute force: each consistency model by itself, on the same small histories.

use crate::compare::{compare, rules_out};
use crate::oracle::{Order, read_committed, serializable, snapshot_isolation};
use crate::story::{Micro, Outcome, Shape, Size, Txn};
use keelhaul_checkers::Verdict;

const SIZE: Size = Size {
    txns: 5,
    micros: 3,
    keys: 2,
};

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

#[test]
fn serializability_of_each_strength_and_committed_reads_are_decided_exactly() {
    let sort = (SIZE, Shape::Lists);
    compare(
        1,
        100_000,
        sort,
        |_, _| Vec::new(),
        |txns, _, finding| {
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
        },
    );
}

#[test]
fn snapshot_isolation_of_each_strength_is_decided_exactly_where_orders_are_known() {
    let size = Size {
        txns: 4,
        micros: 4,
        ..SIZE
    };
    let sort = (size, Shape::Lists);
    compare(
        3,
        100_000,
        sort,
        |_, _| Vec::new(),
        |txns, _, finding| {
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
        },
    );
}
