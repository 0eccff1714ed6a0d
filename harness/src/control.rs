//! The mechanisms behind nemesis's `Control`: kills, stops and cuts, each with its undo on disk first.
//!
//! Episodes may overlap: a node that two of them have stopped continues when the second heals, and a link that two of
//! them have cut opens likewise. What a fault did to whom is kept for each episode until it is healed.

use crate::alarm::Alarm;
use crate::cluster::Cluster;
use crate::identity::{ProcessIdentity, ProcessState};
use crate::links::{End, LinkState};
use crate::roles::{self, Board};
use crate::store::HistoryWriter;
use crate::supervisor::SupervisorError;
use crate::undo::{Undo, UndoLog};
use keelhaul_nemesis::connectivity::majority_connected;
use keelhaul_nemesis::{Action, Control, Effect, NodeName, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What one episode did, to exactly whom.
#[derive(Debug, Clone)]
enum Installed {
    Killed(Vec<(NodeName, ProcessIdentity)>),
    Paused(Vec<(NodeName, ProcessIdentity)>),
    Cut(Vec<(NodeName, NodeName)>),
}

/// Installs, observes and heals faults on a cluster.
pub struct Faults {
    cluster: Arc<Cluster>,
    board: watch::Receiver<Board>,
    undo: Arc<UndoLog>,
    history: Arc<HistoryWriter>,
    alarm: Alarm,
    installed: Mutex<BTreeMap<u32, Installed>>,
}

impl Faults {
    /// Faults on this cluster; nothing is broken yet.
    pub fn new(
        cluster: Arc<Cluster>,
        board: watch::Receiver<Board>,
        undo: Arc<UndoLog>,
        history: Arc<HistoryWriter>,
        alarm: Alarm,
    ) -> Faults {
        Faults {
            cluster,
            board,
            undo,
            history,
            alarm,
            installed: Mutex::default(),
        }
    }

    /// What is broken now, in a few words; empty if nothing is.
    pub fn in_place(&self) -> String {
        let names = |nodes: &[(NodeName, ProcessIdentity)]| {
            let names: Vec<&str> = nodes.iter().map(|(name, _)| name.as_str()).collect();
            names.join(" ")
        };
        let parts: Vec<String> = self
            .lock()
            .values()
            .map(|installed| match installed {
                Installed::Killed(nodes) => format!("killed {}", names(nodes)),
                Installed::Paused(nodes) => format!("paused {}", names(nodes)),
                Installed::Cut(links) => format!("{} links cut", links.len()),
            })
            .collect();
        parts.join(", ")
    }

    /// Whether a node's process was ended by a fault that is in place or was.
    pub fn killed(&self, node: &str) -> bool {
        self.lock().values().any(|installed| match installed {
            Installed::Killed(nodes) => nodes.iter().any(|(name, _)| name == node),
            _ => false,
        })
    }

    /// Undoes whatever is still in place.
    pub async fn heal_all(&self) {
        let left: Vec<u32> = self.lock().keys().copied().collect();
        for episode in left {
            let outcome = self.undo_episode(episode).await;
            if outcome != Outcome::Healed {
                tracing::warn!(episode, ?outcome, "could not heal");
            }
        }
        self.cluster.links().open_all();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Installed>> {
        self.installed
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The named nodes that have a live process, with it.
    fn live(&self, nodes: &[NodeName]) -> Vec<(NodeName, ProcessIdentity)> {
        let processes = self.cluster.processes();
        let processes = processes.borrow();
        let live = nodes.iter().filter_map(|name| {
            let process = processes.running(name)?;
            Some((name.clone(), process.clone()))
        });
        live.collect()
    }

    /// Makes undos durable; without them the fault is not installed, and the run ends.
    fn write_undos(&self, undos: impl IntoIterator<Item = Undo>) -> Result<(), Outcome> {
        for undo in undos {
            if let Err(failure) = self.undo.append(&undo) {
                self.alarm.raise(failure.to_string());
                return Err(Outcome::Skipped(failure.to_string()));
            }
        }
        Ok(())
    }

    async fn kill(&self, episode: u32, nodes: &[NodeName]) -> Result<(), Outcome> {
        let live = self.live(nodes);
        if live.is_empty() {
            return Err(Outcome::Skipped(format!(
                "no process to kill: {} is down already",
                nodes.join(" ")
            )));
        }
        self.write_undos(live.iter().map(|(node, _)| Undo::Start {
            episode,
            node: node.clone(),
        }))?;
        self.lock().insert(episode, Installed::Killed(live.clone()));
        self.on_each(live, |cluster, node, _| async move {
            cluster.kill(&node).await.map(|()| true)
        })
        .await
    }

    async fn pause(&self, episode: u32, nodes: &[NodeName]) -> Result<(), Outcome> {
        let live = self.live(nodes);
        if live.is_empty() {
            return Err(Outcome::Skipped(format!(
                "no process to stop: {} is down",
                nodes.join(" ")
            )));
        }
        self.write_undos(live.iter().map(|(node, process)| Undo::Continue {
            episode,
            node: node.clone(),
            process: process.clone(),
        }))?;
        self.lock().insert(episode, Installed::Paused(live.clone()));
        self.on_each(live, |cluster, node, process| async move {
            cluster.stop(&process, &node).await
        })
        .await
    }

    fn cut(&self, episode: u32, links: &[(NodeName, NodeName)]) -> Result<(), Outcome> {
        if links.is_empty() {
            return Err(Outcome::Skipped("no link to cut".to_owned()));
        }
        self.write_undos([Undo::Open {
            episode,
            links: links.to_vec(),
        }])?;
        self.lock().insert(episode, Installed::Cut(links.to_vec()));
        for (from, to) in links {
            self.cluster
                .links()
                .set(&End::node(from), &End::node(to), LinkState::Cut);
        }
        Ok(())
    }

    /// Does the same to each node at the same time; `Indeterminate` if it did not work on each.
    async fn on_each<F>(
        &self,
        nodes: Vec<(NodeName, ProcessIdentity)>,
        what: impl Fn(Arc<Cluster>, NodeName, ProcessIdentity) -> F,
    ) -> Result<(), Outcome>
    where
        F: Future<Output = Result<bool, SupervisorError>> + Send + 'static,
    {
        let mut all = JoinSet::new();
        for (node, process) in nodes {
            let one = what(self.cluster.clone(), node.clone(), process);
            all.spawn(async move { (node, one.await) });
        }
        let mut troubles = BTreeSet::new();
        while let Some(done) = all.join_next().await {
            match done {
                Ok((_, Ok(true))) => {}
                Ok((node, Ok(false))) => {
                    troubles.insert(format!("{node} did not show the signal's effect in time"));
                }
                Ok((node, Err(error))) => {
                    troubles.insert(format!("{node}: {error}"));
                }
                Err(error) => {
                    troubles.insert(error.to_string());
                }
            }
        }
        if troubles.is_empty() {
            return Ok(());
        }
        let troubles: Vec<String> = troubles.into_iter().collect();
        Err(Outcome::Indeterminate(troubles.join("; ")))
    }

    /// Undoes one episode; `Healed` if there is nothing to undo any more.
    async fn undo_episode(&self, episode: u32) -> Outcome {
        let Some(installed) = self.lock().get(&episode).cloned() else {
            return Outcome::Healed;
        };
        let undone = match &installed {
            Installed::Killed(nodes) => self.start_again(nodes).await,
            Installed::Paused(nodes) => self.resume(episode, nodes).await,
            Installed::Cut(links) => {
                self.open(episode, links);
                Ok(())
            }
        };
        self.lock().remove(&episode);
        if let Err(outcome) = undone {
            return outcome;
        }
        match self.undo.append(&Undo::Done { episode }) {
            Ok(()) => Outcome::Healed,
            Err(failure) => {
                self.alarm.raise(failure.to_string());
                Outcome::Indeterminate(failure.to_string())
            }
        }
    }

    async fn start_again(&self, nodes: &[(NodeName, ProcessIdentity)]) -> Result<(), Outcome> {
        for (node, _) in nodes {
            if self.cluster.running(node).is_some() {
                continue;
            }
            if let Err(failure) = self.cluster.start(node).await {
                self.alarm
                    .raise(format!("could not start {node} again: {failure}"));
                return Err(Outcome::Indeterminate(failure.to_string()));
            }
        }
        Ok(())
    }

    /// Continues the processes that no other episode has stopped too.
    async fn resume(
        &self,
        episode: u32,
        nodes: &[(NodeName, ProcessIdentity)],
    ) -> Result<(), Outcome> {
        let others = self.others(episode);
        let mine: Vec<_> = nodes
            .iter()
            .filter(|(_, process)| {
                let elsewhere = others.iter().any(|other| match other {
                    Installed::Paused(nodes) => nodes.iter().any(|(_, theirs)| theirs == process),
                    _ => false,
                });
                !elsewhere && process.state() == ProcessState::Stopped
            })
            .cloned()
            .collect();
        self.on_each(mine, |cluster, node, process| async move {
            cluster.resume(&process, &node).await
        })
        .await
    }

    /// Opens the links that no other episode has cut too.
    fn open(&self, episode: u32, links: &[(NodeName, NodeName)]) {
        let others = self.others(episode);
        for link in links {
            let elsewhere = others.iter().any(|other| match other {
                Installed::Cut(links) => links.contains(link),
                _ => false,
            });
            if !elsewhere {
                let (from, to) = link;
                self.cluster
                    .links()
                    .set(&End::node(from), &End::node(to), LinkState::Open);
            }
        }
    }

    fn others(&self, episode: u32) -> Vec<Installed> {
        let installed = self.lock();
        let others = installed.iter().filter(|(id, _)| **id != episode);
        others.map(|(_, other)| other.clone()).collect()
    }

    /// Whether each process is in the state that the fault put it in.
    fn observe_processes(nodes: &[(NodeName, ProcessIdentity)], wanted: ProcessState) -> Effect {
        let looks: Vec<(bool, String)> = nodes
            .iter()
            .map(|(node, process)| {
                let state = process.state();
                let word = match state {
                    ProcessState::Running => "runs",
                    ProcessState::Stopped => "is stopped",
                    ProcessState::Gone => "is gone",
                };
                (
                    state == wanted,
                    format!("process {} of {node} {word}", process.pid),
                )
            })
            .collect();
        Effect {
            observed: looks.iter().all(|(as_wanted, _)| *as_wanted),
            detail: looks
                .into_iter()
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    fn observe_links(&self, links: &[(NodeName, NodeName)]) -> Effect {
        let (mut bytes, mut dials, mut felt) = (0, 0, 0);
        for (from, to) in links {
            let held = self.cluster.links().held(&End::node(from), &End::node(to));
            bytes += held.bytes;
            dials += held.dials;
            felt += usize::from(held.bytes + held.dials > 0);
        }
        Effect {
            observed: felt > 0,
            detail: format!(
                "{bytes} bytes and {dials} dials were held back on {felt} of {} cut links",
                links.len()
            ),
        }
    }
}

impl Control for Faults {
    fn nodes(&self) -> Vec<NodeName> {
        let members = self.cluster.members().iter();
        members.map(|member| member.name.clone()).collect()
    }

    fn leader(&self) -> Option<NodeName> {
        roles::leader(&self.board.borrow()).map(str::to_owned)
    }

    async fn install(&self, episode: u32, action: &Action) -> Outcome {
        let installed = match action {
            Action::Kill { nodes } => self.kill(episode, nodes).await,
            Action::Pause { nodes } => self.pause(episode, nodes).await,
            Action::Cut { links } => self.cut(episode, links),
        };
        match installed {
            Ok(()) => Outcome::Installed,
            Err(outcome) => outcome,
        }
    }

    async fn observe(&self, episode: u32, _action: &Action) -> Effect {
        let installed = self.lock().get(&episode).cloned();
        match installed {
            Some(Installed::Killed(nodes)) => Self::observe_processes(&nodes, ProcessState::Gone),
            Some(Installed::Paused(nodes)) => {
                Self::observe_processes(&nodes, ProcessState::Stopped)
            }
            Some(Installed::Cut(links)) => self.observe_links(&links),
            None => Effect {
                observed: false,
                detail: "the fault is not in place".to_owned(),
            },
        }
    }

    async fn heal(&self, episode: u32, _action: &Action) -> Outcome {
        self.undo_episode(episode).await
    }

    fn majority_connected(&self) -> bool {
        let installed = self.lock();
        let mut cut = BTreeSet::new();
        let mut stopped = BTreeSet::new();
        for one in installed.values() {
            match one {
                Installed::Cut(links) => cut.extend(links.iter().cloned()),
                Installed::Paused(nodes) => {
                    stopped.extend(nodes.iter().map(|(_, process)| process.pid))
                }
                Installed::Killed(_) => {}
            }
        }
        drop(installed);
        let nodes = self.nodes();
        let live = self.live(&nodes);
        let works = |node: &&NodeName| {
            let process = live.iter().find(|(name, _)| name == *node);
            process.is_some_and(|(_, process)| !stopped.contains(&process.pid))
        };
        let down = nodes.iter().filter(|node| !works(node)).cloned().collect();
        majority_connected(&nodes, &down, &cut)
    }

    fn record(&self, f: &str, value: serde_json::Value) {
        self.history.nemesis(f, value);
    }
}
