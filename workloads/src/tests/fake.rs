//! A server small enough to be seen through: one tree in memory, the protocol's requests, and misbehaviour on demand.
//!
//! Several servers may share one tree, as replicas that never lag.

use crate::options::Server;
use crate::wire::Zxid;
use crate::wire::jute::{Decoder, Encoder};
use crate::wire::reply::Stat;
use crate::wire::request::op;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What is done instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misbehaviour {
    /// Close the connection.
    Close,
    /// Answer, then close the connection.
    AnswerAndClose,
    /// Say nothing, ever, and read nothing more.
    Silence,
    /// Answer with a body that is none.
    Garbage,
    /// Announce a frame without an end.
    EndlessFrame,
    /// Answer a request that was not asked.
    OtherXid,
    /// Answer with this error code.
    Code(i32),
}

/// The type under which misbehaviour at the handshake is ordered.
pub(super) const HANDSHAKE: i32 = 0;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) zxid: i64,
    /// Data and Stat by path; children are found by their paths.
    pub(super) tree: BTreeMap<String, (Vec<u8>, Stat)>,
    pub(super) sessions: BTreeSet<i64>,
    /// Types of the requests that came, in order.
    pub(super) asked: Vec<i32>,
    orders: VecDeque<(i32, Misbehaviour)>,
}

type Shared = Arc<Mutex<State>>;

/// A running server; dropping it ends it.
pub(super) struct Fake {
    pub(super) server: Server,
    state: Shared,
    task: JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// A server of its own, with a root.
    pub(super) async fn start() -> Fake {
        let state = State {
            tree: BTreeMap::from([("/".to_owned(), Default::default())]),
            ..State::default()
        };
        Fake::with("n1", Arc::new(Mutex::new(state))).await
    }

    /// Servers that share one tree.
    pub(super) async fn ensemble(count: usize) -> Vec<Fake> {
        let first = Fake::start().await;
        let state = Arc::clone(&first.state);
        let mut fakes = vec![first];
        for n in 2..=count {
            fakes.push(Fake::with(&format!("n{n}"), Arc::clone(&state)).await);
        }
        fakes
    }

    /// A server with a copy of this one's tree, under another name.
    pub(super) async fn fork(&self, name: &str) -> Fake {
        let copy = {
            let state = self.state();
            State {
                zxid: state.zxid,
                tree: state.tree.clone(),
                ..State::default()
            }
        };
        Fake::with(name, Arc::new(Mutex::new(copy))).await
    }

    async fn with(name: &str, state: Shared) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            name: name.to_owned(),
            address: listener.local_addr().unwrap(),
        };
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // Connections end with the server.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Fake {
            server,
            state,
            task,
        }
    }

    /// Misbehaves once, at the next request of this type for which nothing else was ordered before.
    pub(super) fn order(&self, op: i32, what: Misbehaviour) {
        self.state().orders.push_back((op, what));
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

pub(super) fn servers(fakes: &[Fake]) -> Vec<Server> {
    fakes.iter().map(|fake| fake.server.clone()).collect()
}

/// Serves one connection until it ends; errors end it too.
async fn serve(mut stream: TcpStream, state: Shared) {
    let mut prefix = [0; 4];
    if stream.read_exact(&mut prefix).await.is_err() {
        return;
    }
    if &prefix == b"srvr" {
        let answer = {
            let state = state.lock().unwrap();
            format!(
                "Zxid: {}\nMode: follower\nNode count: {}\n",
                Zxid(state.zxid),
                state.tree.len()
            )
        };
        let _ = stream.write_all(answer.as_bytes()).await;
        return;
    }
    let _ = converse(&mut stream, prefix, &state).await;
}

async fn converse(stream: &mut TcpStream, prefix: [u8; 4], state: &Shared) -> std::io::Result<()> {
    let request = read_rest(stream, prefix).await?;
    let (order, answer) = {
        let mut state = state.lock().unwrap();
        (state.ordered(HANDSHAKE), state.connect(&request))
    };
    if misbehave(stream, order, answer, 0).await? {
        return Ok(());
    }
    loop {
        let mut prefix = [0; 4];
        stream.read_exact(&mut prefix).await?;
        let request = read_rest(stream, prefix).await?;
        let mut from = Decoder::new(&request);
        let (xid, op) = (from.int("xid").unwrap(), from.int("op").unwrap());
        let (order, answer) = {
            let mut state = state.lock().unwrap();
            state.asked.push(op);
            let order = state.ordered(op);
            let answered = matches!(order, None | Some(Misbehaviour::AnswerAndClose));
            (
                order,
                if answered {
                    state.answer(xid, op, &mut from)
                } else {
                    Vec::new()
                },
            )
        };
        if misbehave(stream, order, answer, xid).await? || op == op::CLOSE_SESSION {
            return Ok(());
        }
    }
}

/// Answers, or does what was ordered instead; whether the connection is over.
async fn misbehave(
    stream: &mut TcpStream,
    order: Option<Misbehaviour>,
    answer: Vec<u8>,
    xid: i32,
) -> std::io::Result<bool> {
    let header = |xid: i32, code: i32| {
        let mut to = Encoder::new();
        to.int(xid).long(1).int(code);
        to
    };
    match order {
        None => write(stream, answer).await.map(|()| false),
        Some(Misbehaviour::AnswerAndClose) => write(stream, answer).await.map(|()| true),
        Some(Misbehaviour::Close) => Ok(true),
        Some(Misbehaviour::Silence) => std::future::pending().await,
        Some(Misbehaviour::Garbage) => {
            let mut to = header(xid, 0);
            to.string("what?").int(9);
            write(stream, to.finish()).await.map(|()| false)
        }
        Some(Misbehaviour::EndlessFrame) => stream
            .write_all(&i32::MAX.to_be_bytes())
            .await
            .map(|()| false),
        Some(Misbehaviour::OtherXid) => write(stream, header(xid + 1, 0).finish())
            .await
            .map(|()| false),
        Some(Misbehaviour::Code(code)) => write(stream, header(xid, code).finish())
            .await
            .map(|()| false),
    }
}

async fn read_rest(stream: &mut TcpStream, prefix: [u8; 4]) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; u32::from_be_bytes(prefix) as usize];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn write(stream: &mut TcpStream, record: Vec<u8>) -> std::io::Result<()> {
    let mut frame = (record.len() as u32).to_be_bytes().to_vec();
    frame.extend(record);
    stream.write_all(&frame).await
}

