//! What is refused, with the exact words; and what a crashed run may leave, in each form.

use keelhaul_checkers::{History, Note};

fn refused(text: &str) -> String {
    match History::read(text.as_bytes()) {
        Err(error) => error.to_string(),
        Ok((history, notes)) => panic!("{text}\nwas read as {history:?}, {notes:?}"),
    }
}

const EDN: &str =
    "expected events as maps, as in {:process 0, :type :invoke, :f :read, :value nil}";
const LOG: &str = "expected one event a line, as in `0 :invoke :read nil`";
const LIST: &str = "expected a list of events, each an object with process, type, f and value";

#[test]
fn other_forms_are_refused_with_line_and_column_too() {
    let begin = "{:process 0 :type :invoke :f :read :value nil}\n";
    let edn = [
        (
            "{:process 0 :type :done :f :read}",
            "line 2, column 19: expected a type: :invoke, :ok, :fail or :info",
        ),
        (
            "{:process -1 :type :ok :f :read}",
            "line 2, column 11: process -1 is not a whole number from 0",
        ),
        (
            "{:process 1.5 :type :ok :f :read}",
            "line 2, column 11: process 1.5 is not a whole number from 0",
        ),
        (
            "{:process 0 :type :ok :f [1]}",
            "line 2, column 26: expected a function, as a keyword",
        ),
        (
            "{:process 0 :type :ok :value 1}",
            "line 2, column 1: the event has no function f",
        ),
        (
            "{:process 0 :f :read}",
            "line 2, column 1: the event has no type",
        ),
        (
            "{:process 0 :type :ok :f :read :value [1 2}}\n",
            "line 2, column 43: unexpected `}`",
        ),
        (
            "{:process 0 :type :ok :f :read :value 12x}",
            "line 2, column 39: `12x` is not a number",
        ),
        (
            "{:process 0 :type :ok :f :read :time 1.5}",
            "line 2, column 38: `1.5`: expected a time in nanoseconds",
        ),
        (
            "{:process 0 :type :ok :f :read :value \"\\q\"}",
            "line 2, column 40: `\\q` is no escape in a text",
        ),
        (
            "{:process 0 :type :ok :f :read :value #<Object>}",
            "line 2, column 39: this cannot be read back: `#` begins no form here",
        ),
        (
            "{:process 0 :type :ok\n :f :read :value }",
            "line 3, column 18: unexpected `}`",
        ),
        (
            "17 {:process 0 :type :ok :f :read}",
            "line 2, column 1: expected an event as a map, or the end of the history",
        ),
    ];
    for (line, expected) in edn {
        assert_eq!(
            refused(&format!("{begin}{line}\n")),
            format!("{expected}; {EDN}")
        );
    }
    let log = [
        (
            "nonsense",
            "line 2, column 1: expected a process and a type (:invoke, :ok, :fail or :info)",
        ),
        (
            "-3\t:ok\t:read\tnil",
            "line 2, column 1: process -3 is not a whole number from 0",
        ),
        (
            "0\t:ok\t7\tnil",
            "line 2, column 7: expected a function, as a keyword",
        ),
        (
            "0\t:ok\t:read\t[1 2",
            "line 2, column 17: the text ends in the middle of a form",
        ),
        (
            "0\t:ok\t:read",
            "line 2, column 12: the text ends in the middle of a form",
        ),
    ];
    for (line, expected) in log {
        let text = format!("0\t:invoke\t:read\tnil\n{line}\n");
        assert_eq!(refused(&text), format!("{expected}; {LOG}"));
    }
    let first = r#"[{"process":0,"type":"invoke","f":"read","value":null}"#;
    let list = [
        (",]", "line 1, column 55: expected an event after `,`"),
        (
            "\n , \n]\n",
            "line 2, column 2: expected an event after `,`",
        ),
        (
            ",\n 5]",
            "line 2, column 2: invalid type: integer `5`, expected one event as an object: {\"index\":0,\"time\":0,\"process\":3,\"type\":\"invoke\",\"f\":\"read\",\"value\":null}",
        ),
        (
            "\n {\"process\":0,\"type\":\"ok\",\"f\":\"read\"}]",
            "line 2, column 2: expected `,` or `]` after an event",
        ),
        (
            ",\n {\"process\":0,\n  \"type\":\"okay\"}]",
            "line 3, column 15: unknown variant `okay`, expected one of `invoke`, `ok`, `fail`, `info`",
        ),
        (
            ",{\"process\":0,\"type\":\"ok\",\"value\":1}]",
            "line 1, column 56: the event has no function f",
        ),
        (
            "]\n17",
            "line 2, column 1: something stands after the end of the list",
        ),
    ];
    for (rest, expected) in list {
        assert_eq!(
            refused(&format!("{first}{rest}")),
            format!("{expected}; {LIST}")
        );
    }
}

