//! What the command line says to input that is wrong, and to histories by themselves.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Store, code, json, keelhaul};
use std::io::Write;
use std::process::{Output, Stdio};

fn refused(output: &Output, exit: i32, wanted: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(code(output), exit, "{said}");
    for word in wanted {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
}

fn check_text(history: &str, model: &str) -> Output {
    let mut command = keelhaul(&["check", "--json", "-", "--model", model]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A history that is refused early is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(history.as_bytes());
    child.wait_with_output().unwrap()
}

const VALID: &str = r#"{"index":0,"time":10,"process":0,"type":"invoke","f":"write","value":1}
{"index":1,"time":20,"process":0,"type":"ok","f":"write","value":1}
{"index":2,"time":30,"process":1,"type":"invoke","f":"read","value":null}
{"index":3,"time":40,"process":1,"type":"ok","f":"read","value":1}
"#;

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let run = |options: &[&str]| Store::new().run(options).output().unwrap();
    refused(
        &run(&["--workload", "regsiter"]),
        64,
        &["regsiter", "`register`"],
    );
    refused(
        &run(&["--nemesis", "kill,puase"]),
        64,
        &["puase", "`pause`"],
    );
    refused(&run(&["--nemesis", "zzz"]), 64, &["zzz", "kill, pause"]);
    refused(
        &run(&["--nemesis", "kill,none"]),
        64,
        &["`none` stands alone"],
    );
    refused(&run(&["--nemesis", ",,,"]), 64, &["empty name"]);
    refused(&run(&["--nemesis", "kill,kill"]), 64, &["`kill` twice"]);
    refused(&run(&["--nodes", "99"]), 64, &["--nodes 99"]);
    refused(&run(&["--time-limit", "soon"]), 64, &["soon", "500ms"]);
    refused(
        &run(&["--node-bin", "/no/such/node"]),
        64,
        &["/no/such/node", "cargo build"],
    );
    refused(
        &run(&["--plan", "/no/such/plan.json"]),
        64,
        &["/no/such/plan.json"],
    );
    let model = keelhaul(&["check", "-", "--model", "registre"])
        .output()
        .unwrap();
    refused(&model, 64, &["registre", "`register`"]);
}

#[test]
fn numbers_out_of_bounds_are_refused_before_anything_is_made() {
    for (option, value) in [
        ("--keys", "100000000"),
        ("--keys", "0"),
        ("--workers", "1000000"),
        ("--nodes", "0"),
        ("--nodes", "-1"),
        ("--rate", "-1"),
        ("--rate", "inf"),
        ("--rate", "nan"),
        ("--time-limit", "-5"),
        ("--time-limit", "0"),
        ("--recovery-limit", "0"),
    ] {
        let store = Store::new();
        let output = store.run(&[option, value]).output().unwrap();
        refused(&output, 64, &[option]);
        assert_eq!(std::fs::read_dir(store.path()).unwrap().count(), 0);
    }
    for (option, value) in [("--port", "0"), ("--port", "65534"), ("--nodes", "-1")] {
        let output = keelhaul(&["up", option, value]).output().unwrap();
        refused(&output, 64, &[option]);
    }
}

#[test]
fn a_plan_file_that_names_what_is_not_there_is_refused_even_by_a_dry_run() {
    let store = Store::new();
    let good = store.plan(&["--nemesis", "kill"], serde_json::json!([]));
    let good = std::fs::read_to_string(good).unwrap();
    for (from, to, wanted) in [
        ("\"register-kill\"", "\"../../evil\"", "../../evil"),
        ("\"register\"", "\"regsiter\"", "`register`"),
        ("\"system\":\"node\"", "\"system\":\"nod\"", "`node`"),
    ] {
        let bad = store.path().join("bad.json");
        assert!(good.contains(from), "{good}");
        std::fs::write(&bad, good.replace(from, to)).unwrap();
        let output = store
            .run(&["--dry-run", "--plan", bad.to_str().unwrap()])
            .output()
            .unwrap();
        refused(&output, 64, &[wanted, "bad.json"]);
    }
}

#[test]
fn a_plan_that_cannot_do_what_it_is_for_is_run_with_a_note() {
    let noted = |options: &[&str]| {
        let mut dry = Store::new().run(options);
        let output = dry.arg("--dry-run").output().unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let short = noted(&["--time-limit", "12"]);
    assert!(
        short.contains("no episode of") && short.contains("--time-limit 15"),
        "{short}"
    );
    assert_eq!(noted(&["--time-limit", "15"]), "");
    let local = noted(&["--workload", "set", "--reads", "local"]);
    assert!(local.contains("final reads"), "{local}");
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["help", "run"],
        &["--version"],
    ] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let child = keelhaul(arguments)
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        refused(&child.wait_with_output().unwrap(), 70, &["standard output"]);
    }
}

