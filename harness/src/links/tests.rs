//! Each state of a link, seen from both ends of real connections.

use super::*;
use crate::ports::local;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener as Listener, TcpStream};
use tokio::time::{Instant, timeout};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// How long silence is listened to.
const SILENCE: Duration = Duration::from_millis(300);

struct Bench {
    links: Links,
    proxy: SocketAddr,
    target: Option<Listener>,
}

fn a() -> End {
    End::node("a")
}

fn b() -> End {
    End::node("b")
}

impl Bench {
    async fn new() -> Bench {
        let target = Listener::bind(local(0)).await.unwrap();
        let listener = TcpListener::bind(local(0)).unwrap();
        let proxy = listener.local_addr().unwrap();
        let proxied = Proxied {
            from: a(),
            to: b(),
            listener,
            target: target.local_addr().unwrap(),
        };
        Bench {
            links: Links::open(vec![proxied], 7).unwrap(),
            proxy,
            target: Some(target),
        }
    }

    async fn dial(&self) -> TcpStream {
        TcpStream::connect(self.proxy).await.unwrap()
    }

    async fn accept(&self) -> TcpStream {
        let listener = self.target.as_ref().unwrap();
        timeout(LIMIT, listener.accept()).await.unwrap().unwrap().0
    }

    /// A connection from a to b that has carried a byte each way.
    async fn connected(&self) -> (TcpStream, TcpStream) {
        let mut a = self.dial().await;
        let mut b = self.accept().await;
        a.write_all(b"x").await.unwrap();
        assert_eq!(expect(&mut b, 1).await, b"x");
        b.write_all(b"y").await.unwrap();
        assert_eq!(expect(&mut a, 1).await, b"y");
        (a, b)
    }

