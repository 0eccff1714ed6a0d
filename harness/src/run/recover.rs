//! After the last heal: recovery, final reads, and the comparison of the replicas.

use super::live::Live;
use crate::failure::Failure;
use keelhaul_workloads::probe::{self, ServesError};
use keelhaul_workloads::{Record, read_back, replicas};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long the final reads may take.
const READ_BACK_LIMIT: Duration = Duration::from_secs(20);

/// How much longer than the recovery limit the nodes are asked.
const GRACE: Duration = Duration::from_millis(500);

/// How long the comparison of the replicas may take.
const COMPARE_LIMIT: Duration = Duration::from_secs(15);

impl Live<'_> {
    /// Recovery, final reads, and the comparison of the replicas.
    pub(super) async fn recover(&self, next_process: u64) -> Result<(), Failure> {
        self.stage.phase("recover");
        self.stage
            .screen
            .show("waiting for every node to serve again".to_owned());
        self.await_recovery().await?;

        self.stage.phase("read-back");
        self.stage.screen.show("reading everything back".to_owned());
        let record: Arc<dyn Record> = self.stage.history.clone();
        let servers = self.cluster.for_clients();
        let read = read_back(
            &servers,
            &*self.workload,
            &record,
            next_process,
            READ_BACK_LIMIT,
        )
        .await
        .map_err(|failure| Failure::Machinery(failure.to_string()))?;
        if !read.unread.is_empty() {
            let keys = read.unread.len();
            self.stage.screen.say(&format!(
                "{keys} keys could not be read back within {READ_BACK_LIMIT:?}"
            ));
        }
        let comparison = replicas::compare(&self.cluster.for_controller(), COMPARE_LIMIT).await;
        let value =
            serde_json::to_value(&comparison).expect("a comparison is plain data with string keys");
        self.stage.history.controller("replicas", value);
        Ok(())
    }

    /// Each node must serve again by itself; who does not within the limit has no line, and the checkers judge that.
    async fn await_recovery(&self) -> Result<(), Failure> {
        let began = self.stage.history.now();
        // A little longer than the limit, so that who is missing at its end is known to be.
        let limit = self.stage.plan.options.recovery_limit() + GRACE;
        let mut probes = JoinSet::new();
        for server in self.cluster.for_controller() {
            let history = self.stage.history.clone();
            probes.spawn(async move {
                let served = probe::serves(&server, limit).await;
                if served.is_ok() {
                    let after = history.now().0 - began.0;
                    let value = serde_json::json!({"node": server.name, "after_ns": after});
                    history.controller("serving", value);
                }
                served
            });
        }
        while let Some(probed) = probes.join_next().await {
            match probed {
                Ok(Ok(())) => {}
                Ok(Err(error @ ServesError::NotServing { .. })) => {
                    self.stage.screen.say(&error.to_string())
                }
                Ok(Err(ServesError::Harness(failure))) => {
                    return Err(Failure::Machinery(failure.to_string()));
                }
                Err(error) => return Err(Failure::Machinery(format!("a probe failed: {error}"))),
            }
        }
        Ok(())
    }
}
