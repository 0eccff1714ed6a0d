//! The tree of znodes: every answer to every operation fits one order of all writes.

use super::call::{PathId, Zxid};
use super::decode::{Decoded, decode};
use super::given::{Before, Presumed, doubts};
use super::replay::{self, Effects, Misfit, Next, Picks, Replayed, Rules, Tally};
use super::room::{Care, Room};
use super::search::{
    ByZxid as Searched, Part, Placing, parts, search, search_by_zxid, search_without_room,
};
use crate::breaches::Breaches;
use crate::contract::{self, ReplyZxid, owes_sync_reads};
use crate::history::{History, Operation};
use crate::linear::{Found, Whole};
use crate::parameters::Parameters;
use crate::verdict::{Anomaly, Budget, Checker, Finding, Reason, Verdict, some_operations};
use serde_json::{Map, Value, json};

const NAME: &str = "znodes";

/// Configurations that one search over all at once visits at most where every answer has a zxid: the replay has come far, and what it
/// left open is refuted soon or not at all.
const REFUTING: u64 = 50_000;

/// And all searches of such a history together, of its parts and of all at once.
const REFUTING_IN_ALL: u64 = 4_000_000;

/// Ways in which zxids that answers show can belong to indeterminate writes, tried at most.
const WAYS: usize = 64;

/// Ways in which lost creates may have made sequential znodes whose names are known, tried at most.
const NAMINGS: usize = 64;

/// And of each part.
const NAMINGS_OF_A_PART: usize = 256;

/// Ways in which znodes may have been there before the history, tried at most, with that in which none was of which it is doubtful.
const PRESUMPTIONS: usize = 32;

/// The checker `znodes`.
///
/// The tree of znodes: every answer to every operation fits one order of all writes.
///
/// It proves, over all paths together: writes and the errors that the tree decides are linearizable, in the order of their
/// zxids where they have any; each read shows the tree at one prefix of that order, no older than what its session has seen
/// (and, unless it is `local`, no older than what had been acknowledged before it began); data, versions, child counts, owners
/// and the zxids in Stats are those of that prefix. It cannot prove anything about watches.
///
/// Three layers. Where every answer has a zxid, one pass over the zxids decides. Where indeterminate writes leave it open, and a
/// reply's zxid is that of the read exactly, which of them took effect, and at which of the zxids that are left, is searched for:
/// all else stands at its own. Znodes that no operation connects are searched apart, each part with every name that lost creates of
/// sequential znodes may have made in it. A part without a place for an answer has none in the whole history (the search's own
/// documentation says why). Where all parts have an order, that is no proof: zxids for all that was put in are then replayed together. Where zxids are missing, or a reply may be stamped later than the read, an order is searched for;
/// of a session without zxids it is only asked that it never goes back. What none decides is unknown, with the reason.
///
/// What does not fit is judged again with other znodes presumed to have been there before the history, where that is
/// doubtful: it is invalid if it fits in no such way, and unknown if there are too many.
///
/// The [shape of operations](super) says what a history must have.
///
/// Anomalies: `zxid-reused`, `zxid-against-real-time`, `session-went-back`, `write-does-not-fit`, `answer-does-not-fit`,
/// `stale-answer`, `future-read`, `wrong-error`, `wrong-reply-zxid`: the first one only, because what follows it may follow from it. Witness: `{"zxid", "text",
/// "operations"}`; the last operation is the one that does not fit, those before it changed the same znodes last. From the
/// search: `nonlinearizable`, whose witness is described in `render.rs`.
///
/// Details: `{"paths", "sessions", "decided_by": "replay" | "search" | null, "search": null | {"why": why the replay did not decide,
/// "configurations", "bytes"}, "writes", "errors", "reads", "indeterminate": {"shown", "put_in",
/// "unseen"}}`: what was placed, and indeterminate writes whose zxid an answer shows, that had to be put in to explain an
/// answer, and that nothing shows; and `there_before`, the znodes that had to be presumed to have been there before, where any had to.
#[derive(Debug, Clone)]
pub struct Znodes {
    rules: Rules,
}

impl Znodes {
    /// A checker for a system under this contract.
    pub fn new(parameters: &Parameters) -> Znodes {
        Znodes {
            rules: Rules {
                reply_zxid: contract::reply_zxid(&parameters.contract),
                sync_is_owed: owes_sync_reads(&parameters.contract),
            },
        }
    }
}

