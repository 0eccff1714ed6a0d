//! What a model must say so that histories can be judged against it.

use super::values::Values;
use crate::history::Operation;
use std::fmt::Debug;
use std::hash::Hash;

/// A sequential object: its states, and which calls may happen in which state.
///
/// A model is pure data and functions; it knows nothing of time, processes or searching. Four methods make a model:
/// [`name`](Model::name), [`initial`](Model::initial), [`call`](Model::call) and [`step`](Model::step). The others make it
/// quicker to judge, or easier to explain; what they promise must hold, for verdicts rest on it.
pub trait Model: Send + Sync {
    /// A state of the object. Cheap to clone: share what is large.
    type State: Clone + Eq + Hash + Debug + Send + Sync;
    /// A call with what is known of its outcome. Two calls that are equal can stand for each other.
    type Call: Clone + Eq + Hash + Debug + Send + Sync;

    /// The model's name, as `--model` takes it.
    fn name(&self) -> &'static str;

    /// The state before the first operation; or why there is none, in words (what `--initial` gave is no such state).
    fn initial(&self, values: &mut Values) -> Result<Self::State, String>;

    /// The call that an operation made, for `ok` and indeterminate operations (failed ones never happened).
    ///
    /// `None` drops it: it says nothing (a read without an answer). An error says why the operation is not one of this
    /// model, in words that follow "the operation at index 7".
    fn call(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<Self::Call>, String>;

    /// The state after the call, or `None` if it cannot happen in this state with this outcome.
    fn step(&self, state: &Self::State, call: &Self::Call) -> Option<Self::State>;

    /// Functions, beside those that write in every model, whose answer repeats what was asked, if it has a value.
    fn repeats(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether the call leaves every state as it is.
    fn is_pure(&self, _call: &Self::Call) -> bool {
        false
    }

    /// Whether the call can happen in every state, and what it leaves behind does not depend on what was there: a plain
    /// write. The search need not follow a blind call that is overwritten at once.
    fn is_blind(&self, _call: &Self::Call) -> bool {
        false
    }

    /// Whether in every state in which the second call can happen the first can too, and leaves the same state: then the first, still
    /// to come, is worth the second. Asked of indeterminate calls; at most one blind call may outdo another.
    fn outdoes(&self, _one: &Self::Call, _other: &Self::Call) -> bool {
        false
    }

    /// Whether calls tell that they do not matter to each other ([`Model::matters`]); if not, nobody asks.
    fn is_local(&self) -> bool {
        false
    }

    /// Whether it matters which of two calls comes first: if not, both orders are legal or neither, and lead to the same state.
    fn matters(&self, _one: &Self::Call, _other: &Self::Call) -> bool {
        true
    }

    /// Whether an indeterminate call can have come just before one that returns next, as far as anything beside the state tells. Asked
    /// where the model is local.
    fn may_precede(&self, _one: &Self::Call, _next: &Self::Call) -> bool {
        true
    }

    /// Whether the call, if it was answered, says anything of a state: a history of which no answer does proves nothing.
    fn observes(&self, _call: &Self::Call) -> bool {
        true
    }

    /// Rewrites what is to be searched without changing whether it is legal: writes into indeterminate calls what the others
    /// show of them; drops indeterminate ones that cannot matter.
    fn narrow(&self, _entries: &mut Vec<Entry<Self::Call>>) {}

    /// Rewrites calls so that more of them are equal, without changing what is legal: values that nobody ever observes
    /// become [`ValueId::UNSEEN`](super::ValueId::UNSEEN).
    fn blur(&self, _entries: &mut [Entry<Self::Call>]) {}

    /// The state with what the call that made it says of it: its value, if that was blurred away.
    fn reveal(&self, state: &Self::State, _made_by: &Self::Call) -> Self::State {
        state.clone()
    }

    /// The state in words.
    fn show(&self, state: &Self::State, _values: &Values) -> String {
        format!("{state:?}")
    }

    /// What of the state matters to the call, in words: where a state has many parts, those that the call has to do with.
    fn show_about(&self, state: &Self::State, _call: &Self::Call, values: &Values) -> String {
        self.show(state, values)
    }

    /// Why the call cannot happen in this state, in words; asked only where [`Model::step`] says `None`.
    fn why_not(&self, state: &Self::State, call: &Self::Call, values: &Values) -> String {
        format!("{call:?} cannot happen in {}", self.show(state, values))
    }

    /// Judges one object's whole history in near-linear time, where that can be done: refutations, and algorithms for
    /// histories in which every value is written once.
    ///
    /// `Legal` and `Illegal` must be right whatever the history looks like; `Open` hands it to the search.
    fn quick(
        &self,
        _initial: &Self::State,
        _entries: &[Entry<Self::Call>],
        _values: &Values,
    ) -> Quick {
        Quick::Open("the model has no algorithm of its own")
    }

    /// Whether [`Model::quick`] knows that an indeterminate operation may have an end ([`Entry::ret`]) after which it cannot
    /// take effect any more. If not, it is told of none, and its `Legal` does not count where there was one.
    fn knows_ends(&self) -> bool {
        false
    }

    /// Bytes that a state takes in memory, about.
    fn state_bytes(&self, _state: &Self::State) -> usize {
        size_of::<Self::State>()
    }
}

/// A call within a history, with the lines between which it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<C> {
    /// What was called.
    pub call: C,
    /// Index of the invocation's line.
    pub inv: u32,
    /// Index of the line by which it has taken effect, if it ever does; [`NEVER`] where there is none.
    pub ret: u32,
    /// Which of the history's operations it is.
    pub operation: u32,
    /// Whether it took effect for certain (`ok`), or may have (`info`).
    pub certain: bool,
}

/// The end of an operation that may take effect at any time.
pub const NEVER: u32 = u32::MAX;

impl<C> Entry<C> {
    /// Whether it may have happened, at any time after its invocation, or never.
    pub fn is_endless(&self) -> bool {
        !self.certain && self.ret == NEVER
    }
}

/// What a model's own algorithm says of one object's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quick {
    /// There is a legal order.
    Legal,
    /// There is none, because of these.
    Illegal(Contradiction),
    /// It cannot tell, and why.
    Open(&'static str),
}

/// Which layer decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// A few operations that exclude each other, found in one pass.
    Refutation,
    /// A near-linear algorithm for values that are written once.
    Zones,
    /// The order that the system itself told, verified.
    Witness,
    /// The general search.
    Search,
}

