//! Who leads: every node's role, polled on its own port, past every fault.
//!
//! Each change is a history line. Nothing here says why a node has the role that it has.

use crate::store::HistoryWriter;
use keelhaul_workloads::Server;
use keelhaul_workloads::probe::{self, ProbeError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

/// How often each node is asked.
pub const POLL: Duration = Duration::from_millis(50);

/// How long it may take over the answer before it counts as not reachable.
const ANSWER: Duration = Duration::from_millis(500);

/// What a node says it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It leads.
    Leader,
    /// It follows.
    Follower,
    /// It observes.
    Observer,
    /// It runs and has no part in a cluster that works.
    Looking,
}

/// A node's role since when; `None` while it is not reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The role.
    pub role: Option<Role>,
    /// Since when.
    pub since: Instant,
}

/// Every node's role, by name.
pub type Board = BTreeMap<String, Seen>;

/// The poll, running until it is dropped.
pub struct Roles {
    board: watch::Receiver<Board>,
    _polls: JoinSet<()>,
}

impl Roles {
    /// Begins to poll. The first role of each node is a line too.
    pub fn poll(servers: Vec<Server>, history: &Arc<HistoryWriter>) -> Roles {
        let (publish, board) = watch::channel(Board::new());
        let publish = Arc::new(publish);
        let mut polls = JoinSet::new();
        for server in servers {
            polls.spawn(poll(server, publish.clone(), history.clone()));
        }
        Roles {
            board,
            _polls: polls,
        }
    }

    /// The roles as polled last, now and as they change.
    pub fn board(&self) -> watch::Receiver<Board> {
        self.board.clone()
    }
}

/// The node that leads: of several that say so (one deposed and not aware of it), the one that began last.
pub fn leader(board: &Board) -> Option<&str> {
    board
        .iter()
        .filter(|(_, seen)| seen.role == Some(Role::Leader))
        .max_by_key(|(_, seen)| seen.since)
        .map(|(name, _)| name.as_str())
}

async fn poll(server: Server, publish: Arc<watch::Sender<Board>>, history: Arc<HistoryWriter>) {
    let mut tick = tokio::time::interval(POLL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let role = role(&server).await;
        let since = Instant::now();
        publish.send_if_modified(|board| {
            if board
                .get(&server.name)
                .is_some_and(|seen| seen.role == role)
            {
                return false;
            }
            board.insert(server.name.clone(), Seen { role, since });
            let value = serde_json::json!({"node": server.name, "role": role});
            history.controller("role", value);
            true
        });
    }
}

async fn role(server: &Server) -> Option<Role> {
    match probe::srvr(server.address, ANSWER).await {
        Ok(srvr) => match srvr.mode.as_str() {
            "leader" | "standalone" => Some(Role::Leader),
            "follower" => Some(Role::Follower),
            "observer" => Some(Role::Observer),
            _ => Some(Role::Looking),
        },
        Err(ProbeError::NotServing { .. }) => Some(Role::Looking),
        Err(ProbeError::Unreachable { .. } | ProbeError::Garbled { .. }) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_that_say_they_lead_the_later_one_counts() {
        let now = Instant::now();
        let seen = |role, ago| Seen {
            role: Some(role),
            since: now - Duration::from_secs(ago),
        };
        let mut board = Board::new();
        assert_eq!(leader(&board), None);
        board.insert("n1".to_owned(), seen(Role::Leader, 20));
        board.insert("n2".to_owned(), seen(Role::Follower, 1));
        board.insert("n3".to_owned(), seen(Role::Leader, 5));
        assert_eq!(leader(&board), Some("n3"));
    }
}
