//! What a symbolic target means now: a pure function of the episode's draw, the nodes and the leader.

use crate::control::Action;
use crate::fault::{Episode, Fault, NodeName, Shape, Target};
use crate::shapes;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An episode with its target resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Whom it hits, in the cluster's order. Of halves, the smaller side; of a bridge, the bridge; of a ring, everyone.
    pub targets: Vec<NodeName>,
    /// What exactly is done.
    pub action: Action,
}

/// Why an episode cannot be resolved. It is skipped then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// Nobody leads.
    #[error("no node leads")]
    NoLeader,
    /// The schedule names a node that this cluster does not have.
    #[error("there is no node {0}")]
    NoSuchNode(NodeName),
    /// The target is no node at all (a minority of two nodes, say).
    #[error("of {nodes} nodes, {target} is none")]
    Nobody {
        /// How many nodes there are.
        nodes: usize,
        /// The target.
        target: Target,
    },
    /// The shape cuts nothing here.
    #[error("a partition of this shape cuts no link among {nodes} nodes")]
    NothingToCut {
        /// How many nodes there are.
        nodes: usize,
    },
}

/// Whether resolving this target needs to know who leads.
pub fn needs_leader(target: &Target) -> bool {
    *target == Target::Leader
}

/// Resolves an episode.
///
/// # Errors
/// [`Unresolved`], the reason for which it is skipped.
pub fn resolve(
    episode: &Episode,
    nodes: &[NodeName],
    leader: Option<&NodeName>,
) -> Result<Resolved, Unresolved> {
    let mut rng = ChaCha8Rng::seed_from_u64(episode.draw);
    let hit = target(&episode.target, nodes, leader, &mut rng)?;
    let named = |places: &[usize]| places.iter().map(|place| nodes[*place].clone()).collect();
    match &episode.fault {
        Fault::Kill => {
            let targets: Vec<NodeName> = named(&hit);
            Ok(Resolved {
                action: Action::Kill {
                    nodes: targets.clone(),
                },
                targets,
            })
        }
        Fault::Pause => {
            let targets: Vec<NodeName> = named(&hit);
            Ok(Resolved {
                action: Action::Pause {
                    nodes: targets.clone(),
                },
                targets,
            })
        }
        Fault::Partition { shape } => {
            let (hit, links) = partition(*shape, &episode.target, hit, nodes.len(), &mut rng);
            if links.is_empty() {
                return Err(Unresolved::NothingToCut { nodes: nodes.len() });
            }
            let link = |(from, to): &(usize, usize)| (nodes[*from].clone(), nodes[*to].clone());
            let links = links.iter().map(link).collect();
            Ok(Resolved {
                action: Action::Cut { links },
                targets: named(&hit),
            })
        }
    }
}

