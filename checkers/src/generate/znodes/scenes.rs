//! How a tree of znodes is broken: a few clients, one after the other, on a key of their own, and one answer (or event) that
//! is not what it must be. The tree itself does all that it is asked.

use super::calls::{Asked, Call, Look};
use super::servers::{Watch, event};
use super::tree::{News, Part, Path};
use super::{SERVERS, Znodes, server};
use crate::generate::dice::Dice;
use crate::generate::engine::{Staged, Step, System};
use crate::generate::line::Phase;

pub(super) const OF_ZNODES: &[&str] = &[
    "stale-read",
    "lost-write",
    "unwritten-read",
    "zxid-reused",
    "zxids-exchanged",
    "wrong-version",
    "wrong-number",
    "wrong-error",
    "half-multi",
    "session-went-back",
    "ephemeral-stays",
];

pub(super) const OF_WATCHES: &[&str] = &[
    "missed-event",
    "doubled-event",
    "data-before-event",
    "event-without-change",
];

/// A scene that is being made: its guests' sessions, and what they did.
struct Scene<'s> {
    system: &'s mut Znodes,
    staged: Staged,
    /// Sessions of the guests, by number.
    sessions: [u64; SERVERS],
    key: u32,
    first: i64,
    dice: Dice,
}

/// The lines of this scene.
pub(super) fn stage(system: &mut Znodes, breaking: &str) -> Option<Staged> {
    let key = system.keys + 2 * system.staged;
    let sessions = std::array::from_fn(|guest| system.sessions + 1 + guest as u64);
    system.sessions += SERVERS as u64;
    let first = system.next;
    system.next += 4;
    let mut scene = Scene {
        system,
        staged: Staged::default(),
        sessions,
        key,
        first,
        dice: Dice::new(0),
    };
    let text = match OF_ZNODES.contains(&breaking) {
        true => scene.of_znodes(breaking)?,
        false => scene.of_watches(breaking)?,
    };
    scene.staged.text = text;
    Some(scene.staged)
}

