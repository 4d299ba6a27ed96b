//! How many tokens a text has, about, where no tokeniser can be asked.
//!
//! A tokeniser of the usual kind parts a text into words, numbers, punctuation and white space before it looks into its
//! vocabulary, so that the classes of the characters say far more than the bytes: a page of prose has four bytes in a
//! token, a hex dump one. The weights are those at which measured texts come out a little too high: too high costs
//! room, too low costs the prompt. What is left between models is learnt by a [`super::Calibration`].

use std::iter::Peekable;
use std::str::CharIndices;

/// What a character is to a tokeniser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A letter of ASCII or of a script with two bytes a letter, or a digit.
    Word,
    /// A space or a tab.
    Space,
    /// A line end.
    LineEnd,
    /// Other ASCII: punctuation, control characters.
    Punctuation,
    /// Everything else, which is mostly looked up one by one.
    Other,
}

/// Thousandths of a token, so that the sum needs no fractions.
type Weight = u64;

const TOKEN: Weight = 1000;

/// Returns about how many tokens the text has; rather too many than too few.
pub fn estimate(text: &str) -> u64 {
    let mut weight: Weight = 0;
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        let class = class_of(first);
        let end = run_end(&mut rest, class, text.len());
        let run = &text[start..end];
        weight += match class {
            Class::Word => word(run),
            Class::Space => space(run.len() as u64, rest.peek().map(|(_, next)| *next)),
            Class::LineEnd => 800,
            Class::Punctuation => punctuation(run),
            Class::Other => run.chars().map(other).sum(),
        };
    }
    weight.div_ceil(TOKEN)
}

fn run_end(rest: &mut Peekable<CharIndices<'_>>, class: Class, length: usize) -> usize {
    while rest.next_if(|(_, next)| class_of(*next) == class).is_some() {}
    rest.peek().map_or(length, |(end, _)| *end)
}

fn class_of(character: char) -> Class {
    match character {
        ' ' | '\t' => Class::Space,
        '\n' | '\r' => Class::LineEnd,
        _ if character.is_ascii_alphanumeric() => Class::Word,
        _ if character.is_ascii() => Class::Punctuation,
        _ if character.len_utf8() == 2 && character.is_alphabetic() => Class::Word,
        _ => Class::Other,
    }
}

/// A part of a word that tokenisers keep together at best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Digits,
    Upper,
    Lower,
}

fn part_of(character: char) -> Part {
    if character.is_ascii_digit() {
        Part::Digits
    } else if character.is_uppercase() {
        Part::Upper
    } else {
        Part::Lower
    }
}

/// A run of letters and digits: `camelCase2`, `Straße`, a hash.
fn word(run: &str) -> Weight {
    let mut parts: Weight = 0;
    let mut weight = 0;
    let (mut letters, mut upper, mut foreign) = (0, 0, 0);
    let mut before = None;
    for character in run.chars() {
        let part = part_of(character);
        // A capital begins a hump with the small letters that follow it.
        let goes_on = before == Some(part) || (before == Some(Part::Upper) && part == Part::Lower);
        if !goes_on {
            weight += hump(letters, upper, foreign);
            (letters, upper, foreign) = (0, 0, 0);
            parts += 1;
        }
        if part == Part::Digits {
            // Many tokenisers take each digit for itself.
            weight += TOKEN;
        } else {
            letters += 1;
            upper += Weight::from(part == Part::Upper);
            foreign += Weight::from(!character.is_ascii());
        }
        before = Some(part);
    }
    weight += hump(letters, upper, foreign);
    let length = run.chars().count() as Weight;
    // What changes its kind all the time is no language but an encoding: nearly every character counts.
    if length >= 16 && parts * 5 >= length {
        return length * 900;
    }
    weight
}

/// Letters that stand together: a word, or a hump of one.
fn hump(letters: Weight, upper: Weight, foreign: Weight) -> Weight {
    if letters == 0 {
        0
    } else if foreign * 2 >= letters {
        TOKEN.max(letters * 450)
    } else if foreign > 0 {
        TOKEN.max(letters * 380)
    } else if upper == letters {
        TOKEN + letters.saturating_sub(3) * 200
    } else {
        TOKEN + letters.saturating_sub(5) * 180
    }
}

