//! The tree as a model: its states, its calls, and which call may happen in which state.

use super::super::call::{Call, DataId, Look, Op, Outcome, PathId, SessionId, Zxid};
use super::super::decode::Decoded;
use super::super::effect::{Effect, Reach, owned};
use super::super::replay::{Effects, Rules, touched};
use super::super::tree::{self, Node, Nodes};
use super::calls::{Calls, Fact, Kind, Order};
use super::gaps::Gaps;
use super::parts::Part;
use super::state::{Past, Place, State};
use super::trie::{Held, Trie};
use crate::contract::ReplyZxid;
use crate::history::{Operation, ValueRef};
use crate::linear::{Entry, Model, NEVER, Values};
use std::sync::Arc;

/// Znodes of a state that are told of at most.
const SHOWN: usize = 12;

/// The tree of one history: which paths and sessions there are, and what each operation was.
pub(in super::super) struct Tree<'a, 'h> {
    decoded: &'a Decoded<'h>,
    calls: Calls,
    exact: bool,
    given: Vec<(PathId, Node)>,
    is_given: Vec<bool>,
    /// By path: all that is ever below it, ascending.
    below: Vec<Vec<PathId>>,
    /// By session: all that it ever owns, ascending.
    owned: Vec<Vec<PathId>>,
    data: Vec<ValueRef<'h>>,
    /// By call: the znodes that it has to do with; only where zxids give the order without room.
    effects: Vec<Effect>,
    /// Whether zxids give the order, and nobody asks which of them are left.
    roomless: bool,
    /// The zxids that are left, there.
    gaps: Gaps,
}

/// An operation by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct CallId(u32);

/// What does not fit, in words.
type Misfit = String;

impl<'a, 'h> Tree<'a, 'h> {
    pub(super) fn new(
        decoded: &'a Decoded<'h>,
        rules: Rules,
        effects: &Effects,
        given: Vec<(PathId, Node)>,
        order: Order,
        part: Option<&Part>,
    ) -> Tree<'a, 'h> {
        let count = decoded.paths.len();
        let mut is_given = vec![false; count];
        for (path, _) in &given {
            is_given[path.0 as usize] = true;
        }
        let mut below = vec![Vec::new(); count];
        for path in (0..count as u32).map(PathId) {
            if let Some(parent) = decoded.paths.parent(path) {
                below[parent.0 as usize].push(path);
            }
        }
        let calls = Calls::of(decoded, rules, effects, order, part);
        let owned = owned(decoded, &given);
        let mut of_calls = Vec::new();
        let mut gaps = Gaps::default();
        if order == Order::Roomless {
            let reach = Reach::of(decoded);
            let of = |fact: &Fact| reach.effect(decoded, &decoded.ops[fact.op]);
            of_calls = calls.facts.iter().map(of).collect();
            gaps = Gaps::of(decoded, &calls, &reach, effects);
        }
        Tree {
            calls,
            exact: rules.reply_zxid == ReplyZxid::OfTheRead,
            is_given,
            below,
            owned,
            effects: of_calls,
            roomless: order == Order::Roomless,
            gaps,
            data: decoded.data_by_number(),
            given,
            decoded,
        }
    }

    /// The state before the first operation.
    pub(super) fn start(&self) -> State {
        let mut tree = Trie::new(self.decoded.paths.len());
        for (path, node) in &self.given {
            tree.put(*path, Some(Held::new(*node)));
        }
        let views = self.calls.readers.iter();
        State {
            tree,
            place: Place::FIRST,
            past: Arc::new(Past {
                older: Vec::new(),
                views: views.map(|begins| begins.then_some(0)).collect(),
            }),
            turns: vec![0; self.calls.takers].into(),
            closed: Arc::default(),
            spent: Arc::default(),
        }
    }

    /// What is to be ordered, in the order of the invocations.
    pub(super) fn entries(&self) -> Vec<Entry<CallId>> {
        let line = |line: u64| u32::try_from(line).expect("a history has fewer than 2^32 lines");
        let operations = self.decoded.ops.iter().zip(&self.calls.of).enumerate();
        operations
            .filter_map(|(at, (op, call))| {
                let certain = !op.may_take_effect();
                let end = self.calls.ended.get(&at).copied();
                let end = end.filter(|end| *end > op.inv());
                Some(Entry {
                    call: CallId((*call)?),
                    inv: line(op.inv()),
                    ret: op.ret().filter(|_| certain).or(end).map_or(NEVER, line),
                    operation: at as u32,
                    certain,
                })
            })
            .collect()
    }

