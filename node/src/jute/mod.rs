//! ZooKeeper's wire format, the server's side, as Apache ZooKeeper 3.8 speaks it.
//!
//! - [`frame`]: where a frame ends; nothing is allocated for a length that is not legal.
//! - [`reader`]: the primitive types of a request.
//! - [`request`]: connect requests and requests, from bytes to [`crate::request`]'s words.
//! - [`reply`]: connect responses and replies, written straight into the connection's buffer.
//!
//! No socket is touched here, no input can make it panic, and nothing is allocated beyond what the frame holds.

pub mod frame;
pub mod reader;
pub mod reply;
pub mod request;
#[cfg(test)]
mod tests;

pub use frame::{Frame, Word, next_frame};
pub use reply::{ReplyBuffer, ReplyKind};
pub use request::{ConnectRequest, Operation, Request};

/// Why a connection's bytes cannot be understood. The connection is closed; nobody else is touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Garbage {
    /// A frame's length is negative, or beyond the limit.
    #[error("a frame of {length} bytes is announced, and 0 to {limit} are legal")]
    Length {
        /// The length announced.
        length: i32,
        /// The longest legal one, in bytes.
        limit: usize,
    },
    /// The frame ends within a field.
    #[error("the frame ends within {what}")]
    Truncated {
        /// The field.
        what: &'static str,
    },
    /// A field holds what it cannot hold.
    #[error("{what} holds {found}")]
    Field {
        /// The field.
        what: &'static str,
        /// What it holds.
        found: String,
    },
}
