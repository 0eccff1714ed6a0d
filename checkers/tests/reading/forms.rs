//! The same history in each form in which it may be recorded, and what each form has of its own.

use crate::common::text;
use keelhaul_checkers::{Budget, History, Note, Parameters, ReadOptions, Verdict, by_name};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn read(text: &str) -> (History, Vec<Note>) {
    History::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The value of the only event of a history.
fn value_of(form: &str) -> Value {
    let text = format!("{{:process 0, :type :invoke, :f :write, :value {form}}}");
    read(&text).0.event(0).value().to_json()
}

const LINES: &str = r#"{"index":0,"time":5,"process":0,"type":"invoke","f":"write","value":3}
{"index":1,"time":6,"process":1,"type":"invoke","f":"cas","value":[3,4]}
{"index":2,"time":7,"process":0,"type":"ok","f":"write","value":3}
{"index":3,"time":8,"process":1,"type":"info","f":"cas","value":[3,4],"error":"timeout"}
{"index":4,"time":9,"process":"nemesis","type":"info","f":"start","value":null}
"#;

#[test]
fn every_form_says_the_same() {
    let (expected, _) = read(LINES);
    let maps = [
        "{:index 0 :time 5 :process 0 :type :invoke :f :write :value 3}",
        "{:value [3 4], :f :cas, :type :invoke, :process 1, :time 6, :index 1}",
        "#jepsen.history.Op{:index 2, :time 7, :type :ok, :process 0, :f :write, :value 3}",
        "{:index 3, :time 8, :type :info, :process 1,\n :f :cas, ; it took too long\n :value (3 4), :error :timeout}",
        "{:index 4, :time 9, :type :info, :process :nemesis, :f :start, :value nil, #_ #_ :old :form :error nil}",
    ];
    let objects: Vec<&str> = LINES.lines().collect();
    let forms = [
        LINES.to_owned(),
        LINES.replace('\n', "\r\n"),
        format!("\u{feff}{LINES}"),
        maps.join("\n"),
        maps.concat(),
        format!("; what it is\n[{}]\n; the end", maps.join("\n ")),
        format!("({})", maps.join(" ")),
        format!("#jepsen.history.History [{}],", maps.join("\n")),
        format!("[{}]", objects.join(",\n")),
        format!("[\n {}\n]\n", objects.join(",").replace(",\"", ",\n  \"")),
    ];
    for form in forms {
        let (history, notes) = read(&form);
        assert_eq!(text(&history), text(&expected), "{form}");
        assert_eq!(notes, [], "{form}");
        let packed = zstd::encode_all(form.as_bytes(), 1).unwrap();
        assert_eq!(History::read(&packed[..]).unwrap().0, expected, "{form}");
    }
}

#[test]
fn a_log_is_read_with_and_without_what_its_logger_put_before() {
    let (mut lines, _) = read(LINES);
    lines = History::from_events(&{
        let mut events = lines.to_events();
        events.iter_mut().for_each(|event| event.time.0 = 0);
        events
    });
    let log = "0\t:invoke\t:write\t3\n1\t:invoke\t:cas\t[3 4]\n0\t:ok\t:write\t3\n1\t:info\t:cas\t[3 4]\t:timeout\n:nemesis\t:info\t:start\tnil\n";
    let prefixed = |prefix: &str| -> String {
        let lines = log.lines().map(|line| format!("{prefix}{line}\n"));
        lines.collect()
    };
    let forms = [
        log.to_owned(),
        log.replace('\t', "   "),
        prefixed("INFO  jepsen.util - "),
        prefixed("2015-03-11 17:28:59,134{GMT}\tINFO\t[jepsen worker 1] jepsen.util: "),
    ];
    for form in forms {
        let (history, notes) = read(&form);
        assert_eq!(history, lines, "{form}");
        assert_eq!(notes, [Note::NoTimes], "{form}");
    }
}

#[test]
fn errors_of_a_log_are_forms_or_words() {
    let log = "0\t:invoke\t:read\tnil\n0\t:fail\t:read\tnil\tConnection refused: n1 (no route)\n\
               1\t:invoke\t:read\tnil\n1\t:info\t:read\tnil\t[:timed-out nil]\n\
               :nemesis\t:info\t:start\t#<Partition@3f>\n2\t:invoke\t:write\t:timed-out\n";
    let (history, _) = read(log);
    assert_eq!(
        history.event(1).text("error"),
        Some("Connection refused: n1 (no route)")
    );
    assert_eq!(
        history.event(3).get("error").unwrap(),
        json!(["timed-out", null])
    );
    assert_eq!(history.event(4).value(), json!("#<Partition@3f>"));
    assert_eq!(history.event(5).value(), json!("timed-out"));
}

/// As Jepsen's first test of etcd wrote its logs.
#[test]
fn a_lost_write_of_a_log_ends_with_why_it_was_lost() {
    let judged = |shown: u32| {
        let log = format!(
            "INFO  jepsen.util - 0\t:invoke\t:write\t4\nINFO  jepsen.util - 0\t:ok\t:write\t4\n\
             INFO  jepsen.util - 1\t:invoke\t:write\t3\nINFO  jepsen.util - 1\t:info\t:write\t:timed-out\n\
             INFO  jepsen.util - 2\t:invoke\t:cas\t[3 2]\nINFO  jepsen.util - 2\t:info\t:cas\t:timed-out\n\
             INFO  jepsen.util - 3\t:invoke\t:read\tnil\nINFO  jepsen.util - 3\t:ok\t:read\t{shown}\n"
        );
        let checker = by_name("cas-register", &Parameters::default()).unwrap();
        let finding = checker.check(&read(&log).0, &Budget::default());
        matches!(finding.verdict, Verdict::Valid)
    };
    assert!(judged(4) && judged(3) && judged(2));
    assert!(!judged(5));
}

#[test]
fn what_json_does_not_have_becomes_what_is_nearest() {
    let cases = [
        (":a/b", json!("a/b")),
        ("sym.bol/x", json!("sym.bol/x")),
        (
            "\"a \\\"b\\\" \\n \\u00e9 \\ud83d\\ude00\"",
            json!("a \"b\" \n é 😀"),
        ),
        (
            r"[\a \newline \{ \u0041 \space]",
            json!(["a", "\n", "{", "A", " "]),
        ),
        ("#{1 2}", json!([1, 2])),
        ("(1 (2 ()))", json!([1, [2, []]])),
        (
            "{0 10, :b nil, \"c\" true}",
            json!({"0": 10, "b": null, "c": true}),
        ),
        (
            "#:bank{:from 1 :x/to 2 :_/n 3}",
            json!({"bank/from": 1, "x/to": 2, "n": 3}),
        ),
        (
            "[5N +7 -9223372036854775808 0x1f]",
            json!([5, 7, i64::MIN, 31]),
        ),
        (
            "[017 -017 +017 00 017N 2r101 -16rFf 36RZz]",
            json!([15, -15, 15, 0, 15, 5, -255, 1295]),
        ),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616N", json!("18446744073709551616")),
        ("[1.5 1.5M -2e3 1.0]", json!([1.5, 1.5, -2000.0, 1.0])),
        ("[1/2 ##Inf ##NaN]", json!(["1/2", "##Inf", "##NaN"])),
        (
            "#inst \"2015-03-11T00:00:00Z\"",
            json!("2015-03-11T00:00:00Z"),
        ),
        ("#another.tool.Tuple [1 2]", json!([1, 2])),
        ("^{:line 3} [1 ^:tag 2]", json!([1, 2])),
        ("[1 #_2 #_[3 4] 5 ; 6\n 7,,,]", json!([1, 5, 7])),
        ("[1 #_ #_ 2 3 4]", json!([1, 4])),
        ("{[1 2] :a}", json!({"[1 2]": "a"})),
        ("nil", Value::Null),
    ];
    for (form, expected) in cases {
        assert_eq!(value_of(form), expected, "{form}");
    }
}

#[test]
fn a_number_in_a_base_that_does_not_have_its_digits_is_none() {
    for number in ["08", "2r2", "1r0", "37r1", "2r", "r1", "2r-1", "0x"] {
        let text = format!("{{:process 0 :type :invoke :f :write :value {number}}}");
        let read = History::read(text.as_bytes());
        let is_symbol = number.starts_with('r');
        assert_eq!(read.is_ok(), is_symbol, "{number}");
    }
}

#[test]
fn what_examples_leave_out_is_filled_in_and_noted() {
    let (history, notes) = read(
        "{:index 10 :type :invoke :value [[:append 9 2] [:r 9 nil]]}\n{:index 12 :type :ok :value [[:append 9 2] [:r 9 [2]]]}\n",
    );
    assert_eq!(
        notes,
        [
            Note::Renumbered { line: 1 },
            Note::NoProcesses,
            Note::NoTimes
        ]
    );
    let operations = history.operations().unwrap();
    assert_eq!((operations[0].f(), operations[0].is_ok()), ("txn", true));
    let list = r#"[{"index":0,"type":"invoke","value":[["w","x",1]]},{"index":1,"type":"ok","value":[["w","x",1]]}]"#;
    assert_eq!(read(list).0.event(1).f(), "txn");
}

#[test]
fn times_that_run_back_are_tolerated_of_other_tools_and_noted() {
    let (history, notes) = read(
        "{:type :invoke :process 0 :f :read :value nil :time 7}\n{:type :invoke :process 1 :f :read :value nil :time 5}\n{:type :ok :process 0 :f :read :value nil :time 6}\n",
    );
    assert_eq!(notes, [Note::TimesBack { line: 2, count: 2 }]);
    let times: Vec<u64> = history.events().map(|event| event.time().0).collect();
    assert_eq!(times, [7, 7, 7]);
}

#[test]
fn the_place_of_each_value_is_known() {
    let forms = [
        ("{:process 0 :type :invoke :f :read\n :value nil}", (2, 9)),
        (
            "\n\n[{:process 0 :type :invoke :f :read :value nil}]",
            (3, 44),
        ),
        (
            "[ {\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\" : null}]",
            (1, 53),
        ),
        (
            "{\"process\":0,\"type\":\"invoke\",\"f\":\"r\\u0065ad\",\"value\":null}",
            (1, 54),
        ),
        (
            "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":null}",
            (1, 49),
        ),
        ("{\"process\":0,\"type\":\"invoke\",\"f\":\"read\"}", (1, 1)),
        ("\n0\t:invoke\t:read\tnil\n", (2, 17)),
    ];
    for (form, expected) in forms {
        let place = read(form).0.place(0).unwrap();
        assert_eq!((place.line, place.column), expected, "{form}");
        assert_eq!(read(form).0.event(0).place(), Some(place));
    }
}

