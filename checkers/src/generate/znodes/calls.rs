//! What clients ask of the tree, what they are answered, and both as lines.

use super::servers::Watch;
use super::tree::{Code, Made, Node, Part, Path};
use crate::generate::line::{Phase, Text};

/// How a read looks at a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Get,
    Exists,
    Children,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    One(Part),
    Multi(Vec<Part>),
    Close,
    Read {
        path: Path,
        look: Look,
        mode: &'static str,
        watch: bool,
    },
    AddWatch(Path, Watch),
    /// None: all of them.
    RemoveWatches(Path, Option<Watch>),
}

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// 0: nothing yet.
    pub(super) zxid: i64,
    pub(super) refused: Option<(usize, Code)>,
    pub(super) made: Vec<Made>,
    pub(super) node: Option<Node>,
    pub(super) children: Vec<Path>,
}

/// An operation of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) asked: Asked,
    pub(super) slot: usize,
    pub(super) session: u64,
    pub(super) answer: Answer,
}

impl Call {
    pub(super) fn new(asked: Asked, slot: usize, session: u64) -> Call {
        Call {
            asked,
            slot,
            session,
            answer: Answer::default(),
        }
    }

    /// The line from `"f":` on; `zxids`: whether it tells any.
    pub(super) fn write(&self, phase: Phase, zxids: bool, text: &mut Text) {
        let ok = phase == Phase::Ok;
        self.function(text);
        text.value();
        match &self.asked {
            Asked::One(part) => data(part, text),
            Asked::Multi(parts) => multi(parts, text),
            Asked::AddWatch(_, watch) => quoted(word(*watch), text),
            Asked::RemoveWatches(_, watch) => quoted(watch.map_or("any", word), text),
            Asked::Read { look, .. } if ok && self.answer.refused.is_none() => {
                self.seen(*look, text)
            }
            Asked::Close | Asked::Read { .. } => {
                text.raw("null");
            }
        }
        match phase {
            Phase::Invoke => self.demands(text),
            Phase::Ok => self.told(zxids, text),
            Phase::Fail | Phase::Info => {}
        }
        text.raw(",\"session\":\"s").count(self.session).raw("\"");
    }

    fn function(&self, text: &mut Text) {
        let (f, path) = match &self.asked {
            Asked::One(part) => (function(part), Some(part.path())),
            Asked::Multi(_) => ("multi", None),
            Asked::Close => ("close", None),
            Asked::Read { path, look, .. } => (
                match look {
                    Look::Get => "get",
                    Look::Exists => "exists",
                    Look::Children => "children",
                },
                Some(*path),
            ),
            Asked::AddWatch(path, _) => ("add-watch", Some(*path)),
            Asked::RemoveWatches(path, _) => ("remove-watches", Some(*path)),
        };
        text.raw("\"f\":\"").raw(f).raw("\"");
        if let Some(path) = path {
            text.raw(",\"key\":\"");
            path.write(self.makes_a_number(), text);
            text.raw("\"");
        }
    }

    fn makes_a_number(&self) -> bool {
        matches!(&self.asked, Asked::One(part) if part.is_sequential())
    }

    fn seen(&self, look: Look, text: &mut Text) {
        match look {
            Look::Get => {
                text.maybe(self.answer.node.map(|node| node.data));
            }
            Look::Exists => {
                text.raw("null");
            }
            Look::Children => {
                text.raw("[");
                for (at, child) in self.answer.children.iter().enumerate() {
                    text.raw(if at > 0 { ",\"" } else { "\"" });
                    child.write_name(false, text);
                    text.raw("\"");
                }
                text.raw("]");
            }
        }
    }

    /// What stands beside the value of an invocation.
    fn demands(&self, text: &mut Text) {
        match &self.asked {
            Asked::One(part) => {
                if let Part::Create {
                    ephemeral: true, ..
                } = part
                {
                    text.raw(",\"ephemeral\":true");
                }
                if part.is_sequential() {
                    text.raw(",\"sequential\":true");
                }
                if let Some(expected) = expected(part) {
                    text.field("expected", expected);
                }
            }
            Asked::Read { mode, watch, .. } => {
                text.word("mode", mode);
                if *watch {
                    text.raw(",\"watch\":true");
                }
            }
            _ => {}
        }
    }

