//! The codec against bytes written out by hand, and against bytes that make no sense.

use super::*;
use crate::request::{Acl, ErrorCode, Read, SessionId, WatchRequest, WatchesToSet, Write};
use crate::tree::{Outcome, Stat};
use crate::watches::Which;
use crate::zab::Zxid;
use bytes::{BufMut, Bytes, BytesMut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A request's bytes: numbers as they are, texts with their length.
fn frame(build: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    build(&mut out);
    out.freeze()
}

fn text(out: &mut BytesMut, text: &str) {
    reply::put_string(out, text);
}

fn header(out: &mut BytesMut, code: i32) {
    out.put_i32(77);
    out.put_i32(code);
}

fn put_create(out: &mut BytesMut) {
    text(out, "/a");
    text(out, "data");
    reply::put_acl(out, &[Acl::open()]);
    out.put_i32(3);
}

fn created() -> Write {
    Write::Create {
        path: "/a".into(),
        data: Some(Bytes::from_static(b"data")),
        acl: vec![Acl::open()],
        flags: 3,
        ttl_ms: -1,
    }
}

fn decoded(frame: Bytes) -> Operation {
    let request = Request::decode(frame).unwrap();
    assert_eq!(request.xid, 77);
    request.operation
}

#[test]
fn every_request_is_understood() {
    let with_path = |code: i32, more: &'static [u8]| {
        frame(|out| {
            header(out, code);
            text(out, "/a");
            out.put_slice(more);
        })
    };
    let path = || "/a".to_owned();
    assert_eq!(
        decoded(with_path(3, &[1])),
        Operation::Read(Read::Exists {
            path: path(),
            watch: true
        })
    );
    assert_eq!(
        decoded(with_path(4, &[0])),
        Operation::Read(Read::GetData {
            path: path(),
            watch: false
        })
    );
    assert_eq!(
        decoded(with_path(6, &[])),
        Operation::Read(Read::GetAcl { path: path() })
    );
    assert_eq!(
        decoded(with_path(8, &[0])),
        Operation::Read(Read::GetChildren {
            path: path(),
            watch: false
        })
    );
    assert_eq!(
        decoded(with_path(12, &[0])),
        Operation::Read(Read::GetChildren2 {
            path: path(),
            watch: false
        })
    );
    assert_eq!(decoded(with_path(9, &[])), Operation::Sync(path()));
    let version = &[0xff, 0xff, 0xff, 0xff];
    let delete = Write::Delete {
        path: path(),
        version: -1,
    };
    assert_eq!(
        decoded(with_path(2, version)),
        Operation::Write(delete, ReplyKind::Empty)
    );
    let check = Write::Check {
        path: path(),
        version: -1,
    };
    assert_eq!(
        decoded(with_path(13, version)),
        Operation::Write(check, ReplyKind::Empty)
    );
    let null_data = Write::SetData {
        path: path(),
        data: None,
        version: 5,
    };
    let set = with_path(5, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5]);
    assert_eq!(decoded(set), Operation::Write(null_data, ReplyKind::Stat));
    assert_eq!(decoded(frame(|out| header(out, 11))), Operation::Ping);
    let close = Operation::Write(Write::CloseSession, ReplyKind::Empty);
    assert_eq!(decoded(frame(|out| header(out, -11))), close);
    assert_eq!(
        decoded(frame(|out| header(out, 20))),
        Operation::Unknown(20)
    );
    for (code, kind) in [(1, ReplyKind::Path), (15, ReplyKind::PathAndStat)] {
        let create = frame(|out| {
            header(out, code);
            put_create(out);
        });
        assert_eq!(decoded(create), Operation::Write(created(), kind));
    }
}

#[test]
fn requests_about_watches_are_understood() {
    let watch = |code: i32, more: i32| {
        let request = frame(|out| {
            header(out, code);
            text(out, "/a");
            out.put_i32(more);
        });
        Request::decode(request).map(|request| request.operation)
    };
    let path = || "/a".to_owned();
    for (mode, recursive) in [(0, false), (1, true)] {
        let add = WatchRequest::Add {
            path: path(),
            recursive,
        };
        assert_eq!(watch(106, mode), Ok(Operation::Watch(add)));
    }
    for (code, which) in [(1, Which::Children), (2, Which::Data), (3, Which::Any)] {
        let (remove, check) = (
            WatchRequest::Remove {
                path: path(),
                which,
            },
            WatchRequest::Check {
                path: path(),
                which,
            },
        );
        assert_eq!(watch(18, code), Ok(Operation::Watch(remove)));
        assert_eq!(watch(17, code), Ok(Operation::Watch(check)));
    }
    assert!(watch(106, 2).is_err() && watch(17, 0).is_err() && watch(18, 4).is_err());
    let lists = |code: i32, lists: &[&str]| {
        decoded(frame(|out| {
            header(out, code);
            out.put_i64(9);
            for path in lists {
                out.put_i32(1);
                text(out, path);
            }
        }))
    };
    let mut wanted = WatchesToSet {
        seen: 9,
        data: vec!["/d".into()],
        exists: vec!["/e".into()],
        children: vec!["/c".into()],
        ..WatchesToSet::default()
    };
    let set = |wanted: &WatchesToSet| Operation::Watch(WatchRequest::Set(Box::new(wanted.clone())));
    assert_eq!(lists(101, &["/d", "/e", "/c"]), set(&wanted));
    wanted.persistent = vec!["/p".into()];
    wanted.recursive = vec!["/r".into()];
    assert_eq!(lists(105, &["/d", "/e", "/c", "/p", "/r"]), set(&wanted));
}

