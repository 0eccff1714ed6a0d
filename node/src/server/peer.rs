//! Connections between members: one per pair, dialled by the member with the greater id; a server that the others may not
//! know yet dials them all.
//!
//! A connection begins with a greeting from both sides, which must agree in protocol, ensemble and direction; then it
//! carries messages of the protocol core and beats of the lookout, in order, until it breaks. It breaks when it says nothing for twice the
//! synchronisation limit (signs of life are sent when there is nothing else), and is dialled again.
//!
//! Who holds the history of an ensemble that `recover` left behind, and who holds that of the one which it founded, have no connection: each
//! would take the other's transactions for a tail to be cut. A server that holds nothing yet may join either.
//!
//! With TLS, each side must show a certificate of an authority that the other trusts before a word of the greeting is read, and the
//! certificate must be that of the member whom the greeting names. Without it peers are not authenticated.

use super::complaints::Complaints;
use super::event::{ConnectionId, Event};
use super::forward::Envelope;
use super::listener::Listener;
use super::lookout::wall_clock;
use super::stream::{ReadHalf, Stream, WriteHalf};
use super::wire::{FrameReader, FrameWriter, WireError};
use crate::config::{Address, Member, NodeConfig, is_legal_id};
use crate::ensemble::Servers;
use crate::tls::{PeerSecurity, names};
use crate::txn::Incarnation;
use crate::warn::Beat;
use crate::zab::{Founding, Members, Message, Millis, NodeId};
use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The protocol's name and version; a member that speaks another is refused.
const PROTOCOL: [u8; 8] = *b"KEELHL\x00\x08";

/// How long a dial, and then a greeting, may take.
const PATIENCE: Duration = Duration::from_millis(1000);

/// Connections that have not said yet who they are, at a time; with one more, the oldest is closed.
const STRANGERS: usize = 64;

/// The longest greeting, in bytes.
const GREETING: usize = 64 << 10;

/// The pause before a dial is repeated, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 50..100;

/// A frame of a connection that stands, to be written.
#[derive(Serialize)]
enum Saying<'a> {
    Core(&'a Message),
    Beat(&'a Beat),
}

/// The same, as it is read.
#[derive(Deserialize)]
enum Said {
    Core(Message),
    Beat(Box<Beat>),
}

/// The first frame of each side.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    protocol: [u8; 8],
    from: NodeId,
    to: NodeId,
    incarnation: Incarnation,
    /// The dialler's number for this dial: a later one replaces an earlier one, never the other way round.
    dial: u64,
    /// The members by the configuration file; nothing if they can change.
    members: Option<Members>,
    /// The sender may be unknown to the receiver, and dials whatever its id.
    joins: bool,
    cluster: String,
    /// Whose history the sender holds; nothing before it was brought up to date once.
    founded: Option<Founding>,
}

#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("its message makes no sense: {0}")]
    Garbage(#[from] postcard::Error),
    #[error("it did not {what} within {} ms", limit.as_millis())]
    Silent { what: &'static str, limit: Duration },
    #[error("no TLS handshake: {0}")]
    Handshake(io::Error),
    #[error("{0}")]
    Refused(String),
    #[error(
        "server {0} holds the history of another ensemble than this server: of the two, `keelhaul-node recover` founded {1}. They have no connection, and what clients write \
         at the one is not known at the other. Stop the one that was given up; to add it to the other, start it on an empty directory"
    )]
    OtherEnsemble(NodeId, &'static str),
    #[error("it had not said who it is when others came")]
    Evicted,
    #[error("it closed the connection")]
    Closed,
    #[error("the node stops")]
    Stopping,
}

/// The engine's end of a connection; the connection breaks when it is dropped.
#[derive(Debug)]
pub(super) struct PeerLink {
    /// Which connection.
    pub(super) id: ConnectionId,
    /// The run of the peer's process.
    pub(super) incarnation: Incarnation,
    /// Whether the member with the greater id dialled, as it should.
    pub(super) in_order: bool,
    /// The dialler's number for it.
    pub(super) dial: u64,
    /// Whose history the peer held when it greeted.
    pub(super) founded: Option<Founding>,
    out: mpsc::UnboundedSender<Bytes>,
    queued: Arc<AtomicUsize>,
    frames: FrameWriter,
    last_sent: Millis,
}

impl PeerLink {
    /// Bytes that wait for it.
    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// Adds a message to what the next [`PeerLink::flush`] sends.
    pub(super) fn push(&mut self, message: &Message) {
        self.frames.push(&Saying::Core(message));
    }

