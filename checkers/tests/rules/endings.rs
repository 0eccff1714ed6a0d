//! What the end of a file may lack after a crash, and what it may not.

use keelhaul_checkers::{History, Note};

fn notes(text: &str) -> Result<(usize, Vec<Note>), String> {
    match History::read(text.as_bytes()) {
        Ok((history, notes)) => Ok((history.len(), notes)),
        Err(error) => Err(error.to_string()),
    }
}

fn is_cut(read: &Result<(usize, Vec<Note>), String>) -> bool {
    let cut = |note: &Note| matches!(note, Note::CutLine { .. });
    read.as_ref()
        .is_ok_and(|(events, notes)| *events == 1 && notes.iter().any(cut))
}

const MAP: &str = "{:process 0, :type :invoke, :f :read, :value nil, :time 5}";
const OBJECT: &str = r#"{"process":0,"type":"invoke","f":"read","value":null,"time":5}"#;

/// Jepsen writes operations with their tag: a crash may leave the tag alone, or some of it.
#[test]
fn a_tag_without_its_map_is_a_cut_event() {
    for tag in ["#jepsen.history.Op", "#jepsen.history.Op ", "#jep", "#"] {
        for begin in ["", "["] {
            let read = notes(&format!("{begin}{MAP}\n{tag}"));
            assert!(is_cut(&read), "{begin}{tag}: {read:?}");
        }
        let read = notes(&format!("[{MAP}\n{tag}]"));
        assert!(read.is_err(), "{tag}: {read:?}");
    }
}

/// Within a list that is still open, what cannot be read at its end was cut; once it is closed, it is wrong.
#[test]
fn what_cannot_be_read_was_cut_only_at_the_end_of_what_is_open() {
    for (begin, end) in [
        (format!("[{MAP}\n{{:process 1, :type :inv"), "}]"),
        (
            format!("[{OBJECT},\n{{\"process\":1,\"type\":\"invoke\",\"f\":rea"),
            "}]",
        ),
    ] {
        let read = notes(&begin);
        assert!(is_cut(&read), "{begin}: {read:?}");
        let closed = format!("{begin}{end}");
        let read = notes(&closed);
        assert!(read.is_err(), "{closed}: {read:?}");
    }
}
