//! Histories from one form into another, and what `keelhaul check` says of each.

#![allow(clippy::unwrap_used)]

mod common;

use common::{code, json, keelhaul};
use std::path::{Path, PathBuf};
use std::process::Output;

const STALE: &str = r#"{"index":0,"time":10,"process":0,"type":"invoke","f":"write","key":"r1","value":1}
{"index":1,"time":20,"process":0,"type":"ok","f":"write","key":"r1","value":1}
{"index":2,"time":25,"process":2,"type":"invoke","f":"write","key":"r2","value":7}
{"index":3,"time":30,"process":1,"type":"invoke","f":"read","key":"r1","value":null}
{"index":4,"time":35,"process":2,"type":"info","f":"write","key":"r2","value":7}
{"index":5,"time":40,"process":1,"type":"ok","f":"read","key":"r1","value":null}
"#;

fn convert(from: &Path, to: &Path) -> Output {
    let mut command = keelhaul(&["convert"]);
    command.arg(from).arg("-o").arg(to).output().unwrap()
}

fn check(file: &Path) -> Output {
    let mut command = keelhaul(&["check", "--json", "--model", "register"]);
    command.arg(file).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_history_goes_through_all_forms_and_keeps_its_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let fixed = STALE.replace(
        r#""ok","f":"read","key":"r1","value":null"#,
        r#""ok","f":"read","key":"r1","value":1"#,
    );
    assert_ne!(fixed, STALE);
    for (history, exit) in [(STALE, 1), (&*fixed, 0)] {
        let file = |ending: &str| -> PathBuf { folder.path().join(format!("h{exit}.{ending}")) };
        let mut from = file("jsonl");
        std::fs::write(&from, history).unwrap();
        let first = json(&check(&from));
        assert_eq!(first["valid"], exit == 0);
        for ending in ["edn", "json", "jsonl.zst"] {
            let to = file(ending);
            let converted = convert(&from, &to);
            assert_eq!(code(&converted), 0, "{ending}: {}", said(&converted));
            let judged = check(&to);
            assert_eq!(code(&judged), exit, "{ending}: {}", said(&judged));
            let judged = json(&judged);
            assert_eq!(judged["anomalies"], first["anomalies"], "{ending}");
            from = to;
        }
        let last = folder.path().join("last.jsonl");
        assert_eq!(code(&convert(&from, &last)), 0);
        let lines = |text: &str| -> Vec<serde_json::Value> {
            let lines = text.lines().map(serde_json::from_str);
            lines.collect::<Result<_, _>>().unwrap()
        };
        let last = std::fs::read_to_string(last).unwrap();
        assert_eq!(lines(&last), lines(history));
    }
}

#[test]
fn the_form_is_said_by_name_or_by_option() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("history.jsonl");
    std::fs::write(&from, STALE).unwrap();
    let to = |form: &str| {
        let mut command = keelhaul(&["convert", "--to", form]);
        let output = command.arg(&from).output().unwrap();
        assert_eq!(code(&output), 0, "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(to("edn").contains(":type :invoke"), "{}", to("edn"));
    assert!(to("json").trim_start().starts_with('['));
    assert!(to("jsonl").starts_with('{'));
    let packed = folder.path().join("packed.edn.zst");
    assert_eq!(code(&convert(&from, &packed)), 0);
    let magic = std::fs::read(&packed).unwrap();
    assert_eq!(magic[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(code(&check(&packed)), 1);
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.edn");
    for (name, text, place) in [
        (
            "type.jsonl",
            STALE.replacen(r#""type":"ok""#, r#""type":"okay""#, 1),
            "line 2, column ",
        ),
        (
            "cut.jsonl",
            STALE.replacen(r#""process":2,"#, r#""process":,"#, 1),
            "line 3, column ",
        ),
        (
            "map.edn",
            "{:process 0 :type :invoke :f :read :value nil}\n{:process 0 :type }\n".to_owned(),
            "line 2, column ",
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let output = convert(&path, &out);
        assert_eq!(code(&output), 64, "{name}: {}", said(&output));
        let said = said(&output);
        assert!(said.contains(place) && said.contains(name), "{said}");
        assert!(!out.exists(), "{name} was refused, and written");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_with_the_option_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("history.jsonl");
    std::fs::write(&from, STALE).unwrap();
    let output = convert(&from, &folder.path().join("none/out.edn"));
    assert_eq!(code(&output), 64, "{}", said(&output));
    assert!(
        said(&output).contains("another file with -o"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_read_of_nil_may_be_said_to_say_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.edn");
    let history = "{:process 0, :type :invoke, :f :write, :value 1}\n\
        {:process 0, :type :ok, :f :write, :value 1}\n\
        {:process 0, :type :invoke, :f :read, :value nil}\n\
        {:process 0, :type :ok, :f :read, :value nil}\n\
        {:process 0, :type :invoke, :f :read, :value nil}\n\
        {:process 0, :type :ok, :f :read, :value 1}\n";
    std::fs::write(&file, history).unwrap();
    let output = check(&file);
    assert_eq!(code(&output), 1);
    assert!(
        said(&output).contains("--null-reads unknown"),
        "{}",
        said(&output)
    );
    assert_eq!(json(&output)["file"], file.display().to_string());
    let mut command = keelhaul(&["check", "--model", "register", "--null-reads", "unknown"]);
    let output = command.arg(&file).output().unwrap();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let mut command = keelhaul(&["check", "--model", "set", "--null-reads", "unknown"]);
    let output = command.arg(&file).output().unwrap();
    assert_eq!(code(&output), 64, "{}", said(&output));
}

#[test]
fn a_history_that_cannot_be_generated_leaves_the_file_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["h.jsonl", "h.jsonl.zst"] {
        let file = folder.path().join(name);
        std::fs::write(&file, "mine").unwrap();
        let mut command = keelhaul(&["generate", "--model", "register", "--ops", "10", "-o"]);
        command.arg(&file);
        let output = command.args(["--break", "everything"]).output().unwrap();
        assert_eq!(code(&output), 64, "{}", said(&output));
        assert!(said(&output).contains("stale-read"), "{}", said(&output));
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
        let mut command = keelhaul(&["generate", "--model", "register", "--ops", "10", "-o"]);
        let output = command.arg(&file).output().unwrap();
        assert_eq!(code(&output), 0, "{}", said(&output));
        assert_eq!(code(&check(&file)), 0);
    }
}

#[test]
fn a_file_that_cannot_be_made_is_the_users_to_name_anew() {
    let mut command = keelhaul(&["generate", "--model", "register", "--ops", "10", "-o"]);
    let output = command.arg("/no/such/folder/h.jsonl").output().unwrap();
    assert_eq!(code(&output), 64, "{}", said(&output));
    assert!(said(&output).contains("name another file with -o"));
}
