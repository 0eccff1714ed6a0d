//! Readings as text: `mntr`'s lines, the admin server's JSON, Prometheus's text format (version 0.0.4, as ZooKeeper's).
//!
//! ZooKeeper's numbers are kept: whole milliseconds and averages with four digits in the first two, and in Prometheus, where
//! fractions cost nothing, milliseconds with a fraction.

use super::count::{Detail, Summed, Unit};
use super::{Reading, Value};
use serde_json::{Map, Value as Json};
use std::fmt::{Display, Write};

/// `zk_name`, a tab, the value: a line each.
pub(in crate::server) fn mntr_lines(readings: &[Reading]) -> String {
    let mut out = String::new();
    for (name, value) in flat(readings) {
        let _ = match value {
            Json::String(word) => writeln!(out, "zk_{name}\t{word}"),
            Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(float) => writeln!(out, "zk_{name}\t{}", java_float(float)),
                None => writeln!(out, "zk_{name}\t{number}"),
            },
            _ => unreachable!("readings are words and numbers"),
        };
    }
    out
}

/// The same as a JSON object.
pub(in crate::server) fn monitor_json(readings: &[Reading]) -> Map<String, Json> {
    flat(readings).collect()
}

/// As Java prints a number with a fraction, rounded to four digits.
pub(in crate::server) fn java_float(value: f64) -> String {
    format!("{:?}", rounded(value))
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// Names with single values: a summary is several.
fn flat(readings: &[Reading]) -> impl Iterator<Item = (String, Json)> {
    readings.iter().flat_map(|reading| {
        let name = reading.name;
        match &reading.value {
            Value::Labelled(_) => Vec::new(),
            Value::Word(word) => vec![(name.to_owned(), word.as_str().into())],
            Value::Whole(number) => vec![(name.to_owned(), (*number).into())],
            Value::Count(count) => vec![(name.to_owned(), (*count).into())],
            Value::Float(number) => vec![(name.to_owned(), rounded(*number).into())],
            Value::Summary(summed) => flat_summary(name, summed),
            Value::Summaries(sets) => sets
                .iter()
                .flat_map(|(key, summed)| flat_summary(&format!("{key}_{name}"), summed))
                .collect(),
        }
    })
}

fn flat_summary(name: &str, summed: &Summed) -> Vec<(String, Json)> {
    let whole = |value: u64| match summed.unit {
        Unit::Time => Json::from(value / 1000),
        Unit::Number => Json::from(value),
    };
    let mut all = vec![
        (
            format!("avg_{name}"),
            rounded(shown(summed, summed.average())).into(),
        ),
        (format!("min_{name}"), whole(summed.min)),
        (format!("max_{name}"), whole(summed.max)),
        (format!("cnt_{name}"), summed.count.into()),
        (format!("sum_{name}"), whole(summed.sum)),
    ];
    if summed.detail == Detail::Advanced {
        for (prefix, part) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)] {
            let value = summed.quantile(part).unwrap_or_default();
            all.push((format!("{prefix}_{name}"), whole(value)));
        }
    }
    all
}

/// In the unit in which it is shown.
fn shown(summed: &Summed, value: f64) -> f64 {
    match summed.unit {
        Unit::Time => value / 1000.0,
        Unit::Number => value,
    }
}

/// Prometheus's text format.
pub(in crate::server) fn prometheus_text(readings: &[Reading]) -> String {
    let mut out = String::new();
    for reading in readings {
        let (name, help) = (reading.name, reading.help);
        let kind = match reading.value {
            Value::Word(_) => continue,
            Value::Whole(_) | Value::Float(_) | Value::Labelled(_) => "gauge",
            Value::Count(_) => "counter",
            Value::Summary(_) | Value::Summaries(_) => "summary",
        };
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        match &reading.value {
            Value::Word(_) => {}
            Value::Labelled(values) => {
                for (label, value) in values {
                    sample(&mut out, &format!("{name}{{{label}}}"), value);
                }
            }
            Value::Whole(value) => sample(&mut out, name, value),
            Value::Float(value) => sample(&mut out, name, value),
            Value::Count(value) => sample(&mut out, name, value),
            Value::Summary(summed) => samples(&mut out, name, "", summed),
            Value::Summaries(sets) => {
                for (key, summed) in sets {
                    samples(&mut out, name, &format!("key=\"{key}\""), summed);
                }
            }
        }
    }
    out
}

fn sample(out: &mut String, name: &str, value: impl Display) {
    let _ = writeln!(out, "{name} {value}");
}

