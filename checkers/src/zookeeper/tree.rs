//! The tree: what each write does to it, and whether an answer fits it.
//!
//! The rules stand here once, over any place that holds nodes ([`Nodes`]): the replay's table, which can undo, and the
//! search's persistent map.

mod table;

pub(super) use table::Table;

use super::call::{Answer, Code, DataId, Look, PathId, SessionId, StatSeen, Step, Write, Zxid};
use super::decode::{Paths, number};

/// A znode. What is `None` nobody knows yet: of a znode that was there before the history began, or of a write that nobody
/// saw take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Node {
    pub(super) data: Option<DataId>,
    pub(super) version: Option<i32>,
    /// Children that were ever created or deleted: the visible `cversion`.
    pub(super) cversion: Option<i32>,
    /// The least number that the next sequential child can get.
    pub(super) next: Option<i32>,
    pub(super) children: Option<i32>,
    pub(super) owner: Option<SessionId>,
    pub(super) czxid: Option<Zxid>,
    pub(super) mzxid: Option<Zxid>,
    pub(super) pzxid: Option<Zxid>,
}

impl Node {
    /// One that was there before.
    pub(super) const GIVEN: Node = Node {
        data: None,
        version: None,
        cversion: None,
        next: None,
        children: None,
        owner: None,
        czxid: None,
        mzxid: None,
        pzxid: None,
    };
}

/// A place that holds nodes.
pub(super) trait Nodes {
    fn get(&self, path: PathId) -> Option<Node>;
    fn put(&mut self, path: PathId, node: Option<Node>);
    /// Whether a znode is known to have children.
    fn has_children(&self, path: PathId) -> bool;
    /// Ascending.
    fn children(&self, path: PathId) -> Vec<PathId>;
    /// Ascending.
    fn ephemerals(&self, session: SessionId) -> Vec<PathId>;
}

/// Why a write cannot be done: which part of it, and the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) part: usize,
    pub(super) code: Code,
}

/// Does a write, all of it; or says why not, in which case some of its parts may have been done: the caller undoes them.
pub(super) fn apply(
    nodes: &mut impl Nodes,
    paths: &Paths<'_>,
    write: &Write<'_>,
    session: SessionId,
    zxid: Option<Zxid>,
) -> Result<(), Refusal> {
    if let Write::Close = write {
        for path in nodes.ephemerals(session) {
            remove(nodes, paths, path, zxid);
        }
        return Ok(());
    }
    for (part, step) in write.steps().iter().enumerate() {
        one(nodes, paths, step, session, zxid).map_err(|code| Refusal { part, code })?;
    }
    Ok(())
}

fn one(
    nodes: &mut impl Nodes,
    paths: &Paths<'_>,
    step: &Step<'_>,
    session: SessionId,
    zxid: Option<Zxid>,
) -> Result<(), Code> {
    match *step {
        Step::Create {
            asked,
            path,
            parent,
            data,
            sequential,
            ephemeral,
        } => {
            let above = match parent {
                Some(parent) => Some((parent, nodes.get(parent).ok_or(Code::NoNode)?)),
                None => None,
            };
            // A sequential znode whose name nobody learned is somewhere below its parent.
            if path.is_some_and(|path| nodes.get(path).is_some()) {
                return Err(Code::NodeExists);
            }
            if let Some((parent, mut above)) = above {
                if above.owner.is_some() {
                    return Err(Code::NoChildrenForEphemerals);
                }
                // A number before the next one is refused by `fits`; one after it is a gap, which is legal.
                let made = path
                    .filter(|_| sequential)
                    .and_then(|path| number(asked, paths.name(path)));
                above.next = match (above.next, made) {
                    (_, Some(made)) => Some(made.wrapping_add(1)),
                    (next, None) => next.map(|next| next.wrapping_add(1)),
                };
                above.cversion = above.cversion.map(|cversion| cversion.wrapping_add(1));
                above.children = above.children.map(|children| children + 1);
                above.pzxid = zxid;
                nodes.put(parent, Some(above));
            }
            if let Some(path) = path {
                let node = Node {
                    data: Some(data),
                    version: Some(0),
                    cversion: Some(0),
                    next: Some(0),
                    children: Some(0),
                    owner: ephemeral.then_some(session),
                    czxid: zxid,
                    mzxid: zxid,
                    pzxid: zxid,
                };
                nodes.put(path, Some(node));
            }
            Ok(())
        }
        Step::Set {
            path,
            data,
            expected,
        } => {
            let mut node = nodes.get(path).ok_or(Code::NoNode)?;
            demand(&mut node, expected)?;
            node.data = Some(data);
            node.version = node.version.map(|version| version.wrapping_add(1));
            node.mzxid = zxid;
            nodes.put(path, Some(node));
            Ok(())
        }
        Step::Delete { path, expected } => {
            let mut node = nodes.get(path).ok_or(Code::NoNode)?;
            demand(&mut node, expected)?;
            // A sequential child that nobody learned the name of is only counted.
            if nodes.has_children(path) || node.children.is_some_and(|children| children > 0) {
                return Err(Code::NotEmpty);
            }
            remove(nodes, paths, path, zxid);
            Ok(())
        }
        Step::Check { path, expected } => {
            let mut node = nodes.get(path).ok_or(Code::NoNode)?;
            demand(&mut node, expected)?;
            nodes.put(path, Some(node));
            Ok(())
        }
    }
}

