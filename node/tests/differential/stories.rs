//! Scripts written by hand, each about one thing.

use crate::script::{Ask, Step, acl, open};

fn create(path: &str, flags: i32) -> Ask {
    Ask::Create {
        code: 15,
        path: path.into(),
        data: Some(b"data".to_vec()),
        acl: open(),
        flags,
        ttl: -1,
    }
}

fn set(path: &str) -> Ask {
    Ask::Set(path.into(), Some(b"more".to_vec()), -1)
}

fn read(code: i32, path: &str) -> Ask {
    Ask::Read(code, path.into(), false)
}

fn watch(code: i32, path: &str) -> Ask {
    Ask::Read(code, path.into(), true)
}

fn delete(path: &str) -> Ask {
    Ask::Delete(path.into(), -1)
}

/// One session asks all of this.
fn alone(asks: Vec<Ask>) -> Vec<Step> {
    let asks = asks.into_iter().map(|ask| Step::Ask(0, ask));
    std::iter::once(Step::Open).chain(asks).collect()
}

/// All of them, with their names. The first needs fresh servers.
pub(crate) fn all() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("ZooKeeper's own znodes", own_znodes()),
        ("a znode's whole life", whole_life()),
        ("containers and times to live", containers()),
        ("multis", multis()),
        ("access", access()),
        ("quotas", quotas()),
        ("watches", watches()),
        ("watches set again", watches_set_again()),
    ]
}

fn own_znodes() -> Vec<Step> {
    let mut asks = Vec::new();
    for path in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
        for code in [3, 4, 8, 12] {
            asks.push(read(code, path));
        }
        asks.push(Ask::GetAcl(path.into()));
        asks.push(Ask::Count(path.into()));
        asks.push(delete(path));
        asks.push(create(path, 0));
        asks.push(Ask::SetAcl(path.into(), open(), 99));
    }
    asks.push(set("/zookeeper/config"));
    asks.push(set("/zookeeper"));
    asks.push(Ask::SetAcl("/zookeeper/config".into(), open(), -1));
    asks.push(create("/zookeeper/mine", 0));
    asks.push(read(3, "/zookeeper"));
    asks.push(delete("/zookeeper/mine"));
    asks.push(read(12, "/"));
    asks.push(Ask::Auth("digest", "super:test".into()));
    asks.push(Ask::WhoAmI);
    asks.push(Ask::SetAcl(
        "/zookeeper/config".into(),
        vec![acl(1, "world", "anyone")],
        -1,
    ));
    asks.push(read(4, "/zookeeper/config"));
    alone(asks)
}

fn whole_life() -> Vec<Step> {
    let asks = vec![
        create("/life", 0),
        create("/life", 0),
        read(4, "/life"),
        set("/life"),
        Ask::Set("/life".into(), None, 1),
        read(4, "/life"),
        Ask::Set("/life".into(), None, 1),
        create("/life/child", 0),
        create("/life/child/grandchild", 0),
        create("/life/e", 1),
        create("/life/e/child", 0),
        create("/life/s-", 2),
        create("/life/s-", 3),
        create("/life/", 2),
        Ask::Ephemerals("/".into()),
        Ask::Ephemerals("/life/s".into()),
        read(12, "/life"),
        Ask::Count("/life".into()),
        delete("/life/child"),
        delete("/life/child/grandchild"),
        delete("/life/child"),
        delete("/life/child"),
        read(12, "/life"),
        delete("/life/e"),
        Ask::Delete("/life".into(), 0),
        Ask::Sync("/life".into()),
        Ask::Reconfig,
        Ask::Ping,
        Ask::Close,
    ];
    alone(asks)
}

fn containers() -> Vec<Step> {
    let create = |code, path: &str, flags, ttl| Ask::Create {
        code,
        path: path.into(),
        data: None,
        acl: open(),
        flags,
        ttl,
    };
    let mut asks = vec![
        create(19, "/c", 4, -1),
        create(21, "/t", 5, 1000),
        create(21, "/t/s-", 6, 12345),
        create(19, "/c/c", 4, -1),
        create(1, "/c/c/e", 1, -1),
        create(19, "/c/c/e/c", 4, -1),
        read(3, "/c"),
        read(3, "/t"),
        read(4, "/t/s-0000000000"),
        Ask::Multi(vec![
            create(19, "/m", 4, -1),
            create(21, "/m/t", 5, 7),
            create(15, "/m/p", 0, -1),
        ]),
        read(12, "/m"),
    ];
    for (flags, ttl) in [
        (5, 0),
        (5, -1),
        (5, -5),
        (6, 1 << 40),
        (5, i64::MAX),
        (0, 1),
        (1, 5),
        (4, 1),
        (9, 1),
    ] {
        asks.push(create(21, "/x", flags, ttl));
    }
    alone(asks)
}