#[test]
fn events_that_cannot_stand_there_are_refused_in_every_form() {
    let cases = [
        (
            "{:process 0 :type :ok :f :read :value 1}",
            "line 1, column 1: process 0 completes `read` but has no open invocation; a completion follows its process's invocation: a line is missing",
        ),
        (
            "[{:process 0 :type :invoke :f :read :value 1} {:process 0 :type :invoke :f :write :value 1}]",
            "line 1, column 47: process 0 invokes `write` while its invocation on line 1 is still open; a process waits for its completion before it invokes again: after an indeterminate operation go on under a new process number, with an `info` line",
        ),
        (
            "0 :invoke :read nil\n0 :ok :write 3\n",
            "line 2, column 1: process 0 completes `write`, but what it has open is `read` on line 1; a completion repeats its invocation's f and key",
        ),
        (
            r#"[{"index":4,"process":0,"type":"invoke","f":"read"},{"index":4,"process":0,"type":"ok","f":"read"}]"#,
            "line 1, column 53: index 4, after 4 before; indices rise from event to event: put them in the order of their recording",
        ),
        (
            "{:process 0 :type :invoke :f :read}\n{:type :ok :f :read}",
            "line 2, column 1: some events name their process, and some do not; every event has its process, or none of them has",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text), expected);
    }
}

#[test]
fn every_form_may_be_cut_anywhere_by_a_crash() {
    let event = |process: u32, kind: &str| {
        format!(
            "{{:process {process}, :type :{kind}, :f :read, :value [\"a;}}\\\"\" \\}} #{{1}}], :time 5}}"
        )
    };
    let maps = [
        event(0, "invoke"),
        event(1, "invoke"),
        event(1, "ok"),
        event(0, "info"),
    ];
    let object = |process: u32, kind: &str| {
        format!(
            r#"{{"process":{process},"type":"{kind}","f":"read","value":["a]}}\"",{{"é":1}}],"time":5}}"#
        )
    };
    let objects = [
        object(0, "invoke"),
        object(1, "invoke"),
        object(1, "ok"),
        object(0, "info"),
    ];
    let log =
        "0 :invoke :read nil\n1 :invoke :read nil\n1 :ok :read \"a é\"\n0 :info :read nil :oh\n";
    for (text, list) in [
        (maps.join("\n"), false),
        (format!("[{}]", maps.join("\n")), true),
        (format!("[{}]", objects.join(",\n")), true),
        (objects.join("\n"), false),
        (log.to_owned(), false),
    ] {
        let (whole, notes) = History::read(text.as_bytes()).unwrap();
        assert!(
            whole.len() == 4 && notes.iter().all(|note| *note == Note::NoTimes),
            "{notes:?}"
        );
        for cut in 0..text.len() {
            let bytes = &text.as_bytes()[..cut];
            let (begin, notes) = match History::read(bytes) {
                Ok(read) => read,
                // A log that ends within its first line cannot be told from anything else.
                Err(error) => {
                    assert!(cut < 12, "cut at {cut}: {error}");
                    continue;
                }
            };
            assert!(
                whole.events().take(begin.len()).eq(begin.events()),
                "cut at {cut}"
            );
            let is_cut = notes
                .iter()
                .any(|note| matches!(note, Note::CutLine { .. } | Note::Unclosed { .. }));
            let between = bytes.is_empty() || matches!(bytes.last(), Some(b'}' | b'\n'));
            assert!(
                is_cut || (between && !list) || bytes.is_empty(),
                "cut at {cut} of {text}: {notes:?}"
            );
        }
    }
}