/// A version that was demanded and accepted is known from then on.
fn demand(node: &mut Node, expected: Option<i32>) -> Result<(), Code> {
    match (expected, node.version) {
        (Some(expected), Some(version)) if expected != version => Err(Code::BadVersion),
        (Some(expected), None) => {
            node.version = Some(expected);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn remove(nodes: &mut impl Nodes, paths: &Paths<'_>, path: PathId, zxid: Option<Zxid>) {
    nodes.put(path, None);
    let Some(parent) = paths.parent(path) else {
        return;
    };
    if let Some(mut above) = nodes.get(parent) {
        above.cversion = above.cversion.map(|cversion| cversion.wrapping_add(1));
        above.children = above.children.map(|children| children - 1);
        above.pzxid = zxid;
        nodes.put(parent, Some(above));
    }
}

/// What does not fit, in words that follow "but".
pub(super) type Misfit = String;

/// Whether a number may be the next one below a parent, as the parent was before the create.
pub(super) fn number_fits(
    nodes: &impl Nodes,
    paths: &Paths<'_>,
    step: &Step<'_>,
) -> Result<(), Misfit> {
    let Step::Create {
        asked,
        path: Some(path),
        parent: Some(parent),
        sequential: true,
        ..
    } = step
    else {
        return Ok(());
    };
    let made = number(asked, paths.name(*path));
    let next = nodes.get(*parent).and_then(|parent| parent.next);
    match (made, next) {
        // Counters of 32 bits run over: what looks far back is just ahead.
        (Some(made), Some(next)) if made.wrapping_sub(next) < 0 => Err(format!(
            "{} already had children up to number {}",
            paths.name(*parent),
            next.wrapping_sub(1)
        )),
        _ => Ok(()),
    }
}

/// Whether what an answer to a read shows is what the tree holds.
pub(super) fn fits(
    nodes: &impl Nodes,
    paths: &Paths<'_>,
    path: PathId,
    look: Look,
    answer: &Answer<'_>,
) -> Result<(), Misfit> {
    let name = paths.name(path);
    let Some(node) = nodes.get(path) else {
        return Err(format!("there is no {name}"));
    };
    if look == Look::Get
        && let (Some(seen), Some(data)) = (answer.data, node.data)
        && seen != data
    {
        return Err(format!("{name} holds other data"));
    }
    stat_fits(name, &node, &answer.stat)?;
    if let Some(seen) = &answer.children {
        children_fit(nodes, paths, path, seen)?;
    }
    Ok(())
}

fn children_fit(
    nodes: &impl Nodes,
    paths: &Paths<'_>,
    path: PathId,
    seen: &[PathId],
) -> Result<(), Misfit> {
    let name = paths.name(path);
    let holds = nodes.children(path);
    if let Some(missing) = holds
        .iter()
        .find(|child| seen.binary_search(child).is_err())
    {
        return Err(format!("{name} has the child {}", paths.name(*missing)));
    }
    if let Some(more) = seen
        .iter()
        .find(|child| holds.binary_search(child).is_err())
    {
        return Err(format!("{name} has no child {}", paths.name(*more)));
    }
    Ok(())
}

/// Whether a Stat is that of a node, as far as both are known.
pub(super) fn stat_fits(name: &str, node: &Node, seen: &StatSeen) -> Result<(), Misfit> {
    let differs = |field: &str, has: Option<i64>, saw: Option<i64>| match (has, saw) {
        (Some(has), Some(saw)) if has != saw => match field.ends_with("zxid") {
            true => Err(format!("{name} has {field} {has:#x}, not {saw:#x}")),
            false => Err(format!("{name} has {field} {has}, not {saw}")),
        },
        _ => Ok(()),
    };
    differs("czxid", node.czxid, seen.czxid)?;
    differs(
        "version",
        node.version.map(i64::from),
        seen.version.map(i64::from),
    )?;
    differs("mzxid", node.mzxid, seen.mzxid)?;
    differs(
        "cversion",
        node.cversion.map(i64::from),
        seen.cversion.map(i64::from),
    )?;
    differs(
        "numChildren",
        node.children.map(i64::from),
        seen.children.map(i64::from),
    )?;
    differs("pzxid", node.pzxid, seen.pzxid)?;
    match seen.owner {
        // A znode that was there before may have any owner.
        Some(owner) if owner != node.owner && node.data.is_some() => {
            Err(format!("{name} has another ephemeralOwner"))
        }
        _ => Ok(()),
    }
}

/// Takes over what an answer shows of what nobody knew.
pub(super) fn learn(nodes: &mut impl Nodes, path: PathId, look: Look, answer: &Answer<'_>) {
    let Some(mut node) = nodes.get(path) else {
        return;
    };
    let seen = &answer.stat;
    if look == Look::Get {
        node.data = node.data.or(answer.data);
    }
    node.version = node.version.or(seen.version);
    node.cversion = node.cversion.or(seen.cversion);
    node.czxid = node.czxid.or(seen.czxid);
    node.mzxid = node.mzxid.or(seen.mzxid);
    node.pzxid = node.pzxid.or(seen.pzxid);
    nodes.put(path, Some(node));
}
