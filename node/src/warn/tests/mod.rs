//! Lookouts that talk to each other, on simulated time.
//!
//! `world`: the ensemble, and what can go wrong with it. `stories`: one trouble at a time. `schedules`: random ones.

mod schedules;
mod stories;
mod world;
