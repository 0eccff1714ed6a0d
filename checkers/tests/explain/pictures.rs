//! Pictures of anomalies, small and large: they are whole, and no text lies upon another.
//!
//! `KEELHAUL_PICTURES=DIR cargo test -p keelhaul-checkers --test explain` leaves them in DIR, to be looked at.

use crate::common::{Script, judge};
use keelhaul_checkers::explain::{Explanation, explain};
use keelhaul_checkers::{Anomaly, History, Kind, Nanos, Process, Verdict};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// A text of a picture: where it stands, and how long it is.
#[derive(Debug)]
pub(crate) struct Words {
    x: f64,
    y: f64,
    width: f64,
    text: String,
}

fn attribute(element: &str, name: &str) -> f64 {
    let start = element.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
    let rest = &element[start..];
    rest[..rest.find('"').unwrap()].parse().unwrap()
}

fn words(svg: &str) -> Vec<Words> {
    svg.lines()
        .filter(|line| line.starts_with("<text"))
        .map(|line| Words {
            x: attribute(line, "x"),
            y: attribute(line, "y"),
            width: attribute(line, "textLength"),
            text: line[line.find('>').unwrap() + 1..line.rfind('<').unwrap()].to_owned(),
        })
        .collect()
}

/// Every element that is opened is closed, in its turn.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '\n']).next().unwrap();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed)),
            None if tag.ends_with('/') => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

/// Every picture keeps these, whatever it shows.
pub(crate) fn inspect(name: &str, explanation: &Explanation) -> Vec<Words> {
    let svg = &explanation.svg;
    if let Some(folder) = std::env::var_os("KEELHAUL_PICTURES") {
        let folder = std::path::PathBuf::from(folder);
        std::fs::write(folder.join(format!("{name}.svg")), svg).unwrap();
        std::fs::write(folder.join(format!("{name}.dot")), &explanation.dot).unwrap();
        std::fs::write(folder.join(format!("{name}.txt")), &explanation.text).unwrap();
    }
    let (width, height) = (attribute(svg, "width"), attribute(svg, "height"));
    let words = words(svg);
    for (place, one) in words.iter().enumerate() {
        assert!(
            one.x >= 0.0 && one.x + one.width <= width && one.y >= 8.0 && one.y <= height,
            "{name}: outside of the picture: {one:?}"
        );
        for other in &words[place + 1..] {
            let apart = (one.y - other.y).abs() >= 11.0
                || one.x + one.width <= other.x
                || other.x + other.width <= one.x;
            assert!(apart, "{name}: {one:?} lies upon {other:?}");
        }
    }
    assert!(width <= 3_000.0, "{name}: {width} wide");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{name}");
    assert_well_formed(svg);
    assert_eq!(
        explanation.dot.matches('{').count(),
        explanation.dot.matches('}').count()
    );
    words
}

fn first_anomaly(checker: &str, history: &History) -> Anomaly {
    match judge(checker, history).verdict {
        Verdict::Invalid(mut anomalies) => anomalies.swap_remove(0),
        other => panic!("planted, and not found: {other:?}"),
    }
}

