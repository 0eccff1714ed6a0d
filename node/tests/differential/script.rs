//! What is asked, and scripts drawn from seeds.
//!
//! Left out, because the node differs from Apache ZooKeeper 3.8 there on purpose:
//!
//! - two kinds of watch of one client on one path: in 3.8 the later takes the place of the earlier (ZOOKEEPER-4466), here they
//!   live side by side, as since 3.9;
//! - requests whose kind and flags contradict each other: create with a container's or TTL's flag, createContainer with
//!   another flag, createTTL with a persistent flag and a negative TTL (Apache logs a transaction that no server can apply);
//! - a lone `check` (13), whose answer Apache cannot write; the empty path, which Apache takes for the root in reads;
//! - requests that cannot be decoded: Apache answers MarshallingError, here the connection ends.

use crate::servers::Server;
use crate::wire::{Body, Out, Session};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) type Acl = Vec<(i32, String, String)>;

/// A request.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Create {
        code: i32,
        path: String,
        data: Option<Vec<u8>>,
        acl: Acl,
        flags: i32,
        ttl: i64,
    },
    Delete(String, i32),
    Set(String, Option<Vec<u8>>, i32),
    Check(String, i32),
    SetAcl(String, Acl, i32),
    GetAcl(String),
    /// exists 3, getData 4, getChildren 8 or 12; with a watch or without.
    Read(i32, String, bool),
    Count(String),
    Ephemerals(String),
    WhoAmI,
    Sync(String),
    Ping,
    Auth(&'static str, String),
    Multi(Vec<Ask>),
    MultiRead(Vec<Ask>),
    AddWatch(String, i32),
    /// checkWatches 17, removeWatches 18.
    AboutWatch(i32, String, i32),
    /// Relative to the script's beginning; setWatches2 if there are five lists.
    SetWatches(i64, Vec<Vec<String>>),
    Reconfig,
    Unknown(i32),
    Close,
}

/// What happens, to or by which session.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Open,
    Ask(usize, Ask),
    Reconnect(usize),
}

impl Step {
    pub(crate) fn play(&self, server: &Server, sessions: &mut Vec<Session>) -> String {
        match self {
            Step::Open => {
                let known: Vec<i64> = sessions.iter().map(Session::id).collect();
                let session = Session::open(server.address, server.base, &known);
                for other in &mut *sessions {
                    other.knows(session.id());
                }
                sessions.push(session);
                "open".into()
            }
            Step::Ask(n, ask) => {
                let (code, request, body) = ask.encode(server.base);
                sessions[*n].ask(code, &request, &body)
            }
            Step::Reconnect(n) => {
                format!("reconnected {}", sessions[*n].reconnect(server.address))
            }
        }
    }
}

fn put_acl(out: Out, acl: &Acl) -> Out {
    let out = out.int(acl.len() as i32);
    acl.iter().fold(out, |out, (permissions, scheme, id)| {
        out.int(*permissions).text(scheme).text(id)
    })
}

impl Ask {
    fn encode(&self, base: i64) -> (i32, Out, Body) {
        let out = Out::default();
        match self {
            Ask::Create {
                code,
                path,
                data,
                acl,
                flags,
                ttl,
            } => {
                let out = put_acl(out.text(path).buffer(data.as_deref()), acl).int(*flags);
                let out = if *code == 21 { out.long(*ttl) } else { out };
                let body = if *code == 1 {
                    Body::Path
                } else {
                    Body::PathStat
                };
                (*code, out, body)
            }
            Ask::Delete(path, version) => (2, out.text(path).int(*version), Body::Empty),
            Ask::Set(path, data, version) => (
                5,
                out.text(path).buffer(data.as_deref()).int(*version),
                Body::Stat,
            ),
            Ask::Check(path, version) => (13, out.text(path).int(*version), Body::Empty),
            Ask::SetAcl(path, acl, version) => {
                (7, put_acl(out.text(path), acl).int(*version), Body::Stat)
            }
            Ask::GetAcl(path) => (6, out.text(path), Body::AclStat),
            Ask::Read(code, path, watch) => {
                let body = match code {
                    3 => Body::Stat,
                    4 => Body::DataStat,
                    8 => Body::Names,
                    _ => Body::NamesStat,
                };
                (*code, out.text(path).flag(*watch), body)
            }
            Ask::Count(path) => (104, out.text(path), Body::Int),
            Ask::Ephemerals(prefix) => (103, out.text(prefix), Body::Names),
            Ask::WhoAmI => (107, out, Body::Pairs),
            Ask::Sync(path) => (9, out.text(path), Body::Path),
            Ask::Ping => (11, out, Body::Empty),
            Ask::Auth(scheme, secret) => (100, out.int(0).text(scheme).text(secret), Body::Empty),
            Ask::Multi(parts) => (14, put_parts(out, parts, base), Body::Multi),
            Ask::MultiRead(parts) => (22, put_parts(out, parts, base), Body::Multi),
            Ask::AddWatch(path, mode) => (106, out.text(path).int(*mode), Body::Int),
            Ask::AboutWatch(code, path, which) => (*code, out.text(path).int(*which), Body::Empty),
            Ask::SetWatches(seen, lists) => {
                let out = lists
                    .iter()
                    .fold(out.long(base + seen), |out, list| out.texts(list));
                (if lists.len() == 5 { 105 } else { 101 }, out, Body::Empty)
            }
            Ask::Reconfig => (
                16,
                out.text("").text("").text("server.1=a:1:2;3").long(-1),
                Body::DataStat,
            ),
            Ask::Unknown(code) => (*code, out, Body::Empty),
            Ask::Close => (-11, out, Body::Empty),
        }
    }
}