fn samples(out: &mut String, name: &str, label: &str, summed: &Summed) {
    let parts: &[f64] = match summed.detail {
        Detail::Basic => &[0.5],
        Detail::Advanced => &[0.5, 0.9, 0.99],
    };
    let comma = if label.is_empty() { "" } else { "," };
    for part in parts {
        // Without values a quantile is not a number, as in Prometheus's own clients.
        let value = match summed.quantile(*part) {
            Some(value) => shown(summed, value as f64).to_string(),
            None => "NaN".into(),
        };
        let _ = writeln!(out, "{name}{{{label}{comma}quantile=\"{part}\"}} {value}");
    }
    let label = if label.is_empty() {
        String::new()
    } else {
        format!("{{{label}}}")
    };
    let _ = writeln!(out, "{name}_count{label} {}", summed.count);
    let _ = writeln!(
        out,
        "{name}_sum{label} {}",
        shown(summed, summed.sum as f64)
    );
}

#[cfg(test)]
mod tests {
    use super::super::count::Summary;
    use super::*;

    fn readings() -> Vec<Reading> {
        let times = Summary::new(Unit::Time, Detail::Advanced);
        [400, 1500, 2600].iter().for_each(|us| times.add(*us));
        let sizes = Summary::new(Unit::Number, Detail::Basic);
        [1, 2].iter().for_each(|n| sizes.add(*n));
        let value = |name, value| Reading {
            name,
            help: "It is so.",
            value,
        };
        vec![
            value("server_state", Value::Word("leader".into())),
            value("avg_latency", Value::Float(1.0 / 3.0)),
            value("znode_count", Value::Whole(5)),
            value("commit_count", Value::Count(7)),
            value("readlatency", Value::Summary(times.read())),
            value(
                "ack_latency",
                Value::Summaries(vec![("2".into(), sizes.read())]),
            ),
            value(
                "unavailable_time",
                Value::Summary(Summary::new(Unit::Time, Detail::Basic).read()),
            ),
        ]
    }

    #[test]
    fn mntr_has_a_line_for_each_as_zookeeper_prints_them() {
        let lines = mntr_lines(&readings());
        let expected = "zk_server_state\tleader\nzk_avg_latency\t0.3333\nzk_znode_count\t5\nzk_commit_count\t7\n\
             zk_avg_readlatency\t1.5\nzk_min_readlatency\t0\nzk_max_readlatency\t2\nzk_cnt_readlatency\t3\nzk_sum_readlatency\t4\n\
             zk_p50_readlatency\t1\nzk_p95_readlatency\t2\nzk_p99_readlatency\t2\nzk_p999_readlatency\t2\n\
             zk_avg_2_ack_latency\t1.5\nzk_min_2_ack_latency\t1\nzk_max_2_ack_latency\t2\nzk_cnt_2_ack_latency\t2\nzk_sum_2_ack_latency\t3\n\
             zk_avg_unavailable_time\t0.0\nzk_min_unavailable_time\t0\nzk_max_unavailable_time\t0\nzk_cnt_unavailable_time\t0\n\
             zk_sum_unavailable_time\t0\n";
        assert_eq!(lines, expected);
    }

    #[test]
    fn prometheus_gets_numbers_alone_and_quantiles_as_labels() {
        let text = prometheus_text(&readings());
        let expected = "# HELP avg_latency It is so.\n# TYPE avg_latency gauge\navg_latency 0.3333333333333333\n\
             # HELP znode_count It is so.\n# TYPE znode_count gauge\nznode_count 5\n\
             # HELP commit_count It is so.\n# TYPE commit_count counter\ncommit_count 7\n\
             # HELP readlatency It is so.\n# TYPE readlatency summary\n\
             readlatency{quantile=\"0.5\"} 1.535\nreadlatency{quantile=\"0.9\"} 2.6\nreadlatency{quantile=\"0.99\"} 2.6\n\
             readlatency_count 3\nreadlatency_sum 4.5\n\
             # HELP ack_latency It is so.\n# TYPE ack_latency summary\nack_latency{key=\"2\",quantile=\"0.5\"} 1\n\
             ack_latency_count{key=\"2\"} 2\nack_latency_sum{key=\"2\"} 3\n\
             # HELP unavailable_time It is so.\n# TYPE unavailable_time summary\nunavailable_time{quantile=\"0.5\"} NaN\n\
             unavailable_time_count 0\nunavailable_time_sum 0\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_has_the_same_names_and_numbers() {
        let json = monitor_json(&readings());
        assert_eq!(json["avg_latency"], 0.3333);
        assert!(json["avg_unavailable_time"].is_f64() && json["max_readlatency"].is_u64());
        assert_eq!(json.len(), mntr_lines(&readings()).lines().count());
    }
}
