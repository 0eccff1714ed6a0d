//! A cycle of transactions as a graph: boxes with their micro-operations around a ring, and an arrow for each "had to come
//! before".
//!
//! The ring has two columns: the transactions go down the right one and up the left one, so that every arrow is short and
//! every label stands beside its arrow. Whatever the cycle's length, nothing overlaps. The sentences stand below, by number.

use super::canvas::{COLUMN, Canvas, LINE, MARGIN, columns, cut, thousands, width_of, wrap};
use super::evidence::{Cycle, Edge, Shown, word};
use crate::verdict::Anomaly;
use serde_json::Value;

/// Columns of a line in a box at most.
const WORDS: usize = 40;
/// Micro-operations of a transaction that are shown at most.
const STEPS: usize = 8;
/// Transactions that are drawn at most: of a longer cycle the middle is left out.
const BOXES: usize = 24;
/// Between the two columns.
const AISLE: f64 = 150.0;
/// Between two boxes of a column.
const GAP: f64 = 44.0;
/// A box holds two arrows above each other.
const LOWEST: f64 = 62.0;

/// A box of the ring: a transaction, or those that are left out.
struct Node<'c> {
    name: String,
    lines: Vec<String>,
    transaction: Option<&'c Shown>,
    /// The way to the next box, with its number.
    edge: Option<(usize, &'c Edge)>,
}

/// Where a box stands.
#[derive(Debug, Clone, Copy)]
struct Spot {
    x: f64,
    y: f64,
    height: f64,
    is_left: bool,
}

/// The picture of a cycle.
pub(super) fn draw(cycle: &Cycle, anomaly: &Anomaly) -> String {
    let nodes = nodes(cycle);
    let width = nodes
        .iter()
        .flat_map(|node| &node.lines)
        .map(|line| width_of(line))
        .fold(120.0, f64::max)
        + 16.0;
    let labels = nodes.iter().filter_map(|node| node.edge);
    let aisle = labels
        .map(|(number, edge)| width_of(&label(number, edge)) + 40.0)
        .fold(AISLE, f64::max);
    let mut canvas = Canvas::default();
    let text = ((2.0 * width + aisle) / COLUMN) as usize;
    let top = title(&mut canvas, anomaly, text.max(90));
    let spots = ring(&nodes, width, aisle, top);
    for (place, node) in nodes.iter().enumerate() {
        let spot = spots[place];
        boxed(&mut canvas, node, spot, width);
        if let Some((number, edge)) = node.edge {
            let to = spots[(place + 1) % spots.len()];
            let is_return = spots.len() == 2 && place == 1;
            arrow(
                &mut canvas,
                spot,
                to,
                width,
                &label(number, edge),
                edge,
                is_return,
            );
        }
    }
    let mut y = spots
        .iter()
        .map(|spot| spot.y + spot.height)
        .fold(top, f64::max)
        + 10.0;
    y = sentences(&mut canvas, &nodes, y, text.max(90));
    canvas.reach(0.0, y);
    canvas.finish(&anomaly.summary)
}

/// The boxes in the order of the cycle.
fn nodes(cycle: &Cycle) -> Vec<Node<'_>> {
    let all = cycle.transactions.len();
    let keys: Vec<&str> = cycle
        .edges
        .iter()
        .filter_map(|edge| edge.key.as_deref())
        .collect();
    let node = |place: usize| Node {
        name: cycle.names[place].clone(),
        lines: lines(&cycle.names[place], &cycle.transactions[place], &keys),
        transaction: Some(&cycle.transactions[place]),
        edge: Some((place + 1, &cycle.edges[place])),
    };
    if all <= BOXES {
        return (0..all).map(node).collect();
    }
    let (head, tail) = (BOXES / 2, BOXES / 2 - 1);
    let left_out = all - head - tail;
    let mut nodes: Vec<Node<'_>> = (0..head).map(node).collect();
    let told = format!("… {} more transactions", thousands(left_out));
    nodes.push(Node {
        name: String::new(),
        lines: vec![told, relations(&cycle.edges[head..head + left_out])],
        transaction: None,
        edge: Some((head + left_out, &cycle.edges[head + left_out - 1])),
    });
    nodes.extend((all - tail..all).map(node));
    nodes
}

/// Which relations the steps that are left out have.
fn relations(edges: &[Edge]) -> String {
    let mut told: Vec<&str> = edges.iter().map(|edge| &*edge.relation).collect();
    told.sort_unstable();
    told.dedup();
    format!("by {}", told.join(", "))
}

