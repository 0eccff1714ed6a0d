//! The lanes of the time line: phases, faults, and a row for each node.

use super::story::{Episode, Loss, Node, Role, Story};
use super::svg::{Path, TimeScale, px, text_width};
use keelhaul_checkers::Nanos;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Height of a node's row, and of a fault's.
const ROW: f64 = 15.0;
const GAP: f64 = 4.0;

/// Overlapping episodes of one kind are drawn below each other, so many deep.
const DEEP: usize = 4;

/// What is narrower than this is not drawn by itself: pixels.
const NARROW: f64 = 0.7;

/// The class of a kind of fault, which is its colour.
pub(super) fn class(kind: &str) -> &'static str {
    match kind {
        "kill" => "kill",
        "pause" => "pause",
        "partition" => "partition",
        _ => "other",
    }
}

/// A strip with the names of the phases.
pub(super) fn phases(story: &Story, time: &TimeScale, top: f64) -> Markup {
    let ends = story.phases.iter().skip(1).map(|phase| phase.from);
    let ends = ends.chain([story.end]);
    html! {
        @for (phase, end) in story.phases.iter().zip(ends) {
            @let x = time.x(phase.from);
            @let width = time.x(end) - x;
            line.edge x1=(px(x)) x2=(px(x)) y1=(px(top)) y2=(px(top + 13.0)) {}
            @if text_width(&phase.name) + 4.0 < width {
                text.phase x=(px(x + 4.0)) y=(px(top + 10.0)) { (phase.name) }
            }
        }
    }
}

/// The faults in rows by kind, those that overlap below each other.
pub(super) struct Faults<'s> {
    rows: Vec<FaultRow<'s>>,
}

struct FaultRow<'s> {
    /// The kind, on its first row.
    label: Option<&'s str>,
    bars: Vec<Bar<'s>>,
}

#[derive(Clone, Copy)]
struct Bar<'s> {
    episode: &'s Episode,
    from: Nanos,
    to: Nanos,
}

impl<'s> Faults<'s> {
    pub(super) fn of(story: &'s Story) -> Faults<'s> {
        let mut rows = Vec::new();
        for kind in story.kinds() {
            let mut of_kind: Vec<FaultRow<'s>> = vec![FaultRow {
                label: Some(kind),
                bars: Vec::new(),
            }];
            let mut bars: Vec<Bar<'s>> = story
                .in_place()
                .filter(|(episode, _, _)| episode.kind == kind)
                .map(|(episode, from, to)| Bar { episode, from, to })
                .collect();
            bars.sort_by_key(|bar| bar.from);
            for bar in bars {
                let ended =
                    |row: &FaultRow<'_>| row.bars.last().is_none_or(|last| last.to <= bar.from);
                let place = match of_kind.iter().position(ended) {
                    Some(place) => place,
                    None if of_kind.len() < DEEP => {
                        of_kind.push(FaultRow {
                            label: None,
                            bars: Vec::new(),
                        });
                        of_kind.len() - 1
                    }
                    None => DEEP - 1,
                };
                of_kind[place].bars.push(bar);
            }
            rows.extend(of_kind);
        }
        Faults { rows }
    }

    pub(super) fn height(&self) -> f64 {
        self.rows.len() as f64 * (ROW + GAP)
    }

    pub(super) fn draw(&self, nodes: &[Node], time: &TimeScale, top: f64) -> Markup {
        html! {
            @for (place, row) in self.rows.iter().enumerate() {
                @let y = top + place as f64 * (ROW + GAP);
                @if let Some(label) = row.label {
                    text.label x=(px(time.left - 8.0)) y=(px(y + 11.5)) { (super::text::cut(label, 10)) }
                }
                @for (place, bar) in row.bars.iter().enumerate() {
                    @let next = row.bars.get(place + 1).map_or(time.right, |next| time.x(next.from));
                    (bar.draw(nodes, time, y, next))
                }
            }
        }
    }
}

