//! A proxy between two members, for the connections that one of them dials: each direction can be cut by itself.
//!
//! What comes while a direction is cut is held back, and goes on its way when it is opened again, as long as the connection stands.

use crate::process::{Cluster, Server};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Whether one direction is cut.
type Cut = Arc<AtomicBool>;

struct Proxy {
    address: SocketAddr,
    /// From who dials, and to it.
    cuts: [Cut; 2],
}

impl Proxy {
    fn start(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = [Cut::default(), Cut::default()];
        let shared = cuts.clone();
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for dialler in listener.incoming().flatten() {
                // Who is not there is dialled again.
                let Ok(target) = TcpStream::connect(target) else {
                    continue;
                };
                let back = (target.try_clone().unwrap(), dialler.try_clone().unwrap());
                let [forth_cut, back_cut] = shared.clone();
                std::thread::spawn(move || carry(dialler, target, &forth_cut));
                std::thread::spawn(move || carry(back.0, back.1, &back_cut));
            }
        });
        Proxy { address, cuts }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, cut: &Cut) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count) = from.read(&mut bytes) {
        while cut.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(2));
        }
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
        for (dialler, target, proxy) in &self.0 {
            let [forth, back] = &proxy.cuts;
            match (*dialler, *target) {
                pair if pair == (from, to) => forth.store(cut, Ordering::Relaxed),
                pair if pair == (to, from) => back.store(cut, Ordering::Relaxed),
                _ => {}
            }
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for cut in self.0.iter().flat_map(|(_, _, proxy)| &proxy.cuts) {
            cut.store(false, Ordering::Relaxed);
        }
    }
}
