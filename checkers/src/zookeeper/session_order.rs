//! What plain (`local`) reads of znodes owe: session order.

mod unanswered;
mod writes;

use super::call::{Call, Code, Look, Op, Outcome, PathId, SessionId, Zxid};
use super::decode::{Decoded, decoded};
use crate::contract::{self, ReplyZxid};
use crate::describe;
use crate::history::{History, Operation};
use crate::parameters::Parameters;
use crate::reads::ReadMode;
use crate::verdict::{Anomaly, Budget, Checker, Finding, Misfit, Reason, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use writes::Writes;

const NAME: &str = "session-order";

/// The checker `session-order`.
///
/// What plain (`local`) reads of znodes owe: session order.
///
/// It proves, over all keys together: writes happened in the order of their zxids, which agrees with real time; and each session
/// saw an ever newer prefix of them: no reply has an older zxid than one before it, and every read shows its key as it was at one
/// prefix, its own session's writes included. It never asks a plain read to be fresh: another session's write may stay unseen.
/// Zxids are global, so a session that sees a new value of one key and then an old one of another is caught, which judging key by
/// key cannot. It cannot prove anything about operations without a zxid.
///
/// The [shape of operations](super) is that of the tree, and a register is a znode that is only written. What a read shows is told
/// by its Stat: `mzxid` of the data, which `get` and `read` must have, and `pzxid` of the children. Versions, numbers and what else
/// a Stat says are [`Znodes`](super::Znodes)'s to judge.
///
/// An indeterminate write takes part once a read shows what it wrote: the read's mzxid is its zxid. One that may have taken a
/// znode away explains that it is gone.
///
/// Anomalies: `zxid-reused`, `zxid-against-real-time`, `unwritten-value`, `future-read`, `session-went-back`, `wrong-error` (a read
/// has none but NoNode), `wrong-reply-zxid` (a write's reply does not have the write's own); the first of each, with the number of further ones in its sentence. Witness: `{"session", "text", "operations": [operation, …]}`.
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
    /// Whose, if it is one session's.
    session: Option<String>,
}

impl<'h> Breaches<'h> {
    fn add(&mut self, kind: &'static str, text: String, operations: Vec<Operation<'h>>) {
        self.push(kind, text, operations, None);
    }