// --- independent keys -----------------------------------------------------------------------------------------------

const INDEPENDENT: &str = "\
{:process 0 :type :invoke :f :write :value [:x 3]}
{:process 1 :type :invoke :f :cas :value [7 [3 4]]}
{:process 0 :type :ok :f :write :value [:x 3]}
{:process 1 :type :info :f :cas :value :timed-out}
{:process 0 :type :invoke :f :read :value [7 nil]}
{:process 0 :type :ok :f :read :value [7 4]}
{:process :nemesis :type :info :f :start :value nil}
";

fn keys(history: &History) -> Vec<(Option<&str>, Value)> {
    let events = history.events();
    events
        .map(|event| (event.key(), event.value().to_json()))
        .collect()
}

#[test]
fn values_of_independent_keys_are_split() {
    let (history, notes) = read(INDEPENDENT);
    assert!(notes.contains(&Note::Independent { keys: 2 }), "{notes:?}");
    assert_eq!(
        keys(&history),
        [
            (Some("x"), json!(3)),
            (Some("7"), json!([3, 4])),
            (Some("x"), json!(3)),
            (None, json!("timed-out")),
            (Some("7"), json!(null)),
            (Some("7"), json!(4)),
            (None, json!(null)),
        ]
    );
    let no = ReadOptions {
        independent: Some(false),
    };
    let (whole, _) = History::read_with(INDEPENDENT.as_bytes(), &no).unwrap();
    assert_eq!(whole.event(5).value(), json!([7, 4]));
}

