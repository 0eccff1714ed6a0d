//! From a history to one list of calls for each key.

use super::model::{Entry, Model, NEVER};
use super::order::Place;
use super::values::Values;
use crate::history::{History, Kind, Operation, ValueRef};
use crate::reads::{ReadMode, read_mode};
use crate::verdict::Misfit;
use rustc_hash::FxHashMap;

/// One key's operations.
pub(super) struct Case<'h, M: Model> {
    pub(super) key: Option<&'h str>,
    /// As they were, in the order of their invocations.
    pub(super) entries: Vec<Entry<M::Call>>,
    /// Whether an indeterminate operation has an end.
    pub(super) has_ends: bool,
}

/// What closes a session: once it is answered, no operation of that session can take effect any more.
const CLOSES: [&str; 2] = ["close", "closeSession"];

/// Whether the operation only ends a session: no model is asked about it.
fn is_close(operation: &Operation<'_>) -> bool {
    CLOSES.contains(&operation.f())
}

/// Every key's entries, in the order of the keys.
pub(super) fn cases<'h, M: Model>(
    model: &M,
    sync_is_owed: bool,
    history: &'h History,
    operations: &[Operation<'h>],
    values: &mut Values,
) -> Result<Vec<Case<'h, M>>, Misfit> {
    crate::repeats::all_known(operations)?;
    let closed = closed_sessions(history, operations);
    let mut by_key: Vec<Option<Case<'h, M>>> = Vec::new();
    by_key.resize_with(history.keys().len() + 1, || None);
    let mut counts = vec![0; by_key.len()];
    for operation in operations {
        counts[number_of(operation)] += 1;
    }
    for (place, operation) in operations.iter().enumerate() {
        let kind = operation.kind();
        if kind == Kind::Fail
            || !owes_linearizability(operation, sync_is_owed)
            || is_close(operation)
        {
            continue;
        }
        crate::repeats::check_with(operation, model.repeats())?;
        let call = model
            .call(operation, values)
            .map_err(|text| Misfit::at(operation.inv(), text))?;
        let number = number_of(operation);
        let case = by_key[number].get_or_insert_with(|| Case {
            key: operation.key(),
            entries: Vec::with_capacity(counts[number]),
            has_ends: false,
        });
        let Some(call) = call else { continue };
        let certain = kind == Kind::Ok;
        // An indeterminate call that changes nothing says nothing.
        if !certain && model.is_pure(&call) {
            continue;
        }
        let ret = match certain {
            true => operation.ret().map_or(NEVER, line),
            false => end_of(operation, &closed),
        };
        case.has_ends |= !certain && ret != NEVER;
        case.entries.push(Entry {
            call,
            inv: line(operation.inv()),
            ret,
            operation: place as u32,
            certain,
        });
    }
    let mut cases: Vec<Case<'h, M>> = by_key.into_iter().flatten().collect();
    cases.sort_unstable_by_key(|case| case.key);
    Ok(cases)
}

/// A history has fewer than 2^32 - 1 lines.
fn line(index: u64) -> u32 {
    u32::try_from(index).expect("a history has fewer than 2^32 lines")
}

fn number_of(operation: &Operation<'_>) -> usize {
    operation.key_id().map_or(0, |key| key as usize + 1)
}

/// Whether the operation is judged here; reads that owe less are left out.
fn owes_linearizability(operation: &Operation<'_>, sync_is_owed: bool) -> bool {
    match read_mode(operation) {
        Some(ReadMode::Local) => false,
        Some(ReadMode::Sync) => sync_is_owed,
        Some(ReadMode::Fenced) | None => true,
    }
}

/// The session of an operation, by what was asked or answered.
fn session<'h>(operation: &Operation<'h>) -> Option<ValueRef<'h>> {
    let told = operation
        .completion()
        .and_then(|completion| completion.get("session"));
    told.or_else(|| operation.asked().get("session"))
        .filter(|session| !session.is_null())
}

/// Every session that was closed with an answer: the line of the first such answer.
fn closed_sessions<'h>(
    history: &'h History,
    operations: &[Operation<'h>],
) -> FxHashMap<ValueRef<'h>, u32> {
    let mut closed = FxHashMap::default();
    if !history.functions().iter().any(|f| CLOSES.contains(&&**f)) {
        return closed;
    }
    for operation in operations.iter().filter(|operation| is_close(operation)) {
        let answered = operation.is_ok() && operation.error().is_none();
        if let (true, Some(session), Some(ret)) = (answered, session(operation), operation.ret()) {
            let first = closed.entry(session).or_insert(line(ret));
            *first = (*first).min(line(ret));
        }
    }
    closed
}

/// The line from which an indeterminate operation cannot take effect any more: its session was closed.
fn end_of(operation: &Operation<'_>, closed: &FxHashMap<ValueRef<'_>, u32>) -> u32 {
    if closed.is_empty() {
        return NEVER;
    }
    let end = session(operation).and_then(|session| closed.get(&session).copied());
    end.filter(|end| u64::from(*end) > operation.inv())
        .unwrap_or(NEVER)
}

/// Where the system says that each entry stands in its order: by zxid, else by version.
pub(super) fn places<C>(
    operations: &[Operation<'_>],
    entries: &[Entry<C>],
) -> Option<Vec<Option<Place>>> {
    let first = entries.iter().find(|entry| entry.certain)?;
    let told = |entry: &Entry<C>, field: &str| {
        let answer = operations[entry.operation as usize].answer()?;
        answer.int(field)
    };
    let field = ["zxid", "version"]
        .into_iter()
        .find(|field| told(first, field).is_some())?;
    Some(entries.iter().map(|entry| told(entry, field)).collect())
}

/// How many reads were left out: of local ones, and of those after a `sync` where nothing is owed to them.
pub(super) fn left_out(operations: &[Operation<'_>], sync_is_owed: bool) -> (usize, usize) {
    let (mut local, mut sync) = (0, 0);
    for operation in operations {
        match read_mode(operation) {
            Some(ReadMode::Local) => local += 1,
            Some(ReadMode::Sync) if !sync_is_owed => sync += 1,
            _ => {}
        }
    }
    (local, sync)
}
