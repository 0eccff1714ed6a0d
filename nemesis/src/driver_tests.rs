//! The driver against a control that only takes notes, on paused time.

use super::*;
use crate::control::Effect;
use crate::fault::{Fault, Shape, Target};
use serde_json::Value;
use std::sync::Mutex;

/// Takes notes: `(milliseconds since the start, what)`.
struct Notes {
    began: Instant,
    leads_from: Duration,
    notes: Mutex<Vec<(u64, String)>>,
    lines: Mutex<Vec<(String, Value)>>,
}

impl Notes {
    fn new() -> Notes {
        Notes {
            began: Instant::now(),
            leads_from: Duration::ZERO,
            notes: Mutex::default(),
            lines: Mutex::default(),
        }
    }

    fn note(&self, what: String) {
        let at = self.began.elapsed().as_millis() as u64;
        self.notes.lock().unwrap().push((at, what));
    }

    fn noted(&self) -> Vec<(u64, String)> {
        self.notes.lock().unwrap().clone()
    }

    fn line(&self, index: usize) -> Value {
        self.lines.lock().unwrap()[index].1.clone()
    }
}

impl Control for Notes {
    fn nodes(&self) -> Vec<NodeName> {
        (1..=5).map(|n| format!("n{n}")).collect()
    }

    fn leader(&self) -> Option<NodeName> {
        (self.began.elapsed() >= self.leads_from).then(|| "n2".to_owned())
    }

    async fn install(&self, episode: u32, action: &Action) -> Outcome {
        self.note(format!("install {episode}"));
        match action {
            Action::Kill { nodes } if nodes == &["n4"] => {
                Outcome::Skipped("n4 is not there".into())
            }
            Action::Kill { nodes } if nodes == &["n5"] => {
                Outcome::Indeterminate("who knows".into())
            }
            _ => Outcome::Installed,
        }
    }

    async fn observe(&self, episode: u32, _: &Action) -> Effect {
        self.note(format!("observe {episode}"));
        Effect {
            observed: true,
            detail: "it is gone".into(),
        }
    }

    async fn heal(&self, episode: u32, _: &Action) -> Outcome {
        self.note(format!("heal {episode}"));
        Outcome::Healed
    }

    fn majority_connected(&self) -> bool {
        true
    }

    fn record(&self, f: &str, value: Value) {
        self.lines.lock().unwrap().push((f.to_owned(), value));
    }
}

fn episode(id: u32, fault: Fault, target: Target, start_ms: u64, length_ms: u64) -> Episode {
    Episode {
        id,
        fault,
        target,
        start_ms,
        length_ms,
        draw: 7,
    }
}

fn node(name: &str) -> Target {
    Target::Node(name.into())
}

fn schedule(episodes: Vec<Episode>) -> Schedule {
    Schedule { episodes }
}

fn running() -> (watch::Sender<bool>, watch::Receiver<bool>) {
    watch::channel(false)
}

