//! Drives the connections of many clients from few threads.
//!
//! Clients share the machine with the servers that they measure: what a client spends on an operation is as if each server were
//! slower by it. So requests are encoded once and only numbered anew, answers are looked at no further than their header, and
//! nothing wakes anything: a thread waits for all its sockets at once (epoll, edge-triggered), and serves those that have something.

use super::load::{ANSWER, Load, trouble};
use crate::failure::Failure;
use hdrhistogram::Histogram;
use keelhaul_workloads::Server;
use keelhaul_workloads::wire::ErrorCode;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rustix::event::epoll;
use rustix::time::Timespec;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How much is read from a socket at a time.
const READ: usize = 256 << 10;

/// How often a thread looks whether everybody is still answered.
const LOOK: Duration = Duration::from_secs(1);

/// Where the number of a request stands in its frame: after the length.
const XID: std::ops::Range<usize> = 4..8;

/// The header of an answer: number, zxid, error.
const HEADER: usize = 16;

/// The number of a watch's notification, and of a ping's answer: nobody asked for either.
const UNASKED: std::ops::RangeInclusive<i32> = -2..=-1;

/// What clients send: whole frames, but for their numbers.
pub(super) struct Script {
    pub(super) load: Load,
    /// The read of each client's znode.
    pub(super) reads: Vec<Vec<u8>>,
    /// The write of each client's znode.
    pub(super) writes: Vec<Vec<u8>>,
    /// The end of a session.
    pub(super) farewell: Vec<u8>,
    /// What is sent from here on counts.
    pub(super) begin: Instant,
    /// What is answered from here on counts no more.
    pub(super) end: Instant,
}

/// One client.
pub(super) struct Client {
    server: Server,
    socket: TcpStream,
    number: usize,
    random: ChaCha8Rng,
    next_xid: i32,
    /// When each request was sent that is not answered, and its number.
    sent: VecDeque<(i32, Instant)>,
    /// What the socket has not taken.
    outgoing: Vec<u8>,
    /// The beginning of a frame that has not come whole.
    partial: Vec<u8>,
    heard: Instant,
}

/// Microseconds up to a minute, three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are legal")
}

/// Lets these clients work until the script's end, and closes their sessions. How long each operation took, in microseconds.
pub(super) fn drive(mut clients: Vec<Client>, script: &Script) -> Result<Histogram<u64>, Failure> {
    let mut latencies = histogram();
    let epoll = watch(&clients).map_err(|error| machinery(&error))?;
    let mut events = Vec::with_capacity(clients.len());
    let mut scratch = vec![0; READ];
    for client in &mut clients {
        client.begin(script)?;
    }
    let mut look = Instant::now() + LOOK;
    loop {
        let now = Instant::now();
        if now >= script.end {
            break;
        }
        if now >= look {
            look = now + LOOK;
            clients
                .iter()
                .try_for_each(|client| client.is_served(now))?;
        }
        wait(&epoll, &mut events, script.end.min(look) - now).map_err(|error| machinery(&error))?;
        for event in events.drain(..) {
            let place = usize::try_from(event.data.u64()).expect("a place in a list");
            clients[place].serve(script, &mut scratch, &mut latencies)?;
        }
    }
    farewell(clients, script);
    Ok(latencies)
}

fn watch(clients: &[Client]) -> io::Result<OwnedFd> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
    for (place, client) in clients.iter().enumerate() {
        client.socket.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(place as u64);
        epoll::add(&epoll, &client.socket, data, flags)?;
    }
    Ok(epoll)
}

