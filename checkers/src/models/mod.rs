//! The objects that histories are judged against: one file each.

mod cas_register;
mod container;
mod counter;
mod fenced_mutex;
mod fifo_queue;
mod kv;
mod multi_register;
mod mutex;
mod priority_queue;
mod reentrant_mutex;
mod register;
mod semaphore;
mod set;
mod stack;
mod unordered_queue;
mod versioned_register;
mod zones;

pub use cas_register::CasRegister;
pub(crate) use container::found_nothing;
pub use counter::Counter;
pub use fenced_mutex::FencedMutex;
pub use fifo_queue::FifoQueue;
pub use kv::Kv;
pub use multi_register::MultiRegister;
pub use mutex::Mutex;
pub use priority_queue::PriorityQueue;
pub use reentrant_mutex::ReentrantMutex;
pub use register::Register;
pub use semaphore::Semaphore;
pub use set::Set;
pub(crate) use set::{Added, added, changed};
pub use stack::Stack;
pub use unordered_queue::UnorderedQueue;
pub use versioned_register::VersionedRegister;

use crate::history::{Operation, Process, ValueRef};
use crate::linear::{ValueId, Values};

/// The two values of a compare-and-set's argument `[old, new]`.
fn old_and_new(
    operation: &Operation<'_>,
    values: &mut Values,
) -> Result<(ValueId, ValueId), String> {
    let (old, new) = pair(operation)?;
    Ok((values.id(old), values.id(new)))
}

/// The same, as they are.
fn pair<'h>(operation: &Operation<'h>) -> Result<(ValueRef<'h>, ValueRef<'h>), String> {
    let argument = operation.argument();
    let pair = argument.as_list().filter(|pair| pair.len() == 2);
    let both = pair.and_then(|pair| pair.get(0).zip(pair.get(1)));
    both.ok_or_else(|| format!("is a cas with the argument {argument}; expected [old, new]"))
}

/// What to say of a function that a model does not have.
fn unknown_function(operation: &Operation<'_>, model: &str, known: &str) -> String {
    format!(
        "is `{}`, which the model {model} does not have: it knows {known}",
        operation.f()
    )
}

/// What to say of an error that a model does not know as an observation.
pub(crate) fn unknown_error(operation: &Operation<'_>, model: &str, known: &str) -> String {
    format!(
        "is an ok `{}` with the error {}, which the model {model} cannot explain: it knows {known}",
        operation.f(),
        operation.error().unwrap_or("(not a text)"),
    )
}

/// The error of an `ok` answer: an observation, which the model must explain.
pub(crate) fn refused<'h>(operation: &Operation<'h>) -> Option<&'h str> {
    operation.answer().and_then(|answer| answer.text("error"))
}

/// The process that an operation belongs to, as the owner of what it takes.
fn owner(operation: &Operation<'_>) -> Result<u64, String> {
    match operation.process() {
        Process::Client(process) => Ok(*process),
        Process::Named(name) => Err(format!("is of {name}, which is no client")),
    }
}
