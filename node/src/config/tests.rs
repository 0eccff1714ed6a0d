//! Configurations as users write them, right and wrong.

use super::*;

fn parse(text: &str) -> Result<NodeConfig, String> {
    NodeConfig::parse(Path::new("n.toml"), text).map_err(|e| e.to_string())
}

const SMALL: &str = r#"
    id = 2
    data_dir = "d"
    members = [
        { id = 1, peer_address = "127.0.0.1:1", client_address = "127.0.0.1:2" },
        { id = 2, peer_address = "127.0.0.1:3", client_address = "127.0.0.1:4", role = "voter" },
    ]
"#;

#[test]
fn the_example_is_legal_and_shows_the_defaults() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(
        (config.timing, config.log, config.limits),
        Default::default()
    );
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = parse(SMALL).unwrap();
    assert_eq!(config.client_address, "127.0.0.1:4".parse().unwrap());
    assert_eq!(config.peer_address, "127.0.0.1:3".parse().unwrap());
    assert_eq!(
        config.dial_address(&config.members[&NodeId(1)]),
        "127.0.0.1:1".parse().unwrap()
    );
    assert_eq!(config.timing, Timing::default());
}

#[test]
fn a_dial_address_stands_in_for_the_members_address() {
    let config = parse(&format!("{SMALL}\n[dial]\n\"1\" = \"127.0.0.1:9\"")).unwrap();
    assert_eq!(
        config.dial_address(&config.members[&NodeId(1)]),
        "127.0.0.1:9".parse().unwrap()
    );
}

#[test]
fn errors_name_file_key_and_what_is_legal() {
    for (text, parts) in [
        (
            SMALL.replace("id = 2\n", "id = 255\n"),
            ["n.toml", "id = 255", "1 to 254"],
        ),
        (
            SMALL.replace("id = 2\n", "id = 3\n"),
            ["n.toml", "id = 3", "one of the members"],
        ),
        (
            SMALL.replace("id = 1,", "id = 2,"),
            ["n.toml", "members.id = 2", "unique"],
        ),
        (
            SMALL.replace(":3", ":1"),
            ["n.toml", "127.0.0.1:1", "unique"],
        ),
        (SMALL.replace("voter", "king"), ["n.toml", "king", "voter"]),
        (
            SMALL.replace("data_dir", "dtaa_dir"),
            ["n.toml", "dtaa_dir", "data_dir"],
        ),
        (
            format!("{SMALL}\n[dial]\n2 = \"127.0.0.1:9\""),
            ["n.toml", "dial.2", "itself"],
        ),
        (
            format!("{SMALL}\n[dial]\n7 = \"127.0.0.1:9\""),
            ["n.toml", "dial.7", "id of a member"],
        ),
        (
            format!("{SMALL}\n[timing]\ntick_ms = 0"),
            ["n.toml", "timing.tick_ms = 0", "at least 10"],
        ),
    ] {
        let error = parse(&text).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
}

/// A directory with `zoo.cfg` and perhaps `myid`; `DIR` in the text is the directory.
fn zoo(text: &str, myid: Option<&str>) -> Result<Zoo, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zoo.cfg");
    let text = text.replace("DIR", &dir.path().display().to_string());
    std::fs::write(&path, text).unwrap();
    if let Some(myid) = myid {
        std::fs::write(dir.path().join("myid"), myid).unwrap();
    }
    Zoo::read(&path).map_err(|e| e.to_string())
}

const ENSEMBLE: &str = "# three
tickTime=2000
initLimit = 10
syncLimit: 5
dataDir=DIR
clientPort=2181
server.1=127.0.0.1:2888:3888
server.2=127.0.0.2:2888:3888:participant;2182
server.3=[::1]:2888:3888;127.0.0.3:2183
maxClientCnxns=7
4lw.commands.whitelist=mntr, ruok
";

/// The options without effect, but for the `syncLimit` above.
fn others(zoo: &Zoo) -> Vec<String> {
    let all = zoo.without_effect.iter();
    all.filter(|note| !note.starts_with("syncLimit"))
        .cloned()
        .collect()
}

