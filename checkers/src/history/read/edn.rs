//! EDN, as Clojure prints it: forms into the arena, and a map into a [`Draft`].
//!
//! What JSON does not have becomes what is nearest to it, in a way that keeps different things different where that can be:
//!
//! | EDN | here |
//! | --- | --- |
//! | keyword `:a/b`, symbol `a/b`, character `\a` | text `a/b`, `a` |
//! | list `(1 2)` | list |
//! | set `#{1 2}` | list of its elements in one order; it is not equal to a list of them |
//! | map with numbers as keys `{0 10}` | map with texts as names `{"0": 10}` |
//! | whole numbers up to 2^64 - 1, `5N`, octal `017`, `0x1f`, `2r101` | number; a greater one is a text of its digits |
//! | `1.5`, `1.5M` | floating-point number; of more than 17 digits: a text of them |
//! | ratio `1/2`, `##Inf`, `##NaN` | text, as it is written |
//! | tagged literal `#inst "…"`, metadata `^{…} form` | the form without its tag, without its metadata |
//! | comment `; …`, discarded form `#_ …`, comma | nothing |

use crate::history::arena::{Cell, Writer};
use crate::history::block::{Block, Draft};
use crate::history::event::Kind;
use std::borrow::Cow;

/// How deep forms may be nested.
const DEEPEST: u32 = 100;

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) text: String,
    /// Whether it is only that the text ends here.
    pub(super) at_end: bool,
}

type Result<T> = std::result::Result<T, Fault>;

/// A text of forms, and how far it was read.
pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) at: usize,
    /// Whether a value was tagged as the tuple of an independent key.
    pub(super) is_tuple: bool,
}

/// What Jepsen calls its `[key value]`.
const TUPLES: [&str; 2] = ["jepsen.independent/tuple", "jepsen.independent.Tuple"];

