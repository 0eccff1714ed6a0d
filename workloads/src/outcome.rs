//! How every operation can end, and what that says about it: the one table.
//!
//! - *ok*: the server answered. An error that is decided by the state of the tree (NoNode, BadVersion, …) is an
//!   observation, which the model must explain: *ok* with `error`.
//! - *fail*: it certainly did not happen. A read has no effect, so a read without an answer is *fail* too.
//! - *info*: a write that may have happened, may still happen, or never will.
//! - What is the harness's own fault is none of these: it ends the run.
//!
//! The rule for a write: *fail* only if no byte of it left this host, or the server's answer says that the request was
//! refused before it could be proposed. Codes that a ZooKeeper server also sends after a commit (MarshallingError, when
//! it fails while it builds the answer), that only client libraries use, or that nobody knows, are *info*.

use crate::wire::{CallError, ConnectError, ConnectTrouble, ErrorCode, Sent, Trouble};
use std::fmt;

/// Whether an operation can change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It only looks.
    Read,
    /// It changes something, if it happens.
    Write,
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The server answered.
    Answered,
    /// The server answered with this error.
    Error(ErrorCode),
    /// A step that must come before it (a fence, a parent) did not succeed, so it was never sent itself.
    StepBefore,
    /// There was no connection: refused.
    ConnectRefused,
    /// There was no connection: lost or closed before a session was granted.
    ConnectLost,
    /// There was no connection: no session in time.
    ConnectTimedOut,
    /// There was no connection: the session had expired before anything was sent.
    SessionExpired,
    /// There was no connection: the handshake was garbled.
    ConnectGarbled,
    /// The connection was lost.
    Lost(Sent),
    /// No answer in time.
    TimedOut(Sent),
    /// The answer is not ZooKeeper's protocol.
    Garbled(Sent),
    /// The request is longer than servers accept, and was not sent.
    TooLong,
    /// The harness itself failed.
    Harness(Sent),
}

/// What an ending says about an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The server answered.
    Ok,
    /// The server answered with an error that the state must explain.
    OkError,
    /// It certainly did not happen.
    Fail,
    /// It may have happened, may still happen, or never will.
    Info,
    /// The harness itself failed: the run ends.
    Harness,
}

/// The table: what an ending says about an operation of this effect.
pub fn sort(ending: Ending, effect: Effect) -> Class {
    match ending {
        Ending::Answered => Class::Ok,
        Ending::Error(code) => sort_code(code, effect),
        Ending::StepBefore
        | Ending::ConnectRefused
        | Ending::ConnectLost
        | Ending::ConnectTimedOut
        | Ending::SessionExpired
        | Ending::ConnectGarbled
        | Ending::TooLong => Class::Fail,
        Ending::Lost(sent) | Ending::TimedOut(sent) | Ending::Garbled(sent) => {
            without_answer(sent, effect)
        }
        Ending::Harness(_) => Class::Harness,
    }
}

/// An operation that has no answer.
fn without_answer(sent: Sent, effect: Effect) -> Class {
    match (sent, effect) {
        (Sent::Nothing, _) | (Sent::Perhaps, Effect::Read) => Class::Fail,
        (Sent::Perhaps, Effect::Write) => Class::Info,
    }
}

