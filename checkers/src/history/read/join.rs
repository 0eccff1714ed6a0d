//! Blocks into one history, in the order of the file: here lines are checked against the lines before them.

use super::{HistoryError, Note};
use crate::history::History;
use crate::history::block::{ABSENT, Block, Draft, Place};
use crate::history::event::{Kind, Process};
use crate::history::pair::PairError;
use crate::history::rows::{NONE, Row};

/// What was read of a chunk.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub(super) block: Block,
    /// Line feeds in it.
    pub(super) lines: u32,
    /// What is wrong after these drafts.
    pub(super) problem: Option<Problem>,
    /// Where it is cut off, after these drafts.
    pub(super) cut: Option<Place>,
    /// Whether all that is cut off is one line, and that has its end.
    pub(super) cut_line_has_end: bool,
}

/// What is wrong with a line by itself.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) at: Place,
    pub(super) text: String,
}

/// The history, as far as it was read.
pub(super) struct Joiner {
    pub(super) history: History,
    pub(super) notes: Vec<Note>,
    /// Whether it is another tool's: indices may have gaps, times may run back, processes may be missing.
    foreign: bool,
    expected: &'static str,
    /// Lines of the blocks before this.
    pub(super) lines: u64,
    last_index: Option<u64>,
    last_time: u64,
    times_back: Option<(u64, u64)>,
    names_processes: Option<bool>,
    /// Whether each key is written as a number; `None` while no line was seen that has it.
    keys_are_numbers: Vec<Option<bool>>,
    /// Whether a value was tagged as the tuple of an independent key.
    pub(super) is_tagged: bool,
}

/// The numbers of a block's names in the history.
struct Numbers {
    functions: Vec<u16>,
    keys: Vec<u32>,
    processes: Vec<u32>,
}

impl Joiner {
    pub(super) fn new(foreign: bool, expected: &'static str) -> Joiner {
        Joiner {
            history: History {
                is_timeless: true,
                ..History::new()
            },
            notes: Vec::new(),
            foreign,
            expected,
            lines: 0,
            last_index: None,
            last_time: 0,
            times_back: None,
            names_processes: None,
            keys_are_numbers: Vec::new(),
            is_tagged: false,
        }
    }

    /// Puts a block behind what there is.
    pub(super) fn join(&mut self, parsed: &Parsed) -> Result<(), HistoryError> {
        let numbers = self.numbers(&parsed.block)?;
        self.is_tagged |= parsed.block.is_tagged;
        let arena = self.history.append(parsed.block.writer.arena());
        let moved = arena.ok_or_else(|| {
            self.too_much("its values take more than 16 GiB, which is more than is read")
        })?;
        if self.history.len() + parsed.block.drafts.len() >= NONE as usize {
            return Err(self.too_much("it has 2^32 - 1 lines or more, which is more than is read"));
        }
        for draft in &parsed.block.drafts {
            let mut row = self.row(draft, &numbers)?;
            row.value = draft.value.moved(moved);
            if draft.extra != NONE {
                row.extra = draft.extra + moved;
            }
            let paired = self.history.pair_and_push(row);
            self.history.places.push(self.place(draft.value_at));
            paired.map_err(|problem| self.unpaired(draft, &problem))?;
        }
        if let Some(problem) = &parsed.problem {
            return Err(self.malformed(problem.at, problem.text.clone()));
        }
        if let Some(cut) = parsed.cut {
            let line: u64 = self.place(cut).line.into();
            // Where every event had its line, this one had it to the end.
            let before = self.history.len() as u64;
            if parsed.cut_line_has_end && before > 0 && line == before + 1 {
                let text = "the event that begins here has no end, and its line has".to_owned();
                return Err(self.malformed(cut, text));
            }
            self.notes.push(Note::CutLine { line });
        }
        self.lines += u64::from(parsed.lines);
        Ok(())
    }

    fn numbers(&mut self, block: &Block) -> Result<Numbers, HistoryError> {
        let history = &mut self.history;
        let functions = block.functions.all().iter();
        let functions: Result<Vec<u16>, _> = functions
            .map(|f| u16::try_from(history.functions.text(f)))
            .collect();
        let keys = block.keys.all().iter();
        let keys = keys.map(|key| history.keys.text(key)).collect();
        let processes = block.processes.all().iter();
        let processes = processes
            .map(|process| history.processes.id(process, || process.clone()))
            .collect();
        match functions {
            Ok(functions) => Ok(Numbers {
                functions,
                keys,
                processes,
            }),
            Err(_) => Err(self.too_much("it has more than 65,536 functions `f`")),
        }
    }

    fn row(&mut self, draft: &Draft, numbers: &Numbers) -> Result<Row, HistoryError> {
        self.check_index(draft)?;
        let process = match draft.process {
            NONE => self.nobody(draft)?,
            process => numbers.processes[process as usize],
        };
        if draft.process != NONE && self.names_processes != Some(true) {
            self.somebody(draft)?;
        }
        self.check_client(draft, process)?;
        if draft.key != NONE {
            self.check_key(draft, numbers.keys[draft.key as usize])?;
        }
        Ok(Row {
            time: self.time(draft)?,
            value: draft.value,
            process,
            key: match draft.key {
                NONE => NONE,
                key => numbers.keys[key as usize],
            },
            partner: NONE,
            extra: NONE,
            f: numbers.functions[draft.f as usize],
            kind: draft.kind.unwrap_or(Kind::Info),
        })
    }