#[test]
fn transactions_behind_keys_are_split() {
    let text = "\
{:process 0 :type :invoke :f :txn :value [0 [[:append :x 1] [:r :x nil]]]}
{:process 0 :type :ok :f :txn :value [0 [[:append :x 1] [:r :x [1]]]]}
{:process 0 :type :invoke :f :txn :value [:b [[:r :x nil]]]}
{:process 0 :type :ok :f :txn :value [:b [[:r :x [5]]]]}
";
    let (history, notes) = read(text);
    assert!(notes.contains(&Note::Independent { keys: 2 }), "{notes:?}");
    assert_eq!(keys(&history)[3], (Some("b"), json!([["r", "x", [5]]])));
}

#[test]
fn a_function_that_is_nil_is_one_that_is_missing() {
    let texts = [
        "#jepsen.history.Op{:index 0, :time -1, :type :invoke, :process 0, :f nil, :value [[:r :x nil]]}\n\
         #jepsen.history.Op{:index 1, :time -1, :type :ok, :process 0, :f nil, :value [[:r :x [1]]]}\n",
        "0\t:invoke\tnil\t[[:r :x nil]]\n0\t:ok\tnil\t[[:r :x [1]]]\n",
        r#"[{"process":0,"type":"invoke","f":null,"value":[["r","x",null]]},
           {"process":0,"type":"ok","f":null,"value":[["r","x",[1]]]}]"#,
    ];
    for text in texts {
        let (history, _) = read(text);
        let without = text.replace(":f nil, ", "").replace(r#""f":null,"#, "");
        let (other, _) = read(&without);
        for (one, other) in history.events().zip(other.events()) {
            assert_eq!((one.f(), one.value()), (other.f(), other.value()), "{text}");
        }
    }
}

