//! Comparing trees: pure.

use super::{Comparison, Difference, ReplicaDigest};
use crate::wire::{Stat, Zxid};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Most differences that are listed.
const MOST_DIFFERENCES: usize = 100;
/// Most bytes of a znode's data that are shown.
const MOST_DATA: usize = 200;

/// A znode as one replica has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Znode {
    /// Its data.
    pub data: Vec<u8>,
    /// Its whole Stat.
    pub stat: Stat,
}

/// A replica's tree, by path.
pub(super) type Tree = BTreeMap<String, Znode>;

/// Compares the trees that all nodes had at `zxid`, by the nodes' names.
pub(super) fn compare(zxid: Zxid, trees: &BTreeMap<String, Tree>) -> Comparison {
    let paths: BTreeSet<&String> = trees.values().flat_map(BTreeMap::keys).collect();
    let differing = paths.into_iter().filter(|path| differs(path, trees));
    let differences: Vec<Difference> = differing
        .take(MOST_DIFFERENCES)
        .map(|path| difference(path, trees))
        .collect();
    let nodes = trees
        .iter()
        .map(|(name, tree)| (name.clone(), digest(tree)))
        .collect();
    Comparison {
        equal: Some(differences.is_empty()),
        reason: None,
        zxid,
        nodes,
        differences,
    }
}

fn differs(path: &str, trees: &BTreeMap<String, Tree>) -> bool {
    let mut versions = trees.values().map(|tree| tree.get(path));
    let first = versions.next();
    versions.any(|version| Some(version) != first)
}

fn difference(path: &str, trees: &BTreeMap<String, Tree>) -> Difference {
    let shown =
        |(name, tree): (&String, &Tree)| (name.clone(), tree.get(path).map_or(Value::Null, show));
    Difference {
        path: path.to_owned(),
        nodes: trees.iter().map(shown).collect(),
    }
}

fn show(znode: &Znode) -> Value {
    let shown = &znode.data[..znode.data.len().min(MOST_DATA)];
    json!({"data": String::from_utf8_lossy(shown), "stat": znode.stat})
}

/// SHA-256 over every path, data and Stat in order, each preceded by its length.
fn digest(tree: &Tree) -> ReplicaDigest {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    for (path, znode) in tree {
        field(path.as_bytes());
        field(&znode.data);
        for number in stat_numbers(&znode.stat) {
            field(&number.to_be_bytes());
        }
    }
    let mut hex = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
    }
    ReplicaDigest {
        znodes: tree.len() as u64,
        digest: hex,
    }
}

fn stat_numbers(stat: &Stat) -> [i64; 11] {
    [
        stat.czxid.0,
        stat.mzxid.0,
        stat.ctime,
        stat.mtime,
        stat.version.into(),
        stat.cversion.into(),
        stat.aversion.into(),
        stat.ephemeral_owner,
        stat.data_length.into(),
        stat.num_children.into(),
        stat.pzxid.0,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[(&str, &str)]) -> Tree {
        let znode = |data: &str| Znode {
            data: data.into(),
            stat: Stat::default(),
        };
        paths
            .iter()
            .map(|(path, data)| (path.to_string(), znode(data)))
            .collect()
    }

    fn compared(trees: &[Tree]) -> Comparison {
        let named = trees.iter().enumerate();
        let trees = named
            .map(|(index, tree)| (format!("n{}", index + 1), tree.clone()))
            .collect();
        compare(Zxid(7), &trees)
    }

    #[test]
    fn equal_trees_have_equal_digests_and_no_differences() {
        let one = tree(&[("/", ""), ("/a", "1")]);
        let comparison = compared(&[one.clone(), one]);
        assert_eq!(comparison.equal, Some(true));
        assert_eq!(comparison.nodes["n1"], comparison.nodes["n2"]);
        assert_eq!(comparison.nodes["n1"].znodes, 2);
    }

    #[test]
    fn a_missing_znode_and_one_with_other_data_are_named_by_path() {
        let one = tree(&[("/", ""), ("/a", "1"), ("/b", "1")]);
        let two = tree(&[("/", ""), ("/a", "2")]);
        let comparison = compared(&[one, two]);
        assert_eq!(comparison.equal, Some(false));
        let paths: Vec<&str> = comparison
            .differences
            .iter()
            .map(|d| d.path.as_str())
            .collect();
        assert_eq!(paths, ["/a", "/b"]);
        assert_eq!(comparison.differences[1].nodes["n2"], Value::Null);
        assert_ne!(comparison.nodes["n1"].digest, comparison.nodes["n2"].digest);
    }

    #[test]
    fn the_stat_counts_too() {
        let one = tree(&[("/a", "1")]);
        let mut two = one.clone();
        two.get_mut("/a").unwrap().stat.mtime = 1;
        assert_eq!(compared(&[one, two]).equal, Some(false));
    }

    #[test]
    fn no_more_than_a_hundred_differences_are_listed() {
        let many = (0..300).map(|n| {
            (
                format!("/{n}"),
                Znode {
                    data: vec![],
                    stat: Stat::default(),
                },
            )
        });
        let comparison = compared(&[many.collect(), Tree::new()]);
        assert_eq!(comparison.differences.len(), 100);
    }
}