#[test]
fn what_is_not_there_or_is_no_run_is_said_before_anything_else() {
    for command in ["check", "heal"] {
        let missing = keelhaul(&[command, "/no/such/run"]).output().unwrap();
        refused(&missing, 64, &["/no/such/run", "No such file"]);
    }
    let store = Store::new();
    let empty = store.path().to_str().unwrap();
    for arguments in [&["check", empty][..], &["check", empty, "--model", "set"]] {
        let output = keelhaul(arguments).output().unwrap();
        refused(&output, 64, &["not a run directory", "plan.json"]);
    }
}

#[test]
fn a_history_by_itself_is_judged_and_the_exit_code_says_it() {
    let valid = check_text(VALID, "register");
    assert_eq!((code(&valid), &json(&valid)["valid"]), (0, &true.into()));
    let stale = VALID.replace(
        r#""ok","f":"read","value":1"#,
        r#""ok","f":"read","value":2"#,
    );
    let invalid = check_text(&stale, "register");
    assert_eq!(
        (code(&invalid), &json(&invalid)["valid"]),
        (1, &false.into())
    );
}

#[test]
fn a_history_without_operations_is_unknown_not_valid() {
    let empty = check_text("", "register");
    assert_eq!(
        (code(&empty), &json(&empty)["valid"]),
        (2, &"unknown".into())
    );
}

#[test]
fn a_cut_off_history_is_judged_and_told_of_and_a_broken_one_is_refused() {
    let cut = check_text(&format!("{VALID}{{\"index\":4,\"ti"), "register");
    assert_eq!(code(&cut), 0);
    assert!(
        String::from_utf8_lossy(&cut.stderr).contains("line 5"),
        "{cut:?}"
    );
    refused(
        &check_text("no history\n", "register"),
        64,
        &["standard input", "this is no history"],
    );
    let missing = keelhaul(&["check", "/no/such/history", "--model", "register"])
        .output()
        .unwrap();
    refused(&missing, 64, &["/no/such/history"]);
}

fn stale() -> String {
    VALID.replace(
        r#""ok","f":"read","value":1"#,
        r#""ok","f":"read","value":null"#,
    )
}

#[test]
fn several_histories_are_judged_at_once_and_the_worst_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (valid, invalid) = (file("valid.jsonl", VALID), file("stale.jsonl", &stale()));
    let (empty, broken) = (file("empty.jsonl", ""), file("broken.jsonl", "{}\n"));
    let check = |files: &[&str]| {
        let mut command = keelhaul(&["check", "--model", "register"]);
        command.args(files).output().unwrap()
    };
    for (files, exit) in [
        (vec![&*valid, &valid], 0),
        (vec![&valid, &empty], 2),
        (vec![&empty, &broken, &valid], 64),
        (vec![&valid, &invalid, &broken, &empty], 1),
    ] {
        let output = check(&files);
        assert_eq!(code(&output), exit, "{files:?}: {output:?}");
    }
    let told = String::from_utf8(check(&[&valid, &invalid]).stdout).unwrap();
    let lines: Vec<&str> = told.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(
        lines[0].starts_with(&format!("VALID {valid} (2 operations, decided by ")),
        "{told}"
    );
    assert!(
        lines[1].starts_with(&format!("INVALID {invalid} (2 operations")),
        "{told}"
    );
    let all = json(
        &keelhaul(&["check", "--json", "--model", "register", &valid, &invalid])
            .output()
            .unwrap(),
    );
    assert_eq!(
        (&all[0]["valid"], &all[1]["valid"]),
        (&true.into(), &false.into())
    );
    assert_eq!(all[1]["file"], *invalid);
    let brief = keelhaul(&["check", "--brief", "--model", "register", &valid, &invalid])
        .output()
        .unwrap();
    assert_eq!(code(&brief), 1);
    let brief = String::from_utf8(brief.stdout).unwrap();
    assert_eq!(brief.lines().count(), 3, "{brief}");
    assert!(
        brief.contains("\n  nonlinearizable (register): the only object is not linearizable: "),
        "{brief}"
    );
    assert!(all[1]["anomalies"][0]["witness"]["history"].is_array());
}