fn multis() -> Vec<Step> {
    let check = |path: &str, version| Ask::Check(path.into(), version);
    let asks = vec![
        Ask::Multi(vec![]),
        Ask::Multi(vec![
            create("/m", 0),
            create("/m/a", 0),
            set("/m"),
            check("/m", 1),
            delete("/m/a"),
        ]),
        read(12, "/m"),
        Ask::Multi(vec![create("/m/b", 0), check("/m", 9), create("/m/c", 0)]),
        Ask::Multi(vec![
            create("/m/s-", 2),
            create("/m/s-", 3),
            delete("/none"),
        ]),
        create("/m/s-", 2),
        Ask::Multi(vec![create("/m/s-", 2), create("/m/s-", 3)]),
        Ask::Multi(vec![delete("/m")]),
        Ask::Multi(vec![read(4, "/m")]),
        Ask::Multi(vec![create("/m/x", 0), Ask::Unknown(99)]),
        Ask::Multi(vec![Ask::SetAcl("/m".into(), open(), -1)]),
        Ask::MultiRead(vec![]),
        Ask::MultiRead(vec![
            read(4, "/m"),
            read(8, "/m"),
            read(4, "/none"),
            read(8, "/"),
        ]),
        Ask::MultiRead(vec![read(3, "/m")]),
        Ask::MultiRead(vec![read(4, "/m"), delete("/m")]),
        read(3, "/m"),
    ];
    alone(asks)
}

fn access() -> Vec<Step> {
    let kinds = [
        vec![acl(31, "auth", "")],
        vec![acl(1, "world", "anyone"), acl(30, "auth", "")],
        vec![acl(31, "ip", "127.0.0.1")],
        vec![acl(31, "ip", "127.0.0.0/8"), acl(1, "world", "anyone")],
        vec![acl(31, "ip", "127.0.0.1/33")],
        vec![acl(31, "ip", "10.0.0.1")],
        vec![acl(31, "digest", "a:b:c")],
        vec![acl(31, "digest", ":b")],
        vec![acl(31, "digest", "a:b:")],
        vec![acl(31, "digest", "a:")],
        vec![acl(0, "world", "anyone")],
        vec![acl(64, "world", "anyone")],
        vec![acl(31, "x509", "CN=a")],
        vec![],
    ];
    let mut script = vec![Step::Open, Step::Open];
    script.push(Step::Ask(0, Ask::Auth("digest", "me:secret".into())));
    script.push(Step::Ask(0, Ask::WhoAmI));
    for (n, list) in kinds.into_iter().enumerate() {
        let path = format!("/acl{n}");
        script.push(Step::Ask(0, create(&path, 0)));
        script.push(Step::Ask(1, Ask::SetAcl(path.clone(), list.clone(), 5)));
        script.push(Step::Ask(0, Ask::SetAcl(path.clone(), list, 0)));
        for session in [1, 0] {
            script.push(Step::Ask(session, Ask::GetAcl(path.clone())));
            for code in [3, 4, 8, 12] {
                script.push(Step::Ask(session, read(code, &path)));
            }
            script.push(Step::Ask(session, set(&path)));
            script.push(Step::Ask(session, Ask::Count(path.clone())));
            script.push(Step::Ask(session, create(&format!("{path}/c"), 0)));
            script.push(Step::Ask(
                session,
                Ask::Multi(vec![Ask::Check(path.clone(), -1)]),
            ));
            script.push(Step::Ask(session, delete(&format!("{path}/c"))));
        }
        script.push(Step::Ask(1, Ask::SetAcl(path.clone(), open(), -1)));
    }
    script.push(Step::Ask(1, Ask::Auth("ip", "".into())));
    script.push(Step::Ask(1, Ask::WhoAmI));
    script.push(Step::Ask(1, Ask::Auth("digest", "super:test".into())));
    script.push(Step::Ask(1, read(4, "/acl10")));
    script.push(Step::Ask(1, Ask::Auth("world", "anyone".into())));
    script.push(Step::Open);
    script.push(Step::Ask(2, Ask::Unknown(99)));
    script
}

fn watches() -> Vec<Step> {
    let mut script = vec![Step::Open, Step::Open];
    let mut one = |ask| script.push(Step::Ask(0, ask));
    for ask in [
        watch(3, "/w"),
        watch(4, "/w"),
        watch(8, "/w"),
        create("/w", 0),
        set("/w"),
    ] {
        one(ask);
    }
    for code in [3, 4, 8, 12] {
        for change in [set("/w"), create("/w/c", 0), set("/w/c"), delete("/w/c")] {
            one(watch(code, "/w"));
            one(change);
        }
    }
    for ask in [
        watch(4, "/w"),
        watch(8, "/w"),
        watch(8, "/"),
        delete("/w"),
        create("/w", 0),
    ] {
        one(ask);
    }
    one(Ask::AddWatch("/p".into(), 0));
    one(Ask::AddWatch("/r".into(), 1));
    for root in ["/p", "/r"] {
        let below = format!("{root}/a");
        for _ in 0..2 {
            for ask in [
                create(root, 0),
                set(root),
                create(&below, 0),
                set(&below),
                delete(&below),
                delete(root),
            ] {
                one(ask);
            }
            let parts = vec![
                create(root, 0),
                create(&below, 0),
                set(root),
                delete(&below),
                delete(root),
            ];
            one(Ask::Multi(parts));
        }
        for which in [1, 2, 3] {
            one(Ask::AboutWatch(17, root.into(), which));
            one(Ask::AboutWatch(18, root.into(), which));
            one(Ask::AboutWatch(17, root.into(), which));
            one(create(root, 0));
            one(delete(root));
        }
    }
    script.push(Step::Ask(0, watch(3, "/e")));
    script.push(Step::Ask(0, watch(8, "/")));
    script.push(Step::Ask(1, create("/e", 1)));
    script.push(Step::Ask(0, watch(4, "/e")));
    script.push(Step::Ask(0, watch(8, "/")));
    script.push(Step::Ask(1, Ask::Close));
    script.push(Step::Ask(0, Ask::Ping));
    script
}

