//! An SVG under construction: boxes, lines and words whose width is known before they are drawn.
//!
//! Pictures are made without asking any font: all words are in a monospaced face, and each carries the length that the layout
//! gave it, so that they fill exactly that room wherever they are shown. Colours follow the reader's scheme, dark or light.

use std::fmt::Write;

/// Width of one column of text, in pixels.
pub(super) const COLUMN: f64 = 6.7;
/// Height of one line of text.
pub(super) const LINE: f64 = 15.0;
/// Room around everything.
pub(super) const MARGIN: f64 = 14.0;

const STYLE: &str = "\
svg{font:11px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}\
.ground{fill:#fff}text{fill:#1c2128}.faint{fill:#68717d}.strong{font-weight:bold}.bad{fill:#c62828}\
.lane{stroke:#d9dee3;stroke-width:1}.tick{stroke:#aab2bb;stroke-width:1;stroke-dasharray:2 4}\
.bar{stroke-width:1;fill:#dbe9fb;stroke:#4a78b5}.accused{fill:#fbe3c4;stroke:#b7791f}.stuck{fill:#fbd5d5;stroke:#c62828;stroke-width:2}\
.maker{fill:#d8f0e2;stroke:#2e7d5b}.optional{fill:#f3ecfb;stroke:#8a63b8;stroke-dasharray:4 3}.context{fill:#f1f3f5;stroke:#b4bcc5}\
.stop0{stop-color:#fff;stop-opacity:0}.stop1{stop-color:#fff;stop-opacity:1}\
.folded{fill:#c3cad2}\
.box{fill:#f6f8fa;stroke:#57606a;stroke-width:1.2}.head{fill:#dfe5eb}\
.edge{fill:none;stroke-width:1.6}.ww{stroke:#b5541c}.wr{stroke:#1f7a4d}.rw{stroke:#b3261e}.process{stroke:#5b5fc7}.realtime{stroke:#5b5fc7;stroke-dasharray:5 3}.other{stroke:#57606a}\
.ww-ink{fill:#b5541c}.wr-ink{fill:#1f7a4d}.rw-ink{fill:#b3261e}.process-ink,.realtime-ink{fill:#5b5fc7}.other-ink{fill:#57606a}\
@media(prefers-color-scheme:dark){\
.ground{fill:#14171c}text{fill:#e3e8ee}.faint{fill:#98a2ae}.bad{fill:#ff8a80}\
.lane{stroke:#2c333b}.tick{stroke:#4a535e}\
.bar{fill:#1d3557;stroke:#6ea0dc}.accused{fill:#4a3410;stroke:#e0a84a}.stuck{fill:#561c1c;stroke:#ff6b60}\
.maker{fill:#173b2b;stroke:#5fc794}.optional{fill:#33254a;stroke:#b794e0}.context{fill:#20262d;stroke:#525c67}\
.stop0,.stop1{stop-color:#14171c}.folded{fill:#4a535e}\
.box{fill:#1b2027;stroke:#8b95a1}.head{fill:#2a323c}\
.ww{stroke:#f0945a}.wr{stroke:#5fc794}.rw{stroke:#ff8a80}.process,.realtime{stroke:#a5a8ff}.other{stroke:#8b95a1}\
.ww-ink{fill:#f0945a}.wr-ink{fill:#5fc794}.rw-ink{fill:#ff8a80}.process-ink,.realtime-ink{fill:#a5a8ff}.other-ink{fill:#8b95a1}}";

/// A picture that grows as things are drawn.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    body: String,
    width: f64,
    height: f64,
}

impl Canvas {
    /// Makes the picture at least this large.
    pub(super) fn reach(&mut self, x: f64, y: f64) {
        self.width = self.width.max(x);
        self.height = self.height.max(y);
    }

    /// A rectangle with rounded corners; `title` is what it says under the pointer.
    pub(super) fn rect(
        &mut self,
        class: &str,
        x: f64,
        y: f64,
        width: f64,
        height: f64,
        title: &str,
    ) {
        self.reach(x + width, y + height);
        let (x, y, width, height) = (px(x), px(y), px(width), px(height));
        let title = match title.is_empty() {
            true => String::new(),
            false => format!("<title>{}</title>", escape(title)),
        };
        self.put(&format!(
            r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="3">{title}</rect>"#
        ));
    }