impl Layer {
    /// All of them, cheapest first.
    pub const ALL: [Layer; 4] = [
        Layer::Refutation,
        Layer::Zones,
        Layer::Witness,
        Layer::Search,
    ];

    /// Its name in a finding's details.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Refutation => "refutation",
            Layer::Zones => "zones",
            Layer::Witness => "witness",
            Layer::Search => "search",
        }
    }
}

/// Operations that contradict each other, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// One sentence.
    pub text: String,
    /// Places of the operations in the history's operations, in the order of the sentence.
    pub operations: Vec<u32>,
    /// Index of the line by which the contradiction is there.
    pub at: u32,
    /// What found it.
    pub layer: Layer,
    /// Whether these operations exclude each other by themselves, as if there had been no others.
    pub by_itself: bool,
}

impl Contradiction {
    /// One that a single pass found.
    pub fn refutation(text: String, operations: Vec<u32>, at: u32) -> Contradiction {
        Contradiction {
            text,
            operations,
            at,
            layer: Layer::Refutation,
            by_itself: true,
        }
    }

    /// One that the model's near-linear algorithm found.
    pub fn zones(text: String, operations: Vec<u32>, at: u32) -> Contradiction {
        Contradiction {
            layer: Layer::Zones,
            ..Contradiction::refutation(text, operations, at)
        }
    }

    /// They exclude each other only because of what else there was.
    pub fn with_the_rest(self) -> Contradiction {
        Contradiction {
            by_itself: false,
            ..self
        }
    }
}
