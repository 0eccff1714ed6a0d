//! Reading one whole tree from one server, with many requests on the way at a time.

use super::diff::{Tree, Znode};
use crate::wire::{Answer, Connection, ErrorCode, Reply, Request};
use std::collections::VecDeque;
use tokio::time::Instant;

/// Requests that are on their way at most. They are short: the kernel's buffers hold them all, so that neither side waits
/// for the other to read.
const WINDOW: usize = 128;

/// Nodes keep there what is their own.
const LEFT_OUT: &str = "/zookeeper";

/// Every znode from the root down, but for `/zookeeper`; why it could not be read.
pub(super) async fn read(connection: &mut Connection, deadline: Instant) -> Result<Tree, String> {
    let mut tree = Tree::new();
    let mut to_read = VecDeque::from(["/".to_owned()]);
    let mut asked: VecDeque<String> = VecDeque::new();
    loop {
        while asked.len() < WINDOW {
            let Some(path) = to_read.pop_front() else {
                break;
            };
            ask(connection, &path, deadline).await?;
            asked.push_back(path);
        }
        let Some(path) = asked.pop_front() else {
            return Ok(tree);
        };
        let (znode, children) = answer(connection, &path, deadline).await?;
        tree.insert(path, znode);
        to_read.extend(children.into_iter().filter(|child| child != LEFT_OUT));
    }
}

/// Asks for a znode's data and for its children.
async fn ask(connection: &mut Connection, path: &str, deadline: Instant) -> Result<(), String> {
    let requests = [
        Request::GetData {
            path: path.to_owned(),
        },
        Request::GetChildren2 {
            path: path.to_owned(),
        },
    ];
    for request in requests {
        connection
            .send(&request, deadline)
            .await
            .map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}

/// The answers to both: the znode, and its children's paths.
async fn answer(
    connection: &mut Connection,
    path: &str,
    deadline: Instant,
) -> Result<(Znode, Vec<String>), String> {
    let data = next(connection, path, deadline).await?;
    let children = next(connection, path, deadline).await?;
    match (data, children) {
        (Answer::Data { data, stat }, Answer::Children { names, .. }) => {
            let parent = path.trim_end_matches('/');
            let children = names
                .iter()
                .map(|name| format!("{parent}/{name}"))
                .collect();
            Ok((Znode { data, stat }, children))
        }
        _ => Err(format!("{path}: answered by something else")),
    }
}

async fn next(
    connection: &mut Connection,
    path: &str,
    deadline: Instant,
) -> Result<Answer, String> {
    let Reply { result, .. } = connection
        .receive(deadline)
        .await
        .map_err(|error| format!("{path}: {error}"))?;
    result.map_err(|code| match code {
        ErrorCode::NoNode => format!("{path} vanished while the tree was read"),
        code => format!("{path}: the server answered {code}"),
    })
}
