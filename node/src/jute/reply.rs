//! Encodes connect responses and replies, straight into the buffer that goes to the socket.

use super::request::opcode;
use crate::request::{Acl, ErrorCode, Password, SessionId};
use crate::tree::{Outcome, Stat};
use crate::watches::EventKind;
use crate::zab::Zxid;
use bytes::{BufMut, BytesMut};

/// The xid of every notification.
const NOTIFICATION: i32 = -1;

/// The state of the connection that every notification names (`SyncConnected`).
const CONNECTED: i32 = 3;

/// What follows the header of a successful write's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyKind {
    /// Nothing.
    Empty,
    /// The path that was created.
    Path,
    /// The path that was created, and its Stat.
    PathAndStat,
    /// A Stat.
    Stat,
    /// The ensemble's configuration, and its znode's Stat.
    Config,
    /// A result for each operation: its code, and what follows.
    Multi(Vec<(i32, ReplyKind)>),
}

/// How long a Stat is.
const STAT_BYTES: usize = 68;

/// Replies that wait to be sent, as bytes.
#[derive(Debug, Default)]
pub struct ReplyBuffer {
    bytes: BytesMut,
}

impl ReplyBuffer {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes all that waits.
    pub fn take(&mut self) -> BytesMut {
        std::mem::take(&mut self.bytes)
    }

    /// The answer to a connect request. `read_only`: whether nothing can be written; only for clients that sent the
    /// flag.
    pub fn connected(
        &mut self,
        session: SessionId,
        timeout_ms: i32,
        password: &Password,
        read_only: Option<bool>,
    ) {
        self.frame(|out| {
            out.put_i32(0);
            out.put_i32(timeout_ms);
            out.put_i64(session.0);
            put_buffer(out, Some(password));
            if let Some(read_only) = read_only {
                out.put_u8(u8::from(read_only));
            }
        });
    }

    /// The notification for a watch that fired; as in ZooKeeper 3.8 it says neither xid nor zxid.
    pub fn event(&mut self, kind: EventKind, path: &str) {
        self.frame(|out| {
            out.put_i32(NOTIFICATION);
            out.put_i64(-1);
            out.put_i32(0);
            out.put_i32(kind.code());
            out.put_i32(CONNECTED);
            put_string(out, path);
        });
    }

    /// A failed request's answer: the header alone.
    pub fn error(&mut self, xid: i32, zxid: Zxid, code: ErrorCode) {
        self.frame(|out| put_header(out, xid, zxid, code));
    }

    /// The server's next token of SASL. It comes with an error too: then it is Java's null.
    pub fn token(&mut self, xid: i32, code: ErrorCode, token: Option<&[u8]>) {
        self.frame(|out| {
            put_header(out, xid, Zxid::ZERO, code);
            put_buffer(out, token);
        });
    }

    /// A successful answer without a body.
    pub fn empty(&mut self, xid: i32, zxid: Zxid) {
        self.error(xid, zxid, ErrorCode::Ok);
    }

    /// A successful answer with this body.
    pub fn body(&mut self, xid: i32, zxid: Zxid, body: impl FnOnce(&mut BytesMut)) {
        self.frame(|out| {
            put_header(out, xid, zxid, ErrorCode::Ok);
            body(out);
        });
    }

    /// A write's answer.
    pub fn write(&mut self, xid: i32, zxid: Zxid, kind: &ReplyKind, outcome: &Outcome) {
        match (kind, outcome) {
            (_, Outcome::Failed(code)) => self.error(xid, zxid, *code),
            (ReplyKind::Multi(kinds), Outcome::Multi(results)) => {
                self.body(xid, zxid, |out| put_multi(out, kinds, results));
            }
            _ => self.body(xid, zxid, |out| put_result(out, kind, outcome)),
        }
    }