    /// What is to be ordered, each at its own zxid; an indeterminate write from the first zxid that it can have, or at the one
    /// that answers show of it.
    pub(super) fn entries_by_zxid(&self) -> Vec<Entry<CallId>> {
        // At one zxid the write comes first, for what was answered there has seen it; what has no zxid comes before the next one.
        let mut places: Vec<(Zxid, u8, usize, CallId)> = Vec::new();
        for (at, call) in self.calls.of.iter().enumerate() {
            let Some(call) = call.map(CallId) else {
                continue;
            };
            let (fact, _) = self.fact(call);
            places.push(match (fact.kind, fact.zxid) {
                (Kind::Write, Some(zxid)) => (zxid, 0, at, call),
                (_, Some(zxid)) => (zxid, 1, at, call),
                (_, None) => (fact.floor, 2, at, call),
            });
        }
        for (at, fact) in &self.calls.claims {
            if let Some(zxid) = self.calls.facts[*fact as usize].zxid {
                places.push((zxid, 0, *at, CallId(*fact)));
            }
        }
        places.sort_unstable_by_key(|(zxid, rank, at, _)| (*zxid, *rank, *at));
        let place = |place: usize| {
            u32::try_from(2 * place).expect("a history has fewer than 2^31 operations")
        };
        let entry = |(number, (_, rank, at, call)): (usize, (Zxid, u8, usize, CallId))| Entry {
            call,
            inv: place(number),
            ret: if rank == 2 { NEVER } else { place(number) + 1 },
            operation: at as u32,
            certain: !self.decoded.ops[at].may_take_effect(),
        };
        places.into_iter().enumerate().map(entry).collect()
    }

    /// A write's zxid, or a reply's, as far as it is known.
    pub(super) fn zxid(&self, call: CallId) -> Option<Zxid> {
        self.fact(call).0.zxid
    }

    fn fact(&self, call: CallId) -> (&Fact, &'a Op<'h>) {
        let fact = &self.calls.facts[call.0 as usize];
        (fact, &self.decoded.ops[fact.op])
    }

    fn take(&self, state: &State, call: CallId) -> Result<State, Misfit> {
        let (fact, op) = self.fact(call);
        let mut next = state.clone();
        if let Some((session, turn)) = fact.turn {
            if state.turns[session] != turn {
                return Err("its session answered another operation first".to_owned());
            }
            let mut turns = state.turns.to_vec();
            turns[session] += 1;
            next.turns = turns.into();
        }
        match fact.kind {
            Kind::Write => self.write(&mut next, fact, op)?,
            Kind::Refused => {
                self.answered(&mut next, fact, true)?;
                let Outcome::Refused(code, results) = &op.outcome else {
                    return Ok(next);
                };
                let mut scratch = self.nodes(next.tree.clone());
                let paths = &self.decoded.paths;
                tree::refuses(&mut scratch, paths, op, *code, results.as_deref())?;
            }
            Kind::Read => {
                let now = next.now();
                self.answered(&mut next, fact, self.exact)?;
                self.read(&mut next, op, now)?;
            }
            Kind::Local => return self.local(next, fact, op),
        }
        if let (Some((session, again)), true) = (fact.reader, op.ret().is_some()) {
            let now = next.now();
            next.seen(session, again.then_some(now));
        }
        Ok(next)
    }

    /// The zxids that are left after an answer, where that counts.
    fn answered(&self, state: &mut State, fact: &Fact, own: bool) -> Result<(), Misfit> {
        match self.roomless {
            true => Ok(()),
            false => state.place.answered(fact.zxid, own),
        }
    }

    fn write(&self, state: &mut State, fact: &Fact, op: &Op<'h>) -> Result<(), Misfit> {
        let place = match self.calls.stamped {
            true => state.place.next(fact.zxid, fact.floor)?,
            false => state.place,
        };
        if let Some(session) = fact.ends {
            if state.closed.contains(&session) {
                return Err("its session had ended".to_owned());
            }
            if !op.may_take_effect() {
                let mut closed = state.closed.to_vec();
                closed.push(session);
                closed.sort_unstable();
                state.closed = closed.into();
            }
        }
        for spent in fact.spends.into_iter().flatten() {
            if state.spent.contains(&spent) {
                return Err("it has another zxid, or another write has this one".to_owned());
            }
            let mut all = state.spent.to_vec();
            all.push(spent);
            all.sort_unstable();
            state.spent = all.into();
        }
        let mut nodes = self.nodes(state.tree.clone());
        tree::perform(&mut nodes, &self.decoded.paths, op, fact.shown)?;
        let after = nodes.tree;
        state.keep();
        state.tree = after;
        state.place = place;
        Ok(())
    }

