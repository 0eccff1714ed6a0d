//! Histories of operations, and what they prove.
//!
//! Pure: no sockets, no clock but a deadline's, no threads of its own, no randomness outside tests. The only I/O is reading and
//! writing histories through `Read` and `Write`. The same history under the same [`Budget`] (without a deadline) gets the
//! same [`Verdict`], always.
//!
//! # A tour
//!
//! A [`History`] is what every process invoked and what came back, in one global order: lines of JSON, plain or in zstd
//! frames. [`History::read`] tolerates what a killed controller leaves (a cut-off end, told in a [`Note`]) and refuses the
//! rest; [`History::operations`] pairs invocations with their completions.
//!
//! A [`Checker`] is a function from a history and a [`Budget`] to a [`Finding`]: valid, invalid with [`Anomaly`]s, or unknown
//! with [`Reason`]s, what was outside the contract, and what was measured. [`by_name`] makes one, [`list`] names them all:
//!
//! | room | what it judges |
//! | --- | --- |
//! | [`linear`], [`models`] | one order of all operations, in agreement with real time: registers, stores by key, locks, queues, stacks, sets, counters |
//! | [`containers`] | the near-linear algorithms of those that hold what was put into them |
//! | [`txn`] | transactions: which consistency models their cycles break |
//! | [`weak`] | read committed, read atomic and causal consistency, in nearly linear time |
//! | [`zookeeper`] | ZooKeeper's tree by zxid, Stats and zxids, sequence numbers, ephemeral znodes, watches, locks and elections by fencing |
//! | [`SessionOrder`] | plain reads: each session sees an ever newer prefix of all writes |
//! | [`Set`] | sets that grow: lost, stale, unexpected, duplicated, unordered |
//! | [`SetFull`], [`UniqueIds`], [`TotalQueue`], [`UnhandledErrors`] | what adds up over one pass: fates of elements, ids, queues that were drained, errors |
//! | [`Recovery`] | every node serves again after the last heal, replicas are equal; times of each recovery |
//! | [`Coverage`] | whether anything was tested at all |
//! | [`generate`] | sound and broken histories of any size, from a simulated system |
//! | [`Stats`] | counts, errors, rates, latencies |
//!
//! [`mod@explain`] makes an anomaly plain: its words, a picture, a graph, and the smallest part of the history that shows it.
//!
//! What is owed under which faults is a table, [`contract`]. [`merge`] makes one [`Results`] of all findings, as
//! `results.json` has it; [`render()`] prints an anomaly for a terminal.
//!
//! ```
//! use keelhaul_checkers::{Budget, History, Parameters, Validity, by_name, merge, render};
//!
//! let lines = r#"{"index":0,"time":10,"process":0,"type":"invoke","f":"write","value":1}
//! {"index":1,"time":20,"process":0,"type":"ok","f":"write","value":1}
//! {"index":2,"time":30,"process":1,"type":"invoke","f":"read","value":null}
//! {"index":3,"time":40,"process":1,"type":"ok","f":"read","value":null}
//! "#;
//! let (history, notes) = History::read(lines.as_bytes())?;
//! assert!(notes.is_empty());
//!
//! let checker = by_name("register", &Parameters::default()).expect("it is in the list");
//! let budget = Budget { states: 1_000_000, bytes: 64 << 20, deadline: None };
//! let results = merge(vec![(checker.name().to_owned(), checker.check(&history, &budget))]);
//! assert_eq!(results.valid, Validity::Invalid);
//! assert!(render(&results.anomalies[0]).contains("it saw value null, and the register holds value 1"));
//! # Ok::<(), keelhaul_checkers::HistoryError>(())
//! ```
//!
//! # In `cargo test`
//!
//! A [`Recorder`] writes down what threads do to a structure of your own; the assertion prints the witness:
//!
//! ```
//! use keelhaul_checkers::{Recorder, assert_linearizable, models::CasRegister};
//! use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
//!
//! let (recorder, register) = (Recorder::new(), AtomicU64::new(0));
//! recorder.caller().call("write", 0, || register.store(0, SeqCst));
//! std::thread::scope(|scope| for value in 1..4 {
//!     let (mut caller, register) = (recorder.caller(), &register);
//!     scope.spawn(move || {
//!         caller.call("write", value, || register.store(value, SeqCst));
//!         caller.call("read", (), || register.load(SeqCst));
//!     });
//! });
//! assert_linearizable!(recorder.history(), CasRegister::default());
//! ```

mod assert;
mod breaches;
pub mod containers;
pub mod contract;
mod coverage;
mod describe;
pub mod explain;
mod folds;
pub mod generate;
pub mod history;
mod keyed;
mod limits;
pub mod linear;
pub mod models;
mod parameters;
mod reads;
mod recorder;
mod recovery;
mod registry;
mod render;
mod repeats;
mod replicas;
mod results;
mod set;
mod stats;
mod timeline;
pub mod txn;
mod unread;
pub mod verdict;
pub mod weak;
pub mod zookeeper;

pub use coverage::Coverage;
pub use folds::{SetFull, TotalQueue, UnhandledErrors, UniqueIds};
pub use history::{
    Event, EventRef, Exported, Extra, Format, History, HistoryError, Kind, ListRef, MapRef, Nanos,
    Note, Operation, PairError, Place, Process, ReadOptions, ValueRef,
};

pub use parameters::{NullReads, Parameters};
pub use reads::ReadMode;
pub use recorder::{Call, Caller, Recorder};
pub use recovery::Recovery;
pub use registry::{CheckerInfo, asking_contract, by_name, list, reading_null};
pub use render::render;
pub use results::{Checked, Results, Validity, merge};
pub use set::Set;
pub use stats::Stats;
pub use verdict::{Anomaly, Budget, Checker, Finding, Reason, Verdict};
pub use zookeeper::{Ephemeral, Fencing, Sequence, SessionOrder, Znodes, ZxidAudit};