    /// The same, for a beat.
    pub(super) fn push_beat(&mut self, beat: &Beat) {
        self.frames.push(&Saying::Beat(beat));
    }

    /// Sends what was added, or a sign of life if there was nothing for `silence_ms`. False if more than `limit` bytes
    /// wait: the connection must be broken.
    pub(super) fn flush(&mut self, now: Millis, silence_ms: u64, limit: usize) -> bool {
        if self.frames.is_empty() {
            if now.since(self.last_sent) < silence_ms {
                return true;
            }
            self.frames.push_empty();
        }
        self.last_sent = now;
        let bytes = self.frames.take();
        let queued = self.queued.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        // If the connection is gone, the engine hears of it by an event.
        let _ = self.out.send(bytes);
        queued <= limit
    }
}

/// What all connections of this process share.
#[derive(Clone)]
struct Peers {
    config: Arc<NodeConfig>,
    security: Option<PeerSecurity>,
    incarnation: Incarnation,
    numbers: Arc<AtomicU64>,
    events: mpsc::Sender<Event>,
    wanted: watch::Receiver<Servers>,
    founded: watch::Receiver<Option<Founding>>,
}

/// Starts to listen, and to dial every member with a smaller id.
pub(super) fn start(
    tasks: &mut JoinSet<()>,
    listener: Listener,
    (config, security): (&Arc<NodeConfig>, Option<PeerSecurity>),
    incarnation: Incarnation,
    random: &mut ChaCha8Rng,
    events: &mpsc::Sender<Event>,
    (wanted, founded): (watch::Receiver<Servers>, watch::Receiver<Option<Founding>>),
) {
    let numbers = Arc::new(AtomicU64::new(1));
    let peers = Peers {
        config: config.clone(),
        security,
        incarnation,
        numbers,
        events: events.clone(),
        wanted: wanted.clone(),
        founded,
    };
    let random = ChaCha8Rng::seed_from_u64(random.random());
    tasks.spawn(dial_all(peers.clone(), wanted, random));
    tasks.spawn(listen(peers, listener));
}

/// Dials whoever is wanted, each in a task of its own.
async fn dial_all(peers: Peers, mut wanted: watch::Receiver<Servers>, mut random: ChaCha8Rng) {
    let mut tasks = JoinSet::new();
    let mut dialled = BTreeSet::new();
    loop {
        let ids: Vec<NodeId> = wanted.borrow_and_update().keys().copied().collect();
        for id in ids.into_iter().filter(|id| dialled.insert(*id)) {
            let pauses = ChaCha8Rng::seed_from_u64(random.random());
            tasks.spawn(dial_while_wanted(peers.clone(), id, wanted.clone(), pauses));
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() {
                return;
            },
            Some(Ok(id)) = tasks.join_next() => drop(dialled.remove(&id)),
        }
    }
}

async fn listen(peers: Peers, mut listener: Listener) {
    let mut connections = JoinSet::new();
    let mut complaints = Complaints::default();
    // Those that have not said yet who they are, the oldest first; each ends when its sender is dropped.
    let mut strangers: VecDeque<oneshot::Sender<()>> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                if let Ok((address, Err(problem))) = ended {
                    tell(&problem, address, &mut complaints);
                }
                continue;
            }
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a peer");
                strangers.clear();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        strangers.retain(|stranger| !stranger.is_closed());
        if strangers.len() >= STRANGERS {
            strangers.pop_front();
        }
        let (leave, evicted) = oneshot::channel();
        strangers.push_back(leave);
        let peers = peers.clone();
        connections.spawn(async move { (address, accept(&peers, stream, evicted).await) });
    }
}

/// Says why a connection that was accepted has ended; of those who are not believed once a minute for each address.
fn tell(problem: &LinkError, address: SocketAddr, complaints: &mut Complaints) {
    match problem {
        LinkError::Stopping | LinkError::Closed | LinkError::Io(_) => {
            tracing::info!(%address, %problem, "connection of a peer ended");
        }
        LinkError::OtherEnsemble(..) => {
            if let Some(times) = complaints.about(address.ip(), Instant::now()) {
                tracing::error!(%address, %problem, times, "two ensembles run: not said again for a minute");
            }
        }
        _ => {
            if let Some(times) = complaints.about(address.ip(), Instant::now()) {
                tracing::warn!(%address, %problem, times, "a peer's connection was refused or broken; not said again for a minute");
            }
        }
    }
}