    /// What a process with a name does is not judged: nobody's operations may get lost so.
    fn check_client(&self, draft: &Draft, process: u32) -> Result<(), HistoryError> {
        let Process::Named(name) = self.history.processes.get(process) else {
            return Ok(());
        };
        if !matches!(draft.kind, Some(Kind::Invoke | Kind::Ok)) || **name == *"nemesis" {
            return Ok(());
        }
        Err(self.order(
            draft,
            format!("process \"{name}\" has an operation, and is no number"),
            "clients are whole numbers from 0; other processes (nemesis) only have lines of type info: number the clients",
        ))
    }

    /// A key 1 and a key "1" would be taken for one object.
    fn check_key(&mut self, draft: &Draft, key: u32) -> Result<(), HistoryError> {
        let key = key as usize;
        if self.keys_are_numbers.len() <= key {
            self.keys_are_numbers.resize(key + 1, None);
        }
        let before = *self.keys_are_numbers[key].get_or_insert(draft.key_is_number);
        if before == draft.key_is_number {
            return Ok(());
        }
        let name = &self.history.keys.all()[key];
        let (now, before) = match before {
            true => ("a text", "a number"),
            false => ("a number", "a text"),
        };
        Err(self.order(
            draft,
            format!("the key {name} is {now} here, and {before} on a line before"),
            "an object has one name: write its key in one way",
        ))
    }

    fn check_index(&mut self, draft: &Draft) -> Result<(), HistoryError> {
        let place = self.history.len() as u64;
        let index = draft.index;
        let before = self.last_index;
        let next = match self.foreign {
            true => before.map_or(0, |before| before + 1),
            false => place,
        };
        if index == ABSENT || index == next {
            self.last_index = (index != ABSENT).then_some(index).or(before);
            return Ok(());
        }
        if !self.foreign {
            return Err(self.order(
                draft,
                format!("index {index}, where {place} comes next"),
                "indices count the lines from 0 without gaps: lines are missing or out of order",
            ));
        }
        if index < next {
            return Err(self.order(
                draft,
                format!("index {index}, after {} before", next - 1),
                "indices rise from event to event: put them in the order of their recording",
            ));
        }
        let known = |note: &Note| matches!(note, Note::Renumbered { .. });
        if !self.notes.iter().any(known) {
            let line = self.place(draft.begins).line.into();
            self.notes.push(Note::Renumbered { line });
        }
        self.last_index = Some(index);
        Ok(())
    }

    fn time(&mut self, draft: &Draft) -> Result<u64, HistoryError> {
        if draft.time == ABSENT {
            if !self.notes.contains(&Note::NoTimes) {
                self.notes.push(Note::NoTimes);
            }
            return Ok(self.last_time);
        }
        self.history.is_timeless = false;
        if draft.time >= self.last_time {
            self.last_time = draft.time;
        } else if self.foreign {
            let first = self.place(draft.begins).line.into();
            let (_, count) = self.times_back.get_or_insert((first, 0));
            *count += 1;
        } else {
            return Err(self.order(
                draft,
                format!(
                    "time {} ns, after {} ns on the line before",
                    draft.time, self.last_time
                ),
                "one clock stamps all lines, and it never runs back: put the lines in the order of their recording",
            ));
        }
        Ok(self.last_time)
    }

    /// The process of a line that names none: some tools' examples have one process, and do not name it.
    fn nobody(&mut self, draft: &Draft) -> Result<u32, HistoryError> {
        if self.names_processes == Some(true) {
            return Err(self.without_process(draft));
        }
        if self.names_processes.is_none() {
            self.names_processes = Some(false);
            self.notes.push(Note::NoProcesses);
        }
        let only = Process::Client(0);
        Ok(self.history.processes.id(&only, || only.clone()))
    }

    fn somebody(&mut self, draft: &Draft) -> Result<(), HistoryError> {
        if self.names_processes == Some(false) {
            return Err(self.without_process(draft));
        }
        self.names_processes = Some(true);
        Ok(())
    }

    fn without_process(&self, draft: &Draft) -> HistoryError {
        self.order(
            draft,
            "some events name their process, and some do not".to_owned(),
            "every event has its process, or none of them has",
        )
    }

    /// What is to be said at the end.
    pub(super) fn finish(mut self) -> (History, Vec<Note>) {
        if let Some((line, count)) = self.times_back {
            self.notes.push(Note::TimesBack { line, count });
        }
        (self.history, self.notes)
    }

    /// A place of the block that is being joined, in the file.
    pub(super) fn place(&self, at: Place) -> Place {
        let line = self.lines.saturating_add(u64::from(at.line));
        Place {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: at.column,
        }
    }

    pub(super) fn malformed(&self, at: Place, problem: String) -> HistoryError {
        HistoryError::Malformed {
            line: self.lines + u64::from(at.line),
            column: u64::from(at.column),
            problem,
            expected: self.expected,
        }
    }

    fn too_much(&self, what: &str) -> HistoryError {
        let at = Place { line: 1, column: 1 };
        self.malformed(at, format!("the history is too large: {what}"))
    }

    fn order(&self, draft: &Draft, problem: String, expected: &'static str) -> HistoryError {
        HistoryError::Order {
            line: self.lines + u64::from(draft.begins.line),
            column: u64::from(draft.begins.column),
            problem,
            expected,
        }
    }

    fn unpaired(&self, draft: &Draft, problem: &PairError) -> HistoryError {
        let expected = match problem {
            PairError::NoInvocation { .. } => {
                "a completion follows its process's invocation: a line is missing"
            }
            PairError::TwoOpen { .. } => {
                "a process waits for its completion before it invokes again: \
                 after an indeterminate operation go on under a new process number, with an `info` line"
            }
            PairError::Mismatch { .. } => "a completion repeats its invocation's f and key",
        };
        self.order(draft, problem.to_string(), expected)
    }
}
