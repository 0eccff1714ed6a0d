//! What clients do, the wire client that does it, and which checkers judge it.
//!
//! Never knows which fault is active.