#[test]
fn a_transaction_behind_a_key_needs_no_function_either() {
    let with = |f: &str| {
        format!(
            "{{:process 0 :type :invoke {f} :value [1 [[:append :x 1]]]}}\n{{:process 0 :type :ok {f} :value [1 [[:append :x 1]]]}}\n"
        )
    };
    let (expected, _) = read(&with(":f :txn"));
    assert_eq!(expected.event(0).value(), json!([["append", "x", 1]]));
    for f in [":f nil", ""] {
        let (history, notes) = read(&with(f));
        assert_eq!(history, expected, "{f}");
        assert!(notes.contains(&Note::Independent { keys: 1 }), "{notes:?}");
    }
}

#[test]
fn values_that_only_look_like_tuples_are_left_alone() {
    let histories = [
        // Compare-and-sets of one register.
        "{:process 0 :type :invoke :f :cas :value [1 2]}\n{:process 0 :type :ok :f :cas :value [1 2]}\n",
        "{:process 0 :type :invoke :f :cas :value [1 nil]}\n{:process 0 :type :ok :f :cas :value [1 nil]}\n",
        // Reads that ask for nothing.
        "{:process 0 :type :invoke :f :write :value [1 2]}\n{:process 0 :type :ok :f :write :value [1 2]}\n{:process 0 :type :invoke :f :read :value nil}\n",
        // An answer of another key.
        "{:process 0 :type :invoke :f :read :value [1 nil]}\n{:process 0 :type :ok :f :read :value [2 nil]}\n",
        // An answer that is the whole list.
        "{:process 0 :type :invoke :f :read :value [0 nil]}\n{:process 0 :type :ok :f :read :value [0 1 2]}\n",
        // Transactions.
        "{:process 0 :type :invoke :f :txn :value [[:r 1] [:r 2]]}\n{:process 0 :type :ok :f :txn :value [[:r 1] [:r 2]]}\n",
        // Nobody read.
        "{:process 0 :type :invoke :f :add :value [1 2]}\n{:process 0 :type :ok :f :add :value [1 2]}\n",
        // Our own lines say it themselves.
        "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":[1,null]}\n{\"process\":0,\"type\":\"ok\",\"f\":\"read\",\"value\":[1,2]}\n",
        "{:process 0 :type :invoke :f :read :key 1 :value [1 nil]}\n",
    ];
    for text in histories {
        let (history, notes) = read(text);
        let split = notes
            .iter()
            .any(|note| matches!(note, Note::Independent { .. }));
        assert!(
            !split && history.event(0).value().to_json() != json!(null),
            "{text}"
        );
    }
}

