//! Random histories of a system in small: workers that call it, lose answers, and go on as other processes.

use keelhaul_checkers::{Event, Extra, History, Kind, Nanos, Process};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// What a system answers: the value of the completion, and an error that is an observation.
pub type Answer = (Value, Option<&'static str>);

/// A system that does what it is asked, or almost.
pub trait System {
    /// What this process asks next: function and argument.
    fn ask(&mut self, rng: &mut ChaCha8Rng, process: u64) -> (&'static str, Value);
    /// Lets a call take effect now, if it can.
    fn apply(
        &mut self,
        rng: &mut ChaCha8Rng,
        process: u64,
        f: &str,
        argument: &Value,
    ) -> Option<Answer>;
}

struct Open {
    process: u64,
    f: &'static str,
    argument: Value,
    answer: Option<Answer>,
}

/// How a history is made.
#[derive(Clone, Copy)]
pub struct Shape {
    pub operations: usize,
    pub workers: usize,
    /// Of a hundred answers, how many are lost, of calls that took effect and of calls that did not.
    pub lost: u32,
}

/// A history of the system's doings.
pub fn work(rng: &mut ChaCha8Rng, system: &mut dyn System, shape: Shape) -> History {
    let mut events: Vec<Event> = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut idle: Vec<u64> = (0..shape.workers as u64).collect();
    let (mut begun, mut stalled) = (0, 0);
    let line = |process: u64, kind: Kind, f: &str, value: Value, error: Option<&str>| Event {
        index: 0,
        time: Nanos(0),
        process: Process::Client(process),
        kind,
        f: f.into(),
        key: None,
        value,
        extra: error
            .map(|error| ("error", json!(error)))
            .into_iter()
            .collect::<Extra>(),
    };
    while begun < shape.operations || !open.is_empty() {
        if begun < shape.operations && !idle.is_empty() && (open.is_empty() || rng.random_bool(0.5))
        {
            let process = idle.swap_remove(rng.random_range(0..idle.len()));
            let (f, argument) = system.ask(rng, process);
            events.push(line(process, Kind::Invoke, f, argument.clone(), None));
            open.push(Open {
                process,
                f,
                argument,
                answer: None,
            });
            begun += 1;
            continue;
        }
        let at = rng.random_range(0..open.len());
        let lost = rng.random_range(0..100) < shape.lost;
        if open[at].answer.is_none() && !lost && stalled < 20 {
            let call = &mut open[at];
            call.answer = system.apply(rng, call.process, call.f, &call.argument);
            stalled = if call.answer.is_some() {
                0
            } else {
                stalled + 1
            };
            if call.answer.is_some() && rng.random_bool(0.6) {
                continue;
            }
        }
        let done = open[at].answer.is_some();
        if !done && !lost && stalled < 20 {
            continue;
        }
        let mut call = open.swap_remove(at);
        match call.answer.take() {
            Some((value, error)) if !lost => {
                events.push(line(call.process, Kind::Ok, call.f, value, error));
                idle.push(call.process);
            }
            None if !lost || rng.random_bool(0.5) => {
                stalled = 0;
                events.push(line(call.process, Kind::Fail, call.f, call.argument, None));
                idle.push(call.process);
            }
            answer => {
                // Its answer is lost; if it did not take effect yet, it may never, or the next thing that happens.
                if answer.is_none() && rng.random_bool(0.4) {
                    system.apply(rng, call.process, call.f, &call.argument);
                }
                events.push(line(call.process, Kind::Info, call.f, call.argument, None));
                idle.push(call.process + 10);
            }
        }
    }
    for (index, event) in events.iter_mut().enumerate() {
        event.index = index as u64;
        event.time = Nanos(index as u64 * 1_000);
    }
    History::from_events(&events)
}
