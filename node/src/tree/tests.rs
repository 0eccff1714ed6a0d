//! What each transaction makes of the tree, as ZooKeeper's `DataTree` does it.

use super::digest;
use super::*;
use crate::txn::{Incarnation, Origin};
use crate::zab::Epoch;

fn zxid(counter: u32) -> Zxid {
    Zxid::new(Epoch(1), counter)
}

/// Applies transactions one after the other, each at the next zxid and at a time of 1000 ms times its number.
struct Story {
    tree: Tree,
    next: u32,
}

impl Story {
    fn new() -> Story {
        Story {
            tree: Tree::new(),
            next: 1,
        }
    }

    fn by(&mut self, session: SessionId, body: Body) -> Outcome {
        let origin = Origin {
            node: NodeId(2),
            incarnation: Incarnation(7),
            number: 1,
        };
        let txn = Txn {
            origin,
            session,
            cxid: 1,
            time_ms: i64::from(self.next) * 1000,
            state: None,
            body,
        };
        let read = Txn::decode(&txn.encode()).unwrap();
        assert_eq!(read, txn);
        let outcome = self.tree.apply(zxid(self.next), read).unwrap();
        self.next += 1;
        outcome
    }

    fn session(&mut self) -> SessionId {
        match self.by(
            SessionId::NONE,
            Body::OpenSession {
                timeout_ms: 4000,
                password: [9; 16],
            },
        ) {
            Outcome::SessionOpened(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn create(&mut self, path: &str, parent_creates: i32, owner: SessionId) -> Outcome {
        self.by(owner, create(path, parent_creates, owner))
    }

    fn stat(&self, path: &str) -> Stat {
        self.tree.get(path).unwrap().stat()
    }
}

fn create(path: &str, parent_creates: i32, owner: SessionId) -> Body {
    let data = Some(Bytes::from_static(b"abc"));
    Body::Create {
        path: path.into(),
        data,
        acl: vec![Acl::open()],
        owner,
        parent_creates,
    }
}

#[test]
fn a_new_tree_has_zookeepers_own_znodes_and_their_odd_cversions() {
    let tree = Tree::new();
    assert_eq!(tree.znode_count(), 4);
    assert_eq!(tree.get("/").unwrap().stat().cversion, -1);
    assert_eq!(tree.get("/zookeeper").unwrap().stat().cversion, -2);
    assert_eq!(
        tree.get("/zookeeper").unwrap().children(),
        ["config", "quota"]
    );
}

#[test]
fn a_created_znode_has_a_whole_stat_and_its_parent_counts_it() {
    let mut story = Story::new();
    story.create("/a", 1, SessionId::NONE);
    let stat = Stat {
        czxid: zxid(1),
        mzxid: zxid(1),
        pzxid: zxid(1),
        ctime: 1000,
        mtime: 1000,
        data_length: 3,
        ..Stat::default()
    };
    assert_eq!(story.stat("/a"), stat);
    assert_eq!(
        story.create("/a/b", 1, SessionId::NONE),
        Outcome::Created {
            path: "/a/b".into(),
            stat: Stat {
                czxid: zxid(2),
                mzxid: zxid(2),
                pzxid: zxid(2),
                ctime: 2000,
                mtime: 2000,
                ..stat
            }
        }
    );
    assert_eq!(
        story.stat("/a"),
        Stat {
            cversion: 1,
            num_children: 1,
            pzxid: zxid(2),
            ..stat
        }
    );
}

#[test]
fn the_visible_cversion_counts_creates_and_deletes() {
    let mut story = Story::new();
    story.create("/a", 1, SessionId::NONE);
    for n in 1..=3 {
        story.create(&format!("/a/{n}"), n, SessionId::NONE);
    }
    assert_eq!(
        story.by(
            SessionId::NONE,
            Body::Delete {
                path: "/a/2".into()
            }
        ),
        Outcome::Deleted
    );
    let stat = story.stat("/a");
    assert_eq!(
        (stat.cversion, stat.num_children, stat.pzxid),
        (4, 2, zxid(5))
    );
    assert_eq!((stat.version, stat.mzxid), (0, zxid(1)));
    assert_eq!(story.tree.get("/a").unwrap().creates(), 3);
}

#[test]
fn setting_data_changes_version_mzxid_and_mtime_only() {
    let mut story = Story::new();
    story.create("/a", 1, SessionId::NONE);
    let before = story.stat("/a");
    let set = Body::SetData {
        path: "/a".into(),
        data: None,
        version: 1,
    };
    let after = Stat {
        version: 1,
        mzxid: zxid(2),
        mtime: 2000,
        data_length: 0,
        ..before
    };
    assert_eq!(story.by(SessionId::NONE, set), Outcome::Set(after));
    assert_eq!(story.tree.get("/a").unwrap().data(), None);
}

#[test]
fn a_session_of_every_server_that_may_be_is_the_owner_of_ephemerals() {
    for id in 1..=254 {
        // The epoch's lowest bits are all that is left of it.
        for epoch in [1, 0xff_ffff, 0x100_0000] {
            let session = session_id(NodeId(id), Zxid::new(Epoch(epoch), 1));
            assert_eq!((session.0 as u64) >> 56, id);
            assert!(session.is_session(), "{session}");
        }
    }
}

#[test]
fn a_closed_session_takes_its_ephemerals_along_at_one_zxid() {
    let mut story = Story::new();
    let (first, second) = (story.session(), story.session());
    assert_ne!(first, second);
    assert_eq!(first.0 >> 56, 2);
    story.create("/a", 1, SessionId::NONE);
    story.create("/a/x", 1, first);
    story.create("/a/y", 2, first);
    story.create("/a/z", 3, second);
    story.by(
        second,
        Body::Delete {
            path: "/a/x".into(),
        },
    );
    assert_eq!(story.stat("/a/y").ephemeral_owner, first);
    assert_eq!(story.tree.ephemeral_count(), 2);
    assert_eq!(
        story.by(first, Body::CloseSession),
        Outcome::SessionClosed(first)
    );
    assert_eq!(story.tree.get("/a").unwrap().children(), ["z"]);
    assert_eq!(story.stat("/a").pzxid, zxid(8));
    assert_eq!(story.stat("/a").cversion, 5);
    assert!(story.tree.session(first).is_none());
    assert_eq!(story.tree.ephemeral_count(), 1);
}

#[test]
fn a_multi_happens_at_one_zxid_and_a_failed_one_not_at_all() {
    let mut story = Story::new();
    let outcome = story.by(
        SessionId::NONE,
        Body::Multi(vec![
            create("/a", 1, SessionId::NONE),
            create("/a/b", 1, SessionId::NONE),
            Body::Delete {
                path: "/a/b".into(),
            },
            Body::Check,
        ]),
    );
    assert!(matches!(&outcome, Outcome::Multi(all) if all.len() == 4));
    assert_eq!(story.stat("/a").czxid, story.stat("/a").pzxid);
    assert_eq!(story.stat("/a").cversion, 2);
    let failed = Body::FailedMulti {
        operations: 3,
        failed: 1,
        code: ErrorCode::BadVersion,
    };
    let expected = [
        ErrorCode::Ok,
        ErrorCode::BadVersion,
        ErrorCode::RuntimeInconsistency,
    ]
    .map(Outcome::Failed)
    .to_vec();
    assert_eq!(story.by(SessionId::NONE, failed), Outcome::Multi(expected));
}

#[test]
fn a_tree_that_was_written_and_read_back_is_the_same_and_goes_on_the_same() {
    let mut story = Story::new();
    let session = story.session();
    story.create("/a", 1, SessionId::NONE);
    story.create("/a/e", 1, session);
    story.create("/b", 2, SessionId::NONE);
    story.by(SessionId::NONE, Body::Delete { path: "/b".into() });
    let image = story.tree.image();
    let mut restored = Tree::restore(&image).unwrap();
    assert_eq!(restored.image(), image);
    assert_eq!(restored.digest(), story.tree.digest());
    assert_eq!(restored.data_bytes(), story.tree.data_bytes());
    assert_eq!(restored.get("/").unwrap().stat(), story.stat("/"));
    story.by(session, Body::CloseSession);
    let origin = Origin {
        node: NodeId(2),
        incarnation: Incarnation(7),
        number: 1,
    };
    let close = Txn {
        origin,
        session,
        cxid: 1,
        time_ms: 0,
        state: None,
        body: Body::CloseSession,
    };
    restored.apply(zxid(6), close).unwrap();
    assert_eq!(restored.image(), story.tree.image());
}

/// A snapshot is taken at one moment: in one that is written while the tree changes, as ZooKeeper's are, half a multi may stand.
#[test]
fn a_snapshot_holds_the_state_of_one_moment_whatever_changes_while_it_is_written() {
    let mut story = Story::new();
    let session = story.session();
    for n in 0..300 {
        story.create(&format!("/n{n}"), n + 1, SessionId::NONE);
    }
    let before = story.tree.image();
    let frozen = Arc::new(story.tree.freeze());
    let mut pieces = zab::Frozen::pieces(frozen, 100);
    let first = pieces.next().unwrap();
    let set = |n: usize| Body::SetData {
        path: format!("/n{n}"),
        data: Some(Bytes::from_static(b"later")),
        version: 1,
    };
    let delete = |n: usize| Body::Delete {
        path: format!("/n{n}"),
    };
    story.by(SessionId::NONE, Body::Multi(vec![set(0), delete(299)]));
    (1..100).for_each(|n| drop(story.by(SessionId::NONE, set(n))));
    (100..200).for_each(|n| drop(story.by(SessionId::NONE, delete(n))));
    story.create("/new", 301, session);
    assert_ne!(story.tree.image(), before);
    let rest: Vec<Bytes> = pieces.collect();
    assert!(rest.iter().rev().skip(1).all(|piece| piece.len() == 100));
    assert_eq!([&first[..], &rest.concat()].concat(), before);
}

#[test]
fn an_image_may_come_in_pieces_of_any_length() {
    let mut story = Story::new();
    let session = story.session();
    story.create("/a", 1, SessionId::NONE);
    story.create("/a/b", 1, session);
    story.create("/a/b/c", 1, SessionId::NONE);
    story.create("/d", 2, session);
    let image = story.tree.image();
    for size in 1..=image.len() {
        let mut restorer = Restorer::default();
        image
            .chunks(size)
            .for_each(|piece| restorer.push(piece).unwrap());
        assert_eq!(restorer.finish().unwrap().image(), image, "{size}");
    }
}

#[test]
fn a_damaged_image_is_an_error_and_never_a_panic() {
    let mut story = Story::new();
    let session = story.session();
    story.create("/a", 1, session);
    let image = story.tree.image();
    for cut in 0..image.len() {
        assert!(Tree::restore(&image[..cut]).is_err(), "cut at {cut}");
    }
    for at in 0..image.len() {
        let mut changed = image.to_vec();
        changed[at] ^= 0x41;
        let _ = Tree::restore(&changed);
    }
    assert!(Tree::restore(&[&image[..], &[0]].concat()).is_err());
}

/// Random transactions of every kind that touches the tree.
fn random_tree(choices: &[(u8, u8)]) -> Story {
    let mut story = Story::new();
    let session = story.session();
    let limits = "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=9";
    story.create("/zookeeper/quota/a", 1, SessionId::NONE);
    let quota = |name: &str, data: &str| Body::Create {
        path: format!("/zookeeper/quota/a/{name}"),
        data: Some(data.to_owned().into()),
        acl: vec![Acl::open()],
        owner: SessionId::NONE,
        parent_creates: 1,
    };
    story.by(SessionId::NONE, quota("zookeeper_limits", limits));
    story.by(SessionId::NONE, quota("zookeeper_stats", "count=0,bytes=0"));
    for &(what, which) in choices {
        let path = ["/a", "/b", "/a/c", "/a/c/d", "/é"][usize::from(which % 5)];
        let there = story.tree.get(path).map(|znode| {
            let stat = znode.stat();
            (stat.version, stat.aversion, stat.num_children)
        });
        let parent = super::path::split(path).unwrap().0;
        let creates = story.tree.get(parent).map(|znode| znode.creates());
        match (what % 5, there, creates) {
            (0 | 1, None, Some(creates)) => {
                let owner = if what % 2 == 0 {
                    session
                } else {
                    SessionId::NONE
                };
                story.by(owner, create(path, creates + 1, owner));
            }
            (2, Some((version, ..)), _) => {
                let data = (which > 100).then(|| vec![which; usize::from(what)].into());
                let body = Body::SetData {
                    path: path.into(),
                    data,
                    version: version + 1,
                };
                story.by(session, body);
            }
            (3, Some((_, version, _)), _) => {
                let acl = Acl {
                    permissions: i32::from(which),
                    ..Acl::open()
                };
                let body = Body::SetAcl {
                    path: path.into(),
                    acl: vec![acl],
                    version: version + 1,
                };
                story.by(session, body);
            }
            (4, Some((_, _, 0)), _) => drop(story.by(session, Body::Delete { path: path.into() })),
            _ => {}
        }
    }
    story
}

proptest::proptest! {
    #[test]
    fn a_digest_kept_step_by_step_is_that_of_the_whole(choices in proptest::collection::vec((0..=255u8, 0..=255u8), 0..60)) {
        let story = random_tree(&choices);
        proptest::prop_assert_eq!(story.tree.znodes.digest(), story.tree.znodes.digest_anew());
        let restored = Tree::restore(&story.tree.image()).unwrap();
        proptest::prop_assert_eq!(restored.digest(), story.tree.digest());
    }
}

#[test]
fn every_field_of_a_znode_and_of_a_session_changes_the_digest() {
    let mut znode = Znode::default();
    znode.set_text(b"", Some(b""), &mut Vec::new());
    let acl = |z: &mut Znode| z.set_acl(Some(vec![Acl::read_only()].into()), 0);
    let changes: [fn(&mut Znode); 13] = [
        |z| z.set_text(b"", None, &mut Vec::new()),
        |z| z.path_crc = 1,
        |z| z.data_crc = 1,
        acl,
        |z| z.czxid = zxid(1),
        |z| z.mzxid = zxid(1),
        |z| z.pzxid = zxid(1),
        |z| z.ctime = 1,
        |z| z.mtime = 1,
        |z| z.version = 1,
        |z| z.creates = 1,
        |z| z.set_acl(None, 1),
        |z| *z = z.clone().with(None, SessionId(1), 0),
    ];
    let mut weights = BTreeSet::from([digest::of_znode(&znode)]);
    for change in changes {
        let mut changed = znode.clone();
        change(&mut changed);
        assert!(weights.insert(digest::of_znode(&changed)), "{changed:?}");
    }
    let session = |timeout_ms, byte| Session {
        timeout_ms,
        password: [byte; 16],
        ephemerals: BTreeSet::new(),
    };
    let of = |id, timeout_ms, byte| digest::of_session(SessionId(id), &session(timeout_ms, byte));
    let weights = BTreeSet::from([of(1, 1, 1), of(2, 1, 1), of(1, 2, 1), of(1, 1, 2)]);
    assert_eq!(weights.len(), 4);
}

#[test]
fn a_difference_is_found_at_its_zxid_and_what_cannot_be_compared_is_not() {
    let mut story = Story::new();
    let mut digests = Digests::default();
    let mut said = Vec::new();
    for n in 1..=5 {
        story.create(&format!("/{n}"), n, SessionId::NONE);
        said.push(story.tree.checkpoint());
        digests.applied(story.tree.checkpoint());
    }
    let wrong = |at: usize| Checkpoint {
        digest: Digest::default(),
        ..said[at]
    };
    assert_eq!(digests.check(said[1]), Ok(()));
    assert_eq!(digests.compare(said[0]), None, "it is forgotten");
    assert_eq!(
        digests.compare(wrong(4)).unwrap().unwrap_err().zxid,
        zxid(5)
    );
    assert_eq!(digests.check(wrong(2)).unwrap_err().ours, said[2].digest);
    story.create("/6", 6, SessionId::NONE);
    assert_eq!(
        digests.compare(story.tree.checkpoint()),
        None,
        "it is not reached"
    );
    for n in 7..=130 {
        story.create(&format!("/{n}"), n, SessionId::NONE);
        digests.applied(story.tree.checkpoint());
    }
    let kept: Vec<Zxid> = digests.kept().map(|kept| kept.zxid).collect();
    assert_eq!(kept, [zxid(128)]);
}

#[test]
fn digests_tell_different_trees_apart() {
    let (mut one, mut other) = (Story::new(), Story::new());
    one.create("/a", 1, SessionId::NONE);
    other.create("/b", 1, SessionId::NONE);
    assert_ne!(one.tree.digest(), other.tree.digest());
}

#[test]
fn a_transaction_that_does_not_fit_is_an_error() {
    let mut tree = Tree::new();
    let origin = Origin {
        node: NodeId(2),
        incarnation: Incarnation(7),
        number: 1,
    };
    let bodies = [
        create("/no/parent", 1, SessionId::NONE),
        create("/zookeeper", 1, SessionId::NONE),
        create("/e", 1, SessionId(77)),
        Body::Delete {
            path: "/zookeeper".into(),
        },
        Body::Delete { path: "/".into() },
        Body::SetData {
            path: "/no".into(),
            data: None,
            version: 1,
        },
        Body::CloseSession,
    ];
    for (n, body) in bodies.into_iter().enumerate() {
        let txn = Txn {
            origin,
            session: SessionId(5),
            cxid: 0,
            time_ms: 0,
            state: None,
            body,
        };
        assert!(tree.apply(zxid(n as u32 + 1), txn).is_err());
    }
}
