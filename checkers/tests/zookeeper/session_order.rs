//! `session-order` on the tree's own operations.

use crate::common::{judge, validity};
use keelhaul_checkers::generate::{Options, generate};
use keelhaul_checkers::{History, Verdict};

fn generated(options: &Options) -> History {
    let mut lines = Vec::new();
    generate(options, &mut lines).unwrap();
    History::read(&lines[..]).unwrap().0
}

fn znodes(seed: u64, info: f64, fail: f64) -> Options {
    Options {
        model: "znodes".to_owned(),
        operations: 300,
        info,
        fail,
        seed,
        ..Options::default()
    }
}

fn read(lines: &str) -> History {
    History::read(lines.as_bytes()).unwrap().0
}

#[test]
fn a_stale_local_get_is_no_write_with_a_used_zxid() {
    let history = read(
        r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"create","key":"/a","value":1,"session":"s1"}
{"index":1,"time":2,"process":0,"type":"ok","f":"create","key":"/a","value":1,"zxid":1,"session":"s1"}
{"index":2,"time":3,"process":1,"type":"invoke","f":"set","key":"/a","value":2,"expected":0,"session":"s2"}
{"index":3,"time":4,"process":1,"type":"ok","f":"set","key":"/a","value":2,"zxid":2,"version":1,"session":"s2"}
{"index":4,"time":5,"process":2,"type":"invoke","f":"get","key":"/a","value":null,"mode":"local","session":"s3"}
{"index":5,"time":6,"process":2,"type":"ok","f":"get","key":"/a","value":1,"zxid":1,"version":0,"mzxid":1,"session":"s3"}
"#,
    );
    assert_eq!(judge("session-order", &history).verdict, Verdict::Valid);
}

#[test]
fn every_sound_history_of_znodes_is_valid() {
    for seed in 1..=200 {
        let (info, fail) = [(0.0, 0.0), (0.02, 0.0), (0.05, 0.03), (0.2, 0.1)][seed as usize % 4];
        let history = generated(&znodes(seed, info, fail));
        let finding = judge("session-order", &history);
        assert_eq!(
            finding.verdict,
            Verdict::Valid,
            "seed {seed}, info {info}, fail {fail}"
        );
        assert!(finding.details["writes"].as_u64() > Some(50));
        assert!(finding.details["reads"]["local"].as_u64() > Some(10));
    }
}

#[test]
fn what_breaks_session_order_among_znodes_is_found() {
    // What is broken, and of how many such histories at least it shows to those who only look at zxids and data.
    let kinds = [
        ("session-went-back", 20),
        ("zxid-reused", 20),
        ("unwritten-read", 20),
        ("lost-write", 18),
    ];
    for (kind, at_least) in kinds {
        let is_found = |seed: &u64| {
            let options = Options {
                breaking: Some(kind.to_owned()),
                ..znodes(*seed, 0.01, 0.01)
            };
            validity(&judge("session-order", &generated(&options))) == Some(false)
        };
        let found = (0..20).filter(is_found).count();
        println!("{kind}: {found} of 20");
        assert!(found >= at_least, "{kind}: {found} of 20");
    }
}

#[test]
fn a_function_that_the_tree_does_not_have_is_refused_by_name() {
    let history = read(
        r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"zap","key":"/a","value":1}
{"index":1,"time":2,"process":0,"type":"ok","f":"zap","key":"/a","value":1,"zxid":1}
"#,
    );
    let finding = judge("session-order", &history);
    let text = finding.details["misfit"]["text"].as_str().unwrap();
    assert!(
        text.contains("`zap`") && text.contains("children"),
        "{text}"
    );
}

#[test]
fn a_get_that_does_not_tell_which_write_it_shows_is_refused() {
    let history = read(
        r#"{"index":0,"time":1,"process":0,"type":"invoke","f":"get","key":"/a","value":null}
{"index":1,"time":2,"process":0,"type":"ok","f":"get","key":"/a","value":1,"zxid":1}
"#,
    );
    let finding = judge("session-order", &history);
    let text = finding.details["misfit"]["text"].as_str().unwrap();
    assert!(text.contains("`mzxid`"), "{text}");
}

