//! Bytes that make no sense close their connection, leave a line in the log, and touch nobody else.

use crate::client::*;
use crate::process::Cluster;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// Whether the server closes the connection; what it says before is thrown away.
fn is_closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => !matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ),
    }
}

fn connected(cluster: &Cluster) -> TcpStream {
    let mut stream = dial(cluster.address(0)).unwrap();
    stream
        .write_all(&connect_request(0, 4000, 0, &[0; 16]).frame())
        .unwrap();
    read_frame(&mut stream).unwrap();
    stream
}

#[test]
fn frames_that_are_too_long_negative_truncated_or_garbage_close_only_their_own_connection() {
    let cluster = Cluster::start(1, "[limits]\nframe_bytes = 2048");
    let mut bystander = Client::connect(cluster.address(0));
    bystander.create("/b", b"", 0).unwrap();
    let text_too_long = Bytes::default().int(1).int(4).int(1000).byte(b'/').frame();
    let not_utf8 = Bytes::default()
        .int(1)
        .int(4)
        .buffer(&[0xff, 0xfe])
        .byte(0)
        .frame();
    let odd_flag = Bytes::default().int(1).int(4).text("/b").byte(9).frame();
    let negative_text = Bytes::default().int(1).int(4).int(-7).byte(0).frame();
    let many_acls = Bytes::default()
        .int(1)
        .int(1)
        .text("/x")
        .buffer(b"")
        .int(i32::MAX)
        .frame();
    let endless_multi = Bytes::default()
        .int(1)
        .int(14)
        .int(1)
        .byte(0)
        .int(-1)
        .frame();
    let frames = [
        ("too long", 2049i32.to_be_bytes().to_vec()),
        ("far too long", i32::MAX.to_be_bytes().to_vec()),
        ("negative", (-1i32).to_be_bytes().to_vec()),
        ("empty", 0i32.to_be_bytes().to_vec()),
        ("a header cut off", Bytes::default().int(1).frame()),
        ("a text beyond the frame", text_too_long),
        ("a text that is not UTF-8", not_utf8),
        ("a flag that is neither", odd_flag),
        ("a negative text", negative_text),
        ("two billion ACLs", many_acls),
        ("a multi without an end", endless_multi),
    ];
    for (what, bytes) in frames {
        for mut stream in [dial(cluster.address(0)).unwrap(), connected(&cluster)] {
            stream.write_all(&bytes).unwrap();
            assert!(is_closed(stream), "{what}");
        }
    }
    assert!(bystander.exists("/b").is_ok());
    let log = cluster.servers[0].log();
    let lines = log.matches("closed; not said again for a minute").count();
    assert_eq!(lines, 1, "once a minute for each address: {log}");
}

#[test]
fn a_request_of_unknown_kind_is_unimplemented_and_ends_its_connection() {
    let cluster = Cluster::start(1, "");
    for code in [0, 99, 9999, i32::MIN] {
        let mut client = Client::connect(cluster.address(0));
        client.zxid = -1;
        let reply = client.try_ask(code, &Bytes::default()).unwrap();
        assert_eq!(reply.error, -6, "{code}");
        assert!(client.is_closed());
    }
    let mut client = Client::connect(cluster.address(0));
    let with_unknown = multi(&[(1, create("/x", b"", 0)), (99, Bytes::default())]);
    assert_eq!(client.try_ask(14, &with_unknown).unwrap().error, -5);
    assert_eq!(client.exists("/x").unwrap_err(), NO_NODE);
}

#[test]
fn random_bytes_in_and_around_requests_never_stop_the_server() {
    let cluster = Cluster::start(1, "[limits]\nframe_bytes = 4096");
    let mut bystander = Client::connect(cluster.address(0));
    bystander.create("/b", b"", 0).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..300 {
        let mut stream = if random.random() {
            connected(&cluster)
        } else {
            dial(cluster.address(0)).unwrap()
        };
        for _ in 0..random.random_range(1..6) {
            // The other side may have closed already.
            let _ = stream.write_all(&random_frame(&mut random));
        }
        let _ = stream.shutdown(Shutdown::Write);
        assert!(is_closed(stream));
    }
    assert!(bystander.exists("/b").is_ok());
}

#[test]
fn a_stranger_on_the_peer_port_is_closed_and_the_ensemble_goes_on() {
    let cluster = Cluster::start(3, "");
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut client = Client::connect(cluster.address(0));
    for round in 0..30 {
        let mut stream = dial(cluster.servers[round % 3].peer_address).unwrap();
        let bytes: Vec<u8> = (0..random.random_range(16..100))
            .map(|_| random.random())
            .collect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        assert!(is_closed(stream));
        client.create(&format!("/{round}"), b"", 0).unwrap();
    }
}

/// A frame with a header that makes sense, mostly, and a body that begins like a request, sometimes.
fn random_frame(random: &mut ChaCha8Rng) -> Vec<u8> {
    let codes = [1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, -11];
    let code = codes[random.random_range(0..codes.len())];
    let mut body = Bytes::default().int(random.random_range(0..5)).int(code);
    if random.random() {
        body.0
            .extend(create("/r", b"abc", random.random_range(-2..9)).0);
        let cut = random.random_range(8..=body.0.len());
        body.0.truncate(cut);
    }
    for _ in 0..random.random_range(0..20) {
        body.0.push(random.random());
    }
    if random.random_range(0..4) == 0 {
        let at = random.random_range(0..body.0.len());
        body.0[at] = random.random();
    }
    body.frame()
}