#[test]
fn zookeepers_own_configuration_is_taken_over() {
    let zoo = zoo(ENSEMBLE, Some("2\n")).unwrap();
    assert_eq!(
        zoo.without_effect,
        [
            "syncLimit=5 (line 4): leader and followers bear silence for 800 ms and no longer, unless keelhaul.timing.sync_limit_ms says \
             otherwise"
        ]
    );
    let config = zoo.config;
    assert_eq!(config.id, NodeId(2));
    assert!(config.data_dir.ends_with("keelhaul"));
    assert_eq!(config.client_address, "0.0.0.0:2181".parse().unwrap());
    assert_eq!(config.peer_address, "127.0.0.2:2888".parse().unwrap());
    let third = &config.members[&NodeId(3)];
    assert_eq!(third.peer_address, "[::1]:2888".parse().unwrap());
    assert_eq!(third.client_address, "127.0.0.3:2183".parse().ok());
    assert_eq!(
        crate::ensemble::text(&config.members),
        "server.1=127.0.0.1:2888:3888:participant\n\
         server.2=127.0.0.2:2888:3888:participant;0.0.0.0:2182\n\
         server.3=[::1]:2888:3888:participant;127.0.0.3:2183\n"
    );
    let limits = &config.limits;
    assert_eq!(
        (limits.session_timeout_min_ms, limits.session_timeout_max_ms),
        (4000, 40_000)
    );
    assert_eq!(
        (limits.connections_per_address, limits.frame_bytes),
        (7, 0xf_ffff)
    );
    assert!(config.admin.answers("mntr") && config.admin.answers("srvr"));
    assert!(!config.admin.answers("conf"));
    assert_eq!(
        (config.timing.sync_limit_ms, config.timing.init_limit_ms),
        (800, 20_000)
    );
}

#[test]
fn names_of_other_hosts_are_looked_up_when_they_are_needed() {
    let text = ENSEMBLE.replace("127.0.0.1", "no.such.host.invalid");
    let config = zoo(&text, Some("2")).unwrap().config;
    let first = &config.members[&NodeId(1)];
    assert_eq!(first.peer_address.to_string(), "no.such.host.invalid:2888");
    assert_eq!(first.client_address, None, "only server 1 knows");
    let error = zoo(&text, Some("1")).unwrap_err();
    for part in ["server.1", "no.such.host.invalid", "must have an address"] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    let named = SMALL.replace("127.0.0.1:3", "n2.example:3");
    let error = parse(&named).unwrap_err();
    assert!(error.contains("peer_address = n2.example:3"), "{error}");
    let config = parse(&format!("peer_address = \"0.0.0.0:3\"\n{named}")).unwrap();
    assert_eq!(config.peer_address, "0.0.0.0:3".parse().unwrap());
}

#[test]
fn observers_are_taken_from_the_lines_of_the_servers() {
    let text = format!("{ENSEMBLE}server.4=127.0.0.4:2888:3888:observer;127.0.0.4:2184\n");
    let read = |more: &str, id: &str| zoo(&format!("{text}{more}\n"), Some(id)).unwrap();
    let found = read("peerType=observer", "4");
    assert_eq!(found.config.members[&NodeId(4)].role, Role::Observer);
    assert_eq!(others(&found), [""; 0]);
    let members = found.config.zab_members();
    assert_eq!(members.voters, [1, 2, 3].map(NodeId).into());
    assert_eq!(members.observers, [NodeId(4)].into());
    assert_eq!(others(&read("peerType=participant", "1")), [""; 0]);
    for (more, id, part) in [
        ("peerType=observer", "1", "server.1 has no :observer"),
        ("peerType=participant", "4", "server.4 has :observer"),
    ] {
        let named = others(&read(more, id));
        assert!(named.len() == 1 && named[0].contains(part), "{named:?}");
    }
    let alone = "dataDir=DIR\nclientPort=2181\nserver.1=127.0.0.1:2888:3888:observer\n";
    let error = zoo(alone, Some("1")).unwrap_err();
    assert!(
        error.contains("at least one member must be a voter"),
        "{error}"
    );
}

