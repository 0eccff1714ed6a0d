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
//! - `trie`: trees that share what they have in common; `state`: a state of the search;
//! - `calls`: what is to be known of each operation; `model`: the [`Model`](crate::linear::Model).

mod calls;
mod model;
mod state;
mod trie;

use super::call::{Call, Step, Write};
use super::decode::Decoded;
use super::given::given;
use super::replay::{Effects, Rules};
use crate::history::Operation;
use crate::linear::{Bare, Single, Whole};
use crate::verdict::Budget;
use calls::Order;
use model::Tree;

/// Gives sequential znodes that nobody saw, and whose creates may have happened, names of their own: a list of children that
/// does not have them is one in which they are not.
pub(super) fn name_what_was_not_seen(decoded: &mut Decoded<'_>) {
    for at in 0..decoded.ops.len() {
        if !decoded.ops[at].may_take_effect() {
            continue;
        }
        let inv = decoded.ops[at].inv();
        let Call::Write(write) = &mut decoded.ops[at].call else {
            continue;
        };
        let steps = match write {
            Write::One(step) => std::slice::from_mut(step),
            Write::Multi(steps) => steps.as_mut_slice(),
            Write::Close => continue,
        };
        for (part, step) in steps.iter_mut().enumerate() {
            if let Step::Create {
                asked,
                path: made @ None,
                ..
            } = step
            {
                // No path that ZooKeeper makes has a character 0.
                *made = Some(decoded.paths.id(format!("{asked}\0{inv}.{part}")));
            }
        }
    }
}

/// Searches for an order of the whole history.
pub(super) fn search<'h>(
    decoded: &Decoded<'h>,
    operations: &[Operation<'h>],
    rules: Rules,
    effects: &Effects,
    budget: &Budget,
) -> Whole {
    let model = Tree::new(decoded, rules, effects, given(decoded), Order::Lines);
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

/// Searches for indeterminate writes, and zxids for them, with which every answer is what the tree gives at its zxid: all answers
/// must have one, and each read that of the prefix it shows. What it says is exact where answers tell for certain which
/// indeterminate write has a zxid that they show.
pub(super) fn search_by_zxid<'h>(
    decoded: &Decoded<'h>,
    operations: &[Operation<'h>],
    rules: Rules,
    effects: &Effects,
    budget: &Budget,
) -> Bare {
    let model = Tree::new(decoded, rules, effects, given(decoded), Order::Zxids);
    Single {
        model: &model,
        name: "the tree",
        initial: model.start(),
        entries: model.entries_by_zxid(),
        operations,
        budget,
    }
    .stuck()
}
