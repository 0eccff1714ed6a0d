//! A ZooKeeper-compatible coordination service.
//!
//! Three pure layers, `zab` below `prep` and `tree`; sockets, clocks, files and threads live at the edge. It shares
//! no code with what judges it.

pub mod acl;
pub mod belonging;
pub mod config;
pub mod ensemble;
mod flat;
pub mod hard;
pub mod jute;
pub mod offline;
pub mod prep;
pub mod request;
pub mod sasl;
pub mod seats;
pub mod server;
pub mod storage;
pub mod tls;
pub mod tree;
pub mod txn;
pub mod warn;
pub mod watches;
pub mod zab;
