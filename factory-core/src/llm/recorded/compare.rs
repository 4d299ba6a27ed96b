//! Tells whether what is asked is what was asked.
//!
//! Compared is what does not depend on machine and moment: without what looks like a secret, without the names of homes,
//! and without times, durations, addresses and temporary names, which commands print. Where the export took out
//! something that only its machine knew, any text may stand.

use std::sync::LazyLock;

use regex::Regex;

use super::file::Text;
use super::redaction::{HOME, MARKER, Redaction, Removed};
use crate::llm::Message;
use crate::model::BlobId;

/// How many characters of a text are shown around the first that differs.
const SHOWN: usize = 60;

/// How many bytes of a text are shown before the first character that differs.
const LED: usize = 24;

/// The longest name or path that stands for a home or a name, in bytes.
const NAME_BYTES: usize = 256;

/// What differs from one execution of a command to the next, and what stands for it.
static PASSING: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let patterns = [
        (
            r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|\s?[+-]\d\d:?\d\d)?",
            "[time]",
        ),
        (r"\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b", "[time]"),
        (
            r"\b(?:\d+m\s?)?\d+(?:\.\d+)?\s?(?:ns|µs|us|ms|s|sec|secs|seconds)\b",
            "[duration]",
        ),
        (r"/tmp/[A-Za-z0-9._-]+", "/tmp/[name]"),
        (r"\b0x[0-9a-f]{8,16}\b", "[address]"),
        (r"(thread '[^'\n]*') \(\d+\)", "$1"),
    ];
    let patterns = patterns.into_iter();
    patterns
        .map(|(pattern, stands)| (Regex::new(pattern).expect("the patterns are well-formed"), stands))
        .collect()
});

/// Returns the text as it is compared.
pub(super) fn comparable(text: &str) -> String {
    let mut text = Redaction::of_any_machine().json_text(text, &mut Removed::default());
    for (pattern, stands) in PASSING.iter() {
        if pattern.is_match(&text) {
            text = pattern.replace_all(&text, *stands).into_owned();
        }
    }
    text
}

/// Returns the hash by which a message is compared.
pub(super) fn hash(message: &Message) -> String {
    let mut parts = vec![
        format!("{:?}", message.role),
        message.tool_call_id.clone().unwrap_or_default(),
        comparable(&message.text),
    ];
    for call in &message.tool_calls {
        parts.extend([call.id.clone(), call.name.clone(), comparable(&call.arguments)]);
    }
    BlobId::of(parts.join("\0").as_bytes()).to_string()
}

/// Returns the hash of a prompt.
pub(super) fn hash_of_all<'a>(hashes: impl Iterator<Item = &'a str>, max_tokens: u64) -> String {
    let mut whole = max_tokens.to_string();
    for hash in hashes {
        whole.push('\n');
        whole.push_str(hash);
    }
    BlobId::of(whole.as_bytes()).to_string()
}

/// Returns whether a text is the recorded one, where something of this machine may stand for what was taken out.
pub(super) fn is_alike(recorded: &Text, asked: &str) -> bool {
    if !recorded.is_whole() {
        return false;
    }
    let recorded = comparable(&recorded.text);
    let pieces = pieces(&recorded);
    if pieces.len() == 1 {
        return false;
    }
    fits(&pieces, &comparable(asked))
}

/// What may stand before a piece of a recorded text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    Nothing,
    Name,
    Anything,
}

/// Cuts a recorded text at what was taken out.
fn pieces(text: &str) -> Vec<(Gap, &str)> {
    let mut pieces = Vec::new();
    let (mut gap, mut rest) = (Gap::Nothing, text);
    loop {
        let marker = rest
            .find(MARKER)
            .and_then(|start| Some((start, start + rest[start..].find(']')? + 1, Gap::Anything)));
        let home = rest
            .find(HOME)
            .map(|start| (start, start + HOME.len(), Gap::Name));
        let Some((start, end, next)) = [marker, home].into_iter().flatten().min_by_key(|cut| cut.0) else {
            pieces.push((gap, rest));
            return pieces;
        };
        pieces.push((gap, &rest[..start]));
        (gap, rest) = (next, &rest[end..]);
    }
}

