//! Hard input: one door for each kind of bytes that come from outside. Fuzzers push theirs through these doors (`node/fuzz`), and so does their
//! seeded version (`tests/hard.rs`).
//!
//! What must hold at each: no panic, no memory beyond a small multiple of the input's length, and an end. What comes out does not matter here.

use crate::config::{NodeConfig, Zoo};
use crate::jute::{ConnectRequest, Frame, Request, next_frame};
use crate::sasl::{Exchange, Users, jaas};
use crate::tree::Tree;
use crate::txn::Txn;
use bytes::BytesMut;
use std::path::Path;

pub use crate::server::{peer_message, peer_stream};

/// The longest frame of a client, in bytes: the default.
const FRAME: usize = 1 << 20;

/// How much comes at a time.
const PIECE: usize = 1000;

/// What a client sends from its first byte on.
pub fn client_stream(bytes: &[u8]) {
    let (mut buffer, mut connected) = (BytesMut::new(), false);
    for piece in bytes.chunks(PIECE) {
        buffer.extend_from_slice(piece);
        loop {
            let frame = match next_frame(&mut buffer, FRAME) {
                Ok(Frame::Whole(frame)) => frame,
                Ok(Frame::Incomplete) => break,
                Err(_) => return,
            };
            let legal = match connected {
                false => ConnectRequest::decode(frame).is_ok(),
                true => Request::decode(frame).is_ok(),
            };
            if !legal {
                return;
            }
            connected = true;
        }
    }
}

/// A client's token of SASL, in its turn.
pub fn sasl_token(bytes: &[u8]) {
    let users = Users([("bob".to_owned(), "secret".to_owned())].into());
    let mut exchange = Exchange::default();
    let _ = exchange.hear(b"", || "nonce".into(), &users);
    let _ = exchange.hear(bytes, String::new, &users);
}

/// A transaction, from the log or from the leader.
pub fn transaction(bytes: &[u8]) {
    let _ = Txn::decode(bytes);
    let _ = Txn::decode_if_members(bytes);
}

/// The image of a tree, from a snapshot.
pub fn image(bytes: &[u8]) {
    let _ = Tree::restore(bytes);
}

/// The text of a configuration: ZooKeeper's, TOML, or the users of a JAAS file.
pub fn configuration(text: &str) {
    let _ = Zoo::of_text(text);
    let _ = NodeConfig::parse(Path::new("hard"), text);
    let _ = jaas::users(text, "Server");
}