    /// Holds a read against one prefix, and takes over what it shows of what nobody knew.
    fn read(&self, state: &mut State, op: &Op<'h>, place: u32) -> Result<(), Misfit> {
        let Call::Read { path, look, .. } = op.call else {
            return Ok(());
        };
        let tree = match state.past.older.get(place as usize) {
            Some(prefix) => &prefix.tree,
            None => &state.tree,
        };
        let paths = &self.decoded.paths;
        let held = tree.get(path).cloned();
        let Outcome::Done(answer) = &op.outcome else {
            return match held {
                Some(_) => Err(format!("there is {}", paths.name(path))),
                None => Ok(()),
            };
        };
        let mut nodes = self.nodes(tree.clone());
        tree::fits(&nodes, paths, path, look, answer)?;
        if let Some(held) = held.filter(|_| self.learns(op)) {
            tree::learn(&mut nodes, path, look, answer);
            if let Some(node) = nodes.get(path) {
                state.learned(path, &held, node);
            }
        }
        Ok(())
    }

    /// A plain read shows the oldest prefix that its session can still see and that it fits: that leaves the most to what the
    /// session sees after it.
    fn local(&self, mut state: State, fact: &Fact, op: &Op<'h>) -> Result<State, Misfit> {
        let Some((session, again)) = fact.reader else {
            return Err("its session is not known".to_owned());
        };
        let Some(oldest) = state.past.views[session] else {
            return Err("what its session did before has not happened yet".to_owned());
        };
        let mut why = String::new();
        for place in oldest..=state.now() {
            let mut next = state.clone();
            let placed = self.may_show(&next, place, fact.zxid);
            match placed.and_then(|()| self.read(&mut next, op, place)) {
                Ok(()) => {
                    state = next;
                    state.seen(session, again.then_some(place));
                    return Ok(state);
                }
                Err(misfit) => why = misfit,
            }
        }
        Err(why)
    }

    /// Whether a reply with this zxid may show this prefix.
    fn may_show(&self, state: &State, place: u32, zxid: Option<Zxid>) -> Result<(), Misfit> {
        let Some(zxid) = zxid else { return Ok(()) };
        let (from, now) = (place as usize, state.now() as usize);
        let at = |place: usize| match state.past.older.get(place) {
            Some(prefix) => &prefix.place,
            None => &state.place,
        };
        at(from).may_be_seen(zxid)?;
        if self.exact && (from + 1..=now).any(|later| at(later).is_known_at(zxid)) {
            return Err(format!("its zxid is {zxid:#x}, and this is older"));
        }
        Ok(())
    }

    /// Whether an answer may show something that nobody knew: of what was there before, and zxids.
    fn learns(&self, op: &Op<'_>) -> bool {
        let Call::Read { path, .. } = op.call else {
            return true;
        };
        let Outcome::Done(answer) = &op.outcome else {
            return false;
        };
        // Without room, what answers show of a zxid is known of every write.
        self.is_given[path.0 as usize] || (!self.roomless && answer.stat.newest() > 0)
    }

    fn nodes(&self, tree: Trie) -> Version<'_> {
        Version {
            tree,
            below: &self.below,
            owned: &self.owned,
        }
    }

    fn show_data(&self, data: DataId) -> String {
        self.data[data.0 as usize].to_string()
    }
}

/// One version of the tree, with what is known of all of them.
struct Version<'a> {
    tree: Trie,
    below: &'a [Vec<PathId>],
    owned: &'a [Vec<PathId>],
}

impl Nodes for Version<'_> {
    fn get(&self, path: PathId) -> Option<Node> {
        self.tree.get(path).map(|held| held.node)
    }

    fn put(&mut self, path: PathId, node: Option<Node>) {
        self.tree.put(path, node.map(Held::new));
    }

    fn has_children(&self, path: PathId) -> bool {
        let mut below = self.below[path.0 as usize].iter();
        below.any(|child| self.tree.get(*child).is_some())
    }

    fn children(&self, path: PathId) -> Vec<PathId> {
        let below = self.below[path.0 as usize].iter().copied();
        below
            .filter(|child| self.tree.get(*child).is_some())
            .collect()
    }

    fn ephemerals(&self, session: SessionId) -> Vec<PathId> {
        let owned = self.owned[session.0 as usize].iter().copied();
        let is_owned = |path: &PathId| {
            let held = self.tree.get(*path);
            held.is_some_and(|held| held.node.owner == Some(Some(session)))
        };
        owned.filter(is_owned).collect()
    }
}

impl Model for Tree<'_, '_> {
    type State = State;
    type Call = CallId;

