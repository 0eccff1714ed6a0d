//! A raw client: requests as bytes, and each frame that comes as a line of text in which nothing depends on the server's
//! clock, ids or epoch.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The bytes of a request.
#[derive(Debug, Default, Clone)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn int(mut self, value: i32) -> Out {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: i64) -> Out {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn flag(mut self, value: bool) -> Out {
        self.0.push(u8::from(value));
        self
    }

    pub(crate) fn buffer(self, bytes: Option<&[u8]>) -> Out {
        let Some(bytes) = bytes else {
            return self.int(-1);
        };
        let mut out = self.int(bytes.len() as i32);
        out.0.extend(bytes);
        out
    }

    pub(crate) fn text(self, text: &str) -> Out {
        self.buffer(Some(text.as_bytes()))
    }

    pub(crate) fn texts(self, texts: &[String]) -> Out {
        let out = self.int(texts.len() as i32);
        texts.iter().fold(out, |out, text| out.text(text))
    }

    pub(crate) fn then(mut self, other: Out) -> Out {
        self.0.extend(other.0);
        self
    }
}

/// How the body of a successful answer is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Empty,
    Int,
    Path,
    PathStat,
    Stat,
    DataStat,
    AclStat,
    Names,
    NamesStat,
    Pairs,
    Multi,
}

struct In<'a> {
    rest: &'a [u8],
    session: &'a Session,
}

impl In<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    fn buffer(&mut self) -> Option<Vec<u8>> {
        let length = self.int();
        (length >= 0).then(|| self.take(length as usize).to_vec())
    }

    fn text(&mut self) -> String {
        match self.buffer() {
            Some(bytes) => String::from_utf8(bytes).unwrap(),
            None => "null".into(),
        }
    }

    /// Relative to the script's beginning; none as it is.
    fn zxid(&mut self) -> i64 {
        let zxid = self.long();
        if zxid <= 0 {
            zxid
        } else {
            zxid - self.session.base
        }
    }

    fn stat(&mut self) -> String {
        let (czxid, mzxid) = (self.zxid(), self.zxid());
        // Times.
        self.take(16);
        let (version, cversion, aversion) = (self.int(), self.int(), self.int());
        let owner = self.session.name_of(self.long());
        let (length, children, pzxid) = (self.int(), self.int(), self.zxid());
        format!(
            "{{c{czxid} m{mzxid} p{pzxid} v{version} cv{cversion} av{aversion} owner {owner} {length} bytes {children} children}}"
        )
    }

    fn names(&mut self) -> String {
        let mut names: Vec<String> = (0..self.int()).map(|_| self.text()).collect();
        names.sort();
        format!("{names:?}")
    }

    fn multi(&mut self) -> String {
        let mut parts = Vec::new();
        loop {
            let (code, done, error) = (self.int(), self.take(1)[0], self.int());
            if done != 0 {
                assert_eq!((code, error), (-1, -1));
                return format!("[{}]", parts.join("; "));
            }
            let body = match code {
                -1 => Body::Int,
                1 => Body::Path,
                15 => Body::PathStat,
                2 | 13 => Body::Empty,
                5 => Body::Stat,
                4 => Body::DataStat,
                8 => Body::Names,
                other => panic!("a part of a multi is answered with code {other}"),
            };
            parts.push(format!("{code}/{error} {}", self.body(&body)));
        }
    }

    fn body(&mut self, body: &Body) -> String {
        match body {
            Body::Empty => String::new(),
            Body::Int => self.int().to_string(),
            Body::Path => self.text(),
            Body::PathStat => format!("{} {}", self.text(), self.stat()),
            Body::Stat => self.stat(),
            Body::DataStat => format!("{:?} {}", self.buffer(), self.stat()),
            Body::AclStat => {
                let list: Vec<_> = (0..self.int())
                    .map(|_| (self.int(), self.text(), self.text()))
                    .collect();
                format!("{list:?} {}", self.stat())
            }
            Body::Names => self.names(),
            Body::NamesStat => format!("{} {}", self.names(), self.stat()),
            Body::Pairs => {
                let mut pairs: Vec<_> = (0..self.int())
                    .map(|_| (self.text(), self.text()))
                    .collect();
                pairs.sort();
                format!("{pairs:?}")
            }
            Body::Multi => self.multi(),
        }
    }
}

