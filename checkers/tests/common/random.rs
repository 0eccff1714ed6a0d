//! Random small histories of a true object, some of them falsified afterwards.

use super::Script;
use keelhaul_checkers::{History, Kind};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

/// An object that really does what it is asked: the system under test, in small.
pub trait Object {
    /// A random call: function, argument, fields of the invocation.
    fn ask(&mut self, rng: &mut ChaCha8Rng) -> (&'static str, Value, Value);
    /// Lets a call take effect, and gives the result and the fields of the completion.
    fn apply(&mut self, f: &str, argument: &Value, asked: &Value) -> (Value, Map<String, Value>);
}

struct InFlight {
    process: u64,
    f: &'static str,
    argument: Value,
    asked: Value,
    answer: Option<(Value, Map<String, Value>)>,
}

/// A history of `operations` calls by up to four processes at a time. Every call takes effect between its invocation and its
/// completion; some completions are lost (info), some calls fail without effect.
pub fn sound(rng: &mut ChaCha8Rng, object: &mut dyn Object, operations: usize) -> History {
    let mut script = Script::default();
    let mut open: Vec<InFlight> = Vec::new();
    let (mut begun, mut process) = (0, 0);
    let processes = rng.random_range(1..=4);
    while begun < operations || !open.is_empty() {
        if begun < operations && open.len() < processes && rng.random_bool(0.5) {
            let (f, argument, asked) = object.ask(rng);
            script.client(
                process,
                Kind::Invoke,
                f,
                None,
                argument.clone(),
                asked.clone(),
            );
            open.push(InFlight {
                process,
                f,
                argument,
                asked,
                answer: None,
            });
            begun += 1;
            process += 1;
        }
        if open.is_empty() {
            continue;
        }
        let at = rng.random_range(0..open.len());
        match rng.random_range(0..24) {
            0..=9 if open[at].answer.is_none() => {
                let call = &mut open[at];
                call.answer = Some(object.apply(call.f, &call.argument, &call.asked));
            }
            10..=15 if open[at].answer.is_some() => {
                let call = open.swap_remove(at);
                let (result, fields) = call.answer.unwrap();
                script.client(
                    call.process,
                    Kind::Ok,
                    call.f,
                    None,
                    result,
                    Value::Object(fields),
                );
            }
            // Its answer is lost; the effect may still come, if it did not yet: leave it, then, to a later line.
            16 => {
                let mut call = open.swap_remove(at);
                script.client(
                    call.process,
                    Kind::Info,
                    call.f,
                    None,
                    call.argument.clone(),
                    Value::Null,
                );
                if call.answer.is_none() && rng.random_bool(0.3) {
                    call.answer = Some(object.apply(call.f, &call.argument, &call.asked));
                }
            }
            17 if open[at].answer.is_none() => {
                let call = open.swap_remove(at);
                script.client(
                    call.process,
                    Kind::Fail,
                    call.f,
                    None,
                    call.argument,
                    Value::Null,
                );
            }
            _ => {}
        }
    }
    script.history
}

/// How many of a set of histories were what.
#[derive(Default, Debug)]
pub struct Mix {
    pub all: u32,
    pub invalid: u32,
    pub indeterminate: u32,
}

impl Mix {
    pub fn count(&mut self, history: &History, valid: bool) {
        self.all += 1;
        self.invalid += u32::from(!valid);
        let open = history
            .operations()
            .unwrap()
            .iter()
            .any(|operation| operation.kind() == Kind::Info);
        self.indeterminate += u32::from(open);
    }

    /// Prints the mix, and insists that it is one.
    pub fn report(&self, what: &str) {
        println!(
            "{what}: {} histories, {} % invalid, {} % with indeterminate operations",
            self.all,
            100 * self.invalid / self.all,
            100 * self.indeterminate / self.all
        );
        assert!(
            10 * self.invalid >= 3 * self.all,
            "at least 30 % must be invalid: {self:?}"
        );
        assert!(
            10 * (self.all - self.invalid) >= 3 * self.all,
            "at least 30 % must be valid: {self:?}"
        );
        assert!(
            10 * self.indeterminate >= 3 * self.all,
            "at least 30 % must have indeterminate operations: {self:?}"
        );
    }
}

/// A random element.
pub fn pick<'a, T>(rng: &mut impl Rng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}