#[test]
fn a_line_that_has_its_end_was_written_whole_and_is_no_cut_off_one() {
    let whole = "{:process 0, :type :invoke, :f :read, :value nil}\n";
    let half = "{:process 0, :type :ok, :f :read, :val";
    let listed = format!("[{whole} {half}");
    for text in [format!("{whole}{half}"), listed.clone()] {
        let (begin, notes) = History::read(text.as_bytes()).unwrap();
        let cut = |note: &Note| matches!(note, Note::CutLine { line: 2 });
        assert!(begin.len() == 1 && notes.iter().any(cut), "{notes:?}");
        let error = refused(&format!("{text}\n"));
        assert!(error.starts_with("line 2, column "), "{error}");
        assert!(error.contains("no end, and its line has"), "{error}");
    }
    // Where an event is several lines, nobody can tell.
    let lines = format!("{}{half}\n", whole.replace(", ", ",\n"));
    assert_eq!(History::read(lines.as_bytes()).unwrap().0.len(), 1);
}

#[test]
fn an_event_without_end_does_not_swallow_those_after_it() {
    let edn = "{:process 0 :type :invoke :f :read}\n{:process 0 :type :ok :f :read :value 1\n{:process 0 :type :invoke :f :read}\n";
    let text = edn.replacen(":value 1", ":value \"1", 1);
    for text in [edn.to_owned(), text] {
        let error = refused(&text);
        assert!(
            error.starts_with(
                "line 2, column 1: the event that begins here has no end, and others follow; "
            ),
            "{error}"
        );
    }
    let error = refused(&format!("[{edn}]"));
    assert!(
        error.starts_with("line 4, column 1: unexpected `]`; "),
        "{error}"
    );
    let list = r#"[{"process":0,"type":"invoke","f":"read"}, {"process":0,"type":"ok","f":"read, {"process":1,"type":"invoke","f":"read"}]"#;
    assert!(
        refused(list).starts_with("line 1, column 44: "),
        "{}",
        refused(list)
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_where_they_stand() {
    let line = "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":null}\n";
    let mut bytes = line.as_bytes().to_vec();
    bytes.extend_from_slice(b"{\"process\":0,\"type\":\"ok\",\"f\":\"re\xffad\"}\n");
    let error = History::read(&bytes[..]).unwrap_err().to_string();
    assert_eq!(
        error,
        "line 2, column 33: here is a byte that is not UTF-8; expected one event a line, as an object with process, type, f and value"
    );
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for (begin, end) in [
        (
            "{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":",
            "}",
        ),
        ("{:process 0 :type :invoke :f :read :value ", "}"),
        ("[{:process 0 :type :invoke :f :read :value ", "}]"),
        (
            "[{\"process\":0,\"type\":\"invoke\",\"f\":\"read\",\"value\":",
            "}]",
        ),
        ("0 :invoke :read ", "\n"),
    ] {
        for (open, close) in [
            ("[", "]"),
            ("{\"a\":", "}"),
            ("#_", ""),
            ("^", ""),
            ("#a ", ""),
        ] {
            let (open, close) = (open.repeat(100_000), close.repeat(100_000));
            let text = format!("{begin}{open}1{close}{end}");
            let error = refused(&text);
            assert!(error.starts_with("line 1, column "), "{error}");
        }
    }
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    /// A stream of one byte that never ends.
    struct Endless(u8, u64);
    impl std::io::Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            into.fill(self.0);
            self.1 += into.len() as u64;
            assert!(self.1 < 1 << 30, "it was read for ever");
            Ok(into.len())
        }
    }
    for begin in [
        "{\"process\":0,\"f\":\"",
        "[{\"process\":0,\"f\":\"",
        "{:process 0 :f \"",
        "0 :invoke :read \"",
    ] {
        let input = std::io::Read::chain(begin.as_bytes(), Endless(b'x', 0));
        let error = History::read(input).unwrap_err().to_string();
        assert!(error.contains("is longer than 67108864 bytes"), "{error}");
    }
}