/// A transaction in a few lines: those of its steps first that touch the cycle's keys.
fn lines(name: &str, transaction: &Shown, keys: &[&str]) -> Vec<String> {
    let outcome = match transaction.completed {
        Some(_) => "",
        None => " · unknown outcome",
    };
    let mut lines = vec![cut(
        &format!(
            "{name} · process {} · line {}{outcome}",
            transaction.process,
            transaction.index + 1
        ),
        WORDS + 12,
    )];
    if transaction.steps.is_empty() {
        lines.extend(wrap(&transaction.text, WORDS).into_iter().take(3));
        return lines;
    }
    let touches = |step: &Value| {
        let key = word(&step[1]);
        keys.contains(&&*key)
    };
    let telling = transaction
        .steps
        .iter()
        .filter(|step| touches(step))
        .count();
    let mut room = STEPS;
    let mut others = STEPS.saturating_sub(telling);
    let mut left_out = 0;
    for step in &transaction.steps {
        let wanted = touches(step) || others > 0;
        if !wanted || room == 0 {
            left_out += 1;
            continue;
        }
        room -= 1;
        if !touches(step) {
            others -= 1;
        }
        lines.push(cut_middle(&told(step), WORDS));
    }
    if left_out > 0 {
        lines.push(format!("… {left_out} more"));
    }
    lines
}

/// A micro-operation: `append x 4`, `r x [1 2 4]`.
fn told(step: &Value) -> String {
    let list = |list: &[Value]| {
        let words: Vec<String> = list.iter().map(word).collect();
        format!("[{}]", words.join(" "))
    };
    match step {
        Value::Array(parts) => {
            let words = parts.iter().map(|part| match part {
                Value::Array(items) => list(items),
                other => word(other),
            });
            words.collect::<Vec<String>>().join(" ")
        }
        other => word(other),
    }
}

/// Both ends of a long line: the last elements of a list are what a cycle is about.
fn cut_middle(words: &str, most: usize) -> String {
    if columns(words) <= most {
        return words.to_owned();
    }
    let tail: String = {
        let mut taken = 0;
        let from = words.char_indices().rev().find(|(_, character)| {
            taken += columns(character.encode_utf8(&mut [0; 4]));
            taken > most / 2
        });
        from.map_or(String::new(), |(at, character)| {
            words[at + character.len_utf8()..].to_owned()
        })
    };
    format!("{}{tail}", cut(words, most - columns(&tail)))
}

fn title(canvas: &mut Canvas, anomaly: &Anomaly, text: usize) -> f64 {
    let mut y = MARGIN + LINE;
    let kind = format!("{} ({})", anomaly.kind, anomaly.checker);
    canvas.text("strong bad", MARGIN, y, &cut(&kind, text));
    for line in wrap(&anomaly.summary, text) {
        y += LINE;
        canvas.text("", MARGIN, y, &line);
    }
    y + 16.0
}

/// Down the right column, up the left one; the first box stands at the top on the left.
fn ring(nodes: &[Node<'_>], width: f64, aisle: f64, top: f64) -> Vec<Spot> {
    let right = nodes.len() / 2;
    let height = |node: &Node<'_>| (node.lines.len() as f64 * LINE + 12.0).max(LOWEST);
    let rows: Vec<(Option<usize>, Option<usize>)> = (0..nodes.len() - right)
        .map(|row| {
            let left = if row == 0 { 0 } else { nodes.len() - row };
            (Some(left), (row < right).then_some(row + 1))
        })
        .collect();
    let mut spots = vec![
        Spot {
            x: MARGIN,
            y: top,
            height: 0.0,
            is_left: true,
        };
        nodes.len()
    ];
    let mut y = top;
    for (left, right) in rows {
        let tallest = [left, right]
            .into_iter()
            .flatten()
            .map(|place| height(&nodes[place]))
            .fold(0.0, f64::max);
        for (place, is_left) in [(left, true), (right, false)] {
            let Some(place) = place else { continue };
            spots[place] = Spot {
                x: if is_left {
                    MARGIN
                } else {
                    MARGIN + width + aisle
                },
                y,
                height: tallest,
                is_left,
            };
        }
        y += tallest + GAP;
    }
    spots
}

fn boxed(canvas: &mut Canvas, node: &Node<'_>, spot: Spot, width: f64) {
    let title = match node.transaction {
        Some(shown) => format!("{}: {}", node.name, shown.text),
        None => String::new(),
    };
    canvas.rect("box", spot.x, spot.y, width, spot.height, &title);
    for (row, line) in node.lines.iter().enumerate() {
        let class = if row == 0 { "strong" } else { "" };
        let y = spot.y + 17.0 + row as f64 * LINE;
        canvas.text(class, spot.x + 8.0, y, line);
    }
}

/// `1 rw x`.
fn label(number: usize, edge: &Edge) -> String {
    match &edge.key {
        Some(key) => format!("{number} {} {}", edge.relation, cut(key, 20)),
        None => format!("{number} {}", edge.relation),
    }
}

fn class(edge: &Edge) -> &'static str {
    match &*edge.relation {
        "ww" => "ww",
        "wr" => "wr",
        "rw" => "rw",
        "process" => "process",
        "realtime" => "realtime",
        _ => "other",
    }
}

