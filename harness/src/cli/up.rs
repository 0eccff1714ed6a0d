//! `keelhaul up`: the same deployment as a run's, without a test.

use super::{Places, own_program, print, print_json, runtime};
use crate::aside;
use crate::cluster::{Cluster, Deployment, binary};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::plan::MOST_NODES;
use crate::run::Interrupts;
use crate::store::RunDirectory;
use crate::supervisor::EndedNode;
use crate::undo::UndoLog;
use clap::Args;
use keelhaul_workloads::probe;
use std::sync::Arc;
use std::time::Duration;

/// How long the nodes may take until a cluster stands.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// How long a node may take to say what it does.
const ANSWER: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct UpArgs {
    /// How many nodes
    #[arg(long, default_value_t = 3, allow_hyphen_values = true,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_NODES)))]
    nodes: u16,
    /// Client port of the first node; the others have the ports after it
    #[arg(long, default_value_t = 22181, allow_hyphen_values = true,
        value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    #[command(flatten)]
    places: Places,
}

/// Keeps a cluster up until Ctrl-C.
pub(super) fn up(args: UpArgs, json: bool) -> Result<Exit, Failure> {
    last_port(args.port, args.nodes)?;
    let node = binary::find(args.places.node_bin.as_deref(), None)?;
    let node = binary::inspect(&node, None)?;
    let deployment = Deployment {
        keelhaul: own_program()?,
        node: node.path,
        bug: None,
        nodes: args.nodes,
        first_port: Some(args.port),
        seed: 0,
    };
    let store = &args.places.store;
    runtime()?.block_on(async {
        let interrupts = Interrupts::listen()?;
        let run = RunDirectory::create(store, "up", u64::from(args.port), chrono::Utc::now())?;
        let undo = Arc::new(UndoLog::create(&run.undo())?);
        let cluster = Cluster::deploy(&deployment, &run, undo).await?;
        let ended = keep_up(&cluster, &run, &interrupts, json).await;
        cluster.shut_down().await?;
        ended
    })
}

/// Refuses ports that do not exist, before anything is made.
fn last_port(first: u16, nodes: u16) -> Result<u16, Failure> {
    let last = first.checked_add(nodes - 1).filter(|_| first > 0);
    last.ok_or_else(|| {
        Failure::Usage(format!(
            "--port {first}: for {nodes} nodes from 1 to {}, since each takes the next one",
            u16::MAX - (nodes - 1)
        ))
    })
}

async fn keep_up(
    cluster: &Cluster,
    run: &RunDirectory,
    interrupts: &Interrupts,
    json: bool,
) -> Result<Exit, Failure> {
    tokio::select! {
        ready = cluster.ready(READY_LIMIT) => ready?,
        () = interrupts.wait() => return Ok(Exit::Valid),
    }
    let mut processes = cluster.processes();
    let mut known = processes.borrow_and_update().clone();
    show(cluster, run, json).await?;
    loop {
        tokio::select! {
            () = interrupts.wait() => {
                aside::say(format_args!("the cluster is down; its files are in {}", run.path().display()));
                return Ok(Exit::Valid);
            }
            // The cluster keeps the channel open.
            _ = processes.changed() => {}
        }
        let now = processes.borrow_and_update().clone();
        if now.supervisor_gone {
            return Err(Failure::Machinery(
                "the supervisor process is gone, and all nodes with it; was it killed from outside?".to_owned(),
            ));
        }
        for ended in now.newly_ended(&known) {
            tell_of(&ended, cluster, json)?;
        }
        known = now;
    }
}

/// A node has ended: a line on standard error, and one of JSON for a script.
fn tell_of(ended: &EndedNode<'_>, cluster: &Cluster, json: bool) -> Result<(), Failure> {
    let EndedNode { node, code, signal } = *ended;
    let member = cluster.members().iter().find(|member| member.name == node);
    let log = member.map(|member| &member.files.stderr);
    aside::say(format_args!(
        "{node} ended ({}); it is not started again; its log is {}",
        ended.how(),
        log.map_or_else(String::new, |log| log.display().to_string())
    ));
    if !json {
        return Ok(());
    }
    let line = serde_json::json!({"event": "exited", "node": node, "code": code, "signal": signal, "log": log});
    print(&line.to_string())
}

async fn show(cluster: &Cluster, run: &RunDirectory, json: bool) -> Result<(), Failure> {
    let mut nodes = Vec::new();
    for member in cluster.members() {
        let role = match probe::srvr(member.client_address, ANSWER).await {
            Ok(srvr) => srvr.mode,
            Err(error) => error.to_string(),
        };
        nodes.push((member, role));
    }
    let addresses: Vec<String> = nodes
        .iter()
        .map(|(member, _)| member.client_address.to_string())
        .collect();
    let connect = addresses.join(",");
    if json {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(member, role)| {
                serde_json::json!({
                    "name": member.name,
                    "role": role,
                    "address": member.client_address,
                    "log": member.files.stderr,
                })
            })
            .collect();
        return print_json(
            &serde_json::json!({"connect": connect, "directory": run.path(), "nodes": nodes}),
        );
    }
    print(&format!("connect to {connect}"))?;
    for (member, role) in nodes {
        let log = member.files.stderr.display();
        print(&format!(
            "  {} {:<9} {}  log {log}",
            member.name, role, member.client_address
        ))?;
    }
    print("press Ctrl-C to end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_port_is_one_that_exists() {
        assert_eq!(last_port(65_533, 3).ok(), Some(65_535));
        assert_eq!(last_port(65_535, 1).ok(), Some(65_535));
        for (first, nodes) in [(65_534, 3), (0, 1)] {
            let error = last_port(first, nodes).unwrap_err().to_string();
            assert!(error.contains(&format!("--port {first}")), "{error}");
        }
    }
}