fn fits(pieces: &[(Gap, &str)], text: &str) -> bool {
    let mut rest = text;
    for (place, (gap, piece)) in pieces.iter().enumerate() {
        let found = match gap {
            Gap::Nothing => rest.starts_with(piece).then_some(0),
            // The last piece stands at the end, where its text may stand more than once.
            _ if place + 1 == pieces.len() => rest.ends_with(piece).then(|| rest.len() - piece.len()),
            _ => rest.find(piece),
        };
        let Some(found) = found else { return false };
        let between = &rest[..found];
        if *gap == Gap::Name && (between.len() > NAME_BYTES || between.contains('\n')) {
            return false;
        }
        rest = &rest[found + piece.len()..];
    }
    rest.is_empty()
}

/// Returns where two texts differ, in words.
pub(super) fn difference(recorded: &Text, asked: &str) -> String {
    let (old, new) = (comparable(&recorded.text), comparable(asked));
    let same = old
        .char_indices()
        .zip(new.chars())
        .find(|((_, old), new)| old != new)
        .map_or(old.len().min(new.len()), |((place, _), _)| place);
    let same = new.floor_char_boundary(old.floor_char_boundary(same));
    if same == old.len() && (same == new.len() || !recorded.is_whole()) {
        return "its text is the same as far as it was kept; what differs is its end, its tool calls, or the call that \
                it answers"
            .to_owned();
    }
    format!(
        "from byte {same} on {} was recorded and {} is asked",
        shown(&old, same),
        shown(&new, same)
    )
}

/// Returns a few words of a text from some place on, quoted.
pub(super) fn shown(text: &str, from: usize) -> String {
    let rest = text.get(from..).unwrap_or_default();
    let led = text
        .get(text.floor_char_boundary(from.saturating_sub(LED))..from)
        .unwrap_or_default();
    if rest.is_empty() {
        return "nothing more".to_owned();
    }
    let short: String = rest.chars().take(SHOWN).collect();
    let more = if short.len() < rest.len() { "…" } else { "" };
    format!("{:?}", format!("{led}{short}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text {
            id: String::new(),
            text: text.to_owned(),
            bytes: text.len() as u64,
        }
    }

    #[test]
    fn what_passes_is_not_compared() {
        let cases = [
            ("ok (0.02s)", "ok (1.5s)"),
            ("finished in 1m 02s", "finished in 3.20s"),
            ("at 2026-01-02T03:04:05.678Z", "at 2027-11-12 13:14:15+01:00"),
            ("12:00:01 start", "23:59:59.123 start"),
            ("wrote /tmp/tmp.aB3/x", "wrote /tmp/.tmpQwErTy/x"),
            ("<obj at 0x7f3a12345678>", "<obj at 0x55d0c0ffee00>"),
            ("thread 'main' (123) panicked", "thread 'main' (98765) panicked"),
            ("in /home/ann/code", "in /home/bob/code"),
            ("password=hunter2", "password=sw0rdfish"),
        ];
        for (one, other) in cases {
            assert_eq!(comparable(one), comparable(other));
        }
        for (one, other) in [
            ("41", "42"),
            ("3 failed", "4 failed"),
            ("a\n", "a"),
            ("take 5", "take 6"),
        ] {
            assert_ne!(comparable(one), comparable(other));
        }
    }

    #[test]
    fn where_something_was_taken_out_anything_may_stand() {
        let cases = [
            ("key [removed: api key] end", "key abc def end", true),
            ("key [removed: api key] end", "key abc def and", false),
            ("by ~ and ~", "by ann and bob", true),
            ("by ~ and ~", "by ann\nann and bob", false),
            ("[removed: api key]", "x", true),
            ("plain", "plain", false),
            ("a [removed: x] b [removed: y] b", "a 1 b 2 b 3 b", true),
        ];
        for (recorded, asked, expected) in cases {
            assert_eq!(is_alike(&text(recorded), asked), expected, "{recorded} / {asked}");
        }
        let cut = Text {
            bytes: 1000,
            ..text("key [removed: api key]")
        };
        assert!(!is_alike(&cut, "key abc"));
    }

    #[test]
    fn a_difference_is_shown_where_it_begins() {
        assert_eq!(
            difference(&text("the answer is 41\n"), "the answer is 42\n"),
            r#"from byte 15 on "the answer is 41\n" was recorded and "the answer is 42\n" is asked"#
        );
        assert_eq!(
            difference(&text("äö"), "ä"),
            r#"from byte 2 on "äö" was recorded and nothing more is asked"#
        );
        assert!(difference(&text("a"), "a").contains("its tool calls"));
    }
}