fn put_parts(out: Out, parts: &[Ask], base: i64) -> Out {
    let out = parts.iter().fold(out, |out, part| {
        let (code, request, _) = part.encode(base);
        out.int(code).flag(false).int(-1).then(request)
    });
    out.int(-1).flag(true).int(-1)
}

pub(crate) fn acl(permissions: i32, scheme: &str, id: &str) -> (i32, String, String) {
    (permissions, scheme.to_owned(), id.to_owned())
}

pub(crate) fn open() -> Acl {
    vec![acl(31, "world", "anyone")]
}

/// Digests of `ann:a` and `bob:b`.
const ANN: &str = "ann:SHrKOMV1OR0OP4ZnKg0WhEqKJ1c=";

/// Draws steps for one seed; `root` is the script's own.
struct Draw {
    random: ChaCha8Rng,
    root: String,
    /// Which kind of watch each path may have in this script.
    kinds: Vec<(String, i32)>,
}

impl Draw {
    fn below(&mut self, n: u32) -> u32 {
        self.random.random_range(0..n)
    }

    fn one<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())].clone()
    }

    fn path(&mut self) -> String {
        let root = self.root.clone();
        let odd = [
            "/",
            "//x",
            "/a/",
            "/a/../b",
            "/./a",
            "/\u{1}",
            "/a\0",
            "/\u{e000}",
            "/none/x",
        ];
        let name = match self.below(40) {
            0 => {
                return self.one(&[
                    "relative".to_owned(),
                    root[1..].to_owned(),
                    "/zookeeper/config".into(),
                ]);
            }
            1 => self.one(&odd),
            2..=5 => "",
            _ => self.one(&[
                "/a",
                "/b",
                "/a/c",
                "/a/d",
                "/b/e",
                "/a/c/f",
                "/a/s-0000000000",
            ]),
        };
        format!("{root}{name}")
    }

    fn version(&mut self) -> i32 {
        self.one(&[-1, -1, -1, -1, -1, -1, -1, 0, 0, 1, 2, 3, -2])
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        match self.below(5) {
            0 => None,
            1 => Some(Vec::new()),
            n => Some(vec![7; n as usize * 3]),
        }
    }

    fn acl(&mut self) -> Acl {
        match self.below(70) {
            0 => vec![],
            1 => vec![acl(31, "auth", ""), acl(1, "world", "anyone")],
            2 => vec![acl(31, "digest", ANN)],
            3 => vec![acl(31, "digest", "no-colon")],
            4 => vec![acl(27, "ip", "127.0.0.1"), acl(1, "digest", ANN)],
            5 => vec![acl(31, "ip", "10.0.0.0/8"), acl(17, "world", "anyone")],
            6 => vec![acl(31, "ip", "10.0.0.300")],
            7 => vec![acl(31, "world", "nobody")],
            8 => vec![acl(31, "super", "")],
            9 => vec![acl(1, "world", "anyone"), acl(1, "world", "anyone")],
            10 => vec![acl(15, "world", "anyone")],
            11 => vec![acl(4 + 8, "world", "anyone"), acl(31, "auth", "ignored")],
            _ => open(),
        }
    }

    fn create(&mut self) -> Ask {
        let (code, flags, ttl) = match self.below(14) {
            0 => (19, 4, -1),
            1 => (
                21,
                self.one(&[5, 6]),
                self.one(&[1, 1000, 0, 1 << 40, (1 << 40) - 1]),
            ),
            2 => (21, self.one(&[0, 1, 2, 3]), 100),
            3 => (self.one(&[1, 15]), self.one(&[5, 6, 7, -1]), -1),
            n => (
                if n % 2 == 0 { 1 } else { 15 },
                self.one(&[0, 0, 0, 1, 2, 3]),
                -1,
            ),
        };
        let mut path = self.path();
        if matches!(flags, 2 | 3 | 6) {
            path.push_str(self.one(&["/s-", "-", "/"]));
        }
        let (data, acl) = (self.data(), self.acl());
        Ask::Create {
            code,
            path,
            data,
            acl,
            flags,
            ttl,
        }
    }

    fn write(&mut self) -> Ask {
        match self.below(10) {
            0..=4 => self.create(),
            5..=6 => Ask::Delete(self.path(), self.version()),
            _ => Ask::Set(self.path(), self.data(), self.version()),
        }
    }

    /// A path, and what may watch it in this script: 0 one-shot watches, 1 a persistent one, 2 a recursive one.
    fn watched(&mut self) -> (String, i32) {
        let path = self.path();
        if let Some((_, kind)) = self.kinds.iter().find(|(known, _)| *known == path) {
            return (path, *kind);
        }
        let kind = self.one(&[0, 0, 1, 2]);
        self.kinds.push((path.clone(), kind));
        (path, kind)
    }

    fn about_watches(&mut self, step: i64) -> Ask {
        match self.below(12) {
            0..=6 => match self.watched() {
                (path, 0) => Ask::Read(self.one(&[3, 4, 8, 12]), path, true),
                (path, kind) => Ask::AddWatch(path, kind - 1),
            },
            7 => Ask::AboutWatch(17, self.path(), self.one(&[1, 2, 3])),
            8..=9 => Ask::AboutWatch(18, self.path(), self.one(&[1, 2, 3])),
            _ => {
                let seen = (step - i64::from(self.below(8))).max(0);
                let mut lists = vec![Vec::new(); if self.below(2) == 0 { 3 } else { 5 }];
                for _ in 0..self.below(6) {
                    let (path, kind) = self.watched();
                    let list = match kind {
                        0 => self.one(&[0, 1, 2]),
                        kind => kind as usize + 2,
                    };
                    if let Some(list) = lists.get_mut(list) {
                        list.push(path);
                    }
                }
                Ask::SetWatches(seen, lists)
            }
        }
    }

    fn read(&mut self) -> Ask {
        match self.below(12) {
            0 => Ask::GetAcl(self.path()),
            1 => Ask::Count(self.path()),
            2 => Ask::Ephemerals(self.path()),
            3 => Ask::Sync(self.path()),
            4 => Ask::Ping,
            5 => {
                let parts = (0..self.below(4))
                    .map(|_| self.one(&[4, 8]))
                    .collect::<Vec<_>>();
                let parts = parts
                    .into_iter()
                    .map(|code| Ask::Read(code, self.path(), false));
                Ask::MultiRead(parts.collect())
            }
            6 => Ask::WhoAmI,
            _ => Ask::Read(self.one(&[3, 4, 8, 12]), self.path(), false),
        }
    }

    /// `step` is about how many transactions there were.
    fn ask(&mut self, step: i64) -> Ask {
        match self.below(38) {
            0..=11 => self.write(),
            12..=14 => {
                let mut parts: Vec<Ask> = (0..self.below(5)).map(|_| self.write()).collect();
                parts.retain(|part| !contradicts_itself(part));
                if self.below(3) == 0 {
                    parts.push(Ask::Check(self.path(), self.version()));
                }
                Ask::Multi(parts)
            }
            15..=28 => self.about_watches(step),
            29 => Ask::SetAcl(self.path(), self.acl(), self.one(&[-1, 0, 1, 2])),
            30 => {
                let secret = self.one(&["ann:a", "bob:b", "nobody", "super:wrong", ":x", ""]);
                Ask::Auth("digest", secret.to_owned())
            }
            _ => self.read(),
        }
    }
}

