//! Lives: how a server that forgot is told from one that only stopped.
//!
//! A voter's word counts because it keeps it. A disk that was replaced, or on which an old copy was put back, keeps nothing, and may not
//! even know: what an old copy holds is whole. So every start of a server is a *life* with a mark that no other has; the server writes it down
//! before it says a word, behind the marks of the lives before ([`Chain`]), each with the epoch that had been promised by its end, and with its last cure. A server shows its
//! chain to whoever it wants to follow, with the lives that it knows of all others ([`Lives`]), and a leader tells all what it knows. Whoever hears of a
//! life of its own that is not in its chain, or that had promised more than the chain says, has forgotten that it lived: it becomes amnesiac, on disk. Until it is
//! cured, whoever knows that life counts it nowhere. A cure has a number, greater than that of every cure before it; it makes good for every life with a smaller one.
//!
//! # Nobody is accused who did not forget
//!
//! A life is told only by the server that lives it, and only after it is on its disk; so is the promise with it. Every later life is written behind it. So in
//! the chain of a server whose disk keeps what was synced stands every life since its last cure that anybody can know, with at least the promise that anybody can
//! know; it does not matter where it crashed, how often it started without telling, whether it was removed and came back, or how late a message is. Of long chains
//! the beginning is dropped (`KEPT`): a life with a smaller number than the first that is left is believed. A directory that was made anew for the id
//! of an older one is accused, rightly: that id has promised things.
//!
//! # Who forgot, and is known to have lived on, counts nowhere
//!
//! Let a voter X come back with an old copy, or with none, and let so many others have a later life of X on disk that no quorum can be had of X
//! and those who do not, whichever members the copy or an old log may hold to be those that count. Whatever X is counted for (an epoch decided, promised, a history or a proposal held, a leader confirmed, itself as leader) takes a
//! quorum of learners that introduced themselves and the leader; one of them, W, knows the life. Either W is the leader, and compares the chain that X
//! showed; or W told the leader when it introduced itself, which is before it counts. The leader compares all again whenever it learns something, itself included, and does not
//! count who does not cover what is known. What X does alone harms nobody. When X is cured, its leader's quorum remembers and has a W too, so that X's own
//! knowledge of others, which it may have lost as well, is as good as before: the leader had W's and told it before.
//!
//! How they come to know: an established leader tells all (`FromLeader::Lives`), before it says `NewLeader` and whenever a learner's
//! promise is news, and they write it down. So when all are there, all know each other's last life and promise. While it stays
//! in the same life and promises nothing new, a voter's leader alone remembers what it acknowledged: who comes back to it with less is
//! told that as well.
//!
//! # A forgotten promise is not counted
//!
//! Let X promise epoch e to L, which is stopped before it counts that; X's disk is replaced; another leader M of an epoch below e brings X up to date and counts
//! it from then on. If L then counted the old promise, e and M's epoch could have quorums that share X alone. So M cures X only when a majority (without X)
//! has X's new life on disk, and has said so after M heard of it. L needs a majority for e too; the two share a W other than X. If W promised e before it
//! told M, it had left M, and told nothing. So it told M first, and knew X's new life when it introduced itself to L: the chain that X showed
//! L before does not cover it, and L does not count X.
//!
//! The number of a cure is the leader's epoch and the edition of lives in which it tells of it. A later cure has a greater one: in the same epoch, because
//! editions grow; else because its majority has not promised an epoch in which there was a cure before, and that one had a majority.
//!
//! # What cannot be told
//!
//! A copy that is not older than what anybody knows looks like the disk of a server that crashed. It takes a copy that was made of a running server, after its
//! last start and its last new promise, and a leader that is gone when the copy is put back; or so many others that were away since, or are away then, that a
//! quorum knows nothing; or a copy from a time when its server was the only voter.

use super::types::{Epoch, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So many lives of its own does a server remember.
const KEPT: usize = 256;

/// When a server was last cured of amnesia: the epoch of the leader, and the edition of lives in which it told so. Zero: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Cure {
    /// The leader's epoch.
    pub epoch: Epoch,
    /// The edition.
    pub edition: u64,
}

/// One start of a server, up to a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Life {
    /// Which start on its data directory.
    pub number: u64,
    /// Drawn at random: no other life has it.
    pub mark: u64,
    /// The highest epoch that it is known to have promised.
    pub promised: Epoch,
    /// The last cure that it is known to have had.
    pub cured: Cure,
}

/// The lives that a server remembers to have lived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// In order; the last is the present one.
    pub lives: Vec<Life>,
}

impl Default for Chain {
    fn default() -> Self {
        Chain::begin(0)
    }
}

impl Chain {
    /// The first life on a new data directory.
    pub fn begin(mark: u64) -> Chain {
        let first = Life {
            number: 1,
            mark,
            ..Life::default()
        };
        Chain { lives: vec![first] }
    }

    /// The next life. The one before had promised this by its end.
    pub fn start(&mut self, mark: u64, promised: Epoch) {
        let last = self.last();
        last.promised = promised;
        let next = Life {
            number: last.number + 1,
            mark,
            promised: Epoch(0),
            cured: last.cured,
        };
        self.lives.push(next);
        let old = self.lives.len().saturating_sub(KEPT);
        self.lives.drain(..old);
    }

    /// The present life is cured of amnesia.
    pub fn cure(&mut self, cure: Cure) {
        self.last().cured = cure;
    }

    fn last(&mut self) -> &mut Life {
        self.lives.last_mut().expect("there is a present life")
    }

    /// The life that is lived now.
    pub fn present(&self) -> Life {
        *self.lives.last().expect("there is a present life")
    }

