//! An anomaly made plain: in words, as a picture, as a graph.
//!
//! - [`explain`]: all three from an anomaly and the history in which it was found;
//! - [`shrink()`]: the smallest part of the history in which the checker still finds the same;
//! - [`smallest_part`]: that part in a few lines for a terminal;
//! - `evidence`: what a witness shows, whatever its shape;
//! - `timeline`: the operations around the one that cannot have happened, as SVG; `graph`: a cycle of transactions, as SVG;
//!   `dot`: either for Graphviz; `canvas`: the drawing itself.
//!
//! Everything is made here: no font is asked, no program is run. The same anomaly gives the same bytes.
//!
//! What it cannot do: prove. A picture shows what the checker found; the sub-history in the witness can be judged again.
//!
//! ```
//! use keelhaul_checkers::{Budget, History, Parameters, Verdict, by_name, explain::explain};
//!
//! let lines = r#"{"process":0,"type":"invoke","f":"write","value":1}
//! {"process":0,"type":"ok","f":"write","value":1}
//! {"process":1,"type":"invoke","f":"read","value":null}
//! {"process":1,"type":"ok","f":"read","value":null}
//! "#;
//! let (history, _) = History::read(lines.as_bytes())?;
//! let checker = by_name("register", &Parameters::default()).expect("it is in the list");
//! let Verdict::Invalid(anomalies) = checker.check(&history, &Budget::default()).verdict else {
//!     panic!("a read that misses an acknowledged write")
//! };
//! let explanation = explain(&history, &anomalies[0]);
//! assert!(explanation.text.contains("read → null"));
//! assert!(explanation.svg.starts_with("<svg"));
//! assert!(explanation.dot.starts_with("digraph"));
//! # Ok::<(), keelhaul_checkers::HistoryError>(())
//! ```

mod canvas;
mod dot;
mod evidence;
mod graph;
mod part;
mod shrink;
mod timeline;

pub use part::smallest_part;
pub use shrink::shrink;

use crate::history::History;
use crate::render::render;
use crate::verdict::Anomaly;
use canvas::{Canvas, LINE, MARGIN, wrap};

/// Columns of a picture that is nothing but words.
const WORDS: usize = 100;

/// An anomaly in three forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// A few lines for a terminal.
    pub text: String,
    /// A picture: a document of its own, in the reader's colours, dark or light.
    pub svg: String,
    /// A graph for Graphviz: the cycle, or which operation ended before which began.
    pub dot: String,
}

/// Explains an anomaly that a checker found in this history.
pub fn explain(history: &History, anomaly: &Anomaly) -> Explanation {
    let cycle = evidence::cycle(&anomaly.witness);
    let text = render(anomaly);
    let (svg, dot) = match &cycle {
        Some(cycle) => (graph::draw(cycle, anomaly), dot::of_cycle(cycle, anomaly)),
        None => (
            timeline::draw(history, anomaly).unwrap_or_else(|| in_words(&text, anomaly)),
            dot::of_operations(anomaly),
        ),
    };
    Explanation { text, svg, dot }
}

/// A picture of an anomaly that names no operation: its words.
fn in_words(text: &str, anomaly: &Anomaly) -> String {
    let mut canvas = Canvas::default();
    let mut y = MARGIN;
    for line in text.lines().flat_map(|line| wrap(line, WORDS)) {
        y += LINE;
        canvas.text("", MARGIN, y, &line);
    }
    canvas.finish(&anomaly.summary)
}