/// Whether Apache cannot cast the request to what its flags say.
fn contradicts_itself(part: &Ask) -> bool {
    matches!(
        part,
        Ask::Create {
            code: 1 | 15,
            flags: 4..=6,
            ..
        }
    )
}

/// A script of its own root, with two sessions: the first asks most, and watches.
pub(crate) fn random(seed: u64) -> Vec<Step> {
    let mut draw = Draw {
        random: ChaCha8Rng::seed_from_u64(seed),
        root: format!("/s{seed}"),
        kinds: Vec::new(),
    };
    let mut root = Ask::Create {
        code: 1,
        path: draw.root.clone(),
        data: None,
        acl: open(),
        flags: 0,
        ttl: -1,
    };
    let mut script = vec![Step::Open, Step::Open, Step::Ask(0, root.clone())];
    for name in ["/a", "/b", "/a/c"] {
        if let Ask::Create { path, .. } = &mut root {
            *path = format!("{}{name}", draw.root);
        }
        script.push(Step::Ask(0, root.clone()));
    }
    let length = 80;
    for n in 0..length {
        // A guess at the zxid is enough to have watches that fire at once, and others.
        let step = n / 2;
        let step = match draw.below(40) {
            0 => Step::Reconnect(0),
            1..=8 => match draw.ask(step) {
                // Only the first session watches: 3.8 takes others' watches for one's own when asked.
                Ask::Read(code, path, _) => Step::Ask(1, Ask::Read(code, path, false)),
                Ask::AddWatch(..) | Ask::AboutWatch(..) | Ask::SetWatches(..) => {
                    Step::Ask(1, Ask::Ping)
                }
                ask => Step::Ask(1, ask),
            },
            _ => Step::Ask(0, draw.ask(step)),
        };
        let others = matches!(step, Step::Ask(1, _));
        script.push(step);
        if others {
            // What the first session was told meanwhile.
            script.push(Step::Ask(0, Ask::Ping));
        }
    }
    script.push(Step::Ask(0, Ask::Close));
    script.push(Step::Ask(1, Ask::Read(12, draw.root.clone(), false)));
    script
}