    /// Whether a server with this chain remembers that life, or was cured of having forgotten it.
    pub fn covers(&self, life: &Life) -> bool {
        let present = self.present();
        if life.cured != present.cured {
            return life.cured < present.cured;
        }
        let own = self.lives.iter().rev().find(|own| own.mark == life.mark);
        match own {
            Some(own) => own.mark == present.mark || own.promised >= life.promised,
            None => life.number < self.lives[0].number,
        }
    }
}

/// What is known of lives: one's own, and the newest of each of the others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lives {
    /// One's own.
    pub own: Chain,
    /// The others': several of one server if it is not known which came first.
    pub known: Known,
}

/// The newest known lives of servers.
pub type Known = BTreeMap<NodeId, Vec<Life>>;

impl Lives {
    /// What others are told: of oneself with this promise, which must be on disk.
    pub(super) fn told(&self, me: NodeId, promised: Epoch) -> Known {
        let mut told = self.known.clone();
        let own = Life {
            promised,
            ..self.own.present()
        };
        told.insert(me, vec![own]);
        told
    }

    /// The lives that a server is known to have lived, and that its chain does not cover.
    pub fn forgotten(&self, id: NodeId, chain: &Chain) -> Vec<Life> {
        let known = self.known.get(&id).into_iter().flatten();
        known.filter(|life| !chain.covers(life)).copied().collect()
    }

    /// Notes a life that somebody knows of. Whether that is news.
    pub(super) fn note(&mut self, id: NodeId, life: Life) -> bool {
        let known = self.known.entry(id).or_default();
        let Some(known) = known.iter_mut().find(|known| known.mark == life.mark) else {
            known.push(life);
            return true;
        };
        let before = *known;
        known.promised = known.promised.max(life.promised);
        known.cured = known.cured.max(life.cured);
        *known != before
    }

    /// A server has shown its chain, and promised this epoch in its present life. Whether that is news.
    pub(super) fn shown(&mut self, id: NodeId, chain: &Chain, promised: Epoch) -> bool {
        let present = Life {
            promised,
            ..chain.present()
        };
        let news = self.note(id, present);
        let known = self.known.entry(id).or_default();
        if known.iter().all(|life| chain.covers(life)) {
            known.retain(|life| life.mark == present.mark);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: NodeId = NodeId(1);

    fn known(life: Life) -> Lives {
        let mut lives = Lives::default();
        lives.note(X, life);
        lives
    }

    fn promised(chain: &Chain, epoch: u32) -> Life {
        Life {
            promised: Epoch(epoch),
            ..chain.present()
        }
    }

    #[test]
    fn a_chain_covers_its_own_past_however_often_it_starts() {
        let mut chain = Chain::begin(7);
        let mut told = Vec::new();
        for start in 1..600 {
            told.push(promised(&chain, start));
            chain.start(1000 + u64::from(start), Epoch(start));
            assert!(told.iter().all(|life| chain.covers(life)));
        }
        assert_eq!(chain.lives.len(), KEPT);
    }

    #[test]
    fn an_old_copy_does_not_cover_what_came_after_it_however_often_it_starts() {
        let mut chain = Chain::begin(7);
        chain.start(8, Epoch(1));
        let copy = chain.clone();
        chain.start(9, Epoch(1));
        let later = known(promised(&chain, 0));
        let mut back = copy.clone();
        for start in 0..50 {
            back.start(100 + start, Epoch(5));
            assert_eq!(later.forgotten(X, &back).len(), 1, "start {start}");
        }
    }

    #[test]
    fn a_copy_of_the_same_life_does_not_cover_what_was_promised_after_it() {
        let chain = Chain::begin(7);
        let known = known(promised(&chain, 3));
        let (mut crashed, mut copied) = (chain.clone(), chain);
        crashed.start(8, Epoch(3));
        copied.start(9, Epoch(2));
        assert!(known.forgotten(X, &crashed).is_empty());
        assert_eq!(known.forgotten(X, &copied).len(), 1);
        // What it promises later does not bring the promise back.
        copied.start(10, Epoch(4));
        assert_eq!(known.forgotten(X, &copied).len(), 1);
    }

    #[test]
    fn a_cure_makes_good_for_all_that_was_forgotten_before_and_for_nothing_after() {
        let mut chain = Chain::begin(7);
        chain.start(8, Epoch(2));
        let mut others = known(promised(&chain, 9));
        let mut fresh = Chain::begin(9);
        assert_eq!(others.forgotten(X, &fresh).len(), 1);
        let cure = |epoch, edition| Cure {
            epoch: Epoch(epoch),
            edition,
        };
        fresh.cure(cure(3, 1));
        assert!(others.forgotten(X, &fresh).is_empty());
        // Of the two, the old disk is the one that forgot now.
        assert!(others.shown(X, &fresh, Epoch(3)));
        assert_eq!(others.known[&X].len(), 1);
        assert_eq!(others.forgotten(X, &chain).len(), 1);
        // And so is a copy that was made before the next cure.
        let copy = fresh.clone();
        fresh.cure(cure(3, 2));
        others.shown(X, &fresh, Epoch(3));
        fresh.start(10, Epoch(3));
        assert!(others.forgotten(X, &fresh).is_empty());
        assert_eq!(others.forgotten(X, &copy).len(), 1);
    }

    #[test]
    fn who_shows_less_than_is_known_adds_to_it_and_takes_nothing_away() {
        let mut chain = Chain::begin(7);
        let copy = chain.clone();
        chain.start(8, Epoch(0));
        let mut others = known(promised(&chain, 0));
        let mut back = copy;
        back.start(9, Epoch(0));
        assert!(others.shown(X, &back, Epoch(1)));
        assert_eq!(others.forgotten(X, &back).len(), 1);
        assert_eq!(others.forgotten(X, &chain).len(), 1);
    }
}
