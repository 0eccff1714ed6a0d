//! Operations on the tree, decoded: what was asked and what came back, with paths, data and sessions as small numbers.

use crate::history::{Operation, ValueRef};
use crate::reads::ReadMode;

/// A transaction's number: the order of all writes.
pub(super) type Zxid = i64;

/// A path by number: see [`Paths`](super::decode::Paths).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PathId(pub(super) u32);

/// A session by number, in the order in which they are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SessionId(pub(super) u32);

/// Data by number; equal data has equal numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DataId(pub(super) u32);

/// An operation: what was asked, by whom, and what came back.
#[derive(Debug, Clone)]
pub(super) struct Op<'h> {
    pub(super) operation: Operation<'h>,
    pub(super) session: SessionId,
    pub(super) call: Call<'h>,
    pub(super) outcome: Outcome<'h>,
    /// The reply's zxid; a write's own one.
    pub(super) zxid: Option<Zxid>,
}

impl Op<'_> {
    pub(super) fn inv(&self) -> u64 {
        self.operation.inv()
    }

    /// The line by which it certainly happened, if there is one.
    pub(super) fn ret(&self) -> Option<u64> {
        self.operation.ret()
    }

    /// Whether it changed the tree, for certain.
    pub(super) fn took_effect(&self) -> bool {
        matches!(self.call, Call::Write(_)) && matches!(self.outcome, Outcome::Done(_))
    }

    /// The error of a read that no read has: whatever the tree is like, it is only asked whether the znode is there.
    pub(super) fn wrong_error(&self) -> Option<Code> {
        match (&self.call, &self.outcome) {
            (Call::Read { .. }, Outcome::Refused(code, _)) if *code != Code::NoNode => Some(*code),
            _ => None,
        }
    }

    /// Whether it may have changed the tree, or may still.
    pub(super) fn may_take_effect(&self) -> bool {
        matches!(self.call, Call::Write(_)) && matches!(self.outcome, Outcome::Unknown)
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub(super) enum Call<'h> {
    /// Something that goes through the order of all writes.
    Write(Write<'h>),
    /// A look at one znode.
    Read {
        path: PathId,
        look: Look,
        mode: Option<ReadMode>,
    },
    /// `sync`, `connect` and what else has no place in the tree.
    Other,
}

/// How a read looks at a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Look {
    /// Its data.
    Get,
    /// Only whether it is there.
    Exists,
    /// Its children's names.
    Children,
}

/// A write: one step, several at once, or the end of a session.
#[derive(Debug, Clone)]
pub(super) enum Write<'h> {
    One(Step<'h>),
    Multi(Vec<Step<'h>>),
    Close,
}

impl<'h> Write<'h> {
    pub(super) fn steps(&self) -> &[Step<'h>] {
        match self {
            Write::One(step) => std::slice::from_ref(step),
            Write::Multi(steps) => steps,
            Write::Close => &[],
        }
    }
}

/// One step of a write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step<'h> {
    Create {
        /// As it was asked: a sequential znode's name without its number.
        asked: &'h str,
        /// What was made: not known of a sequential znode whose answer was lost.
        path: Option<PathId>,
        parent: Option<PathId>,
        data: DataId,
        sequential: bool,
        ephemeral: bool,
    },
    Set {
        path: PathId,
        data: DataId,
        expected: Option<i32>,
    },
    Delete {
        path: PathId,
        expected: Option<i32>,
    },
    Check {
        path: PathId,
        expected: Option<i32>,
    },
}

impl Step<'_> {
    pub(super) fn is_ephemeral(&self) -> bool {
        matches!(
            self,
            Step::Create {
                ephemeral: true,
                ..
            }
        )
    }

    /// Whether some tree refuses it with this code.
    pub(super) fn may_be_refused(&self, code: Code) -> bool {
        match (self, code) {
            (_, Code::NoNode) => true,
            (Step::Create { .. }, Code::NodeExists | Code::NoChildrenForEphemerals) => true,
            (Step::Delete { .. }, Code::NotEmpty) => true,
            (
                Step::Set { expected, .. }
                | Step::Delete { expected, .. }
                | Step::Check { expected, .. },
                Code::BadVersion,
            ) => expected.is_some(),
            _ => false,
        }
    }

    /// The znode that it is about, if its name is known.
    pub(super) fn path(&self) -> Option<PathId> {
        match self {
            Step::Create { path, .. } => *path,
            Step::Set { path, .. } | Step::Delete { path, .. } | Step::Check { path, .. } => {
                Some(*path)
            }
        }
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(super) enum Outcome<'h> {
    /// It was done, and this is what the answer shows.
    Done(Answer<'h>),
    /// The tree stood in its way.
    Refused(Code, Option<Vec<Option<Code>>>),
    /// Nobody knows.
    Unknown,
    /// It never happened.
    Failed,
}

/// What an answer shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer<'h> {
    pub(super) data: Option<DataId>,
    pub(super) value: Option<ValueRef<'h>>,
    /// Ascending.
    pub(super) children: Option<Vec<PathId>>,
    pub(super) stat: StatSeen,
    /// The versions that the set parts of a multi made, by part.
    pub(super) versions: Vec<Option<i32>>,
}

/// The fields of a Stat that an answer carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StatSeen {
    pub(super) czxid: Option<Zxid>,
    pub(super) mzxid: Option<Zxid>,
    pub(super) pzxid: Option<Zxid>,
    pub(super) version: Option<i32>,
    pub(super) cversion: Option<i32>,
    pub(super) aversion: Option<i32>,
    pub(super) children: Option<i32>,
    /// The owner's session, `Some(None)` for a znode that has none.
    pub(super) owner: Option<Option<SessionId>>,
}

impl StatSeen {
    /// The newest zxid that it shows.
    pub(super) fn newest(&self) -> Zxid {
        [self.czxid, self.mzxid, self.pzxid]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(0)
    }
}

/// Errors that the tree decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Code {
    NoNode,
    NodeExists,
    BadVersion,
    NotEmpty,
    NoChildrenForEphemerals,
    /// No watch stood that was to be removed: not the tree's own word.
    NoWatcher,
    /// A part after the one that failed.
    RuntimeInconsistency,
}

impl Code {
    pub(super) fn of(word: &str) -> Option<Code> {
        Some(match word {
            "NoNode" => Code::NoNode,
            "NodeExists" => Code::NodeExists,
            "BadVersion" => Code::BadVersion,
            "NotEmpty" => Code::NotEmpty,
            "NoChildrenForEphemerals" => Code::NoChildrenForEphemerals,
            "NoWatcher" => Code::NoWatcher,
            "RuntimeInconsistency" => Code::RuntimeInconsistency,
            _ => return None,
        })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Code::NoNode => "NoNode",
            Code::NodeExists => "NodeExists",
            Code::BadVersion => "BadVersion",
            Code::NotEmpty => "NotEmpty",
            Code::NoChildrenForEphemerals => "NoChildrenForEphemerals",
            Code::NoWatcher => "NoWatcher",
            Code::RuntimeInconsistency => "RuntimeInconsistency",
        }
    }
}
