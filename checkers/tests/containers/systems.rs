//! The systems under test, in small, each of which can be made to err.

use super::workers::{Answer, System};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Fifo,
    Lifo,
    Least,
    None,
}

/// A container.
pub struct Container {
    pub order: Order,
    pub inside: Vec<i64>,
    pub next: i64,
    /// Of a hundred gets, how many are of another value than they should be.
    pub wild: u32,
    /// Of a hundred gets of nothing, how many are answered; the others wait.
    pub empties: u32,
    /// Of a hundred puts, how many repeat a value.
    pub repeats: u32,
    pub puts: u32,
}

impl Container {
    pub fn new(order: Order, rng: &mut ChaCha8Rng) -> Container {
        Container {
            order,
            inside: Vec::new(),
            next: 0,
            wild: [0, 50, 80][rng.random_range(0..3)],
            empties: [0, 50, 100][rng.random_range(0..3)],
            repeats: [0, 0, 0, 40][rng.random_range(0..4)],
            puts: [50, 60][rng.random_range(0..2)],
        }
    }

    fn words(&self) -> (&'static str, &'static str) {
        match self.order {
            Order::Lifo => ("push", "pop"),
            Order::Least => ("add", "poll"),
            Order::Fifo | Order::None => ("enqueue", "dequeue"),
        }
    }
}

fn chance(rng: &mut ChaCha8Rng, percent: u32) -> bool {
    rng.random_range(0..100) < percent
}

impl System for Container {
    fn ask(&mut self, rng: &mut ChaCha8Rng, _: u64) -> (&'static str, Value) {
        let (put, get) = self.words();
        if !chance(rng, self.puts) {
            return (get, Value::Null);
        }
        if chance(rng, self.repeats) {
            return (put, json!(rng.random_range(0..3)));
        }
        self.next += 1;
        // In an order of their own, for priority queues; nine does not divide 31.
        (put, json!(10 + self.next * 9 % 31))
    }

    fn apply(&mut self, rng: &mut ChaCha8Rng, _: u64, f: &str, argument: &Value) -> Option<Answer> {
        if f == self.words().0 {
            self.inside.push(argument.as_i64().unwrap());
            return Some((argument.clone(), None));
        }
        let wild = chance(rng, self.wild);
        if self.inside.is_empty() || (wild && chance(rng, 30)) {
            let error = [None, Some("empty")][rng.random_range(0..2)];
            return chance(rng, self.empties).then_some((Value::Null, error));
        }
        let all = self.inside.len();
        let place = match self.order {
            _ if wild => rng.random_range(0..all),
            Order::Fifo => 0,
            Order::Lifo => all - 1,
            Order::Least => (0..all).min_by_key(|place| self.inside[*place]).unwrap(),
            Order::None => rng.random_range(0..all),
        };
        // Rarely it even stays inside.
        let value = match wild && chance(rng, 15) {
            true => self.inside[place],
            false => self.inside.remove(place),
        };
        Some((json!(value), None))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    Mutex,
    Fenced(u64),
    Reentrant(u64),
    Semaphore(u64),
}

/// A lock of some kind.
pub struct Lock {
    pub kind: LockKind,
    pub holders: BTreeMap<u64, u64>,
    pub token: i64,
    pub wild: u32,
    /// Of a hundred calls that have to wait, how many are refused instead.
    pub refusals: u32,
    /// The most permits that are taken together.
    pub together: u64,
}

impl Lock {
    pub fn new(kind: LockKind, rng: &mut ChaCha8Rng) -> Lock {
        Lock {
            kind,
            holders: BTreeMap::new(),
            token: 0,
            wild: [0, 15, 40][rng.random_range(0..3)],
            refusals: [0, 0, 50][rng.random_range(0..3)],
            together: if rng.random_bool(0.7) { 1 } else { 2 },
        }
    }

    fn out(&self) -> u64 {
        self.holders.values().sum()
    }

    fn acquire(&mut self, rng: &mut ChaCha8Rng, process: u64, permits: u64, wild: bool) -> bool {
        let mine = self.holders.get(&process).copied().unwrap_or(0);
        let others = self.out() - mine;
        let fits = match self.kind {
            LockKind::Mutex => self.out() == 0,
            LockKind::Fenced(limit) | LockKind::Reentrant(limit) => others == 0 && mine < limit,
            LockKind::Semaphore(all) => self.out() + permits <= all,
        };
        if fits || wild {
            *self.holders.entry(process).or_default() += permits;
            if mine == 0 {
                self.token += 1 + i64::from(wild && rng.random_bool(0.3)) * -2;
            }
        }
        fits || wild
    }

