//! A ZooKeeper-compatible coordination service.
