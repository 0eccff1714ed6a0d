//! Whose vote an observer holds while its owner is away: when a seat is lent, and when it goes back.
//!
//! A voter that stays away makes every further failure worse, and nobody may be awake to see it. If the ensemble has an observer that is up
//! to date, that can vote instead. The rule, of which the leader is told whom it hears, and which it carries out by
//! an ordinary change of the members (see [`crate::zab::View`]):
//!
//! - A seat is lent when its holder has been away for [`Terms::grace_ms`] and an observer has been here and up to date for
//!   [`Terms::settle_ms`]. The one who was away comes back as an observer.
//! - It goes back when its owner has been here and up to date for [`Terms::settle_ms`]; also if its holder was removed meanwhile, and
//!   nobody has it.
//! - One seat at a time, and only if afterwards at least as many voters may fail as before: who counts is never fewer, so that
//!   a change can only be proposed by a leader that has a quorum, and leaves it one.
//!
//! A new leader begins to count anew: it cannot know how long somebody was away. Who owns a lent seat is written in the tree
//! before the change is proposed, and taken out after the seat went back; what is written counts only where it fits the members, so that
//! neither a change that came to nothing nor one that an operator made meanwhile is taken for a loan.
//!
//! Pure: presence and time come as arguments.

use crate::zab::{Members, Millis, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long a voter is away before its seat is lent.
    pub grace_ms: u64,
    /// How long somebody is here and up to date before it gets a seat.
    pub settle_ms: u64,
}

/// In the place of a holder: nobody has the seat. No server has this id.
const NOBODY: NodeId = NodeId(0);

/// Seats that are lent, or are about to be: owner and holder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loans(BTreeSet<(NodeId, NodeId)>);

impl Loans {
    /// Reads what [`Loans::text`] wrote; what makes no sense is nobody's loan.
    pub fn parse(text: &str) -> Loans {
        let loan = |line: &str| {
            let (owner, holder) = line.split_once(' ')?;
            Some((NodeId(owner.parse().ok()?), NodeId(holder.parse().ok()?)))
        };
        Loans(text.lines().filter_map(loan).collect())
    }

    /// A line for each: owner, a space, holder.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (owner, holder) in &self.0 {
            writeln!(text, "{owner} {holder}").expect("a String takes every text");
        }
        text
    }

    /// Those that fit the members: the owner observes, and the holder votes; or else nobody has the seat any more, because its holder was
    /// removed or votes no longer. Nobody has two.
    #[must_use]
    pub fn fitting(&self, members: &Members) -> Loans {
        let mut fitting: BTreeSet<(NodeId, NodeId)> = BTreeSet::new();
        let owners = || self.0.iter().filter(|(o, _)| members.observers.contains(o));
        for &(owner, holder) in owners().filter(|(_, holder)| members.votes(*holder)) {
            if !fitting.iter().any(|(o, h)| *o == owner || *h == holder) {
                fitting.insert((owner, holder));
            }
        }
        for &(owner, _) in owners() {
            if !fitting.iter().any(|(o, _)| *o == owner) {
                fitting.insert((owner, NOBODY));
            }
        }
        Loans(fitting)
    }

    /// The owners of those that nobody has.
    pub fn without_holder(&self) -> impl Iterator<Item = NodeId> {
        let loans = self.0.iter();
        loans.filter(|(_, h)| *h == NOBODY).map(|(owner, _)| *owner)
    }

    /// Those whose owner is no member any more, and whose holder votes: the holder keeps the seat. Owner and holder.
    pub fn without_owner(&self, members: &Members) -> impl Iterator<Item = (NodeId, NodeId)> {
        let is_member = |id| members.votes(id) || members.observers.contains(&id);
        let loans = self.0.iter().copied();
        loans.filter(move |&(owner, holder)| !is_member(owner) && members.votes(holder))
    }

    /// Whose seat this one holds, if it is not its own.
    fn owner(&self, holder: NodeId) -> Option<NodeId> {
        let mut loans = self.0.iter();
        loans.find(|(_, h)| *h == holder).map(|(owner, _)| *owner)
    }

    fn is_owner(&self, id: NodeId) -> bool {
        self.0.iter().any(|(owner, _)| *owner == id)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is to be written before this is proposed. It tells of both what is and what is to be, since either may come of it.
    #[must_use]
    pub fn before(&self, step: Step) -> Loans {
        let mut loans = self.clone();
        if let Step::Lend { from, to } = step {
            // Who was away may only have held the seat for another.
            loans.0.insert((self.owner(from).unwrap_or(from), to));
        }
        loans
    }
}