/// A single space belongs to the word behind it; longer runs are tokens of their own, and numbers take none with them.
fn space(length: Weight, next: Option<char>) -> Weight {
    let before_digit = next.is_some_and(|next| next.is_ascii_digit());
    let run = match length {
        1 if before_digit || next.is_none() => return TOKEN,
        1 => return 0,
        _ => TOKEN + length.saturating_sub(16) * 60,
    };
    run + if before_digit { TOKEN } else { 0 }
}

/// Equal characters in a row are mostly one token; different ones often are one, in pairs.
fn punctuation(run: &str) -> Weight {
    let bytes = run.as_bytes();
    bytes
        .chunk_by(|one, other| one == other)
        .map(|equal| 700 + (equal.len() as Weight).saturating_sub(2) * 70)
        .sum()
}

fn other(character: char) -> Weight {
    match (character.len_utf8(), u32::from(character)) {
        (2, _) | (_, 0x2000..0x2e80) => 900,
        (3, _) => 850,
        _ => 2 * TOKEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts, each with the tokens that the tokeniser of Qwen2.5-Coder counts in it.
    const MEASURED: &[(&str, &str, u64)] = &[
        ("base64", include_str!("tokens/samples/base64.txt"), 181),
        ("C", include_str!("tokens/samples/c.txt"), 202),
        ("Chinese", include_str!("tokens/samples/chinese.txt"), 94),
        ("diff", include_str!("tokens/samples/diff.txt"), 147),
        ("emoji", include_str!("tokens/samples/emoji.txt"), 57),
        ("German", include_str!("tokens/samples/german.txt"), 124),
        ("Go", include_str!("tokens/samples/go.txt"), 180),
        ("hex dump", include_str!("tokens/samples/hexdump.txt"), 374),
        ("Japanese", include_str!("tokens/samples/japanese.txt"), 63),
        ("Java", include_str!("tokens/samples/java.txt"), 210),
        ("JSON", include_str!("tokens/samples/json.txt"), 168),
        ("Markdown", include_str!("tokens/samples/markdown.txt"), 127),
        ("minified", include_str!("tokens/samples/minified.txt"), 242),
        ("prose", include_str!("tokens/samples/prose.txt"), 160),
        ("test output", include_str!("tokens/samples/pytest.txt"), 290),
        ("Python", include_str!("tokens/samples/python.txt"), 296),
        ("Ruby", include_str!("tokens/samples/ruby.txt"), 151),
        ("Russian", include_str!("tokens/samples/russian.txt"), 72),
        ("Rust", include_str!("tokens/samples/rust.txt"), 397),
        ("shell", include_str!("tokens/samples/shell.txt"), 195),
        ("TypeScript", include_str!("tokens/samples/typescript.txt"), 381),
    ];

    #[test]
    fn measured_texts_come_out_a_little_too_high() {
        for (name, text, counted) in MEASURED {
            let estimated = estimate(text);
            let percent = estimated * 100 / counted;
            assert!(
                (97..=150).contains(&percent),
                "{name}: {estimated} for {counted}, {percent} %"
            );
        }
        let sum = |of: fn(&(&str, &str, u64)) -> u64| MEASURED.iter().map(of).sum::<u64>();
        let percent = sum(|(_, text, _)| estimate(text)) * 100 / sum(|(.., counted)| *counted);
        assert!((100..=120).contains(&percent), "all together: {percent} %");
    }

    #[test]
    fn each_class_weighs_what_it_weighs() {
        for (text, expect) in [
            ("", 0),
            ("a", 1),
            ("hello world", 2),
            ("12345", 5),
            ("a 1", 3),
            ("camelCase", 2),
            ("        x", 2),
            ("----------", 2),
            ("\n\n\n", 1),
            ("中文", 2),
            ("🚀", 2),
            ("a1b2c3d4e5f6a7b8c9d0", 18),
        ] {
            assert_eq!(estimate(text), expect, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_longer_text_never_weighs_much_less(one in "\\PC*", other in "\\PC*") {
            let both = estimate(&format!("{one}\n{other}"));
            proptest::prop_assert!(both + 1 >= estimate(&one).max(estimate(&other)));
        }
    }
}
