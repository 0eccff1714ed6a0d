//! What came out: a row for each number, a column for each side, and the ratio of the first side to the second.

use serde::Serialize;
use std::fmt::Write;

/// A number that is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it is of: `writes`, `writes p99`, …
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
}

impl Row {
    /// A row of this name and unit.
    pub fn new(name: impl Into<String>, unit: &'static str) -> Row {
        Row {
            name: name.into(),
            unit,
        }
    }
}

/// A row's measurements: those of each side, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// What was measured.
    #[serde(flatten)]
    pub row: Row,
    /// Each side's median.
    pub medians: Vec<Option<f64>>,
    /// Median of the first side by that of the second, where there are two.
    pub ratio: Option<f64>,
    /// All measurements of each side.
    pub all: Vec<Vec<f64>>,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    sides: Vec<String>,
    rows: Vec<(Row, Vec<Vec<f64>>)>,
}

impl Rows {
    /// No rows yet, for these sides.
    pub fn new(sides: Vec<String>) -> Rows {
        Rows {
            sides,
            rows: Vec::new(),
        }
    }

    /// Adds a measurement of one side.
    pub fn add(&mut self, row: Row, side: usize, value: f64) {
        let place = self.rows.iter().position(|(known, _)| *known == row);
        let place = place.unwrap_or_else(|| {
            self.rows.push((row, vec![Vec::new(); self.sides.len()]));
            self.rows.len() - 1
        });
        self.rows[place].1[side].push(value);
    }

    /// The medians and ratios, in the order in which they were first measured.
    pub fn measured(&self) -> Vec<Measured> {
        let rows = self.rows.iter().map(|(row, all)| {
            let medians: Vec<_> = all.iter().map(|values| median(values)).collect();
            let ratio = match medians[..] {
                [Some(first), Some(second)] if second != 0.0 => Some(first / second),
                _ => None,
            };
            Measured {
                row: row.clone(),
                medians,
                ratio,
                all: all.clone(),
            }
        });
        rows.collect()
    }

    /// `{"sides": [name, …], "figures": [row, …]}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "sides": self.sides, "figures": self.measured() })
    }

    /// A table for a terminal.
    pub fn to_text(&self) -> String {
        let mut text = format!("{:<30}", "");
        for side in &self.sides {
            write!(text, " {side:>20}").expect("writing to a string does not fail");
        }
        if self.sides.len() == 2 {
            text.push_str("      ratio");
        }
        for measured in self.measured() {
            text.push('\n');
            let title = format!("{} ({})", measured.row.name, measured.row.unit);
            write!(text, "{title:<30}").expect("writing to a string does not fail");
            for median in &measured.medians {
                let shown = median.map_or("-".to_owned(), number);
                write!(text, " {shown:>20}").expect("writing to a string does not fail");
            }
            if let Some(ratio) = measured.ratio {
                write!(text, " {ratio:>10.2}").expect("writing to a string does not fail");
            }
        }
        text
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The median; of an even number of values the mean of the middle two.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_the_ratio_of_the_first_side_to_the_second() {
        let mut rows = Rows::new(vec!["node".to_owned(), "zookeeper".to_owned()]);
        for value in [30.0, 10.0, 20.0] {
            rows.add(Row::new("writes", "1/s"), 0, value);
        }
        for value in [4.0, 6.0] {
            rows.add(Row::new("writes", "1/s"), 1, value);
        }
        let measured = rows.measured();
        assert_eq!(measured[0].medians, [Some(20.0), Some(5.0)]);
        assert_eq!(measured[0].ratio, Some(4.0));
        let text = rows.to_text();
        assert!(text.contains("ratio"), "{text}");
        assert!(text.lines().nth(1).unwrap().ends_with("4.00"), "{text}");
    }

    #[test]
    fn one_side_has_no_ratio() {
        let mut rows = Rows::new(vec!["here".to_owned()]);
        rows.add(Row::new("reads", "1/s"), 0, 1.0);
        assert_eq!(rows.measured()[0].ratio, None);
        assert!(!rows.to_text().contains("ratio"));
    }
}