    fn frame(&mut self, body: impl FnOnce(&mut BytesMut)) {
        let start = self.bytes.len();
        // Room for all but long data and lists.
        self.bytes.reserve(256);
        self.bytes.put_i32(0);
        body(&mut self.bytes);
        let length = self.bytes.len() - start - 4;
        let length = i32::try_from(length).expect("a reply is far smaller than 2 GiB");
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

fn put_header(out: &mut BytesMut, xid: i32, zxid: Zxid, code: ErrorCode) {
    out.put_i32(xid);
    out.put_u64(zxid.0);
    out.put_i32(code.code());
}

fn put_multi(out: &mut BytesMut, kinds: &[(i32, ReplyKind)], results: &[Outcome]) {
    for ((code, kind), outcome) in kinds.iter().zip(results) {
        match outcome {
            Outcome::Failed(error) => put_failed_part(out, *error),
            _ => {
                put_part(out, *code);
                put_result(out, kind, outcome);
            }
        }
    }
    put_end(out);
}

/// Begins the result of a multi's part that succeeded; `code` is the operation's.
pub fn put_part(out: &mut BytesMut, code: i32) {
    put_multi_header(out, code, false, 0);
}

/// Writes the result of a multi's part that failed.
pub fn put_failed_part(out: &mut BytesMut, error: ErrorCode) {
    put_multi_header(out, opcode::ERROR, false, error.code());
    out.put_i32(error.code());
}

/// Ends a multi's results.
pub fn put_end(out: &mut BytesMut) {
    put_multi_header(out, -1, true, -1);
}

fn put_multi_header(out: &mut BytesMut, code: i32, done: bool, error: i32) {
    out.put_i32(code);
    out.put_u8(u8::from(done));
    out.put_i32(error);
}

fn put_result(out: &mut BytesMut, kind: &ReplyKind, outcome: &Outcome) {
    match (kind, outcome) {
        (ReplyKind::Path, Outcome::Created { path, .. }) => put_string(out, path),
        (ReplyKind::PathAndStat, Outcome::Created { path, stat }) => {
            put_string(out, path);
            put_stat(out, stat);
        }
        (ReplyKind::Stat, Outcome::Set(stat)) => put_stat(out, stat),
        (ReplyKind::Config, Outcome::Reconfigured { data, stat, .. }) => {
            put_buffer(out, Some(data));
            put_stat(out, stat);
        }
        (ReplyKind::Empty, _) => {}
        (kind, outcome) => {
            unreachable!("the outcome {outcome:?} answers no request with a reply of {kind:?}")
        }
    }
}

/// Writes a buffer; `None` is Java's null.
pub fn put_buffer(out: &mut BytesMut, bytes: Option<&[u8]>) {
    match bytes {
        None => out.put_i32(-1),
        Some(bytes) => {
            // A Stat often follows.
            out.reserve(4 + bytes.len() + STAT_BYTES);
            out.put_i32(
                i32::try_from(bytes.len()).expect("what came in a frame is far smaller than 2 GiB"),
            );
            out.put_slice(bytes);
        }
    }
}

/// Writes a string.
pub fn put_string(out: &mut BytesMut, text: &str) {
    put_buffer(out, Some(text.as_bytes()));
}

/// Writes a vector's length.
pub fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).expect("nothing here has 2^31 elements"));
}

/// Writes an access control list.
pub fn put_acl(out: &mut BytesMut, acl: &[Acl]) {
    put_count(out, acl.len());
    for entry in acl {
        out.put_i32(entry.permissions);
        put_string(out, &entry.scheme);
        put_string(out, &entry.id);
    }
}

/// Writes a Stat.
pub fn put_stat(out: &mut BytesMut, stat: &Stat) {
    out.put_u64(stat.czxid.0);
    out.put_u64(stat.mzxid.0);
    out.put_i64(stat.ctime);
    out.put_i64(stat.mtime);
    out.put_i32(stat.version);
    out.put_i32(stat.cversion);
    out.put_i32(stat.aversion);
    out.put_i64(stat.ephemeral_owner.0);
    out.put_i32(stat.data_length);
    out.put_i32(stat.num_children);
    out.put_u64(stat.pzxid.0);
}
