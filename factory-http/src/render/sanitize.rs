//! Makes text harmless for a terminal. Used wherever text is shown and nowhere else: what is stored stays as it is.
//!
//! Control characters, escape sequences and marks that reorder or hide text are shown escaped, so that an attempt is
//! seen. Only colour sequences vanish, because ordinary programs print them by the hundred.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns the text as one line: line breaks and tabs become spaces.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    clean(text, Shape::Line)
}

/// Returns the text with its line breaks and tabs.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    clean(text, Shape::Block)
}

/// Returns the text as one line that shows where line breaks and tabs were: for a log, which is searched.
pub(crate) fn record(text: &str) -> Cow<'_, str> {
    clean(text, Shape::Record)
}

/// Returns the text as one line of at most `most` characters, its end cut visibly.
pub(crate) fn short(text: &str, most: usize) -> String {
    let line = line(text.trim());
    if line.chars().count() <= most {
        return line.into_owned();
    }
    let mut cut: String = line.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Returns JSON text that means the same and shows nothing that a terminal would obey.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text
        .chars()
        .any(|character| is_unsafe(character) && character != '\n')
    {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) && character != '\n' {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(safe, "\\u{unit:04x}").expect("writing to a String cannot fail");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Line,
    Block,
    Record,
}

fn clean(text: &str, shape: Shape) -> Cow<'_, str> {
    let untouched =
        |character: char| !is_unsafe(character) || (shape == Shape::Block && is_layout(character));
    if text.chars().all(untouched) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(length) = colour_length(rest) {
            rest = &rest[length..];
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match character {
            '\r' if rest.starts_with('\n') => {}
            layout if is_layout(layout) => match shape {
                Shape::Line => safe.push(' '),
                Shape::Block => safe.push(layout),
                Shape::Record => safe.push_str(if layout == '\n' { "\\n" } else { "\\t" }),
            },
            control if is_unsafe(control) => escape(&mut safe, control),
            plain => safe.push(plain),
        }
    }
    Cow::Owned(safe)
}

fn escape(safe: &mut String, character: char) {
    let code = u32::from(character);
    if code <= 0xff {
        write!(safe, "\\x{code:02x}")
    } else {
        write!(safe, "\\u{{{code:x}}}")
    }
    .expect("writing to a String cannot fail");
}

fn is_layout(character: char) -> bool {
    matches!(character, '\n' | '\t')
}

/// Returns whether a terminal might obey the character, or a reader be misled by it.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Marks, embeddings, overrides and isolates of direction.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators; what is invisible and joins nothing.
            | '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
            // Interlinear annotation, deprecated format characters, tags.
            | '\u{fff9}'..='\u{fffb}' | '\u{206a}'..='\u{206f}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns the length of the colour sequence (`ESC [ digits m`) that the text begins with.
fn colour_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let length = parameters
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'))
        .count();
    (parameters.as_bytes().get(length) == Some(&b'm')).then_some(2 + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_and_not_sent() {
        let cases = [
            ("plain, ä, 漢字, 👩\u{200d}🔧", "plain, ä, 漢字, 👩\u{200d}🔧"),
            ("clear\u{1b}[2Jscreen", "clear\\x1b[2Jscreen"),
            (
                "\u{1b}]8;;http://evil\u{7}text\u{1b}]8;;\u{7}",
                "\\x1b]8;;http://evil\\x07text\\x1b]8;;\\x07",
            ),
            ("\u{1b}]52;c;cHduZWQ=\u{1b}\\", "\\x1b]52;c;cHduZWQ=\\x1b\\"),
            ("\u{1b}]0;title\u{7}", "\\x1b]0;title\\x07"),
            ("\u{1b}P+q\u{1b}\\", "\\x1bP+q\\x1b\\"),
            ("8-bit \u{9b}2J \u{9d}0;x\u{9c}", "8-bit \\x9b2J \\x9d0;x\\x9c"),
            ("safe\rrm -rf", "safe\\x0drm -rf"),
            ("\u{7}\u{7}\u{8}\u{7f}\0", "\\x07\\x07\\x08\\x7f\\x00"),
            ("a\u{202e}txt.exe\u{2066}", "a\\u{202e}txt.exe\\u{2066}"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            (
                "\u{1b}[1;31mred\u{1b}[0m and \u{1b}[38:5:1mmore\u{1b}[m",
                "red and more",
            ),
            ("\u{1b}[31", "\\x1b[31"),
            ("a\u{1b}\u{1b}[31mb", "a\\x1bb"),
        ];
        for (hostile, expected) in cases {
            assert_eq!(line(hostile), expected);
            assert_eq!(block(hostile), expected);
        }
    }

    #[test]
    fn stripping_a_colour_makes_no_new_sequence() {
        assert_eq!(line("\u{1b}\u{1b}[m[2J"), "\\x1b[2J");
    }

    #[test]
    fn layout_is_kept_where_it_is_wanted() {
        assert_eq!(block("a\tb\r\nc\n"), "a\tb\nc\n");
        assert_eq!(line("a\tb\r\nc\n"), "a b c ");
        assert_eq!(record("a\tb\r\nc\n"), "a\\tb\\nc\\n");
        assert_eq!(short("  one two three ", 8), "one two…");
        assert_eq!(short("one", 3), "one");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"text": "\u{1b}[2J \u{9b} \u{202e} \u{e0041} ä"});
        let text = serde_json::to_string(&value).unwrap();
        let safe = json(&text);
        assert!(!safe.chars().any(is_unsafe), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
