//! The operations of a witness, drawn: a row for each process, a bar from invocation to completion.
//!
//! The axis is the order of the history's lines and not time: what could come before what is all that a window is about, and
//! a millisecond stays legible beside a minute. The times stand in the list under it.

use super::svg::{Path, WIDTH, px, text_width};
use super::text::{NONE, cut, instant, plain};
use keelhaul_checkers::Nanos;
use maud::{Markup, html};
use serde_json::Value;
use std::collections::BTreeMap;

/// Operations that are drawn at most.
const DRAWN: usize = 48;

const LEFT: f64 = 84.0;
const RIGHT: f64 = WIDTH - 28.0;
const ROW: f64 = 28.0;
const TOP: f64 = 10.0;

/// The least width of the stretch between two lines of the history.
const SLOT: f64 = 16.0;

/// What part an operation has in the evidence; of several, the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// It may have happened at any time after its invocation, or never.
    Optional,
    /// It was answered.
    Answered,
    /// It contradicts another.
    Accused,
    /// It could not happen.
    Stuck,
}

impl Part {
    fn class(self) -> &'static str {
        match self {
            Part::Optional => "optional",
            Part::Answered => "answered",
            Part::Accused => "accused",
            Part::Stuck => "stuck",
        }
    }
}

/// One operation of a witness, as the checkers describe it.
#[derive(Debug, Clone)]
struct Shown {
    /// From 1, in the order of the invocations.
    number: usize,
    part: Part,
    process: String,
    invoked: u64,
    /// The line of its completion; `None` if it is open: indeterminate, or never completed.
    completed: Option<u64>,
    text: String,
    json: Value,
}

impl Shown {
    fn of(json: &Value, part: Part) -> Option<Shown> {
        let open = json["outcome"].as_str() == Some("info");
        Some(Shown {
            number: 0,
            part,
            process: plain(&json["process"]),
            invoked: json["index"].as_u64()?,
            completed: json["completed"].as_u64().filter(|_| !open),
            text: plain(&json["text"]),
            json: json.clone(),
        })
    }

    /// Labels from the longest to the shortest; the last is the number alone.
    fn labels(&self) -> [String; 3] {
        let text = self
            .text
            .replace(" → ok, version ", " → v")
            .replace(", version ", " v");
        let bare = match text.rsplit_once(" (") {
            Some((bare, _)) => bare.to_owned(),
            None => text.clone(),
        };
        [
            format!("{} · {}", self.number, cut(&bare, 60)),
            format!(
                "{} · {}",
                self.number,
                cut(&self.json["f"].to_string().replace('"', ""), 12)
            ),
            self.number.to_string(),
        ]
    }
}

/// The operations of one witness.
#[derive(Debug, Default)]
pub(super) struct Window {
    by_line: BTreeMap<u64, Shown>,
}

impl Window {
    /// Takes an operation; one that is there already keeps the weightier part.
    pub(super) fn add(&mut self, json: &Value, part: Part) {
        let Some(shown) = Shown::of(json, part) else {
            return;
        };
        let known = self.by_line.entry(shown.invoked).or_insert(shown);
        known.part = known.part.max(part);
    }

    pub(super) fn add_all(&mut self, list: &Value, part: Part) {
        for json in list.as_array().into_iter().flatten() {
            self.add(json, part);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_line.is_empty()
    }

    /// When the last of the operations was answered.
    pub(super) fn last_answer(&self) -> Option<Nanos> {
        let answered = self
            .by_line
            .values()
            .filter(|operation| operation.completed.is_some());
        answered
            .filter_map(|operation| operation.json["to"].as_u64())
            .max()
            .map(Nanos)
    }

    /// The operations in order, numbered; the weightiest if there are too many.
    fn numbered(&self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = self.by_line.values().cloned().collect();
        if shown.len() > DRAWN {
            shown.sort_by_key(|operation| (std::cmp::Reverse(operation.part), operation.invoked));
            shown.truncate(DRAWN);
            shown.sort_by_key(|operation| operation.invoked);
        }
        for (place, operation) in shown.iter_mut().enumerate() {
            operation.number = place + 1;
        }
        shown
    }

    /// The figure, and the list of what it shows.
    pub(super) fn draw(&self) -> Markup {
        let shown = self.numbered();
        let left_out = self.by_line.len() - shown.len();
        html! {
            (figure(&shown))
            p.note {
                "From left to right: the order of invocations and completions, not to scale. "
                "Dashed: it may have happened at any time after its invocation, or never. An open end: no known outcome. "
                @if left_out > 0 { (left_out) " further operations are in results.json." }
            }
            (list(&shown))
        }
    }
}

/// Where each line of the history stands.
struct Order {
    x: BTreeMap<u64, f64>,
}

impl Order {
    /// Gives every bar room for its label, as far as there is room.
    fn of(shown: &[Shown]) -> Order {
        let mut lines: Vec<u64> = shown
            .iter()
            .flat_map(|operation| [Some(operation.invoked), operation.completed])
            .flatten()
            .collect();
        lines.sort_unstable();
        lines.dedup();
        let place = |line: u64| lines.partition_point(|known| *known < line);
        let mut slots = vec![SLOT; lines.len()];
        let mut spans: Vec<(usize, usize, f64)> = shown
            .iter()
            .map(|operation| {
                let from = place(operation.invoked);
                let to = operation.completed.map_or(slots.len(), place);
                let wanted = text_width(&operation.labels()[0]) + 12.0;
                (from, to.max(from + 1).min(slots.len()), wanted)
            })
            .collect();
        // Short spans first: what widens them widens the long ones too.
        spans.sort_by_key(|(from, to, _)| to - from);
        for (from, to, wanted) in spans {
            let has: f64 = slots[from..to].iter().sum();
            let more = (wanted - has).max(0.0) / (to - from).max(1) as f64;
            slots[from..to].iter_mut().for_each(|slot| *slot += more);
        }
        let total: f64 = slots.iter().sum();
        let scale = (RIGHT - LEFT) / total.max(1.0);
        let mut at = LEFT;
        let x = lines
            .iter()
            .zip(slots)
            .map(|(line, slot)| {
                let here = at;
                at += slot * scale.min(1.4);
                (*line, here)
            })
            .collect();
        Order { x }
    }