#[test]
fn the_nodes_own_options_can_stand_in_zoo_cfg() {
    let text = format!(
        "{ENSEMBLE}keelhaul.log.segment_bytes=4096\nkeelhaul.log.window = 7\nkeelhaul.timing.tick_ms=50\nkeelhaul.cluster=blue\n\
         reconfigEnabled=true\nkeelhaul.reconfig.lend_seats=true\nkeelhaul.warn.act=false\nsnapCount=60\n"
    );
    let found = zoo(&text, Some("1")).unwrap();
    assert_eq!(others(&found), [""; 0]);
    let config = found.config;
    assert_eq!(
        config.log,
        Log {
            snapshot_every: 60,
            segment_bytes: 4096,
            window: 7,
            ..Log::default()
        }
    );
    assert_eq!(
        (config.timing.tick_ms, config.timing.sync_limit_ms),
        (50, 800)
    );
    assert_eq!(config.cluster, "blue");
    assert!(config.reconfig.enabled && config.reconfig.lend_seats && !config.warn.act);
}

#[test]
fn one_server_needs_no_myid() {
    let config = zoo(
        "dataDir=DIR\nclientPort=2181\nclientPortAddress=127.0.0.1\n",
        None,
    )
    .unwrap()
    .config;
    assert_eq!((config.id, config.members.len()), (NodeId(1), 1));
    assert_eq!(config.client_address, "127.0.0.1:2181".parse().unwrap());
}

#[test]
fn options_of_zookeeper_without_effect_are_named() {
    let text = format!(
        "{ENSEMBLE}autopurge.purgeInterval=1\nadmin.idleTimeout=30000\nfrobnicate=9\nadmin.portUnification=false\ndataLogDir=/elsewhere\n"
    );
    let named = others(&zoo(&text, Some("1")).unwrap());
    for (n, part) in [
        "autopurge.purgeInterval=1 (line 12)",
        "admin.idleTimeout",
        "does not know",
        "admin.portUnification",
        "dataLogDir",
    ]
    .iter()
    .enumerate()
    {
        assert!(named[n].contains(part), "{part:?} is not in {named:?}");
    }
    assert_eq!(named.len(), 5);
}

