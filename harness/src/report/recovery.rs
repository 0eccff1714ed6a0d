//! How soon the cluster came back: episode by episode, node by node, and whether the replicas ended up equal.

use super::story::{Story, target};
use super::text::{NONE, count, count_in, cut, duration, duration_in, moment, plain, plural};
use super::witness::differences;
use keelhaul_checkers::{Nanos, Results};
use maud::{Markup, html};
use serde_json::Value;

/// The section.
pub(super) fn section(results: &Results, story: &Story) -> Markup {
    let rows = results
        .recovery
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let details = &results
        .checkers
        .get("recovery")
        .map_or(&Value::Null, |checked| &checked["details"]);
    html! {
        @if rows.is_empty() {
            p { "No fault was installed." }
        } @else {
            (in_short(rows))
            (episodes(rows, story))
        }
        div.columns {
            div { (nodes(details)) }
            div { (replicas(story)) }
        }
    }
}

/// How many, and how long a cluster without its leader took.
fn in_short(rows: &[Value]) -> Markup {
    let with = |word: &str| rows.iter().filter(|row| row["outcome"] == word).count();
    let mut lost: Vec<u64> = rows
        .iter()
        .filter(|row| hit_the_leader(row))
        .filter_map(|row| row["leader_from_install_ns"].as_u64())
        .collect();
    lost.sort_unstable();
    html! {
        p {
            (plural(rows.len(), "episode")) ": " (with("installed")) " installed, " (with("skipped")) " skipped, "
            (with("indeterminate")) " indeterminate."
            @if let Some(worst) = lost.last() {
                " From the loss of the leader to a new one: median " (duration(Nanos(lost[lost.len() / 2]))) ", at most "
                (duration(Nanos(*worst))) " (" (plural(lost.len(), "time")) ")."
            }
        }
    }
}

fn hit_the_leader(row: &Value) -> bool {
    let hit = row["targets"].as_array().into_iter().flatten();
    hit.into_iter()
        .any(|node| !node.is_null() && *node == row["leader_before"])
}

fn episodes(rows: &[Value], story: &Story) -> Markup {
    html! {
        div.scroll { table {
            thead {
                tr {
                    th rowspan="2" { "no." } th rowspan="2" { "fault" } th rowspan="2" { "target → nodes" }
                    th.number rowspan="2" { "installed at" } th.number rowspan="2" { "held" } th rowspan="2" { "majority" }
                    th.group colspan="2" { "from installation to" } th.group colspan="2" { "from heal to" } th rowspan="2" { "effect seen" }
                }
                tr { th.number { "new leader" } th.number { "first ok" } th.number { "new leader" } th.number { "first ok" } }
            }
            tbody { @for row in rows.iter().take(super::EPISODES) { (episode(row, story)) } }
        } }
        @if rows.len() > super::EPISODES {
            p.note { (count((rows.len() - super::EPISODES) as u64)) " more episodes are in results.json." }
        }
        p.note {
            "“First ok”: the first operation invoked after that moment that was answered without an error. "
            "“–” for a leader: none was needed, or none came."
        }
    }
}

fn episode(row: &Value, story: &Story) -> Markup {
    let number = row["episode"].as_u64();
    let told = number.and_then(|number| story.episodes.get(&number));
    let kind = plain(&row["kind"]);
    let installed = row["installed_ns"].as_u64();
    let held = installed
        .zip(row["healed_ns"].as_u64())
        .map(|(from, to)| Nanos(to - from.min(to)));
    let fault = match told.and_then(|told| told.shape.as_deref()) {
        Some(shape) => format!("{kind} {shape}"),
        None => kind.clone(),
    };
    let whom = told.map_or_else(|| target(&row["target"]), |told| told.whom(&story.nodes));
    html! {
        tr {
            td { (plain(&row["episode"])) }
            td { i class={ "dot " (super::lanes::class(&kind)) } {} " " (cut(&fault, 60)) }
            td { (cut(&whom, 200)) }
            td.number { (installed.map_or(NONE.to_owned(), |at| moment(Nanos(at)))) }
            @if row["outcome"] == "skipped" {
                td.skipped colspan="7" { "skipped: " (plain(&row["reason"])) }
            } @else {
                td.number { @match held { Some(held) => (duration(held)), None => "to the end" } }
                td { @match row["majority"].as_bool() { Some(true) => "connected", Some(false) => "lost", None => (NONE) } }
                td.number { (duration_in(&row["leader_from_install_ns"])) }
                td.number { (duration_in(&row["success_from_install_ns"])) }
                td.number { (duration_in(&row["leader_from_heal_ns"])) }
                td.number { (duration_in(&row["success_from_heal_ns"])) }
                td {
                    @match told.and_then(|told| told.observed.as_ref()) {
                        Some((true, detail)) => (cut(detail, 200)),
                        Some((false, detail)) => { b { "not seen" } ": " (cut(detail, 200)) }
                        None => "nobody looked",
                    }
                    @if row["outcome"] == "indeterminate" { " (indeterminate: " (plain(&row["reason"])) ")" }
                    @if row["stalled"].as_bool() == Some(true) { " (the controller stood still meanwhile)" }
                }
            }
        }
    }
}

/// When each node served again after everything was healed.
fn nodes(details: &Value) -> Markup {
    let rows = details["nodes"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    html! {
        h3 { "After the final heal" }
        @if rows.is_empty() {
            p { "Whether the nodes came back was not tested." }
        } @else {
            table {
                thead { tr { th { "node" } th.number { "served after" } } }
                tbody { @for row in rows {
                    tr {
                        td { (plain(&row["node"])) }
                        td.number { @if row["after_ns"].is_null() { "never" } @else { (duration_in(&row["after_ns"])) } }
                    }
                } }
            }
            p.note { "A quorum write and a read through this node; the limit is " (duration_in(&details["limit_ns"])) "." }
        }
    }
}

fn replicas(story: &Story) -> Markup {
    html! {
        h3 { "Replicas" }
        @match &story.replicas {
            None => p { "The replicas were not compared." },
            Some(found) => {
                @match found["equal"].as_bool() {
                    Some(true) => p { "All equal, in data and every field of their Stats." },
                    Some(false) => p { b { "They differ:" } },
                    None => p { "They could not be compared: " (plain(&found["reason"])) },
                }
                table {
                    thead { tr { th { "node" } th.number { "znodes" } th { "digest" } } }
                    tbody { @for (node, digest) in found["nodes"].as_object().into_iter().flatten() {
                        tr {
                            td { (cut(node, 60)) }
                            td.number { (count_in(&digest["znodes"])) }
                            td.mono { (cut(&plain(&digest["digest"]), 17)) }
                        }
                    } }
                }
                @if found["equal"].as_bool() == Some(false) { (differences(&found["differences"])) }
            }
        }
    }
}
