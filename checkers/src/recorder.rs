//! Recording what threads do to a concurrent structure, to judge it in `cargo test`.

use crate::history::{Event, Extra, History, Kind, Nanos, Process};
use serde::Serialize;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Collects the calls of many threads into one [`History`]. Clones record into the same one.
///
/// Recording what threads do to a concurrent structure, to judge it in `cargo test`.
///
/// Each thread takes a [`Caller`] and makes its calls through it; [`Recorder::history`] is what they did, in one order. The
/// rest is the checkers' affair: [`assert_linearizable!`](crate::assert_linearizable) names a model, and a broken promise panics with its witness.
///
/// # What the order means
///
/// One atomic counter hands out the places of the history: one before a call begins and one after it has ended. If call A's last
/// place is below call B's first, then A ended before B began, and all that A did is visible to B. Nothing is shared between
/// threads but this counter; arguments and results are turned into JSON outside the recorded interval.
///
/// # What it cannot see
///
/// The counter orders memory, as a lock or a message would: a bug that shows only between threads that never synchronise (a
/// missing fence) can be hidden by it. And it records what happened: an interleaving that did not occur is not judged. Run
/// short histories often, with as many threads as cores, rather than one long history once.
///
/// ```should_panic
/// use keelhaul_checkers::{Recorder, assert_linearizable, models::CasRegister};
/// use std::sync::{Barrier, atomic::{AtomicU64, Ordering::SeqCst}};
///
/// let (recorder, register, both) = (Recorder::new(), AtomicU64::new(0), Barrier::new(2));
/// recorder.caller().call("write", 0, || register.store(0, SeqCst));
/// std::thread::scope(|scope| for new in [1, 2] {
///     let (mut caller, register, both) = (recorder.caller(), &register, &both);
///     scope.spawn(move || caller.try_call("cas", [0, new], || {
///         let fits = register.load(SeqCst) == 0;
///         both.wait(); // The planted race: between look and leap the other thread looks, too.
///         fits.then(|| register.store(new, SeqCst)).ok_or("mismatch")
///     }));
/// });
/// assert_linearizable!(recorder.history(), CasRegister::default()); // panics: both compare-and-sets from 0 succeeded
/// ```
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    /// The next place in the history.
    place: AtomicU64,
    /// The next process number.
    process: AtomicU64,
    /// Each caller's lines: its own, so that threads do not wait for each other.
    buffers: Mutex<Vec<Arc<Mutex<Vec<Line>>>>>,
}

/// A line at its place: [`Event::index`] holds the place until the history is put together.
type Line = Event;

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder::new()
    }
}

impl Recorder {
    /// An empty history that begins now.
    pub fn new() -> Recorder {
        Recorder {
            shared: Arc::new(Shared {
                started: Instant::now(),
                place: AtomicU64::new(0),
                process: AtomicU64::new(0),
                buffers: Mutex::new(Vec::new()),
            }),
        }
    }

    /// A new process: one for each thread that makes calls.
    pub fn caller(&self) -> Caller {
        let lines = Arc::new(Mutex::new(Vec::new()));
        lock(&self.shared.buffers).push(Arc::clone(&lines));
        Caller {
            shared: Arc::clone(&self.shared),
            lines,
            process: self.shared.next_process(),
        }
    }

    /// What was recorded so far. A call that is still under way has an invocation only: it is indeterminate.
    pub fn history(&self) -> History {
        // Callers may still be at work: what began after this moment is left out everywhere, so that no answer stands here
        // without the call that it saw.
        let end = self.shared.place.load(Ordering::Acquire);
        let mut lines: Vec<Line> = Vec::new();
        for buffer in lock(&self.shared.buffers).iter() {
            let buffer = lock(buffer);
            lines.extend(buffer.iter().filter(|line| line.index < end).cloned());
        }
        lines.sort_by_key(|line| line.index);
        let mut history = History::new();
        let mut now = Nanos(0);
        for (index, mut line) in (0..).zip(lines) {
            // A thread may look at the clock, rest, and take its place late: a history's clock never runs back.
            now = now.max(line.time);
            (line.index, line.time) = (index, now);
            history.push(&line);
        }
        history
    }
}

impl Shared {
    fn next_process(&self) -> u64 {
        self.process.fetch_add(1, Ordering::Relaxed)
    }

    fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Makes calls, one at a time, and records them.
#[derive(Debug)]
pub struct Caller {
    shared: Arc<Shared>,
    lines: Arc<Mutex<Vec<Line>>>,
    process: u64,
}

impl Caller {
    /// Makes a call that cannot fail: `caller.call("write", 5, || register.store(5))`.
    ///
    /// The result stands in the completion; a result that says nothing (`()`) leaves the argument there, as histories have it.
    /// If `operation` panics, the call is recorded as indeterminate.
    ///
    /// # Panics
    /// If argument or result cannot be said in JSON (a map whose keys are not words).
    pub fn call<T: Serialize>(
        &mut self,
        f: &str,
        argument: impl Serialize,
        operation: impl FnOnce() -> T,
    ) -> T {
        let call = self.invoke(f, argument);
        let result = operation();
        call.answered(&result);
        result
    }