async fn dial_while_wanted(
    peers: Peers,
    id: NodeId,
    wanted: watch::Receiver<Servers>,
    mut pauses: ChaCha8Rng,
) -> NodeId {
    let mut said = String::new();
    if id > peers.config.id {
        // It dials us, if it knows us.
        tokio::time::sleep(PATIENCE).await;
    }
    loop {
        let Some(member) = wanted.borrow().get(&id).cloned() else {
            return id;
        };
        let address = peers.config.dial_address(&member);
        if let Err(problem) = dial(&peers, &member, &address).await {
            // A peer that is away is dialled many times; the same problem is said once.
            let text = problem.to_string();
            if text != said {
                match problem {
                    LinkError::OtherEnsemble(..) => {
                        tracing::error!(peer = member.id.0, %address, %problem, "two ensembles run");
                    }
                    _ => {
                        tracing::info!(peer = member.id.0, %address, %problem, "connection to a peer ended");
                    }
                }
                said = text;
            }
        }
        tokio::time::sleep(Duration::from_millis(pauses.random_range(PAUSE_MS))).await;
    }
}

async fn dial(peers: &Peers, member: &Member, address: &Address) -> Result<(), LinkError> {
    // A name is looked up anew each time: what it stands for may have changed.
    let connecting = TcpStream::connect((address.host(), address.port()));
    let stream = timeout(PATIENCE, connecting)
        .await
        .map_err(|_| LinkError::Silent {
            what: "accept the connection",
            limit: PATIENCE,
        })??;
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(LinkError::Refused(
            "the dial connected to itself: nobody listens at this address".into(),
        ));
    }
    let mut wire = Wire::default();
    let number = peers.numbers.fetch_add(1, Ordering::Relaxed);
    let greeting = async {
        let tls = peers.security.as_ref().map(|security| &security.dials);
        let mut stream = opened(Stream::connect(stream, tls).await, tls.is_some())?;
        peers.check_certificate(&stream, member.id)?;
        wire.say(&mut stream.write, &peers.hello(member.id, number))
            .await?;
        let theirs = wire.hear(&mut stream.read).await?;
        peers.check(&theirs)?;
        peers.check_ensemble(&theirs)?;
        if theirs.from != member.id {
            let text = format!(
                "server {} answered where {} should; see `dial` and `members`",
                theirs.from, member.id
            );
            return Err(LinkError::Refused(text));
        }
        Ok((stream, theirs))
    };
    let (stream, theirs) = timeout(PATIENCE, greeting)
        .await
        .map_err(|_| LinkError::Silent {
            what: "answer the greeting",
            limit: PATIENCE,
        })??;
    let order = (peers.config.id > member.id, number);
    peers.carry(stream, wire, &theirs, order).await
}

async fn accept(
    peers: &Peers,
    stream: TcpStream,
    mut evicted: oneshot::Receiver<()>,
) -> Result<(), LinkError> {
    let mut wire = Wire::default();
    let greeting = async {
        let tls = peers.security.as_ref().map(|security| &security.accepts);
        let mut stream = opened(Stream::accept(stream, tls).await, tls.is_some())?;
        let theirs = wire.hear(&mut stream.read).await?;
        peers.check_certificate(&stream, theirs.from)?;
        peers.check(&theirs)?;
        if theirs.from < peers.config.id && !theirs.joins {
            let text = format!(
                "server {} dialled, but of two members the one with the greater id does",
                theirs.from
            );
            return Err(LinkError::Refused(text));
        }
        wire.say(&mut stream.write, &peers.hello(theirs.from, theirs.dial))
            .await?;
        peers.check_ensemble(&theirs)?;
        Ok((stream, theirs))
    };
    let (stream, theirs) = tokio::select! {
        greeted = timeout(PATIENCE, greeting) => greeted.map_err(|_| LinkError::Silent {
            what: "send its greeting",
            limit: PATIENCE,
        })??,
        _ = &mut evicted => return Err(LinkError::Evicted),
    };
    drop(evicted);
    let order = (theirs.from > peers.config.id, theirs.dial);
    peers.carry(stream, wire, &theirs, order).await
}

fn opened(stream: io::Result<Stream>, tls: bool) -> Result<Stream, LinkError> {
    stream.map_err(match tls {
        true => LinkError::Handshake,
        false => LinkError::Io,
    })
}

