//! What the recorder writes down, and that a planted race is found in it.

use keelhaul_checkers::models::{CasRegister, Register};
use keelhaul_checkers::{History, Kind, Recorder, assert_linearizable};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;

/// The history's lines as `(process, type, f, value)`.
fn lines(history: &History) -> Vec<Value> {
    let mut text = Vec::new();
    history.write_jsonl(&mut text).unwrap();
    let lines = String::from_utf8(text).unwrap();
    lines
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            json!([line["process"], line["type"], line["f"], line["value"]])
        })
        .collect()
}

/// What a failing assertion says.
fn complaint(assertion: impl FnOnce()) -> String {
    let panicked = catch_unwind(AssertUnwindSafe(assertion)).expect_err("it must panic");
    panicked
        .downcast_ref::<String>()
        .expect("the message is put together")
        .clone()
}

#[test]
fn calls_stand_in_the_history_as_they_were_made() {
    let recorder = Recorder::new();
    let (mut one, mut other) = (recorder.caller(), recorder.caller());
    one.call("write", 5, || ());
    let open = one.invoke("read", ());
    let refused = other.try_call("cas", [4, 6], || Err::<(), _>("mismatch"));
    assert_eq!(refused, Err("mismatch"));
    open.with("version", 3).ok(5);
    // An empty answer is an answer: only `()` is none.
    assert_eq!(other.call("dequeue", (), || None::<u64>), None);
    let history = recorder.history();
    assert_eq!(
        lines(&history),
        [
            json!([0, "invoke", "write", 5]),
            json!([0, "ok", "write", 5]),
            json!([0, "invoke", "read", null]),
            json!([1, "invoke", "cas", [4, 6]]),
            json!([1, "fail", "cas", [4, 6]]),
            json!([0, "ok", "read", 5]),
            json!([1, "invoke", "dequeue", null]),
            json!([1, "ok", "dequeue", null]),
        ]
    );
    let operations = history.operations().unwrap();
    assert_eq!(operations[1].answer().unwrap().int("version"), Some(3));
    assert_eq!(
        operations[2].error().map(|e| e.to_string()).as_deref(),
        Some("mismatch")
    );
}

#[test]
fn what_panicked_or_was_dropped_is_indeterminate_and_its_process_ends() {
    let recorder = Recorder::new();
    let mut caller = recorder.caller();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        caller.call("write", 1, || -> () { panic!("planted") })
    }));
    assert!(panicked.is_err());
    drop(caller.invoke_on("x", "write", 2));
    caller.call("read", (), || 1);
    assert_eq!(
        lines(&recorder.history()),
        [
            json!([0, "invoke", "write", 1]),
            json!([0, "info", "write", 1]),
            json!([1, "invoke", "write", 2]),
            json!([1, "info", "write", 2]),
            json!([2, "invoke", "read", null]),
            json!([2, "ok", "read", 1]),
        ]
    );
}

#[test]
fn a_history_taken_while_threads_work_is_sound() {
    let (recorder, cell, stop) = (Recorder::new(), Mutex::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (mut caller, cell, stop) = (recorder.caller(), &cell, &stop);
            scope.spawn(move || {
                for turn in 0..300 {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let value = thread * 1_000 + turn;
                    caller.call("write", value, || *cell.lock().unwrap() = value);
                    caller.call("read", (), || *cell.lock().unwrap());
                }
            });
        }
        // Every answer in it is explained by a call in it, whenever it is taken.
        for _ in 0..20 {
            let history = recorder.history();
            let answered = history.operations().unwrap();
            if answered
                .iter()
                .any(|operation| operation.f() == "read" && operation.is_ok())
            {
                assert_linearizable!(history, CasRegister { initial: json!(0) });
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(
        recorder
            .history()
            .operations()
            .unwrap()
            .iter()
            .all(|operation| operation.kind() == Kind::Ok)
    );
}

/// A register whose readers are served from copies that a writer updates late.
struct LateCopies {
    value: AtomicU64,
    copy: AtomicU64,
}

#[test]
fn a_planted_stale_read_is_found_and_told() {
    let recorder = Recorder::new();
    let register = LateCopies {
        value: AtomicU64::new(0),
        copy: AtomicU64::new(0),
    };
    let (written, read) = (Barrier::new(2), Barrier::new(2));
    recorder.caller().call("write", 0, || ());
    thread::scope(|scope| {
        let (mut writer, mut reader) = (recorder.caller(), recorder.caller());
        let (register, written, read) = (&register, &written, &read);
        scope.spawn(move || {
            writer.call("write", 7, || register.value.store(7, Ordering::SeqCst));
            written.wait();
            read.wait();
            register
                .copy
                .store(register.value.load(Ordering::SeqCst), Ordering::SeqCst);
        });
        scope.spawn(move || {
            written.wait();
            reader.call("read", (), || register.copy.load(Ordering::SeqCst));
            read.wait();
        });
    });
    let history = recorder.history();
    let told = complaint(|| assert_linearizable!(history, Register::default()));
    assert!(told.starts_with("invalid (register):"), "{told}");
    assert!(told.contains("write 7 → ok"), "{told}");
    assert!(told.contains("read → 0"), "{told}");
}

#[test]
fn a_test_that_proves_nothing_does_not_pass() {
    let told = complaint(|| assert_linearizable!(Recorder::new().history(), Register::default()));
    assert!(told.starts_with("unknown (register): "), "{told}");
}