/// An event's draft, with the offsets of its begin and its value.
pub(super) struct Found {
    pub(super) draft: Draft,
    pub(super) begins: usize,
    pub(super) value: Option<usize>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, at: usize) -> Reader<'t> {
        Reader {
            text,
            at,
            is_tuple: false,
        }
    }

    /// Reads the next event; `None` at the end of the text.
    pub(super) fn event(&mut self, block: &mut Block, draft: Draft) -> Result<Option<Found>> {
        block.begin();
        self.skip(0)?;
        let begins = self.at;
        if self.peek().is_none() {
            return Ok(None);
        }
        // Its own tag, and maybe the whole list's.
        while self.take(b'#') {
            self.more()?;
            self.token()?;
            self.skip(0)?;
            self.more()?;
        }
        if self.peek() != Some(b'{') {
            return Err(self.wrong("expected an event as a map, or the end of the history"));
        }
        self.at += 1;
        let mut found = Found {
            draft,
            begins,
            value: None,
        };
        loop {
            self.skip(0)?;
            if self.take(b'}') {
                break;
            }
            let at = self.at;
            let name = self.name()?;
            self.skip(0)?;
            if !block.is_new(&name) {
                return Err(fault(at, &format!("the field `{name}` stands here twice")));
            }
            self.field(&name, block, &mut found)?;
        }
        found.draft.extra = block.end_fields();
        Ok(Some(found))
    }

    fn field(&mut self, name: &str, block: &mut Block, found: &mut Found) -> Result<()> {
        let draft = &mut found.draft;
        match name {
            "index" => draft.index = self.counted("an index")?.unwrap_or(draft.index),
            "time" => draft.time = self.counted("a time in nanoseconds")?.unwrap_or(draft.time),
            "process" => draft.process = self.process(block)?.unwrap_or(draft.process),
            "type" => draft.kind = Some(self.kind()?),
            "f" => {
                // `nil`, as Jepsen prints operations that were made without one.
                let f = self.word("a function, as a keyword")?;
                draft.f = f.map_or(draft.f, |f| block.functions.text(&f));
            }
            "key" => {
                let key = match self.peek() {
                    Some(b'-' | b'0'..=b'9') => {
                        draft.key_is_number = true;
                        Some(self.token()?.into())
                    }
                    _ => self.word("a key")?,
                };
                draft.key = key.map_or(draft.key, |key| block.keys.text(&key));
            }
            "value" => {
                found.value = Some(self.at);
                draft.value = self.form(&mut block.writer, 0)?;
            }
            _ => {
                let value = self.form(&mut block.writer, 0)?;
                // Some tools write it where there is none.
                if name != "error" || value != Cell::NULL {
                    let name = block.writer.text(name);
                    block.field(name, value);
                }
            }
        }
        Ok(())
    }

    /// A client's number, the name of another process, or `nil`.
    pub(super) fn process(&mut self, block: &mut Block) -> Result<Option<u32>> {
        let at = self.at;
        if let Some(b'-' | b'0'..=b'9') = self.peek() {
            let token = self.token()?;
            return match token.trim_end_matches('N').parse() {
                Ok(process) => Ok(Some(block.client(process))),
                Err(_) => Err(fault(
                    at,
                    &format!("process {token} is not a whole number from 0"),
                )),
            };
        }
        let name = self.word("a process: a whole number from 0, or a keyword")?;
        Ok(name.map(|name| block.named(&name)))
    }

    fn kind(&mut self) -> Result<Kind> {
        let at = self.at;
        let word = self.word("a type")?;
        kind(word.as_deref().unwrap_or_default())
            .ok_or_else(|| fault(at, "expected a type: :invoke, :ok, :fail or :info"))
    }

    fn counted(&mut self, what: &str) -> Result<Option<u64>> {
        let at = self.at;
        let token = self.token()?;
        if token == "nil" {
            return Ok(None);
        }
        match token.trim_end_matches('N').parse::<i64>() {
            // Jepsen's own way to say that there is none.
            Ok(number) => Ok(u64::try_from(number).ok()),
            Err(_) => Err(fault(at, &format!("`{token}`: expected {what}"))),
        }
    }

    /// A keyword, a symbol, a string; `nil` for none.
    pub(super) fn word(&mut self, what: &str) -> Result<Option<Cow<'t, str>>> {
        let at = self.at;
        match self.peek() {
            None => Err(self.ends()),
            Some(b'"') => self.string().map(Some),
            Some(b':') => self.keyword().map(|word| Some(word.into())),
            Some(b'[' | b'(' | b'{' | b'#' | b'\\' | b'}' | b']' | b')' | b'0'..=b'9' | b'-') => {
                Err(fault(at, &format!("expected {what}")))
            }
            Some(_) => match self.token()? {
                "nil" => Ok(None),
                symbol => Ok(Some(symbol.into())),
            },
        }
    }

    /// The name of a field.
    fn name(&mut self) -> Result<Cow<'t, str>> {
        let begin = self.at;
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b':') => self.keyword().map(Cow::from),
            Some(b'}' | b']' | b')') | None => {
                self.form(&mut Writer::default(), 0).map(|_| "".into())
            }
            // Anything may be a key: it is told by how it is written.
            Some(_) => {
                self.form(&mut Writer::default(), 0)?;
                Ok(self.text[begin..self.at].into())
            }
        }
    }

    /// Any form.
    pub(super) fn form(&mut self, writer: &mut Writer, depth: u32) -> Result<Cell> {
        if depth > DEEPEST {
            return Err(self.wrong(&format!("forms are nested deeper than {DEEPEST}")));
        }
        self.skip(depth)?;
        match self.peek() {
            None => Err(self.ends()),
            Some(b'"') => Ok(writer.text(&self.string()?)),
            Some(b':') => Ok(writer.text(self.keyword()?)),
            Some(b'\\') => {
                let character = self.character()?;
                Ok(writer.text(character.encode_utf8(&mut [0; 4])))
            }
            Some(b'[') => self.list(b']', writer, depth),
            Some(b'(') => self.list(b')', writer, depth),
            Some(b'{') => self.map(None, writer, depth),
            Some(b'#') => self.dispatched(writer, depth),
            Some(byte @ (b']' | b')' | b'}')) => {
                Err(self.wrong(&format!("unexpected `{}`", char::from(byte))))
            }
            Some(_) => self.atom(writer),
        }
    }

    fn list(&mut self, end: u8, writer: &mut Writer, depth: u32) -> Result<Cell> {
        self.at += 1;
        let began = writer.begin();
        loop {
            self.skip(depth)?;
            if self.take(end) {
                return Ok(writer.end_list(began));
            }
            let element = self.form(writer, depth + 1)?;
            writer.element(element);
        }
    }

    fn set(&mut self, writer: &mut Writer, depth: u32) -> Result<Cell> {
        self.at += 1;
        let began = writer.begin();
        loop {
            self.skip(depth)?;
            if self.take(b'}') {
                return Ok(writer.end_set(began));
            }
            let element = self.form(writer, depth + 1)?;
            writer.element(element);
        }
    }

    fn map(&mut self, namespace: Option<&str>, writer: &mut Writer, depth: u32) -> Result<Cell> {
        self.at += 1;
        let began = writer.begin();
        loop {
            self.skip(depth)?;
            if self.take(b'}') {
                return Ok(writer.end_map(began));
            }
            let is_keyword = self.peek() == Some(b':');
            let name = self.name()?;
            let name = match namespace {
                Some(_) if is_keyword && name.starts_with("_/") => name[2..].to_owned().into(),
                Some(namespace) if is_keyword && !name.contains('/') => {
                    format!("{namespace}/{name}").into()
                }
                _ => name,
            };
            let name = writer.text(&name);
            let value = self.form(writer, depth + 1)?;
            writer.element(name);
            writer.element(value);
        }
    }

    /// What begins with `#`.
    fn dispatched(&mut self, writer: &mut Writer, depth: u32) -> Result<Cell> {
        let begin = self.at;
        self.at += 1;
        match self.peek() {
            None => Err(self.ends()),
            Some(b'{') => self.set(writer, depth),
            Some(b'"') => Ok(writer.text(&self.string()?)),
            Some(b':') => {
                let namespace = self.keyword()?;
                self.skip(depth)?;
                match self.peek() {
                    Some(b'{') => self.map(Some(namespace), writer, depth),
                    None => Err(self.ends()),
                    Some(_) => Err(self.wrong("expected a map after its namespace")),
                }
            }
            Some(b'#') => {
                self.at += 1;
                self.token()?;
                Ok(writer.text(&self.text[begin..self.at]))
            }
            Some(byte) if byte.is_ascii_alphabetic() => {
                let tag = self.token()?;
                self.is_tuple |= depth == 0 && TUPLES.contains(&tag);
                self.form(writer, depth + 1)
            }
            Some(_) => Err(fault(
                begin,
                "this cannot be read back: `#` begins no form here",
            )),
        }
    }

    /// A number, a truth value, `nil` or a symbol.
    fn atom(&mut self, writer: &mut Writer) -> Result<Cell> {
        let at = self.at;
        let token = self.token()?;
        let unsigned = token.strip_prefix(['+', '-']).unwrap_or(token);
        if unsigned.starts_with(|first: char| first.is_ascii_digit()) {
            return number(token, writer)
                .ok_or_else(|| fault(at, &format!("`{token}` is not a number")));
        }
        Ok(match token {
            "nil" => Cell::NULL,
            "true" => Cell::bool(true),
            "false" => Cell::bool(false),
            symbol => writer.text(symbol),
        })
    }

    fn keyword(&mut self) -> Result<&'t str> {
        let at = self.at;
        self.at += 1;
        let word = self.rest().split(is_delimiter).next().unwrap_or_default();
        self.at += word.len();
        match word {
            "" if self.rest().is_empty() => Err(self.ends()),
            "" => Err(fault(at, "a keyword needs a name")),
            word => Ok(word.trim_start_matches(':')),
        }
    }

    /// What goes up to a space or a bracket.
    fn token(&mut self) -> Result<&'t str> {
        let token = self.rest().split(is_delimiter).next().unwrap_or_default();
        if token.is_empty() {
            return match self.peek() {
                None => Err(self.ends()),
                Some(_) => Err(self.wrong("expected a value")),
            };
        }
        self.at += token.len();
        Ok(token)
    }

    fn character(&mut self) -> Result<char> {
        let at = self.at;
        self.at += 1;
        let first = self.rest().chars().next().ok_or_else(|| self.ends())?;
        self.at += first.len_utf8();
        let more = self.rest().split(is_delimiter).next().unwrap_or_default();
        if more.is_empty() {
            return Ok(first);
        }
        self.at += more.len();
        let named = match &self.text[at + 1..self.at] {
            "newline" => Some('\n'),
            "return" => Some('\r'),
            "space" => Some(' '),
            "tab" => Some('\t'),
            "formfeed" => Some('\u{c}'),
            "backspace" => Some('\u{8}'),
            word => match word.split_at(first.len_utf8()) {
                ("u", digits) if digits.len() == 4 => u32::from_str_radix(digits, 16).ok(),
                ("o", digits) => u32::from_str_radix(digits, 8).ok(),
                _ => None,
            }
            .and_then(char::from_u32),
        };
        named.ok_or_else(|| {
            let text = &self.text[at..self.at];
            fault(at, &format!("`{text}` is not a character"))
        })
    }

    fn string(&mut self) -> Result<Cow<'t, str>> {
        self.at += 1;
        let begin = self.at;
        let plain = self.rest().find(['"', '\\']);
        let Some(plain) = plain else {
            self.at = self.text.len();
            return Err(self.ends());
        };
        self.at += plain;
        if self.take(b'"') {
            return Ok(self.text[begin..begin + plain].into());
        }
        let mut text = self.text[begin..self.at].to_owned();
        loop {
            let next = self.rest().chars().next().ok_or_else(|| self.ends())?;
            self.at += next.len_utf8();
            match next {
                '"' => return Ok(text.into()),
                '\\' => text.push(self.escape()?),
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let at = self.at - 1;
        let escape = self.rest().chars().next().ok_or_else(|| self.ends())?;
        self.at += escape.len_utf8();
        Ok(match escape {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '"' | '\\' => escape,
            'u' => return self.unicode(at),
            _ => {
                let text = format!("`\\{escape}` is no escape in a text");
                return Err(fault(at, &text));
            }
        })
    }

    /// Four digits, and of a pair of surrogates, as Java writes them, the other four too.
    fn unicode(&mut self, at: usize) -> Result<char> {
        let first = self.four_digits(at)?;
        let code = match first {
            0xd800..=0xdbff if self.rest().starts_with("\\u") => {
                self.at += 2;
                let second = self.four_digits(at)?;
                0x10000 + ((first - 0xd800) << 10) + (second.wrapping_sub(0xdc00) & 0x3ff)
            }
            code => code,
        };
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self, at: usize) -> Result<u32> {
        if self.rest().len() < 4 && self.rest().bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.ends());
        }
        let digits = self.rest().get(..4);
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or_else(|| fault(at, "`\\u` needs four digits of base 16"))
    }

    /// Passes over what says nothing: space, comments, discarded forms, metadata.
    fn skip(&mut self, depth: u32) -> Result<()> {
        loop {
            match self.peek() {
                Some(b' ' | b',' | b'\n' | b'\t' | b'\r' | 0xc) => self.at += 1,
                Some(b';') => {
                    let end = self.rest().find('\n');
                    self.at = end.map_or(self.text.len(), |end| self.at + end + 1);
                }
                Some(b'#') if self.rest().starts_with("#_") => {
                    self.at += 2;
                    self.form(&mut Writer::default(), depth + 1)?;
                }
                Some(b'^') => {
                    self.at += 1;
                    self.form(&mut Writer::default(), depth + 1)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn more(&self) -> Result<()> {
        match self.peek() {
            Some(_) => Ok(()),
            None => Err(self.ends()),
        }
    }

    fn ends(&self) -> Fault {
        Fault {
            at: self.text.len(),
            text: "the text ends in the middle of a form".to_owned(),
            at_end: true,
        }
    }

    fn wrong(&self, text: &str) -> Fault {
        fault(self.at, text)
    }
}

/// The type of this name.
pub(super) fn kind(word: &str) -> Option<Kind> {
    match word {
        "invoke" => Some(Kind::Invoke),
        "ok" => Some(Kind::Ok),
        "fail" => Some(Kind::Fail),
        "info" => Some(Kind::Info),
        _ => None,
    }
}

fn fault(at: usize, text: &str) -> Fault {
    Fault {
        at,
        text: text.to_owned(),
        at_end: false,
    }
}

fn is_delimiter(character: char) -> bool {
    matches!(
        character,
        ' ' | ',' | '\n' | '\t' | '\r' | '\u{c}' | '(' | ')' | '[' | ']' | '{' | '}' | '"' | ';'
    )
}

/// A whole number in a base that is not ten; `signed` has its sign.
fn in_base(signed: &str, digits: &str, base: u32, writer: &mut Writer) -> Option<Cell> {
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i64::from_str_radix(digits, base).ok()?;
    Some(writer.int(match signed.starts_with('-') {
        true => -number,
        false => number,
    }))
}

fn number(token: &str, writer: &mut Writer) -> Option<Cell> {
    let digits = token.strip_prefix('+').unwrap_or(token);
    let bare = digits.strip_prefix('-').unwrap_or(digits);
    let whole = bare.strip_suffix('N').unwrap_or(bare);
    if whole.bytes().all(|byte| byte.is_ascii_digit()) && !whole.is_empty() {
        let digits = digits.strip_suffix('N').unwrap_or(digits);
        // As Clojure has it: a zero in front makes a number octal.
        if whole.len() > 1 && whole.starts_with('0') {
            return in_base(digits, whole, 8, writer);
        }
        if let Ok(number) = digits.parse() {
            return Some(writer.int(number));
        }
        return Some(match digits.parse() {
            Ok(number) => writer.unsigned(number),
            Err(_) => writer.text(digits),
        });
    }
    if let Some(hexadecimal) = bare.strip_prefix("0x").or(bare.strip_prefix("0X")) {
        return in_base(digits, hexadecimal, 16, writer);
    }
    if let Some((base, rest)) = bare.split_once(['r', 'R']) {
        let base = base.parse().ok().filter(|base| (2..=36).contains(base))?;
        return in_base(digits, rest, base, writer);
    }
    if let Some((above, below)) = bare.split_once('/') {
        let whole = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        return (whole(above) && whole(below)).then(|| writer.text(digits));
    }
    let decimal = digits.strip_suffix('M').unwrap_or(digits);
    let is_decimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    if !decimal.bytes().all(is_decimal) {
        return None;
    }
    if super::exact::is_lost(decimal) {
        return Some(writer.text(decimal));
    }
    let number: f64 = decimal.parse().ok()?;
    Some(match number.is_finite() {
        true => writer.float(number),
        false => writer.text(digits),
    })
}
