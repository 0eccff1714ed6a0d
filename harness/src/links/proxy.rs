//! One proxy: accepts dials for one ordered pair and joins each to its target.

use super::pump::{self, Pump, Reset};
use super::state::{Link, LinkState};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Pause after an accept that failed (out of descriptors, say), so that it does not spin.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// How often a dial that met a cut is looked at: has the dialler sent more, or given up?
const LOOK: Duration = Duration::from_millis(100);

/// What a proxy needs to know.
#[derive(Clone)]
pub(super) struct Route {
    /// From the dialler to the target.
    pub(super) forth: Arc<Link>,
    /// From the target to the dialler.
    pub(super) back: Arc<Link>,
    pub(super) target: SocketAddr,
    /// The run's seed, and this proxy's number in it.
    pub(super) seed: u64,
    pub(super) number: u32,
}

impl Route {
    /// Each direction of each connection draws its jitter from a stream of its own.
    fn stream(&self, connection: u64, direction: u64) -> ChaCha8Rng {
        let mut stream = ChaCha8Rng::seed_from_u64(self.seed);
        stream.set_stream(u64::from(self.number) << 32 | connection << 1 | direction);
        stream
    }
}

/// Accepts and joins until it is aborted; its connections end with it.
pub(super) async fn serve(listener: TcpListener, route: Route) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((dialler, _)) => {
                    connections.spawn(join(dialler, route.clone(), number));
                    number += 1;
                }
                Err(error) => {
                    tracing::warn!(%error, target = %route.target, "a link proxy could not accept");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, from the dial to its end.
async fn join(dialler: TcpStream, route: Route, number: u64) {
    match pass_dial(&dialler, &route).await {
        Dial::Pass => {}
        Dial::GivenUp => return,
        Dial::Refuse => return reset(&dialler),
    }
    let target = match dial(route.target).await {
        Ok(target) => target,
        Err(error) => {
            tracing::debug!(%error, target = %route.target, "a dial was refused");
            return reset(&dialler);
        }
    };
    // Delays here are the link's own: never the kernel's to add.
    let _ = dialler.set_nodelay(true);
    let _ = target.set_nodelay(true);

    let forth = Pump::new(
        &dialler,
        &target,
        &route.forth,
        &route.back,
        route.stream(number, 0),
    );
    let back = Pump::new(
        &target,
        &dialler,
        &route.back,
        &route.forth,
        route.stream(number, 1),
    );
    if let Err(Reset) = tokio::try_join!(forth.run(), back.run()) {
        reset(&dialler);
        reset(&target);
    }
}

enum Dial {
    Pass,
    GivenUp,
    Refuse,
}

/// Holds a dial for as long as its link is cut, either way: no handshake can cross it.
async fn pass_dial(dialler: &TcpStream, route: &Route) -> Dial {
    let mut forth = route.forth.watch();
    let mut back = route.back.watch();
    let mut counted = None;
    loop {
        let states = [*forth.borrow_and_update(), *back.borrow_and_update()];
        if states.contains(&LinkState::Reset) {
            return Dial::Refuse;
        }
        if !states.contains(&LinkState::Cut) {
            return match states[0] {
                LinkState::Slow { delay, .. } => {
                    tokio::time::sleep(delay).await;
                    Dial::Pass
                }
                _ => Dial::Pass,
            };
        }
        // A dial's first packet is lost on the way there, or its answer on the way back: it counts where it was lost.
        let (cut, carries_bytes) = match states[0] {
            LinkState::Cut => (&route.forth, true),
            _ => (&route.back, false),
        };
        if counted.is_none() {
            cut.hold_dial();
        }
        let counted = counted.get_or_insert(0);
        if carries_bytes {
            *counted = pump::count_held(cut, *counted, pump::readable_bytes(dialler));
        }
        if gave_up(dialler).await {
            return Dial::GivenUp;
        }
        tokio::select! {
            _ = forth.changed() => {}
            _ = back.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Whether the dialler has closed its end, by what is known without waiting.
async fn gave_up(dialler: &TcpStream) -> bool {
    tokio::select! {
        biased;
        ready = dialler.ready(tokio::io::Interest::READABLE) => {
            ready.is_ok_and(|ready| ready.is_read_closed())
        }
        () = std::future::ready(()) => false,
    }
}

async fn dial(target: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(target).await?;
    // On one host, a dial to a port that nobody listens on can meet itself.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(std::io::Error::other(
            "the dial connected to itself: nobody listens there",
        ));
    }
    Ok(stream)
}

/// Makes the coming close a RST. Fails only on a socket that is dead already.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