impl Bar<'_> {
    /// The bar with the longest label that fits into it or behind it, before what comes next.
    fn draw(&self, nodes: &[Node], time: &TimeScale, y: f64, next: f64) -> Markup {
        let (left, right) = (time.x(self.from), time.x(self.to));
        let whole = format!("#{} {}", self.episode.number, self.episode.what(nodes));
        let labels = self.episode.labels(nodes);
        let fits_in = |label: &&String| text_width(label) + 6.0 <= right - left;
        let fits_behind = |label: &&String| text_width(label) + 8.0 <= next - right;
        let label = labels
            .iter()
            .filter(|label| !label.is_empty())
            .find(|label| fits_in(label) || fits_behind(label));
        html! {
            rect class={ "bar " (class(&self.episode.kind)) } x=(px(left)) y=(px(y)) height=(px(ROW))
                width=(px((right - left).max(1.0))) rx="1.5" { title { (whole) } }
            @if let Some(label) = label {
                @if fits_in(&label) {
                    text.inside x=(px(left + 4.0)) y=(px(y + 11.5)) { (label) }
                } @else {
                    text.behind x=(px(right + 4.0)) y=(px(y + 11.5)) { (label) }
                }
            }
        }
    }
}

/// A shade over everything while a fault was in place, by kind.
pub(super) fn bands(story: &Story, time: &TimeScale, top: f64, bottom: f64) -> Markup {
    let mut paths: BTreeMap<&str, Path> = BTreeMap::new();
    for (episode, from, to) in story.in_place() {
        let (left, right) = (time.x(from), time.x(to));
        paths.entry(class(&episode.kind)).or_default().rect(
            left,
            top,
            (right - left).max(NARROW),
            bottom - top,
        );
    }
    html! {
        @for (kind, path) in &paths { path class={ "band " (kind) } d=(path.data()) {} }
    }
}

/// The time in which the controller itself stood still: nothing was measured there.
pub(super) fn stalls(story: &Story, time: &TimeScale, top: f64, bottom: f64) -> Markup {
    let mut path = Path::default();
    for (from, to) in story.stalls.iter().take(super::EPISODES) {
        let (left, right) = (time.x(*from), time.x(*to));
        path.rect(left, top, (right - left).max(1.0), bottom - top);
    }
    html! { @if !path.is_empty() { path.stall d=(path.data()) {} } }
}

/// Height of the nodes' rows.
pub(super) fn nodes_height(story: &Story) -> f64 {
    story.nodes.len() as f64 * (ROW + GAP)
}

/// A row for each node: its role as a bar, what hit its process below it, what cut its links above it.
pub(super) fn nodes(story: &Story, time: &TimeScale, top: f64) -> Markup {
    let mut roles: BTreeMap<Role, Path> = BTreeMap::new();
    let mut hits: BTreeMap<&str, Path> = BTreeMap::new();
    for (place, node) in story.nodes.iter().enumerate() {
        let y = top + place as f64 * (ROW + GAP);
        for (from, to, role) in segments(node, story.end, time) {
            let (left, right) = (time.x(from), time.x(to));
            roles
                .entry(role)
                .or_default()
                .rect(left, y, right - left, ROW);
        }
        for (episode, from, to) in story.in_place() {
            let (left, right) = (time.x(from), time.x(to));
            let width = (right - left).max(NARROW);
            let path = hits.entry(class(&episode.kind)).or_default();
            match episode.loss(&node.name, &story.nodes) {
                Some(Loss::CutOff) => path.rect(left, y - 2.0, width, 4.0),
                Some(Loss::Some) => path.rect(left, y - 2.0, width, 1.5),
                None if episode.links.is_empty() && episode.targets.contains(&node.name) => {
                    path.rect(left, y + ROW - 3.0, width, 4.0);
                }
                None => {}
            }
        }
    }
    html! {
        @for (role, path) in &roles { path class={ "role " (role.word()) } d=(path.data()) {} }
        @for (kind, path) in &hits { path class={ "hit " (kind) } d=(path.data()) {} }
        @for (place, node) in story.nodes.iter().enumerate() {
            @let y = top + place as f64 * (ROW + GAP) + 11.5;
            text.label x=(px(time.left - 8.0)) y=(px(y)) { (super::text::cut(&node.name, 10)) }
        }
    }
}

/// A node's roles over time. What is too short to be seen belongs to what came before it.
pub(super) fn segments(node: &Node, end: Nanos, time: &TimeScale) -> Vec<(Nanos, Nanos, Role)> {
    let ends = node.roles.iter().skip(1).map(|(at, _)| *at).chain([end]);
    let mut seen: Vec<(Nanos, Nanos, Role)> = Vec::new();
    for ((from, role), to) in node.roles.iter().zip(ends) {
        let visible = time.x(to) - time.x(*from) >= NARROW;
        match seen.last_mut() {
            Some(last) if last.2 == *role || !visible => last.1 = to,
            _ => seen.push((*from, to, *role)),
        }
    }
    seen
}
