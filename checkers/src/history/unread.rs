//! A history whose reads of `null` say nothing.

use super::History;
use super::arena::Cell;
use super::event::Kind;
use super::rows::NONE;
use super::value::{ListRef, ValueRef};

impl History {
    /// The same lines; but a read that answered `null` is indeterminate, and is left out of a transaction.
    pub(crate) fn without_null_reads(&self) -> History {
        let mut history = self.clone();
        for place in 0..self.rows.len() {
            let row = self.rows[place];
            if row.kind != Kind::Ok || row.partner == NONE {
                continue;
            }
            let event = self.event(place);
            if matches!(event.f(), "read" | "get") && event.value().is_null() {
                history.rows[place].kind = Kind::Info;
            } else if let Some(list) = event.value().as_list().filter(|_| event.f() == "txn") {
                history.leave_out(row.partner as usize, place, self, list);
            }
        }
        history
    }

    /// Leaves the reads of `null` out of both halves of a transaction.
    fn leave_out(
        &mut self,
        invocation: usize,
        completion: usize,
        whole: &History,
        told: ListRef<'_>,
    ) {
        let says_nothing = |micro: ValueRef<'_>| {
            let micro = micro.as_list();
            let part = |place| micro.and_then(|micro| micro.get(place));
            let f = part(0).and_then(ValueRef::as_str);
            matches!(f, Some("r" | "read")) && part(2).is_none_or(ValueRef::is_null)
        };
        let stays: Vec<bool> = told.iter().map(|micro| !says_nothing(micro)).collect();
        if stays.iter().all(|stays| *stays) {
            return;
        }
        for place in [invocation, completion] {
            if let Some(list) = whole.event(place).value().as_list() {
                let list = list.iter().zip(&stays).filter(|(_, stays)| **stays);
                let cells: Vec<Cell> = list.map(|(micro, _)| self.writer.copy(micro)).collect();
                let began = self.writer.begin();
                cells.iter().for_each(|cell| self.writer.element(*cell));
                self.rows[place].value = self.writer.end_list(began);
            }
        }
    }
}
