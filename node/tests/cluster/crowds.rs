//! Many who want nothing, or do not listen: those who knock and go, who come in and are silent, who ask and do not read. None of
//! them keeps the others from being served.

use crate::client::*;
use crate::process::{Cluster, eventually};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long one operation of somebody else may take meanwhile: far less than a session lasts, on a machine with much else to do.
const BEARABLE: Duration = Duration::from_secs(4);

/// Works for a while, with sessions old and new: the longest that anything took.
fn work(address: SocketAddr, name: &str, rounds: usize) -> Duration {
    let mut longest = Duration::ZERO;
    let mut old = Client::connect(address);
    let path = format!("/{name}");
    old.create(&path, b"", 0).unwrap();
    for _ in 0..rounds {
        let start = Instant::now();
        old.set(&path, b"x", -1).unwrap();
        let mut new = Client::connect(address);
        new.get(&path).unwrap();
        new.close();
        longest = longest.max(start.elapsed());
    }
    longest
}

/// Closed from this end, without a port that waits for what may still come.
fn forget(stream: TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
}

#[test]
fn who_knocks_as_fast_as_the_machine_can_keeps_nobody_out() {
    let cluster = Cluster::start(1, "[limits]\ngreetings = 200");
    let address = cluster.address(0);
    let (stop, knocks) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let storm: Vec<_> = (0..2)
        .map(|_| {
            let (stop, knocks) = (stop.clone(), knocks.clone());
            std::thread::spawn(move || {
                let mut held = VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(address) else {
                        continue;
                    };
                    let n = knocks.fetch_add(1, Ordering::Relaxed);
                    // Some go at once; some say nothing; some begin something.
                    if n % 3 == 0 {
                        forget(stream);
                        continue;
                    }
                    if n % 3 == 1 {
                        let _ = stream.write_all(&[0, 0]);
                    }
                    held.push_back(stream);
                    if held.len() > 1000
                        && let Some(oldest) = held.pop_front()
                    {
                        forget(oldest);
                    }
                }
                held.into_iter().for_each(forget);
            })
        })
        .collect();
    let start = Instant::now();
    let longest = work(address, "busy", 200).max(work(address, "busier", 200));
    // On a machine with much else to do fewer get through to it.
    eventually("so many knocks", || {
        (knocks.load(Ordering::Relaxed) > 3_000).then_some(())
    });
    let took = start.elapsed();
    let last = work(address, "last", 50);
    stop.store(true, Ordering::Relaxed);
    storm.into_iter().for_each(|thread| thread.join().unwrap());
    let knocks = knocks.load(Ordering::Relaxed);
    println!(
        "{:.0} connections a second; the slowest write, session and read together took {longest:.1?}",
        knocks as f64 / took.as_secs_f64()
    );
    assert!(longest.max(last) < BEARABLE, "{longest:?} {last:?}");
}

#[test]
fn who_says_nothing_is_closed_and_so_is_whose_session_has_expired() {
    let cluster = Cluster::start(1, "[limits]\ngreeting_ms = 500");
    let address = cluster.address(0);
    let mut silent: Vec<TcpStream> = (0..50).map(|_| dial(address).unwrap()).collect();
    for (n, stream) in silent.iter_mut().enumerate() {
        stream.write_all(&[0, 0, 0, 45][..n % 5]).unwrap();
    }
    let mut vanished: Vec<Client> = (0..50).map(|_| Client::connect_for(address, 500)).collect();
    let mut alive = Client::connect(address);
    for stream in &mut silent {
        assert!(matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
    assert!(vanished.iter_mut().all(Client::is_closed));
    alive.ping();
}

#[test]
fn who_asks_and_does_not_read_costs_so_much_and_no_more() {
    let cluster = Cluster::start(1, "");
    let address = cluster.address(0);
    let mut client = Client::connect(address);
    client.create("/big", &vec![1; 1 << 19], 0).unwrap();
    let before = cluster.servers[0].memory();
    let request = Bytes::default().text("/big").byte(0);
    let mut deaf: Vec<Client> = (0..20).map(|_| Client::connect(address)).collect();
    for client in &mut deaf {
        // Half a gibibyte each, if it were all answered.
        for _ in 0..1000 {
            client.send(4, &request).unwrap();
        }
    }
    let longest = work(address, "busy", 100);
    assert!(longest < BEARABLE, "{longest:?}");
    let after = cluster.servers[0].memory();
    assert!(
        after < before + 20 * 16,
        "{before} MiB before, {after} MiB with 20 who do not read"
    );
    // Whoever reads gets everything.
    let mut reader = deaf.pop().unwrap();
    for _ in 0..1000 {
        assert_eq!(reader.receive().unwrap().error, 0);
    }
}

#[test]
fn silent_strangers_on_the_peer_ports_keep_no_member_out() {
    let mut cluster = Cluster::start(3, "");
    let follower = (cluster.wait() + 1) % 3;
    cluster.servers[follower].kill();
    // Half of them announce a frame of 60 MiB.
    let mut strangers = Vec::new();
    let mut knock = |address| {
        for n in 0..200 {
            let mut stream = dial(address).unwrap();
            if n % 2 == 0 {
                let _ = stream.write_all(&[0, 0, 0xc0, 3, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
            }
            strangers.push(stream);
        }
    };
    for n in (0..3).filter(|&n| n != follower) {
        knock(cluster.servers[n].peer_address);
    }
    cluster.servers[follower].start();
    cluster.wait();
    let mut client = Client::connect(cluster.address(follower));
    client.create("/a", b"", 0).unwrap();
}