    fn push(
        &mut self,
        kind: &'static str,
        text: String,
        operations: Vec<Operation<'h>>,
        session: Option<String>,
    ) {
        self.found.entry(kind).or_default().push(Breach {
            text,
            operations,
            session,
        });
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
    Anomaly {
        kind: kind.to_owned(),
        checker: NAME.to_owned(),
        summary: format!("{}{more}", first.text),
        witness: json!({ "session": first.session, "text": first.text, "operations": operations }),
    }
}

impl Checker for SessionOrder {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Finding {
        let decoded = match decoded(history, NAME) {
            Ok(decoded) => decoded,
            Err(finding) => return *finding,
        };
        if let Some(misfit) = decoded.ops.iter().find_map(lacks) {
            return Finding::misfit(NAME, misfit);
        }
        let mut breaches = Breaches::default();
        let writes = Writes::collect(&decoded, &mut breaches);
        let mut sessions: BTreeMap<SessionId, Vec<&Op<'_>>> = BTreeMap::new();
        let answered = |op: &&Op<'_>| op.operation.is_ok();
        for op in decoded.ops.iter().filter(answered) {
            sessions.entry(op.session).or_default().push(op);
        }
        for (session, ops) in &mut sessions {
            // A session is answered in its order.
            ops.sort_by_key(|op| op.ret());
            let mut judge = Judge {
                decoded: &decoded,
                reply_zxid: self.reply_zxid,
                writes: &writes,
                session: *session,
                breaches: &mut breaches,
            };
            judge.session(ops);
        }
        let modes = decoded.ops.iter().filter(answered);
        let modes = modes.filter_map(|op| match &op.call {
            Call::Read { mode, .. } => Some(*mode),
            _ => None,
        });
        let (local, others): (Vec<_>, Vec<_>) =
            modes.partition(|mode| *mode == Some(ReadMode::Local));
        let details = json!({
            "sessions": sessions.len(),
            "writes": writes.len(),
            "reads": { "local": local.len(), "others": others.len() },
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

/// What an answer lacks without which it cannot be judged.
fn lacks(op: &Op<'_>) -> Option<Misfit> {
    if !op.operation.is_ok() || matches!(op.call, Call::Other) {
        return None;
    }
    let f = op.operation.f();
    let lacks = |what: &str| Some(Misfit::of(&op.operation, format!("is an ok `{f}` {what}")));
    match (&op.call, &op.outcome) {
        _ if Decoded::reply(op).is_none() => lacks("without a whole number `zxid`"),
        (
            Call::Read {
                look: Look::Get, ..
            },
            Outcome::Done(answer),
        ) if answer.stat.mzxid.is_none() => {
            lacks("without a whole number `mzxid`, the zxid of the write that it shows")
        }
        _ => None,
    }
}

/// The last reply of a session: what it has seen.
struct Seen<'a, 'h> {
    zxid: Zxid,
    by: Option<&'a Op<'h>>,
}

/// Judges the operations of one session.
struct Judge<'a, 'h, 'b> {
    decoded: &'a Decoded<'h>,
    reply_zxid: ReplyZxid,
    writes: &'a Writes<'a, 'h>,
    session: SessionId,
    breaches: &'b mut Breaches<'h>,
}

impl<'a, 'h> Judge<'a, 'h, '_> {
    fn session(&mut self, ops: &[&'a Op<'h>]) {
        let mut seen = Seen { zxid: 0, by: None };
        for op in ops {
            let own = op.zxid.filter(|_| op.took_effect());
            let Some(reply) = Decoded::reply(op).or(own) else {
                continue;
            };
            if let Some((reply, own)) = Decoded::wrong_reply(op, self.reply_zxid) {
                let text = format!("the reply to a write of zxid {own:#x} has zxid {reply:#x}");
                self.breach("wrong-reply-zxid", text, [Some(*op)]);
            }
            // A write has a zxid of its own; any other reply may repeat the last one.
            let first = own.map_or(reply, |own| own.min(reply));
            if first < seen.zxid || own == Some(seen.zxid) {
                let text = format!(
                    "a session's reply has zxid {first:#x} after it had seen {:#x}",
                    seen.zxid
                );
                self.breach("session-went-back", text, [seen.by, Some(*op)]);
            }
            let reply = own.map_or(reply, |own| own.max(reply));
            if let Some(code) = op.wrong_error() {
                let text = format!(
                    "a read has the error {}, and none but NoNode can be",
                    code.word()
                );
                self.breach("wrong-error", text, [Some(*op)]);
            } else if let Call::Read { path, .. } = op.call {
                self.read(op, path, reply, &seen);
            }
            if reply > seen.zxid {
                seen = Seen {
                    zxid: reply,
                    by: Some(*op),
                };
            }
        }
    }

    fn breach<const N: usize>(
        &mut self,
        kind: &'static str,
        text: String,
        ops: [Option<&Op<'h>>; N],
    ) {
        let mut operations: Vec<Operation<'h>> = Vec::with_capacity(N);
        for op in ops.into_iter().flatten() {
            if operations.iter().all(|known| known.inv() != op.inv()) {
                operations.push(op.operation);
            }
        }
        let session = &self.decoded.sessions[self.session.0 as usize];
        self.breaches
            .push(kind, text, operations, Some(session.clone()));
    }

    fn op(&self, at: usize) -> &'a Op<'h> {
        &self.decoded.ops[at]
    }

    fn read(&mut self, read: &'a Op<'h>, path: PathId, reply: Zxid, seen: &Seen<'a, 'h>) {
        let shown = match &read.outcome {
            Outcome::Done(answer) => answer.stat,
            Outcome::Refused(Code::NoNode, _) => return self.absent(read, path, reply, seen),
            _ => return,
        };
        let newest = [shown.mzxid, shown.pzxid].into_iter().flatten().max();
        let newest = newest.unwrap_or(0);
        if let Some(mzxid) = shown.mzxid
            && !self.writes.are_shown_by(read, path, mzxid)
        {
            let text = format!("a read shows {}, which nobody wrote there", show(read));
            return self.breach("unwritten-value", text, [Some(read)]);
        }
        if newest > reply {
            let text = format!(
                "a read shows a write of zxid {newest:#x} in a reply of the older zxid {reply:#x}"
            );
            return self.breach("session-went-back", text, [Some(read)]);
        }
        let prefix = match self.reply_zxid {
            ReplyZxid::OfTheRead => reply.max(seen.zxid),
            ReplyZxid::SinceTheRead => newest.max(seen.zxid),
        };
        let writes = self.writes;
        let data = shown
            .mzxid
            .and_then(|shown| Some((shown, writes.next_of_data(path, shown)?)));
        let children = shown
            .pzxid
            .and_then(|shown| Some((shown, writes.next_of_children(path, shown)?)));
        let mut missed = [data, children].into_iter().flatten();
        let missed = missed.find(|(_, (newer, _))| *newer <= prefix);
        if let Some((shown, (newer, by))) = missed {
            let text = format!(
                "a read shows {} of zxid {shown:#x} although the session had come to {prefix:#x}, past the write of {newer:#x}",
                show(read)
            );
            let shows = [Some(self.op(by)), seen.by, Some(read)];
            return self.breach("session-went-back", text, shows);
        }
        self.future(read, prefix);
    }

    /// A read that found no znode.
    fn absent(&mut self, read: &'a Op<'h>, path: PathId, reply: Zxid, seen: &Seen<'a, 'h>) {
        let ret = read.ret().unwrap_or(u64::MAX);
        let prefixes = match self.reply_zxid {
            ReplyZxid::OfTheRead => (reply.max(seen.zxid), reply.max(seen.zxid)),
            ReplyZxid::SinceTheRead => (seen.zxid, reply),
        };
        if let Some((there, by)) = self.writes.there_between(path, prefixes, ret) {
            let text = format!(
                "a read shows {} although the session had come to {:#x}, past the write of {there:#x}",
                show(read),
                prefixes.0
            );
            let shows = [Some(self.op(by)), seen.by, Some(read)];
            return self.breach("session-went-back", text, shows);
        }
        self.future(read, prefixes.0);
    }

    fn future(&mut self, read: &'a Op<'h>, prefix: Zxid) {
        let ret = read.ret().unwrap_or(u64::MAX);
        if let Some(future) = self.writes.invoked_after(prefix, ret) {
            let text = format!(
                "a read had come to zxid {prefix:#x} before a write up to there was even invoked"
            );
            self.breach("future-read", text, [Some(self.op(future)), Some(read)]);
        }
    }
}

/// What a read shows, in words.
fn show(read: &Op<'_>) -> String {
    match (&read.call, read.operation.error(), read.operation.result()) {
        (_, Some(error), _) => error.to_owned(),
        (
            Call::Read {
                look: Look::Exists, ..
            },
            ..,
        ) => "a znode".to_owned(),
        (
            Call::Read {
                look: Look::Children,
                ..
            },
            _,
            Some(children),
        ) => format!("the children {children}"),
        (_, _, Some(value)) => format!("value {value}"),
        (_, _, None) => "value null".to_owned(),
    }
}