#[test]
fn an_anomaly_is_explained_in_files_and_its_sub_history_is_invalid_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("history.jsonl");
    std::fs::write(&history, stale()).unwrap();
    let out = folder.path().join("why");
    let output = keelhaul(&["check", "--model", "register", "--explain"])
        .args([&out, &history])
        .output()
        .unwrap();
    assert_eq!(code(&output), 1);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert!(read("1-nonlinearizable.svg").starts_with("<svg"));
    assert!(read("1-nonlinearizable.dot").starts_with("digraph"));
    assert!(read("1-nonlinearizable.txt").contains("read → null"));
    let part = out.join("1-nonlinearizable.jsonl");
    let again = keelhaul(&["check", "--model", "register"])
        .arg(part)
        .output()
        .unwrap();
    assert_eq!(code(&again), 1);
}

#[test]
fn what_a_model_begins_with_can_be_said() {
    let read = VALID.lines().skip(2).collect::<Vec<&str>>().join("\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("read.jsonl");
    std::fs::write(
        &path,
        read.replace("\"index\":2,", "").replace("\"index\":3,", ""),
    )
    .unwrap();
    let check = |initial: &str| {
        let mut command = keelhaul(&["check", "--model", "register", "--initial", initial]);
        code(&command.arg(&path).output().unwrap())
    };
    assert_eq!((check("1"), check("2")), (0, 1));
}

#[test]
fn one_malformed_file_is_told_as_json_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, "hello\n").unwrap();
    let mut command = keelhaul(&["check", "--json", "--model", "register"]);
    let output = command.arg(&path).output().unwrap();
    refused(&output, 64, &["this is no history"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["file"], path.display().to_string());
    assert!(told["error"].as_str().unwrap().contains("line 1, column 1"));
}

#[test]
fn what_a_model_cannot_begin_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    for (text, model, initial, wanted) in [
        ("", "mutex", "5", "held (true) or free (false)"),
        ("", "semaphore", "-1", "a whole number of permits"),
        (VALID, "fifo-queue", "5", "a list of values"),
        (VALID, "counter", "\"five\"", "a whole number"),
        (VALID, "register", "zero", "`zero` is no JSON"),
        ("", "set", "{}", "a list of values"),
        ("", "bank", "[100]", "a map of balances"),
        (VALID, "list-append", "5", "a list begins as a list"),
        (VALID, "unique-ids", "5", "--model register"),
    ] {
        std::fs::write(&path, text).unwrap();
        let mut command = keelhaul(&["check", "--model", model, "--initial", initial]);
        let output = command.arg(&path).output().unwrap();
        refused(&output, 64, &["--initial", wanted]);
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}