/// The rows of the server's error codes.
fn sort_code(code: ErrorCode, effect: Effect) -> Class {
    match code {
        // Decided by the tree, at a point of the order of all writes.
        ErrorCode::NoNode
        | ErrorCode::BadVersion
        | ErrorCode::NodeExists
        | ErrorCode::NotEmpty
        | ErrorCode::NoChildrenForEphemerals => Class::OkError,

        // The leader checks the session before it makes a transaction, and puts an error in its place. A server that
        // finds out after the commit that the session has moved closes the connection instead of answering
        // (FinalRequestProcessor, ZOOKEEPER-710).
        ErrorCode::SessionMoved | ErrorCode::SessionExpired | ErrorCode::UnknownSession => {
            Class::Fail
        }

        // Refused by what the request is or who sent it, before a transaction is made of it.
        ErrorCode::Unimplemented
        | ErrorCode::BadArguments
        | ErrorCode::NewConfigNoQuorum
        | ErrorCode::ReconfigInProgress
        | ErrorCode::NoAuth
        | ErrorCode::InvalidAcl
        | ErrorCode::AuthFailed
        | ErrorCode::NotReadOnly
        | ErrorCode::EphemeralOnLocalSession
        | ErrorCode::NoWatcher
        | ErrorCode::ReconfigDisabled
        | ErrorCode::SessionClosedRequireSaslAuth
        | ErrorCode::QuotaExceeded
        | ErrorCode::ThrottledOp => Class::Fail,

        // The answer does not say what became of the request.
        ErrorCode::SystemError
        | ErrorCode::RuntimeInconsistency
        | ErrorCode::DataInconsistency
        | ErrorCode::ConnectionLoss
        | ErrorCode::MarshallingError
        | ErrorCode::OperationTimeout
        | ErrorCode::ApiError
        | ErrorCode::InvalidCallback
        | ErrorCode::RequestTimeout
        | ErrorCode::Other(_) => without_answer(Sent::Perhaps, effect),
    }
}

/// The reason's word, as the history's `error` has it.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Answered => f.write_str("none"),
            Ending::Error(code) => write!(f, "{code}"),
            Ending::StepBefore => f.write_str("step-before-failed"),
            Ending::ConnectRefused => f.write_str("connect-refused"),
            Ending::ConnectLost => f.write_str("connect-lost"),
            Ending::ConnectTimedOut => f.write_str("connect-timed-out"),
            Ending::SessionExpired => f.write_str("session-expired"),
            Ending::ConnectGarbled => f.write_str("connect-garbled"),
            Ending::Lost(Sent::Nothing) => f.write_str("connection-lost-before-sending"),
            Ending::Lost(Sent::Perhaps) => f.write_str("connection-lost"),
            Ending::TimedOut(Sent::Nothing) => f.write_str("timed-out-before-sending"),
            Ending::TimedOut(Sent::Perhaps) => f.write_str("timed-out"),
            Ending::Garbled(Sent::Nothing) => f.write_str("garbled-before-sending"),
            Ending::Garbled(Sent::Perhaps) => f.write_str("garbled-reply"),
            Ending::TooLong => f.write_str("request-too-long"),
            Ending::Harness(_) => f.write_str("harness-failure"),
        }
    }
}

impl From<&CallError> for Ending {
    fn from(error: &CallError) -> Ending {
        match error.trouble {
            Trouble::Lost(_) => Ending::Lost(error.sent),
            Trouble::TimedOut => Ending::TimedOut(error.sent),
            Trouble::Garbled(_) => Ending::Garbled(error.sent),
            Trouble::TooLong(_) => Ending::TooLong,
            Trouble::Spent => Ending::Lost(error.sent),
            Trouble::Harness(_) => Ending::Harness(error.sent),
        }
    }
}