impl Peers {
    fn hello(&self, to: NodeId, dial: u64) -> Hello {
        let members = self.listed_members();
        let from = self.config.id;
        Hello {
            protocol: PROTOCOL,
            from,
            to,
            incarnation: self.incarnation,
            dial,
            members,
            joins: to > from,
            cluster: self.config.cluster.clone(),
            founded: *self.founded.borrow(),
        }
    }

    /// Whether the certificate that was shown is this member's.
    fn check_certificate(&self, stream: &Stream, id: NodeId) -> Result<(), LinkError> {
        let Some(tls) = self
            .config
            .tls
            .peers
            .as_ref()
            .filter(|tls| tls.verify_names)
        else {
            return Ok(());
        };
        let host = tls.hosts.get(&id.to_string()).map(String::as_str);
        let joined = self.wanted.borrow().get(&id).cloned();
        let member = joined.as_ref().or_else(|| self.config.members.get(&id));
        let is_its = stream
            .certificate
            .as_ref()
            .is_some_and(|certificate| names::is_of(certificate, host, member, stream.from.ip()));
        if is_its {
            return Ok(());
        }
        let host = match member {
            Some(member) => member.peer_address.host().to_owned(),
            None => stream.from.ip().to_string(),
        };
        Err(LinkError::Refused(format!(
            "its certificate is not that of server {id}: it names neither {host} nor what tls.peers.hosts has for it \
             (tls.peers.verify_names = false accepts every certificate of the authority)"
        )))
    }

    fn check(&self, theirs: &Hello) -> Result<(), LinkError> {
        let refuse = |text: String| Err(LinkError::Refused(text));
        let me = self.config.id;
        if theirs.protocol != PROTOCOL {
            return refuse(format!(
                "it speaks protocol {:?}, and this server {PROTOCOL:?}",
                theirs.protocol
            ));
        }
        if !is_legal_id(theirs.from) {
            return refuse(format!("no server has the id {}", theirs.from));
        }
        if theirs.from == me {
            return refuse(format!(
                "a server with this server's id, {me}: ids are unique, and `dial` leads elsewhere"
            ));
        }
        if theirs.to != me {
            return refuse(format!(
                "server {} looks for {}, and this is {me}: see its `dial`",
                theirs.from, theirs.to
            ));
        }
        if theirs.cluster != self.config.cluster {
            return refuse(format!(
                "server {} is of cluster {:?}, and this one of {:?}",
                theirs.from, theirs.cluster, self.config.cluster
            ));
        }
        Ok(())
    }

    /// Whether both are of one ensemble. After the greetings of both, so that both can say it.
    fn check_ensemble(&self, theirs: &Hello) -> Result<(), LinkError> {
        self.check_history(theirs)?;
        let refuse = |text: String| Err(LinkError::Refused(text));
        match (&theirs.members, self.listed_members()) {
            (Some(listed), Some(members)) if *listed != members => refuse(format!(
                "server {} has {listed}, and this server {members}: the lists must be the same",
                theirs.from
            )),
            (Some(_), None) | (None, Some(_)) => refuse(format!(
                "server {} and this one differ in reconfig.enabled: it must be the same everywhere",
                theirs.from
            )),
            _ => Ok(()),
        }
    }

    /// Whether the peer's history and ours are of one ensemble.
    fn check_history(&self, theirs: &Hello) -> Result<(), LinkError> {
        let Some((ours, other)) = Founding::apart(*self.founded.borrow(), theirs.founded) else {
            return Ok(());
        };
        let founded = match (ours.zxid, other.zxid) {
            (ours, other) if ours < other => "that one",
            (ours, other) if ours > other => "this one",
            _ => "both, on two disks",
        };
        Err(LinkError::OtherEnsemble(theirs.from, founded))
    }

    /// Who belongs to the ensemble by the configuration file, unless that can change.
    fn listed_members(&self) -> Option<Members> {
        let members = Members {
            about: Bytes::new(),
            ..self.config.zab_members()
        };
        (!self.config.reconfig.enabled).then_some(members)
    }

