//! The order of each process's own transactions.

use super::graph::{Edge, NONE};
use super::input::{Outcome, Txns};
use super::relation::Relations;

/// From each committed transaction to the next ones of its process, up to the next committed one.
pub(crate) fn processes(txns: &Txns<'_>, edges: &mut Vec<Edge>) {
    let processes = txns
        .process
        .iter()
        .max()
        .map_or(0, |most| *most as usize + 1);
    let mut last = vec![NONE; processes];
    for txn in 0..txns.len() as u32 {
        if txns.is(txn, Outcome::Fail) {
            continue;
        }
        let last = &mut last[txns.process[txn as usize] as usize];
        if *last != NONE {
            edges.push(Edge {
                from: *last,
                to: txn,
                relation: Relations::PROCESS,
            });
        }
        if txns.is(txn, Outcome::Ok) {
            *last = txn;
        }
    }
}
