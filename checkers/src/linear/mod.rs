//! Linearizability: is there one order of all operations, legal for the object and in agreement with real time?
//!
//! - [`model`](Model): what an object is; the objects themselves are in [`crate::models`];
//! - `cases`: from a history to one list of calls for each key (linearizability is local);
//! - `judge`: every key through the layers, cheapest first: the model's own algorithm ([`Model::quick`]), `order` (the order
//!   that the system itself told, verified), `search`; each is sound by itself, and falls through to the next;
//! - `budget`: the search's limits;
//! - `single`: the search alone, over one object that somebody else decoded;
//! - `witness`: from "no order exists" to the smallest window that a person can check by hand;
//! - [`Linearizable`]: the checker, and what its finding says.
//!
//! An order is sought among what was answered (`ok`) and what may have happened (`info`); what failed never happened. Reads
//! with `"mode":"local"` are left out: they owe session order only ([`crate::SessionOrder`]).
//!
//! # A model of your own
//!
//! A model is its states, its calls, and which call may happen in which state:
//!
//! ```
//! use keelhaul_checkers::linear::{Linearizable, Model, Values};
//! use keelhaul_checkers::{Budget, Checker, History, Operation, Verdict};
//!
//! /// A light that is toggled, and tells what it was before.
//! struct Toggle;
//!
//! impl Model for Toggle {
//!     type State = bool;
//!     /// What it was before, if the answer came.
//!     type Call = Option<bool>;
//!
//!     fn name(&self) -> &'static str {
//!         "toggle"
//!     }
//!     fn initial(&self, _: &mut Values) -> Result<bool, String> {
//!         Ok(false)
//!     }
//!     fn call(&self, operation: &Operation<'_>, _: &mut Values) -> Result<Option<Option<bool>>, String> {
//!         Ok(Some(operation.result().and_then(|was| was.as_bool())))
//!     }
//!     fn step(&self, on: &bool, was: &Option<bool>) -> Option<bool> {
//!         was.is_none_or(|was| was == *on).then_some(!on)
//!     }
//! }
//!
//! // Two toggles, one after the other, that both found it off.
//! let lines = r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"toggle","value":null}
//! {"index":1,"time":2,"process":0,"type":"ok","f":"toggle","value":false}
//! {"index":2,"time":3,"process":1,"type":"invoke","f":"toggle","value":null}
//! {"index":3,"time":4,"process":1,"type":"ok","f":"toggle","value":false}
//! "#;
//! let (history, _) = History::read(lines.as_bytes())?;
//! let budget = Budget { states: 1_000_000, bytes: 64 << 20, deadline: None };
//! let finding = Linearizable::of(Toggle).check(&history, &budget);
//! assert!(matches!(finding.verdict, Verdict::Invalid(_)));
//! # Ok::<(), keelhaul_checkers::HistoryError>(())
//! ```

mod budget;
mod cases;
mod checker;
mod judge;
mod model;
mod order;
mod search;
mod single;
mod values;
mod witness;

pub use checker::Linearizable;
pub use model::{Contradiction, Entry, Layer, Model, NEVER, Quick};
pub(crate) use single::{Found, Single, Stuck, Whole};
pub use values::{ValueId, Values};