impl Scene<'_> {
    fn path(&self) -> Path {
        Path::key(self.key)
    }

    fn other(&self) -> Path {
        Path::key(self.key + 1)
    }

    fn read(path: Path, mode: &'static str) -> Asked {
        Asked::Read {
            path,
            look: Look::Get,
            mode,
            watch: false,
        }
    }

    fn create(path: Path, data: i64) -> Asked {
        Asked::One(Part::Create {
            path,
            data,
            ephemeral: false,
        })
    }

    fn set(path: Path, data: i64) -> Asked {
        Asked::One(Part::Set {
            path,
            data,
            expected: None,
        })
    }

    /// A guest asks, and its server, which knows of all writes, answers; nothing is written down yet.
    fn done(&mut self, guest: usize, asked: Asked) -> Call {
        let mut call = Call::new(asked, guest, self.sessions[guest]);
        self.system
            .ensemble
            .advance(server(guest), true, &mut self.dice);
        while self.system.step(&mut call, &mut self.dice) == Step::More {}
        call
    }

    /// Both of its lines.
    fn note(&mut self, call: &Call) {
        let zxids = self.system.zxids;
        let guest = call.slot as u64;
        self.staged.both(
            guest,
            Phase::Ok,
            |text| call.write(Phase::Invoke, zxids, text),
            |text| call.write(Phase::Ok, zxids, text),
        );
    }

    /// Asked, answered as it must be, and written down.
    fn play(&mut self, guest: usize, asked: Asked) -> Call {
        let call = self.done(guest, asked);
        self.note(&call);
        call
    }

    fn of_znodes(&mut self, breaking: &str) -> Option<String> {
        let (path, other, first) = (self.path(), self.other(), self.first);
        let begin = self.play(0, Scene::create(path, first));
        Some(match breaking {
            "stale-read" => {
                let before = self.done(2, Scene::read(path, "fenced"));
                self.play(1, Scene::set(path, first + 1));
                self.note(&before);
                format!(
                    "{first} is read after {} had been written over it",
                    first + 1
                )
            }
            "lost-write" => {
                self.play(1, Scene::set(path, first + 1));
                for guest in [2, 1] {
                    let mut read = self.done(guest, Scene::read(path, "fenced"));
                    read.answer.node = begin.answer.node;
                    self.note(&read);
                }
                format!(
                    "the set of {} was acknowledged and never took effect",
                    first + 1
                )
            }
            "unwritten-read" => {
                let mut read = self.done(1, Scene::read(path, "fenced"));
                read.answer.node.as_mut()?.data = first + 1;
                self.note(&read);
                format!("{} is read, and nobody wrote it", first + 1)
            }
            "zxid-reused" | "zxids-exchanged" => {
                self.play(0, Scene::create(other, first));
                let mut one = self.done(1, Scene::set(path, first + 1));
                let mut two = self.done(2, Scene::set(other, first + 2));
                let zxids = (one.answer.zxid, two.answer.zxid);
                let told = match breaking {
                    "zxid-reused" => (zxids.0, zxids.0),
                    _ => (zxids.1, zxids.0),
                };
                for (call, zxid) in [(&mut one, told.0), (&mut two, told.1)] {
                    call.answer.zxid = zxid;
                    call.answer.node.as_mut()?.mzxid = zxid;
                }
                self.note(&one);
                self.note(&two);
                match breaking {
                    "zxid-reused" => {
                        format!("two sets are acknowledged with the zxid {:#x}", zxids.0)
                    }
                    _ => format!(
                        "a set with the zxid {:#x} ended before one with {:#x} began",
                        zxids.1, zxids.0
                    ),
                }
            }
            "wrong-version" => {
                let mut set = self.done(1, Scene::set(path, first + 1));
                set.answer.node.as_mut()?.version += 1;
                self.note(&set);
                "the first set of a znode makes version 2".to_owned()
            }
            "wrong-number" => {
                let numbered = Path::numbered(self.key, 0);
                let make = || Scene::create(numbered, first + 1);
                self.play(1, make());
                self.play(
                    1,
                    Asked::One(Part::Delete {
                        path: numbered,
                        expected: None,
                    }),
                );
                let mut again = self.done(2, make());
                again.answer.made = vec![super::tree::Made::Znode(numbered)];
                self.note(&again);
                "the number 0 is given to two sequential znodes".to_owned()
            }
            "wrong-error" => {
                let set = Part::Set {
                    path,
                    data: first + 1,
                    expected: Some(1),
                };
                let mut refused = self.done(1, Asked::One(set));
                if let Asked::One(Part::Set { expected, .. }) = &mut refused.asked {
                    *expected = Some(0);
                }
                self.note(&refused);
                "BadVersion is answered to a set that demands the version that is there".to_owned()
            }
            "half-multi" => {
                let begin = self.play(0, Scene::create(other, first));
                let set = |path, data| Part::Set {
                    path,
                    data,
                    expected: None,
                };
                self.play(
                    1,
                    Asked::Multi(vec![set(path, first + 1), set(other, first + 2)]),
                );
                self.play(2, Scene::read(path, "fenced"));
                let mut read = self.done(2, Scene::read(other, "fenced"));
                read.answer.node = begin.answer.node;
                self.note(&read);
                "of the two sets of a multi one took effect".to_owned()
            }
            "session-went-back" => {
                self.play(0, Scene::create(other, first));
                let before = self.done(2, Scene::read(path, "local"));
                self.play(1, Scene::set(path, first + 1));
                self.play(1, Scene::set(other, first + 2));
                self.play(2, Scene::read(other, "local"));
                self.note(&before);
                "a session sees a change and then the tree before it".to_owned()
            }
            "ephemeral-stays" => {
                let own = Path::named(self.key, 0);
                self.play(
                    1,
                    Asked::One(Part::Create {
                        path: own,
                        data: first + 1,
                        ephemeral: true,
                    }),
                );
                let there = self.done(2, Scene::read(own, "fenced"));
                self.play(1, Asked::Close);
                let mut read = self.done(2, Scene::read(own, "fenced"));
                (read.answer.node, read.answer.refused) = (there.answer.node, None);
                self.note(&read);
                "an ephemeral znode is seen after the close of its session".to_owned()
            }
            _ => return None,
        })
    }

    /// The last session watches, once or for good.
    fn of_watches(&mut self, breaking: &str) -> Option<String> {
        let (path, first) = (self.path(), self.first);
        let lasting = self.system.staged.is_multiple_of(2);
        self.play(0, Scene::create(path, first));
        if lasting {
            self.play(2, Asked::AddWatch(path, Watch::Persistent));
        } else {
            self.play(
                2,
                Asked::Read {
                    path,
                    look: Look::Get,
                    mode: "fenced",
                    watch: true,
                },
            );
        }
        if breaking == "event-without-change" {
            let zxid = self.system.ensemble.zxid + 1;
            self.tell(path, zxid);
            self.play(2, Scene::read(path, "fenced"));
            return Some("an event tells of a change that nobody made".to_owned());
        }
        let zxid = self.play(1, Scene::set(path, first + 1)).answer.zxid;
        Some(match breaking {
            "missed-event" => {
                self.play(2, Scene::read(path, "fenced"));
                format!("the session sees {}, and was never told of it", first + 1)
            }
            "doubled-event" => {
                self.tell(path, zxid);
                self.tell(path, zxid);
                self.play(2, Scene::read(path, "fenced"));
                "one change is told twice".to_owned()
            }
            "data-before-event" => {
                self.play(2, Scene::read(path, "fenced"));
                self.tell(path, zxid);
                format!(
                    "the session sees {}, and is told of it afterwards",
                    first + 1
                )
            }
            _ => return None,
        })
    }

    fn tell(&mut self, path: Path, zxid: i64) {
        let zxid = self.system.zxids.then_some(zxid);
        self.staged
            .told(event(path, News::Data, zxid, self.sessions[2]));
    }
}
