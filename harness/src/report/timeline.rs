//! The run on one axis of time: phases, faults, nodes, rates and latencies under each other.

use super::lanes::{self, Faults};
use super::plots;
use super::series::Series;
use super::story::{Role, Story};
use super::svg::{Frame, TimeScale, WIDTH, px, text_width};
use super::text::{cut, duration};
use keelhaul_checkers::Nanos;
use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};

const LEFT: f64 = 74.0;
const RIGHT: f64 = WIDTH - 8.0;
const RATES: f64 = 110.0;
const LATENCIES: f64 = 150.0;

/// Where everything stands, from top to bottom.
struct Layout {
    time: TimeScale,
    faults: f64,
    nodes: f64,
    rates: Frame,
    latencies: Frame,
    height: f64,
}

impl Layout {
    fn of(story: &Story, faults: &Faults<'_>, marked: bool) -> Layout {
        let time = TimeScale {
            left: LEFT,
            right: RIGHT,
            end: story.end,
        };
        let faults_top = 24.0;
        let nodes = faults_top + faults.height() + 8.0;
        let room_for_marks = if marked { 15.0 } else { 0.0 };
        let rates_top = nodes + lanes::nodes_height(story) + 26.0 + room_for_marks;
        let rates = Frame {
            top: rates_top,
            bottom: rates_top + RATES,
        };
        let latencies = Frame {
            top: rates.bottom + 34.0,
            bottom: rates.bottom + 34.0 + LATENCIES,
        };
        Layout {
            time,
            faults: faults_top,
            nodes,
            rates,
            latencies,
            height: latencies.bottom + 24.0,
        }
    }
}

/// When an anomaly came to light, and its name.
pub(super) type Mark<'a> = (Nanos, &'a str);

/// The figure with its legend, and the numbers that the read-out under the pointer shows.
pub(super) fn figure(story: &Story, series: &Series, marks: &[Mark<'_>]) -> Markup {
    let faults = Faults::of(story);
    let layout = Layout::of(story, &faults, !marks.is_empty());
    let time = &layout.time;
    let floor = layout.latencies.bottom;
    let title_of = |frame: Frame| px(frame.top - 8.0);
    html! {
        (legend(story))
        div.figure #timeline {
            svg viewBox={ "0 0 " (px(WIDTH)) " " (px(layout.height)) } role="img"
                aria-label="Faults, the nodes' roles, throughput and latency over time" {
                (patterns())
                (lanes::bands(story, time, layout.nodes - 4.0, floor))
                (axis(time, layout.nodes - 4.0, floor))
                (lanes::phases(story, time, 3.0))
                (faults.draw(&story.nodes, time, layout.faults))
                (lanes::nodes(story, time, layout.nodes))
                text.title x=(px(LEFT)) y=(title_of(layout.rates)) { "operations per second" }
                (plots::rates(series, time, layout.rates))
                text.title x=(px(LEFT)) y=(title_of(layout.latencies)) { "latency" }
                (plots::latencies(series, time, layout.latencies))
                (lanes::stalls(story, time, layout.nodes - 4.0, floor))
                @for (at, name) in marks { (mark(*at, name, &layout)) }
            }
            div #readout hidden {}
        }
        p.note {
            "Time in seconds since the run's start, by the controller's clock. Operations count where they ended, in steps of "
            (duration(series.width)) ". Roles as polled by the controller every 50 ms, past the faults."
        }
        (phases(story))
        script #data type="application/json" { (PreEscaped(embedded(&read_out(story, series, time)))) }
    }
}

fn axis(time: &TimeScale, top: f64, bottom: f64) -> Markup {
    html! {
        @for tick in time.ticks() {
            @let x = px(time.x(tick));
            line.rule x1=(x) x2=(x) y1=(px(top)) y2=(px(bottom)) {}
            text.time x=(x) y=(px(bottom + 16.0)) { (tick.0 / 1_000_000_000) @if tick.0 == 0 { " s" } }
        }
    }
}

/// A line through everything where an anomaly came to light.
fn mark(at: Nanos, name: &str, layout: &Layout) -> Markup {
    let x = layout.time.x(at);
    let y = layout.rates.top - 24.0;
    let label = cut(name, 40);
    let fits = x + 4.0 + text_width(&label) < RIGHT;
    html! {
        path.mark d={ "M" (px(x)) " " (px(layout.nodes - 4.0)) "V" (px(layout.latencies.bottom)) } {}
        text.marked x=(px(if fits { x + 4.0 } else { x - 4.0 })) y=(px(y)) text-anchor=[(!fits).then_some("end")] { (label) }
    }
}

