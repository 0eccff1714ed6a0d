//! Which links each shape of a partition cuts. Pure; nodes are known here by their place in the cluster's list.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// Ordered pairs (from, to) of places, without repeats, in order.
pub(crate) type Links = BTreeSet<(usize, usize)>;

/// Cuts everything between one side and the rest.
pub(crate) fn between(side: &[usize], count: usize) -> Links {
    let rest: Vec<usize> = (0..count).filter(|node| !side.contains(node)).collect();
    let pairs = side.iter().flat_map(|a| rest.iter().map(|b| (*a, *b)));
    both_ways(pairs)
}

/// Cuts everything from and to each of these nodes, each of them alone.
pub(crate) fn isolate(alone: &[usize], count: usize) -> Links {
    let pairs = alone
        .iter()
        .flat_map(|a| others(*a, count).map(|b| (*a, b)));
    both_ways(pairs)
}

/// Cuts what these nodes say.
pub(crate) fn mute(silent: &[usize], count: usize) -> Links {
    silent
        .iter()
        .flat_map(|from| others(*from, count).map(|to| (*from, to)))
        .collect()
}

/// Cuts what these nodes hear.
pub(crate) fn deaf(deaf: &[usize], count: usize) -> Links {
    deaf.iter()
        .flat_map(|to| others(*to, count).map(|from| (from, *to)))
        .collect()
}

/// Two drawn halves of the other nodes that meet only in `bridge`.
pub(crate) fn bridge(bridge: usize, count: usize, rng: &mut ChaCha8Rng) -> Links {
    let mut rest: Vec<usize> = others(bridge, count).collect();
    rest.shuffle(rng);
    let (left, right) = rest.split_at(rest.len() / 2);
    both_ways(left.iter().flat_map(|a| right.iter().map(|b| (*a, *b))))
}

/// The nodes in a drawn ring, each seeing only as many neighbours on both sides as a majority needs.
///
/// Three nodes in a ring all see each other: there the ring is opened in one place, which keeps the idea (everyone sees a
/// majority, no two the same one).
pub(crate) fn majorities_ring(count: usize, rng: &mut ChaCha8Rng) -> Links {
    let mut ring: Vec<usize> = (0..count).collect();
    ring.shuffle(rng);
    if count == 3 {
        return both_ways([(ring[0], ring[2])]);
    }
    let majority = count / 2 + 1;
    let reach = (majority - 1).div_ceil(2);
    let apart = |a: usize, b: usize| {
        let steps = a.abs_diff(b);
        steps.min(count - steps)
    };
    let pairs = (0..count)
        .flat_map(|a| (0..a).map(move |b| (a, b)))
        .filter(|(a, b)| apart(*a, *b) > reach)
        .map(|(a, b)| (ring[a], ring[b]));
    both_ways(pairs)
}

fn others(node: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).filter(move |other| *other != node)
}

fn both_ways(pairs: impl IntoIterator<Item = (usize, usize)>) -> Links {
    pairs
        .into_iter()
        .flat_map(|(a, b)| [(a, b), (b, a)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    /// The nodes with which `node` can exchange messages both ways, itself included.
    fn sees(node: usize, count: usize, cut: &Links) -> BTreeSet<usize> {
        (0..count)
            .filter(|other| !cut.contains(&(node, *other)) && !cut.contains(&(*other, node)))
            .collect()
    }

    #[test]
    fn halves_cut_every_link_between_and_none_within() {
        let cut = between(&[0, 1], 5);
        assert_eq!(cut.len(), 12);
        assert_eq!(sees(0, 5, &cut), BTreeSet::from([0, 1]));
        assert_eq!(sees(4, 5, &cut), BTreeSet::from([2, 3, 4]));
    }

    #[test]
    fn each_isolated_node_is_alone() {
        let cut = isolate(&[1, 2], 5);
        assert_eq!(sees(1, 5, &cut), BTreeSet::from([1]));
        assert_eq!(sees(2, 5, &cut), BTreeSet::from([2]));
        assert_eq!(sees(0, 5, &cut), BTreeSet::from([0, 3, 4]));
    }

    #[test]
    fn a_mute_node_still_hears_and_a_deaf_one_still_speaks() {
        assert_eq!(mute(&[0], 3), BTreeSet::from([(0, 1), (0, 2)]));
        assert_eq!(deaf(&[0], 3), BTreeSet::from([(1, 0), (2, 0)]));
    }

    proptest! {
        #[test]
        fn in_a_ring_everyone_sees_a_majority_and_no_two_the_same(count in 3_usize..12, seed: u64) {
            let cut = majorities_ring(count, &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert!(!cut.is_empty());
            let views: BTreeSet<BTreeSet<usize>> = (0..count).map(|node| sees(node, count, &cut)).collect();
            prop_assert_eq!(views.len(), count);
            prop_assert!(views.iter().all(|view| view.len() > count / 2));
        }

        #[test]
        fn over_a_bridge_both_halves_meet_in_one_node_only(count in 3_usize..12, at: prop::sample::Index, seed: u64) {
            let at = at.index(count);
            let cut = bridge(at, count, &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert_eq!(sees(at, count, &cut).len(), count);
            let one = usize::from(at == 0);
            let half = sees(one, count, &cut);
            prop_assert!(half.len() > 1 && half.len() < count);
            for other in 0..count {
                let same = half.contains(&other);
                if other != at {
                    prop_assert_eq!(sees(other, count, &cut) == half, same);
                }
            }
        }

        #[test]
        fn no_shape_cuts_a_node_from_itself(count in 3_usize..9, seed: u64) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let all: Vec<usize> = (0..count).collect();
            let shapes = [between(&[0], count), isolate(&all, count), mute(&all, count), deaf(&all, count),
                bridge(0, count, &mut rng), majorities_ring(count, &mut rng)];
            prop_assert!(shapes.iter().flatten().all(|(from, to)| from != to && *from < count && *to < count));
        }
    }
}
