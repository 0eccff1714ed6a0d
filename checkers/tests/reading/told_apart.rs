//! What is different stays different, and what is the same stays the same, in every form.

use keelhaul_checkers::{
    Budget, Format, History, NullReads, Parameters, ReadOptions, Verdict, by_name,
};

fn read(text: &str) -> History {
    match History::read(text.as_bytes()) {
        Ok((history, _)) => history,
        Err(error) => panic!("{text}: {error}"),
    }
}

fn refused(text: &str) -> String {
    History::read(text.as_bytes()).unwrap_err().to_string()
}

fn judge(model: &str, history: &History) -> Verdict {
    judge_with(model, history, &Parameters::default())
}

fn judge_with(model: &str, history: &History, parameters: &Parameters) -> Verdict {
    let checker = by_name(model, parameters).unwrap();
    checker.check(history, &Budget::default()).verdict
}

/// A register that was written and then read, in JSON and in EDN.
fn written_and_read(written: &str, read: &str) -> [String; 2] {
    let json = format!(
        r#"{{"process":0,"type":"invoke","f":"write","value":{written}}}
{{"process":0,"type":"ok","f":"write","value":{written}}}
{{"process":0,"type":"invoke","f":"read","value":null}}
{{"process":0,"type":"ok","f":"read","value":{read}}}
"#
    );
    let edn = format!(
        "{{:process 0, :type :invoke, :f :write, :value {written}}}
{{:process 0, :type :ok, :f :write, :value {written}}}
{{:process 0, :type :invoke, :f :read, :value nil}}
{{:process 0, :type :ok, :f :read, :value {read}}}
"
    );
    [json, edn]
}

#[test]
fn different_numbers_are_different_however_large() {
    for (one, other) in [
        ("18446744073709551616", "18446744073709551617"),
        ("-9223372036854775809", "-9223372036854775810"),
        ("0.1", "0.10000000000000000001"),
        ("1", "1.0"),
    ] {
        for text in written_and_read(one, other) {
            assert!(
                matches!(judge("register", &read(&text)), Verdict::Invalid(_)),
                "{text}"
            );
        }
        for text in written_and_read(one, one) {
            assert_eq!(judge("register", &read(&text)), Verdict::Valid, "{text}");
        }
    }
    for (one, other) in [
        ("0", "-0"),
        ("0.0", "-0.0"),
        ("0.1", "0.10000000000000000000"),
    ] {
        for text in written_and_read(one, other) {
            assert_eq!(judge("register", &read(&text)), Verdict::Valid, "{text}");
        }
    }
    let lists = |seen: &str| {
        format!(
            r#"{{"process":0,"type":"invoke","f":"txn","value":[["append","x",18446744073709551616]]}}
{{"process":0,"type":"ok","f":"txn","value":[["append","x",18446744073709551616]]}}
{{"process":0,"type":"invoke","f":"txn","value":[["r","x",null]]}}
{{"process":0,"type":"ok","f":"txn","value":[["r","x",[{seen}]]]}}
"#
        )
    };
    let verdict = |seen| judge("list-append", &read(&lists(seen)));
    assert_eq!(verdict("18446744073709551616"), Verdict::Valid);
    assert!(matches!(
        verdict("18446744073709551617"),
        Verdict::Invalid(_)
    ));
}

#[test]
fn sets_are_equal_in_any_order_and_are_no_lists() {
    let edn = |written: &str, seen: &str| read(&written_and_read(written, seen)[1]);
    for (one, other) in [
        ("#{1 2}", "#{2 1}"),
        ("#{:b 3 \"a\" 1}", "#{1 \"a\" 3 :b}"),
        ("#{#{2 1} 3}", "#{3 #{1 2}}"),
    ] {
        assert_eq!(
            judge("register", &edn(one, other)),
            Verdict::Valid,
            "{one} {other}"
        );
    }
    for (one, other) in [
        ("[1 2]", "#{1 2}"),
        ("#{1 2}", "#{1 3}"),
        ("#{1 2}", "#{1}"),
    ] {
        let verdict = judge("register", &edn(one, other));
        assert!(matches!(verdict, Verdict::Invalid(_)), "{one} {other}");
    }
    let set = edn("#{3 1 2}", "#{3 1 2}");
    let value = set.event(0).value();
    assert!(value.is_set());
    assert_eq!(value.as_list().map(|list| list.len()), Some(3));
    let mut written = Vec::new();
    set.write(Format::Edn, &mut written).unwrap();
    let written = String::from_utf8(written).unwrap();
    assert!(written.contains(":value #{1 2 3}"), "{written}");
    assert_eq!(read(&written), set);
}

