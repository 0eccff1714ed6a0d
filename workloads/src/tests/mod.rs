//! The wire client, the workers and the comparison against a small server of the tests' own ([`fake`]) over real sockets.

mod comparing;
mod endings;
mod fake;
mod working;
