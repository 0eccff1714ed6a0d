//! The operations around the one that cannot have happened: a lane for each process, a bar from invocation to completion.
//!
//! Places, not times, set the distances: what matters is which operation ended before which began, and a bar is as wide as its
//! words need. So no text overlaps, and a pause of ten seconds takes no more room than one of ten microseconds; moments stand
//! below. Bars get room by the part that they play and then by how near they are to the operation in question; what has no
//! room is counted in the last lane, where it was invoked.

use super::canvas::{COLUMN, Canvas, LINE, MARGIN, columns, cut, thousands, width_of, wrap};
use super::evidence::{Part, Shown, operations, word};
use crate::describe;
use crate::history::{History, Operation};
use crate::render::Clock;
use crate::verdict::Anomaly;
use serde_json::Value;
use std::collections::BTreeMap;

/// Columns of a bar's words at most.
const LABEL: usize = 34;
/// The lanes' width at most, as long as anything can go.
const WIDEST: f64 = 1_500.0;
/// Bars that are drawn at most.
const BARS: usize = 60;
/// Operations that nobody accuses and that are drawn for orientation, at most.
const CONTEXT: usize = 16;
/// Lanes at most.
const LANES: usize = 20;
/// Height of a lane.
const LANE: f64 = 26.0;
/// Height of a bar.
const BAR: f64 = 18.0;
/// Between two neighbouring ends of bars.
const GAP: f64 = 9.0;
/// Words inside a bar keep this distance from its ends.
const INSET: f64 = 5.0;
/// How much of a bar without an end fades.
const FADE: f64 = 26.0;
/// States that are listed at most.
const STATES: usize = 12;

/// An operation that may be drawn.
#[derive(Debug, Clone)]
struct Bar {
    part: Part,
    shown: Shown,
}

impl Bar {
    fn label(&self) -> String {
        cut(&self.shown.text, LABEL)
    }

    /// As wide as its words need.
    fn width(&self) -> f64 {
        let fade = if self.shown.completed.is_none() {
            FADE
        } else {
            0.0
        };
        width_of(&self.label()) + 2.0 * INSET + fade
    }

    /// The line at which it ends; never, if it is indeterminate.
    fn end(&self) -> u64 {
        self.shown.completed.unwrap_or(u64::MAX)
    }
}

/// What is drawn, and what only counts.
#[derive(Debug)]
struct Scene {
    bars: Vec<Bar>,
    /// Lines at which operations without a bar of their own began, in order.
    folded: Vec<u64>,
    /// Processes of bars, in the order of the lanes.
    lanes: Vec<String>,
}

/// The picture of an anomaly, if its witness names any operation.
pub(super) fn draw(history: &History, anomaly: &Anomaly) -> Option<String> {
    let named = operations(&anomaly.witness);
    if named.is_empty() {
        return None;
    }
    let scene = Scene::of(history, named);
    let columns = Columns::of(&scene);
    Some(Picture::new(&scene, &columns, anomaly).draw())
}

/// All operations, where the history can be paired at all.
fn all(history: &History) -> Vec<Operation<'_>> {
    history.operations().unwrap_or_default()
}

fn shown(operation: &Operation<'_>) -> Shown {
    let is_open = operation.ret().is_none();
    Shown {
        index: operation.inv(),
        completed: operation.ret(),
        from: operation.start().0,
        to: operation.end().filter(|_| !is_open).map(|time| time.0),
        process: serde_json::json!(operation.process()).to_string(),
        key: operation.key().map(str::to_owned),
        text: describe::text(operation),
        steps: Vec::new(),
    }
}

