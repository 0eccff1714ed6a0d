//! The raw client of the ZooKeeper protocol.