/// Writes and reads of a true register by ten processes; then a read of an old value, and some more.
fn register_with_a_stale_read(operations: usize, long: bool, one_in: u32) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(operations as u64);
    let mut script = Script::default();
    let value = |number: usize| match long {
        true => json!(format!(
            "value number {number} of a rather long kind, {}",
            "x".repeat(60)
        )),
        false => json!(number),
    };
    let mut state = Value::Null;
    let mut processes: Vec<u64> = (0..10).collect();
    let mut open: Vec<(usize, &str, Value, Value)> = Vec::new();
    let mut begun = 0;
    while begun < operations || !open.is_empty() {
        let idle = (0..10).find(|at| open.iter().all(|(busy, ..)| busy != at));
        if let Some(at) = idle.filter(|_| begun < operations && rng.random_bool(0.5)) {
            let (f, argument) = match rng.random_bool(0.5) {
                true => ("write", value(begun)),
                false => ("read", Value::Null),
            };
            script.client(
                processes[at],
                Kind::Invoke,
                f,
                None,
                argument.clone(),
                Value::Null,
            );
            let result = match f {
                "write" => argument.clone(),
                _ => state.clone(),
            };
            if f == "write" {
                state = argument.clone();
            }
            open.push((at, f, argument, result));
            begun += 1;
        } else if !open.is_empty() {
            let (at, f, argument, result) = open.swap_remove(rng.random_range(0..open.len()));
            if one_in > 0 && rng.random_ratio(1, one_in) {
                script.client(processes[at], Kind::Info, f, None, argument, Value::Null);
                processes[at] += 10;
            } else {
                script.client(processes[at], Kind::Ok, f, None, result, Value::Null);
            }
        }
    }
    for (process, f, argument, result) in [
        (0, "write", value(1_000_001), Value::Null),
        (1, "write", value(1_000_002), Value::Null),
        (2, "read", Value::Null, value(1_000_001)),
        (3, "write", value(1_000_003), Value::Null),
    ] {
        let process = processes[process];
        let result = if f == "write" {
            argument.clone()
        } else {
            result
        };
        script.client(process, Kind::Invoke, f, None, argument, Value::Null);
        script.client(process, Kind::Ok, f, None, result, Value::Null);
    }
    script.history
}

#[test]
fn five_operations_are_all_there() {
    let history = register_with_a_stale_read(1, false, 0);
    let anomaly = first_anomaly("register", &history);
    let words = inspect("five", &explain(&history, &anomaly));
    for label in [
        "write 0 → ok",
        "write 1000001 → ok",
        "write 1000002 → ok",
        "read → 1000001",
        "write 1000003 → ok",
    ] {
        let bars = words.iter().filter(|words| words.text == label);
        assert_eq!(bars.count(), 1, "{label}: {words:#?}");
    }
    assert!(
        !words
            .iter()
            .any(|words| words.text.contains("more of the same object"))
    );
}

#[test]
fn of_five_thousand_operations_those_around_it_are_there_and_the_rest_is_counted() {
    let history = register_with_a_stale_read(5_000, false, 0);
    let anomaly = first_anomaly("register", &history);
    let explanation = explain(&history, &anomaly);
    let words = inspect("five-thousand", &explanation);
    let told = words
        .iter()
        .find(|words| words.text.contains("more of the same object"))
        .unwrap();
    let bars = explanation.svg.matches("class=\"bar").count();
    let legend = words
        .iter()
        .filter(|words| {
            [
                "cannot have happened",
                "in question",
                "made a state that was possible",
                "answered, must be ordered",
                "also there",
            ]
            .contains(&&*words.text)
        })
        .count();
    let hidden = 5_004 - (bars - legend);
    assert!(
        told.text
            .replace(',', "")
            .contains(&format!("… {hidden} more")),
        "{told:?} {bars}"
    );
    assert!(explanation.svg.len() < 60_000);
}

#[test]
fn many_indeterminate_operations_are_folded() {
    let history = register_with_a_stale_read(1_000, false, 8);
    let anomaly = first_anomaly("register", &history);
    inspect("indeterminate", &explain(&history, &anomaly));
}

#[test]
fn long_labels_are_cut() {
    let history = register_with_a_stale_read(60, true, 20);
    let anomaly = first_anomaly("register", &history);
    inspect("long-labels", &explain(&history, &anomaly));
}