impl Scene {
    fn of(history: &History, named: BTreeMap<u64, (Part, Shown)>) -> Scene {
        let around = around(history, &named);
        let nearest = middle(&named);
        let mut wanted: Vec<Bar> = named
            .into_values()
            .map(|(part, shown)| Bar { part, shown })
            .collect();
        wanted.sort_by_key(|bar| (bar.part, distance(&bar.shown, nearest), bar.shown.index));
        let mut folded = around.folded;
        folded.extend(wanted.iter().skip(BARS).map(|bar| bar.shown.index));
        wanted.truncate(BARS);
        wanted.extend(around.context);
        let mut scene = Scene::fitting(wanted);
        scene.folded.extend(folded);
        scene.folded.sort_unstable();
        scene
    }

    /// Bars in the order of their weight, as many as lanes and width allow.
    fn fitting(wanted: Vec<Bar>) -> Scene {
        let mut scene = Scene {
            bars: Vec::new(),
            folded: Vec::new(),
            lanes: Vec::new(),
        };
        for bar in wanted {
            let is_new = !scene.lanes.contains(&bar.shown.process);
            if is_new && scene.lanes.len() == LANES {
                scene.folded.push(bar.shown.index);
                continue;
            }
            let process = bar.shown.process.clone();
            scene.bars.push(bar);
            // The accused are shown however wide they make the picture.
            let must = scene
                .bars
                .last()
                .is_some_and(|bar| bar.part <= Part::Accused);
            if !must && Columns::of(&scene).right > WIDEST {
                let bar = scene.bars.pop().expect("it was pushed just now");
                scene.folded.push(bar.shown.index);
            } else if is_new {
                scene.lanes.push(process);
            }
        }
        // Numbers in their order, and other names after them.
        scene
            .lanes
            .sort_by_key(|process| (process.parse().unwrap_or(u64::MAX), process.clone()));
        scene
    }
}

/// What else happened to the same objects.
struct Around {
    context: Vec<Bar>,
    folded: Vec<u64>,
}

fn around(history: &History, named: &BTreeMap<u64, (Part, Shown)>) -> Around {
    let keys: Vec<Option<&str>> = named
        .values()
        .map(|(_, shown)| shown.key.as_deref())
        .collect();
    let nearest = middle(named);
    let mut others: Vec<Operation<'_>> = all(history)
        .into_iter()
        .filter(|operation| {
            !named.contains_key(&operation.inv()) && keys.contains(&operation.key())
        })
        .collect();
    let far = |operation: &Operation<'_>| {
        let end = operation.ret().unwrap_or(operation.inv());
        gap_between((operation.inv(), end), nearest)
    };
    others.sort_by_key(|operation| (far(operation), operation.inv()));
    let rest = others.split_off(others.len().min(CONTEXT));
    Around {
        context: others
            .iter()
            .map(|operation| Bar {
                part: Part::Context,
                shown: shown(operation),
            })
            .collect(),
        folded: rest.iter().map(Operation::inv).collect(),
    }
}

/// The lines between which the operation in question lies.
fn middle(named: &BTreeMap<u64, (Part, Shown)>) -> (u64, u64) {
    let (_, most) = named
        .values()
        .min_by_key(|(part, shown)| (*part, std::cmp::Reverse(shown.index)))
        .expect("there is at least one");
    (most.index, most.completed.unwrap_or(most.index))
}

fn distance(shown: &Shown, nearest: (u64, u64)) -> u64 {
    gap_between(
        (shown.index, shown.completed.unwrap_or(shown.index)),
        nearest,
    )
}

/// How far two stretches of lines are from each other; 0 where they overlap.
fn gap_between(one: (u64, u64), other: (u64, u64)) -> u64 {
    let (first, second) = if one.0 <= other.0 {
        (one, other)
    } else {
        (other, one)
    };
    second.0.saturating_sub(first.1)
}

/// Where each line of the history stands, from left to right.
#[derive(Debug)]
struct Columns {
    /// Of the ends of bars only.
    x: BTreeMap<u64, f64>,
    right: f64,
}