#[test]
fn values_are_split_on_demand_and_refused_where_they_cannot_be() {
    let yes = ReadOptions {
        independent: Some(true),
    };
    let adds = "{:process 0 :type :invoke :f :add :value [1 2]}\n{:process 0 :type :ok :f :add :value [1 2]}\n";
    let (history, _) = History::read_with(adds.as_bytes(), &yes).unwrap();
    assert_eq!(keys(&history), vec![(Some("1"), json!(2)); 2]);
    let bare = "{:process 0 :type :invoke :f :add :value 2}\n";
    let error = History::read_with(bare.as_bytes(), &yes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 42: the value 2 is no [key value]; \
         a history of independent keys has such a value on every line of a client"
    );
}

// --- what others recorded -------------------------------------------------------------------------------------------

/// Where the corpus is looked for, beside the workspace.
fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora")
}

#[test]
fn recorded_histories_of_knossos_and_elle_are_read_whole() {
    let Ok(expected) = std::fs::read_to_string(corpora().join("knossos/expected.csv")) else {
        println!("skipped: there is no corpus at {}", corpora().display());
        return;
    };
    let mut files = 0;
    for row in expected.lines().skip(1) {
        let columns: Vec<&str> = row.split(',').collect();
        let bytes = std::fs::read(corpora().join("knossos").join(columns[0])).unwrap();
        let (history, notes) =
            History::read(&bytes[..]).unwrap_or_else(|error| panic!("{}: {error}", columns[0]));
        assert_eq!(
            history.len().to_string(),
            columns[1],
            "{}: {notes:?}",
            columns[0]
        );
        assert!(history.operations().is_ok());
        files += 1;
    }
    for (name, events) in [
        ("elle/paper-example.edn", 8),
        ("elle/si-without-g-single.edn", 8),
    ] {
        let bytes = std::fs::read(corpora().join(name)).unwrap();
        let (history, _) =
            History::read(&bytes[..]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(history.len(), events, "{name}");
        files += 1;
    }
    println!("{files} files");
    assert!(files > 50);
}

#[test]
fn the_histories_of_elles_own_tests_are_read_whole() {
    let Ok(cases) = std::fs::read_to_string(corpora().join("elle/elle_test_cases.edn")) else {
        println!("skipped: there is no corpus at {}", corpora().display());
        return;
    };
    let expected = std::fs::read_to_string(corpora().join("elle/expected.csv")).unwrap();
    let mut refused = 0;
    for (case, row) in cases.lines().zip(expected.lines().skip(1)) {
        let history = case.split_once(":history ").unwrap().1;
        let history = history.strip_suffix('}').unwrap();
        match History::read(history.as_bytes()) {
            Ok((history, _)) => {
                let events: usize = row.rsplit(',').next().unwrap().parse().unwrap();
                assert_eq!(history.len(), events, "{row}");
            }
            // Some of these tests write down completions alone.
            Err(error) => {
                let text = error.to_string();
                let without = text.contains("has no open invocation");
                let twice = text.contains("is still open");
                assert!(without || twice, "{row}: {error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 19);
}