    /// Makes a call that may fail. An error must mean that the operation certainly did not take effect; for anything else,
    /// use [`Caller::invoke`] and say [`Call::info`].
    ///
    /// # Panics
    /// As [`Caller::call`].
    pub fn try_call<T: Serialize, E: std::fmt::Display>(
        &mut self,
        f: &str,
        argument: impl Serialize,
        operation: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let call = self.invoke(f, argument);
        let result = operation();
        match &result {
            Ok(result) => call.answered(result),
            Err(error) => call.fail(error),
        }
        result
    }

    /// Begins a call; the [`Call`] says how it ended.
    ///
    /// # Panics
    /// If the argument cannot be said in JSON.
    pub fn invoke(&mut self, f: &str, argument: impl Serialize) -> Call<'_> {
        self.begin(f, None, argument)
    }

    /// Begins a call on one of many independent objects, which are judged one by one.
    ///
    /// # Panics
    /// If the argument cannot be said in JSON.
    pub fn invoke_on(&mut self, key: &str, f: &str, argument: impl Serialize) -> Call<'_> {
        self.begin(f, Some(key.into()), argument)
    }

    fn begin(&mut self, f: &str, key: Option<Arc<str>>, argument: impl Serialize) -> Call<'_> {
        let line = Event {
            index: 0,
            time: self.shared.now(),
            process: Process::Client(self.process),
            kind: Kind::Invoke,
            f: f.into(),
            key,
            value: json(argument),
            extra: Extra::new(),
        };
        let place = {
            let mut lines = lock(&self.lines);
            lines.push(line);
            // Whatever ended before this place was taken is visible from here on; nothing of the call begins earlier.
            let place = self.shared.place.fetch_add(1, Ordering::Acquire);
            let begun = lines.last_mut().expect("it was pushed just now");
            begun.index = place;
            place
        };
        Call {
            caller: self,
            place,
            fields: Extra::new(),
        }
    }

    /// Writes the completion of the last invocation.
    fn end(&mut self, kind: Kind, result: Option<Value>, fields: Extra, place: u64) {
        let time = self.shared.now();
        let mut lines = lock(&self.lines);
        let begun = lines.last().expect("a call began");
        let line = Event {
            index: place,
            time,
            process: begun.process.clone(),
            kind,
            f: Arc::clone(&begun.f),
            key: begun.key.clone(),
            value: result.unwrap_or_else(|| begun.value.clone()),
            extra: fields,
        };
        lines.push(line);
        drop(lines);
        if kind == Kind::Info {
            // It may still take effect: who goes on is somebody else.
            self.process = self.shared.next_process();
        }
    }
}

/// A call that has begun. It ends with [`Call::ok`], [`Call::fail`] or [`Call::info`]; when it is dropped without, as by a
/// panic, it is indeterminate.
#[derive(Debug)]
#[must_use = "a call that is dropped is recorded as indeterminate"]
pub struct Call<'c> {
    caller: &'c mut Caller,
    place: u64,
    fields: Extra,
}

impl Call<'_> {
    /// The number of this call's line among the places that were handed out: whoever records more beside the history can
    /// name the call by it.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Adds a field to the completion: `version`, `zxid`, `error`, ….
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name, value);
        self
    }

    /// It happened, with this result. `()` leaves the argument in the completion.
    ///
    /// # Panics
    /// If the result cannot be said in JSON.
    pub fn ok<T: Serialize>(self, result: T) {
        self.answered(&result);
    }

    fn answered<T: Serialize>(self, result: &T) {
        let place = self.take_place();
        // A type of one value only carries no information: it is no result.
        let result = (size_of::<T>() > 0).then(|| json(result));
        self.finish(Kind::Ok, result, place);
    }

    /// It certainly did not happen.
    pub fn fail(mut self, error: impl std::fmt::Display) {
        let place = self.take_place();
        self.fields.insert("error", error.to_string());
        self.finish(Kind::Fail, None, place);
    }

    /// It may have happened, or may yet.
    pub fn info(mut self, error: impl std::fmt::Display) {
        let place = self.take_place();
        self.fields.insert("error", error.to_string());
        self.finish(Kind::Info, None, place);
    }

    /// All that the call did is visible to whoever takes a later place.
    fn take_place(&self) -> u64 {
        self.caller.shared.place.fetch_add(1, Ordering::Release)
    }

    fn finish(mut self, kind: Kind, result: Option<Value>, place: u64) {
        let fields = std::mem::take(&mut self.fields);
        self.caller.end(kind, result, fields, place);
        std::mem::forget(self);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let place = self.take_place();
        let why = match std::thread::panicking() {
            true => "panicked",
            false => "dropped",
        };
        let mut fields = std::mem::take(&mut self.fields);
        fields.insert("error", why);
        self.caller.end(Kind::Info, None, fields, place);
    }
}

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value)
        .expect("arguments and results of recorded calls can be said in JSON")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while a buffer is locked; what a panicking thread left there is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
