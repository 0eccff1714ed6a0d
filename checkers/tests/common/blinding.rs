//! Counting how often a checker sees what was broken on purpose.
//!
//! A *mutation* changes one thing in a sound history so that a promise is broken; a checker *kills* it by saying invalid. A
//! survivor is a hole in the checker, or a mutation that broke nothing: either way it is a finding, so a row with survivors
//! fails the test unless it says how many there may be, and why.
//!
//! ```ignore
//! pub fn rows() -> Vec<Row> {
//!     vec![
//!         measure("cas-register", "a stale read", 0..200, |rng| {
//!             let (mut history, read) = sound(rng);
//!             make_stale(&mut history, read)?;                 // None: this history has no place for the mutation
//!             Some(invalid("cas-register", &history))
//!         }),
//!         measure(…).surviving(2, "the two zxids belong to concurrent writes of one key that nobody read"),
//!     ]
//! }
//! ```

use keelhaul_checkers::History;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// What came of one mutation, tried again and again.
#[derive(Debug, Clone)]
pub struct Row {
    pub checker: &'static str,
    pub mutation: &'static str,
    pub tried: u32,
    pub killed: u32,
    /// The first seeds that survived.
    pub survivors: Vec<u64>,
    /// How many may survive, and why.
    pub may_survive: Option<(u32, &'static str)>,
}

impl Row {
    /// Says how many survivors there may be at most, and why they are right to survive.
    pub fn surviving(mut self, at_most: u32, why: &'static str) -> Row {
        self.may_survive = Some((at_most, why));
        self
    }

    fn survived(&self) -> u32 {
        self.tried - self.killed
    }

    fn is_as_it_should_be(&self) -> bool {
        let allowed = self.may_survive.map_or(0, |(at_most, _)| at_most);
        self.tried > 0 && self.survived() <= allowed
    }
}

/// Tries a mutation with each of these seeds. `blind` makes a sound history, breaks it and asks the checker: whether it said
/// invalid; `None` where the history had no place for this mutation, which does not count.
pub fn measure(
    checker: &'static str,
    mutation: &'static str,
    seeds: Range<u64>,
    mut blind: impl FnMut(&mut ChaCha8Rng) -> Option<bool>,
) -> Row {
    let asked = seeds.end - seeds.start;
    let mut row = Row {
        checker,
        mutation,
        tried: 0,
        killed: 0,
        survivors: Vec::new(),
        may_survive: None,
    };
    for seed in seeds {
        match blind(&mut ChaCha8Rng::seed_from_u64(seed)) {
            None => continue,
            Some(true) => row.killed += 1,
            Some(false) if row.survivors.len() < 5 => row.survivors.push(seed),
            Some(false) => {}
        }
        row.tried += 1;
    }
    assert!(
        u64::from(row.tried) * 2 >= asked,
        "{checker}, {mutation}: only {} of {asked} histories had a place for it",
        row.tried
    );
    row
}

/// Whether the checker of this name, with the usual parameters, calls the history invalid.
pub fn invalid(checker: &str, history: &History) -> bool {
    super::validity(&super::judge(checker, history)) == Some(false)
}

/// The table, a line for each row.
pub fn table(rows: &[Row]) -> String {
    let wide = |of: fn(&Row) -> &str, title: &str| {
        let widths = rows.iter().map(|row| of(row).chars().count());
        widths.chain([title.len()]).max().unwrap_or_default()
    };
    let (checker, mutation) = (
        wide(|row| row.checker, "checker"),
        wide(|row| row.mutation, "mutation"),
    );
    let mut text = format!(
        "{:checker$}  {:mutation$}  killed/tried\n",
        "checker", "mutation"
    );
    for row in rows {
        let why = match row.may_survive {
            Some((_, why)) if row.survived() > 0 => format!("  ({why})"),
            _ => String::new(),
        };
        text.push_str(&format!(
            "{:checker$}  {:mutation$}  {}/{}{why}\n",
            row.checker, row.mutation, row.killed, row.tried
        ));
    }
    text
}

/// Prints the table, leaves it as `blinding.txt` in the directory for tests' files, and insists that nothing survived that should not.
pub fn report(rows: &[Row]) {
    let table = table(rows);
    println!("{table}");
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("blinding.txt");
    std::fs::write(path, table).expect("the directory for tests' files is there");
    let bad: Vec<&Row> = rows
        .iter()
        .filter(|row| !row.is_as_it_should_be())
        .collect();
    assert!(bad.is_empty(), "survivors: {bad:#?}");
}
