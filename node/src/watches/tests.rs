//! Watches against a slow model of ZooKeeper's rules, and what many of them cost.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const A: Watcher = Watcher(1);
const B: Watcher = Watcher(2);

fn watches(list: &[(Watcher, &str, WatchKind)]) -> Watches {
    let mut watches = Watches::default();
    for (watcher, path, kind) in list {
        watches.add(*watcher, path, *kind);
    }
    watches
}

#[test]
fn a_one_shot_watch_fires_once() {
    let mut w = watches(&[(A, "/a", WatchKind::Data), (B, "/a", WatchKind::Children)]);
    assert_eq!(w.fire("/a", EventKind::DataChanged), [A]);
    assert_eq!(w.fire("/a", EventKind::DataChanged), []);
    assert_eq!(w.fire("/a", EventKind::ChildrenChanged), [B]);
    assert!(w.is_empty());
    assert_eq!((w.len(), w.watcher_count()), (0, 0));
}

#[test]
fn the_end_of_a_znode_is_told_once_to_him_who_watches_data_and_children() {
    let mut w = watches(&[(A, "/a", WatchKind::Data), (A, "/a", WatchKind::Children)]);
    assert_eq!(w.len(), 1);
    assert_eq!(w.fire("/a", EventKind::Deleted), [A]);
    assert!(w.is_empty());
}

#[test]
fn a_recursive_watch_hears_of_everything_below_but_not_of_children() {
    let mut w = watches(&[
        (A, "/", WatchKind::Recursive),
        (B, "/a", WatchKind::Recursive),
    ]);
    assert_eq!(w.fire("/a/b/c", EventKind::Created), [A, B]);
    assert_eq!(w.fire("/ab", EventKind::Created), [A]);
    assert_eq!(w.fire("/a", EventKind::ChildrenChanged), []);
    assert!(w.remove(B, "/a", Which::Data));
    assert_eq!(w.fire("/a/b", EventKind::DataChanged), [A]);
    assert_eq!(
        w.fire("/a", EventKind::Deleted),
        [A, B],
        "the other half hears of the end"
    );
    assert!(w.remove(A, "/", Which::Any) && w.remove(B, "/a", Which::Children));
    assert_eq!((w.is_empty(), w.recursive), (true, 0));
}

#[test]
fn kinds_of_watch_on_one_path_do_not_disturb_each_other() {
    let mut w = watches(&[(A, "/a", WatchKind::Persistent), (A, "/a", WatchKind::Data)]);
    assert_eq!(w.fire("/a", EventKind::DataChanged), [A]);
    assert_eq!(w.fire("/a", EventKind::DataChanged), [A]);
    assert!(w.contains(A, "/a", Which::Data) && !w.contains(B, "/a", Which::Any));
    assert!(!w.remove(A, "/b", Which::Any));
}

/// ZooKeeper's rules, watch by watch.
#[derive(Default)]
struct Model {
    watches: Vec<(Watcher, String, WatchKind, bool)>,
}

impl Model {
    fn add(&mut self, watcher: Watcher, path: &str, kind: WatchKind) {
        let halves: &[bool] = match kind {
            WatchKind::Data => &[true],
            WatchKind::Children => &[false],
            WatchKind::Persistent | WatchKind::Recursive => &[true, false],
        };
        for about_data in halves {
            let new = (watcher, path.to_owned(), kind, *about_data);
            if !self.watches.contains(&new) {
                self.watches.push(new);
            }
        }
    }

    fn remove(&mut self, watcher: Watcher, path: &str, which: Which) -> bool {
        let before = self.watches.len();
        self.watches.retain(|(w, p, _, about_data)| {
            let meant = match which {
                Which::Any => true,
                Which::Data => *about_data,
                Which::Children => !about_data,
            };
            !(*w == watcher && p == path && meant)
        });
        self.watches.len() < before
    }