#[test]
fn a_multi_is_a_list_of_writes_and_what_each_is_answered_with() {
    let multi = frame(|out| {
        header(out, 14);
        out.put_slice(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]);
        put_create(out);
        out.put_slice(&[0, 0, 0, 13, 0, 0xff, 0xff, 0xff, 0xff]);
        text(out, "/b");
        out.put_i32(4);
        out.put_slice(&[0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
    });
    let writes = vec![
        created(),
        Write::Check {
            path: "/b".into(),
            version: 4,
        },
    ];
    let kinds = vec![(1, ReplyKind::Path), (13, ReplyKind::Empty)];
    assert_eq!(
        decoded(multi),
        Operation::Write(Write::Multi(writes), ReplyKind::Multi(kinds))
    );
}

#[test]
fn a_connect_request_may_lack_the_read_only_flag() {
    let connect = |flag: &'static [u8]| {
        frame(|out| {
            out.put_i32(0);
            out.put_i64(9);
            out.put_i32(4000);
            out.put_i64(0x0100_0000_0000_0001);
            text(out, "0123456789abcdef");
            out.put_slice(flag);
        })
    };
    let old = ConnectRequest::decode(connect(&[])).unwrap();
    assert_eq!(
        (old.last_zxid_seen, old.timeout_ms, old.session),
        (9, 4000, 0x0100_0000_0000_0001)
    );
    assert_eq!(
        (&old.password[..], old.read_only),
        (&b"0123456789abcdef"[..], None)
    );
    assert_eq!(
        ConnectRequest::decode(connect(&[1])).unwrap().read_only,
        Some(true)
    );
}

#[test]
fn replies_are_zookeepers_bytes() {
    let mut out = ReplyBuffer::default();
    out.error(5, Zxid(0x1_0000_0002), ErrorCode::NoNode);
    assert_eq!(
        out.take(),
        [
            &[0, 0, 0, 16, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2][..],
            &(-101i32).to_be_bytes()
        ]
        .concat()
    );
    out.connected(SessionId(1), 4000, &[9; 16], Some(false));
    let connected = out.take();
    assert_eq!(connected.len(), 4 + 4 + 4 + 8 + 4 + 16 + 1);
    out.write(
        1,
        Zxid(1),
        &ReplyKind::PathAndStat,
        &Outcome::Created {
            path: "/a".into(),
            stat: Stat::default(),
        },
    );
    assert_eq!(out.take().len(), 4 + 16 + 4 + 2 + 68);
    let kinds = ReplyKind::Multi(vec![(2, ReplyKind::Empty), (5, ReplyKind::Stat)]);
    out.write(
        1,
        Zxid(1),
        &kinds,
        &Outcome::Multi(vec![Outcome::Deleted, Outcome::Set(Stat::default())]),
    );
    assert_eq!(out.take().len(), 4 + 16 + 9 + 9 + 68 + 9);
    let failed = vec![
        Outcome::Failed(ErrorCode::Ok),
        Outcome::Failed(ErrorCode::BadVersion),
    ];
    out.write(1, Zxid(1), &kinds, &Outcome::Multi(failed));
    assert_eq!(out.take().len(), 4 + 16 + 13 + 13 + 9);
}

#[test]
fn random_frames_are_read_or_refused_and_never_panic() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let sample = frame(|out| {
        header(out, 14);
        for _ in 0..3 {
            out.put_slice(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]);
            put_create(out);
        }
        out.put_slice(&[0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
    });
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = sample[..random.random_range(0..=sample.len())].to_vec();
        for _ in 0..random.random_range(0..4) {
            if !bytes.is_empty() {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
        }
        let _ = ConnectRequest::decode(bytes.clone().into());
        match Request::decode(bytes.into()) {
            Ok(_) => read += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(
        read > 1000 && refused > 1000,
        "{read} were read and {refused} refused"
    );
}