fn at(ms: u64, what: &str) -> (u64, String) {
    (ms, what.to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_episode_is_installed_observed_and_healed_in_time_and_each_is_a_line() {
    let control = Notes::new();
    let (_running, stop) = running();
    let kill = schedule(vec![episode(3, Fault::Kill, Target::Leader, 1000, 1500)]);
    let summary = run(&kill, &control, stop).await;

    let expected = [
        at(1000, "install 3"),
        at(2500, "observe 3"),
        at(2500, "heal 3"),
    ];
    assert_eq!(control.noted(), expected);
    let install = serde_json::json!({
        "episode": 3, "phase": "install", "fault": {"kind": "kill"}, "target": "leader", "targets": ["n2"],
        "majority": true, "outcome": "installed", "reason": null,
    });
    assert_eq!(control.line(0), install);
    assert_eq!(control.line(1)["observed"], true);
    let heal =
        serde_json::json!({"episode": 3, "phase": "heal", "outcome": "healed", "reason": null});
    assert_eq!(control.line(2), heal);
    assert_eq!(summary.episodes[0].healed, Some(Outcome::Healed));
}

#[tokio::test(start_paused = true)]
async fn a_partition_names_its_links() {
    let control = Notes::new();
    let (_running, stop) = running();
    let mute = Fault::Partition { shape: Shape::Mute };
    run(
        &schedule(vec![episode(0, mute, node("n1"), 0, 1000)]),
        &control,
        stop,
    )
    .await;
    let links = serde_json::json!([["n1", "n2"], ["n1", "n3"], ["n1", "n4"], ["n1", "n5"]]);
    assert_eq!(control.line(0)["links"], links);
    assert_eq!(control.line(0)["fault"]["shape"], "mute");
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_waited_for_and_the_length_counts_from_the_installation() {
    let control = Notes {
        leads_from: Duration::from_millis(1800),
        ..Notes::new()
    };
    let (_running, stop) = running();
    run(
        &schedule(vec![episode(0, Fault::Pause, Target::Leader, 500, 1000)]),
        &control,
        stop,
    )
    .await;
    let expected = [
        at(1800, "install 0"),
        at(2800, "observe 0"),
        at(2800, "heal 0"),
    ];
    assert_eq!(control.noted(), expected);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_for_two_seconds_the_episode_is_skipped_and_others_go_on_meanwhile() {
    let control = Notes {
        leads_from: Duration::from_secs(60),
        ..Notes::new()
    };
    let (_running, stop) = running();
    let episodes = schedule(vec![
        episode(0, Fault::Kill, Target::Leader, 0, 1000),
        episode(1, Fault::Kill, node("n1"), 500, 1000),
    ]);
    let summary = run(&episodes, &control, stop).await;
    let expected = [
        at(500, "install 1"),
        at(1500, "observe 1"),
        at(1500, "heal 1"),
    ];
    assert_eq!(control.noted(), expected);
    let reason = "no node led within 2 s".to_owned();
    assert_eq!(
        summary.episodes[1].installed,
        Outcome::Skipped(reason.clone())
    );
    assert_eq!(control.line(3)["reason"], reason);
    assert_eq!(control.line(3)["outcome"], "skipped");
}

#[tokio::test(start_paused = true)]
async fn overlapping_episodes_run_side_by_side_but_not_on_the_same_node() {
    let control = Notes::new();
    let (_running, stop) = running();
    let halves = Fault::Partition {
        shape: Shape::Halves,
    };
    let episodes = schedule(vec![
        episode(0, Fault::Kill, node("n1"), 0, 3000),
        episode(1, Fault::Pause, node("n1"), 500, 1000),
        episode(2, Fault::Pause, node("n2"), 1000, 1000),
        episode(3, halves.clone(), node("n1"), 1500, 1000),
        episode(4, halves, node("n1"), 1600, 1000),
    ]);
    let summary = run(&episodes, &control, stop).await;
    let noted: Vec<String> = control.noted().into_iter().map(|(_, what)| what).collect();
    let expected = [
        "install 0",
        "install 2",
        "install 3",
        "observe 2",
        "heal 2",
        "observe 3",
        "heal 3",
        "observe 0",
        "heal 0",
    ];
    assert_eq!(noted, expected);
    let skipped = |place: usize| match &summary.episodes[place].installed {
        Outcome::Skipped(reason) => reason.clone(),
        other => panic!("episode was not skipped: {other:?}"),
    };
    assert_eq!(skipped(0), "n1 is killed by episode 0");
    assert!(skipped(1).contains("is cut by episode 3"), "{}", skipped(1));
}

#[tokio::test(start_paused = true)]
async fn what_may_be_in_place_is_healed_and_what_was_skipped_is_not() {
    let control = Notes::new();
    let (_running, stop) = running();
    let episodes = schedule(vec![
        episode(0, Fault::Kill, node("n4"), 0, 1000),
        episode(1, Fault::Kill, node("n5"), 2000, 1000),
    ]);
    let summary = run(&episodes, &control, stop).await;
    let noted: Vec<String> = control.noted().into_iter().map(|(_, what)| what).collect();
    assert_eq!(noted, ["install 0", "install 1", "observe 1", "heal 1"]);
    assert_eq!(summary.episodes[0].healed, None);
    assert_eq!(
        summary.episodes[1].installed,
        Outcome::Indeterminate("who knows".into())
    );
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_heals_what_is_in_place_and_returns() {
    let control = Notes::new();
    let (running, stop) = running();
    let episodes = schedule(vec![
        episode(0, Fault::Kill, node("n1"), 0, 60_000),
        episode(1, Fault::Kill, node("n2"), 70_000, 1000),
    ]);
    let stopper = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        running.send(true).unwrap();
    };
    let (summary, ()) = tokio::join!(run(&episodes, &control, stop), stopper);
    assert_eq!(
        control.noted(),
        [
            at(0, "install 0"),
            at(3000, "observe 0"),
            at(3000, "heal 0")
        ]
    );
    assert_eq!(summary.unreached, 1);
}