    fn of_line(&self, line: u64) -> f64 {
        self.x.get(&line).copied().unwrap_or(LEFT)
    }
}

fn figure(shown: &[Shown]) -> Markup {
    let order = Order::of(shown);
    let mut processes: Vec<&str> = Vec::new();
    for operation in shown {
        if !processes.contains(&&*operation.process) {
            processes.push(&operation.process);
        }
    }
    let height = TOP + processes.len() as f64 * ROW + 4.0;
    let mut lines = Path::default();
    for place in 0..processes.len() {
        let y = TOP + place as f64 * ROW + 10.0;
        lines.line([(LEFT, y), (WIDTH, y)]);
    }
    html! {
        div.figure.window {
            svg viewBox={ "0 0 " (px(WIDTH)) " " (px(height)) } role="img"
                aria-label="The operations that cannot be explained, by process" {
                path.rule d=(lines.data()) {}
                @for (place, process) in processes.iter().enumerate() {
                    @let y = TOP + place as f64 * ROW;
                    text.label x=(px(LEFT - 10.0)) y=(px(y + 13.5)) { "process " (cut(process, 6)) }
                    @for operation in shown.iter().filter(|operation| operation.process == **process) {
                        (bar(operation, &order, y))
                    }
                }
            }
        }
    }
}

fn bar(operation: &Shown, order: &Order, y: f64) -> Markup {
    let left = order.of_line(operation.invoked);
    let right = operation
        .completed
        .map_or(WIDTH, |line| order.of_line(line));
    let width = (right - left).max(4.0);
    let label = operation
        .labels()
        .into_iter()
        .find(|label| text_width(label) + 8.0 <= width);
    let open = operation.completed.is_none();
    html! {
        g class={ "operation " (operation.part.class()) } {
            title { (operation.number) " · " (operation.text) }
            @if open {
                path d={ "M" (px(WIDTH)) " " (px(y)) "H" (px(left + 3.0)) "q-3 0 -3 3v14q0 3 3 3H" (px(WIDTH)) } {}
            } @else {
                rect x=(px(left)) y=(px(y)) width=(px(width)) height="20" rx="3" {}
            }
            @if let Some(label) = label {
                text x=(px(left + 6.0)) y=(px(y + 13.5)) { (label) }
            } @else {
                text x=(px(right + 3.0)) y=(px(y + 13.5)) { (operation.number) }
            }
        }
    }
}

fn list(shown: &[Shown]) -> Markup {
    let time = |value: &Value| {
        value
            .as_u64()
            .map_or(NONE.to_owned(), |at| instant(Nanos(at)))
    };
    html! {
        div.scroll { table {
            thead { tr {
                th.number { "no." } th { "process" } th.number { "invoked" } th.number { "completed" } th { "operation" }
                th { "server" } th { "session" } th.number { "zxid" } th.number { "line" }
            } }
            tbody { @for operation in shown {
                tr class=(operation.part.class()) {
                    td.number { (operation.number) }
                    td { (operation.process) }
                    td.number { (time(&operation.json["from"])) }
                    td.number { (time(&operation.json["to"])) }
                    td { code { (operation.text) } }
                    td { (plain(&operation.json["server"])) }
                    td { (plain(&operation.json["session"])) }
                    td.number { (zxid(&operation.json["zxid"])) }
                    td.number { (operation.invoked) }
                }
            } }
        } }
    }
}

/// Epoch and counter, as people of the field read a zxid.
fn zxid(value: &Value) -> String {
    match value.as_u64() {
        Some(zxid) => format!("{:#x}", zxid),
        None => plain(value),
    }
}
