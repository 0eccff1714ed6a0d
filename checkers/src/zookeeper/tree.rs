//! The tree: what each write does to it, and whether an answer fits it.
//!
//! The rules stand here once, over any place that holds nodes ([`Nodes`]): the replay's table, which can undo, and the
//! search's persistent map.

mod table;

pub(super) use table::Table;

use super::call::{
    Answer, Call, Code, DataId, Look, Op, Outcome, PathId, SessionId, StatSeen, Step, Write, Zxid,
};
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
    /// The owner's session; `Some(None)` for a znode that has none.
    pub(super) owner: Option<Option<SessionId>>,
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

/// Does a write, with what its answer says of it if one came; or says why that cannot be, in which case some of it may have
/// been done: the caller undoes it.
pub(super) fn perform(
    nodes: &mut impl Nodes,
    paths: &Paths<'_>,
    op: &Op<'_>,
    zxid: Option<Zxid>,
) -> Result<(), Misfit> {
    let Call::Write(write) = &op.call else {
        return Ok(());
    };
    if let Write::Close = write {
        for path in nodes.ephemerals(op.session) {
            remove(nodes, paths, path, zxid);
        }
        return Ok(());
    }
    let seen = match &op.outcome {
        Outcome::Done(answer) => Some(answer),
        _ => None,
    };
    for (part, step) in write.steps().iter().enumerate() {
        number_fits(nodes, paths, step)?;
        one(nodes, paths, step, op.session, zxid).map_err(|code| refused(code, part))?;
        // Each part's version is that of its own moment.
        let made = seen.and_then(|answer| answer.versions.get(part).copied().flatten());
        if let (Step::Set { path, .. }, Some(made)) = (step, made) {
            sets_version(nodes, *path, made, part)?;
        }
    }
    if let (
        Write::One(
            Step::Create {
                path: Some(path), ..
            }
            | Step::Set { path, .. },
        ),
        Some(answer),
    ) = (write, seen)
    {
        fits(nodes, paths, *path, Look::Exists, answer)?;
        learn(nodes, *path, Look::Exists, answer);
    }
    Ok(())
}

fn sets_version(
    nodes: &mut impl Nodes,
    path: PathId,
    made: i32,
    part: usize,
) -> Result<(), Misfit> {
    let Some(mut node) = nodes.get(path) else {
        return Ok(());
    };
    if node.version.is_some_and(|version| version != made) {
        return Err(format!("part {part} makes another version than {made}"));
    }
    node.version = Some(made);
    nodes.put(path, Some(node));
    Ok(())
}

fn refused(code: Code, part: usize) -> Misfit {
    match part {
        0 => format!("it would be refused with {}", code.word()),
        part => format!("its part {part} would be refused with {}", code.word()),
    }
}

/// Whether the tree refuses a write with this code, and with these results of its parts. The tree is changed by the parts before
/// the one that fails: the caller undoes it.
pub(super) fn refuses(
    nodes: &mut impl Nodes,
    paths: &Paths<'_>,
    op: &Op<'_>,
    code: Code,
    results: Option<&[Option<Code>]>,
) -> Result<(), Misfit> {
    let Call::Write(write) = &op.call else {
        return Ok(());
    };
    let results = results.filter(|_| matches!(write, Write::Multi(_)));
    let told = results.and_then(|results| results.iter().position(Option::is_some));
    for (part, step) in write.steps().iter().enumerate() {
        // Of a znode that was there before nobody may know whether it stands in the way.
        let perhaps = may_refuse(nodes, step, code) && told.is_none_or(|told| told == part);
        match one(nodes, paths, step, op.session, None) {
            Ok(()) if !perhaps => {}
            Err(found) if found != code && !perhaps => {
                return Err(format!(
                    "the tree refuses it with {}, not {}",
                    found.word(),
                    code.word()
                ));
            }
            _ => return results_fit(results, part, code),
        }
    }
    Err("it could be done".to_owned())
}

/// Whether what nobody knows of the znodes may make the tree refuse this step with this code.
fn may_refuse(nodes: &impl Nodes, step: &Step<'_>, code: Code) -> bool {
    let version_is_unknown = |path: PathId, expected: Option<i32>| {
        expected.is_some() && nodes.get(path).is_some_and(|node| node.version.is_none())
    };
    match (code, step) {
        (
            Code::BadVersion,
            Step::Set { path, expected, .. }
            | Step::Delete { path, expected }
            | Step::Check { path, expected },
        ) => version_is_unknown(*path, *expected),
        (Code::NotEmpty, Step::Delete { path, .. }) => {
            nodes.get(*path).is_some_and(|node| node.children.is_none())
        }
        (
            Code::NoChildrenForEphemerals,
            Step::Create {
                parent: Some(parent),
                ..
            },
        ) => nodes.get(*parent).is_some_and(|node| node.owner.is_none()),
        _ => false,
    }
}

/// Whether a failed multi tells of its parts what it must if this one failed.
fn results_fit(results: Option<&[Option<Code>]>, failed: usize, code: Code) -> Result<(), Misfit> {
    let expected = |part: usize| match part.cmp(&failed) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => Some(code),
        std::cmp::Ordering::Greater => Some(Code::RuntimeInconsistency),
    };
    let mut told = results.unwrap_or_default().iter().enumerate();
    match told.find(|(part, result)| **result != expected(*part)) {
        Some((part, _)) => Err(format!(
            "part {failed} is the one that fails, and part {part} has another result than that makes"
        )),
        None => Ok(()),
    }
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
                if matches!(above.owner, Some(Some(_))) {
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
                    owner: Some(ephemeral.then_some(session)),
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
fn number_fits(nodes: &impl Nodes, paths: &Paths<'_>, step: &Step<'_>) -> Result<(), Misfit> {
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
    // A sequential child whose name nobody learned would be in the list too.
    match nodes.get(path).and_then(|node| node.children) {
        Some(count) if count as usize != seen.len() => {
            Err(format!("{name} has {count} children, not {}", seen.len()))
        }
        _ => Ok(()),
    }
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
        Some(owner) if node.owner.is_some_and(|has| has != owner) => {
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
    node.owner = node.owner.or(seen.owner);
    nodes.put(path, Some(node));
}