fn wait(epoll: &OwnedFd, events: &mut Vec<epoll::Event>, most: Duration) -> io::Result<()> {
    let most = Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: most.subsec_nanos().into(),
    };
    match epoll::wait(epoll, rustix::buffer::spare_capacity(events), Some(&most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn machinery(error: &io::Error) -> Failure {
    Failure::Machinery(format!("the bench cannot wait for its sockets: {error}"))
}

/// Closes the sessions. What is still outstanding does not count; a session that cannot be closed may as well expire.
fn farewell(mut clients: Vec<Client>, script: &Script) {
    for client in &mut clients {
        let _ = client.socket.set_nonblocking(false);
        let _ = client.socket.set_write_timeout(Some(LOOK));
        let _ = client.socket.set_read_timeout(Some(LOOK));
        let rest = std::mem::take(&mut client.outgoing);
        let _ = client.socket.write_all(&rest);
        let _ = client.socket.write_all(&script.farewell);
    }
    for client in &mut clients {
        let _ = io::copy(&mut client.socket, &mut io::sink());
    }
}

impl Client {
    /// A client whose session was just opened on this socket.
    pub(super) fn new(
        server: Server,
        socket: TcpStream,
        number: usize,
        random: ChaCha8Rng,
    ) -> Client {
        Client {
            server,
            socket,
            number,
            random,
            next_xid: 1,
            sent: VecDeque::new(),
            outgoing: Vec::new(),
            partial: Vec::new(),
            heard: Instant::now(),
        }
    }

    fn begin(&mut self, script: &Script) -> Result<(), Failure> {
        self.heard = Instant::now();
        self.ask(script, script.load.outstanding, self.heard);
        self.write()
    }

    /// Takes what has come, asks anew for each answer, and sends what the socket takes.
    fn serve(
        &mut self,
        script: &Script,
        scratch: &mut [u8],
        latencies: &mut Histogram<u64>,
    ) -> Result<(), Failure> {
        loop {
            let read = match self.socket.read(scratch) {
                Ok(0) => return Err(self.trouble(&"it closed the connection")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.trouble(&error)),
            };
            self.heard = Instant::now();
            let answers = self.take(&scratch[..read], script, latencies)?;
            self.ask(script, answers, self.heard);
            // Less than there was room for: there is no more, and the next to come is an event.
            if read < scratch.len() {
                break;
            }
        }
        self.write()
    }

    /// How many answers these bytes complete.
    fn take(
        &mut self,
        bytes: &[u8],
        script: &Script,
        latencies: &mut Histogram<u64>,
    ) -> Result<usize, Failure> {
        if self.partial.is_empty() {
            let (answers, whole) = self.answers(bytes, script, latencies)?;
            self.partial.extend_from_slice(&bytes[whole..]);
            return Ok(answers);
        }
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        let (answers, whole) = self.answers(&all, script, latencies)?;
        all.drain(..whole);
        self.partial = all;
        Ok(answers)
    }

    /// How many answers stand whole at the front of `bytes`, and how long they are together.
    fn answers(
        &mut self,
        bytes: &[u8],
        script: &Script,
        latencies: &mut Histogram<u64>,
    ) -> Result<(usize, usize), Failure> {
        let (mut answers, mut whole) = (0, 0);
        while let Some(length) = bytes[whole..].first_chunk() {
            let length = usize::try_from(i32::from_be_bytes(*length))
                .ok()
                .filter(|length| *length >= HEADER)
                .ok_or_else(|| self.trouble(&"it sent what is no answer"))?;
            let Some(frame) = bytes.get(whole + 4..whole + 4 + length) else {
                break;
            };
            whole += 4 + length;
            if self.answered(frame, script, latencies)? {
                answers += 1;
            }
        }
        Ok((answers, whole))
    }

    /// Whether this is the answer to a request.
    fn answered(
        &mut self,
        frame: &[u8],
        script: &Script,
        latencies: &mut Histogram<u64>,
    ) -> Result<bool, Failure> {
        let number = |at: usize| {
            i32::from_be_bytes(
                frame[at..at + 4]
                    .try_into()
                    .expect("four bytes of a header"),
            )
        };
        let xid = number(0);
        if UNASKED.contains(&xid) {
            return Ok(false);
        }
        let since = match self.sent.pop_front() {
            Some((expected, since)) if expected == xid => since,
            _ => return Err(self.trouble(&format!("it answered request {xid} out of turn"))),
        };
        if let Some(code) = ErrorCode::from_number(number(12)) {
            return Err(self.trouble(&format!("{code:?}")));
        }
        if since >= script.begin && self.heard <= script.end {
            let micros = u64::try_from((self.heard - since).as_micros()).unwrap_or(u64::MAX);
            latencies.saturating_record(micros);
        }
        Ok(true)
    }

    /// Puts so many requests into what goes out.
    fn ask(&mut self, script: &Script, requests: usize, now: Instant) {
        for _ in 0..requests {
            let reads = script.load.reads_percent;
            let is_read = reads > 0 && (reads >= 100 || self.random.next_u32() % 100 < reads);
            let frame = match is_read {
                true => &script.reads[self.random.next_u32() as usize % script.reads.len()],
                false => &script.writes[self.number],
            };
            let start = self.outgoing.len();
            self.outgoing.extend_from_slice(frame);
            self.outgoing[start..][XID].copy_from_slice(&self.next_xid.to_be_bytes());
            self.sent.push_back((self.next_xid, now));
            self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        }
    }

    /// Sends what the socket takes; an event says when it takes more.
    fn write(&mut self) -> Result<(), Failure> {
        let mut done = 0;
        while done < self.outgoing.len() {
            match self.socket.write(&self.outgoing[done..]) {
                Ok(written) => done += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.trouble(&error)),
            }
        }
        self.outgoing.drain(..done);
        Ok(())
    }

    fn is_served(&self, now: Instant) -> Result<(), Failure> {
        match now.saturating_duration_since(self.heard) > ANSWER {
            true => Err(self.trouble(&format!("no answer for {} s", ANSWER.as_secs()))),
            false => Ok(()),
        }
    }

    fn trouble(&self, error: &dyn std::fmt::Display) -> Failure {
        trouble(&self.server, error)
    }
}
