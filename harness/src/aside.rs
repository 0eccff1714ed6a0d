//! What is said to a person beside the answer: on standard error.
//!
//! Nobody may be there to hear it any more: that is no reason to fail, and above all none to leave a node running.

use std::fmt::Display;
use std::io::Write;

/// Says a line, if anybody listens.
pub fn say(line: impl Display) {
    // A message that cannot be said cannot be complained about either.
    let _ = writeln!(std::io::stderr(), "{line}");
}