/// From a box to the next one: down on the right, up on the left, across at the top and at the bottom.
fn arrow(
    canvas: &mut Canvas,
    from: Spot,
    to: Spot,
    width: f64,
    words: &str,
    edge: &Edge,
    is_return: bool,
) {
    let ink = format!("{}-ink strong", class(edge));
    let inner = |spot: Spot| {
        if spot.is_left { spot.x + width } else { spot.x }
    };
    let middle = |spot: Spot| spot.x + width / 2.0;
    if from.x == to.x && from.y == to.y {
        // A transaction that comes before itself.
        let (x, y) = (from.x + width, from.y);
        let way = [
            (x, y + 15.0),
            (x + 30.0, y + 15.0),
            (x + 30.0, y + 45.0),
            (x + 2.0, y + 45.0),
        ];
        canvas.arrow(class(edge), &way);
        canvas.text(&ink, x + 38.0, y + 34.0, words);
    } else if from.is_left == to.is_left {
        let x = middle(from);
        let (start, end) = if to.y > from.y {
            (from.y + from.height, to.y - 2.0)
        } else {
            (from.y, to.y + to.height + 2.0)
        };
        canvas.arrow(class(edge), &[(x, start), (x, end)]);
        canvas.text(&ink, x + 10.0, f64::midpoint(start, end) + 4.0, words);
    } else if from.y == to.y {
        // The way there in the upper half, the way back in the lower one.
        let y = from.y
            + if is_return || from.y > to.y {
                50.0
            } else {
                24.0
            };
        let (start, end) = (inner(from), inner(to));
        let tip = if end > start { -2.0 } else { 2.0 };
        canvas.arrow(class(edge), &[(start, y), (end + tip, y)]);
        canvas.centred(&ink, f64::midpoint(start, end), y - 6.0, words);
    } else {
        // The columns end on different rows: across, and then up.
        let (from_y, x) = (from.y + from.height / 2.0, middle(to));
        let way = if to.y < from.y {
            [
                (inner(from), from_y),
                (x, from_y),
                (x, to.y + to.height + 2.0),
            ]
        } else {
            [
                (middle(from), from.y + from.height),
                (middle(from), to.y + to.height / 2.0),
                (inner(to) - 2.0, to.y + to.height / 2.0),
            ]
        };
        canvas.arrow(class(edge), &way);
        // In the aisle, beside the stretch that crosses it.
        let aisle = f64::midpoint(inner(from), inner(to));
        canvas.centred(&ink, aisle, way[1].1 - 6.0, words);
    }
}

/// Why each transaction had to come before the next.
fn sentences(canvas: &mut Canvas, nodes: &[Node<'_>], mut y: f64, text: usize) -> f64 {
    for (place, node) in nodes.iter().enumerate() {
        let Some((number, edge)) = node.edge else {
            continue;
        };
        let next = &nodes[(place + 1) % nodes.len()].name;
        let because = match edge.because.is_empty() {
            true => label(number, edge),
            false => edge.because.clone(),
        };
        let (name, next) = (named(&node.name), named(next));
        y += LINE;
        let head = format!("{number}. ");
        let start = canvas.text(&format!("{}-ink strong", class(edge)), MARGIN, y, &head);
        let told = format!("{name} < {next}: {because}");
        for (row, line) in wrap(&told, text.saturating_sub(columns(&head)))
            .iter()
            .enumerate()
        {
            if row > 0 {
                y += LINE;
            }
            canvas.text("", start, y, line);
        }
    }
    y
}

fn named(name: &str) -> &str {
    if name.is_empty() { "…" } else { name }
}