/// How long each phase took.
fn phases(story: &Story) -> Markup {
    let ends = story.phases.iter().skip(1).map(|phase| phase.from);
    let lengths: Vec<String> = story
        .phases
        .iter()
        .zip(ends)
        .map(|(phase, end)| {
            let length = Nanos(end.0.saturating_sub(phase.from.0));
            format!("{} {}", cut(&phase.name, 40), duration(length))
        })
        .collect();
    html! { @if !lengths.is_empty() { p.note { "Phases: " (lengths.join(", ")) "." } } }
}

/// Hatching for states in which a node serves nobody.
fn patterns() -> Markup {
    html! {
        defs {
            @for (id, gap) in [("hatch-looking", "5"), ("hatch-unreachable", "5"), ("hatch-stall", "7")] {
                pattern id=(id) width=(gap) height=(gap) patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect.ground width=(gap) height=(gap) {}
                    line.stroke x1="0" x2="0" y1="0" y2=(gap) {}
                }
            }
        }
    }
}

fn legend(story: &Story) -> Markup {
    let present = |role: &Role| {
        story
            .nodes
            .iter()
            .any(|node| node.roles.iter().any(|(_, has)| has == role))
    };
    let partitions = story
        .in_place()
        .any(|(episode, _, _)| !episode.links.is_empty());
    html! {
        div.legend {
            @for role in Role::ALL.iter().filter(|role| present(role)) {
                (key(html! { rect class={ "role " (role.word()) } width="18" height="10" {} }, role.word()))
            }
            @for kind in story.kinds() {
                (key(html! { rect class={ "bar " (lanes::class(kind)) } width="18" height="10" {} }, kind))
            }
            @if partitions {
                (key(html! { rect.hit.partition y="1" width="18" height="4" {} }, "cut off from the majority"))
                (key(html! { rect.hit.partition y="2" width="18" height="1.5" {} }, "some links cut"))
            }
            @for (class, word) in [("ok", "ok"), ("fail", "fail"), ("info", "info (indeterminate)")] {
                (key(html! { rect class={ "area " (class) } width="18" height="10" {} }, word))
            }
            @for class in ["p50", "p95", "p99"] {
                (key(html! { path class={ "curve " (class) } d="M0 5h18" {} }, class))
            }
            (key(html! { path.slowest d="M9 5h0" {} }, "max"))
            (key(html! { path.waited d="M6.5 2.5l5 5m0 -5l-5 5" {} }, "longest wait for an info"))
            @if !story.stalls.is_empty() {
                (key(html! { rect.stall width="18" height="10" {} }, "the controller stood still"))
            }
        }
    }
}

fn key(mark: Markup, word: &str) -> Markup {
    html! {
        span { svg.swatch viewBox="0 0 18 10" width="18" height="10" aria-hidden="true" { (mark) } (word) }
    }
}

/// `{"end", "width": ms, "left", "right", "canvas": px, "buckets": [[ok, fail, info, p50, p95, p99, max]] (latencies in µs),
/// "roles": [word], "nodes": [[name, [[ms, role]]]], "faults": [[from ms, to ms, text]], "phases": [[ms, name]]}`.
fn read_out(story: &Story, series: &Series, time: &TimeScale) -> Value {
    let ms = |at: Nanos| at.0 / 1_000_000;
    let us = |time: Nanos| time.0 / 1_000;
    let buckets: Vec<Value> = series
        .buckets
        .iter()
        .map(|bucket| match bucket.latency {
            Some(l) => {
                json!([
                    bucket.ok,
                    bucket.fail,
                    bucket.info,
                    us(l.p50),
                    us(l.p95),
                    us(l.p99),
                    us(l.max)
                ])
            }
            None => json!([bucket.ok, bucket.fail, bucket.info]),
        })
        .collect();
    let nodes: Vec<Value> = story
        .nodes
        .iter()
        .map(|node| {
            let segments = lanes::segments(node, story.end, time);
            let changes = segments
                .iter()
                .map(|(from, _, role)| (ms(*from), *role as u8));
            json!([node.name, changes.collect::<Vec<_>>()])
        })
        .collect();
    let faults: Vec<Value> = story
        .in_place()
        .map(|(episode, from, to)| {
            let what = format!("#{} {}", episode.number, episode.what(&story.nodes));
            json!([ms(from), ms(to), cut(&what, 120)])
        })
        .collect();
    let phases: Vec<_> = story
        .phases
        .iter()
        .map(|phase| json!([ms(phase.from), phase.name]))
        .collect();
    json!({
        "end": ms(story.end),
        "width": ms(series.width),
        "left": LEFT,
        "right": RIGHT,
        "canvas": WIDTH,
        "roles": Role::ALL.map(Role::word),
        "buckets": buckets,
        "nodes": nodes,
        "faults": faults,
        "phases": phases,
    })
}

/// JSON that may stand inside a script element: nothing in it can end the element or open another.
fn embedded(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}
