//! What each request becomes, as ZooKeeper's `PrepRequestProcessor` decides it.

use super::*;
use crate::tree::Outcome;
use crate::txn::{Incarnation, Origin, Txn};
use crate::zab::{Epoch, NodeId, Zxid};
use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// A leader that applies what it proposes only when it is told to.
struct Leader {
    identity: Identity,
    now_ms: i64,
    tree: Tree,
    overlay: Overlay,
    proposed: VecDeque<(Zxid, SessionId, Body)>,
    next: u32,
}

const S: SessionId = SessionId(0x0100_0001_0000_0001);

impl Leader {
    fn new() -> Leader {
        let mut leader = Leader {
            identity: Identity::at([127, 0, 0, 1].into()),
            now_ms: 0,
            tree: Tree::new(),
            overlay: Overlay::default(),
            proposed: VecDeque::new(),
            next: 1,
        };
        leader.ask(Write::OpenSession {
            timeout_ms: 1000,
            password: [0; 16],
        });
        leader.apply_all();
        assert!(leader.tree.session(S).is_some());
        leader
    }

    fn ask(&mut self, write: Write) -> Body {
        let zxid = Zxid::new(Epoch(1), self.next);
        self.next += 1;
        let prepared = prepare(&self.tree, &self.overlay, asker(&self.identity), write);
        self.overlay.proposed(zxid, prepared.changes);
        self.proposed.push_back((zxid, S, prepared.body.clone()));
        prepared.body
    }

    fn apply(&mut self) -> Outcome {
        let (zxid, session, body) = self.proposed.pop_front().unwrap();
        let origin = Origin {
            node: NodeId(1),
            incarnation: Incarnation(0),
            number: 1,
        };
        let outcome = self
            .tree
            .apply(
                zxid,
                Txn {
                    origin,
                    session,
                    cxid: 0,
                    time_ms: self.now_ms,
                    state: None,
                    body,
                },
            )
            .unwrap();
        self.overlay.applied(zxid);
        outcome
    }

    fn apply_all(&mut self) -> Vec<Outcome> {
        (0..self.proposed.len()).map(|_| self.apply()).collect()
    }

    fn fails(&mut self, write: Write, code: ErrorCode) {
        assert_eq!(self.ask(write.clone()), Body::Error(code), "{write:?}");
    }

    fn works(&mut self, write: Write) {
        let body = self.ask(write.clone());
        assert!(
            !matches!(body, Body::Error(_) | Body::FailedMulti { .. }),
            "{write:?} became {body:?}"
        );
    }
}

fn create_as(path: &str, flags: i32) -> Write {
    Write::Create {
        path: path.into(),
        data: Some(Bytes::from_static(b"d")),
        acl: vec![Acl::open()],
        flags,
        ttl_ms: -1,
    }
}

fn asker(identity: &Identity) -> Asker<'_> {
    Asker {
        session: S,
        identity,
        quotas: true,
        schemes: crate::acl::Schemes::default(),
    }
}

fn create(path: &str) -> Write {
    create_as(path, 0)
}

fn delete(path: &str, version: i32) -> Write {
    Write::Delete {
        path: path.into(),
        version,
    }
}

fn set(path: &str, version: i32) -> Write {
    Write::SetData {
        path: path.into(),
        data: None,
        version,
    }
}

fn check(path: &str, version: i32) -> Write {
    Write::Check {
        path: path.into(),
        version,
    }
}

#[test]
fn requests_see_what_is_proposed_and_not_yet_applied() {
    let mut leader = Leader::new();
    leader.fails(create("/a/b"), ErrorCode::NoNode);
    leader.works(create("/a"));
    leader.works(create("/a/b"));
    leader.fails(create("/a"), ErrorCode::NodeExists);
    leader.fails(delete("/a", -1), ErrorCode::NotEmpty);
    assert_eq!(
        leader.ask(set("/a/b", 0)),
        Body::SetData {
            path: "/a/b".into(),
            data: None,
            version: 1
        }
    );
    leader.fails(set("/a/b", 0), ErrorCode::BadVersion);
    leader.fails(check("/a/b", 0), ErrorCode::BadVersion);
    leader.works(check("/a/b", 1));
    leader.works(delete("/a/b", 1));
    leader.fails(set("/a/b", -1), ErrorCode::NoNode);
    leader.works(delete("/a", 0));
    leader.fails(create("/a/b"), ErrorCode::NoNode);
    leader.apply_all();
    assert!(leader.overlay.is_empty());
    assert!(leader.tree.get("/a").is_none());
}

