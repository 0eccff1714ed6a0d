//! As much of EDN as test cases are written in. (Histories are read by the library; these are maps that hold one.)

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum Edn {
    Nil,
    Bool(bool),
    Int(i64),
    /// A keyword, symbol or text.
    Word(String),
    /// A vector, list or set.
    Items(Vec<Edn>),
    Map(Vec<(Edn, Edn)>),
}

impl Edn {
    pub fn get(&self, key: &str) -> Option<&Edn> {
        match self {
            Edn::Map(pairs) => {
                let named = |(name, _): &&(Edn, Edn)| name.word() == Some(key);
                pairs.iter().find(named).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    pub fn int(&self) -> Option<i64> {
        match self {
            Edn::Int(number) => Some(*number),
            _ => None,
        }
    }

    pub fn word(&self) -> Option<&str> {
        match self {
            Edn::Word(word) => Some(word),
            _ => None,
        }
    }

    pub fn items(&self) -> &[Edn] {
        match self {
            Edn::Items(items) => items,
            _ => &[],
        }
    }

    pub fn to_json(&self) -> Value {
        match self {
            Edn::Nil | Edn::Map(_) => Value::Null,
            Edn::Bool(value) => Value::from(*value),
            Edn::Int(number) => Value::from(*number),
            Edn::Word(word) => Value::from(word.as_str()),
            Edn::Items(items) => items.iter().map(Edn::to_json).collect(),
        }
    }
}

/// Reads one value.
pub fn read(text: &str) -> Edn {
    let spaced: String = text
        .chars()
        .map(|c| if c == ',' { ' ' } else { c })
        .collect();
    let mut rest = &spaced[..];
    value(&mut rest)
}

fn value(rest: &mut &str) -> Edn {
    *rest = rest.trim_start();
    if let Some(inner) = rest.strip_prefix("#{") {
        *rest = inner;
        return Edn::Items(until('}', rest));
    }
    let first = rest.chars().next().expect("a value");
    match first {
        '{' => {
            *rest = &rest[1..];
            let items = until('}', rest);
            let pairs = items.chunks_exact(2);
            return Edn::Map(
                pairs
                    .map(|pair| (pair[0].clone(), pair[1].clone()))
                    .collect(),
            );
        }
        '[' | '(' => {
            *rest = &rest[1..];
            return Edn::Items(until(if first == '[' { ']' } else { ')' }, rest));
        }
        '"' => {
            let (word, behind) = rest[1..].split_once('"').expect("the end of a text");
            *rest = behind;
            return Edn::Word(word.to_owned());
        }
        _ => {}
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || "{}[]()".contains(c))
        .unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    *rest = behind;
    match word {
        "nil" => Edn::Nil,
        "true" => Edn::Bool(true),
        "false" => Edn::Bool(false),
        word => match word.parse() {
            Ok(number) => Edn::Int(number),
            Err(_) => Edn::Word(word.trim_start_matches(':').to_owned()),
        },
    }
}

fn until(close: char, rest: &mut &str) -> Vec<Edn> {
    let mut items = Vec::new();
    loop {
        *rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix(close) {
            *rest = behind;
            return items;
        }
        items.push(value(rest));
    }
}