/// One change of the members: two of them change places, or an owner takes back what nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Who is away does not vote any more, and an observer does.
    Lend {
        /// The voter.
        from: NodeId,
        /// The observer.
        to: NodeId,
    },
    /// The owner is back.
    Return {
        /// The holder, or nobody, with id 0.
        from: NodeId,
        /// The owner.
        to: NodeId,
    },
}

impl Step {
    /// Who votes before, and who votes afterwards.
    pub fn voters(self) -> (NodeId, NodeId) {
        match self {
            Step::Lend { from, to } | Step::Return { from, to } => (from, to),
        }
    }
}

/// Since when everybody is here or away, as the leader sees it.
#[derive(Debug)]
pub struct Seats {
    terms: Terms,
    since: BTreeMap<NodeId, (bool, Millis)>,
}

impl Seats {
    /// A leader begins: it has seen nobody.
    pub fn new(terms: Terms) -> Seats {
        Seats {
            terms,
            since: BTreeMap::new(),
        }
    }

    /// What is to be done now, if anything is. `is_here` says who is connected to the leader and up to date, the leader itself
    /// among them; `loans` are those that fit these members. To be asked several times within each delay.
    pub fn look(
        &mut self,
        now: Millis,
        members: &Members,
        loans: &Loans,
        is_here: impl Fn(NodeId) -> bool,
    ) -> Option<Step> {
        let all = members.all();
        self.since.retain(|id, _| all.contains(id));
        for id in all {
            let here = is_here(id);
            let since = self.since.entry(id).or_insert((here, now));
            if since.0 != here {
                *since = (here, now);
            }
        }
        // In either, who gets the vote is here, and voters do not get fewer: it makes nothing worse.
        self.to_return(now, loans)
            .or_else(|| self.to_lend(now, members, loans))
    }

    fn has_been(&self, id: NodeId, here: bool, now: Millis) -> bool {
        let ms = match here {
            true => self.terms.settle_ms,
            false => self.terms.grace_ms,
        };
        let since = self.since.get(&id);
        since.is_some_and(|&(is, since)| is == here && now.since(since) >= ms)
    }

    fn to_return(&self, now: Millis, loans: &Loans) -> Option<Step> {
        let mut loans = loans.0.iter().copied();
        let (owner, holder) = loans.find(|(owner, _)| self.has_been(*owner, true, now))?;
        // Where nobody has it, one more votes, who is here: as many may fail as before, or one more.
        Some(Step::Return {
            from: holder,
            to: owner,
        })
    }