#[test]
fn a_key_has_one_name() {
    let keys = |one: &str, other: &str| {
        format!(
            r#"{{"process":0,"type":"invoke","f":"write","key":{one},"value":1}}
{{"process":0,"type":"ok","f":"write","key":{one},"value":1}}
{{"process":0,"type":"invoke","f":"read","key":{other},"value":null}}
{{"process":0,"type":"ok","f":"read","key":{other},"value":1}}
"#
        )
    };
    read(&keys("1", "1"));
    read(&keys("\"1\"", "\"1\""));
    let said = refused(&keys("1", "\"1\""));
    assert!(
        said.contains("line 3") && said.contains("a text here, and a number"),
        "{said}"
    );
    let tuples = "{:process 0, :type :invoke, :f :write, :value [1 1]}\n\
        {:process 0, :type :ok, :f :write, :value [1 1]}\n\
        {:process 0, :type :invoke, :f :read, :value [\"1\" nil]}\n";
    let said = refused(tuples);
    assert!(
        said.contains("line 3") && said.contains("stands both"),
        "{said}"
    );
}

#[test]
fn nobodys_operations_are_lost() {
    for name in ["c1", "0"] {
        let line =
            format!("{{\"process\":\"{name}\",\"type\":\"invoke\",\"f\":\"write\",\"value\":1}}\n");
        let said = refused(&line);
        assert!(
            said.contains("line 1") && said.contains("is no number"),
            "{said}"
        );
    }
    let said = refused("{:process :client-a, :type :invoke, :f :read, :value nil}\n");
    assert!(said.contains("client-a"), "{said}");
    read("{\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"kill\",\"value\":null}\n");
    read("{:process :nemesis, :type :invoke, :f :start, :value nil}\n");
}

#[test]
fn lists_may_be_keys_and_tuples_are_known_by_their_tag() {
    let nested = "[{:type :invoke, :f :write, :value [[1 2] 5], :process 0}
{:type :ok, :f :write, :value [[1 2] 5], :process 0}
{:type :invoke, :f :write, :value [[1 3] 6], :process 0}
{:type :ok, :f :write, :value [[1 3] 6], :process 0}
{:type :invoke, :f :read, :value [[1 2] nil], :process 0}
{:type :ok, :f :read, :value [[1 2] 5], :process 0}]";
    let history = read(nested);
    assert_eq!(history.event(0).key(), Some("[1,2]"));
    assert_eq!(judge("register", &history), Verdict::Valid);
    // No read of nil tells that these are tuples; their tag does.
    let tagged = "{:type :invoke, :f :write, :value #jepsen.independent/tuple [1 5], :process 0}
{:type :ok, :f :write, :value #jepsen.independent/tuple [1 5], :process 0}
";
    let history = read(tagged);
    assert_eq!(
        (history.event(0).key(), history.event(0).value().as_i64()),
        (Some("1"), Some(5))
    );
    let plain = tagged.replace("#jepsen.independent/tuple ", "");
    assert_eq!(read(&plain).event(0).key(), None);
    let options = ReadOptions {
        independent: Some(false),
    };
    let (untouched, _) = History::read_with(tagged.as_bytes(), &options).unwrap();
    assert_eq!(untouched.event(0).key(), None);
}

#[test]
fn a_field_stands_once() {
    for text in [
        "{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1,\"value\":2}\n",
        "{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1,\"server\":\"a\",\"server\":\"b\"}\n",
        "{:process 0, :type :invoke, :f :write, :value 1, :value 2}\n",
    ] {
        let said = refused(text);
        assert!(
            said.contains("stands here twice") && said.contains("line 1"),
            "{said}"
        );
    }
}

