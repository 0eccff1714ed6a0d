//! A small ZooKeeper: one order of writes, three servers that lag behind it, sessions, and watches.
//!
//! Clients are bound to one server each. What they write is done at the leader and answered when their own server has
//! applied it; a plain read (`local`) shows what that server has applied, any other read all that was written before. A client
//! whose operation is lost goes on in a new session; the old one never ends, and its ephemeral znodes stay until somebody
//! deletes them. At the end every znode is looked at once more, so that what lost writes did is seen.
//!
//! Histories of either model have the shape that all checkers of ZooKeeper's promises judge: `znodes`, `zxid-audit`,
//! `sequence`, `ephemeral` and, of the model `watch`, watches and their events.
//!
//! - `tree`: the znodes; `servers`: who has applied what, and tells whom; `calls`: requests and answers as lines; `scenes`:
//!   how it is broken.

mod calls;
mod scenes;
mod servers;
mod tree;

use super::dice::Dice;
use super::engine::{Client, Staged, Step, System, run};
use super::line::{Phase, Text};
use super::{Generated, Options, Report, Row};
use calls::{Asked, Call, Look};
use servers::{Ensemble, SERVERS, Watch};
use std::io::{self, Write};
use tree::{Part, Path};

/// How many keys there are.
const KEYS: u32 = 8;
/// How many names there are below a key, beside sequential ones.
const NAMES: usize = 3;
/// From so many children on, one is deleted rather than another made.
const CROWDED: i64 = 8;

pub(super) const ROWS: &[Row] = &[
    Row {
        info: Generated {
            name: "znodes",
            about: "ZooKeeper's tree: create (sequential, ephemeral), set, delete, check, multi, close, get, exists, children; --no-zxids",
            breaks: scenes::OF_ZNODES,
            levels: &[],
        },
        run: |options, dice, out| play(false, options, dice, out),
    },
    Row {
        info: Generated {
            name: "watch",
            about: "the same with watches (once, persistent, recursive) and events",
            breaks: scenes::OF_WATCHES,
            levels: &[],
        },
        run: |options, dice, out| play(true, options, dice, out),
    },
];

/// Breaks that only zxids show.
pub(super) const NEED_ZXIDS: &[&str] = &["zxid-reused", "zxids-exchanged"];

fn play(watches: bool, options: &Options, dice: Dice, out: &mut dyn Write) -> io::Result<Report> {
    let keys = options.keys.unwrap_or(KEYS);
    let system = Znodes {
        watches,
        zxids: options.zxids,
        keys,
        few: options.values,
        next: 1,
        ensemble: Ensemble::new(options.zxids),
        seats: vec![Seat::default(); options.concurrency],
        sessions: 0,
        breaking: options.breaking.clone(),
        staged: 0,
        left: (0..keys)
            .flat_map(|key| [(key, Look::Get), (key, Look::Children)])
            .rev()
            .collect(),
    };
    run(system, true, options, dice, out)
}

/// Who sits at a client's place.
#[derive(Debug, Clone, Copy, Default)]
struct Seat {
    process: u64,
    /// 0: none.
    session: u64,
}

struct Znodes {
    watches: bool,
    zxids: bool,
    keys: u32,
    few: Option<u64>,
    next: i64,
    ensemble: Ensemble,
    seats: Vec<Seat>,
    sessions: u64,
    breaking: Option<String>,
    staged: u32,
    /// The last looks, the next one last.
    left: Vec<(u32, Look)>,
}

fn server(slot: usize) -> usize {
    slot % SERVERS
}

impl Znodes {
    fn session(&mut self, client: Client) -> u64 {
        let seat = self.seats[client.slot];
        if seat.session != 0 && seat.process == client.process {
            return seat.session;
        }
        self.ensemble.disconnect(server(client.slot), seat.session);
        self.sessions += 1;
        self.seats[client.slot] = Seat {
            process: client.process,
            session: self.sessions,
        };
        self.sessions
    }