fn watches_set_again() -> Vec<Step> {
    let paths = ["/a", "/b", "/c", "/none", "/born"];
    let all = || {
        paths
            .iter()
            .map(|path| (*path).to_owned())
            .collect::<Vec<_>>()
    };
    let mut script = vec![Step::Open, Step::Open];
    for path in ["/a", "/b", "/c"] {
        script.push(Step::Ask(0, create(path, 0)));
    }
    for seen in [0, 3, 5, 7, 9, 100] {
        for lists in [
            vec![all(), vec![], vec![]],
            vec![vec![], all(), vec![]],
            vec![vec![], vec![], all()],
        ] {
            script.push(Step::Ask(0, Ask::SetWatches(seen, lists)));
            script.push(Step::Ask(1, set("/a")));
            script.push(Step::Ask(1, create("/b/child", 0)));
            script.push(Step::Ask(1, delete("/b/child")));
            script.push(Step::Ask(1, create("/born", 0)));
            script.push(Step::Ask(0, Ask::Ping));
            script.push(Step::Ask(1, delete("/born")));
            script.push(Step::Reconnect(0));
        }
    }
    let lists = vec![vec![], vec![], vec![], vec!["/a".into()], vec!["/b".into()]];
    script.push(Step::Ask(0, Ask::SetWatches(0, lists)));
    for ask in [
        set("/a"),
        set("/b"),
        create("/b/x", 0),
        create("/a/x", 0),
        set("/a/x"),
        set("/b/x"),
    ] {
        script.push(Step::Ask(0, ask));
    }
    script
}

fn quotas() -> Vec<Step> {
    let create = |path: &str, data: &str| Ask::Create {
        code: 15,
        path: path.into(),
        data: Some(data.as_bytes().to_vec()),
        acl: open(),
        flags: 0,
        ttl: -1,
    };
    let put = |path: &str, data: &str| Ask::Set(path.into(), Some(data.as_bytes().to_vec()), -1);
    let mut asks = vec![
        create("/q", "12345"),
        create("/q/in", "123"),
        create("/q/in/deep", "12"),
    ];
    for (path, limits) in [
        ("/q", "count=4,bytes=-1=;byteHardLimit=40;countHardLimit=6"),
        ("/q/in", "count=1,bytes=1"),
        ("/none", "count=1,bytes=1=;countHardLimit=2"),
    ] {
        let quota = format!("/zookeeper/quota{path}");
        asks.push(create(&quota, ""));
        asks.push(create(&format!("{quota}/zookeeper_limits"), limits));
        asks.push(create(
            &format!("{quota}/zookeeper_stats"),
            "count=0,bytes=0",
        ));
    }
    let counts = ["/q", "/q/in", "/none"]
        .map(|path| read(4, &format!("/zookeeper/quota{path}/zookeeper_stats")));
    for change in [
        create("/q/a", "1234567890"),
        create("/q/b", "1234567890"),
        put("/q/a", "12345678901234567890"),
        put("/q/a", "123456789012345678901234567890"),
        put("/q/a", ""),
        Ask::Set("/q/a".into(), None, 99),
        Ask::Set("/q/a".into(), None, -1),
        create(
            "/q/in/x",
            "as much as it likes, because its limits are soft",
        ),
        create("/q/c", ""),
        create("/q/d", ""),
        create("/q/e", ""),
        create("/q/f", ""),
        Ask::Multi(vec![delete("/q/c"), create("/q/g", "")]),
        create("/none", ""),
        create("/none/a", ""),
        create("/none/b", ""),
        delete("/q/in/x"),
        delete("/q/in/deep"),
        put(
            "/zookeeper/quota/q/zookeeper_limits",
            "count=-1,bytes=-1=;countHardLimit=100",
        ),
        create("/q/h", "12345678901234567890123456789012345678901234567890"),
        put("/zookeeper/quota/q/zookeeper_stats", "count=90,bytes=5"),
        create("/q/i", "123"),
        delete("/zookeeper/quota/q/in/zookeeper_limits"),
        create("/q/in/y", "123"),
        delete("/zookeeper/quota/q/zookeeper_limits"),
        create("/q/j", "123"),
        delete("/zookeeper/quota/none/zookeeper_stats"),
        create("/none/c", "123"),
    ] {
        asks.push(change);
        asks.extend(counts.clone());
    }
    alone(asks)
}
