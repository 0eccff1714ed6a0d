//! What plain (`local`) reads of registers owe: session order.

mod writes;

use crate::contract::{self, ReplyZxid};
use crate::describe;
use crate::history::{History, Operation, Process};
use crate::parameters::Parameters;
use crate::reads::{ReadMode, read_mode};
use crate::verdict::{Anomaly, Budget, Checker, Finding, Misfit, Reason, Verdict, some_operations};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use writes::{Writes, Zxid};

const NAME: &str = "session-order";

/// The checker `session-order`.
///
/// What plain (`local`) reads of registers owe: session order.
///
/// It proves, over all keys together: writes happened in the order of their zxids, which agrees with real time; and each session
/// saw an ever newer prefix of them: no reply has an older zxid than one before it, and every read shows its key as it was at one
/// prefix, its own session's writes included. It never asks a plain read to be fresh: another session's write may stay unseen.
/// Zxids are global, so a session that sees a new value of one key and then an old one of another is caught, which judging key by
/// key cannot. It cannot prove anything about operations without a zxid.
///
/// An indeterminate write takes part once a read shows its value: the read's mzxid is its zxid.
///
/// Anomalies: `zxid-reused`, `zxid-against-real-time`, `unwritten-value`, `future-read`, `session-went-back`; the first of each,
/// with the number of further ones in its sentence. Witness: `{"session", "text", "operations": [operation, …]}`.
///
/// Details: `{"sessions", "writes", "reads": {"local", "others"}, "indeterminate_writes_seen"}`.
#[derive(Debug, Clone)]
pub struct SessionOrder {
    reply_zxid: ReplyZxid,
}

impl SessionOrder {
    /// A checker for a system under this contract.
    pub fn new(parameters: &Parameters) -> SessionOrder {
        SessionOrder {
            reply_zxid: contract::reply_zxid(&parameters.contract),
        }
    }
}

/// Breaches found, with the operations that show each.
#[derive(Default)]
struct Breaches<'h> {
    found: BTreeMap<&'static str, Vec<Breach<'h>>>,
}

struct Breach<'h> {
    text: String,
    operations: Vec<Operation<'h>>,
}

impl<'h> Breaches<'h> {
    fn add(&mut self, kind: &'static str, text: String, operations: Vec<Operation<'h>>) {
        self.found
            .entry(kind)
            .or_default()
            .push(Breach { text, operations });
    }

    fn into_anomalies(self) -> Vec<Anomaly> {
        self.found
            .into_iter()
            .map(|(kind, breaches)| anomaly(kind, &breaches))
            .collect()
    }
}

fn anomaly(kind: &str, breaches: &[Breach<'_>]) -> Anomaly {
    let last_line =
        |breach: &&Breach<'_>| breach.operations.iter().filter_map(Operation::ret).max();
    let first = breaches
        .iter()
        .min_by_key(last_line)
        .expect("a kind is there because of a breach");
    let more = match breaches.len() {
        1 => String::new(),
        all => format!(" ({} more of the kind)", all - 1),
    };
    let operations: Vec<Value> = first.operations.iter().map(describe::operation).collect();
    let session = first
        .operations
        .last()
        .map(|last| session_of(last).to_string());
    Anomaly {
        kind: kind.to_owned(),
        checker: NAME.to_owned(),
        summary: format!("{}{more}", first.text),
        witness: json!({ "session": session, "text": first.text, "operations": operations }),
    }
}

impl Checker for SessionOrder {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        if let Some(bare) = operations
            .iter()
            .find(|operation| operation.is_ok() && zxid(operation).is_none())
        {
            let text = format!("is an ok `{}` without a whole number `zxid`", bare.f());
            return Finding::misfit(NAME, Misfit::of(bare, text));
        }
        let mut breaches = Breaches::default();
        let writes = Writes::collect(&operations, &mut breaches);
        let mut sessions: BTreeMap<Session<'_>, Vec<Operation<'_>>> = BTreeMap::new();
        for operation in operations.iter().filter(|operation| operation.is_ok()) {
            sessions
                .entry(session_of(operation))
                .or_default()
                .push(*operation);
        }
        for operations in sessions.values() {
            self.judge_session(operations, &writes, &mut breaches);
        }
        let local = |operation: &&Operation<'_>| {
            operation.is_ok() && read_mode(operation) == Some(ReadMode::Local)
        };
        let reads = operations
            .iter()
            .filter(|operation| operation.is_ok() && operation.f() == "read")
            .count();
        let local = operations.iter().filter(local).count();
        let details = json!({
            "sessions": sessions.len(),
            "writes": writes.len(),
            "reads": { "local": local, "others": reads - local },
            "indeterminate_writes_seen": writes.indeterminate,
        });
        let nothing = sessions.is_empty().then(|| Reason {
            checker: NAME.to_owned(),
            text: "no operation was answered: nothing was tested".to_owned(),
        });
        let verdict = Verdict::of(breaches.into_anomalies(), nothing.into_iter().collect());
        Finding {
            verdict,
            outside_contract: Vec::new(),
            details,
        }
    }
}