    async fn until_held(&self, from: &End, to: &End, enough: impl Fn(Held) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !enough(self.links.held(from, to)) {
            assert!(Instant::now() < deadline, "{:?}", self.links.held(from, to));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn expect(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    timeout(LIMIT, stream.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    bytes
}

/// What ends the stream: `Ok(0)` for a FIN, an error for a RST.
async fn end(stream: &mut TcpStream) -> io::Result<usize> {
    timeout(LIMIT, stream.read(&mut [0; 16])).await.unwrap()
}

async fn is_silent(stream: &mut TcpStream) -> bool {
    timeout(SILENCE, stream.read(&mut [0; 16])).await.is_err()
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

#[tokio::test]
async fn an_open_link_carries_bytes_both_ways_whole_and_in_order() {
    let bench = Bench::new().await;
    let (mut a, mut b) = bench.connected().await;
    let sent: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let expected = sent.clone();
    let writer = tokio::spawn(async move {
        a.write_all(&sent).await.unwrap();
        a
    });
    assert!(expect(&mut b, expected.len()).await == expected);
    drop(writer.await.unwrap());
    assert_eq!(end(&mut b).await.unwrap(), 0);
}

#[tokio::test]
async fn a_fin_crosses_as_a_fin_and_the_other_direction_lives_on() {
    let bench = Bench::new().await;
    let (mut a, mut b) = bench.connected().await;
    a.shutdown().await.unwrap();
    assert_eq!(end(&mut b).await.unwrap(), 0);
    b.write_all(b"late").await.unwrap();
    assert_eq!(expect(&mut a, 4).await, b"late");
}

#[tokio::test]
async fn a_rst_crosses_as_a_rst() {
    let bench = Bench::new().await;
    let (a, mut b) = bench.connected().await;
    reset(a);
    assert_eq!(
        end(&mut b).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn a_cut_holds_bytes_one_way_counts_them_and_delivers_them_after_the_heal() {
    let bench = Bench::new().await;
    let (mut a, mut b) = bench.connected().await;
    bench.links.set(&self::a(), &self::b(), LinkState::Cut);
    a.write_all(b"held").await.unwrap();
    assert!(is_silent(&mut b).await);
    bench
        .until_held(&self::a(), &self::b(), |held| held.bytes == 4)
        .await;
    b.write_all(b"through").await.unwrap();
    assert_eq!(expect(&mut a, 7).await, b"through");
    assert_eq!(bench.links.held(&self::b(), &self::a()), Held::default());

    bench.links.set(&self::a(), &self::b(), LinkState::Open);
    assert_eq!(expect(&mut b, 4).await, b"held");
}

#[tokio::test]
async fn a_cut_is_real_back_pressure() {
    let bench = Bench::new().await;
    let (mut a, _b) = bench.connected().await;
    bench.links.set(&self::a(), &self::b(), LinkState::Cut);
    let flood = vec![0; 64 << 20];
    assert!(timeout(SILENCE, a.write_all(&flood)).await.is_err());
    bench
        .until_held(&self::a(), &self::b(), |held| held.bytes > 0)
        .await;
}

#[tokio::test]
async fn neither_fin_nor_rst_crosses_a_cut_until_it_heals() {
    let bench = Bench::new().await;
    let (mut a1, mut b1) = bench.connected().await;
    let (a2, mut b2) = bench.connected().await;
    bench.links.set(&self::a(), &self::b(), LinkState::Cut);
    a1.shutdown().await.unwrap();
    reset(a2);
    assert!(is_silent(&mut b1).await);
    assert!(is_silent(&mut b2).await);
    bench.links.set(&self::a(), &self::b(), LinkState::Open);
    assert_eq!(end(&mut b1).await.unwrap(), 0);
    assert_eq!(
        end(&mut b2).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn bytes_sent_into_a_cut_count_even_if_their_sender_is_reset() {
    let bench = Bench::new().await;
    let (mut a, _b) = bench.connected().await;
    bench.links.set(&self::a(), &self::b(), LinkState::Cut);
    a.write_all(b"last words").await.unwrap();
    bench
        .until_held(&self::a(), &self::b(), |held| held.bytes == 10)
        .await;
    reset(a);
    tokio::time::sleep(SILENCE).await;
    assert_eq!(bench.links.held(&self::a(), &self::b()).bytes, 10);
}

#[tokio::test]
async fn a_dial_into_a_cut_is_silent_and_goes_through_after_the_heal() {
    let bench = Bench::new().await;
    for (from, to) in [(a(), b()), (b(), a())] {
        bench.links.set(&from, &to, LinkState::Cut);
        let mut dialler = bench.dial().await;
        dialler.write_all(b"hello").await.unwrap();
        assert!(is_silent(&mut dialler).await);
        bench.until_held(&from, &to, |held| held.dials == 1).await;
        bench.links.set(&from, &to, LinkState::Open);
        assert_eq!(expect(&mut bench.accept().await, 5).await, b"hello");
    }
}

#[tokio::test]
async fn a_dial_that_was_given_up_during_a_cut_never_arrives() {
    let bench = Bench::new().await;
    bench.links.set(&a(), &b(), LinkState::Cut);
    let mut dialler = bench.dial().await;
    dialler.write_all(b"hello").await.unwrap();
    bench.until_held(&a(), &b(), |held| held.bytes == 5).await;
    drop(dialler);
    tokio::time::sleep(SILENCE).await;
    bench.links.set(&a(), &b(), LinkState::Open);
    let (mut later, mut accepted) = bench.connected().await;
    later.write_all(b"second").await.unwrap();
    assert_eq!(expect(&mut accepted, 6).await, b"second");
}

#[tokio::test]
async fn a_slow_link_delays_each_direction_by_its_own_amount_and_keeps_the_order() {
    let bench = Bench::new().await;
    let (mut a, mut b) = bench.connected().await;
    let delay = Duration::from_secs(1);
    let jitter = Duration::from_millis(50);
    bench
        .links
        .set(&self::a(), &self::b(), LinkState::Slow { delay, jitter });
    let began = Instant::now();
    for part in [b"one", b"two", b"six"] {
        a.write_all(part).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(expect(&mut b, 9).await, b"onetwosix");
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
    let began = Instant::now();
    b.write_all(b"fast").await.unwrap();
    assert_eq!(expect(&mut a, 4).await, b"fast");
    assert!(began.elapsed() < delay, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_reset_link_resets_what_is_connected_and_every_dial() {
    let bench = Bench::new().await;
    let (mut a, mut b) = bench.connected().await;
    bench.links.set(&self::b(), &self::a(), LinkState::Reset);
    assert_eq!(
        end(&mut a).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
    assert_eq!(
        end(&mut b).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
    let mut dialler = bench.dial().await;
    assert_eq!(
        end(&mut dialler).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn a_dial_to_a_dead_node_is_reset_at_once() {
    let mut bench = Bench::new().await;
    bench.target = None;
    let mut dialler = bench.dial().await;
    assert_eq!(
        end(&mut dialler).await.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn a_receiver_that_is_gone_resets_its_sender() {
    let bench = Bench::new().await;
    let (mut a, b) = bench.connected().await;
    drop(b);
    assert_eq!(end(&mut a).await.unwrap(), 0);
    let deadline = Instant::now() + LIMIT;
    while a.write_all(b"anybody?").await.is_ok() {
        assert!(Instant::now() < deadline, "the sender was never reset");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