/// A session on one server, over one connection.
#[derive(Debug)]
pub(crate) struct Session {
    stream: Option<TcpStream>,
    id: i64,
    password: Vec<u8>,
    /// All sessions of the script so far, to name owners of ephemerals by.
    known: Vec<i64>,
    base: i64,
    xid: i32,
    ended: bool,
}

impl Session {
    pub(crate) fn open(address: SocketAddr, base: i64, known: &[i64]) -> Session {
        let (stream, id, password) = greet(address, 0, &[0; 16]).unwrap();
        let mut known = known.to_vec();
        known.push(id);
        Session {
            stream: Some(stream),
            id,
            password,
            known,
            base,
            xid: 0,
            ended: false,
        }
    }

    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// There is another session.
    pub(crate) fn knows(&mut self, id: i64) {
        self.known.push(id);
    }

    /// Breaks the connection, and goes on over a new one; whether the session was still there.
    pub(crate) fn reconnect(&mut self, address: SocketAddr) -> bool {
        self.stream = None;
        let (stream, id, _) = greet(address, self.id, &self.password).unwrap();
        self.stream = Some(stream);
        id == self.id
    }

    fn name_of(&self, owner: i64) -> String {
        match self.known.iter().position(|id| *id == owner) {
            Some(n) => format!("session {n}"),
            None => format!("{owner:#x}"),
        }
    }

    /// Sends one request, and tells what comes back up to its answer.
    pub(crate) fn ask(&mut self, code: i32, request: &Out, body: &Body) -> String {
        self.xid += 1;
        let xid = match code {
            11 => -2,
            100 => -4,
            101 | 105 => -8,
            _ => self.xid,
        };
        let frame = Out::default().int(xid).int(code).then(request.clone());
        let frame = Out::default().buffer(Some(&frame.0)).0;
        let Some(stream) = &mut self.stream else {
            return "not connected".into();
        };
        let mut lines = Vec::new();
        if stream.write_all(&frame).is_err() {
            lines.push("cannot send".to_owned());
        }
        loop {
            let Ok(answer) = read_frame(self.stream.as_mut().unwrap()) else {
                self.stream = None;
                lines.push("closed".to_owned());
                return lines.join(", ");
            };
            let mut answer = In {
                rest: &answer,
                session: self,
            };
            let (found, zxid, error) = (answer.int(), answer.zxid(), answer.int());
            if found == -1 {
                let (kind, state, path) = (answer.int(), answer.int(), answer.text());
                lines.push(format!("event {kind}/{state} {path} ({zxid} {error})"));
                assert!(answer.rest.is_empty());
                continue;
            }
            assert_eq!(found, xid, "an answer to another request");
            let text = if error == 0 {
                answer.body(body)
            } else {
                format!("error {error}")
            };
            assert!(
                answer.rest.is_empty(),
                "{} bytes are left",
                answer.rest.len()
            );
            if code == -11 {
                self.ended = true;
                // A session's ephemeral znodes end in the order of a hash table.
                lines.sort();
            }
            lines.push(format!("at {zxid}: {text}"));
            if code == -11 || error == -115 || error == -6 {
                let closed = read_frame(self.stream.as_mut().unwrap()).is_err();
                lines.push(format!("closed {closed}"));
                self.stream = None;
            }
            return lines.join(", ");
        }
    }

    /// Closes the session, if it is open, also without a connection: its end must not come in the middle of another script.
    pub(crate) fn finish(&mut self, address: SocketAddr) {
        if !self.ended && (self.stream.is_some() || self.reconnect(address)) {
            self.ask(-11, &Out::default(), &Body::Empty);
        }
    }
}

fn greet(address: SocketAddr, id: i64, password: &[u8]) -> io::Result<(TcpStream, i64, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let hello = Out::default()
        .int(0)
        .long(0)
        .int(20_000)
        .long(id)
        .buffer(Some(password))
        .flag(false);
    stream.write_all(&Out::default().buffer(Some(&hello.0)).0)?;
    let answer = read_frame(&mut stream)?;
    // Protocol and time-out, then the session and its password.
    let id = i64::from_be_bytes(answer[8..16].try_into().unwrap());
    Ok((stream, id, answer[20..36].to_vec()))
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

/// The last zxid: the end of a session that is opened for this.
pub(crate) fn last_zxid(address: SocketAddr) -> i64 {
    let mut session = Session::open(address, 0, &[]);
    let line = session.ask(-11, &Out::default(), &Body::Empty);
    line["at ".len()..line.find(':').unwrap()].parse().unwrap()
}