    /// Words that begin at `x`, on the base line `y`; gives where they end.
    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, words: &str) -> f64 {
        let end = x + width_of(words);
        self.reach(end, y + 4.0);
        if words.is_empty() {
            return end;
        }
        let class = match class.is_empty() {
            true => String::new(),
            false => format!(r#" class="{class}""#),
        };
        self.put(&format!(
            r#"<text{class} x="{}" y="{}" textLength="{}" lengthAdjust="spacingAndGlyphs" xml:space="preserve">{}</text>"#,
            px(x),
            px(y),
            px(end - x),
            escape(words)
        ));
        end
    }

    /// Words around the middle `x`.
    pub(super) fn centred(&mut self, class: &str, x: f64, y: f64, words: &str) {
        self.text(class, x - width_of(words) / 2.0, y, words);
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.put(&format!(
            r#"<line class="{class}" x1="{}" y1="{}" x2="{}" y2="{}"/>"#,
            px(from.0),
            px(from.1),
            px(to.0),
            px(to.1)
        ));
    }

    /// A line through these points with an arrow at its end.
    pub(super) fn arrow(&mut self, class: &str, points: &[(f64, f64)]) {
        let [.., before, end] = points else { return };
        let mut path = String::new();
        for (place, (x, y)) in points.iter().enumerate() {
            let verb = if place == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{} {}", px(*x), px(*y));
        }
        let (dx, dy) = (end.0 - before.0, end.1 - before.1);
        let length = dx.hypot(dy).max(1.0);
        let (ux, uy) = (dx / length, dy / length);
        // The head, drawn as a part of the line: markers would need a definition for each colour.
        for side in [-1.0, 1.0] {
            let (x, y) = (
                end.0 - 8.0 * ux - side * 4.0 * uy,
                end.1 - 8.0 * uy + side * 4.0 * ux,
            );
            let _ = write!(path, "M{} {}L{} {}", px(x), px(y), px(end.0), px(end.1));
        }
        self.put(&format!(r#"<path class="edge {class}" d="{path}"/>"#));
    }

    /// Covers the right part of a bar with the ground's colour, more and more: it goes on, nobody knows how long.
    pub(super) fn fade(&mut self, x: f64, y: f64, width: f64, height: f64) {
        self.put(&format!(
            r#"<rect fill="url(#fade)" x="{}" y="{}" width="{}" height="{}"/>"#,
            px(x),
            px(y),
            px(width),
            px(height)
        ));
    }

    fn put(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    /// The document.
    pub(super) fn finish(self, title: &str) -> String {
        let (width, height) = (
            px((self.width + MARGIN).ceil()),
            px((self.height + MARGIN).ceil()),
        );
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n\
             <defs><linearGradient id=\"fade\"><stop class=\"stop0\" offset=\"0\"/><stop class=\"stop1\" offset=\"1\"/></linearGradient></defs>\n\
             <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            escape(title),
            self.body
        )
    }
}

/// A coordinate: a tenth of a pixel is finer than any eye.
fn px(coordinate: f64) -> String {
    let tenths = (coordinate * 10.0).round() as i64;
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        _ => format!("{:.1}", tenths as f64 / 10.0),
    }
}

/// How wide words are drawn.
pub(super) fn width_of(words: &str) -> f64 {
    columns(words) as f64 * COLUMN
}

/// How many columns words take: two for each wide character (Chinese, Japanese, Korean, emoji), none for what combines.
pub(super) fn columns(words: &str) -> usize {
    words.chars().map(columns_of).sum()
}

fn columns_of(character: char) -> usize {
    match u32::from(character) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff => 2,
        0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff => 2,
        0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// Words of at most so many columns: the end is cut, and says so.
pub(super) fn cut(words: &str, most: usize) -> String {
    if columns(words) <= most {
        return words.to_owned();
    }
    let mut kept = String::new();
    let mut taken = 1;
    for character in words.chars() {
        taken += columns_of(character);
        if taken > most {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

/// Words in lines of at most so many columns, broken at spaces where there are some.
pub(super) fn wrap(words: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut taken = 0;
    for word in words.split_whitespace() {
        let mut word = word.to_owned();
        loop {
            let space = usize::from(taken > 0);
            let line = lines.last_mut().expect("there is one from the beginning");
            if taken + space + columns(&word) <= most {
                if space > 0 {
                    line.push(' ');
                }
                line.push_str(&word);
                taken += space + columns(&word);
                break;
            }
            if taken == 0 {
                // A single word that is wider than a line.
                let rest = split_at(&mut word, most);
                line.push_str(&word);
                word = rest;
            }
            lines.push(String::new());
            taken = 0;
        }
    }
    lines
}

/// Leaves the first columns of a word in place, and gives the rest.
fn split_at(word: &mut String, most: usize) -> String {
    let mut taken = 0;
    let cut = word.char_indices().find_map(|(at, character)| {
        taken += columns_of(character);
        (taken > most.max(2)).then_some(at)
    });
    word.split_off(cut.unwrap_or(word.len()))
}

/// Text for XML: also without the control characters, which XML cannot have at all.
fn escape(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len());
    for character in words.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => {
                escaped.push('\u{fffd}');
            }
            other => escaped.push(other),
        }
    }
    escaped
}

/// `4890` as `4,890`.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_wrapped_by_columns() {
        assert_eq!(cut("write 5", 7), "write 5");
        assert_eq!(cut("write 55", 7), "write …");
        assert_eq!(columns("写 5"), 4);
        assert_eq!(cut("写写写写", 5), "写写…");
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn text_is_made_safe_for_xml() {
        assert_eq!(
            escape("<a & \"b\">\u{1}\n"),
            "&lt;a &amp; &quot;b&quot;&gt;\u{fffd} "
        );
    }

    #[test]
    fn large_numbers_are_told_in_groups() {
        assert_eq!(thousands(4_890), "4,890");
        assert_eq!(thousands(890), "890");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
