//! Who can still reach a majority, by what is in place. Pure.

use crate::fault::NodeName;
use std::collections::BTreeSet;

/// Whether a node runs that can exchange messages, both ways, with so many others that together they are more than half
/// of all `nodes`: a leader there could commit.
///
/// `down`: the nodes that do not run or are stopped. `cut`: the ordered pairs (from, to) over which nothing crosses.
pub fn majority_connected(
    nodes: &[NodeName],
    down: &BTreeSet<NodeName>,
    cut: &BTreeSet<(NodeName, NodeName)>,
) -> bool {
    let majority = nodes.len() / 2 + 1;
    let up: Vec<&NodeName> = nodes.iter().filter(|node| !down.contains(*node)).collect();
    let open = |from: &NodeName, to: &NodeName| !cut.contains(&(from.clone(), to.clone()));
    up.iter().any(|hub| {
        let with_hub = up
            .iter()
            .filter(|node| *node == hub || (open(hub, node) && open(node, hub)));
        with_hub.count() >= majority
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn five() -> Vec<NodeName> {
        (1..=5).map(|n| format!("n{n}")).collect()
    }

    fn names(names: &[&str]) -> BTreeSet<NodeName> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn both_ways(pairs: &[(&str, &str)]) -> BTreeSet<(NodeName, NodeName)> {
        let each = |(a, b): &(&str, &str)| {
            [
                (a.to_string(), b.to_string()),
                (b.to_string(), a.to_string()),
            ]
        };
        pairs.iter().flat_map(each).collect()
    }

    #[test]
    fn two_of_five_down_leave_a_majority_and_three_do_not() {
        assert!(majority_connected(
            &five(),
            &names(&["n1", "n2"]),
            &BTreeSet::new()
        ));
        assert!(!majority_connected(
            &five(),
            &names(&["n1", "n2", "n3"]),
            &BTreeSet::new()
        ));
    }

    #[test]
    fn a_hub_is_enough_though_its_neighbours_do_not_see_each_other() {
        let cut = both_ways(&[("n1", "n2"), ("n1", "n3"), ("n2", "n3"), ("n4", "n1")]);
        assert!(majority_connected(&five(), &BTreeSet::new(), &cut));
    }

    #[test]
    fn a_link_that_is_cut_one_way_does_not_count() {
        let one_way: BTreeSet<_> = ["n1", "n2"]
            .iter()
            .flat_map(|a| ["n3", "n4", "n5"].map(|b| (a.to_string(), b.to_string())))
            .collect();
        assert!(majority_connected(&five(), &BTreeSet::new(), &one_way));
        assert!(!majority_connected(&five(), &names(&["n5"]), &one_way));
    }

    #[test]
    fn faults_of_different_kinds_add_up() {
        let cut = both_ways(&[("n1", "n3"), ("n1", "n4"), ("n1", "n5")]);
        assert!(majority_connected(&five(), &BTreeSet::new(), &cut));
        assert!(majority_connected(&five(), &names(&["n2"]), &cut));
        assert!(!majority_connected(&five(), &names(&["n2", "n3"]), &cut));
    }

    #[test]
    fn a_single_node_is_its_own_majority_while_it_runs() {
        let one = vec!["n1".to_owned()];
        assert!(majority_connected(&one, &BTreeSet::new(), &BTreeSet::new()));
        assert!(!majority_connected(&one, &names(&["n1"]), &BTreeSet::new()));
    }
}
