//! cli_mt, the command line of ZooKeeper's C client.

use crate::process::Cluster;
use crate::{hosts, in_this_order, skipped};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const CLI: &str = "/usr/lib/zookeeper/bin/cli_mt";

/// It answers asynchronously, and takes the end of its input as its own end: each command, and what it says when it is answered.
const TALK: [(&str, &str); 10] = [
    ("", "Got a new session id"),
    ("create /c", "[/c]: rc = 0"),
    ("create +e /c/e", "[/c/e]: rc = 0"),
    ("create +s /c/s-", "name = /c/s-0000000001"),
    ("set /c world", "/c: rc = 0"),
    ("get /c", "world"),
    ("ls /c", "s-0000000001"),
    ("exists /nowhere", "Error -101 for /nowhere"),
    ("wexists /c/e", ""),
    ("delete /c/e", "DELETED_EVENT"),
];

#[test]
fn the_c_client() {
    if !Path::new(CLI).exists() {
        return skipped(&format!(
            "{CLI} is not there: install Debian's package zookeeper-bin"
        ));
    }
    let cluster = Cluster::start(3, "");
    let script = format!("exec timeout 60 stdbuf -oL {CLI} {} 2>&1", hosts(&cluster));
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut text = String::new();
    for (command, answer) in TALK {
        if !command.is_empty() {
            writeln!(input, "{command}").unwrap();
        }
        let start = text.len();
        while !text[start..].contains(answer) {
            let mut some = [0; 4096];
            let read = output.read(&mut some).unwrap();
            text.push_str(&String::from_utf8_lossy(&some[..read]));
            assert!(
                read > 0,
                "it ended before it answered {command:?} with {answer:?}:\n{text}"
            );
        }
    }
    writeln!(input, "quit").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
    let said: Vec<&str> = TALK.iter().map(|&(_, answer)| answer).collect();
    in_this_order(&text, &said);
}
