//! Hard input: valid bytes of each kind, changed at places drawn from a seed, through the doors of `keelhaul_node::hard`, and damaged files
//! through the store's own. Nothing may panic, hold memory beyond a small multiple of the input, or take long.
//!
//! `KEELHAUL_HARD_ROUNDS=100000 cargo test -p keelhaul-node --test hard` tries more. `node/fuzz` lets a fuzzer choose the changes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    unsafe_code,
    reason = "an allocator that counts is made of the system's, which is unsafe to call"
)]

use bytes::Bytes;
use keelhaul_node::config::EXAMPLE;
use keelhaul_node::hard;
use keelhaul_node::request::{Acl, SessionId};
use keelhaul_node::storage::{Store, StoreOptions};
use keelhaul_node::tree::{Checkpoint, Tree};
use keelhaul_node::txn::{Body, Incarnation, Origin, Txn};
use keelhaul_node::zab::{
    DiskOp, Entry, Epoch, FromLeader, Lives, Message, NodeId, Snapshot, ToLeader, Zxid,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// Counts what each thread holds.
struct Counting;

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: all memory comes from the system's allocator, with the layouts that were asked for; counting touches no memory of the
// callers and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as above; `at` came from `alloc`, which is the system's.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What an input may cost: decoding into structures takes more than the bytes, and vectors are begun with some room (serde's own bound is 1 MiB).
fn bound(input: usize) -> isize {
    (3 << 20) + 64 * input as isize
}

/// Pushes an input through a door, and looks at what it cost.
fn push(kind: &str, input: &[u8], door: impl FnOnce(&[u8])) {
    let (before, start) = (HELD.get(), Instant::now());
    MOST.set(before);
    door(input);
    let cost = MOST.get() - before;
    assert!(
        cost <= bound(input.len()),
        "{kind}: {cost} bytes were held for an input of {} bytes: {input:02x?}",
        input.len()
    );
    let took = start.elapsed();
    assert!(
        took < Duration::from_secs(10),
        "{kind}: {took:?} for {input:02x?}"
    );
}

fn rounds() -> usize {
    let given = std::env::var("KEELHAUL_HARD_ROUNDS").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(4000)
}

/// Numbers that lengths and counts are often wrong with.
const ODD: [u32; 8] = [
    0,
    1,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x0010_0000,
    0x0400_0000,
    0x7f,
];

/// Changes some places: bytes, numbers, pieces that go, come twice, or come from another input.
fn mutate(random: &mut ChaCha8Rng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let to = (at + random.random_range(0..40)).min(bytes.len());
        match random.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = random.random(),
            2 if at + 4 <= bytes.len() => {
                let number = ODD[random.random_range(0..ODD.len())];
                bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
            }
            // The greatest number of a variable length.
            3 if at + 5 <= bytes.len() => {
                bytes[at..at + 5].copy_from_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
            }
            4 => drop(bytes.drain(at..to)),
            5 => {
                let piece = bytes[at..to].to_vec();
                bytes.splice(at..at, piece);
            }
            6 if !other.is_empty() => {
                let from = random.random_range(0..other.len());
                let end = (from + 60).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Each valid input as it is, and as often as there are rounds with changes.
fn try_all(kind: &str, seed: u64, valid: &[Vec<u8>], door: impl Fn(&[u8])) {
    for input in valid {
        push(kind, input, &door);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..rounds() {
        let [one, two] = [0; 2].map(|_| &valid[random.random_range(0..valid.len())]);
        push(kind, &mutate(&mut random, one, two), &door);
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes(), text.as_bytes()].concat()
}

fn frame(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(body.len() as u32).to_be_bytes()[..], &body].concat()
}

/// A session's first frame, and requests of all shapes behind it.
fn client_streams() -> Vec<Vec<u8>> {
    let connect = frame(&[
        &[0; 4],
        &[0; 8],
        &[0, 0, 0x13, 0x88],
        &[0; 8],
        &text(&"p".repeat(16)),
        &[1],
    ]);
    let path = text("/a/path");
    let acl = [
        &1u32.to_be_bytes()[..],
        &31u32.to_be_bytes(),
        &text("world"),
        &text("anyone"),
    ]
    .concat();
    let create = [&path[..], &text("data"), &acl, &[0; 4]].concat();
    let part = |code: i32, body: &[u8]| [&code.to_be_bytes()[..], &[0], &[255; 4], body].concat();
    let end = [&[255; 4][..], &[1], &[255; 4]].concat();
    let multi = [
        part(1, &create),
        part(13, &[&path[..], &[0; 4]].concat()),
        part(2, &[&path[..], &[255; 4]].concat()),
        end.clone(),
    ]
    .concat();
    let reads = [
        part(4, &[&path[..], &[0]].concat()),
        part(8, &[&path[..], &[0]].concat()),
        end,
    ]
    .concat();
    let paths = [&2u32.to_be_bytes()[..], &path, &path].concat();
    let watches = [&[0; 8][..], &paths, &paths, &paths, &paths, &paths].concat();
    let auth = [&[0; 4][..], &text("digest"), &text("name:password")].concat();
    let reconfig = [
        text("server.9=127.0.0.1:1:2;3"),
        text(""),
        text(""),
        vec![255; 8],
    ]
    .concat();
    let bodies: [(i32, &[u8]); 14] = [
        (1, &create),
        (15, &create),
        (19, &create),
        (21, &[&create[..], &[0; 8]].concat()),
        (4, &[&path[..], &[1]].concat()),
        (5, &[&path[..], &text("data"), &[255; 4]].concat()),
        (7, &[&path[..], &acl, &[255; 4]].concat()),
        (14, &multi),
        (22, &reads),
        (105, &watches),
        (100, &auth),
        (102, &text("a token")),
        (16, &reconfig),
        (18, &[&path[..], &[0, 0, 0, 3]].concat()),
    ];
    let request =
        |(code, body): &(i32, &[u8])| frame(&[&7u32.to_be_bytes(), &code.to_be_bytes(), body]);
    let mut streams: Vec<Vec<u8>> = bodies
        .iter()
        .map(|one| [connect.clone(), request(one)].concat())
        .collect();
    streams.push(
        bodies
            .iter()
            .fold(connect, |all, one| [all, request(one)].concat()),
    );
    streams
}

#[test]
fn a_clients_bytes() {
    try_all("client", 1, &client_streams(), hard::client_stream);
    for length in [0x7fff_ffffu32, 0xffff_ffff, 1 << 20] {
        let input = length.to_be_bytes();
        let before = HELD.get();
        push("client", &input, |input| {
            hard::client_stream(input);
            assert!(
                MOST.get() - before < 4096,
                "what is only announced allocates nothing"
            );
        });
    }
}

fn transactions() -> Vec<Bytes> {
    let origin = Origin {
        node: NodeId(1),
        incarnation: Incarnation(7),
        number: 3,
    };
    let create = |path: &str, creates| Body::Create {
        path: path.into(),
        data: Some(Bytes::from_static(b"data")),
        acl: vec![Acl::read_only()],
        owner: SessionId::NONE,
        parent_creates: creates,
    };
    let bodies = [
        Body::OpenSession {
            timeout_ms: 1000,
            password: [3; 16],
        },
        create("/a", 1),
        Body::Multi(vec![
            create("/b", 2),
            Body::Check,
            Body::Delete { path: "/a".into() },
        ]),
        Body::Join {
            from: "server.1=127.0.0.1:1:1:participant;127.0.0.1:2\n".into(),
            to: "server.2=127.0.0.1:3:3:observer;127.0.0.1:4\n".into(),
        },
        Body::SetAcl {
            path: "/b".into(),
            acl: vec![Acl::open()],
            version: 1,
        },
    ];
    let encoded = bodies.into_iter().enumerate().map(|(n, body)| {
        let txn = Txn {
            origin,
            session: SessionId(9),
            cxid: n as i32,
            time_ms: 1_700_000_000_000,
            state: Some(Checkpoint::default()),
            body,
        };
        txn.encode()
    });
    encoded.collect()
}

#[test]
fn transactions_of_the_log() {
    let valid: Vec<Vec<u8>> = transactions().iter().map(|txn| txn.to_vec()).collect();
    try_all("transaction", 2, &valid, hard::transaction);
    // A multi in a multi in a multi, as deep as the longest frame.
    let mut deep = valid[2].clone();
    let multi = valid[2].iter().rposition(|byte| *byte == 4).unwrap();
    deep.truncate(multi);
    deep.extend([4u8, 1].repeat(8 << 20));
    push("transaction", &deep, hard::transaction);
}

/// What one member says to another, as frames; `body` may be anything.
fn peer_frames(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (n, body) in bodies.iter().enumerate() {
        let rest = [&(n as u64).to_le_bytes()[..], body].concat();
        stream.extend((body.len() as u32).to_le_bytes());
        stream.extend(crc32c::crc32c(&rest).to_le_bytes());
        stream.extend(rest);
    }
    stream
}

fn peer_bodies() -> Vec<Vec<u8>> {
    let zxid = Zxid::new(Epoch(3), 7);
    let entry = Entry {
        zxid,
        txn: transactions()[2].clone(),
    };
    let from = |body| Message::FromLeader { session: 5, body };
    let to = |body| Message::ToLeader { session: 5, body };
    // An envelope upward: an incarnation, and one write of a client, a multi.
    let payload = [
        &[0, 7, 1, 0, 3, 18, 2, 0][..],
        &[127, 0, 0, 1],
        &[1, 6],
        b"digest",
        &[3],
        b"a:b",
        &[4, 2, 4, 1, 4, 0],
    ]
    .concat();
    let messages = [
        from(FromLeader::LeaderInfo { epoch: Epoch(3) }),
        from(FromLeader::Propose { after: zxid, entry }),
        from(FromLeader::Commit { zxid }),
        to(ToLeader::Ack { zxid }),
        to(ToLeader::FollowerInfo {
            accepted: Epoch(2),
            amnesiac: false,
            doubts: true,
            lives: Lives::default(),
        }),
        Message::App {
            session: 5,
            payload: payload.into(),
        },
    ];
    // What the core says is the first kind of saying.
    let body = |message| [vec![0], postcard::to_allocvec(&message).unwrap()].concat();
    messages.map(body).to_vec()
}

#[test]
fn a_peers_bytes() {
    let bodies = peer_bodies();
    let streams: Vec<Vec<u8>> = bodies
        .iter()
        .map(|body| peer_frames(std::slice::from_ref(body)))
        .collect();
    try_all(
        "peer",
        3,
        &[streams, vec![peer_frames(&bodies)]].concat(),
        hard::peer_stream,
    );
    // Behind a checksum that fits, too.
    try_all("peer's message", 4, &bodies, hard::peer_message);
    let before = HELD.get();
    push(
        "peer",
        &[0xff, 0xff, 0xff, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        |input| {
            hard::peer_stream(input);
            assert!(
                MOST.get() - before < 4096,
                "64 MiB are announced, and 16 bytes have come"
            );
        },
    );
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    for (n, bytes) in transactions().into_iter().enumerate() {
        let txn = Txn::decode(&bytes).unwrap();
        // What does not fit makes no tree; the first three do.
        if n < 3 {
            tree.apply(Zxid::new(Epoch(1), n as u32 + 1), txn).unwrap();
        }
    }
    tree
}

#[test]
fn images_of_trees() {
    try_all("image", 5, &[tree().image().to_vec()], hard::image);
}

#[test]
fn texts_of_configurations_and_tokens() {
    let zoo = "tickTime=2000\ndataDir=/d\nclientPort=2181\nserver.1=127.0.0.1:2888:3888:participant;2182\nserver.2=[::1]:1:2\n\
               syncLimit=5\nsecureClientPort=2281\nssl.keyStore.location=k.pem\nssl.clientAuth=none\n4lw.commands.whitelist=*\nautopurge.x=1\n";
    let jaas = "Server { org.apache.zookeeper.server.auth.DigestLoginModule required user_bob=\"b\\\"x\"; /* c */ };\n// end\n";
    let texts = [EXAMPLE, zoo, jaas].map(|text| text.as_bytes().to_vec());
    try_all("configuration", 6, &texts, |bytes| {
        hard::configuration(&String::from_utf8_lossy(bytes));
    });
    let token = b"charset=utf-8,username=\"bob\",realm=\"zk-sasl-md5\",nonce=\"nonce\",nc=00000001,cnonce=\"mine\",\
                  digest-uri=\"zookeeper/zk-sasl-md5\",response=d388dad90d4bbd760a152321f2143af7,qop=auth";
    try_all("token", 7, &[token.to_vec()], hard::sasl_token);
}

/// Numbers at whose sums and products something may break.
const NUMBERS: [&str; 9] = [
    "18446744073709551615",
    "9223372036854775807",
    "9223372036854775",
    "4294967296",
    "2147483647",
    "1",
    "0",
    "-1",
    "-9223372036854775808",
];

/// ZooKeeper's options that are numbers.
const ZOOKEEPERS: [&str; 17] = [
    "tickTime",
    "initLimit",
    "syncLimit",
    "clientPort",
    "secureClientPort",
    "admin.serverPort",
    "metricsProvider.httpPort",
    "minSessionTimeout",
    "maxSessionTimeout",
    "maxClientCnxns",
    "globalOutstandingLimit",
    "jute.maxbuffer",
    "snapCount",
    "znode.container.checkIntervalMs",
    "znode.container.maxNeverUsedIntervalMs",
    "autopurge.purgeInterval",
    "server.3",
];

/// The node's own options that are numbers, as `section.key`, and where each stands in the example.
fn own_numbers() -> Vec<(String, usize)> {
    let (mut section, mut found) = (String::new(), Vec::new());
    for (n, line) in EXAMPLE.lines().enumerate() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
        }
        let Some((key, value)) = line.split_once(" = ") else {
            continue;
        };
        let value = value.split(['#', ' ']).next().unwrap_or_default();
        if !key.starts_with('#') && value.replace('_', "").parse::<i64>().is_ok() {
            found.push((format!("{section}.{key}"), n));
        }
    }
    found
}

#[test]
fn numbers_of_configurations() {
    let base = "dataDir=/d\nclientPort=2181\nserver.1=127.0.0.1:2888:3888\nserver.2=127.0.0.2:2888:3888\n\
                metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider\n";
    let own = own_numbers();
    assert!(own.len() > 20, "{own:?}");
    let keys = ZOOKEEPERS.map(str::to_owned).into_iter();
    let keys: Vec<String> = keys
        .chain(own.iter().map(|(key, _)| format!("keelhaul.{key}")))
        .collect();
    for key in &keys {
        for number in NUMBERS {
            let line = format!("{key}={number}\n");
            hard::configuration(&format!("{base}{line}"));
            // Beside other numbers too: what breaks is a sum or a product.
            for tick in [
                "tickTime=2000",
                "tickTime=2147483647",
                "initLimit=2147483647",
            ] {
                hard::configuration(&format!("{base}{tick}\n{line}"));
            }
        }
    }
    for (key, n) in own {
        let name = key.rsplit_once('.').map_or("", |(_, name)| name);
        for number in NUMBERS {
            let changed = format!("{name} = {number}");
            let lines = EXAMPLE.lines().enumerate();
            let lines = lines.map(|(at, line)| if at == n { &*changed } else { line });
            hard::configuration(&lines.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// A store with a snapshot, a log behind it, and promises.
fn filled(dir: &Path, options: StoreOptions) {
    Store::format(dir).unwrap();
    let (mut store, _) = Store::open(dir, options).unwrap();
    let entries = |from: u32| {
        let txns = transactions();
        let entry = move |(n, txn): (usize, Bytes)| {
            DiskOp::Append(Entry {
                zxid: Zxid::new(Epoch(1), from + n as u32),
                txn,
            })
        };
        txns.into_iter().enumerate().map(entry).collect::<Vec<_>>()
    };
    store.perform(entries(1)).unwrap();
    let tree = tree();
    store.perform(vec![snapshot(&tree)]).unwrap();
    while store.save_more().unwrap().is_none() {}
    store.perform(entries(6)).unwrap();
}

fn snapshot(tree: &Tree) -> DiskOp {
    DiskOp::SaveSnapshot(Snapshot {
        zxid: tree.zxid(),
        state: Arc::new(tree.freeze()),
    })
}

#[test]
fn files_of_the_store() {
    let options = || StoreOptions {
        segment_bytes: 4096,
        piece_bytes: 100,
        ..StoreOptions::default()
    };
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path(), options());
    let originals: Vec<(PathBuf, Vec<u8>)> = files(whole.path())
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path.strip_prefix(whole.path()).unwrap().to_owned(), bytes)
        })
        .collect();
    let total: usize = originals.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(originals.len() >= 4 && total > 300, "{originals:?}");
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let (mut remembered, mut forgot) = (0, 0);
    for _ in 0..rounds() / 20 {
        let dir = tempfile::tempdir().unwrap();
        let victim = random.random_range(0..originals.len());
        for (n, (path, bytes)) in originals.iter().enumerate() {
            let to = dir.path().join(path);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            let bytes = match n == victim {
                true => mutate(&mut random, bytes, &originals[(n + 1) % originals.len()].1),
                false => bytes.clone(),
            };
            std::fs::write(to, bytes).unwrap();
        }
        let size = vec![0; total];
        push("store", &size, |_| {
            let (store, recovered) = Store::open(dir.path(), options()).unwrap();
            match recovered.epochs.amnesiac {
                true => forgot += 1,
                false => remembered += 1,
            }
            if let Some(snapshot) = &recovered.snapshot {
                let pieces: Vec<Bytes> = store
                    .snapshot(snapshot.zxid)
                    .unwrap()
                    .map(|piece| piece.unwrap())
                    .collect();
                hard::image(&pieces.concat());
            }
            drop(store);
        });
    }
    assert!(forgot > 0, "some damage is noticed: {remembered} remember");
}