#[test]
fn an_invalid_verdict_shows_the_smallest_part_without_being_asked() {
    let mut text = String::new();
    // Other work before and after, on an object of its own.
    for round in 0..40 {
        let key = if round == 20 { "r1" } else { "r2" };
        let read = if round == 20 {
            "null".to_owned()
        } else {
            round.to_string()
        };
        for (kind, f, value) in [
            ("invoke", "write", round.to_string()),
            ("ok", "write", round.to_string()),
            ("invoke", "read", "null".to_owned()),
            ("ok", "read", read),
        ] {
            text.push_str(&format!(
                "{{\"process\":3,\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"{key}\",\"value\":{value}}}\n"
            ));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, text).unwrap();
    let mut command = keelhaul(&["check", "--model", "register"]);
    let output = command.arg(&path).output().unwrap();
    assert_eq!(code(&output), 1);
    let told = String::from_utf8(output.stdout).unwrap();
    let part: Vec<&str> = told
        .lines()
        .skip_while(|line| !line.contains("the smallest part"))
        .collect();
    assert_eq!(
        part,
        [
            "  the smallest part that was found to show it by itself, 4 lines:",
            "    line 81  process 3  invoke write r1 20",
            "    line 82  process 3  ok     write r1 20",
            "    line 83  process 3  invoke read r1",
            "    line 84  process 3  ok     read r1 null",
        ],
        "{told}"
    );
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let check = |options: &[&str]| keelhaul(&["check", "-"]).args(options).output().unwrap();
    refused(
        &check(&["--model", "register", "--consistency", "serializable"]),
        64,
        &["list-append"],
    );
    refused(
        &check(&["--model", "list-append", "--consistency", "serialisable"]),
        64,
        &["did you mean `serializable`"],
    );
    refused(
        &check(&["--model", "register", "--memory", "much"]),
        64,
        &["much", "512MiB"],
    );
    let misfit = VALID.replace("\"f\":\"write\"", "\"f\":\"cas\"");
    refused(
        &check_text(&misfit, "cas-register"),
        64,
        &["standard input: line 1, column", "[old, new]"],
    );
}

#[test]
fn a_port_in_use_is_named() {
    let held = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = held.local_addr().unwrap().port();
    let store = Store::new();
    let up = keelhaul(&["up", "--nodes", "1", "--port", &port.to_string(), "--store"])
        .arg(store.path())
        .output()
        .unwrap();
    refused(&up, 64, &[&format!("port {port} "), "in use"]);
}

#[test]
fn a_dry_run_prints_a_plan_and_the_same_seed_prints_the_same() {
    let store = Store::new();
    let plan = |seed: &str| json(&store.run(&["--dry-run", "--seed", seed]).output().unwrap());
    assert_eq!(plan("7"), plan("7"));
    assert_ne!(plan("7")["schedule"], plan("8")["schedule"]);
    // The planted bug of the tour shows in these reads alone.
    assert_eq!(plan("7")["options"]["reads"], "sync");
    assert!(!store.latest().exists());
}

#[test]
fn only_what_exists_is_listed_and_helped_with() {
    let listed = json(&keelhaul(&["list", "--json"]).output().unwrap());
    for part in ["workloads", "faults", "models", "checkers", "systems"] {
        assert!(!listed[part].as_array().unwrap().is_empty(), "{part}");
    }
    let said = |arguments: &[&str]| {
        let output = keelhaul(arguments).output().unwrap();
        assert_eq!(code(&output), 0, "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(said(&["help", "run"]), said(&["run", "--help"]));
    let help = said(&["--help"]);
    assert!(
        !help.contains("supervisor") && help.contains("130"),
        "{help}"
    );
}

#[test]
fn what_checkers_count_is_printed_beside_a_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    std::fs::write(&path, VALID).unwrap();
    let said = |models: &[&str]| {
        let output = keelhaul(&["check"])
            .args(models)
            .arg(&path)
            .output()
            .unwrap();
        (code(&output), String::from_utf8(output.stdout).unwrap())
    };
    let (exit, alone) = said(&["--model", "stats"]);
    assert_eq!(exit, 2, "{alone}");
    for models in [
        &["--model", "register,stats,unhandled-errors"][..],
        &[
            "--model",
            "register",
            "--model",
            "stats",
            "--model",
            "unhandled-errors",
        ],
    ] {
        let (exit, text) = said(models);
        assert_eq!(exit, 0, "{text}");
        let row = |f: &str| {
            let line = text.lines().find(|line| line.starts_with(f)).unwrap();
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<String>>()
        };
        assert_eq!(row("read")[1..4], ["1", "0", "0"], "{text}");
        assert_eq!(row("all")[1..4], ["2", "0", "0"], "{text}");
        assert!(text.contains("indeterminate operations: 0"), "{text}");
    }
}

#[test]
fn what_may_be_assumed_of_registers_is_said_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    // One process writes 1 and then 2; another one reads 2 and then 1: against each process's order, if that is taken for granted.
    let txns = [
        (0, r#"[["w","x",1]]"#),
        (0, r#"[["w","x",2]]"#),
        (1, r#"[["r","x",2]]"#),
        (1, r#"[["r","x",1]]"#),
    ];
    let lines = txns.iter().flat_map(|(process, value)| {
        ["invoke", "ok"].map(|kind| {
            format!(
                "{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"txn\",\"value\":{value}}}\n"
            )
        })
    });
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    let check = |assume: &str| {
        let options = ["--consistency", "serializable", "--assume", assume];
        let mut command = keelhaul(&["check", "--model", "rw-register"]);
        command.args(options).arg(&path).output().unwrap()
    };
    assert_eq!(code(&check("none")), 0);
    assert_eq!(code(&check("sequential-keys")), 1);
    refused(&check("sequential"), 64, &["sequential-keys"]);
    let lists = keelhaul(&["check", "--model", "list-append", "--assume", "wfr-keys"])
        .arg(&path)
        .output()
        .unwrap();
    refused(&lists, 64, &["--assume", "rw-register"]);
}

#[test]
fn stale_reads_of_a_set_are_told_and_judged_where_that_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let answers = [
        r#""f":"add","value":1"#,
        r#""f":"read","value":[]"#,
        r#""f":"read","value":[1]"#,
    ];
    let lines = answers.iter().flat_map(|answer| {
        ["invoke", "ok"].map(|kind| format!("{{\"process\":0,\"type\":\"{kind}\",{answer}}}\n"))
    });
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    let plain = keelhaul(&["check", "--model", "set-full"])
        .arg(&path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&plain.stdout);
    assert_eq!(code(&plain), 0, "{text}");
    assert!(text.contains("then there again: 1;"), "{text}");
    let judged = keelhaul(&["check", "--model", "set-full", "--linearizable-reads"]);
    let judged = { judged }.arg(&path).output().unwrap();
    assert_eq!(code(&judged), 1, "{judged:?}");
}

/// Apache ZooKeeper stamps its reply after the read: the same lines are sound under its contract, and not under the node's.
#[test]
fn a_bare_history_is_judged_by_the_contract_of_its_system() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stamped.jsonl");
    let lines = [
        r#""process":1,"type":"invoke","f":"create","key":"/a","value":1"#,
        r#""process":1,"type":"ok","f":"create","key":"/a","value":1,"session":"0x1","zxid":10,"mzxid":10"#,
        r#""process":2,"type":"invoke","f":"get","key":"/a","value":null,"mode":"local""#,
        r#""process":1,"type":"invoke","f":"set","key":"/a","value":2"#,
        r#""process":1,"type":"ok","f":"set","key":"/a","value":2,"session":"0x1","zxid":11,"mzxid":11"#,
        r#""process":2,"type":"ok","f":"get","key":"/a","value":1,"session":"0x2","zxid":11,"mzxid":10"#,
    ];
    let lines = lines.iter().enumerate();
    let lines = lines.map(|(at, line)| format!("{{\"index\":{at},\"time\":{at},{line}}}\n"));
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    let judged = |contract: &[&str]| {
        let models = ["check", "--model", "znodes,session-order,zxid-audit"];
        let output = keelhaul(&models).args(contract).arg(&path).output();
        code(&output.unwrap())
    };
    assert_eq!(judged(&["--contract", "zookeeper"]), 0);
    assert_eq!(judged(&["--contract", "keelhaul-node"]), 1);
    assert_eq!(judged(&[]), 1);
    assert_eq!(judged(&["--contract", "etcd"]), 64);
    let models = ["check", "--model", "register", "--contract", "zookeeper"];
    let output = keelhaul(&models).arg(&path).output().unwrap();
    assert_eq!(code(&output), 64, "a register asks for no contract");
}

#[test]
fn the_list_of_models_says_what_each_is_asked() {
    let output = keelhaul(&["list", "models"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for wanted in [
        "enqueue(value), dequeue → value",
        r#""f":"enqueue","value":5"#,
    ] {
        assert!(text.contains(wanted), "{text}");
    }
}
