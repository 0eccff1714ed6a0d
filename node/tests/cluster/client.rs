//! A tiny client: one connection, one request after the other, or frames as given.

use crate::process::{LIMIT, eventually};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

pub(crate) const EPHEMERAL: i32 = 1;
pub(crate) const SEQUENTIAL: i32 = 2;

/// The xid of an event.
pub(crate) const NOTIFICATION: i32 = -1;

pub(crate) const NO_NODE: i32 = -101;
pub(crate) const BAD_VERSION: i32 = -103;
pub(crate) const NODE_EXISTS: i32 = -110;
pub(crate) const NOT_EMPTY: i32 = -111;

/// The bytes of a request.
#[derive(Default, Clone)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Bytes {
    pub(crate) fn int(mut self, value: i32) -> Bytes {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn long(mut self, value: i64) -> Bytes {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn byte(mut self, value: u8) -> Bytes {
        self.0.push(value);
        self
    }

    pub(crate) fn buffer(mut self, bytes: &[u8]) -> Bytes {
        self = self.int(bytes.len() as i32);
        self.0.extend(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Bytes {
        self.buffer(text.as_bytes())
    }

    /// With its length in front.
    pub(crate) fn frame(&self) -> Vec<u8> {
        Bytes::default().buffer(&self.0).0
    }
}

/// The bytes of an answer.
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    fn take(&mut self, count: usize) -> Vec<u8> {
        self.0.drain(..count).collect()
    }

    pub(crate) fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub(crate) fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub(crate) fn buffer(&mut self) -> Option<Vec<u8>> {
        let length = self.int();
        (length >= 0).then(|| self.take(length as usize))
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8(self.buffer().unwrap()).unwrap()
    }

    pub(crate) fn texts(&mut self) -> Vec<String> {
        (0..self.int()).map(|_| self.text()).collect()
    }

    pub(crate) fn stat(&mut self) -> Stat {
        Stat {
            czxid: self.long(),
            mzxid: self.long(),
            _times: (self.long(), self.long()),
            version: self.int(),
            cversion: self.int(),
            aversion: self.int(),
            owner: self.long(),
            length: self.int(),
            children: self.int(),
            pzxid: self.long(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    _times: (i64, i64),
    pub(crate) version: i32,
    pub(crate) cversion: i32,
    pub(crate) aversion: i32,
    pub(crate) owner: i64,
    pub(crate) length: i32,
    pub(crate) children: i32,
    pub(crate) pzxid: i64,
}

pub(crate) struct Reply {
    pub(crate) xid: i32,
    pub(crate) error: i32,
    pub(crate) body: Answer,
}

/// A connection, whatever carries it.
pub(crate) trait Duplex: Read + Write + Send {}

impl<S: Read + Write + Send> Duplex for S {}

pub(crate) struct Client {
    stream: Box<dyn Duplex>,
    pub(crate) session: i64,
    pub(crate) password: Vec<u8>,
    pub(crate) timeout: i32,
    pub(crate) zxid: i64,
    xid: i32,
    /// Events of watches, as they came between answers: kind and path.
    pub(crate) events: VecDeque<(i32, String)>,
}

pub(crate) fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

pub(crate) fn read_frame(stream: &mut impl Read) -> io::Result<Answer> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    Ok(Answer(frame))
}

pub(crate) fn connect_request(zxid: i64, timeout: i32, session: i64, password: &[u8]) -> Bytes {
    Bytes::default()
        .int(0)
        .long(zxid)
        .int(timeout)
        .long(session)
        .buffer(password)
        .byte(0)
}

impl Client {
    /// A new session with this time-out, or what went wrong.
    pub(crate) fn try_connect(address: SocketAddr, timeout: i32) -> io::Result<Client> {
        Client::try_resume(address, timeout, 0, &[0; 16], 0)
    }

    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::connect_for(address, 10_000)
    }

    pub(crate) fn connect_for(address: SocketAddr, timeout: i32) -> Client {
        eventually("a session", || Client::try_connect(address, timeout).ok())
    }

    /// An earlier session; the answer's session is 0 if it is gone.
    pub(crate) fn try_resume(
        address: SocketAddr,
        timeout: i32,
        session: i64,
        password: &[u8],
        zxid: i64,
    ) -> io::Result<Client> {
        Client::begin(dial(address)?, timeout, session, password, zxid)
    }

    /// A new session over a connection of another kind.
    pub(crate) fn open(stream: impl Duplex + 'static, timeout: i32) -> io::Result<Client> {
        Client::begin(stream, timeout, 0, &[0; 16], 0)
    }

    fn begin(
        mut stream: impl Duplex + 'static,
        timeout: i32,
        session: i64,
        password: &[u8],
        zxid: i64,
    ) -> io::Result<Client> {
        stream.write_all(&connect_request(zxid, timeout, session, password).frame())?;
        let mut answer = read_frame(&mut stream)?;
        answer.int();
        let (timeout, session) = (answer.int(), answer.long());
        let password = answer.buffer().unwrap();
        assert_eq!(answer.byte(), 0, "not read only");
        assert!(answer.is_empty());
        let mut client = Client::over(stream, session, password, timeout);
        client.zxid = zxid;
        Ok(client)
    }

    /// A client whose session is open.
    pub(crate) fn over(
        stream: impl Duplex + 'static,
        session: i64,
        password: Vec<u8>,
        timeout: i32,
    ) -> Client {
        Client {
            stream: Box::new(stream),
            session,
            password,
            timeout,
            zxid: 0,
            xid: 0,
            events: VecDeque::new(),
        }
    }

    /// This client's session on another server, from now on.
    pub(crate) fn moved_to(&self, address: SocketAddr) -> io::Result<Client> {
        Client::try_resume(
            address,
            self.timeout,
            self.session,
            &self.password,
            self.zxid,
        )
    }

    pub(crate) fn send(&mut self, code: i32, body: &Bytes) -> io::Result<i32> {
        self.xid += 1;
        let mut request = Bytes::default().int(self.xid).int(code);
        request.0.extend(&body.0);
        self.stream.write_all(&request.frame())?;
        Ok(self.xid)
    }

    /// The next answer; events before it are kept.
    pub(crate) fn receive(&mut self) -> io::Result<Reply> {
        let (body, xid, zxid, error) = loop {
            let mut body = read_frame(&mut self.stream)?;
            let (xid, zxid, error) = (body.int(), body.long(), body.int());
            if xid != NOTIFICATION {
                break (body, xid, zxid, error);
            }
            self.keep_event(zxid, error, body);
        };
        assert!(
            zxid >= self.zxid,
            "a session went back from {:#x} to {zxid:#x}",
            self.zxid
        );
        self.zxid = zxid;
        Ok(Reply { xid, error, body })
    }

    fn keep_event(&mut self, zxid: i64, error: i32, mut body: Answer) {
        assert_eq!((zxid, error), (-1, 0));
        let (kind, state, path) = (body.int(), body.int(), body.text());
        assert_eq!(state, 3, "connected");
        assert!(body.is_empty());
        self.events.push_back((kind, path));
    }

    /// The next event; nothing else may come before it.
    pub(crate) fn event(&mut self) -> (i32, String) {
        if self.events.is_empty() {
            let mut body = read_frame(&mut self.stream).unwrap();
            assert_eq!(body.int(), NOTIFICATION);
            let (zxid, error) = (body.long(), body.int());
            self.keep_event(zxid, error, body);
        }
        self.events.pop_front().unwrap()
    }

    /// All events so far.
    pub(crate) fn take_events(&mut self) -> Vec<(i32, String)> {
        self.events.drain(..).collect()
    }

    pub(crate) fn try_ask(&mut self, code: i32, body: &Bytes) -> io::Result<Reply> {
        let xid = self.send(code, body)?;
        let reply = self.receive()?;
        assert_eq!(reply.xid, xid, "answers come in order");
        Ok(reply)
    }

    pub(crate) fn ask(&mut self, code: i32, body: &Bytes) -> Result<Answer, i32> {
        let reply = self.try_ask(code, body).unwrap();
        if reply.error == 0 {
            Ok(reply.body)
        } else {
            assert!(reply.body.is_empty(), "an error has no body");
            Err(reply.error)
        }
    }

    pub(crate) fn create(&mut self, path: &str, data: &[u8], flags: i32) -> Result<String, i32> {
        self.ask(1, &create(path, data, flags))
            .map(|mut body| body.text())
    }

    pub(crate) fn create2(
        &mut self,
        path: &str,
        data: &[u8],
        flags: i32,
    ) -> Result<(String, Stat), i32> {
        self.ask(15, &create(path, data, flags))
            .map(|mut body| (body.text(), body.stat()))
    }

    pub(crate) fn delete(&mut self, path: &str, version: i32) -> Result<(), i32> {
        self.ask(2, &Bytes::default().text(path).int(version))
            .map(|_| ())
    }

    pub(crate) fn exists(&mut self, path: &str) -> Result<Stat, i32> {
        self.ask(3, &Bytes::default().text(path).byte(0))
            .map(|mut body| body.stat())
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<(Vec<u8>, Stat), i32> {
        self.ask(4, &Bytes::default().text(path).byte(0))
            .map(|mut body| (body.buffer().unwrap(), body.stat()))
    }

    pub(crate) fn set(&mut self, path: &str, data: &[u8], version: i32) -> Result<Stat, i32> {
        self.ask(5, &Bytes::default().text(path).buffer(data).int(version))
            .map(|mut body| body.stat())
    }

    pub(crate) fn acl(&mut self, path: &str) -> Result<(i32, String, String, Stat), i32> {
        self.ask(6, &Bytes::default().text(path)).map(|mut body| {
            assert_eq!(body.int(), 1);
            (body.int(), body.text(), body.text(), body.stat())
        })
    }

    pub(crate) fn children(&mut self, path: &str) -> Result<Vec<String>, i32> {
        self.ask(8, &Bytes::default().text(path).byte(0))
            .map(|mut body| body.texts())
    }

    pub(crate) fn children2(&mut self, path: &str) -> Result<(Vec<String>, Stat), i32> {
        self.ask(12, &Bytes::default().text(path).byte(0))
            .map(|mut body| (body.texts(), body.stat()))
    }

    /// auth with the scheme digest; the answer has no zxid.
    pub(crate) fn show(&mut self, name_and_password: &str) {
        let seen = std::mem::take(&mut self.zxid);
        self.ask(
            100,
            &Bytes::default()
                .int(0)
                .text("digest")
                .text(name_and_password),
        )
        .unwrap();
        self.zxid = seen;
    }

    /// setACL with one entry.
    pub(crate) fn set_acl(
        &mut self,
        path: &str,
        permissions: i32,
        scheme: &str,
        id: &str,
        version: i32,
    ) -> Result<Stat, i32> {
        let body = Bytes::default().text(path).int(1).int(permissions);
        self.ask(7, &body.text(scheme).text(id).int(version))
            .map(|mut body| body.stat())
    }

    /// A read with a watch, by its code: exists 3, getData 4, getChildren 8 or 12.
    pub(crate) fn watch(&mut self, code: i32, path: &str) -> Result<(), i32> {
        self.ask(code, &Bytes::default().text(path).byte(1))
            .map(|_| ())
    }

    pub(crate) fn add_watch(&mut self, path: &str, recursive: bool) {
        let body = Bytes::default().text(path).int(i32::from(recursive));
        assert_eq!(self.ask(106, &body).unwrap().int(), 0);
    }

    /// checkWatches (17) or removeWatches (18); 1 children, 2 data, 3 any.
    pub(crate) fn about_watch(&mut self, code: i32, path: &str, which: i32) -> Result<(), i32> {
        self.ask(code, &Bytes::default().text(path).int(which))
            .map(|_| ())
    }

    /// setWatches2 with its five lists.
    pub(crate) fn set_watches(&mut self, seen: i64, lists: [&[&str]; 5]) {
        let mut body = Bytes::default().long(seen);
        for list in lists {
            body = body.int(list.len() as i32);
            for path in list {
                body = body.text(path);
            }
        }
        assert!(self.ask(105, &body).unwrap().is_empty());
    }

    pub(crate) fn sync(&mut self, path: &str) -> Result<String, i32> {
        self.ask(9, &Bytes::default().text(path))
            .map(|mut body| body.text())
    }

    /// The results: each operation's code, and its error or 0.
    pub(crate) fn multi(&mut self, operations: &[(i32, Bytes)]) -> Vec<(i32, i32)> {
        let mut body = self.ask(14, &multi(operations)).unwrap();
        let mut results = Vec::new();
        loop {
            let (code, done, _) = (body.int(), body.byte(), body.int());
            if done != 0 {
                assert!(body.is_empty());
                return results;
            }
            let error = if code == -1 { body.int() } else { 0 };
            if code == 1 || code == 15 {
                body.text();
            }
            if code == 5 || code == 15 {
                body.stat();
            }
            results.push((code, error));
        }
    }

    pub(crate) fn ping(&mut self) {
        self.ask(11, &Bytes::default()).unwrap();
    }

    /// Closes the session; the server closes the connection behind its answer.
    pub(crate) fn close(mut self) {
        self.ask(-11, &Bytes::default()).unwrap();
        assert!(read_frame(&mut self.stream).is_err());
    }

    /// Whether the server has closed the connection; waits for it.
    pub(crate) fn is_closed(&mut self) -> bool {
        read_frame(&mut self.stream).is_err()
    }
}

pub(crate) fn create(path: &str, data: &[u8], flags: i32) -> Bytes {
    Bytes::default()
        .text(path)
        .buffer(data)
        .int(1)
        .int(31)
        .text("world")
        .text("anyone")
        .int(flags)
}

pub(crate) fn check(path: &str, version: i32) -> Bytes {
    Bytes::default().text(path).int(version)
}

pub(crate) fn multi(operations: &[(i32, Bytes)]) -> Bytes {
    let mut all = Bytes::default();
    for (code, body) in operations {
        all = all.int(*code).byte(0).int(-1);
        all.0.extend(&body.0);
    }
    all.int(-1).byte(1).int(-1)
}