    fn to_lend(&self, now: Millis, members: &Members, loans: &Loans) -> Option<Step> {
        let mut voters = members.voters.iter();
        let away = voters.find(|id| self.has_been(**id, false, now))?;
        // An owner that is back waits for its own seat.
        let may = |id: &&NodeId| !loans.is_owner(**id) && self.has_been(**id, true, now);
        let observer = members.observers.iter().find(may)?;
        Some(Step::Lend {
            from: *away,
            to: *observer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms = Terms {
        grace_ms: 1000,
        settle_ms: 300,
    };

    fn set(ids: &[u64]) -> BTreeSet<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn members(voters: &[u64], observers: &[u64]) -> Members {
        Members {
            voters: set(voters),
            observers: set(observers),
            ..Members::default()
        }
    }

    /// An ensemble whose leader looks every 100 ms, and whose changes take place at once.
    struct World {
        members: Members,
        written: Loans,
        seats: Seats,
        now: Millis,
        steps: Vec<Step>,
    }

    impl World {
        fn new(voters: &[u64], observers: &[u64]) -> World {
            World {
                members: members(voters, observers),
                written: Loans::default(),
                seats: Seats::new(TERMS),
                now: Millis(0),
                steps: Vec::new(),
            }
        }

        fn may_fail(&self, here: &[u64]) -> i64 {
            let voters = &self.members.voters;
            let here = voters.iter().filter(|id| here.contains(&id.0)).count();
            here as i64 - (voters.len() / 2 + 1) as i64
        }

        /// Lets time pass while these are here.
        fn pass(&mut self, ms: u64, here: &[u64]) {
            let end = Millis(self.now.0 + ms);
            while self.now < end {
                self.now = Millis(self.now.0 + 100);
                let loans = self.written.fitting(&self.members);
                let is_here = |id: NodeId| here.contains(&id.0);
                let Some(step) = self.seats.look(self.now, &self.members, &loans, is_here) else {
                    continue;
                };
                let before = self.may_fail(here);
                let written = loans.before(step);
                assert_eq!(
                    written.fitting(&self.members),
                    loans,
                    "if it comes to nothing"
                );
                let (from, to) = step.voters();
                assert!(self.members.observers.remove(&to) && self.members.voters.insert(to));
                if from != NOBODY {
                    assert!(
                        self.members.voters.remove(&from) && self.members.observers.insert(from)
                    );
                }
                self.written = written.fitting(&self.members);
                assert!(self.may_fail(here) >= before, "{step:?} with {here:?}");
                self.steps.push(step);
            }
        }
    }

    fn lend(from: u64, to: u64) -> Step {
        Step::Lend {
            from: NodeId(from),
            to: NodeId(to),
        }
    }

    fn back(from: u64, to: u64) -> Step {
        Step::Return {
            from: NodeId(from),
            to: NodeId(to),
        }
    }

    #[test]
    fn a_seat_is_lent_after_the_grace_period_and_goes_back_when_its_owner_has_settled() {
        let mut world = World::new(&[1, 2, 3], &[4]);
        world.pass(900, &[1, 3, 4]);
        assert_eq!(world.steps, []);
        world.pass(500, &[1, 3, 4]);
        assert_eq!(world.steps, [lend(2, 4)]);
        assert_eq!(world.members, members(&[1, 3, 4], &[2]));
        world.pass(200, &[1, 2, 3, 4]);
        world.pass(200, &[1, 3, 4]);
        assert_eq!(world.steps.len(), 1, "it did not stay");
        world.pass(600, &[1, 2, 3, 4]);
        assert_eq!(world.steps[1..], [back(4, 2)]);
        assert_eq!(world.members, members(&[1, 2, 3], &[4]));
        assert!(world.written.is_empty());
    }

    #[test]
    fn the_seat_of_one_that_is_no_member_any_more_stays_with_its_holder() {
        let loans = Loans::parse("2 4\n");
        let left = |members: &Members| loans.without_owner(members).collect::<Vec<_>>();
        assert_eq!(left(&members(&[1, 3, 4], &[2])), [], "it is away");
        assert_eq!(left(&members(&[1, 2, 3], &[4])), [], "it is back");
        let removed = members(&[1, 3, 4], &[]);
        assert_eq!(left(&removed), [(NodeId(2), NodeId(4))]);
        assert!(loans.fitting(&removed).is_empty());
        assert_eq!(left(&members(&[1, 3], &[4])), [], "both are gone");
    }

    #[test]
    fn the_seat_of_a_holder_that_was_removed_goes_back_to_its_owner() {
        let mut world = World::new(&[1, 2, 3], &[4]);
        world.pass(2000, &[1, 3, 4]);
        world.members = members(&[1, 3], &[2]);
        world.written = world.written.fitting(&world.members);
        assert_eq!(world.written.text(), "2 0\n");
        // Also if that server comes again, as another.
        world.members = members(&[1, 3], &[2, 4]);
        world.pass(5000, &[1, 3, 4]);
        assert_eq!(world.steps, [lend(2, 4)], "its owner is not here");
        world.pass(1000, &[1, 2, 3, 4]);
        assert_eq!(world.steps[1..], [back(0, 2)]);
        assert_eq!(world.members, members(&[1, 2, 3], &[4]));
        assert!(world.written.is_empty());
        let both = Loans::parse("1 4\n2 5\n").fitting(&members(&[3], &[1, 2]));
        assert_eq!(both.text(), "1 0\n2 0\n");
        let lent_on = Loans::parse("2 4\n2 5\n");
        assert_eq!(lent_on.fitting(&members(&[1, 3, 5], &[2])).text(), "2 5\n");
        assert_eq!(
            lent_on.fitting(&members(&[1, 3], &[2, 4, 5])).text(),
            "2 0\n",
            "who has it votes no more"
        );
    }

    #[test]
    fn who_comes_and_goes_within_the_grace_period_keeps_its_seat() {
        let mut world = World::new(&[1, 2, 3], &[4]);
        for _ in 0..20 {
            world.pass(900, &[1, 3, 4]);
            world.pass(100, &[1, 2, 3, 4]);
        }
        assert_eq!(world.steps, []);
    }

    #[test]
    fn a_seat_whose_holder_goes_away_is_lent_on_and_goes_back_to_its_owner() {
        let mut world = World::new(&[1, 2, 3], &[4, 5]);
        world.pass(2000, &[1, 3, 4, 5]);
        world.pass(2000, &[1, 3, 5]);
        assert_eq!(world.steps, [lend(2, 4), lend(4, 5)]);
        assert_eq!(world.written.text(), "2 5\n");
        world.pass(1000, &[1, 2, 3, 4, 5]);
        assert_eq!(world.members, members(&[1, 2, 3], &[4, 5]));
    }

    #[test]
    fn without_an_observer_that_is_here_nothing_is_done() {
        let mut world = World::new(&[1, 2, 3], &[4]);
        world.pass(5000, &[1, 3]);
        assert_eq!(world.steps, []);
        let mut world = World::new(&[1, 2, 3], &[]);
        world.pass(5000, &[1, 3]);
        assert_eq!(world.steps, []);
    }

    #[test]
    fn what_is_written_counts_only_where_it_fits_the_members() {
        let loans = |text: &str| Loans::parse(text);
        let written = loans("2 4\n3 4\n1 5\n9 9\nnonsense\n");
        assert_eq!(written.fitting(&members(&[1, 3, 4], &[2])).text(), "2 4\n");
        assert!(written.fitting(&members(&[1, 2, 3], &[4, 5])).is_empty());
        assert_eq!(loans(&written.text()), written);
    }

    proptest! {
        /// Whoever is here and away for how long: no step makes it worse (asserted in `pass`), one seat is lent at most once, and
        /// when all are back, everybody has its own seat again.
        #[test]
        fn when_all_are_back_everybody_has_its_own_seat(
            spans in prop::collection::vec((100u64..3000, 0u8..128), 1..30),
        ) {
            let mut world = World::new(&[1, 2, 3, 4, 5], &[6, 7]);
            for (ms, mask) in spans {
                let here: Vec<u64> = (1..=7).filter(|id| mask & (1 << (id - 1)) != 0).collect();
                // Without a quorum nobody leads.
                if world.may_fail(&here) >= 0 {
                    world.pass(ms, &here);
                }
                prop_assert_eq!(world.members.voters.len(), 5);
            }
            world.pass(10_000, &[1, 2, 3, 4, 5, 6, 7]);
            prop_assert_eq!(&world.members, &members(&[1, 2, 3, 4, 5], &[6, 7]));
        }
    }
}