impl Columns {
    /// As far left as it goes: each end to the right of the one before, each completion where its bar's words have room.
    fn of(scene: &Scene) -> Columns {
        let begins: BTreeMap<u64, &Bar> = scene
            .bars
            .iter()
            .map(|bar| (bar.shown.index, bar))
            .collect();
        let ends = scene
            .bars
            .iter()
            .filter_map(|bar| Some((bar.shown.completed?, bar)));
        let ends: BTreeMap<u64, &Bar> = ends.collect();
        let mut columns = Columns {
            x: BTreeMap::new(),
            right: 0.0,
        };
        let lines: std::collections::BTreeSet<u64> =
            begins.keys().chain(ends.keys()).copied().collect();
        let mut at = 0.0;
        for line in lines {
            if let Some(bar) = ends.get(&line)
                && let Some(from) = columns.x.get(&bar.shown.index)
            {
                at = f64::max(at, from + bar.width());
            }
            columns.x.insert(line, at);
            columns.right = columns.right.max(at);
            at += GAP;
        }
        for bar in scene
            .bars
            .iter()
            .filter(|bar| bar.shown.completed.is_none())
        {
            columns.right = columns.right.max(columns.x[&bar.shown.index] + bar.width());
        }
        columns
    }

    /// The room of a bar.
    fn of_bar(&self, bar: &Bar) -> (f64, f64) {
        let from = self.x[&bar.shown.index];
        (from, self.x.get(&bar.end()).copied().unwrap_or(self.right))
    }

    /// Where an operation without a bar is counted: between the ends around its line.
    fn between(&self, line: u64) -> f64 {
        let before = self.x.range(..=line).next_back().map(|(_, x)| *x);
        let after = self.x.range(line..).next().map(|(_, x)| *x);
        match (before, after) {
            (Some(before), Some(after)) => (before + after) / 2.0,
            (None, _) => 0.0,
            (_, None) => self.right,
        }
    }
}

struct Picture<'a> {
    scene: &'a Scene,
    columns: &'a Columns,
    anomaly: &'a Anomaly,
    clock: Clock,
    canvas: Canvas,
    /// Where the lanes begin.
    left: f64,
    /// Columns of text that the whole picture has room for.
    text: usize,
    y: f64,
}

