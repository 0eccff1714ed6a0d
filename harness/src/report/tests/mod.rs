//! The page of a run that was made up: what must stand on it, and what must never.

mod made_up;

use super::page;
use crate::store::RunDirectory;
use keelhaul_checkers::{Anomaly, History, Nanos, Validity};
use made_up::{MadeUp, made_up};
use serde_json::json;

fn rendered(run: &MadeUp) -> String {
    let store = tempfile::tempdir().unwrap();
    let now = chrono::DateTime::UNIX_EPOCH;
    let directory = RunDirectory::create(store.path(), &run.plan.test, run.plan.seed, now).unwrap();
    page::render(&directory, &run.plan, &run.history, &run.results())
}

/// To look at a page: `KEELHAUL_REPORTS=/tmp cargo test -p keelhaul report`.
fn keep(name: &str, page: &str) {
    if let Some(directory) = std::env::var_os("KEELHAUL_REPORTS") {
        let path = std::path::Path::new(&directory).join(format!("report-{name}.html"));
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn a_sound_run_has_every_section_and_no_anomalies() {
    let page = rendered(&made_up(30, 10, 40));
    keep("valid", &page);
    for section in [
        "verdict",
        "run",
        "recovery",
        "coverage",
        "operations",
        "versions",
        "plan",
    ] {
        assert!(page.contains(&format!("id=\"{section}\"")), "{section}");
    }
    assert!(!page.contains("id=\"anomalies\""));
    assert!(page.contains("keelhaul run --plan"));
    assert!(page.contains("skipped: nobody led within 2 s"));
    assert!(page.contains("class=\"band kill\""));
    assert!(page.contains("class=\"role leader\""));
    assert!(page.contains("partition halves n4 n5 | n1 n2 n3"));
    assert!(page.contains("partition isolate leader: n2 | n1 n3 n4 n5"));
}

#[test]
fn a_stale_read_is_drawn_with_the_reason_why_it_does_not_fit() {
    let mut run = made_up(30, 10, 40);
    run.make_a_read_stale();
    assert_eq!(run.results().valid, Validity::Invalid);
    let page = rendered(&run);
    keep("invalid", &page);
    assert!(page.contains("id=\"anomalies\"") && page.contains("nonlinearizable"));
    assert!(
        page.contains("class=\"operation stuck\"") || page.contains("class=\"operation accused\"")
    );
    assert!(page.contains("why it does not fit"));
    assert!(
        page.contains("class=\"marked\""),
        "it stands on the time line too"
    );
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let mut run = made_up(5, 2, 20);
    run.make_a_read_stale();
    let page = rendered(&run);
    for loads in [
        "http://", "https://", "src=", "<link", "@import", "<iframe", "<img", "<object", "<base",
    ] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert!(
        page.match_indices("url(")
            .all(|(at, _)| page[at..].starts_with("url(#"))
    );
}

#[test]
fn whatever_is_in_the_history_nothing_of_it_is_markup() {
    const HOSTILE: &str = "</script><script>alert(1)</script>'\"&<img src=x onerror=alert(1)>";
    let mut run = made_up(5, 2, 20);
    run.rename_everything(HOSTILE);
    let hostile = Anomaly {
        kind: HOSTILE.to_owned(),
        checker: HOSTILE.to_owned(),
        summary: HOSTILE.to_owned(),
        witness: json!({ "operations": [{ "process": HOSTILE, "index": 1, "f": HOSTILE, "text": HOSTILE, "server": HOSTILE }] }),
    };
    let shapeless = Anomaly {
        witness: json!({ HOSTILE: [HOSTILE] }),
        ..hostile.clone()
    };
    run.found = vec![hostile, shapeless];
    let page = rendered(&run);
    keep("hostile", &page);
    assert!(!page.contains("<script>alert") && !page.contains("<img"));
    assert_eq!(
        page.matches("<script").count(),
        2,
        "the read-out's data and the read-out"
    );
    assert_eq!(page.matches("</script>").count(), 2);
}

#[test]
fn a_long_run_with_many_faults_stays_a_small_file() {
    let run = made_up(600, 200, 20);
    let page = rendered(&run);
    keep("long", &page);
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[test]
fn roles_that_never_rest_stay_a_small_file() {
    let mut run = made_up(60, 10, 5);
    run.let_roles_flap(15, Nanos(1_000_000));
    let page = rendered(&run);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

#[test]
fn a_run_that_ended_before_it_began_has_a_page_too() {
    let mut run = made_up(5, 2, 20);
    run.history = History::new();
    let page = rendered(&run);
    keep("empty", &page);
    assert!(page.contains("No operation was answered."));
    assert!(page.contains("unknown"));
}

#[test]
fn nodes_that_did_not_come_back_and_paths_that_differ_stand_in_tables() {
    let mut run = made_up(10, 3, 20);
    run.found = vec![
        Anomaly {
            kind: "not-recovered".to_owned(),
            checker: "recovery".to_owned(),
            summary: "n3 did not serve within 30.000 s after the last heal".to_owned(),
            witness: json!({ "limit_ns": 30_000_000_000u64, "recover_began_ns": 1, "nodes": [{ "node": "n3", "after_ns": null, "role": "looking" }] }),
        },
        Anomaly {
            kind: "replicas-differ".to_owned(),
            checker: "recovery".to_owned(),
            summary: "replicas differ on /keelhaul/r7".to_owned(),
            witness: json!({ "paths": 1, "differences": [{ "path": "/keelhaul/r7", "nodes": { "n1": { "data": "5" }, "n2": null } }] }),
        },
    ];
    let page = rendered(&run);
    keep("tables", &page);
    assert!(page.contains("never") && page.contains("/keelhaul/r7") && page.contains("no znode"));
}
