//! A proxy between two members, for the connections that one of them dials: each direction can be cut by itself.
//!
//! What comes while a direction is cut is held back, and goes on its way when it is opened again, as long as the connection stands.

use crate::process::{Cluster, Server};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The state of one direction.
#[derive(Default)]
struct State {
    cut: AtomicBool,
    /// How long each 16 KiB take, in microseconds.
    delay_us: AtomicU64,
}

struct Proxy {
    address: SocketAddr,
    /// From who dials, and to it.
    states: [Arc<State>; 2],
}

impl Proxy {
    fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let states: [Arc<State>; 2] = Default::default();
        let shared = states.clone();
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for dialler in listener.incoming().flatten() {
                // Who is not there is dialled again.
                let Ok(target) = TcpStream::connect(target) else {
                    continue;
                };
                let back = (target.try_clone().unwrap(), dialler.try_clone().unwrap());
                let [forth_state, back_state] = shared.clone();
                std::thread::spawn(move || carry(dialler, target, &forth_state));
                std::thread::spawn(move || carry(back.0, back.1, &back_state));
            }
        });
        Proxy { address, states }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, state: &State) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count) = from.read(&mut bytes) {
        while state.cut.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(2));
        }
        let delay_us = state.delay_us.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros(
            delay_us * count as u64 / bytes.len() as u64,
        ));
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // Whichever end is still there hears of it.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Proxies for every member's connections to every other one.
pub(crate) struct Links(Vec<(usize, usize, Proxy)>);

impl Links {
    /// Stops all members of a cluster, and starts them with proxies between them.
    pub(crate) fn between(cluster: &mut Cluster) -> Links {
        let size = cluster.servers.len();
        cluster.servers.iter_mut().for_each(Server::kill);
        let mut links = Vec::new();
        for dialler in 0..size {
            let mut table = "\n[dial]\n".to_owned();
            for target in (0..size).filter(|&target| target != dialler) {
                let proxy = Proxy::start(cluster.servers[target].peer_address);
                table.push_str(&format!("{} = \"{}\"\n", target + 1, proxy.address));
                links.push((dialler, target, proxy));
            }
            let config = cluster.servers[dialler].files().0;
            let text = std::fs::read_to_string(&config).unwrap();
            std::fs::write(&config, text + &table).unwrap();
        }
        cluster.servers.iter_mut().for_each(Server::start);
        Links(links)
    }

    /// Cuts what one member says to another, or opens it again; what the other says to the one arrives as ever.
    pub(crate) fn cut(&self, from: usize, to: usize, cut: bool) {
        for state in self.states(from, to) {
            state.cut.store(cut, Ordering::Relaxed);
        }
    }

    /// Lets what one member says to another through slowly: each 16 KiB take so long.
    pub(crate) fn slow(&self, from: usize, to: usize, delay: Duration) {
        for state in self.states(from, to) {
            let delay_us = u64::try_from(delay.as_micros()).unwrap();
            state.delay_us.store(delay_us, Ordering::Relaxed);
        }
    }

    fn states(&self, from: usize, to: usize) -> impl Iterator<Item = &State> {
        self.0.iter().filter_map(move |(dialler, target, proxy)| {
            let [forth, back] = &proxy.states;
            match (*dialler, *target) {
                pair if pair == (from, to) => Some(&**forth),
                pair if pair == (to, from) => Some(&**back),
                _ => None,
            }
        })
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for state in self.0.iter().flat_map(|(_, _, proxy)| &proxy.states) {
            state.cut.store(false, Ordering::Relaxed);
            state.delay_us.store(0, Ordering::Relaxed);
        }
    }
}
