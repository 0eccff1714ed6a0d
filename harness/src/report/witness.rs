//! An anomaly: its sentence, its evidence drawn, and why nothing explains it.
//!
//! The shapes are those that the checkers document: windows of operations (linearizability), lists of operations (sessions,
//! sets), nodes that did not serve, paths on which replicas differ. Operations are drawn wherever a witness has them; a shape
//! that is not known here is shown as JSON.

use super::text::{cut, duration_in, moment, plain, sentence};
use super::window::{Part, Window};
use keelhaul_checkers::{Anomaly, Nanos};
use maud::{Markup, html};
use serde_json::Value;

/// Longest JSON that is shown of a witness: characters.
const JSON: usize = 4_000;

/// Rows of a table that are shown at most.
const ROWS: usize = 50;

/// One anomaly.
pub(super) fn card(anomaly: &Anomaly) -> Markup {
    let witness = &anomaly.witness;
    let window = operations(witness);
    html! {
        article.anomaly {
            h3 { (cut(&anomaly.kind, 60)) " " span.by { "found by " (cut(&anomaly.checker, 60)) } }
            p.summary { (sentence(&anomaly.summary)) }
            (told(anomaly))
            @if !window.is_empty() { (window.draw()) }
            (states(witness))
            @if witness["nodes"].is_array() { (unserved(witness)) }
            @if witness["differences"].is_array() { (differences(&witness["differences"])) }
            @if window.is_empty() && !witness["nodes"].is_array() && !witness["differences"].is_array() {
                (json(witness))
            }
        }
    }
}

/// When it came to light, if its witness has operations: the last answer that cannot be explained.
pub(super) fn came_to_light(anomaly: &Anomaly) -> Option<Nanos> {
    let stuck = &anomaly.witness["stuck"]["operation"]["to"];
    let at = stuck.as_u64().map(Nanos);
    at.or_else(|| operations(&anomaly.witness).last_answer())
}

/// All operations of a witness, whatever its shape.
fn operations(witness: &Value) -> Window {
    let mut window = Window::default();
    window.add_all(&witness["may_have_happened"], Part::Optional);
    window.add_all(&witness["window"], Part::Answered);
    window.add_all(&witness["contradiction"]["operations"], Part::Accused);
    window.add(&witness["stuck"]["operation"], Part::Stuck);
    for state in witness["stuck"]["states"].as_array().into_iter().flatten() {
        window.add(&state["by"], Part::Optional);
    }
    if window.is_empty() {
        gather(witness, &mut window);
    }
    window
}

/// Operations anywhere in a shape that is not known here.
fn gather(value: &Value, window: &mut Window) {
    match value {
        Value::Object(fields) if fields.contains_key("process") && fields.contains_key("index") => {
            window.add(value, Part::Answered);
        }
        Value::Object(fields) => fields.values().for_each(|field| gather(field, window)),
        Value::Array(items) => items.iter().for_each(|item| gather(item, window)),
        _ => {}
    }
}

/// The checker's own sentences, where they say more than the summary.
fn told(anomaly: &Anomaly) -> Markup {
    let told = [
        &anomaly.witness["text"],
        &anomaly.witness["contradiction"]["text"],
    ];
    html! {
        @for text in told.into_iter().filter_map(Value::as_str) {
            @if !anomaly.summary.contains(text) { p.told { (sentence(text)) } }
        }
    }
}

/// Where the window begins, and why the next operation fits none of the states in which it ends.
fn states(witness: &Value) -> Markup {
    let before = &witness["from"];
    let stuck = &witness["stuck"];
    html! {
        @if let Some(states) = before["states"].as_array() {
            p.told {
                @match before["time"].as_u64() {
                    Some(at) => { "Before the window, at " (moment(Nanos(at))) ", " }
                    None => { "At the beginning of the history, " }
                }
                @if states.len() == 1 { "the state was: " } @else { "the state was one of: " }
                @for (place, state) in states.iter().take(ROWS).enumerate() {
                    @if place > 0 { "; " }
                    code { (plain(&state["state"])) }
                }
                "."
            }
        }
        @if let Some(states) = stuck["states"].as_array() {
            p.told { "Then " code { (plain(&stuck["operation"]["text"])) } " cannot happen, in whatever order the others are put:" }
            div.scroll { table {
                thead { tr { th { "possible last state" } th { "made by" } th { "why it does not fit" } } }
                tbody { @for state in states.iter().take(ROWS) {
                    tr {
                        td { code { (plain(&state["state"])) } }
                        td { @if state["by"].is_object() { code { (plain(&state["by"]["text"])) } } @else { "as before the window" } }
                        td { (plain(&state["why"])) }
                    }
                } }
            } }
            @if witness["smallest"].as_bool() == Some(true) {
                p.note { "No operation can be left out of this window without making it orderable." }
            } @else {
                p.note { "The window was not shrunk to the end: that would have taken longer than the search." }
            }
        }
    }
}

/// Nodes that did not serve in time.
fn unserved(witness: &Value) -> Markup {
    html! {
        p.told { "Every node has to serve a quorum write and a read within " (duration_in(&witness["limit_ns"])) " after the last heal." }
        table {
            thead { tr { th { "node" } th.number { "served after" } th { "role at the end" } } }
            tbody { @for node in witness["nodes"].as_array().into_iter().flatten().take(ROWS) {
                tr {
                    td { (plain(&node["node"])) }
                    td.number { @if node["after_ns"].is_null() { "never" } @else { (duration_in(&node["after_ns"])) } }
                    td { @if node["role"].is_null() { "unreachable" } @else { (plain(&node["role"])) } }
                }
            } }
        }
    }
}

/// Paths on which replicas differ, with what each node has there.
pub(super) fn differences(differences: &Value) -> Markup {
    let rows = differences
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    html! {
        div.scroll { table {
            thead { tr { th { "path" } th { "node" } th { "has" } } }
            tbody {
                @for row in rows.iter().take(ROWS) {
                    @for (place, (node, has)) in row["nodes"].as_object().into_iter().flatten().enumerate() {
                        tr {
                            td { @if place == 0 { code { (plain(&row["path"])) } } }
                            td { (cut(node, 60)) }
                            td { @if has.is_null() { "no znode" } @else { code { (plain(has)) } } }
                        }
                    }
                }
            }
        } }
        @if rows.len() > ROWS { p.note { (rows.len() - ROWS) " more paths are in results.json." } }
    }
}

fn json(witness: &Value) -> Markup {
    let text = serde_json::to_string_pretty(witness).unwrap_or_default();
    html! { @if !witness.is_null() { pre { (cut(&text, JSON)) } } }
}
