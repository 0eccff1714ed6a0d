//! How every operation can end, and what that says about it.
