//! Where connections are accepted, and how that moves when the ensemble gives this server another address.
//!
//! The new address is taken before the old one is given up: a server that cannot have it goes on where it is, says so, and tries again.
//! Connections that stand are not touched, as with ZooKeeper: who has one need not notice.

use super::NodeError;
use super::port::{Port, listen_at};
use crate::config::{Address, in_order};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The pause before an address that could not be had is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the look-up of a host may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says where to listen; held by the engine.
#[derive(Debug)]
pub(super) struct Place {
    wanted: watch::Sender<Address>,
    here: watch::Receiver<SocketAddr>,
}

impl Place {
    /// Where connections are accepted now.
    pub(super) fn now(&self) -> SocketAddr {
        *self.here.borrow()
    }

    /// From now on they are to be accepted there.
    pub(super) fn move_to(&self, address: Address) {
        self.wanted.send_if_modified(|before| {
            let news = *before != address;
            *before = address;
            news
        });
    }
}

/// Where this server is found.
#[derive(Debug)]
pub(super) struct Home {
    /// By clients, unless they come over TLS only.
    pub(super) clients: Option<Place>,
    /// By the other members.
    pub(super) peers: Place,
}

/// Accepts connections where its [`Place`] says.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    whom: &'static str,
    /// What `listener` was made for.
    at: Address,
    wanted: watch::Receiver<Address>,
    here: watch::Sender<SocketAddr>,
    /// When the next address is tried, if the last one could not be had.
    again: Instant,
    /// Why it could not, as it was said.
    said: String,
    /// What the next address stands for, while that is looked up.
    looking_up: Option<LookUp>,
}

/// An address, and the numbers that it stands for when they are known.
type LookUp = (Address, JoinHandle<io::Result<Vec<SocketAddr>>>);

impl Listener {
    /// Listens on a port that was taken.
    pub(super) fn new(port: Port) -> Result<(Listener, Place), NodeError> {
        let (address, whom) = (port.address, port.whom);
        let at = Address::from(address);
        let (wanted, place) = (watch::Sender::new(at.clone()), watch::Sender::new(address));
        let (to, here) = (wanted.subscribe(), place.subscribe());
        let listener = Listener {
            listener: port.listen()?,
            whom,
            at,
            wanted: to,
            here: place,
            again: Instant::now(),
            said: String::new(),
            looking_up: None,
        };
        Ok((listener, Place { wanted, here }))
    }

    /// The next connection. Nothing is lost if this is given up before it is ready.
    pub(super) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => return accepted,
                (to, found) = next_place(&self.at, &mut self.wanted, self.again, &mut self.looking_up) => self.try_to_move(to, found),
            }
        }
    }

    fn try_to_move(&mut self, to: Address, found: io::Result<Vec<SocketAddr>>) {
        let (whom, here) = (self.whom, *self.here.borrow());
        match found.and_then(|numbers| self.moved(&to, numbers)) {
            Ok(address) => {
                if address != here {
                    tracing::info!(%address, before = %here, "listening for {whom} where the ensemble has this server now");
                }
                self.here.send_replace(address);
                self.at = to;
                self.said.clear();
            }
            Err(problem) => {
                self.again = Instant::now() + PAUSE;
                let text = format!("{to}: {problem}");
                if text != self.said {
                    tracing::error!(
                        wanted = %to, %here, %problem,
                        "cannot listen for {whom} where the ensemble has this server: it goes on where it is, and tries again. Free the address, or give the server \
                         another one (reconfig); if others reach it there by another way, have it listen at every address (0.0.0.0) in its configuration file"
                    );
                    self.said = text;
                }
            }
        }
    }

    /// Listens at one of the numbers that the address stands for.
    fn moved(&mut self, to: &Address, mut numbers: Vec<SocketAddr>) -> io::Result<SocketAddr> {
        let here = *self.here.borrow();
        if numbers.contains(&here) {
            return Ok(here);
        }
        let mut problem = io::Error::other("its name stands for no address");
        if to.ip().is_none() && !here.ip().is_loopback() {
            // A host's own name is often one of its loopback addresses, to the host itself.
            numbers.retain(|number| !number.ip().is_loopback());
            problem = io::Error::other("its name stands for no address at which others reach it");
        }
        for number in numbers {
            match listen_at(number) {
                Ok(listener) => {
                    self.listener = listener;
                    return Ok(number);
                }
                Err(error) => problem = error,
            }
        }
        Err(problem)
    }
}

/// Where to go, if that is not `at` and may be tried, and what its name stands for: it is looked up beside everything else.
async fn next_place(
    at: &Address,
    wanted: &mut watch::Receiver<Address>,
    again: Instant,
    looking_up: &mut Option<LookUp>,
) -> (Address, io::Result<Vec<SocketAddr>>) {
    if looking_up.is_none() {
        if wanted.wait_for(|wanted| wanted != at).await.is_err() {
            // Nobody is left who could want it.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep_until(again).await;
        let to = wanted.borrow().clone();
        *looking_up = Some((to.clone(), tokio::spawn(look_up(to))));
    }
    let (to, task) = looking_up.as_mut().expect("it is being looked up");
    let found = task
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    let to = to.clone();
    *looking_up = None;
    (to, found)
}

async fn look_up(address: Address) -> io::Result<Vec<SocketAddr>> {
    if let Some(number) = address.socket() {
        return Ok(vec![number]);
    }
    let found = lookup_host((address.host(), address.port()));
    Ok(in_order(tokio::time::timeout(PATIENCE, found).await??))
}