    /// What stands beside the value of an answer.
    fn told(&self, zxids: bool, text: &mut Text) {
        let answer = &self.answer;
        if zxids {
            text.field("zxid", answer.zxid);
        }
        if let Some((_, code)) = answer.refused {
            text.word("error", code);
        }
        match (&self.asked, answer.made.first()) {
            (Asked::Multi(parts), _) => self.results(parts.len(), text),
            (Asked::One(_), Some(Made::Znode(path))) => {
                text.raw(",\"path\":\"");
                path.write(false, text);
                text.raw("\"");
            }
            _ => {}
        }
        if let Some(node) = &answer.node {
            stat(node, zxids, text);
        }
    }

    fn results(&self, parts: usize, text: &mut Text) {
        text.raw(",\"results\":[");
        for part in 0..parts {
            if part > 0 {
                text.raw(",");
            }
            match (self.answer.refused, self.answer.made.get(part)) {
                (Some((failed, code)), _) if failed == part => quoted(code, text),
                (Some((failed, _)), _) if failed < part => quoted("RuntimeInconsistency", text),
                (None, Some(Made::Znode(path))) => {
                    text.raw("\"");
                    path.write(false, text);
                    text.raw("\"");
                }
                (None, Some(Made::Version(version))) => {
                    text.int(*version);
                }
                _ => {
                    text.raw("null");
                }
            }
        }
        text.raw("]");
    }
}

fn quoted(word: &str, text: &mut Text) {
    text.raw("\"").raw(word).raw("\"");
}

fn word(watch: Watch) -> &'static str {
    match watch {
        Watch::Data => "data",
        Watch::Children => "children",
        Watch::Persistent => "persistent",
        Watch::Recursive => "persistent-recursive",
    }
}

fn function(part: &Part) -> &'static str {
    match part {
        Part::Create { .. } => "create",
        Part::Set { .. } => "set",
        Part::Delete { .. } => "delete",
        Part::Check { .. } => "check",
    }
}

fn expected(part: &Part) -> Option<i64> {
    match part {
        Part::Create { .. } => None,
        Part::Set { expected, .. }
        | Part::Delete { expected, .. }
        | Part::Check { expected, .. } => *expected,
    }
}

fn data(part: &Part, text: &mut Text) {
    match part {
        Part::Create { data, .. } | Part::Set { data, .. } => text.int(*data),
        Part::Delete { .. } | Part::Check { .. } => text.raw("null"),
    };
}

fn multi(parts: &[Part], text: &mut Text) {
    text.raw("[");
    for (at, part) in parts.iter().enumerate() {
        text.raw(if at > 0 { ",[" } else { "[" });
        quoted(function(part), text);
        text.raw(",\"");
        part.path().write(part.is_sequential(), text);
        text.raw("\"");
        match part {
            Part::Create {
                data, ephemeral, ..
            } => {
                text.raw(",").int(*data).raw(",{");
                if *ephemeral {
                    text.raw("\"ephemeral\":true");
                }
                if part.is_sequential() {
                    text.raw(if *ephemeral { "," } else { "" });
                    text.raw("\"sequential\":true");
                }
                text.raw("}]");
            }
            Part::Set { data, expected, .. } => {
                text.raw(",").int(*data).raw(",");
                text.int(expected.unwrap_or(-1)).raw("]");
            }
            Part::Delete { expected, .. } | Part::Check { expected, .. } => {
                text.raw(",").int(expected.unwrap_or(-1)).raw("]");
            }
        }
    }
    text.raw("]");
}

fn stat(node: &Node, zxids: bool, text: &mut Text) {
    if zxids {
        text.field("czxid", node.czxid)
            .field("mzxid", node.mzxid)
            .field("pzxid", node.pzxid);
    }
    text.field("version", node.version)
        .field("cversion", node.cversion)
        .field("numChildren", node.children);
    if let Some(owner) = node.owner {
        text.raw(",\"ephemeralOwner\":\"s").count(owner).raw("\"");
    }
}
