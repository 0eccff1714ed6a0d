//! Verdicts as assertions, for tests.

use crate::history::History;
use crate::render::render;
use crate::verdict::{Budget, Checker, Verdict};

impl History {
    /// Panics unless the checker calls this history valid: with every anomaly and its witness, or with why it cannot be told.
    /// Unknown is a failure, too: a test that proved nothing has not passed.
    ///
    /// ```
    /// use keelhaul_checkers::{Parameters, Recorder, by_name};
    ///
    /// let recorder = Recorder::new();
    /// let mut caller = recorder.caller();
    /// caller.call("write", 7, || ());
    /// caller.call("read", (), || 7);
    /// recorder.history().assert(&*by_name("register", &Parameters::default()).expect("it is in the list"));
    /// ```
    ///
    /// # Panics
    /// Unless the verdict is valid.
    #[track_caller]
    pub fn assert(&self, checker: &dyn Checker) {
        match checker.check(self, &Budget::default()).verdict {
            Verdict::Valid => {}
            Verdict::Invalid(anomalies) => {
                let told: Vec<String> = anomalies.iter().map(render).collect();
                panic!("invalid ({}):\n{}", checker.name(), told.join("\n"));
            }
            Verdict::Unknown(reasons) => {
                let told: Vec<String> = reasons.into_iter().map(|reason| reason.text).collect();
                panic!("unknown ({}): {}", checker.name(), told.join("; "));
            }
        }
    }
}

/// Panics, with the witness, unless the history is linearizable for the model: `assert_linearizable!(history, Register::default())`.
///
/// Objects with keys of their own are judged one by one. Unknown (the search ran out of its budget, or nothing was tested) is
/// a failure, too.
#[macro_export]
macro_rules! assert_linearizable {
    ($history:expr, $model:expr $(,)?) => {
        $history.assert(&$crate::linear::Linearizable::of($model))
    };
}
