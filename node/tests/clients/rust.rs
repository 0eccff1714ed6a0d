//! zookeeper-client: data, transactions, watches, a lock, and a session that lives on when its server dies.

use crate::hosts;
use crate::process::Cluster;
use std::time::Duration;
use zookeeper_client::{Acls, AddWatchMode, Client, CreateMode, Error, EventType, LockPrefix};

const ANYONE: Acls<'static> = Acls::anyone_all();

async fn connect(hosts: &str) -> Client {
    Client::connector()
        .with_session_timeout(Duration::from_secs(10))
        .connect(hosts)
        .await
        .unwrap()
}

/// The same, again and again while the connection is lost.
macro_rules! patiently {
    ($call:expr) => {
        loop {
            match $call.await {
                Err(Error::ConnectionLoss) => tokio::time::sleep(Duration::from_millis(20)).await,
                other => break other,
            }
        }
    };
}

#[tokio::test]
async fn the_rust_client() {
    let mut cluster = Cluster::start(3, "");
    let hosts = hosts(&cluster);
    let (one, two) = (connect(&hosts).await, connect(&hosts).await);

    let (stat, _) = one
        .create("/app", b"first", &CreateMode::Persistent.with_acls(ANYONE))
        .await
        .unwrap();
    assert_eq!((stat.version, stat.data_length), (0, 5));
    assert_eq!(
        one.set_data("/app", b"second", Some(0))
            .await
            .unwrap()
            .version,
        1
    );
    assert_eq!(
        one.set_data("/app", b"third", Some(0)).await.unwrap_err(),
        Error::BadVersion
    );
    two.sync("/app").await.unwrap();
    let (data, _, changed) = two.get_and_watch_data("/app").await.unwrap();
    assert_eq!(data, b"second");

    let mut writer = one.new_multi_writer();
    writer.add_set_data("/app", b"third", Some(1)).unwrap();
    writer
        .add_create("/app/a", b"", &CreateMode::Ephemeral.with_acls(ANYONE))
        .unwrap();
    writer.commit().await.unwrap();
    let event = changed.changed().await;
    assert_eq!(
        (event.event_type, event.path.as_str()),
        (EventType::NodeDataChanged, "/app")
    );

    let mut watcher = two
        .watch("/app", AddWatchMode::PersistentRecursive)
        .await
        .unwrap();
    one.create("/app/b", b"", &CreateMode::Ephemeral.with_acls(ANYONE))
        .await
        .unwrap();
    let event = watcher.changed().await;
    assert_eq!(
        (event.event_type, event.path.as_str()),
        (EventType::NodeCreated, "/app/b")
    );

    one.create("/lock", b"", &CreateMode::Persistent.with_acls(ANYONE))
        .await
        .unwrap();
    let options = ANYONE;
    let lock = one
        .lock(
            LockPrefix::new_curator("/lock", "latch-").unwrap(),
            b"one",
            options,
        )
        .await
        .unwrap();
    assert!(one.check_stat("/lock").await.unwrap().unwrap().num_children == 1);

    let session = one.session_id();
    // Whoever it is connected to dies, and another after it, when the first is back.
    for victim in 0..3 {
        cluster.servers[victim].kill();
        patiently!(one.set_data("/app", b"more", None)).unwrap();
        assert!(
            patiently!(one.check_stat("/app/a")).unwrap().is_some(),
            "the ephemeral of a living session"
        );
        cluster.servers[victim].start();
        cluster.wait();
    }
    assert_eq!(one.session_id(), session);
    assert_eq!(
        patiently!(one.check_stat("/lock"))
            .unwrap()
            .unwrap()
            .num_children,
        1,
        "it is still locked"
    );
    drop(lock);
    two.sync("/lock").await.ok();
    two.lock(
        LockPrefix::new_curator("/lock", "latch-").unwrap(),
        b"two",
        options,
    )
    .await
    .unwrap();
}
