//! The leader lends the seats of voters that are away, and gives them back: the rule of [`crate::seats`], carried out.

use super::engine::Engine;
use crate::config::Role;
use crate::ensemble;
use crate::prep::{Changes, Prepared};
use crate::request::SessionId;
use crate::seats::{Loans, Step};
use crate::tree::path;
use crate::txn::Body;
use crate::zab::{Millis, NodeId};
use std::collections::BTreeSet;

/// Between two looks, in milliseconds.
const LOOK_MS: u64 = 100;

impl Engine {
    /// Whose seats are lent, by what is committed.
    pub(super) fn loans(&self) -> Loans {
        self.written_loans().fitting(&self.replica.view().members)
    }

    fn written_loans(&self) -> Loans {
        let data = self.tree.get(path::SEATS).and_then(|znode| znode.data());
        let text = data.and_then(|data| std::str::from_utf8(data).ok());
        text.map(Loans::parse).unwrap_or_default()
    }

    pub(super) fn keep_seats(&mut self) {
        let Some(leader) = &mut self.leader else {
            return;
        };
        if !self.config.reconfig.lend_seats || self.now < leader.next_seating {
            return;
        }
        leader.next_seating = Millis(self.now.0 + LOOK_MS);
        // Nobody knows how a change under way ends: neither what is written is touched then, nor another change begun.
        let view = self.replica.view();
        let is_changing = self.replica.can_change(&view.members).is_err();
        if is_changing || leader.overlay().is_pending(path::SEATS) || view.version.0 == 0 {
            return;
        }
        let (written, loans) = (self.written_loans(), self.loans());
        let me = self.config.id;
        let learners = self.replica.learners().into_iter();
        let here: BTreeSet<NodeId> = learners.filter(|l| l.synced).map(|l| l.id).collect();
        let is_here = |id| id == me || here.contains(&id);
        let Some(leader) = &mut self.leader else {
            return;
        };
        let members = &self.replica.view().members;
        match leader.seats.look(self.now, members, &loans, is_here) {
            Some(step) => self.seat(step, &loans),
            None if written != loans => self.write_loans(&loans),
            None => {}
        }
    }

    fn seat(&mut self, step: Step, loans: &Loans) {
        let before = self.servers();
        let (mut after, (from, to)) = (before.clone(), step.voters());
        for (id, role) in [(from, Role::Observer), (to, Role::Voter)] {
            match after.get_mut(&id) {
                Some(member) => member.role = role,
                // The holder was removed.
                None if role == Role::Observer => {}
                None => return,
            }
        }
        if self.replica.can_change(&ensemble::members(&after)).is_err() {
            return;
        }
        match step {
            Step::Lend { from, to } => {
                self.metrics.seats_lent_count.inc();
                let grace_ms = self.config.reconfig.grace_ms;
                tracing::warn!(
                    voter = from.0,
                    observer = to.0,
                    grace_ms,
                    "a voter stays away: an observer takes its seat"
                );
            }
            Step::Return { from, to } => {
                self.metrics.seats_returned_count.inc();
                tracing::info!(
                    voter = to.0,
                    holder = from.0,
                    "a voter is back: it gets its seat again"
                );
            }
        }
        self.write_loans(&loans.before(step));
        let prepared = Prepared {
            body: Body::Join {
                from: ensemble::text(&before),
                to: ensemble::text(&after),
            },
            changes: Changes::default(),
        };
        self.put_in_log(self.nobody(), SessionId::NONE, 0, prepared);
    }

    fn write_loans(&mut self, loans: &Loans) {
        let members = &self.replica.view().members;
        for (owner, holder) in self.written_loans().without_owner(members) {
            tracing::info!(
                owner = owner.0,
                holder = holder.0,
                "the owner of a lent seat was removed from the ensemble: its holder keeps the seat"
            );
        }
        let known: Vec<NodeId> = self.written_loans().without_holder().collect();
        for owner in loans
            .without_holder()
            .filter(|owner| !known.contains(owner))
        {
            tracing::warn!(
                owner = owner.0,
                "the holder of a lent seat was removed, or has no vote any more: nobody has the seat until its owner is back"
            );
        }
        let text = (!loans.is_empty()).then(|| loans.text().into());
        self.write_own(path::SEATS, text);
    }
}
