//! The same scripts against Apache ZooKeeper 3.8 and against this node: every reply, error, Stat (times aside), step of
//! the zxid and watch event must be the same.
//!
//! `servers`: the two, each as its real process on loopback. `wire`: a raw client of its own, which turns every frame
//! into a line of text. `script`: what is asked, and scripts drawn from seeds. `stories`: scripts written by hand.
//!
//! `operators`: what operators see, and read-only mode.
//!
//! What is not compared: wall-clock times, ids and passwords of sessions, the order of names (ZooKeeper's is that of a hash
//! table). What the scripts leave out, because the two differ there: see `script`.
//!
//! It needs Debian's package `zookeeper` and a `java`; without them the test says so and passes. `KEELHAUL_DIFFERENTIAL_SEEDS`
//! sets the number of random scripts, `KEELHAUL_DIFFERENTIAL_SEED` picks one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod operators;
#[path = "../cluster/ports.rs"]
mod ports;
mod script;
mod servers;
mod stories;
mod wire;

use script::Step;
use servers::Server;
use std::fmt::Write;
use wire::Session;

/// Plays a script and returns what came of each step. Sessions are numbered as the steps number them.
fn play(server: &mut Server, script: &[Step]) -> Vec<String> {
    let mut sessions: Vec<Session> = Vec::new();
    server.base = wire::last_zxid(server.address);
    let mut lines = Vec::new();
    for step in script {
        lines.push(step.play(server, &mut sessions));
    }
    for session in &mut sessions {
        session.finish(server.address);
    }
    lines
}

/// The first step that differs, with those before it.
fn difference(script: &[Step], apache: &[String], ours: &[String]) -> Option<String> {
    let at = (0..script.len()).find(|&n| apache[n] != ours[n])?;
    let mut story = String::new();
    for n in 0..at {
        writeln!(story, "  {:?}\n      {}", script[n], ours[n]).unwrap();
    }
    let (step, apache, ours) = (&script[at], &apache[at], &ours[at]);
    writeln!(
        story,
        "  {step:?}\n      Apache {apache}\n      ours   {ours}"
    )
    .unwrap();
    Some(story)
}

#[test]
fn apache_zookeeper_and_this_node_answer_the_same() {
    let Some((mut apache, mut ours)) = servers::pair() else {
        return;
    };
    let mut compare = |name: &str, script: &[Step]| {
        let (theirs, here) = (play(&mut apache, script), play(&mut ours, script));
        if let Some(story) = difference(script, &theirs, &here) {
            panic!("{name}:\n{story}");
        }
        here
    };
    let mut steps = 0;
    for (name, script) in stories::all() {
        steps += compare(name, &script).len();
    }
    println!("stories: {steps} steps");
    random_scripts(&mut compare);
}

fn random_scripts(compare: &mut impl FnMut(&str, &[Step]) -> Vec<String>) {
    let seeds: Vec<u64> = match std::env::var("KEELHAUL_DIFFERENTIAL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => {
            let count = std::env::var("KEELHAUL_DIFFERENTIAL_SEEDS");
            (0..count.map_or(60, |count| count.parse().unwrap())).collect()
        }
    };
    let (mut steps, mut errors, mut events) = (0, 0, 0);
    for seed in &seeds {
        let answers = compare(&format!("seed {seed}"), &script::random(*seed));
        steps += answers.len();
        errors += answers
            .iter()
            .filter(|line| line.contains("error -"))
            .count();
        events += answers
            .iter()
            .map(|line| line.matches("event").count())
            .sum::<usize>();
    }
    println!(
        "{} random scripts: {steps} steps, {errors} errors, {events} events",
        seeds.len()
    );
    if seeds.len() >= 50 {
        assert!(
            errors * 10 > steps && errors * 2 < steps,
            "{errors} errors in {steps} steps"
        );
        assert!(events * 20 > steps, "{events} events in {steps} steps");
    }
}