#[test]
fn what_is_no_history_is_called_so() {
    let said = refused("hello world\n");
    assert!(
        said.starts_with("line 1, column 1: this is no history"),
        "{said}"
    );
    let said = refused("\n\n  hello world\n");
    assert!(
        said.starts_with("line 3, column 3: this is no history"),
        "{said}"
    );
    assert!(refused("\u{1}\u{2}\u{3}").contains("binary data"));
}

#[test]
fn without_times_none_are_written() {
    let history = read(&written_and_read("1", "1")[0]);
    for format in [Format::JsonLines, Format::Json, Format::Edn] {
        let mut written = Vec::new();
        history.write(format, &mut written).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert!(!written.contains("time"), "{written}");
        assert_eq!(read(&written), history);
    }
}

#[test]
fn an_answer_repeats_what_was_asked() {
    let of = |asked: &str, told: &str, f: &str| {
        read(&format!(
            r#"{{"process":0,"type":"invoke","f":"{f}","value":{asked}}}
{{"process":0,"type":"ok","f":"{f}","value":{told}}}
"#
        ))
    };
    for (model, f, asked, told) in [
        (
            "list-append",
            "txn",
            r#"[["append","x",1]]"#,
            r#"[["append","x",7]]"#,
        ),
        (
            "list-append",
            "txn",
            r#"[["append","x",1]]"#,
            r#"[["append","y",1]]"#,
        ),
        (
            "list-append",
            "txn",
            r#"[["append","x",1],["r","x",null]]"#,
            r#"[["r","x",[]]]"#,
        ),
        ("rw-register", "txn", r#"[["w","x",1]]"#, r#"[["w","x",2]]"#),
        (
            "multi-register",
            "txn",
            r#"[["w","x",1]]"#,
            r#"[["w","x",2]]"#,
        ),
        ("register", "write", "1", "2"),
        ("fifo-queue", "enqueue", "1", "2"),
    ] {
        let history = of(asked, told, f);
        let checker = by_name(model, &Parameters::default()).unwrap();
        let details = checker.check(&history, &Budget::default()).details;
        assert_eq!(
            details["misfit"]["index"], 1,
            "{model} {asked} {told}: {details}"
        );
    }
}

#[test]
fn a_read_of_null_may_say_nothing() {
    let unknown = Parameters {
        null_reads: NullReads::Unknown,
        ..Parameters::default()
    };
    let history = |answer: &str| {
        read(&format!(
            "{{:process 0, :type :invoke, :f :write, :value 1}}\n\
            {{:process 0, :type :ok, :f :write, :value 1}}\n\
            {{:process 0, :type :invoke, :f :read, :value nil}}\n\
            {{:process 0, :type :ok, :f :read, :value {answer}}}\n\
            {{:process 0, :type :invoke, :f :read, :value nil}}\n\
            {{:process 0, :type :ok, :f :read, :value 1}}\n"
        ))
    };
    assert!(history("nil").is_jepsens());
    for model in ["register", "cas-register"] {
        assert!(matches!(judge(model, &history("nil")), Verdict::Invalid(_)));
        assert_eq!(judge_with(model, &history("nil"), &unknown), Verdict::Valid);
        assert!(matches!(
            judge_with(model, &history("2"), &unknown),
            Verdict::Invalid(_)
        ));
    }
    let multi = read(
        "{:process 0, :type :invoke, :f :txn, :value [[:w :x 1]]}\n\
        {:process 0, :type :ok, :f :txn, :value [[:w :x 1]]}\n\
        {:process 0, :type :invoke, :f :txn, :value [[:r :x nil] [:w :y 1]]}\n\
        {:process 0, :type :ok, :f :txn, :value [[:r :x nil] [:w :y 1]]}\n\
        {:process 0, :type :invoke, :f :txn, :value [[:r :y nil]]}\n\
        {:process 0, :type :ok, :f :txn, :value [[:r :y 1]]}\n",
    );
    assert!(matches!(
        judge("multi-register", &multi),
        Verdict::Invalid(_)
    ));
    assert_eq!(
        judge_with("multi-register", &multi, &unknown),
        Verdict::Valid
    );
}
