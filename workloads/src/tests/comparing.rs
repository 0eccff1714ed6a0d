//! Replica comparison against servers that agree, differ, or do not come to rest.

use super::fake::{Fake, Misbehaviour, servers};
use crate::replicas::compare;
use crate::setup::prepare;
use crate::wire::Zxid;
use crate::wire::request::op;
use crate::{WorkloadOptions, registry};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

/// Two servers with trees of their own that will be at the same zxid once each has opened one session. The write through
/// the first one does not reach the second, which is moved by hand.
async fn two_apart() -> [Fake; 2] {
    let one = prepared().await;
    let two = one.fork("n2").await;
    two.state().zxid += 1;
    [one, two]
}

async fn prepared() -> Fake {
    let fake = Fake::start().await;
    let workload = registry::build("set", &WorkloadOptions::default()).unwrap();
    prepare(std::slice::from_ref(&fake.server), &*workload, LIMIT)
        .await
        .unwrap();
    fake
}

#[tokio::test]
async fn replicas_that_agree_are_equal() {
    let fakes = two_apart().await;
    let znodes = fakes[0].state().tree.len() as u64;
    let comparison = compare(&servers(&fakes), LIMIT).await;
    assert_eq!(comparison.equal, Some(true), "{comparison:?}");
    assert_eq!(comparison.nodes["n1"], comparison.nodes["n2"]);
    assert_eq!(comparison.nodes["n1"].znodes, znodes);
    assert!(comparison.zxid > Zxid(0));
}

#[tokio::test]
async fn a_difference_is_named_by_its_path_and_the_quota_tree_is_left_out() {
    let fakes = two_apart().await;
    fakes[0]
        .state()
        .tree
        .insert("/zookeeper".into(), Default::default());
    fakes[1].state().tree.get_mut("/keelhaul/set").unwrap().0 = b"mine".to_vec();
    let comparison = compare(&servers(&fakes), LIMIT).await;
    assert_eq!(comparison.equal, Some(false));
    assert_eq!(comparison.differences.len(), 1);
    let difference = &comparison.differences[0];
    assert_eq!(difference.path, "/keelhaul/set");
    assert_eq!(difference.nodes["n2"]["data"], "mine");
    let line = serde_json::to_value(&comparison).unwrap();
    assert_eq!(line["equal"], false);
    assert_eq!(line["reason"], serde_json::Value::Null);
}

#[tokio::test]
async fn replicas_that_stay_at_different_zxids_cannot_be_compared() {
    let fakes = two_apart().await;
    fakes[1].state().zxid += 100;
    let comparison = compare(&servers(&fakes), Duration::from_millis(300)).await;
    assert_eq!(comparison.equal, None);
    let reason = comparison.reason.unwrap();
    assert!(
        reason.contains("n1 is at") && reason.contains("n2 at"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_reader_that_is_cut_off_is_opened_again() {
    let fake = prepared().await;
    fake.order(op::GET_CHILDREN2, Misbehaviour::Close);
    let comparison = compare(std::slice::from_ref(&fake.server), LIMIT).await;
    assert_eq!(comparison.equal, Some(true), "{comparison:?}");
}
