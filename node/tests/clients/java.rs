//! zkCli.sh, ZooKeeper's own command line.

use crate::authority::Authority;
use crate::process::Cluster;
use crate::{answers, hosts, in_this_order, skipped};
use std::path::Path;

const CLI: &str = "/usr/share/zookeeper/bin/zkCli.sh";

const INPUT: &str = "\
create /app hello
create -e /app/ephemeral x
create -s /app/s- y
create -c /container
create -t 100000 /ttl z
ls -R /app
get -s /app
set -v 0 /app world
set -v 0 /app again
stat -w /app
set /app more
addWatch -m PERSISTENT_RECURSIVE /app
create /app/child
delete /app/child
removewatches /app
addauth digest ann:secret
setAcl /app auth:ann:secret:cdrwa
getAcl /app
setquota -n 10 /app
listquota /app
delquota /app
whoami
getEphemerals
getAllChildrenNumber /app
sync /
get /app
deleteall /app
ls /
quit
";

#[test]
fn zk_cli_by_sasl() {
    if !Path::new(CLI).exists() {
        return skipped(&format!(
            "{CLI} is not there: install Debian's package zookeeper"
        ));
    }
    let dir = tempfile::tempdir().unwrap();
    let jaas = |section: &str, options: &str| {
        let path = dir.path().join(section);
        let module = "org.apache.zookeeper.server.auth.DigestLoginModule";
        std::fs::write(
            &path,
            format!("{section} {{ {module} required {options}; }};\n"),
        )
        .unwrap();
        path
    };
    let (server, client) = (
        jaas("Server", "user_bob=\"secret\""),
        jaas("Client", "username=\"bob\" password=\"secret\""),
    );
    let cluster = Cluster::start(
        1,
        &format!("[security]\nrequire = [\"sasl\"]\n[security.sasl]\njaas = {server:?}"),
    );
    let flags = format!(
        "CLIENT_JVMFLAGS=-Djava.security.auth.login.config={}",
        client.display()
    );
    let hosts = hosts(&cluster);
    let arguments = [&flags, CLI, "-server", &hosts];
    let input = "create /bob his\nsetAcl /bob sasl:bob:cdrwa\ngetAcl /bob\nget /bob\nquit\n";
    let text = answers("env", &arguments, input);
    in_this_order(&text, &["Created /bob\n", "'sasl,'bob\n: cdrwa\n", "his\n"]);
}

/// With the class path of its own that `zkCli.sh` of Debian's package does not have: TLS needs Netty.
#[test]
fn zk_cli_over_tls() {
    const JARS: &str = "/usr/share/java";
    let netty = Path::new(JARS).join("netty-all.jar");
    if !Path::new(CLI).exists() || !netty.exists() {
        return skipped(&format!(
            "{CLI} or {} is not there: install Debian's packages zookeeper and libnetty-java",
            netty.display()
        ));
    }
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("clients");
    let store = |name| authority.store(dir.path(), name, &["127.0.0.1", "localhost"]);
    let (server, client) = (store("server"), store("client"));
    let trust = authority.trust(dir.path(), "trust.pem");
    let cluster = Cluster::start(
        1,
        &format!(
            "[tls.clients]\naddress = \"@ADMIN@\"\nkeys = {{ certificate = {server:?}, trust = {trust:?} }}"
        ),
    );
    let option = |name: &str, value: &str| format!("-Dzookeeper.{name}={value}");
    let flags = [
        option("client.secure", "true"),
        option(
            "clientCnxnSocket",
            "org.apache.zookeeper.ClientCnxnSocketNetty",
        ),
        option("ssl.keyStore.location", client.to_str().unwrap()),
        option("ssl.trustStore.location", trust.to_str().unwrap()),
    ];
    let (jars, address) = (
        format!("{JARS}/*"),
        cluster.servers[0].admin_address.to_string(),
    );
    let mut arguments = vec!["-cp", &jars];
    arguments.extend(flags.iter().map(String::as_str));
    arguments.extend(["org.apache.zookeeper.ZooKeeperMain", "-server", &address]);
    let input = "create /secret its\nget /secret\nwhoami\nquit\n";
    let text = answers("java", &arguments, input);
    in_this_order(&text, &["Created /secret\n", "its\n", "x509: CN=client"]);
}

#[test]
fn zk_cli() {
    if !Path::new(CLI).exists() {
        return skipped(&format!(
            "{CLI} is not there: install Debian's package zookeeper"
        ));
    }
    let cluster = Cluster::start(3, "");
    let text = answers(CLI, &["-server", &hosts(&cluster)], INPUT);
    // Events come on a thread of their own.
    in_this_order(
        &text,
        &[
            "WatchedEvent state:SyncConnected type:NodeDataChanged path:/app\n",
            "WatchedEvent state:SyncConnected type:NodeCreated path:/app/child\n",
            "WatchedEvent state:SyncConnected type:NodeDeleted path:/app/child\n",
            "type:PersistentWatchRemoved path:/app\n",
        ],
    );
    in_this_order(
        &text,
        &[
            "Created /app\n",
            "Created /app/ephemeral\n",
            "Created /app/s-0000000001\n",
            "Created /container\n",
            "Created /ttl\n",
            "/app\n/app/ephemeral\n/app/s-0000000001\n",
            "hello\n",
            "cversion = 2\ndataVersion = 0\naclVersion = 0\nephemeralOwner = 0x0\ndataLength = 5\nnumChildren = 2\n",
            "version No is not valid : /app\n",
            "Created /app/child\n",
            "'digest,'ann:",
            ": cdrwa\n",
            "count=10",
            "count=3",
            "digest: ann\n",
            "[/app/ephemeral]\n",
            "2\n",
            "Sync is OK\n",
            "more\n",
            "[container, ttl, zookeeper]\n",
        ],
    );
}