    /// Carries messages until the connection breaks, or the engine drops its end.
    async fn carry(
        &self,
        stream: Stream,
        wire: Wire,
        theirs: &Hello,
        (in_order, dial): (bool, u64),
    ) -> Result<(), LinkError> {
        let peer = theirs.from;
        let id = ConnectionId(self.numbers.fetch_add(1, Ordering::Relaxed));
        let (out, queue) = mpsc::unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let Wire {
            writer: frames,
            reader,
            buffer,
        } = wire;
        let last_sent = Millis::default();
        let link = PeerLink {
            id,
            incarnation: theirs.incarnation,
            in_order,
            dial,
            founded: theirs.founded,
            out,
            queued: queued.clone(),
            frames,
            last_sent,
        };
        self.send(Event::PeerUp { peer, link }).await?;
        let Stream {
            mut read,
            mut write,
            ..
        } = stream;
        let silence = Duration::from_millis(2 * self.config.timing.sync_limit_ms);
        let result = tokio::select! {
            result = self.hear_all(&mut read, reader, buffer, silence, peer, id) => result,
            result = say_all(&mut write, queue, &queued) => result,
        };
        self.send(Event::PeerGone { peer, id }).await?;
        result
    }

    async fn hear_all(
        &self,
        read: &mut ReadHalf,
        mut reader: FrameReader,
        mut buffer: BytesMut,
        silence: Duration,
        peer: NodeId,
        id: ConnectionId,
    ) -> Result<(), LinkError> {
        loop {
            let (mut messages, mut beats) = (Vec::new(), Vec::new());
            while let Some(body) = reader.next(&mut buffer)? {
                if !body.is_empty() {
                    match postcard::from_bytes(&body)? {
                        Said::Core(message) => messages.push(message),
                        Said::Beat(beat) => beats.push(beat),
                    }
                }
            }
            if !messages.is_empty() {
                self.send(Event::PeerSaid { peer, id, messages }).await?;
            }
            for beat in beats {
                let received = wall_clock();
                self.send(Event::PeerBeat {
                    peer,
                    id,
                    beat,
                    received,
                })
                .await?;
            }
            buffer.reserve(64 << 10);
            match timeout(silence, read.read_buf(&mut buffer)).await {
                Ok(Ok(0)) => return Err(LinkError::Closed),
                Ok(result) => result?,
                Err(_) => {
                    return Err(LinkError::Silent {
                        what: "say anything",
                        limit: silence,
                    });
                }
            };
        }
    }

    async fn send(&self, event: Event) -> Result<(), LinkError> {
        self.events
            .send(event)
            .await
            .map_err(|_| LinkError::Stopping)
    }
}

/// What a peer sends on a connection that stands, without anybody who listens: for [`crate::hard`].
pub fn peer_stream(bytes: &[u8]) {
    let (mut reader, mut buffer) = (FrameReader::default(), BytesMut::new());
    for piece in bytes.chunks(1000) {
        buffer.extend_from_slice(piece);
        loop {
            let body = match reader.next(&mut buffer) {
                Ok(Some(body)) => body,
                Ok(None) => break,
                Err(_) => return,
            };
            peer_message(&body);
        }
    }
}

/// The same of one frame's body.
pub fn peer_message(body: &[u8]) {
    // The greeting, which is the first of a connection, is tried on each.
    let _ = postcard::from_bytes::<Hello>(body);
    if let Ok(Said::Core(Message::App { payload, .. })) = postcard::from_bytes(body) {
        let _ = Envelope::decode(&payload);
    }
}

async fn say_all(
    write: &mut WriteHalf,
    mut queue: mpsc::UnboundedReceiver<Bytes>,
    queued: &AtomicUsize,
) -> Result<(), LinkError> {
    while let Some(bytes) = queue.recv().await {
        write.write_all(&bytes).await?;
        write.flush().await?;
        queued.fetch_sub(bytes.len(), Ordering::Relaxed);
    }
    Ok(())
}

/// A connection's frames while it is greeted.
#[derive(Default)]
struct Wire {
    writer: FrameWriter,
    reader: FrameReader,
    buffer: BytesMut,
}

impl Wire {
    async fn say(&mut self, stream: &mut WriteHalf, hello: &Hello) -> Result<(), LinkError> {
        self.writer.push(hello);
        stream.write_all(&self.writer.take()).await?;
        Ok(stream.flush().await?)
    }

    async fn hear(&mut self, stream: &mut ReadHalf) -> Result<Hello, LinkError> {
        loop {
            if let Some(body) = self.reader.next(&mut self.buffer)? {
                return Ok(postcard::from_bytes(&body)?);
            }
            if self.buffer.len() > GREETING {
                return Err(WireError::Length(self.buffer.len()).into());
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(LinkError::Closed);
            }
        }
    }
}
