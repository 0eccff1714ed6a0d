//! What a workload is: operations as data, made from a seed, and what it learns from their completions.

use crate::options::WorkloadOptions;

/// Operations and what judges them.
pub trait Workload: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// Names of the checkers that judge its histories.
    fn checkers(&self) -> Vec<&'static str>;
    /// What it was told.
    fn options(&self) -> &WorkloadOptions;
}
