//! One event as a map of EDN.

use super::{Foreign, is_transaction, number};
use crate::history::event::{Kind, Process};
use crate::history::value::ValueRef;
use std::fmt::Write;

/// Appends the event.
pub(super) fn event(foreign: &Foreign<'_>, out: &mut String) {
    let event = foreign.event;
    put(out, format_args!("{{:index {}, ", event.index()));
    if !event.history.is_timeless {
        put(out, format_args!(":time {}, ", event.time().0));
    }
    out.push_str(":process ");
    match event.process() {
        Process::Client(process) => put(out, format_args!("{process}")),
        Process::Named(name) => word(name, out),
    }
    let kind = match foreign.kind {
        Kind::Invoke => "invoke",
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info => "info",
    };
    put(out, format_args!(", :type :{kind}, :f "));
    word(event.f(), out);
    if let Some(key) = foreign.field {
        out.push_str(", :key ");
        text(key, out);
    }
    out.push_str(", :value ");
    if let Some(key) = foreign.tuple {
        out.push('[');
        name(key, text, out);
        out.push(' ');
    }
    match is_transaction(event.f(), event.value()) {
        true => micro_operations(event.value(), out),
        false => value(event.value(), out),
    }
    if foreign.tuple.is_some() {
        out.push(']');
    }
    for (name, field) in event.extra() {
        out.push_str(", ");
        word(name, out);
        out.push(' ');
        match field.as_str() {
            Some(error) if name == "error" => word(error, out),
            _ => value(field, out),
        }
    }
    out.push('}');
}

fn value(value: ValueRef<'_>, out: &mut String) {
    if let Some(words) = value.as_str() {
        text(words, out);
    } else if let Some(list) = value.as_list() {
        match value.is_set() {
            true => set(list.iter(), out),
            false => elements(list.iter(), out, self::value),
        }
    } else if let Some(map) = value.as_map() {
        out.push('{');
        for (place, (field, value)) in map.iter().enumerate() {
            if place > 0 {
                out.push_str(", ");
            }
            name(field, word, out);
            out.push(' ');
            self::value(value, out);
        }
        out.push('}');
    } else if value.is_null() {
        out.push_str("nil");
    } else {
        put(out, format_args!("{value}"));
        // What does not fit into Java's long needs to say so.
        if value.as_i64().is_none() && value.as_u64().is_some() {
            out.push('N');
        }
    }
}

fn set<'h>(list: impl Iterator<Item = ValueRef<'h>>, out: &mut String) {
    out.push_str("#{");
    for (place, element) in list.enumerate() {
        if place > 0 {
            out.push(' ');
        }
        value(element, out);
    }
    out.push('}');
}

fn elements<'h>(
    list: impl Iterator<Item = ValueRef<'h>>,
    out: &mut String,
    each: fn(ValueRef<'h>, &mut String),
) {
    out.push('[');
    for (place, element) in list.enumerate() {
        if place > 0 {
            out.push(' ');
        }
        each(element, out);
    }
    out.push(']');
}

fn micro_operations(list: ValueRef<'_>, out: &mut String) {
    let list = list.as_list().into_iter().flat_map(|list| list.iter());
    elements(list, out, |operation, out| {
        out.push('[');
        for (place, part) in operation
            .as_list()
            .into_iter()
            .flat_map(|list| list.iter())
            .enumerate()
        {
            match part.as_str() {
                Some(f) if place == 0 => word(f, out),
                _ => {
                    out.push_str(if place == 0 { "" } else { " " });
                    value(part, out);
                }
            }
        }
        out.push(']');
    });
}

/// A name: a number as a number, anything else as said.
fn name(name: &str, otherwise: fn(&str, &mut String), out: &mut String) {
    match number(name) {
        Some(number) => put(out, format_args!("{number}")),
        None => otherwise(name, out),
    }
}

/// A keyword, if the text can be one.
fn word(word: &str, out: &mut String) {
    let can_be = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'_' | b'.' | b'*' | b'+' | b'!' | b'?' | b'<' | b'>' | b'='
            )
    };
    let begins = word
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    match begins && word.bytes().all(can_be) {
        true => put(out, format_args!(":{word}")),
        false => text(word, out),
    }
}

/// A string.
fn text(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            control if control.is_control() => {
                put(out, format_args!("\\u{:04x}", u32::from(control)));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what)
        .expect("writing to a string does not fail");
}
