//! The curves of the time line: rates as stacked areas, latencies on a logarithmic scale.

use super::series::{Bucket, Latency, Series};
use super::svg::{Frame, Linear, Logarithmic, Path, TimeScale, px};
use super::text::{count, duration};
use keelhaul_checkers::Nanos;
use maud::{Markup, html};

/// Operations per second: ok, on it fail, on it info.
pub(super) fn rates(series: &Series, time: &TimeScale, frame: Frame) -> Markup {
    let scale = Linear::holding(series.highest_rate(), frame);
    let height_of = |of: fn(&Bucket) -> u64| -> Vec<(f64, f64)> {
        let points = series.buckets.iter().enumerate();
        points
            .map(|(place, bucket)| {
                let y = scale.y(series.per_second(of(bucket)));
                (time.x(series.middle(place)), y)
            })
            .collect()
    };
    let floor = height_of(|_| 0);
    let ok = height_of(|bucket| bucket.ok);
    let fail = height_of(|bucket| bucket.ok + bucket.fail);
    let info = height_of(|bucket| bucket.ok + bucket.fail + bucket.info);
    html! {
        @for tick in scale.ticks() {
            (rule(time, scale.y(tick), &count(tick as u64)))
        }
        @for (class, upper, lower) in [("ok", &ok, &floor), ("fail", &fail, &ok), ("info", &info, &fail)] {
            path class={ "area " (class) } d=(area(upper, lower)) {}
        }
    }
}

fn area(upper: &[(f64, f64)], lower: &[(f64, f64)]) -> String {
    let mut path = Path::default();
    path.area(upper, lower);
    path.data().to_owned()
}

/// Latency of ok operations, and how long was waited for what became indeterminate.
pub(super) fn latencies(series: &Series, time: &TimeScale, frame: Frame) -> Markup {
    let answered = series.buckets.iter().filter_map(|bucket| bucket.latency);
    let given_up = series.buckets.iter().filter_map(|bucket| bucket.given_up);
    let least = answered.clone().map(|latency| latency.p50).min();
    let most = answered.map(|latency| latency.max).chain(given_up).max();
    let (Some(least), Some(most)) = (least, most) else {
        return html! {
            text.phase x=(px(time.left + 8.0)) y=(px(frame.top + 16.0)) { "No operation was answered." }
        };
    };
    let scale = Logarithmic::holding(least, most, frame);
    let stretches = stretches(series);
    let through = |of: fn(&Latency) -> Nanos| -> Vec<Vec<(f64, f64)>> {
        let point = |(place, latency): &(usize, Latency)| {
            (time.x(series.middle(*place)), scale.y(of(latency)))
        };
        stretches
            .iter()
            .map(|stretch| stretch.iter().map(point).collect())
            .collect()
    };
    let (p50, p95, p99) = (
        through(|latency| latency.p50),
        through(|latency| latency.p95),
        through(|latency| latency.p99),
    );
    let mut spread = Path::default();
    for (upper, lower) in p99.iter().zip(&p50) {
        spread.area(upper, lower);
    }
    let mut slowest = Path::default();
    for (x, y) in through(|latency| latency.max).into_iter().flatten() {
        slowest.dot(x, y);
    }
    let mut unknown = Path::default();
    for (place, bucket) in series.buckets.iter().enumerate() {
        if let Some(waited) = bucket.given_up {
            unknown.cross(time.x(series.middle(place)), scale.y(waited));
        }
    }
    html! {
        @for tick in scale.ticks() {
            (rule(time, scale.y(tick), &decade(tick)))
        }
        path.spread d=(spread.data()) {}
        path.slowest d=(slowest.data()) {}
        @for (class, lines) in [("p99", &p99), ("p95", &p95), ("p50", &p50)] {
            path class={ "curve " (class) } d=(curve(lines)) {}
        }
        @if !unknown.is_empty() { path.waited d=(unknown.data()) {} }
    }
}

/// Buckets in a row that have latencies: a curve never bridges time in which nothing was answered.
fn stretches(series: &Series) -> Vec<Vec<(usize, Latency)>> {
    let mut stretches: Vec<Vec<(usize, Latency)>> = Vec::new();
    for (place, bucket) in series.buckets.iter().enumerate() {
        let Some(latency) = bucket.latency else {
            continue;
        };
        match stretches.last_mut() {
            Some(stretch) if stretch.last().is_some_and(|(last, _)| last + 1 == place) => {
                stretch.push((place, latency));
            }
            _ => stretches.push(vec![(place, latency)]),
        }
    }
    stretches
}

fn curve(lines: &[Vec<(f64, f64)>]) -> String {
    let mut path = Path::default();
    for line in lines {
        match line.as_slice() {
            [(x, y)] => path.dot(*x, *y),
            points => path.line(points.iter().copied()),
        }
    }
    path.data().to_owned()
}

/// A line across the plot, with its value before it.
fn rule(time: &TimeScale, y: f64, label: &str) -> Markup {
    html! {
        line.rule x1=(px(time.left)) x2=(px(time.right)) y1=(px(y)) y2=(px(y)) {}
        text.tick x=(px(time.left - 8.0)) y=(px(y + 3.5)) { (label) }
    }
}

/// A power of ten without decimals.
fn decade(tick: Nanos) -> String {
    match tick.0 {
        ns if ns < 1_000 => format!("{ns} ns"),
        ns if ns < 1_000_000 => format!("{} µs", ns / 1_000),
        ns if ns < 1_000_000_000 => format!("{} ms", ns / 1_000_000),
        ns if ns <= 100_000_000_000 => format!("{} s", ns / 1_000_000_000),
        _ => duration(tick),
    }
}