/// The last reply of a session: what it has seen.
struct Seen<'h> {
    zxid: Zxid,
    by: Option<Operation<'h>>,
}

impl SessionOrder {
    fn judge_session<'h>(
        &self,
        operations: &[Operation<'h>],
        writes: &Writes<'h>,
        breaches: &mut Breaches<'h>,
    ) {
        let mut seen = Seen { zxid: 0, by: None };
        for operation in operations {
            let reply = zxid(operation).expect("every ok operation was asked for its zxid before");
            let took_effect = operation.f() != "read" && operation.error().is_none();
            // A write has a zxid of its own; any other reply may repeat the last one.
            let back = if took_effect {
                reply <= seen.zxid
            } else {
                reply < seen.zxid
            };
            if back {
                let text = format!(
                    "a session's reply has zxid {reply:#x} after it had seen {:#x}",
                    seen.zxid
                );
                breaches.add(
                    "session-went-back",
                    text,
                    seen.by.into_iter().chain([*operation]).collect(),
                );
            }
            if operation.f() == "read" {
                self.judge_read(operation, reply, &seen, writes, breaches);
            }
            if reply > seen.zxid {
                seen = Seen {
                    zxid: reply,
                    by: Some(*operation),
                };
            }
        }
    }

    fn judge_read<'h>(
        &self,
        read: &Operation<'h>,
        reply: Zxid,
        seen: &Seen<'h>,
        writes: &Writes<'h>,
        breaches: &mut Breaches<'h>,
    ) {
        let Some(shown) = writes.shown_by(read) else {
            let text = format!("a read shows {}, which nobody wrote there", show(read));
            return breaches.add("unwritten-value", text, vec![*read]);
        };
        let prefix = match self.reply_zxid {
            ReplyZxid::OfTheRead => reply.max(seen.zxid),
            ReplyZxid::SinceTheRead => shown.max(seen.zxid),
        };
        if shown > reply {
            let text = format!(
                "a read shows a write of zxid {shown:#x} in a reply of the older zxid {reply:#x}"
            );
            return breaches.add("session-went-back", text, vec![*read]);
        }
        if let Some(newer) = writes
            .next_of_key(read.key(), shown)
            .filter(|(zxid, _)| *zxid <= prefix)
        {
            let text = format!(
                "a read shows {} of zxid {shown:#x} although the session had come to {prefix:#x}, past the write of {:#x}",
                show(read),
                newer.0
            );
            let operations = [Some(newer.1), seen.by, Some(*read)];
            return breaches.add(
                "session-went-back",
                text,
                operations.into_iter().flatten().collect(),
            );
        }
        let ret = read.ret().expect("an ok operation returned");
        if let Some(future) = writes.invoked_after(prefix, ret) {
            let text = format!(
                "a read had come to zxid {prefix:#x} before a write up to there was even invoked"
            );
            breaches.add("future-read", text, vec![future, *read]);
        }
    }
}

fn show(read: &Operation<'_>) -> String {
    match (read.error(), read.result()) {
        (Some(error), _) => error.to_owned(),
        (None, Some(value)) => format!("value {value}"),
        (None, None) => "value null".to_owned(),
    }
}

/// The session that an operation ran in; in histories without sessions, its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Session<'h> {
    Named(&'h str),
    OfProcess(&'h Process),
}

impl fmt::Display for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Session::Named(name) => f.write_str(name),
            Session::OfProcess(Process::Client(process)) => write!(f, "process {process}"),
            Session::OfProcess(Process::Named(name)) => f.write_str(name),
        }
    }
}

fn session_of<'h>(operation: &Operation<'h>) -> Session<'h> {
    let session = operation
        .completion()
        .and_then(|completion| completion.text("session"));
    session.map_or(Session::OfProcess(operation.process()), Session::Named)
}

/// The zxid of the reply.
fn zxid(operation: &Operation<'_>) -> Option<Zxid> {
    operation.answer().and_then(|answer| answer.int("zxid"))
}