impl<'a> Picture<'a> {
    fn new(scene: &'a Scene, columns: &'a Columns, anomaly: &'a Anomaly) -> Picture<'a> {
        let label = |process: &String| width_of(&lane_label(process));
        let labels = scene.lanes.iter().map(label).fold(60.0, f64::max);
        let left = MARGIN + labels + 12.0;
        let width = f64::max(columns.right + labels + 12.0, 560.0);
        Picture {
            scene,
            columns,
            anomaly,
            clock: Clock::of(&anomaly.witness),
            canvas: Canvas::default(),
            left,
            text: (width / COLUMN) as usize,
            y: MARGIN,
        }
    }

    fn draw(mut self) -> String {
        self.title();
        self.before();
        let top = self.y;
        let bottom = top + LANE * self.scene.lanes.len() as f64;
        self.axis(top, bottom);
        self.lanes();
        self.y = bottom + LINE + 4.0;
        self.folded();
        self.states();
        self.legend();
        self.canvas.finish(&self.anomaly.summary)
    }

    /// Lines of text below each other.
    fn tell(&mut self, class: &str, indent: f64, words: &str) {
        let room = self.text.saturating_sub((indent / COLUMN) as usize).max(20);
        for line in wrap(words, room) {
            self.y += LINE;
            self.canvas.text(class, MARGIN + indent, self.y, &line);
        }
    }

    fn title(&mut self) {
        let kind = format!("{} ({})", self.anomaly.kind, self.anomaly.checker);
        self.tell("strong bad", 0.0, &kind);
        self.tell("", 0.0, &self.anomaly.summary);
        if let Some(text) = self.anomaly.witness["text"].as_str()
            && !self.anomaly.summary.contains(text)
        {
            self.tell("faint", 0.0, text);
        }
        self.y += 6.0;
    }

    /// What was possible before the first of the operations.
    fn before(&mut self) {
        let before = &self.anomaly.witness["from"];
        let Some(states) = before["states"].as_array() else {
            return;
        };
        let at = match before["index"].as_u64() {
            Some(index) => format!("after line {}, when nothing was in flight", index + 1),
            None => "in the beginning".to_owned(),
        };
        let told: Vec<String> = states
            .iter()
            .take(STATES)
            .map(|state| word(&state["state"]))
            .collect();
        let more = states.len().saturating_sub(STATES);
        let more = if more > 0 {
            format!(", or {more} more")
        } else {
            String::new()
        };
        self.tell(
            "",
            0.0,
            &format!("possible {at}: {}{more}", told.join(", or ")),
        );
        self.y += 6.0;
    }

    /// Moments below the lanes, as many as have room.
    fn axis(&mut self, top: f64, bottom: f64) {
        let mut times: BTreeMap<u64, u64> = BTreeMap::new();
        for bar in &self.scene.bars {
            times.insert(bar.shown.index, bar.shown.from);
            if let (Some(line), Some(time)) = (bar.shown.completed, bar.shown.to) {
                times.insert(line, time);
            }
        }
        let mut free = f64::MIN;
        for (line, time) in times {
            let x = self.left + self.columns.x[&line];
            let words = self.clock.tell(time, &Value::from(line));
            if x < free {
                continue;
            }
            self.canvas.line("tick", (x, top), (x, bottom + 4.0));
            free = self.canvas.text("faint", x, bottom + LINE, &words) + 2.0 * COLUMN;
        }
    }

    fn lanes(&mut self) {
        let right = self.left + self.columns.right;
        for process in &self.scene.lanes {
            let middle = self.y + LANE / 2.0;
            self.canvas
                .text("faint", MARGIN, middle + 4.0, &lane_label(process));
            self.canvas
                .line("lane", (self.left - 4.0, middle), (right, middle));
            self.y += LANE;
        }
        let top = self.y - LANE * self.scene.lanes.len() as f64;
        for bar in &self.scene.bars {
            let lane = self
                .scene
                .lanes
                .iter()
                .position(|lane| *lane == bar.shown.process);
            let lane = lane.expect("each bar's process has a lane") as f64;
            let (from, to) = self.columns.of_bar(bar);
            let (x, y) = (self.left + from, top + lane * LANE + (LANE - BAR) / 2.0);
            let class = match bar.part {
                Part::Stuck => "bar stuck",
                Part::Accused => "bar accused",
                Part::Window => "bar",
                Part::Maker => "bar maker",
                Part::Optional => "bar optional",
                Part::Context => "bar context",
            };
            self.canvas
                .rect(class, x, y, to - from, BAR, &self.full(&bar.shown));
            if bar.shown.completed.is_none() {
                self.canvas
                    .fade(x + to - from - FADE, y - 2.0, FADE + 2.0, BAR + 4.0);
            }
            self.canvas.text("", x + INSET, y + 13.0, &bar.label());
        }
    }

    /// What a bar says under the pointer.
    fn full(&self, shown: &Shown) -> String {
        let end = match (shown.completed, shown.to) {
            (Some(line), Some(to)) => {
                format!(
                    "{} (line {})",
                    self.clock.tell(to, &Value::from(line)),
                    line + 1
                )
            }
            _ => "never answered".to_owned(),
        };
        let from = self.clock.tell(shown.from, &Value::from(shown.index));
        format!(
            "process {}: {} · {from} (line {}) … {end}",
            shown.process,
            shown.text,
            shown.index + 1
        )
    }

    /// Counts of what has no bar, where it began.
    fn folded(&mut self) {
        let folded = &self.scene.folded;
        if folded.is_empty() {
            return;
        }
        self.y += LINE;
        self.canvas.text("faint", MARGIN, self.y, "others");
        let mut groups: Vec<(f64, usize)> = Vec::new();
        for line in folded {
            let x = self.columns.between(*line);
            match groups.last_mut() {
                Some((at, count)) if x - *at < 1.0 => *count += 1,
                _ => groups.push((x, 1)),
            }
        }
        let right = self.left + self.columns.right;
        let mut free = self.left;
        let mut waiting = 0;
        for (x, count) in groups {
            let count = count + waiting;
            let words = format!("+{}", thousands(count));
            // At the ends and where words have room; else they count with the next ones.
            let start = (self.left + x - width_of(&words) / 2.0).max(self.left);
            if start < free {
                waiting = count;
                continue;
            }
            waiting = 0;
            let start = start.min(f64::max(free, right - width_of(&words)));
            free = self.canvas.text("faint", start, self.y, &words) + 2.0 * COLUMN;
        }
        if waiting > 0 {
            let words = format!("+{}", thousands(waiting));
            self.canvas.text("faint", free, self.y, &words);
        }
        self.y += 4.0;
        let (first, last) = self.ends();
        let before = folded.iter().filter(|line| **line < first).count();
        let after = folded.iter().filter(|line| **line > last).count();
        let told = format!(
            "… {} more of the same object: {} before, {} among these, {} after",
            thousands(folded.len()),
            thousands(before),
            thousands(folded.len() - before - after),
            thousands(after)
        );
        self.tell("faint", 0.0, &told);
    }

    /// The first and the last line that is drawn.
    fn ends(&self) -> (u64, u64) {
        let lines = &self.columns.x;
        let first = lines.first_key_value().map_or(0, |(line, _)| *line);
        (
            first,
            lines.last_key_value().map_or(u64::MAX, |(line, _)| *line),
        )
    }

    /// What was possible when the operation returned, and why it fits none of it.
    fn states(&mut self) {
        let stuck = &self.anomaly.witness["stuck"];
        let Some(states) = stuck["states"].as_array() else {
            return;
        };
        self.y += 8.0;
        self.tell(
            "strong bad",
            0.0,
            &format!(
                "{} cannot have happened. Whatever the order of the others, it would have met",
                word(&stuck["operation"]["text"])
            ),
        );
        for state in states.iter().take(STATES) {
            let by = match state["by"]["text"].as_str() {
                Some(by) => format!(" (by process {}: {by})", word(&state["by"]["process"])),
                None => String::new(),
            };
            let told = format!("{}{by}; but {}", word(&state["state"]), word(&state["why"]));
            self.tell("", 2.0 * COLUMN, &told);
        }
        if states.len() > STATES {
            let more = format!("… and {} more states", states.len() - STATES);
            self.tell("faint", 2.0 * COLUMN, &more);
        }
    }

    fn legend(&mut self) {
        const PARTS: [(Part, &str, &str); 6] = [
            (Part::Stuck, "bar stuck", "cannot have happened"),
            (Part::Accused, "bar accused", "in question"),
            (Part::Window, "bar", "answered, must be ordered"),
            (Part::Maker, "bar maker", "made a state that was possible"),
            (Part::Optional, "bar optional", "may have happened"),
            (Part::Context, "bar context", "also there"),
        ];
        self.y += 12.0;
        let mut x = MARGIN;
        for (part, class, words) in PARTS {
            if !self.scene.bars.iter().any(|bar| bar.part == part) {
                continue;
            }
            let width = 22.0 + width_of(words) + 18.0;
            if x > MARGIN && x + width > MARGIN + self.text as f64 * COLUMN {
                (x, self.y) = (MARGIN, self.y + LINE);
            }
            self.canvas.rect(class, x, self.y, 16.0, 10.0, "");
            self.canvas.text("faint", x + 22.0, self.y + 9.0, words);
            x += width;
        }
        self.y += LINE;
    }
}

fn lane_label(process: &str) -> String {
    let process = cut(process, 16);
    match columns(&process) {
        0 => "process".to_owned(),
        _ => format!("process {process}"),
    }
}