#[test]
fn the_answer_is_the_same_whether_earlier_requests_are_applied_or_not() {
    let script = || {
        vec![
            create("/p"),
            create_as("/p/s-", 2),
            create_as("/p/s-", 3),
            delete("/p/s-0000000000", 0),
            create_as("/p/s-", 2),
            set("/p", 0),
            set("/p", 0),
            create_as("/p/", 2),
            delete("/p", -1),
            Write::Multi(vec![
                create("/p/m"),
                set("/p/m", 0),
                delete("/p/m", 1),
                create_as("/p/t", 2),
            ]),
            Write::Multi(vec![create("/p/x"), check("/p/x", 5), create("/p/y")]),
            create("/p/x"),
            Write::CloseSession,
            create("/p/s-0000000001"),
        ]
    };
    let (mut eager, mut lazy) = (Leader::new(), Leader::new());
    let mut eagerly = Vec::new();
    for write in script() {
        eagerly.push(eager.ask(write));
        eager.apply();
    }
    let lazily: Vec<_> = script().into_iter().map(|write| lazy.ask(write)).collect();
    lazy.apply_all();
    assert_eq!(eagerly, lazily);
    assert_eq!(eager.tree.image(), lazy.tree.image());
    assert!(lazy.overlay.is_empty());
}

/// A write on one of few paths, so that most meet an earlier one.
fn random_write(random: &mut ChaCha8Rng, depth: u32) -> Write {
    let names = ["/a", "/b", "/a/c", "/a/d", "/a/c/e", "/b/f-"];
    let path = names[random.random_range(0..names.len())];
    let version = random.random_range(-1..3);
    match random.random_range(0..10 + depth) {
        0..=3 => create_as(path, random.random_range(0..4)),
        4..=5 => delete(path, version),
        6..=7 => set(path, version),
        8..=9 => check(path, version),
        _ => Write::Multi(
            (0..random.random_range(0..4))
                .map(|_| random_write(random, 0))
                .collect(),
        ),
    }
}

#[test]
fn random_requests_are_prepared_the_same_however_far_the_tree_lags() {
    let (mut failed, mut worked) = (0, 0);
    for seed in 0..100 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut eager, mut lazy) = (Leader::new(), Leader::new());
        for _ in 0..100 {
            let write = random_write(&mut random, 3);
            let body = eager.ask(write.clone());
            eager.apply();
            assert_eq!(lazy.ask(write.clone()), body, "seed {seed}: {write:?}");
            match body {
                Body::Error(_) | Body::FailedMulti { .. } => failed += 1,
                _ => worked += 1,
            }
            for _ in 0..random.random_range(0..=lazy.proposed.len().min(3)) {
                lazy.apply();
            }
        }
        // What the session's end takes away is known as soon as it is proposed.
        eager.works(Write::CloseSession);
        eager.apply();
        lazy.works(Write::CloseSession);
        for path in ["/a", "/b", "/a/c", "/a/d", "/a/c/e"] {
            let look = || check(path, -1);
            assert_eq!(lazy.ask(look()), eager.ask(look()), "seed {seed}: {path}");
            eager.apply();
        }
        assert_eq!(eager.tree.ephemeral_count(), 0);
        lazy.apply_all();
        assert_eq!(eager.tree.image(), lazy.tree.image(), "seed {seed}");
        assert!(lazy.overlay.is_empty());
    }
    assert!(
        failed > 1000 && worked > 1000,
        "{failed} failed, {worked} worked"
    );
}

