//! Access control lists, each kept once however many znodes have it.

use crate::request::Acl;
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Lists in use, and some that were.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    known: FxHashSet<Arc<[Acl]>>,
    /// So many are looked through for those that nobody has any more.
    next_look: usize,
}

impl Lists {
    /// The list, to be shared; `None` if it is the open one, which nearly every znode has.
    pub(super) fn keep(&mut self, list: Vec<Acl>) -> Option<Arc<[Acl]>> {
        if list == [Acl::open()] {
            return None;
        }
        if let Some(known) = self.known.get(&*list) {
            return Some(known.clone());
        }
        if self.known.len() >= self.next_look {
            self.known.retain(|list| Arc::strong_count(list) > 1);
            self.next_look = 64.max(2 * self.known.len());
        }
        let list: Arc<[Acl]> = list.into();
        self.known.insert(list.clone());
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_are_one_and_unused_ones_go() {
        let mut lists = Lists::default();
        let one = |n: i32| {
            vec![Acl {
                permissions: n,
                ..Acl::open()
            }]
        };
        assert!(lists.keep(vec![Acl::open()]).is_none());
        let (a, b) = (lists.keep(one(1)).unwrap(), lists.keep(one(1)).unwrap());
        assert!(Arc::ptr_eq(&a, &b));
        for n in 32..10_000 {
            lists.keep(one(n));
        }
        assert!(lists.known.len() <= 64);
        assert!(Arc::ptr_eq(&a, &lists.keep(one(1)).unwrap()));
    }
}