    fn release(&mut self, process: u64, permits: u64, wild: bool) -> bool {
        let owned = matches!(self.kind, LockKind::Fenced(_) | LockKind::Reentrant(_));
        let whose = match owned {
            true => Some(process).filter(|process| self.holders.contains_key(process)),
            false => self.holders.keys().next().copied(),
        };
        let mut left = permits;
        if let Some(whose) = whose.filter(|_| self.out() >= permits) {
            let mut next = Some(whose);
            while let Some(holder) = next.filter(|_| left > 0) {
                let held = self.holders.get_mut(&holder).unwrap();
                let taken = left.min(*held);
                *held -= taken;
                left -= taken;
                if *held == 0 {
                    self.holders.remove(&holder);
                }
                next = self.holders.keys().next().copied();
            }
            return true;
        }
        wild
    }
}

impl System for Lock {
    fn ask(&mut self, rng: &mut ChaCha8Rng, process: u64) -> (&'static str, Value) {
        let value = match self.kind {
            LockKind::Semaphore(_) => json!(rng.random_range(1..=self.together)),
            _ => Value::Null,
        };
        let holds = self.holders.contains_key(&process);
        let acquire = rng.random_bool(if holds { 0.25 } else { 0.85 });
        (if acquire { "acquire" } else { "release" }, value)
    }

    fn apply(
        &mut self,
        rng: &mut ChaCha8Rng,
        process: u64,
        f: &str,
        argument: &Value,
    ) -> Option<Answer> {
        let permits = argument.as_u64().unwrap_or(1);
        let wild = chance(rng, self.wild);
        let done = match f {
            "acquire" => self.acquire(rng, process, permits, wild),
            _ => self.release(process, permits, wild),
        };
        if !done || (wild && chance(rng, 20)) {
            return chance(rng, self.refusals).then(|| (argument.clone(), Some("refused")));
        }
        let value = match (self.kind, f) {
            (LockKind::Fenced(_), "acquire") if rng.random_bool(0.9) => json!(self.token),
            _ => argument.clone(),
        };
        Some((value, None))
    }
}

/// A set.
pub struct Elements {
    pub inside: BTreeSet<i64>,
    pub wild: u32,
    /// Of a hundred calls, how many read the whole set.
    pub whole: u32,
    pub removes: u32,
    pub values: i64,
}

impl Elements {
    pub fn new(rng: &mut ChaCha8Rng) -> Elements {
        Elements {
            inside: BTreeSet::new(),
            wild: [0, 10, 35][rng.random_range(0..3)],
            whole: [0, 20][rng.random_range(0..2)],
            removes: [0, 25][rng.random_range(0..2)],
            values: [1, 3][rng.random_range(0..2)],
        }
    }
}

impl System for Elements {
    fn ask(&mut self, rng: &mut ChaCha8Rng, _: u64) -> (&'static str, Value) {
        let element = json!(rng.random_range(0..self.values));
        if chance(rng, self.whole) {
            return ("read", Value::Null);
        }
        if chance(rng, self.removes) {
            return ("remove", element);
        }
        (["add", "contains"][rng.random_range(0..2)], element)
    }

    fn apply(&mut self, rng: &mut ChaCha8Rng, _: u64, f: &str, argument: &Value) -> Option<Answer> {
        let wild = chance(rng, self.wild);
        let element = argument.as_i64().unwrap_or(0);
        Some(match f {
            "read" => {
                let mut shown = self.inside.clone();
                let one = rng.random_range(0..self.values);
                if wild && !shown.remove(&one) {
                    shown.insert(one);
                }
                (json!(shown), None)
            }
            "contains" => (json!(self.inside.contains(&element) != wild), None),
            "add" => {
                let new = self.inside.insert(element) != wild;
                (argument.clone(), (!new).then_some("exists"))
            }
            _ => {
                let there = self.inside.remove(&element) != wild;
                (argument.clone(), (!there).then_some("absent"))
            }
        })
    }
}

/// A counter.
pub struct Number {
    pub number: i64,
    pub wild: u32,
    /// What is added, one of these.
    pub steps: &'static [i64],
    /// Of a hundred adds, how many ask for the value.
    pub told: u32,
}

impl Number {
    pub fn new(rng: &mut ChaCha8Rng) -> Number {
        const STEPS: [&[i64]; 5] = [&[1], &[1], &[-3], &[1, 2], &[2, -1, 0]];
        Number {
            number: 0,
            wild: [0, 20, 50][rng.random_range(0..3)],
            steps: STEPS[rng.random_range(0..STEPS.len())],
            told: [0, 40][rng.random_range(0..2)],
        }
    }
}

impl System for Number {
    fn ask(&mut self, rng: &mut ChaCha8Rng, _: u64) -> (&'static str, Value) {
        if rng.random_bool(0.4) {
            return ("read", Value::Null);
        }
        let step = self.steps[rng.random_range(0..self.steps.len())];
        let f = if chance(rng, self.told) {
            "add-and-get"
        } else {
            "add"
        };
        (f, json!(step))
    }

    fn apply(&mut self, rng: &mut ChaCha8Rng, _: u64, f: &str, argument: &Value) -> Option<Answer> {
        let off = match chance(rng, self.wild) {
            true => self.steps[0] * rng.random_range(-1..=1),
            false => 0,
        };
        self.number += argument.as_i64().unwrap_or(0);
        let value = match f {
            "add" => argument.clone(),
            _ => json!(self.number + off),
        };
        Some((value, None))
    }
}
