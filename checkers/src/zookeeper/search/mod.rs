//! The general search over the whole tree, where zxids do not tell the order.
//!
//! Every write, and every error that the tree decided, takes effect at one instant between its invocation and its return; so
//! does a read, unless it is plain (`"mode":"local"`). A plain read shows one prefix of the writes that is no older than what
//! its session has seen: a state remembers as many older trees as such reads may still look at. Zxids that are known restrict
//! the order: they increase with it.
//!
//! Where all answers have zxids, and a read that of the prefix it shows, only the places of indeterminate writes are searched for:
//! all else stands at its own.
//!
//! # What the search of a part proves
//!
//! That a part has *no* place for an answer, with any of the names that lost creates may have made, is a proof: whatever order the whole
//! history had, the search would have found it, for it restricts less than the zxids do.
//! - The operations of other parts change nothing that this one's look at.
//! - An indeterminate write whose zxid answers show stands there if no other can have that zxid, and if nothing says that it may be older than
//!   the history; else it may stand there, or at any other that it may have made, or have a zxid that nobody saw.
//! - One that nobody saw is put in just before the next operation to which it matters, or to which another one matters that is put in there:
//!   what stands between is the same before it and after it.
//! - It must have had a zxid between that operation and the last one before it that tells *for certain* whether it had happened, and one
//!   that no other write has. What tells for certain is a write that has to do with the same znodes, and a look at a Stat that it must
//!   have changed; the end of a session need not have changed the parents of znodes that others may have deleted.
//!
//! It rests on what is held to have been there before the history ([`given`]). Where that is doubtful, the checker judges again with each
//! other way in which it may have been (and knows nothing if there are too many ways), so that a history is invalid only if it is so with all
//! of them. Three things are never presumed: an ephemeral znode of before that nobody saw before the end of its session, or whose end is
//! seen in a list of children alone; a name with a number that was made before by that very name, and under the same parent again by a lost create of a sequential znode; and that a server
//! shows the tree as it was before the history. A sound history with one of these may be called invalid.
//!
//! That it *has* places is none: two writes may need the same zxid, and parts do not ask each other. Zxids are given out afterwards, and
//! all is replayed; where that fails, the search of all at once decides, or nothing does.
//!
//! - `trie`: trees that share what they have in common; `state`: a state of the search;
//! - `parts`: what has nothing to do with each other; `gaps`: whether a zxid is left;
//! - `calls`: what is to be known of each operation; `model`: the [`Model`](crate::linear::Model).

mod calls;
mod gaps;
mod model;
mod parts;
mod state;
mod trie;

use super::call::Zxid;
use super::decode::Decoded;
use super::given::given;
use super::replay::{Effects, Rules};
use crate::history::Operation;
use crate::linear::{Entry, Single, Stuck, Whole};
use crate::verdict::Budget;
use calls::Order;
use model::Tree;
pub(super) use parts::{Part, parts};

/// Searches for an order of the whole history.
pub(super) fn search<'h>(
    decoded: &Decoded<'h>,
    operations: &[Operation<'h>],
    rules: Rules,
    effects: &Effects,
    budget: &Budget,
) -> Whole {
    let model = Tree::new(decoded, rules, effects, given(decoded), Order::Lines, None);
    Single {
        model: &model,
        name: "the tree",
        initial: model.start(),
        entries: model.entries(),
        operations,
        budget,
    }
    .judge()
}

/// What a search by zxid says.
pub(super) struct ByZxid {
    pub(super) found: Placing,
    /// Configurations visited, and bytes held at most.
    pub(super) visited: u64,
    pub(super) held: u64,
}

/// Whether indeterminate writes can be placed so that all fits.
pub(super) enum Placing {
    Fits {
        /// All that has a zxid, in that order; of equal ones a write first.
        order: Vec<usize>,
        /// Indeterminate writes that took effect, and whose zxids answers show.
        shown: Vec<(usize, Zxid)>,
        /// Others that took effect, in their order: each before so many of those in the order.
        put_in: Vec<(usize, usize)>,
    },
    /// This one has no place, and why not in the state in which it was left the last chance.
    Nowhere(usize, String),
    /// Why it cannot be told.
    Undecided(String),
}

/// Searches for indeterminate writes, and zxids for them, with which every answer is what the tree gives at its zxid: all answers
/// must have one, and each read that of the prefix it shows. What it says is exact where answers tell for certain which
/// indeterminate write has a zxid that they show.
pub(super) fn search_by_zxid<'h>(
    decoded: &Decoded<'h>,
    operations: &[Operation<'h>],
    rules: Rules,
    effects: &Effects,
    budget: &Budget,
) -> ByZxid {
    let given = given(decoded);
    let model = Tree::new(decoded, rules, effects, given, Order::Zxids, None);
    placing(&model, operations, budget)
}

/// The same for a part of the history, whosever the zxids are that answers show, and without asking whether enough of the others are
/// left for the other indeterminate writes: much quicker, but only that there is no place is a proof, with these names.
pub(super) fn search_without_room<'h>(
    decoded: &Decoded<'h>,
    operations: &[Operation<'h>],
    rules: Rules,
    effects: &Effects,
    part: &Part,
    budget: &Budget,
) -> ByZxid {
    let given = given(decoded);
    let model = Tree::new(decoded, rules, effects, given, Order::Roomless, Some(part));
    placing(&model, operations, budget)
}

fn placing<'h>(model: &Tree<'_, 'h>, operations: &[Operation<'h>], budget: &Budget) -> ByZxid {
    let entries = model.entries_by_zxid();
    let all: Vec<(Entry<_>, Option<Zxid>)> = entries
        .iter()
        .map(|entry| (*entry, model.zxid(entry.call)))
        .collect();
    let bare = Single {
        model,
        name: "the tree",
        initial: model.start(),
        entries,
        operations,
        budget,
    }
    .stuck();
    let found = match bare.found {
        Stuck::Nowhere(used) => {
            let (put_in, seen): (Vec<_>, Vec<_>) = used
                .into_iter()
                .partition(|(place, _)| all[*place].0.is_endless());
            let seen: Vec<usize> = seen.into_iter().map(|(place, _)| place).collect();
            let stands = |(place, (entry, _)): &(usize, &(Entry<_>, _))| {
                entry.certain || seen.contains(place)
            };
            let standing: Vec<&Entry<_>> = (all.iter().enumerate().filter(stands))
                .map(|(_, (entry, _))| entry)
                .collect();
            let operation = |place: usize| all[place].0.operation as usize;
            let before = |line: u32| standing.partition_point(|entry| entry.ret < line);
            Placing::Fits {
                shown: (seen.iter())
                    .filter_map(|place| Some((operation(*place), all[*place].1?)))
                    .collect(),
                put_in: (put_in.into_iter())
                    .map(|(place, line)| (operation(place), before(line)))
                    .collect(),
                order: standing
                    .iter()
                    .map(|entry| entry.operation as usize)
                    .collect(),
            }
        }
        Stuck::At(at, text) => Placing::Nowhere(at, text),
        Stuck::Undecided(text) => Placing::Undecided(text),
    };
    ByZxid {
        found,
        visited: bare.visited,
        held: bare.held,
    }
}