/// The witness of a cycle, as the transactional checkers write it.
fn cycle_of(transactions: usize, words: usize) -> (History, Anomaly) {
    let mut script = Script::default();
    let mut shown = Vec::new();
    let mut steps = Vec::new();
    for place in 0..transactions {
        let mut list: Vec<Value> = (0..=words)
            .map(|step| json!(["r", format!("key{step}"), (0..30).collect::<Vec<u32>>()]))
            .collect();
        list.push(json!(["append", "x", place]));
        list.push(json!(["r", "y", [1, place]]));
        let index = script.history.len();
        script.line(
            Process::Client(place as u64),
            Kind::Invoke,
            "txn",
            None,
            json!(list),
            Value::Null,
        );
        script.line(
            Process::Client(place as u64),
            Kind::Ok,
            "txn",
            None,
            json!(list),
            Value::Null,
        );
        shown.push(json!({"index": index, "completed": index + 1, "process": place, "f": "txn", "key": null, "outcome": "ok",
            "from": index * 1_000_000, "to": (index + 1) * 1_000_000, "text": format!("txn {}", json!(list)), "argument": list, "result": list}));
        let next = (place + 1) % transactions;
        let relation = ["ww", "wr", "rw", "realtime", "process"][place % 5];
        let key = match relation {
            "realtime" | "process" => Value::Null,
            _ => json!("x"),
        };
        steps.push(json!({"from": place, "to": next, "relation": relation, "key": key,
            "because": format!("T{} observed the state of x before T{}'s append of {next}, and so had to come first", place + 1, next + 1)}));
    }
    let anomaly = Anomaly {
        kind: "G-single".to_owned(),
        checker: "list-append".to_owned(),
        summary: "T1 read a version of x that T2 had overwritten, and T2 happened before it"
            .to_owned(),
        witness: json!({"transactions": shown, "cycle": steps, "text": []}),
    };
    (script.history, anomaly)
}

#[test]
fn cycles_of_any_length_are_drawn() {
    for (length, words) in [
        (1, 0),
        (2, 0),
        (2, 20),
        (3, 0),
        (4, 1),
        (5, 2),
        (6, 0),
        (7, 3),
        (13, 0),
        (20, 1),
        (24, 0),
        (25, 0),
        (300, 2),
    ] {
        let (history, anomaly) = cycle_of(length, words);
        let explanation = explain(&history, &anomaly);
        let drawn = inspect(&format!("cycle-{length}-{words}"), &explanation);
        for edge in 1..=length.min(12) {
            let sentence = format!("{edge}. ");
            assert!(
                drawn.iter().any(|words| words.text == sentence),
                "{length}: {edge}"
            );
        }
        let told = drawn
            .iter()
            .any(|words| words.text.contains("more transactions"));
        assert_eq!(told, length > 24);
        assert_eq!(explanation.dot.matches("->").count(), length);
    }
}

#[test]
fn words_of_any_script_and_of_none_stay_in_their_place() {
    let mut script = Script::default();
    let odd = json!("写 <&\"> \u{1}\u{0} 🚢 e\u{301} \n end");
    script.client(
        0,
        Kind::Invoke,
        "write",
        Some("<key>"),
        odd.clone(),
        Value::Null,
    );
    script.client(0, Kind::Ok, "write", Some("<key>"), odd, Value::Null);
    script.client(
        1,
        Kind::Invoke,
        "read",
        Some("<key>"),
        Value::Null,
        Value::Null,
    );
    script.client(
        1,
        Kind::Ok,
        "read",
        Some("<key>"),
        json!("nobody"),
        Value::Null,
    );
    let anomaly = first_anomaly("register", &script.history);
    let explanation = explain(&script.history, &anomaly);
    inspect("odd-words", &explanation);
    let raw = explanation
        .svg
        .chars()
        .filter(|character| character.is_control() && *character != '\n');
    assert_eq!(raw.count(), 0, "control characters are not XML");
}

#[test]
fn an_anomaly_without_operations_is_told_in_words() {
    let anomaly = Anomaly {
        kind: "not-recovered".to_owned(),
        checker: "recovery".to_owned(),
        summary: "n3 did not serve again within 30 s".to_owned(),
        witness: json!({"limit_ns": Nanos(30_000_000_000), "nodes": [{"node": "n3", "after_ns": null}]}),
    };
    let words = inspect("words", &explain(&History::new(), &anomaly));
    assert!(words[0].text.contains("n3 did not serve again"));
}

#[test]
fn the_same_anomaly_gives_the_same_bytes() {
    let history = register_with_a_stale_read(500, false, 15);
    let anomaly = first_anomaly("register", &history);
    assert_eq!(explain(&history, &anomaly), explain(&history, &anomaly));
}