impl From<&ConnectError> for Ending {
    fn from(error: &ConnectError) -> Ending {
        match error.why {
            ConnectTrouble::Refused | ConnectTrouble::ToItself => Ending::ConnectRefused,
            ConnectTrouble::Lost(_) => Ending::ConnectLost,
            ConnectTrouble::TimedOut => Ending::ConnectTimedOut,
            ConnectTrouble::SessionExpired => Ending::SessionExpired,
            ConnectTrouble::Garbled(_) => Ending::ConnectGarbled,
            ConnectTrouble::Harness(_) => Ending::Harness(Sent::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{Fail, Harness, Info, Ok, OkError};
    use ErrorCode as C;

    /// Ending, what it says of a write, what it says of a read: written out, so that a change of the table is seen.
    const ROWS: &[(Ending, Class, Class)] = &[
        (Ending::Answered, Ok, Ok),
        (Ending::StepBefore, Fail, Fail),
        (Ending::ConnectRefused, Fail, Fail),
        (Ending::ConnectLost, Fail, Fail),
        (Ending::ConnectTimedOut, Fail, Fail),
        (Ending::SessionExpired, Fail, Fail),
        (Ending::ConnectGarbled, Fail, Fail),
        (Ending::Lost(Sent::Nothing), Fail, Fail),
        (Ending::Lost(Sent::Perhaps), Info, Fail),
        (Ending::TimedOut(Sent::Nothing), Fail, Fail),
        (Ending::TimedOut(Sent::Perhaps), Info, Fail),
        (Ending::Garbled(Sent::Nothing), Fail, Fail),
        (Ending::Garbled(Sent::Perhaps), Info, Fail),
        (Ending::TooLong, Fail, Fail),
        (Ending::Harness(Sent::Nothing), Harness, Harness),
        (Ending::Harness(Sent::Perhaps), Harness, Harness),
        (Ending::Error(C::SystemError), Info, Fail),
        (Ending::Error(C::RuntimeInconsistency), Info, Fail),
        (Ending::Error(C::DataInconsistency), Info, Fail),
        (Ending::Error(C::ConnectionLoss), Info, Fail),
        (Ending::Error(C::MarshallingError), Info, Fail),
        (Ending::Error(C::Unimplemented), Fail, Fail),
        (Ending::Error(C::OperationTimeout), Info, Fail),
        (Ending::Error(C::BadArguments), Fail, Fail),
        (Ending::Error(C::UnknownSession), Fail, Fail),
        (Ending::Error(C::NewConfigNoQuorum), Fail, Fail),
        (Ending::Error(C::ReconfigInProgress), Fail, Fail),
        (Ending::Error(C::ApiError), Info, Fail),
        (Ending::Error(C::NoNode), OkError, OkError),
        (Ending::Error(C::NoAuth), Fail, Fail),
        (Ending::Error(C::BadVersion), OkError, OkError),
        (Ending::Error(C::NoChildrenForEphemerals), OkError, OkError),
        (Ending::Error(C::NodeExists), OkError, OkError),
        (Ending::Error(C::NotEmpty), OkError, OkError),
        (Ending::Error(C::SessionExpired), Fail, Fail),
        (Ending::Error(C::InvalidCallback), Info, Fail),
        (Ending::Error(C::InvalidAcl), Fail, Fail),
        (Ending::Error(C::AuthFailed), Fail, Fail),
        (Ending::Error(C::SessionMoved), Fail, Fail),
        (Ending::Error(C::NotReadOnly), Fail, Fail),
        (Ending::Error(C::EphemeralOnLocalSession), Fail, Fail),
        (Ending::Error(C::NoWatcher), Fail, Fail),
        (Ending::Error(C::RequestTimeout), Info, Fail),
        (Ending::Error(C::ReconfigDisabled), Fail, Fail),
        (Ending::Error(C::SessionClosedRequireSaslAuth), Fail, Fail),
        (Ending::Error(C::QuotaExceeded), Fail, Fail),
        (Ending::Error(C::ThrottledOp), Fail, Fail),
        (Ending::Error(C::Other(-4711)), Info, Fail),
    ];

    #[test]
    fn every_row_sorts_as_it_is_written() {
        for (ending, write, read) in ROWS {
            assert_eq!(sort(*ending, Effect::Write), *write, "a write: {ending}");
            assert_eq!(sort(*ending, Effect::Read), *read, "a read: {ending}");
        }
    }

    #[test]
    fn every_error_code_has_a_row() {
        for code in ErrorCode::KNOWN {
            assert!(
                ROWS.iter()
                    .any(|(ending, ..)| *ending == Ending::Error(*code)),
                "{code}"
            );
        }
    }

    #[test]
    fn every_reason_has_a_word_of_its_own() {
        let mut words: Vec<String> = ROWS
            .iter()
            .filter(|(_, write, _)| *write != Harness)
            .map(|(ending, ..)| ending.to_string())
            .collect();
        let count = words.len();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