/// Lines of `process type f path value zxid`, with further fields behind that; each process has a session of its own.
fn story(lines: &[&str]) -> History {
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let mut words = line.splitn(6, ' ');
        let mut word = || words.next().unwrap();
        let (process, kind, f, path, value) = (word(), word(), word(), word(), word());
        let more = words.next().map(|more| format!(",{more}"));
        let key = match path {
            "-" => String::new(),
            path => format!(r#","key":"{path}""#),
        };
        text += &format!(
            r#"{{"index":{index},"time":{index},"process":{process},"type":"{kind}","f":"{f}"{key},"value":{value},"session":"s{process}"{}}}"#,
            more.unwrap_or_default()
        );
        text.push('\n');
    }
    read(&text)
}

const NO_NODE: &str = r#"2 ok get PATH null "zxid":8,"error":"NoNode""#;

#[test]
fn a_znode_goes_with_its_session_whoever_wrote_it_last_and_whether_its_create_was_answered() {
    let lost_create = [
        r#"1 invoke create /e 1 "ephemeral":true"#,
        "1 info create /e 1",
    ];
    let created = [
        r#"1 invoke create /e 1 "ephemeral":true"#,
        r#"1 ok create /e 1 "zxid":5"#,
    ];
    let lost_set = ["3 invoke set /e 2", "3 info set /e 2"];
    let set = ["3 invoke set /e 2", r#"3 ok set /e 2 "zxid":6"#];
    let shown = |zxid: u32, value: u32| {
        let told = format!(r#"2 ok get /e {value} "zxid":{zxid},"mzxid":{zxid}"#);
        ["2 invoke get /e null".to_owned(), told]
    };
    let closed = ["1 invoke close - null", r#"1 ok close - null "zxid":7"#];
    let half_closed = ["1 invoke close - null", "1 info close - null"];
    let none = NO_NODE.replace("PATH", "/e");
    let gone = ["2 invoke get /e null", &none];
    let still = [
        "2 invoke get /e null",
        r#"2 ok get /e 1 "zxid":8,"mzxid":5"#,
    ];
    let (first, second) = (shown(5, 1), shown(6, 2));
    let first = [&*first[0], &*first[1]];
    let second = [&*second[0], &*second[1]];
    let valid = [
        vec![lost_create, first, closed, gone],
        vec![lost_create, first, half_closed, gone],
        vec![created, lost_set, second, closed, gone],
        vec![created, lost_set, second, half_closed, gone],
        // The create is not shown, but what was made of its znode.
        vec![lost_create, set, closed, gone],
        vec![lost_create, set, half_closed, gone],
        vec![lost_create, lost_set, second, closed, gone],
        vec![lost_create, first, lost_set, second, closed, gone],
        // Nobody knows which of the two made it.
        vec![
            lost_create,
            ["3 invoke create /e 1", "3 info create /e 1"],
            first,
            closed,
            gone,
        ],
        vec![
            lost_create,
            ["3 invoke create /e 1", "3 info create /e 1"],
            first,
            closed,
            still,
        ],
    ];
    for parts in valid {
        let lines = parts.concat();
        let finding = judge("session-order", &story(&lines));
        assert_eq!(finding.verdict, Verdict::Valid, "{}", lines.join("\n"));
    }
    let invalid = [
        vec![lost_create, first, gone],
        vec![lost_create, first, closed, still],
        vec![
            ["1 invoke create /e 1", "1 info create /e 1"],
            first,
            closed,
            gone,
        ],
        vec![created, lost_set, second, gone],
    ];
    for parts in invalid {
        let lines = parts.concat();
        let finding = judge("session-order", &story(&lines));
        assert_eq!(validity(&finding), Some(false), "{}", lines.join("\n"));
    }
}

#[test]
fn so_does_one_whose_name_only_others_tell() {
    let path = "/q/n-0000000001";
    let none = NO_NODE.replace("PATH", path);
    let asked = format!("2 invoke get {path} null");
    let shown = format!(r#"2 ok get {path} 1 "zxid":5,"mzxid":5"#);
    let set = format!(r#"3 ok set {path} 2 "zxid":6"#);
    let sets = format!("3 invoke set {path} 2");
    let made = [
        r#"1 invoke create /q/n- 1 "sequential":true,"ephemeral":true"#,
        "1 info create /q/n- 1",
    ];
    for (seen, closes) in [
        ([&*asked, &*shown], "1 info close - null"),
        ([&*asked, &*shown], r#"1 ok close - null "zxid":7"#),
        ([&*sets, &*set], "1 info close - null"),
        ([&*sets, &*set], r#"1 ok close - null "zxid":7"#),
    ] {
        let closed = ["1 invoke close - null", closes];
        let lines = [made, seen, closed, [&*asked, &*none]].concat();
        let finding = judge("session-order", &story(&lines));
        assert_eq!(finding.verdict, Verdict::Valid, "{}", lines.join("\n"));
        let lines = [made, seen, [&*asked, &*none]].concat();
        let finding = judge("session-order", &story(&lines));
        assert_eq!(validity(&finding), Some(false), "{}", lines.join("\n"));
    }
}

/// What reads show of an indeterminate multi is what its last step on the znode left, and no sequential znode that one of its steps
/// may have made is one that an earlier step met.
#[test]
fn a_lost_multi_leaves_what_its_last_step_left() {
    let number = "/n-0000000000";
    let made = [
        r#"1 invoke create /n- 4 "sequential":true"#.to_owned(),
        format!(r#"1 ok create /n- 4 "zxid":6,"path":"{number}""#),
    ];
    let multi = |steps: &str| {
        [
            format!("1 invoke multi - {steps}"),
            format!("1 info multi - {steps}"),
        ]
    };
    let shows = |path: &str, value: u32| {
        [
            format!("2 invoke get {path} null"),
            format!(r#"2 ok get {path} {value} "zxid":7,"mzxid":7"#),
        ]
    };
    let set = ["3 invoke set /b 3".to_owned(), "3 info set /b 3".to_owned()];
    let b = [
        "1 invoke create /b 1".to_owned(),
        r#"1 ok create /b 1 "zxid":1"#.to_owned(),
    ];
    let closed = [
        "1 invoke close - null".to_owned(),
        r#"1 ok close - null "zxid":8"#.to_owned(),
    ];
    let still = [
        format!("4 invoke get {number} null"),
        format!(r#"4 ok get {number} 7 "zxid":9,"mzxid":7"#),
    ];
    let set_and_make =
        format!(r#"[["set","{number}",7,0],["create","/n-",8,{{"sequential":true}}]]"#);
    let and_own = set_and_make.replace("true}", r#"true,"ephemeral":true}"#);
    let make_and_set =
        format!(r#"[["create","/n-",8,{{"sequential":true}}],["set","{number}",7,0]]"#);
    let twice = r#"[["set","/b",3,-1],["set","/b",4,-1]]"#;
    let and_gone = r#"[["set","/b",3,-1],["delete","/b",-1]]"#;
    let valid = [
        vec![made.clone(), multi(&set_and_make), shows(number, 7)],
        vec![made.clone(), multi(&make_and_set), shows(number, 7)],
        vec![multi(&make_and_set), shows(number, 7)],
        vec![b.clone(), multi(twice), shows("/b", 4)],
        vec![b.clone(), multi(twice), set.clone(), shows("/b", 3)],
        vec![b.clone(), multi(and_gone), set, shows("/b", 3)],
        // What it made beside goes with its session; what it only set does not.
        vec![
            made.clone(),
            multi(&and_own),
            shows(number, 7),
            closed,
            still,
        ],
    ];
    for parts in valid {
        let lines = parts.concat();
        let lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
        let finding = judge("session-order", &story(&lines));
        assert_eq!(finding.verdict, Verdict::Valid, "{}", lines.join("\n"));
    }
    let invalid = [
        vec![made.clone(), multi(&set_and_make), shows(number, 8)],
        vec![b.clone(), multi(twice), shows("/b", 3)],
        vec![b, multi(and_gone), shows("/b", 3)],
        vec![made, multi(&make_and_set), shows(number, 8)],
    ];
    for parts in invalid {
        let lines = parts.concat();
        let lines: Vec<&str> = lines.iter().map(|line| &**line).collect();
        let finding = judge("session-order", &story(&lines));
        assert_eq!(validity(&finding), Some(false), "{}", lines.join("\n"));
    }
}
