//! The real binary as real processes on loopback, asked by a tiny client of its own.
//!
//! `stories`: what one server owes a client. `ensemble`: what three owe together. `hostile`: bytes that make no
//! sense. `crowds`: many who want nothing, or do not listen. `greedy`: requests that want much. `observers`: what those owe that do not vote. `watches`: events, and when they come. `access`: who may do what.
//! `metrics`: what is counted. `admin`: the admin server. `operations`: what there is beside create, read and write.
//! `warn`: what a server says of itself and its peers. `read_only`: what is served without a majority.
//! `reconfig`: members that come and go. `recovery`: going on when most of them are lost. `sasl`: who is let in by a password. `tls`: who is let in by a certificate of an `authority`.
//! `proxy`: links that are cut one way. `divergence`: states that are not what they should be. `damage`: disks that do not hold what was written to them.
//! Every wait has a condition and a generous limit; every process is ended by its handle.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod admin;
mod authority;
mod client;
mod crowds;
mod damage;
mod divergence;
mod ensemble;
mod greedy;
mod hostile;
mod http;
mod metrics;
mod observers;
mod operations;
mod ports;
mod process;
mod prometheus;
mod proxy;
mod read_only;
mod reconfig;
mod recovery;
mod sasl;
mod snapshots;
mod stories;
mod tls;
mod warn;
mod watches;
