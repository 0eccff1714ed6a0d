//! The lines of a properties file, as `java.util.Properties` reads them: `KEY=VALUE`, `KEY:VALUE` or `KEY VALUE`; `#` and `!` begin comments; a
//! backslash at a line's end goes on with the next one, and elsewhere says that what follows it is meant as it stands.
//!
//! As ZooKeeper does with what Java read, white space at the ends of keys and values is left out.

use std::iter::Peekable;
use std::path::PathBuf;
use std::str::Chars;

/// A key, its value, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// The file, if it is not the configuration itself but one that it names.
    pub(super) file: Option<PathBuf>,
    pub(super) number: usize,
    pub(super) key: String,
    pub(super) value: String,
}

impl Line {
    /// As it is named where something is wrong with it.
    pub(super) fn name(&self) -> String {
        format!("{} ({})", self.key, self.place())
    }

    /// Where it stands.
    pub(super) fn place(&self) -> String {
        match &self.file {
            None => format!("line {}", self.number),
            Some(file) => format!("line {} of {}", self.number, file.display()),
        }
    }

    /// The key without the beginning that Java's flags have.
    pub(super) fn option(&self) -> &str {
        self.key.strip_prefix("zookeeper.").unwrap_or(&self.key)
    }
}

/// What some editors write before the first character of a file; Java takes it for a part of the first key.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text without a byte order mark, and whether it had one.
pub(super) fn without_mark(text: &str) -> (&str, bool) {
    match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (rest, true),
        None => (text, false),
    }
}

/// White space within a line, to Java.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// The lines that are no comments.
pub(super) fn parse(text: &str) -> Vec<Line> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = Vec::new();
    let mut natural = text.split('\n').enumerate();
    while let Some((n, line)) = natural.next() {
        let line = line.trim_start_matches(is_space);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while goes_on(&whole) {
            whole.pop();
            let Some((_, next)) = natural.next() else {
                break;
            };
            whole.push_str(next.trim_start_matches(is_space));
        }
        let (key, value) = split(&whole);
        lines.push(Line {
            file: None,
            number: n + 1,
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
        });
    }
    lines
}

/// Whether a line ends with a backslash that is not itself behind one.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Key and value of a whole line.
fn split(line: &str) -> (String, String) {
    let mut rest = line.chars().peekable();
    let key = until(&mut rest, |c| matches!(c, '=' | ':') || is_space(c));
    while rest.next_if(|c| is_space(*c)).is_some() {}
    if rest.next_if(|c| matches!(c, '=' | ':')).is_some() {
        while rest.next_if(|c| is_space(*c)).is_some() {}
    }
    (key, until(&mut rest, |_| false))
}

/// Up to the first character that ends it and has no backslash before it.
fn until(rest: &mut Peekable<Chars<'_>>, is_end: impl Fn(char) -> bool) -> String {
    let mut found = String::new();
    while let Some(c) = rest.next_if(|c| !is_end(*c)) {
        match c {
            '\\' => found.extend(meant(rest)),
            c => found.push(c),
        }
    }
    found
}

/// What stands behind a backslash. Java refuses a number that is none; here it is left out.
fn meant(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    match rest.next()? {
        't' => Some('\t'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        'f' => Some('\u{c}'),
        'u' => {
            let digits: String = (0..4)
                .map_while(|_| rest.next_if(char::is_ascii_hexdigit))
                .collect();
            let number = u32::from_str_radix(&digits, 16).ok();
            char::from_u32(number.filter(|_| digits.len() == 4)?)
        }
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_java_reads() {
        for (text, key, value) in [
            ("tickTime=2000", "tickTime", "2000"),
            ("  tickTime : 2000  ", "tickTime", "2000"),
            ("tickTime 2000", "tickTime", "2000"),
            ("tickTime\t2000", "tickTime", "2000"),
            ("garbage line", "garbage", "line"),
            ("garbage", "garbage", ""),
            ("= x", "", "x"),
            ("a = = b", "a", "= b"),
            ("server.1=h:2888:3888;2181", "server.1", "h:2888:3888;2181"),
            ("a\\=b=c", "a=b", "c"),
            ("a=b\\\\c\\u0041\\q", "a", "b\\cAq"),
            ("a=b\\\r\n   c", "a", "bc"),
            ("a=b\\", "a", "b"),
            ("a=\\u00zz", "a", "zz"),
        ] {
            let lines = parse(text);
            assert_eq!(lines.len(), 1, "{text}");
            let line = &lines[0];
            assert_eq!((&*line.key, &*line.value), (key, value), "{text}");
        }
        let lines = parse("# a=1\n\n!b=2\r c = 3 \\\n 4\rd=5");
        let found: Vec<(usize, &str)> = lines.iter().map(|l| (l.number, &*l.key)).collect();
        assert_eq!(found, [(4, "c"), (6, "d")]);
        assert_eq!(without_mark("\u{feff}a=1"), ("a=1", true));
    }
}
