//! Linearizability by trying every order: slow, short, and written without a look at the checker.

use keelhaul_checkers::{History, Kind, Operation};

/// Whether all ok operations and some of the indeterminate ones have a legal order that agrees with real time.
/// `step` gives the state after an operation, or `None` where its outcome does not fit.
pub fn linearizable<S: Clone>(
    history: &History,
    initial: S,
    step: &dyn Fn(&S, &Operation<'_>) -> Option<S>,
) -> bool {
    let mut left: Vec<Operation<'_>> = history.operations().unwrap();
    left.retain(|operation| operation.kind() != Kind::Fail);
    left.retain(|operation| operation.is_ok() || operation.f() != "read");
    search(&left, &initial, step)
}

fn search<S: Clone>(
    left: &[Operation<'_>],
    state: &S,
    step: &dyn Fn(&S, &Operation<'_>) -> Option<S>,
) -> bool {
    if left.iter().all(|operation| !operation.is_ok()) {
        return true;
    }
    (0..left.len()).any(|first| {
        let candidate = &left[first];
        let someone_returned_before = left
            .iter()
            .any(|other| other.ret().is_some_and(|ret| ret < candidate.inv()));
        if someone_returned_before {
            return false;
        }
        let Some(next) = step(state, candidate) else {
            return false;
        };
        let mut rest = left.to_vec();
        rest.remove(first);
        search(&rest, &next, step)
    })
}