    fn data(&mut self, dice: &mut Dice) -> i64 {
        match self.few {
            Some(few) => dice.below(few as usize) as i64,
            None => {
                self.next += 1;
                self.next - 1
            }
        }
    }

    /// A key, or one of its children, more often one that is there.
    fn path(&self, dice: &mut Dice) -> Path {
        let key = dice.below(self.keys as usize) as u32;
        match dice.below(10) {
            0..5 => Path::key(key),
            5..8 => {
                let children: Vec<Path> = self.ensemble.newest.children(key).collect();
                match children.is_empty() {
                    true => Path::key(key),
                    false => children[dice.below(children.len())],
                }
            }
            _ => Path::named(key, dice.below(NAMES) as u32),
        }
    }

    fn part(&mut self, path: Path, dice: &mut Dice) -> Part {
        let data = self.data(dice);
        let node = self.ensemble.newest.get(path).copied();
        let Some(node) = node else {
            let ephemeral = path.below.is_some() && dice.one_in(3);
            return Part::Create {
                path,
                data,
                ephemeral,
            };
        };
        let wrong = i64::from(dice.one_in(10));
        let expected = dice.one_in(3).then_some(node.version + wrong);
        let crowded = path.below.is_none() && node.children >= CROWDED;
        match dice.below(20) {
            // Sequential, and sometimes below a znode that is ephemeral or not there.
            0..5 if !crowded => Part::Create {
                path: Path::numbered(path.key, 0),
                data,
                ephemeral: dice.one_in(3),
            },
            5 => Part::Create {
                path,
                data,
                ephemeral: false,
            },
            6 => Part::Check { path, expected },
            7..10 => Part::Delete { path, expected },
            _ if crowded => {
                let child = self.ensemble.newest.children(path.key).next();
                Part::Delete {
                    path: child.unwrap_or(path),
                    expected: None,
                }
            }
            _ => Part::Set {
                path,
                data,
                expected,
            },
        }
    }

    fn read(&mut self, dice: &mut Dice) -> Asked {
        let path = self.path(dice);
        let look = match dice.below(4) {
            0 => Look::Exists,
            1 => Look::Children,
            _ => Look::Get,
        };
        let mode = ["local", "local", "sync", "fenced"][dice.below(4)];
        let watch = self.watches && dice.below(10) < 6;
        Asked::Read {
            path,
            look,
            mode,
            watch,
        }
    }

    fn change_watches(&mut self, slot: usize, session: u64, dice: &mut Dice) -> Asked {
        let path = self.path(dice);
        let lasting = [Watch::Persistent, Watch::Recursive][dice.below(2)];
        let stands: Vec<Watch> = self.ensemble.watches(server(slot), path, session).collect();
        match stands.is_empty() {
            true => Asked::AddWatch(path, lasting),
            false => {
                let one = stands[dice.below(stands.len())];
                Asked::RemoveWatches(path, dice.one_in(2).then_some(one))
            }
        }
    }

    /// Asks the tree at once, for a write; answers it when the client's server has come so far.
    fn write(&mut self, call: &mut Call) -> Step {
        let at = server(call.slot);
        if call.answer.zxid != 0 {
            self.ensemble.catch_up(at, call.answer.zxid);
            if call.asked == Asked::Close {
                self.ensemble.disconnect(at, call.session);
                let seat = &mut self.seats[call.slot];
                if seat.session == call.session {
                    seat.session = 0;
                }
            }
            return Step::Done;
        }
        let done = match &call.asked {
            Asked::One(part) => self
                .ensemble
                .write(std::slice::from_ref(part), call.session),
            Asked::Multi(parts) => self.ensemble.write(parts, call.session),
            _ => {
                self.ensemble.close(call.session);
                Ok(Vec::new())
            }
        };
        call.answer.zxid = self.ensemble.zxid;
        match done {
            Ok(made) => call.answer.made = made,
            Err(refused) => call.answer.refused = Some(refused),
        }
        if let (Asked::One(part @ (Part::Create { .. } | Part::Set { .. })), None) =
            (&call.asked, call.answer.refused)
        {
            let path = match call.answer.made.first() {
                Some(tree::Made::Znode(path)) => *path,
                _ => part.path(),
            };
            call.answer.node = self.ensemble.newest.get(path).copied();
        }
        Step::More
    }