    fn fire(&mut self, path: &str, event: EventKind) -> Vec<Watcher> {
        let mut told = Vec::new();
        self.watches.retain(|(watcher, at, kind, about_data)| {
            let here = at == path;
            let below = path.starts_with(&format!("{}/", at.trim_end_matches('/')));
            let meant = match event {
                EventKind::Created | EventKind::DataChanged => *about_data,
                EventKind::Deleted => true,
                EventKind::ChildrenChanged => !about_data,
            };
            let fires = meant
                && match kind {
                    WatchKind::Recursive => (here || below) && event != EventKind::ChildrenChanged,
                    _ => here,
                };
            if fires {
                told.push(*watcher);
            }
            !(fires && matches!(kind, WatchKind::Data | WatchKind::Children))
        });
        told.sort_unstable();
        told.dedup();
        told
    }
}

#[test]
fn random_stories_are_told_as_by_the_rules() {
    let paths = ["/", "/a", "/ab", "/a/b", "/a/b/c", "/d"];
    let kinds = [
        WatchKind::Data,
        WatchKind::Children,
        WatchKind::Persistent,
        WatchKind::Recursive,
    ];
    let events = [
        EventKind::Created,
        EventKind::Deleted,
        EventKind::DataChanged,
        EventKind::ChildrenChanged,
    ];
    let which = [Which::Any, Which::Data, Which::Children];
    let (mut fired, mut told) = (0, 0);
    for seed in 0..2000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut watches, mut model) = (Watches::default(), Model::default());
        // Some stories have so many watchers of one path that they stand in a tree.
        let crowd = if seed % 100 == 0 { 400 } else { 3 };
        for _ in 0..if crowd > 3 { 1500 } else { 60 } {
            let path = paths[random.random_range(0..paths.len())];
            let watcher = Watcher(random.random_range(0..crowd));
            match random.random_range(0..if crowd > 3 { 100 } else { 12 }) {
                0..4 => {
                    let event = events[random.random_range(0..4)];
                    let found = watches.fire(path, event);
                    fired += 1;
                    told += found.len();
                    assert_eq!(
                        found,
                        model.fire(path, event),
                        "seed {seed}: {event:?} {path}"
                    );
                }
                4 => {
                    let which = which[random.random_range(0..3)];
                    let there = watches.contains(watcher, path, which);
                    let removed = watches.remove(watcher, path, which);
                    assert_eq!(removed, model.remove(watcher, path, which), "seed {seed}");
                    assert_eq!(there, removed);
                }
                5 => {
                    watches.forget(watcher);
                    model.watches.retain(|(w, ..)| *w != watcher);
                }
                _ => {
                    let kind = kinds[random.random_range(0..4)];
                    watches.add(watcher, path, kind);
                    model.add(watcher, path, kind);
                }
            }
            let mut pairs: Vec<_> = model
                .watches
                .iter()
                .map(|(w, p, ..)| (*w, p.as_str()))
                .collect();
            pairs.sort_unstable();
            pairs.dedup();
            assert_eq!(watches.len(), pairs.len(), "seed {seed}");
        }
        let by_path: usize = watches.by_path().iter().map(|(_, w)| w.len()).sum();
        let by_watcher: usize = watches.by_watcher().iter().map(|(_, p)| p.len()).sum();
        assert_eq!((by_path, by_watcher), (watches.len(), watches.len()));
        for watcher in 0..crowd {
            watches.forget(Watcher(watcher));
        }
        assert!(watches.is_empty() && watches.recursive == 0, "seed {seed}");
    }
    assert!(
        fired > 10_000 && told > 10_000,
        "{fired} events, told {told} times"
    );
}

#[test]
fn ten_thousand_watchers_of_one_znode_are_told_at_once_and_nothing_is_left() {
    let mut w = Watches::default();
    for n in (0..10_000).rev() {
        w.add(Watcher(n), "/config", WatchKind::Data);
    }
    let told = w.fire("/config", EventKind::DataChanged);
    assert_eq!(told.len(), 10_000);
    assert!(told.is_sorted());
    assert_eq!((w.len(), w.path_count(), w.watcher_count()), (0, 0, 0));
}