/// The places of the nodes that a target means, in order; never none.
fn target(
    target: &Target,
    nodes: &[NodeName],
    leader: Option<&NodeName>,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<usize>, Unresolved> {
    let count = nodes.len();
    let place = |name: &NodeName| {
        let found = nodes.iter().position(|node| node == name);
        found.ok_or_else(|| Unresolved::NoSuchNode(name.clone()))
    };
    let nobody = || Unresolved::Nobody {
        nodes: count,
        target: target.clone(),
    };
    let most_of_minority = count.saturating_sub(1) / 2;
    let least_of_majority = count / 2 + 1;
    let size = match target {
        Target::Leader => return Ok(vec![place(leader.ok_or(Unresolved::NoLeader)?)?]),
        Target::Node(name) => return Ok(vec![place(name)?]),
        Target::One => count.min(1),
        Target::Minority if most_of_minority == 0 => 0,
        Target::Minority => rng.random_range(1..=most_of_minority),
        // All nodes are a target of their own, so a majority leaves one out where it can.
        Target::Majority => {
            rng.random_range(least_of_majority..=least_of_majority.max(count.saturating_sub(1)))
        }
        Target::All => count,
    };
    if size == 0 || size > count {
        return Err(nobody());
    }
    Ok(draw(size, &[], count, rng))
}

/// `size` places of `count`, those in `with` among them, in order.
fn draw(size: usize, with: &[usize], count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut rest: Vec<usize> = (0..count).filter(|place| !with.contains(place)).collect();
    rest.shuffle(rng);
    let more = size.saturating_sub(with.len());
    let mut drawn: Vec<usize> = with
        .iter()
        .copied()
        .chain(rest.into_iter().take(more))
        .collect();
    drawn.sort_unstable();
    drawn
}

/// Whom a partition hits in the end, and what it cuts.
fn partition(
    shape: Shape,
    target: &Target,
    hit: Vec<usize>,
    count: usize,
    rng: &mut ChaCha8Rng,
) -> (Vec<usize>, shapes::Links) {
    match shape {
        Shape::Halves => {
            // A single target takes as many with it as a minority can have.
            let side = match target {
                Target::Leader | Target::One | Target::Node(_) => {
                    draw(count.saturating_sub(1) / 2, &hit, count, rng)
                }
                Target::Minority | Target::Majority | Target::All => hit,
            };
            let links = shapes::between(&side, count);
            (side, links)
        }
        Shape::Isolate => {
            let links = shapes::isolate(&hit, count);
            (hit, links)
        }
        Shape::Mute => {
            let links = shapes::mute(&hit, count);
            (hit, links)
        }
        Shape::Deaf => {
            let links = shapes::deaf(&hit, count);
            (hit, links)
        }
        Shape::Bridge if count >= 3 => {
            let at = hit[rng.random_range(0..hit.len())];
            (vec![at], shapes::bridge(at, count, rng))
        }
        Shape::MajoritiesRing if count >= 3 => {
            ((0..count).collect(), shapes::majorities_ring(count, rng))
        }
        Shape::Bridge | Shape::MajoritiesRing => (hit, shapes::Links::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectivity::majority_connected;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn nodes(count: usize) -> Vec<NodeName> {
        (1..=count).map(|n| format!("n{n}")).collect()
    }

    fn episode(fault: Fault, target: Target, draw: u64) -> Episode {
        Episode {
            id: 0,
            fault,
            target,
            start_ms: 0,
            length_ms: 1000,
            draw,
        }
    }

    fn cut(
        shape: Shape,
        target: Target,
        draw: u64,
    ) -> (Vec<NodeName>, BTreeSet<(NodeName, NodeName)>) {
        let episode = episode(Fault::Partition { shape }, target, draw);
        let resolved = resolve(&episode, &nodes(5), Some(&"n2".to_owned())).unwrap();
        match resolved.action {
            Action::Cut { links } => (resolved.targets, links.into_iter().collect()),
            other => panic!("a partition cuts links, not {other:?}"),
        }
    }

    fn size(target: Target, count: usize, draw: u64) -> usize {
        let episode = episode(Fault::Kill, target, draw);
        resolve(&episode, &nodes(count), None)
            .unwrap()
            .targets
            .len()
    }

    #[test]
    fn the_leader_is_who_leads_now_and_nobody_without_one() {
        let episode = episode(Fault::Pause, Target::Leader, 1);
        let resolved = resolve(&episode, &nodes(3), Some(&"n3".to_owned())).unwrap();
        assert_eq!(resolved.targets, ["n3"]);
        assert_eq!(
            resolved.action,
            Action::Pause {
                nodes: vec!["n3".into()]
            }
        );
        assert_eq!(
            resolve(&episode, &nodes(3), None),
            Err(Unresolved::NoLeader)
        );
    }

    #[test]
    fn a_node_that_does_not_exist_is_named() {
        let episode = episode(Fault::Kill, Target::Node("n9".into()), 1);
        assert_eq!(
            resolve(&episode, &nodes(3), None),
            Err(Unresolved::NoSuchNode("n9".into()))
        );
    }

    #[test]
    fn halves_put_the_leader_on_the_smaller_side() {
        let (side, links) = cut(Shape::Halves, Target::Leader, 3);
        assert_eq!(side.len(), 2);
        assert!(side.contains(&"n2".to_owned()));
        assert_eq!(links.len(), 12);
    }

    #[test]
    fn an_isolated_mute_or_deaf_leader_loses_its_own_links_only() {
        assert_eq!(cut(Shape::Isolate, Target::Leader, 3).1.len(), 8);
        let (_, mute) = cut(Shape::Mute, Target::Leader, 3);
        assert!(mute.len() == 4 && mute.iter().all(|(from, _)| from == "n2"));
        let (_, deaf) = cut(Shape::Deaf, Target::Leader, 3);
        assert!(deaf.len() == 4 && deaf.iter().all(|(_, to)| to == "n2"));
    }

    #[test]
    fn the_leader_can_be_the_bridge() {
        let (targets, links) = cut(Shape::Bridge, Target::Leader, 3);
        assert_eq!(targets, ["n2"]);
        assert!(links.iter().all(|(from, to)| from != "n2" && to != "n2"));
        assert_eq!(links.len(), 8);
    }

    #[test]
    fn what_is_nobody_or_cuts_nothing_says_so() {
        let minority = episode(Fault::Kill, Target::Minority, 1);
        let error = resolve(&minority, &nodes(2), None).unwrap_err();
        assert_eq!(error.to_string(), "of 2 nodes, minority is none");
        let ring = episode(
            Fault::Partition {
                shape: Shape::MajoritiesRing,
            },
            Target::All,
            1,
        );
        assert_eq!(
            resolve(&ring, &nodes(2), None),
            Err(Unresolved::NothingToCut { nodes: 2 })
        );
    }

    proptest! {
        #[test]
        fn sizes_are_what_their_names_say(count in 3_usize..10, draw: u64) {
            prop_assert_eq!(size(Target::One, count, draw), 1);
            prop_assert!(size(Target::Minority, count, draw) * 2 < count);
            let majority = size(Target::Majority, count, draw);
            prop_assert!(majority * 2 > count && majority < count);
            prop_assert_eq!(size(Target::All, count, draw), count);
        }

        #[test]
        fn the_same_draw_resolves_to_the_same(count in 3_usize..10, draw: u64) {
            let episode = episode(Fault::Partition { shape: Shape::Halves }, Target::One, draw);
            prop_assert_eq!(resolve(&episode, &nodes(count), None), resolve(&episode, &nodes(count), None));
        }

        #[test]
        fn a_partition_around_one_node_leaves_a_majority_connected(count in 3_usize..10, draw: u64,
            shape in prop::sample::select(vec![Shape::Halves, Shape::Isolate, Shape::MajoritiesRing, Shape::Bridge, Shape::Mute, Shape::Deaf])) {
            let episode = episode(Fault::Partition { shape }, Target::One, draw);
            let Action::Cut { links } = resolve(&episode, &nodes(count), None).unwrap().action else { panic!("no cut") };
            let cut = links.into_iter().collect();
            prop_assert!(majority_connected(&nodes(count), &BTreeSet::new(), &cut));
        }
    }
}
