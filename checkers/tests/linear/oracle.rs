//! Every model and every layer against the oracle, on a hundred thousand random small histories each.

use crate::common::{PLENTY, text, validity};
use crate::objects::{CAS_REGISTER, KV, MULTI_REGISTER, REGISTER, VERSIONED};
use crate::small::{Object, random};
use keelhaul_checkers::linear::{Entry, Linearizable, Model, Values};
use keelhaul_checkers::models::{CasRegister, Kv, MultiRegister, Register, VersionedRegister};
use keelhaul_checkers::{Checker, Finding, Operation};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

const HISTORIES: u64 = 100_000;

/// A model that has no algorithm of its own: all is left to the other layers.
struct Searched<M>(M);

impl<M: Model> Model for Searched<M> {
    type State = M::State;
    type Call = M::Call;

    fn name(&self) -> &'static str {
        "searched"
    }
    fn initial(&self, values: &mut Values) -> Result<M::State, String> {
        self.0.initial(values)
    }
    fn call(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<M::Call>, String> {
        self.0.call(operation, values)
    }
    fn step(&self, state: &M::State, call: &M::Call) -> Option<M::State> {
        self.0.step(state, call)
    }
    fn is_pure(&self, call: &M::Call) -> bool {
        self.0.is_pure(call)
    }
    fn is_blind(&self, call: &M::Call) -> bool {
        self.0.is_blind(call)
    }
    fn narrow(&self, entries: &mut Vec<Entry<M::Call>>) {
        self.0.narrow(entries);
    }
    fn blur(&self, entries: &mut [Entry<M::Call>]) {
        self.0.blur(entries);
    }
}

/// A model that says no more than it must.
struct Bare<M>(M);

impl<M: Model> Model for Bare<M> {
    type State = M::State;
    type Call = M::Call;

    fn name(&self) -> &'static str {
        "bare"
    }
    fn initial(&self, values: &mut Values) -> Result<M::State, String> {
        self.0.initial(values)
    }
    fn call(
        &self,
        operation: &Operation<'_>,
        values: &mut Values,
    ) -> Result<Option<M::Call>, String> {
        self.0.call(operation, values)
    }
    fn step(&self, state: &M::State, call: &M::Call) -> Option<M::State> {
        self.0.step(state, call)
    }
}

#[derive(Default)]
struct Tally {
    histories: u32,
    invalid: u32,
    indeterminate: u32,
    ended: u32,
    layers: BTreeMap<String, u32>,
    fell_through: BTreeMap<String, u32>,
}

impl Tally {
    fn count(&mut self, prefix: &str, finding: &Finding) {
        for (layer, keys) in finding.details["decided_by"].as_object().unwrap() {
            *self.layers.entry(format!("{prefix}{layer}")).or_default() +=
                keys.as_u64().unwrap() as u32;
        }
        for (why, keys) in finding.details["fell_through"].as_object().unwrap() {
            if prefix.is_empty() {
                *self.fell_through.entry(why.clone()).or_default() += keys.as_u64().unwrap() as u32;
            }
        }
    }

    fn report(&self, model: &str, layers: &[&str]) {
        let share = |count: u32| 100 * count / self.histories;
        println!(
            "{model}: {} histories, {} % invalid, {} % with indeterminate operations ({} % of them ended); decided by {:?}; fell \
             through {:?}",
            self.histories,
            share(self.invalid),
            share(self.indeterminate),
            share(self.ended),
            self.layers,
            self.fell_through
        );
        assert!(self.histories >= HISTORIES as u32, "enough histories");
        assert!(
            (30..=70).contains(&share(self.invalid)),
            "{} % invalid",
            share(self.invalid)
        );
        assert!(
            share(self.indeterminate) >= 30,
            "{} % indeterminate",
            share(self.indeterminate)
        );
        for layer in layers {
            let decided = self.layers.get(*layer).copied().unwrap_or(0);
            assert!(decided >= 500, "{layer} decided only {decided} histories");
        }
    }
}

fn agrees<M: Model>(object: &Object, model: fn() -> M, layers: &[&str]) {
    let full = Linearizable::of(model());
    let searched = Linearizable::of(Searched(model()));
    let bare = Linearizable::of(Bare(model()));
    let mut tally = Tally::default();
    let mut seed = 0;
    while tally.histories < HISTORIES as u32 {
        seed += 1;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let small = random(&mut rng, object);
        if !small.is_answered() {
            continue;
        }
        let history = small.history();
        let valid = small.is_linearizable(object);
        let judge = |checker: &dyn Checker, prefix: &str, tally: &mut Tally| {
            let finding = checker.check(&history, &PLENTY);
            // Histories in which nothing was ever read prove nothing: unknown.
            let said = validity(&finding);
            let same = said == Some(valid) || (said.is_none() && valid);
            assert!(
                same,
                "{} of {}, seed {seed}: {valid} is right, not {finding:?}\n{}",
                checker.name(),
                object.model,
                text(&history)
            );
            tally.count(prefix, &finding);
            said
        };
        let said = judge(&full, "", &mut tally);
        judge(&searched, "searched: ", &mut tally);
        if seed % 4 == 0 {
            judge(&bare, "bare: ", &mut tally);
        }
        if said.is_none() {
            continue;
        }
        tally.histories += 1;
        tally.invalid += u32::from(!valid);
        tally.indeterminate += u32::from(small.has_indeterminate());
        tally.ended += u32::from(small.ops.iter().any(|op| op.end != usize::MAX));
    }
    tally.report(object.model, layers);
}

#[test]
fn registers_agree() {
    agrees(
        &REGISTER,
        Register::default,
        &["refutation", "zones", "search", "searched: witness"],
    );
}

#[test]
fn compare_and_set_registers_agree() {
    agrees(
        &CAS_REGISTER,
        CasRegister::default,
        &["refutation", "zones", "search", "searched: witness"],
    );
}

#[test]
fn versioned_registers_agree() {
    agrees(
        &VERSIONED,
        || VersionedRegister,
        &["refutation", "zones", "search", "searched: witness"],
    );
}

#[test]
fn several_registers_agree() {
    agrees(
        &MULTI_REGISTER,
        MultiRegister::default,
        &["witness", "search"],
    );
}

#[test]
fn stores_agree() {
    agrees(
        &KV,
        Kv::default,
        &["refutation", "zones", "search", "searched: witness"],
    );
}
