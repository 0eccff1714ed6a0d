//! The same as a graph in Graphviz's language, for those who want to lay it out themselves.

use super::evidence::{Cycle, Part, operations, word};
use crate::verdict::Anomaly;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Operations of a graph at most: beyond, no layout is readable.
const NODES: usize = 200;

/// Transactions, and an edge for each "had to come before".
pub(super) fn of_cycle(cycle: &Cycle, anomaly: &Anomaly) -> String {
    let mut dot = opening(anomaly);
    for (name, transaction) in cycle.names.iter().zip(&cycle.transactions) {
        let steps: Vec<String> = transaction.steps.iter().map(word).collect();
        let told = match steps.is_empty() {
            true => transaction.text.clone(),
            false => steps.join("\n"),
        };
        let label = format!(
            "{name} · process {} · line {}\n{told}",
            transaction.process,
            transaction.index + 1
        );
        line(&mut dot, &format!("  {name} [label={}];", quoted(&label)));
    }
    for edge in &cycle.edges {
        let label = match &edge.key {
            Some(key) => format!("{} {key}", edge.relation),
            None => edge.relation.clone(),
        };
        let style = match &*edge.relation {
            "process" | "realtime" => ", style=dashed",
            "rw" => ", color=\"#b3261e\"",
            _ => "",
        };
        line(
            &mut dot,
            &format!(
                "  T{} -> T{} [label={}, tooltip={}{style}];",
                edge.from + 1,
                edge.to + 1,
                quoted(&label),
                quoted(&edge.because)
            ),
        );
    }
    dot.push_str("}\n");
    dot
}

/// Operations, and an edge where one ended before another began, unless others between them say so already.
pub(super) fn of_operations(anomaly: &Anomaly) -> String {
    let named = operations(&anomaly.witness);
    let mut weighed: Vec<_> = named.into_values().collect();
    weighed.sort_by_key(|(part, shown)| (*part, shown.index));
    weighed.truncate(NODES);
    let chosen: BTreeMap<u64, _> = weighed
        .into_iter()
        .map(|(part, shown)| (shown.index, (part, shown)))
        .collect();
    let mut dot = opening(anomaly);
    for (index, (part, shown)) in &chosen {
        let look = match part {
            Part::Stuck => ", color=red, penwidth=2",
            Part::Accused => ", color=orange",
            Part::Optional => ", style=dashed",
            Part::Window | Part::Maker | Part::Context => "",
        };
        let label = format!(
            "process {} · line {}\n{}",
            shown.process,
            index + 1,
            shown.text
        );
        line(
            &mut dot,
            &format!("  L{} [label={}{look}];", index + 1, quoted(&label)),
        );
    }
    for (earlier, (_, one)) in &chosen {
        let Some(end) = one.completed else { continue };
        // Whatever began after another successor had ended follows from that one.
        let after = chosen.range(end..);
        let nearest = after
            .clone()
            .filter_map(|(_, (_, shown))| shown.completed)
            .min()
            .unwrap_or(u64::MAX);
        for (later, _) in after.take_while(|(later, _)| **later < nearest) {
            line(&mut dot, &format!("  L{} -> L{};", earlier + 1, later + 1));
        }
    }
    dot.push_str("}\n");
    dot
}

fn opening(anomaly: &Anomaly) -> String {
    format!(
        "digraph {} {{\n  label={};\n  labelloc=t;\n  node [shape=box, fontname=monospace];\n  edge [fontname=monospace];\n",
        quoted(&anomaly.kind),
        quoted(&anomaly.summary)
    )
}

fn line(dot: &mut String, text: &str) {
    writeln!(dot, "{text}").expect("writing to a string cannot fail");
}

/// A string of the language: with its quotes, backslashes and line ends told.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other if other.is_control() => quoted.push('\u{fffd}'),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