impl State {
    fn ordered(&mut self, op: i32) -> Option<Misbehaviour> {
        let place = self.orders.iter().position(|(at, _)| *at == op)?;
        self.orders.remove(place).map(|(_, what)| what)
    }

    fn connect(&mut self, request: &[u8]) -> Vec<u8> {
        let mut from = Decoder::new(request);
        from.int("version").unwrap();
        from.long("last zxid").unwrap();
        let timeout = from.int("timeout").unwrap();
        let asked = from.long("session").unwrap();
        let mut to = Encoder::new();
        if asked != 0 && !self.sessions.contains(&asked) {
            to.int(0).int(0).long(0).buffer(&[0; 16]).boolean(false);
            return to.finish();
        }
        let session = if asked == 0 {
            self.open_session()
        } else {
            asked
        };
        to.int(0)
            .int(timeout)
            .long(session)
            .buffer(&[1; 16])
            .boolean(false);
        to.finish()
    }

    fn open_session(&mut self) -> i64 {
        self.zxid += 1;
        let session = 0x100 + self.zxid;
        self.sessions.insert(session);
        session
    }

    /// The whole reply's record.
    fn answer(&mut self, xid: i32, op: i32, from: &mut Decoder<'_>) -> Vec<u8> {
        let mut body = Encoder::new();
        let code = self.perform(op, from, &mut body);
        let mut to = Encoder::new();
        to.int(xid).long(self.zxid).int(code);
        let mut record = to.finish();
        if code == 0 {
            record.extend(body.finish());
        }
        record
    }

    fn perform(&mut self, op: i32, from: &mut Decoder<'_>, to: &mut Encoder) -> i32 {
        const NO_NODE: i32 = -101;
        const BAD_VERSION: i32 = -103;
        const NODE_EXISTS: i32 = -110;
        if matches!(op, op::PING | op::CLOSE_SESSION) {
            return 0;
        }
        if op == op::MULTI {
            return self.multi(from, to);
        }
        let path = from.string("path").unwrap().to_owned();
        if op == op::SYNC {
            to.string(&path);
            return 0;
        }
        if op == op::CREATE2 {
            self.zxid += 1;
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            if !parent.is_empty() && !self.tree.contains_key(parent) {
                return NO_NODE;
            }
            if self.tree.contains_key(&path) {
                return NODE_EXISTS;
            }
            let zxid = Zxid(self.zxid);
            let data = from.buffer("data").unwrap().to_vec();
            let stat = Stat {
                czxid: zxid,
                mzxid: zxid,
                ..Stat::default()
            };
            self.tree.insert(path.clone(), (data, stat));
            to.string(&path);
            encode_stat(to, &stat);
            return 0;
        }
        if op == op::SET_DATA {
            self.zxid += 1;
        }
        let names = self.children(&path);
        let Some((data, stat)) = self.tree.get_mut(&path) else {
            return NO_NODE;
        };
        match op {
            op::SET_DATA => {
                let new = from.buffer("data").unwrap();
                let version = from.int("version").unwrap();
                if version != -1 && version != stat.version {
                    return BAD_VERSION;
                }
                *data = new.to_vec();
                stat.version += 1;
                stat.mzxid = Zxid(self.zxid);
                encode_stat(to, stat);
            }
            op::GET_DATA => {
                to.buffer(data);
                encode_stat(to, stat);
            }
            op::GET_CHILDREN2 => {
                to.int(names.len() as i32);
                for name in names {
                    to.string(&name);
                }
                encode_stat(to, stat);
            }
            other => panic!("the fake server knows no request of type {other}"),
        }
        0
    }

    /// Only a single check.
    fn multi(&mut self, from: &mut Decoder<'_>, to: &mut Encoder) -> i32 {
        self.zxid += 1;
        assert_eq!(from.int("type"), Ok(op::CHECK));
        from.boolean("done").unwrap();
        from.int("err").unwrap();
        if self.tree.contains_key(from.string("path").unwrap()) {
            to.int(op::CHECK).boolean(false).int(0);
        } else {
            to.int(op::ERROR).boolean(false).int(-101).int(-101);
        }
        to.int(op::ERROR).boolean(true).int(-1);
        0
    }

    fn children(&self, path: &str) -> Vec<String> {
        let below = format!("{}/", path.trim_end_matches('/'));
        let child = |other: &String| {
            let name = other.strip_prefix(&below)?;
            (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
        };
        self.tree.keys().filter_map(child).collect()
    }
}

fn encode_stat(to: &mut Encoder, stat: &Stat) {
    to.long(stat.czxid.0)
        .long(stat.mzxid.0)
        .long(stat.ctime)
        .long(stat.mtime);
    to.int(stat.version).int(stat.cversion).int(stat.aversion);
    to.long(stat.ephemeral_owner)
        .int(stat.data_length)
        .int(stat.num_children)
        .long(stat.pzxid.0);
}
