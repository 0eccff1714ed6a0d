//! Values by number, so that states and calls stay small.
//!
//! A whole number from 0 to 2^31 - 1 is its own number: histories of millions of different ones need no table. Everything
//! else is numbered in the order in which it is first asked for.

use crate::history::ValueRef;
use rustc_hash::FxHashMap;
use serde_json::Value;

/// A value by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(u32);

impl ValueId {
    /// Stands for every value that no operation of the history observes.
    pub const UNSEEN: ValueId = ValueId(0);
    /// `null`.
    pub const NULL: ValueId = ValueId(2);

    /// The number itself: for tables. Even for what is listed, odd for what is a whole number itself.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The value of this number: what [`ValueId::number`] gave.
    pub(crate) fn numbered(number: u32) -> ValueId {
        ValueId(number)
    }
}

/// The values of one history, each with its number.
#[derive(Debug)]
pub struct Values {
    /// Whole numbers that are not their own number.
    wide: FxHashMap<i64, ValueId>,
    others: FxHashMap<Value, ValueId>,
    listed: Vec<Value>,
}

impl Default for Values {
    fn default() -> Values {
        Values {
            wide: FxHashMap::default(),
            others: FxHashMap::default(),
            listed: vec![Value::Null, Value::Null],
        }
    }
}

/// A value that is a whole number is this one; `1.0` is none, as it is another value than `1`.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64()
}

impl Values {
    /// The number of a value of the history.
    pub fn id(&mut self, value: ValueRef<'_>) -> ValueId {
        if value.is_null() {
            return ValueId::NULL;
        }
        match value.as_i64() {
            Some(number) => self.whole(number),
            // A set is not the list of its elements.
            None if value.is_set() => self.id_of(&serde_json::json!({ "#{}": value.to_json() })),
            None => self.id_of(&value.to_json()),
        }
    }

    /// The number of any value.
    pub fn id_of(&mut self, value: &Value) -> ValueId {
        if value.is_null() {
            return ValueId::NULL;
        }
        if let Some(number) = whole(value) {
            return self.whole(number);
        }
        if let Some(id) = self.others.get(value) {
            return *id;
        }
        let id = self.list(value.clone());
        self.others.insert(value.clone(), id);
        id
    }

    fn whole(&mut self, number: i64) -> ValueId {
        if let Some(small) = small(number) {
            return small;
        }
        if let Some(id) = self.wide.get(&number) {
            return *id;
        }
        let id = self.list(Value::from(number));
        self.wide.insert(number, id);
        id
    }

    fn list(&mut self, value: Value) -> ValueId {
        let place = u32::try_from(self.listed.len())
            .ok()
            .filter(|place| *place < 1 << 31)
            .expect("a history has fewer than 2^31 different values");
        self.listed.push(value);
        ValueId(place << 1)
    }

    /// The value of this number; `null` for [`ValueId::UNSEEN`].
    pub fn get(&self, id: ValueId) -> Value {
        match id.0 & 1 {
            0 => self.listed[(id.0 >> 1) as usize].clone(),
            _ => Value::from(id.0 >> 1),
        }
    }

    /// The value in words.
    pub fn show(&self, id: ValueId) -> String {
        if id == ValueId::UNSEEN {
            return "a value that nobody read".to_owned();
        }
        format!("value {}", self.get(id))
    }
}

fn small(number: i64) -> Option<ValueId> {
    let number = u32::try_from(number)
        .ok()
        .filter(|number| *number < 1 << 31)?;
    Some(ValueId(number << 1 | 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_value_comes_back_and_keeps_its_number() {
        let mut values = Values::default();
        let all = [
            json!(0),
            json!(1),
            json!(2_147_483_647_i64),
            json!(2_147_483_648_i64),
            json!(-1),
            json!(1.0),
            json!("1"),
            json!([1, 2]),
            json!(true),
            Value::Null,
            json!(u64::MAX),
        ];
        let ids: Vec<ValueId> = all.iter().map(|value| values.id_of(value)).collect();
        for (value, id) in all.iter().zip(&ids) {
            assert_eq!(values.get(*id), *value);
            assert_eq!(values.id_of(value), *id);
            assert_ne!(*id, ValueId::UNSEEN);
        }
        let mut distinct = ids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), all.len(), "{ids:?}");
    }
}