impl Checker for Znodes {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, history: &History, budget: &Budget) -> Finding {
        let operations = match some_operations(history, NAME) {
            Ok(operations) => operations,
            Err(finding) => return *finding,
        };
        let mut decoded = match decode(&operations) {
            Ok(decoded) => decoded,
            Err(misfit) => return Finding::misfit(NAME, misfit),
        };
        let mut judged = self.judge(&mut decoded, &operations, budget);
        if depends_on_before(&judged.verdict) {
            judged = self.judge_otherwise(judged, &operations, budget);
        }
        judged.details["paths"] = json!(decoded.paths.len());
        judged.details["sessions"] = json!(decoded.sessions.len());
        judged
    }
}

impl Znodes {
    /// What does not fit may fit if other znodes were there before the history.
    fn judge_otherwise(
        &self,
        judged: Finding,
        operations: &[Operation<'_>],
        budget: &Budget,
    ) -> Finding {
        let Ok(doubts) = decode(operations).map(|decoded| doubts(&decoded)) else {
            return judged;
        };
        let (all, is_all) = presumptions(&doubts);
        let states = budget.states / (all.len() as u64).max(1);
        let budget = Budget { states, ..*budget };
        let mut open = None;
        for presumed in all {
            let Ok(mut decoded) = decode(operations) else {
                break;
            };
            let below_one_s_own = |(path, _): &(PathId, Before)| {
                let above = decoded.paths.parent(*path);
                let own = |(other, before): &(PathId, Before)| {
                    Some(*other) == above && matches!(before, Before::Of(_))
                };
                presumed.iter().any(own)
            };
            // An ephemeral znode has no children.
            if presumed.iter().any(below_one_s_own) {
                continue;
            }
            decoded.presumed.clone_from(&presumed);
            let mut otherwise = self.judge(&mut decoded, operations, &budget);
            match otherwise.verdict {
                Verdict::Valid => {
                    let there = presumed.iter().map(|(path, _)| decoded.paths.name(*path));
                    otherwise.details["there_before"] = json!(there.collect::<Vec<&str>>());
                    return otherwise;
                }
                Verdict::Unknown(_) => open = open.or(Some(otherwise)),
                Verdict::Invalid(_) => {}
            }
        }
        match open {
            Some(open) => open,
            None if is_all => judged,
            None => Finding {
                verdict: unknown(
                    "too many znodes may have been there before the history, and if none of them was it does not fit"
                        .to_owned(),
                ),
                ..judged
            },
        }
    }

    fn judge<'h>(
        &self,
        decoded: &mut Decoded<'h>,
        operations: &[Operation<'h>],
        budget: &Budget,
    ) -> Finding {
        let alone = replay::given_by_no_tree(decoded);
        if let Some(misfit) = alone.or_else(|| replay::wrong_reply(decoded, self.rules)) {
            return by_replay(misfit, &Tally::default());
        }
        let effects = match replay::prepare(decoded) {
            Ok(effects) => effects,
            Err(misfit) => return by_replay(*misfit, &Tally::default()),
        };
        let (why, tally, told) = match replay::without_zxid(decoded) {
            Some(bare) => {
                let bare = bare.inv();
                if let Some(misfit) = replay::session_went_back(decoded) {
                    return by_replay(misfit, &Tally::default());
                }
                let why = format!("the operation at index {bare} was answered without a zxid");
                (why, Tally::default(), false)
            }
            None => match replay::replay(decoded, self.rules, effects.clone()) {
                Replayed::Fits(tally) if tally.errors + tally.reads + tally.writes == 0 => {
                    let text = "no operation was answered: nothing was tested";
                    return finding(unknown(text.to_owned()), &tally, Some("replay"), None);
                }
                Replayed::Fits(tally) => {
                    return finding(Verdict::Valid, &tally, Some("replay"), None);
                }
                Replayed::Misfit(misfit, tally) => return by_replay(*misfit, &tally),
                Replayed::Open(why, tally) => (why, tally, true),
            },
        };
        if told && self.rules.reply_zxid == ReplyZxid::OfTheRead {
            return self.judge_by_zxid(decoded, operations, effects, (&why, &tally), budget);
        }
        // There the search can only refute.
        let states = if told {
            budget.states.min(REFUTING)
        } else {
            budget.states
        };
        let budget = Budget { states, ..*budget };
        let history = (operations, &decoded.presumed);
        self.judge_by_search(history, effects, (&why, &tally, told), &budget)
    }

    /// Every answer has a zxid that is its own, and the replay was left open: all that is open is which indeterminate writes took
    /// effect, and where.
    fn judge_by_zxid<'h>(
        &self,
        decoded: &Decoded<'h>,
        operations: &[Operation<'h>],
        effects: Effects,
        (why, tally): (&str, &Tally),
        budget: &Budget,
    ) -> Finding {
        if let Some(misfit) = replay::against_what_is_certain(decoded, self.rules, &effects) {
            return by_replay(misfit, tally);
        }
        let mut search = ByZxid {
            rules: self.rules,
            operations,
            presumed: &decoded.presumed,
            budget,
            why,
            visited: 0,
            held: 0,
            left: budget.states.min(REFUTING_IN_ALL),
        };
        let verdict = search.judge(effects.names().1.clone());
        let told = json!({ "why": why, "configurations": search.visited, "bytes": search.held });
        let decided = (!matches!(verdict, Verdict::Unknown(_))).then_some("search");
        finding(verdict, tally, decided, Some(told))
    }

    /// An order of all is searched for, with all names that lost creates may have made.
    fn judge_by_search(
        &self,
        (operations, presumed): (&[Operation<'_>], &Presumed),
        effects: Effects,
        (why, tally, told): (&str, &Tally, bool),
        budget: &Budget,
    ) -> Finding {
        let (mut picks, mut left) = (effects.names().1.clone(), budget.states);
        let mut first = None;
        for _ in 0..NAMINGS {
            let Some((decoded, effects)) = named(operations, presumed, &picks) else {
                break;
            };
            let budget = Budget {
                states: left,
                ..*budget
            };
            let whole = search(&decoded, operations, self.rules, &effects, &budget);
            left -= whole.visited.min(left);
            if !matches!(whole.found, Found::Illegal(..)) {
                return by_search(whole, why, tally, told);
            }
            let whole = first.unwrap_or(whole);
            match effects.names().0.next(&picks, &all(&picks), picks.len()) {
                Next::Picks(next) => (picks, first) = (next, Some(whole)),
                Next::End => return by_search(whole, why, tally, told),
                Next::GaveUp => break,
            }
        }
        finding(unknown(uncertain_names(why)), tally, None, None)
    }
}

/// Whether it may be otherwise if other znodes were there before the history: a lost create that made nothing has no zxid, either.
fn depends_on_before(verdict: &Verdict) -> bool {
    let depends = |anomaly: &Anomaly| {
        let kinds = [
            "write-does-not-fit",
            "answer-does-not-fit",
            "nonlinearizable",
            "zxid-against-real-time",
            "future-read",
        ];
        kinds.contains(&&*anomaly.kind)
    };
    matches!(verdict, Verdict::Invalid(anomalies) if anomalies.iter().all(depends))
}

/// Every way in which what is doubtful may have been there before, those with the least first, but that in which nothing was; and whether
/// these are all.
fn presumptions(doubts: &[(PathId, Vec<Before>)]) -> (Vec<Presumed>, bool) {
    let mut all: Vec<Presumed> = vec![Vec::new()];
    let mut is_all = true;
    for (path, ways) in doubts {
        for presumed in all.clone() {
            let with = |way: &Before| presumed.iter().copied().chain([(*path, *way)]).collect();
            all.extend(ways.iter().map(with));
        }
        is_all &= all.len() <= PRESUMPTIONS;
        all.sort_by_key(Vec::len);
        all.truncate(PRESUMPTIONS);
    }
    all.remove(0);
    (all, is_all)
}

/// All questions about names.
fn all(picks: &Picks) -> Vec<usize> {
    (0..picks.len()).collect()
}

/// The history with these names for what lost creates of sequential znodes made.
fn named<'h>(
    operations: &[Operation<'h>],
    presumed: &Presumed,
    picks: &Picks,
) -> Option<(Decoded<'h>, Effects)> {
    let mut decoded = decode(operations).ok()?;
    decoded.presumed.clone_from(presumed);
    let effects = replay::prepare_otherwise(&mut decoded, picks)?;
    Some((decoded, effects))
}

/// Of two ways in which a history may have come about: one that fits is enough; what fits in neither is told as it does not in the
/// first.
fn either(one: Option<Verdict>, other: Verdict) -> Option<Verdict> {
    match (&one, &other) {
        (Some(Verdict::Valid), _) => one,
        (None, _) | (_, Verdict::Valid) | (Some(Verdict::Invalid(_)), Verdict::Unknown(_)) => {
            Some(other)
        }
        _ => one,
    }
}

/// A search by zxids, for each way in which indeterminate writes may have what was seen of them.
struct ByZxid<'a, 'h> {
    rules: Rules,
    operations: &'a [Operation<'h>],
    presumed: &'a Presumed,
    budget: &'a Budget,
    why: &'a str,
    visited: u64,
    held: u64,
    /// Configurations that may still be visited.
    left: u64,
}

/// How a part fits: what has a zxid, in that order, which indeterminate writes have zxids that answers show, and which were put in,
/// before how many of those in the order.
struct Fit {
    order: Vec<usize>,
    shown: Vec<(usize, Zxid)>,
    put_in: Vec<(usize, usize)>,
}

impl<'h> ByZxid<'_, 'h> {
    /// Part by part, and where that does not tell, all at once; with these names first for what lost creates made, and then with others.
    fn judge(&mut self, mut picks: Picks) -> Verdict {
        if let Some(verdict) = self.by_parts(&picks) {
            return verdict;
        }
        let mut verdict = None;
        for _ in 0..NAMINGS {
            let Some((decoded, effects)) = named(self.operations, self.presumed, &picks) else {
                break;
            };
            let found = self.exactly(&decoded, &effects);
            let is_valid = found == Verdict::Valid;
            verdict = either(verdict, found);
            match effects.names().0.next(&picks, &all(&picks), picks.len()) {
                Next::Picks(next) if !is_valid => picks = next,
                Next::Picks(_) | Next::End => {
                    return verdict.unwrap_or(unknown(self.why.to_owned()));
                }
                Next::GaveUp => break,
            }
        }
        match verdict {
            Some(Verdict::Invalid(_)) | None => unknown(uncertain_names(self.why)),
            Some(verdict) => verdict,
        }
    }

    /// Each part by itself, with the names that suit it.
    fn by_parts(&mut self, picks: &Picks) -> Option<Verdict> {
        let mut now = named(self.operations, self.presumed, picks)?;
        let mut fits = Vec::new();
        for part in &parts(&now.0, now.1.names().0) {
            match self.part(part, &mut now) {
                Placing::Fits {
                    order,
                    shown,
                    put_in,
                } => fits.push(Fit {
                    order,
                    shown,
                    put_in,
                }),
                // An order of all is one of each part, too.
                Placing::Nowhere(at, text) => {
                    return Some(invalid(replay::fits_nowhere(&now.0, &now.1, at, &text)));
                }
                // The others may still tell.
                Placing::Undecided(_) => {}
            }
        }
        let (decoded, effects) = &now;
        self.fit_together(decoded, effects, &fits)
            .then_some(Verdict::Valid)
    }

    /// A part with the first names that suit it, which the history has from `now` on; where none does, those that it had.
    fn part(&mut self, part: &Part, now: &mut (Decoded<'h>, Effects)) -> Placing {
        let mut first: Option<(Placing, (Decoded<'h>, Effects))> = None;
        for _ in 0..NAMINGS_OF_A_PART {
            let (decoded, effects) = &*now;
            let budget = self.share(REFUTING_IN_ALL);
            let clear = effects.settled(&[]);
            let searched =
                search_without_room(decoded, self.operations, self.rules, &clear, part, &budget);
            self.spend(&searched);
            let Placing::Nowhere(at, _) = &searched.found else {
                return searched.found;
            };
            // What matters only after the place where it is stuck does not help.
            let stuck = decoded.ops[*at].zxid.unwrap_or(Zxid::MAX);
            let (names, picks) = effects.names();
            let first_ones = names.up_to(stuck, &part.names);
            let next = match names.next(picks, &part.names, first_ones) {
                Next::Picks(next) => named(self.operations, self.presumed, &next),
                Next::End => {
                    let Some((nowhere, begin)) = first else {
                        return searched.found;
                    };
                    *now = begin;
                    return nowhere;
                }
                Next::GaveUp => None,
            };
            let Some(next) = next else {
                break;
            };
            let before = std::mem::replace(now, next);
            first.get_or_insert((searched.found, before));
        }
        if let Some((_, begin)) = first {
            *now = begin;
        }
        Placing::Undecided(uncertain_names(self.why))
    }

    /// What the next search may spend.
    fn share(&self, most: u64) -> Budget {
        Budget {
            states: self.left.min(most),
            ..*self.budget
        }
    }

    fn spend(&mut self, searched: &Searched) {
        self.visited += searched.visited;
        self.left -= searched.visited.min(self.left);
        self.held = self.held.max(searched.held);
    }

    /// Whether there are zxids for all that was put in, each of its own, with which the whole history replays: that proves it.
    fn fit_together(&self, decoded: &Decoded<'h>, effects: &Effects, fits: &[Fit]) -> bool {
        let clear = effects.settled(&[]).placed;
        let shown = fits.iter().flat_map(|fit| fit.shown.iter().copied());
        let shown: Vec<(usize, Zxid)> = shown.filter(|own| !clear.contains(own)).collect();
        let settled = effects.settled(&shown);
        // The nearer to where the search put each, the surer it fits, and the fewer zxids are left.
        let cares = [Care::Refusals, Care::All, Care::Perhaps, Care::Certain];
        cares.into_iter().any(|care| {
            let room = Room::new(decoded, self.rules, &settled, care);
            let put_in = fits.iter().map(|fit| (&fit.order[..], &fit.put_in[..]));
            let Some(given) = room.make(put_in) else {
                return false;
            };
            let way: Vec<(usize, Zxid)> = shown.iter().copied().chain(given).collect();
            let replayed = replay::replay(decoded, self.rules, effects.settled(&way));
            matches!(replayed, Replayed::Fits(_))
        })
    }

    /// All at once, with every way in which the zxids that answers show can belong to indeterminate writes.
    fn exactly(&mut self, decoded: &Decoded<'h>, effects: &Effects) -> Verdict {
        let why = self.why;
        let Some(ways) = effects.ways(WAYS) else {
            return unknown(format!(
                "{why}; too many indeterminate writes may have the zxids that answers show"
            ));
        };
        let mut verdict = None;
        for way in ways {
            let settled = effects.settled(&way);
            let budget = self.share(REFUTING);
            let searched = search_by_zxid(decoded, self.operations, self.rules, &settled, &budget);
            self.spend(&searched);
            let found = match searched.found {
                Placing::Fits { .. } => return Verdict::Valid,
                Placing::Nowhere(at, text) => {
                    invalid(replay::fits_nowhere(decoded, &settled, at, &text))
                }
                Placing::Undecided(text) => {
                    unknown(format!("{why}; {text}; give it a larger budget"))
                }
            };
            verdict = either(verdict, found);
        }
        verdict.unwrap_or_else(|| unknown(why.to_owned()))
    }
}

fn uncertain_names(why: &str) -> String {
    format!(
        "{why}; there are too many ways in which indeterminate creates may have made sequential znodes, and with the first of them there is no order"
    )
}

fn unknown(text: String) -> Verdict {
    Verdict::Unknown(vec![Reason {
        checker: NAME.to_owned(),
        text,
    }])
}

fn by_replay(misfit: Misfit<'_>, tally: &Tally) -> Finding {
    finding(invalid(misfit), tally, Some("replay"), None)
}

fn invalid(misfit: Misfit<'_>) -> Verdict {
    let mut breaches = Breaches::default();
    let mut fields = Map::new();
    fields.insert("zxid".to_owned(), json!(misfit.zxid));
    breaches.add_with(misfit.kind, misfit.text, misfit.operations, fields);
    Verdict::of(breaches.into_anomalies(NAME), Vec::new())
}

/// What the search says, after the replay could not decide and said why; `told` is whether every answer had a zxid.
fn by_search(whole: Whole, why: &str, tally: &Tally, told: bool) -> Finding {
    let search = json!({ "why": why, "configurations": whole.visited, "bytes": whole.held });
    let verdict = match whole.found {
        // Which zxid an indeterminate write has, the search knows only as far as answers show it.
        Found::Legal if told => unknown(format!(
            "{why}; there is an order of all operations, but it is not known whether the zxids leave room for it"
        )),
        Found::Legal => Verdict::Valid,
        Found::Illegal(summary, witness) => Verdict::Invalid(vec![Anomaly {
            kind: "nonlinearizable".to_owned(),
            checker: NAME.to_owned(),
            summary,
            witness,
        }]),
        Found::Undecided(text) => unknown(format!("{why}; {text}; give it a larger budget")),
    };
    let decided = (!matches!(verdict, Verdict::Unknown(_))).then_some("search");
    finding(verdict, tally, decided, Some(search))
}

fn finding(verdict: Verdict, tally: &Tally, by: Option<&str>, search: Option<Value>) -> Finding {
    let mut details = details(tally);
    details["decided_by"] = json!(by);
    details["search"] = json!(search);
    Finding {
        verdict,
        outside_contract: Vec::new(),
        details,
    }
}

fn details(tally: &Tally) -> Value {
    json!({
        "writes": tally.writes,
        "errors": tally.errors,
        "reads": tally.reads,
        "indeterminate": { "shown": tally.shown, "put_in": tally.put_in, "unseen": tally.unseen },
    })
}