    /// A client's server answers from what it has applied.
    fn serve(&mut self, call: &mut Call, dice: &mut Dice) -> Step {
        let at = server(call.slot);
        let all = matches!(call.asked, Asked::Read { mode, .. } if mode != "local");
        self.ensemble.advance(at, all, dice);
        self.look(call);
        // What a session that is gone still asks for leaves no watch.
        let here = self
            .seats
            .get(call.slot)
            .is_some_and(|seat| seat.session == call.session);
        match call.asked {
            Asked::Read {
                path,
                look,
                watch: true,
                ..
            } if here => {
                let kind = match look {
                    Look::Children => Watch::Children,
                    Look::Get | Look::Exists => Watch::Data,
                };
                if call.answer.refused.is_none() || look == Look::Exists {
                    self.ensemble.watch(at, path, call.session, kind);
                }
            }
            Asked::AddWatch(path, watch) if here => {
                self.ensemble.watch(at, path, call.session, watch)
            }
            Asked::RemoveWatches(path, watch) => {
                let removed = |one| watch.is_none_or(|watch| watch == one);
                if !self.ensemble.watches(at, path, call.session).any(removed) {
                    call.answer.refused = Some((0, "NoWatcher"));
                }
                self.ensemble.unwatch(at, path, call.session, watch);
            }
            _ => {}
        }
        Step::Done
    }

    fn look(&self, call: &mut Call) {
        let (tree, zxid) = self.ensemble.seen(server(call.slot));
        call.answer.zxid = zxid;
        let Asked::Read { path, look, .. } = call.asked else {
            return;
        };
        call.answer.node = tree.get(path).copied();
        if call.answer.node.is_none() {
            call.answer.refused = Some((0, "NoNode"));
        } else if look == Look::Children {
            call.answer.children = match path.below {
                None => tree.children(path.key).collect(),
                Some(_) => Vec::new(),
            };
        }
    }
}

impl System for Znodes {
    type Call = Call;

    fn ask(&mut self, dice: &mut Dice, client: Client) -> Call {
        let session = self.session(client);
        let asked = match dice.below(100) {
            0..45 => self.read(dice),
            45..52 if self.watches => self.change_watches(client.slot, session, dice),
            52 => Asked::Close,
            53..61 => {
                let (one, other) = (self.path(dice), self.path(dice));
                Asked::Multi(vec![self.part(one, dice), self.part(other, dice)])
            }
            _ => {
                let path = self.path(dice);
                Asked::One(self.part(path, dice))
            }
        };
        Call::new(asked, client.slot, session)
    }

    fn step(&mut self, call: &mut Call, dice: &mut Dice) -> Step {
        match call.asked {
            Asked::One(_) | Asked::Multi(_) | Asked::Close => self.write(call),
            _ => self.serve(call, dice),
        }
    }

    fn answers_at_once(&self) -> bool {
        true
    }

    fn told(&mut self) -> Option<String> {
        self.ensemble.told()
    }

    fn write(&self, call: &Call, phase: Phase, text: &mut Text) {
        call.write(phase, self.zxids, text);
    }

    fn last(&mut self) -> Option<Call> {
        let (key, look) = self.left.pop()?;
        let path = Path::key(key);
        let client = Client {
            slot: 0,
            process: self.seats[0].process,
        };
        let session = self.session(client);
        let asked = Asked::Read {
            path,
            look,
            mode: "fenced",
            watch: false,
        };
        Some(Call::new(asked, 0, session))
    }

    fn stage(&mut self, _: &mut Dice, _: bool) -> Option<Staged> {
        let breaking = self.breaking.clone()?;
        self.staged += 1;
        scenes::stage(self, &breaking)
    }
}