#[test]
fn sequence_numbers_count_every_create_under_the_parent_and_nothing_else() {
    let mut leader = Leader::new();
    leader.works(create("/q"));
    let name = |body| match body {
        Body::Create { path, .. } => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(name(leader.ask(create_as("/q/n-", 2))), "/q/n-0000000000");
    leader.fails(create("/q/n-0000000000"), ErrorCode::NodeExists);
    leader.works(create("/q/plain"));
    leader.works(delete("/q/plain", -1));
    let failed = Write::Multi(vec![create_as("/q/n-", 2), delete("/none", -1)]);
    assert_eq!(
        leader.ask(failed),
        Body::FailedMulti {
            operations: 2,
            failed: 1,
            code: ErrorCode::NoNode
        }
    );
    assert_eq!(name(leader.ask(create_as("/q/", 3))), "/q/0000000002");
    leader.apply_all();
    assert_eq!(name(leader.ask(create_as("/q/n-", 2))), "/q/n-0000000003");
}

#[test]
fn versions_are_checked_and_minus_one_always_fits() {
    let mut leader = Leader::new();
    leader.works(create("/v"));
    for (version, expected) in [
        (0, Ok(())),
        (1, Ok(())),
        (1, Err(())),
        (-1, Ok(())),
        (-2, Err(())),
    ] {
        match expected {
            Ok(()) => leader.works(set("/v", version)),
            Err(()) => leader.fails(set("/v", version), ErrorCode::BadVersion),
        }
    }
    leader.fails(delete("/v", 2), ErrorCode::BadVersion);
    leader.works(delete("/v", 3));
}

#[test]
fn ephemerals_have_no_children_and_go_with_their_session_even_if_only_proposed() {
    let mut leader = Leader::new();
    leader.works(create("/d"));
    leader.works(create_as("/d/applied", 1));
    leader.apply_all();
    leader.works(create_as("/d/proposed", 1));
    leader.fails(create("/d/proposed/x"), ErrorCode::NoChildrenForEphemerals);
    leader.works(create_as("/d/gone", 1));
    leader.works(delete("/d/gone", -1));
    leader.fails(delete("/d", -1), ErrorCode::NotEmpty);
    leader.works(Write::CloseSession);
    leader.fails(set("/d/applied", -1), ErrorCode::NoNode);
    leader.works(delete("/d", -1));
    leader.apply_all();
    assert!(leader.tree.get("/d").is_none());
    assert_eq!(leader.tree.ephemeral_count(), 0);
}

#[test]
fn a_multi_is_all_or_nothing() {
    let mut leader = Leader::new();
    leader.works(Write::Multi(vec![
        create("/m"),
        create("/m/a"),
        set("/m", 0),
        check("/m", 1),
    ]));
    let failing = Write::Multi(vec![
        delete("/m/a", 0),
        delete("/m", 1),
        set("/none", 0),
        create("/n"),
    ]);
    assert_eq!(
        leader.ask(failing),
        Body::FailedMulti {
            operations: 4,
            failed: 2,
            code: ErrorCode::NoNode
        }
    );
    leader.works(check("/m/a", 0));
    leader.works(Write::Multi(Vec::new()));
    let outcomes = leader.apply_all();
    assert_eq!(
        outcomes[1],
        Outcome::Multi(vec![
            Outcome::Failed(ErrorCode::Ok),
            Outcome::Failed(ErrorCode::Ok),
            Outcome::Failed(ErrorCode::NoNode),
            Outcome::Failed(ErrorCode::RuntimeInconsistency),
        ])
    );
    assert!(leader.tree.get("/n").is_none());
    assert!(leader.tree.get("/m/a").is_some());
}

#[test]
fn illegal_requests_have_zookeepers_codes() {
    let mut leader = Leader::new();
    for path in ["", "relative", "/nul\0"] {
        leader.fails(delete(path, -1), ErrorCode::BadArguments);
    }
    for path in ["/x/../y", "/trailing/"] {
        leader.fails(delete(path, -1), ErrorCode::NoNode);
    }
    for path in ["", "relative", "/x/../y", "/trailing/", "/nul\0"] {
        leader.fails(set(path, -1), ErrorCode::BadArguments);
    }
    leader.fails(create("relative"), ErrorCode::BadArguments);
    leader.fails(create("/."), ErrorCode::BadArguments);
    leader.fails(create("/"), ErrorCode::NodeExists);
    leader.fails(delete("/", -1), ErrorCode::BadArguments);
    leader.fails(delete("/zookeeper/quota", -1), ErrorCode::BadArguments);
    leader.fails(set("/zookeeper/config", -1), ErrorCode::NoAuth);
    leader.fails(create_as("/c", 5), ErrorCode::BadArguments);
    leader.fails(
        Write::Refused(ErrorCode::ReconfigDisabled),
        ErrorCode::ReconfigDisabled,
    );
    leader.fails(create_as("/c", 9), ErrorCode::BadArguments);
    for acl in [
        vec![],
        vec![Acl {
            scheme: "digest".into(),
            ..Acl::open()
        }],
    ] {
        leader.fails(
            Write::Create {
                path: "/c".into(),
                data: None,
                acl,
                flags: 0,
                ttl_ms: -1,
            },
            ErrorCode::InvalidAcl,
        );
    }
    let acl = vec![Acl::read_only(), Acl::open()];
    leader.works(Write::Create {
        path: "/c".into(),
        data: None,
        acl: acl.clone(),
        flags: 0,
        ttl_ms: -1,
    });
    leader.apply_all();
    assert_eq!(leader.tree.get("/c").unwrap().acl(), Some(&acl[..]));
}

fn entry(permissions: i32, scheme: &str, id: &str) -> Acl {
    Acl {
        permissions,
        scheme: scheme.into(),
        id: id.into(),
    }
}

fn set_acl(path: &str, acl: Vec<Acl>, version: i32) -> Write {
    Write::SetAcl {
        path: path.into(),
        acl,
        version,
    }
}

#[test]
fn access_control_lists_are_enforced_also_before_they_are_applied() {
    let mut leader = Leader::new();
    let me = crate::acl::digest("me:secret");
    leader.works(create("/d"));
    leader.works(create("/d/child"));
    leader.fails(
        set_acl("/d", vec![entry(31, "auth", "")], -1),
        ErrorCode::InvalidAcl,
    );
    leader.fails(
        set_acl("/d", vec![entry(31, "digest", &me)], 7),
        ErrorCode::BadVersion,
    );
    leader.works(set_acl("/d", vec![entry(31, "digest", &me)], 0));
    leader.fails(set_acl("/d", vec![Acl::open()], -1), ErrorCode::NoAuth);
    leader.fails(set("/d", -1), ErrorCode::NoAuth);
    leader.fails(check("/d", -1), ErrorCode::NoAuth);
    leader.fails(create("/d/x"), ErrorCode::NoAuth);
    leader.fails(delete("/d/child", -1), ErrorCode::NoAuth);
    leader.works(set("/d/child", -1));
    leader.apply_all();
    leader.fails(set("/d", -1), ErrorCode::NoAuth);
    crate::acl::authenticate(&mut leader.identity, "digest", Some(b"me:secret"), None).unwrap();
    leader.works(create("/d/x"));
    leader.works(delete("/d/x", -1));
    leader.works(set("/d", -1));
    let body = leader.ask(set_acl(
        "/d",
        vec![entry(1, "auth", ""), entry(1, "auth", "")],
        1,
    ));
    let kept = vec![entry(1, "digest", &me)];
    assert_eq!(
        body,
        Body::SetAcl {
            path: "/d".into(),
            acl: kept,
            version: 2
        }
    );
    leader.fails(set("/d", -1), ErrorCode::NoAuth);
    leader.apply_all();
    assert_eq!(leader.tree.get("/d").unwrap().stat().aversion, 2);
}

#[test]
fn containers_and_znodes_with_a_time_to_live_perish_when_their_time_has_come() {
    let mut leader = Leader::new();
    let ttl = |path: &str, flags, ttl_ms| Write::Create {
        path: path.into(),
        data: None,
        acl: vec![Acl::open()],
        flags,
        ttl_ms,
    };
    leader.fails(ttl("/t", 5, 0), ErrorCode::BadArguments);
    leader.fails(ttl("/t", 5, 1 << 40), ErrorCode::BadArguments);
    leader.fails(ttl("/t", 0, 100), ErrorCode::BadArguments);
    leader.works(ttl("/t", 5, 100));
    leader.works(ttl("/t/s-", 6, 50));
    leader.works(create_as("/c", 4));
    leader.works(create("/c/child"));
    leader.works(create_as("/unused", 4));
    leader.apply_all();
    let lifetime = |path| leader.tree.get(path).unwrap().lifetime();
    assert_eq!(lifetime("/t"), Lifetime::Ttl(100));
    assert_eq!(lifetime("/c"), Lifetime::Container);
    let due = |leader: &Leader, now_ms, never_used_ms| {
        let due = |path: &&str| {
            perish(&leader.tree, &leader.overlay, path, now_ms, never_used_ms).is_some()
        };
        let all = leader.tree.perishable().filter(due);
        all.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(due(&leader, 50, 0), [""; 0]);
    assert_eq!(due(&leader, 51, 0), ["/t/s-0000000000"]);
    assert_eq!(due(&leader, 1001, 1000), ["/t/s-0000000000", "/unused"]);
    leader.works(delete("/c/child", -1));
    leader.works(delete("/t/s-0000000000", -1));
    leader.apply_all();
    assert_eq!(due(&leader, 1000, 0), ["/c", "/t"]);
    // What is about to change is left alone.
    leader.now_ms = 1000;
    leader.works(set("/t", -1));
    leader.works(create("/c/again"));
    assert_eq!(due(&leader, 1000, 0), [""; 0]);
    leader.apply_all();
    assert_eq!(due(&leader, 1100, 0), [""; 0]);
    assert_eq!(due(&leader, 1101, 0), ["/t"]);
    let image = leader.tree.image();
    let restored = Tree::restore(&image).unwrap();
    assert!(restored.perishable().eq(leader.tree.perishable()));
    assert_eq!(restored.image(), image);
}

#[test]
fn hard_limits_of_the_nearest_quota_hold_and_its_counts_are_kept() {
    let mut leader = Leader::new();
    let data = |path: &str, data: &'static str| Write::Create {
        path: path.into(),
        data: Some(Bytes::from_static(data.as_bytes())),
        acl: vec![Acl::open()],
        flags: 0,
        ttl_ms: -1,
    };
    leader.works(data("/q", "12345"));
    leader.works(data("/zookeeper/quota/q", ""));
    let limits = "count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=3";
    leader.works(data("/zookeeper/quota/q/zookeeper_limits", limits));
    leader.works(data(
        "/zookeeper/quota/q/zookeeper_stats",
        "count=0,bytes=0",
    ));
    leader.apply_all();
    let counts = |leader: &Leader| {
        let view = leader
            .tree
            .get("/zookeeper/quota/q/zookeeper_stats")
            .unwrap();
        assert_eq!(view.stat().version, 0);
        String::from_utf8(view.data().unwrap().to_vec()).unwrap()
    };
    assert_eq!(counts(&leader), "count=1,bytes=5");
    leader.works(data("/q/a", "1234567890"));
    leader.apply_all();
    assert_eq!(counts(&leader), "count=2,bytes=15");
    leader.fails(data("/q/b", "123456"), ErrorCode::QuotaExceeded);
    leader.works(data("/q/b", "12345"));
    leader.apply_all();
    leader.fails(data("/q/c", ""), ErrorCode::QuotaExceeded);
    leader.works(data("/qq", "beside it, and as long as it likes"));
    leader.works(set("/q/a", -1));
    leader.works(delete("/q/b", -1));
    leader.apply_all();
    assert_eq!(counts(&leader), "count=2,bytes=5");
    let restored = Tree::restore(&leader.tree.image()).unwrap();
    assert!(!restored.is_within_quota("/q/x", 2, 0) && restored.is_within_quota("/q/x", 1, 0));
    leader.works(delete("/zookeeper/quota/q/zookeeper_limits", -1));
    leader.apply_all();
    leader.works(data("/q/c", "123456789012345678901234567890"));
    leader.apply_all();
    assert_eq!(counts(&leader), "count=2,bytes=5");
}
