//! Linearizability: is there one order of all operations, legal for the object and in agreement with real time?
//!
//! - [`model`](Model): what an object is; the objects themselves are in [`crate::models`];
//! - `search`, `table`, `budget`: the search, its configurations, and its limits;
//! - `witness`: from "no order exists" to the smallest window that a person can check by hand;
//! - [`Linearizable`]: the checker: splits by key (linearizability is local), judges each key by itself.
//!
//! An order is sought among what was answered (`ok`) and what may have happened (`info`); what failed never happened. Reads
//! with `"mode":"local"` are left out: they owe session order only ([`crate::SessionOrder`]).

mod budget;
mod checker;
mod model;
mod search;
mod table;
mod witness;

pub use checker::Linearizable;
pub use model::{Contradiction, Entry, Model, ValueId, Values};