#[test]
fn the_admin_server_prometheus_and_read_only_mode_are_as_zoo_cfg_says() {
    let admin =
        |text: &str| zoo(&format!("{ENSEMBLE}{text}\n"), Some("1")).map(|zoo| zoo.config.admin);
    let address = |text: &str| Some(text.parse().unwrap());
    let default = admin("").unwrap();
    let read_only = |text: &str| {
        zoo(&format!("{ENSEMBLE}{text}\n"), Some("1"))
            .unwrap()
            .config
            .read_only
    };
    assert!(
        read_only("readonlymode.enabled=true")
            && !read_only("readonlymode.enabled=false")
            && !read_only("")
    );
    assert_eq!(
        (default.address, default.address_is_implied),
        (address("127.0.0.1:8080"), true)
    );
    assert_eq!(
        (default.metrics_address, default.command_url.as_str()),
        (None, "/commands")
    );
    assert_eq!(admin("admin.enableServer=false").unwrap().address, None);
    let given =
        admin("admin.serverPort=9\nadmin.serverAddress=0.0.0.0\nadmin.commandURL=/zk").unwrap();
    assert_eq!(
        (given.address, given.address_is_implied),
        (address("0.0.0.0:9"), false)
    );
    assert_eq!(given.command_url, "/zk");
    let provider = "metricsProvider.className=org.apache.zookeeper.metrics";
    let given = admin(&format!("{provider}.prometheus.PrometheusMetricsProvider")).unwrap();
    assert_eq!(given.metrics_address, address("0.0.0.0:7000"));
    let given = admin(&format!(
        "{provider}.prometheus.PrometheusMetricsProvider\nmetricsProvider.httpPort=7\nmetricsProvider.httpHost=127.0.0.2"
    ));
    assert_eq!(given.unwrap().metrics_address, address("127.0.0.2:7"));
    assert_eq!(
        admin(&format!("{provider}.impl.DefaultMetricsProvider"))
            .unwrap()
            .metrics_address,
        None
    );
    for (text, part) in [
        (
            "metricsProvider.className=my.Provider",
            "PrometheusMetricsProvider",
        ),
        ("admin.commandURL=zk", "admin.commandURL (line 12) = zk"),
        ("admin.commandURL=/metrics", "admin.commandURL (line 12)"),
        ("admin.serverPort=x", "a port is"),
        ("admin.forceHttps=true", "TLS"),
        (
            "admin.serverPort=2181",
            "admin.serverPort (line 12) = 127.0.0.1:2181: another",
        ),
    ] {
        let error = admin(text).unwrap_err();
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn sasl_is_as_zoo_cfg_says() {
    let dir = tempfile::tempdir().unwrap();
    let jaas = dir.path().join("jaas.conf");
    let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
    std::fs::write(
        &jaas,
        format!("Server {{ {module} required user_bob=\"b\"; }};"),
    )
    .unwrap();
    let text = format!(
        "{ENSEMBLE}java.security.auth.login.config={}\nauthProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
         sessionRequireClientSASLAuth=true\nSASLAuthenticationProvider.superPassword=s\nsuperUser.1=bob\nrequireClientAuthScheme=sasl\n",
        jaas.display()
    );
    let found = zoo(&text, Some("1")).unwrap();
    let security = &found.config.security;
    let users = [("bob", "b"), ("super", "s")];
    assert_eq!(
        security.sasl.users.0,
        users
            .map(|(name, password)| (name.to_owned(), password.to_owned()))
            .into()
    );
    assert_eq!(
        (&security.require, &security.sasl.super_users),
        (&vec!["sasl".to_owned()], &vec!["bob".to_owned()])
    );
    assert!(found.config.schemes().sasl);
    assert_eq!(others(&found).len(), 2, "{:?}", found.without_effect);
    for (text, problem) in [
        (
            "sessionRequireClientSASLAuth=true",
            "enforce.auth.schemes = sasl: it needs users",
        ),
        (
            "java.security.auth.login.config=/no/such/file",
            "/no/such/file",
        ),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=kerberos",
            "digest, sasl and x509",
        ),
        ("authProvider.2=my.Provider", "no provider can be loaded"),
        ("sasl.serverconfig=Zk", "Server: rename it"),
    ] {
        let error = zoo(&format!("{ENSEMBLE}{text}\n"), Some("1")).unwrap_err();
        assert!(error.contains(problem), "{problem:?} is not in {error:?}");
    }
}

#[test]
fn tls_is_as_zoo_cfg_says() {
    let text = format!(
        "{ENSEMBLE}secureClientPort=2281\nssl.keyStore.location=/k/n1.pem\nssl.keyStore.password=x\nssl.trustStore.location=/k/ca\n\
         ssl.trustStore.type=PEM\nssl.clientAuth=want\nssl.enabledProtocols=TLSv1.3\nssl.crl=false\n\
         X509AuthenticationProvider.superUser=CN=admin\nsslQuorum=true\nssl.quorum.keyStore.location=/q/n1.pem\n\
         ssl.quorum.trustStore.location=/q/ca.pem\nssl.quorum.hostnameVerification=false\n"
    );
    let found = zoo(&text, Some("1")).unwrap();
    let keys = |certificate: &str, trust: &str| Keys {
        certificate: certificate.into(),
        key: None,
        trust: Some(trust.into()),
    };
    let clients = found.config.tls.clients.unwrap();
    assert_eq!(clients.address, "0.0.0.0:2281".parse().unwrap());
    assert_eq!(clients.keys, keys("/k/n1.pem", "/k/ca"));
    assert_eq!(clients.auth, ClientAuth::Want);
    assert_eq!(clients.super_subject.as_deref(), Some("CN=admin"));
    let peers = found.config.tls.peers.unwrap();
    assert_eq!(peers.keys, keys("/q/n1.pem", "/q/ca.pem"));
    assert!(!peers.verify_names);
    assert!(peers.hosts.is_empty(), "the lines name the hosts");
    let named = found.without_effect.join("\n");
    for part in ["ssl.keyStore.password", "ssl.enabledProtocols", "ssl.crl"] {
        assert!(named.contains(part), "{part} is not in {named}");
    }
}

#[test]
fn options_of_zookeeper_that_promise_what_is_not_kept_are_refused_with_their_line() {
    for (text, myid, parts) in [
        (
            "secureClientPort=2281",
            "1",
            ["ssl.keyStore.location", "PEM"],
        ),
        (
            "secureClientPort=2281\nssl.keyStore.location=k.jks",
            "1",
            ["ssl.keyStore.location (line 13) = k.jks", "keytool"],
        ),
        (
            "secureClientPort=2281\nssl.keyStore.location=k.pem",
            "1",
            ["ssl.trustStore.location", "none"],
        ),
        (
            "sslQuorum=true\nssl.quorum.keyStore.location=k.pem",
            "1",
            ["ssl.quorum.trustStore.location", "PEM"],
        ),
        ("ssl.crl=true", "1", ["ssl.crl (line 12)", "revocation"]),
        (
            "ssl.context.supplier.class=x.Y",
            "1",
            ["ssl.context.supplier.class", "remove"],
        ),
        (
            "portUnification=true",
            "1",
            ["portUnification (line 12)", "TLS"],
        ),
        (
            "authProvider.1=x.SASLAuthenticationProvider",
            "1",
            ["authProvider.1", "no provider"],
        ),
        ("group.1=1:2:3", "1", ["group.1", "majorities"]),
        (
            "peerType=viewer",
            "1",
            ["peerType", "participant or observer"],
        ),
        (
            "server.4=127.0.0.4:2888:3888:viewer",
            "1",
            ["server.4", "participant or observer"],
        ),
        (
            "server.4=127.0.0.4:2888",
            "1",
            ["server.4", "host:peerPort:electionPort"],
        ),
        (
            "server.4=no such host:1:2",
            "1",
            ["server.4", "host:peerPort"],
        ),
        (
            "tickTime=fast",
            "1",
            ["tickTime (line 12) = fast", "whole number"],
        ),
        ("", "255", ["myid has this server's id = 255", "1 to 254"]),
        (
            "",
            "9",
            ["myid has this server's id = 9", "must have a line server.9"],
        ),
        ("", "one", ["myid has this server's id = one", "1 to 254"]),
        (
            "dynamicConfigFile=/no/such",
            "1",
            ["/no/such", "dynamicConfigFile"],
        ),
        (
            "keelhaul.log.segment=9",
            "1",
            ["keelhaul.log.segment (line 12)", "segment_bytes"],
        ),
        (
            "keelhaul.log.segment_bytes=nine",
            "1",
            ["keelhaul.log.segment_bytes (line 12)", "string \"nine\""],
        ),
        (
            "keelhaul.log.segment_bytes=9",
            "1",
            ["keelhaul.log.segment_bytes (line 12) = 9", "at least 4096"],
        ),
        (
            "keelhaul.logs.window=9",
            "1",
            ["keelhaul.logs.window (line 12)", "keelhaul.SECTION.KEY"],
        ),
        (
            "keelhaul.security.super_digest=x",
            "1",
            [
                "keelhaul.security.super_digest (line 12)",
                "is DigestAuthenticationProvider.superDigest",
            ],
        ),
        (
            "DigestAuthenticationProvider.superDigest=super:x",
            "1",
            ["superDigest (line 12) = super:x", "keelhaul-node digest"],
        ),
        (
            "minSessionTimeout=9000\nmaxSessionTimeout=8000",
            "1",
            [
                "maxSessionTimeout (line 13) = 8000",
                "at least minSessionTimeout, which is 9000",
            ],
        ),
        (
            "group.1=1:2:3\nssl.crl=true",
            "1",
            ["group.1 (line 12)", "ssl.crl (line 13)"],
        ),
    ] {
        let error = zoo(&format!("{ENSEMBLE}{text}\n"), Some(myid)).unwrap_err();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    }
    let error = zoo(ENSEMBLE, None).unwrap_err();
    assert!(
        error.contains("myid") && error.contains("server.N"),
        "{error}"
    );
    let error = zoo("clientPort=1", None).unwrap_err();
    assert!(error.contains("dataDir"), "{error}");
}

#[test]
fn what_is_wrong_is_said_of_the_line_that_says_it() {
    for (text, part) in [
        (
            "syncLimit=0",
            "syncLimit (line 12) = 0: a whole number from 1 ",
        ),
        (
            "initLimit=0",
            "initLimit (line 12) = 0: a whole number from 1 ",
        ),
        (
            "tickTime=-1",
            "tickTime (line 12) = -1: a whole number from 1 ",
        ),
        (
            "initLimit=9223372036854775",
            "initLimit (line 12) = 9223372036854775: a whole number from 1 to 2147483647",
        ),
        (
            "initLimit=2147483647",
            "initLimit (line 12) = 2147483647: with tickTime = 2000 that is 4294967294000 ms; 20 to",
        ),
        (
            "tickTime=9999999999999999999",
            "tickTime (line 12) = 9999999999999999999: a whole number",
        ),
        (
            "tickTime=1",
            "syncLimit (line 4) = 5: with tickTime = 1 that is 5 ms; 20 to",
        ),
        (
            "jute.maxbuffer=18446744073709551615",
            "jute.maxbuffer (line 12) = 18446744073709551615: a whole number",
        ),
        (
            "keelhaul.timing.sync_limit_ms=0",
            "keelhaul.timing.sync_limit_ms (line 12) = 0: at least twice keelhaul.timing.tick_ms, which is 100",
        ),
        (
            "keelhaul.timing.tick_ms=900",
            "syncLimit (line 4) = 5 (800 ms here): at least twice keelhaul.timing.tick_ms, which is 900",
        ),
        (
            "keelhaul.timing.sync_limit_ms=9223372036854775807",
            "keelhaul.timing.sync_limit_ms (line 12) = 9223372036854775807: at most 2147483647",
        ),
        (
            "keelhaul.log.window=18446744073709551615",
            "keelhaul.log.window (line 12) = 18446744073709551615: a whole number up to 9223372036854775807",
        ),
        (
            "keelhaul.timing.sync_limit_ms=30000",
            "initLimit (line 3) = 10 (20000 ms here): at least keelhaul.timing.sync_limit_ms, which is 30000",
        ),
        (
            "keelhaul.limits.session_timeout_min_ms=50000",
            "maxSessionTimeout = 40000: at least keelhaul.limits.session_timeout_min_ms, which is 50000",
        ),
    ] {
        let error = zoo(&format!("{ENSEMBLE}{text}\n"), Some("1")).unwrap_err();
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    let error = zoo("clientPort=1\n", None).unwrap_err();
    assert!(
        error.ends_with("zoo.cfg has no dataDir: it must be given"),
        "{error}"
    );
    let error = zoo("dataDir=DIR\n", None).unwrap_err();
    assert!(
        error.ends_with("has no clientPort: a port must be given"),
        "{error}"
    );
}

#[test]
fn a_minus_one_is_what_it_is_to_zookeeper() {
    let text = format!("{ENSEMBLE}minSessionTimeout=-1\nmaxSessionTimeout=-1\nmaxClientCnxns=-1\n");
    let limits = zoo(&text, Some("1")).unwrap().config.limits;
    assert_eq!(
        (limits.session_timeout_min_ms, limits.session_timeout_max_ms),
        (4000, 40_000)
    );
    assert_eq!(limits.connections_per_address, 0);
}

#[test]
fn nothing_of_a_zoo_cfg_is_ignored_in_silence() {
    for (text, parts) in [
        (
            "tickTime=3000",
            vec!["tickTime=2000 (line 2): tickTime stands in line 12 again"],
        ),
        (
            "zookeeper.clientPort=2190",
            vec!["clientPort=2181 (line 6): clientPort stands in line 12"],
        ),
        (
            "metricsProvider.httpPort=7",
            vec!["metricsProvider.httpPort=7 (line 12): metricsProvider.className"],
        ),
        (
            "admin.enableServer=false\nadmin.serverPort=7",
            vec!["admin.serverPort=7 (line 13): admin.enableServer"],
        ),
        (
            "enforce.auth.schemes=digest",
            vec!["enforce.auth.enabled is not true"],
        ),
        (
            "garbage line",
            vec!["garbage=line (line 12): this node does not know it"],
        ),
    ] {
        let named = others(&zoo(&format!("{ENSEMBLE}{text}\n"), Some("1")).unwrap());
        assert_eq!(named.len(), parts.len(), "{named:?}");
        for (note, part) in named.iter().zip(parts) {
            assert!(note.contains(part), "{part:?} is not in {note:?}");
        }
    }
    let found = zoo(&format!("\u{feff}tickTime 1500\n{ENSEMBLE}"), Some("1")).unwrap();
    let named = others(&found);
    assert!(named[0].contains("byte order mark"), "{named:?}");
    assert!(named[1].contains("tickTime=1500 (line 1)"), "{named:?}");
    assert_eq!(named.len(), 2, "{named:?}");
}

#[test]
fn what_zoo_cfg_says_of_ticks_is_kept_as_it_says_it() {
    let ticks = zoo(ENSEMBLE, Some("1")).unwrap().config.ticks;
    let said = Ticks {
        tick_ms: 2000,
        init_limit: 10,
        sync_limit: 5,
    };
    assert_eq!(ticks, Some(said));
    assert_eq!(parse(SMALL).unwrap().ticks, None);
}

#[test]
fn what_is_wrong_in_the_file_of_the_servers_is_said_of_that_file() {
    let dir = tempfile::tempdir().unwrap();
    let servers = dir.path().join("servers");
    let text = format!(
        "{ENSEMBLE}dynamicConfigFile={}\nversion=1\n",
        servers.display()
    );
    std::fs::write(&servers, "version=2\nserver.4=127.0.0.4:2888:3888\n").unwrap();
    let found = zoo(&text, Some("1")).unwrap();
    assert_eq!(found.config.members.len(), 4);
    let place = format!(
        "(line 13): version stands in line 1 of {}",
        servers.display()
    );
    let named = others(&found);
    assert!(named.iter().any(|note| note.contains(&place)), "{named:?}");
    std::fs::write(&servers, "\nserver.4=127.0.0.4\n").unwrap();
    let error = zoo(&text, Some("1")).unwrap_err();
    let place = format!("server.4 (line 2 of {})", servers.display());
    assert!(error.contains(&place), "{error}");
}

#[test]
fn what_is_on_or_off_is_read_as_java_reads_it() {
    let of = |text: &str| zoo(&format!("{ENSEMBLE}{text}\n"), Some("1"));
    for word in ["true", "True", "TRUE"] {
        let text =
            format!("reconfigEnabled={word}\nreadonlymode.enabled={word}\nenforceQuota={word}");
        let config = of(&text).unwrap().config;
        assert!(config.reconfig.enabled && config.read_only && config.znodes.enforce_quotas);
        let error = of(&format!("sessionRequireClientSASLAuth={word}")).unwrap_err();
        assert!(error.contains("sasl: it needs users"), "{error}");
        let text = format!("enforce.auth.enabled={word}\nenforce.auth.schemes=digest");
        assert_eq!(of(&text).unwrap().config.security.require, ["digest"]);
        let error = of(&format!("sslQuorum={word}")).unwrap_err();
        assert!(error.contains("ssl.quorum.keyStore.location"), "{error}");
        let error = of(&format!("client.portUnification={word}")).unwrap_err();
        assert!(error.contains("client.portUnification"), "{error}");
        let error = of(&format!("enforce.auth.enabled={word}")).unwrap_err();
        assert!(error.contains("enforce.auth.schemes"), "{error}");
    }
    for word in ["false", "False"] {
        let text = format!(
            "reconfigEnabled={word}\nclient.portUnification={word}\nadmin.enableServer={word}\nenforce.auth.enabled={word}"
        );
        let config = of(&text).unwrap().config;
        assert!(!config.reconfig.enabled && config.security.require.is_empty());
        assert_eq!(config.admin.address, None);
    }
    for key in [
        "reconfigEnabled",
        "sslQuorum",
        "enforce.auth.enabled",
        "enforceQuota",
    ] {
        let error = of(&format!("{key}=yes")).unwrap_err();
        assert!(error.contains("true or false is legal"), "{error}");
    }
}

#[test]
fn what_is_switched_off_is_said_to_be_off_only_where_it_is() {
    let said = |text: &str| others(&zoo(&format!("{ENSEMBLE}{text}\n"), Some("1")).unwrap());
    for (text, part) in [
        ("autopurge.purgeInterval=0", "are removed always"),
        ("leaderServes=no", "the leader serves clients"),
        ("standaloneEnabled=false", "an ensemble of one"),
        ("syncEnabled=false", "observers write to their disks"),
        ("frobnicate=no", "does not know it"),
        ("admin.forceHttps=false", "it is off here too"),
        ("ssl.crl=false", "it is off here too"),
    ] {
        let named = said(text);
        assert!(named[0].contains(part), "{text}: {named:?}");
    }
}

#[test]
fn connections_are_limited_as_zoo_cfg_says() {
    let most = |text: &str| {
        let zoo = zoo(&format!("{ENSEMBLE}{text}\n"), Some("1")).unwrap();
        assert_eq!(others(&zoo), Vec::<String>::new());
        zoo.config.limits.connections
    };
    assert_eq!(most("maxCnxns=7"), 7);
    assert_eq!((most("maxCnxns=0"), most("")), (100_000, 100_000));
}