    fn name(&self) -> &'static str {
        "znodes"
    }

    fn initial(&self, _: &mut Values) -> Result<State, String> {
        Ok(self.start())
    }

    fn call(&self, operation: &Operation<'_>, _: &mut Values) -> Result<Option<CallId>, String> {
        let found = self
            .decoded
            .ops
            .binary_search_by_key(&operation.inv(), Op::inv);
        match found {
            Ok(at) => Ok(self.calls.of[at].map(CallId)),
            Err(_) => Err("is not of the history that this tree was made for".to_owned()),
        }
    }

    fn step(&self, state: &State, call: &CallId) -> Option<State> {
        self.take(state, *call).ok()
    }

    fn is_pure(&self, call: &CallId) -> bool {
        let (fact, op) = self.fact(*call);
        let own_place =
            !self.roomless && fact.zxid.is_some() && (self.exact || fact.kind == Kind::Refused);
        let sees = match fact.kind {
            Kind::Read => !self.learns(op),
            Kind::Refused => true,
            Kind::Write | Kind::Local => false,
        };
        sees && !own_place && fact.reader.is_none() && fact.turn.is_none()
    }

    fn is_local(&self) -> bool {
        self.roomless
    }

    fn matters(&self, one: &CallId, other: &CallId) -> bool {
        let ends = |call: &CallId| self.fact(*call).0.ends;
        let effect = |call: &CallId| &self.effects[call.0 as usize];
        (ends(one).is_some() && ends(one) == ends(other)) || effect(one).meets(effect(other))
    }

    fn may_precede(&self, one: &CallId, next: &CallId) -> bool {
        let (call, next_call) = (one.0 as usize, next.0 as usize);
        let write = (call, self.fact(*one).0, &self.effects[call]);
        self.gaps.have_room(write, (next_call, self.fact(*next).0))
    }

    fn state_bytes(&self, state: &State) -> usize {
        state.bytes()
    }

    fn show(&self, state: &State, _: &Values) -> String {
        let all = state.tree.all();
        let shown = all.iter().filter(|(path, _)| self.is_worth_telling(*path));
        told(shown.map(|(path, node)| self.show_node(*path, node)))
    }

    /// The znodes that the call names, their parents, and those directly below what it lists.
    fn show_about(&self, state: &State, call: &CallId, values: &Values) -> String {
        let (_, op) = self.fact(*call);
        let mut about = touched(self.decoded, op);
        about.retain(|path| self.is_worth_telling(*path));
        if about.is_empty() {
            return self.show(state, values);
        }
        if let Call::Read {
            path,
            look: Look::Children,
            ..
        } = op.call
        {
            about.extend(&self.below[path.0 as usize]);
        }
        told(
            about
                .into_iter()
                .filter_map(|path| match state.tree.get(path) {
                    Some(held) => Some(self.show_node(path, &held.node)),
                    // What is below is told only if it is there.
                    None => names_it(&op.call, path)
                        .then(|| format!("no {}", self.decoded.paths.name(path))),
                }),
        )
    }

    fn why_not(&self, state: &State, call: &CallId, _: &Values) -> String {
        match self.take(state, *call) {
            Ok(_) => "it would fit".to_owned(),
            Err(why) => why,
        }
    }
}

/// Whether the call is about this znode itself.
fn names_it(call: &Call<'_>, path: PathId) -> bool {
    match call {
        Call::Read { path: read, .. } => *read == path,
        Call::Write(write) => write.steps().iter().any(|step| step.path() == Some(path)),
        Call::Other => false,
    }
}

/// As many as can be read, and how many more.
fn told(znodes: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = znodes.collect();
    let more = words.len().saturating_sub(SHOWN);
    words.truncate(SHOWN);
    match (words.is_empty(), more) {
        (true, _) => "no znodes".to_owned(),
        (false, 0) => words.join("; "),
        (false, more) => format!("{}; and {more} more znodes", words.join("; ")),
    }
}

impl Tree<'_, '_> {
    /// Nobody asks for what was there before the history began.
    fn is_worth_telling(&self, path: PathId) -> bool {
        self.decoded.paths.name(path) != "/" || !self.is_given[path.0 as usize]
    }

    fn show_node(&self, path: PathId, node: &Node) -> String {
        let mut text = self.decoded.paths.name(path).to_owned();
        match node.data {
            Some(data) => text.push_str(&format!(" = {}", self.show_data(data))),
            None => text.push_str(" = what was there before"),
        }
        if let Some(version) = node.version {
            text.push_str(&format!(" (version {version})"));
        }
        text
    }
}
