//! Notices a model that repeats the same piece without an end.
//!
//! Small models fall into it, and would fill the whole reply with it. The measure is strict, because code repeats
//! itself too: only what comes again byte for byte, with nothing else between, for thousands of bytes.

/// The longest piece whose repetition is noticed.
const LONGEST_PIECE: usize = 200;

/// How much repetition is too much, in bytes. A table of zeros, a rule of dashes and a row of equal lines stay below.
const TOO_MUCH: usize = 4096;

/// How much of nothing but white space is too much, in bytes.
const TOO_BLANK: usize = 1024;

/// How often a text is looked at, in bytes. Counted from its beginning, so that the cuts of the stream do not matter.
const LOOK_EVERY: usize = 256;

/// Watches one text as it grows.
#[derive(Debug, Default)]
pub(super) struct Repetition {
    tail: Vec<u8>,
    since_look: usize,
}

impl Repetition {
    /// Takes more of the text and returns whether its end has been repeating for too long. Bytes of the text that come
    /// after that are not looked at.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(LOOK_EVERY - self.since_look));
            self.tail.extend_from_slice(now);
            self.since_look += now.len();
            rest = later;
            if self.since_look == LOOK_EVERY {
                self.since_look = 0;
                self.tail.drain(..self.tail.len().saturating_sub(TOO_MUCH));
                if self.is_repeating() {
                    return true;
                }
            }
        }
        false
    }

    fn is_repeating(&self) -> bool {
        let is_blank = self.tail.len() >= TOO_BLANK
            && self.tail[self.tail.len() - TOO_BLANK..]
                .iter()
                .all(u8::is_ascii_whitespace);
        is_blank || (self.tail.len() == TOO_MUCH && shortest_period(&self.tail) <= LONGEST_PIECE)
    }
}

/// Returns the length of the shortest piece whose repetition the whole text is, the last one perhaps cut: the text's
/// length less its longest part that is both its beginning and its end.
fn shortest_period(text: &[u8]) -> usize {
    let mut borders = vec![0_usize; text.len()];
    let mut border = 0;
    for at in 1..text.len() {
        while border > 0 && text[at] != text[border] {
            border = borders[border - 1];
        }
        if text[at] == text[border] {
            border += 1;
        }
        borders[at] = border;
    }
    text.len() - border
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn repeats(text: &str) -> bool {
        Repetition::default().take(text)
    }

    #[test]
    fn a_piece_without_an_end_is_noticed() {
        for piece in [
            "a",
            "the the ",
            "I will now read the file.\n",
            "ä",
            "\u{1f388}",
            "{\"tool\": \"read_file\", \"path\": \"src/main.rs\"}\n",
            &"0123456789".repeat(20),
        ] {
            let endless = format!("Let me see. {}", piece.repeat(6000 / piece.len()));
            assert!(repeats(&endless), "{piece}");
        }
        assert!(repeats(&format!("done{}", "\n \t".repeat(500))));
    }

    #[test]
    fn code_may_repeat_itself() {
        let zeros = format!(
            "const TABLE: [u8; 1024] = [\n{}];\n",
            "    0, 0, 0, 0, 0, 0, 0, 0,\n".repeat(128)
        );
        let rule = format!("{}\n", "=".repeat(120)).repeat(8);
        let mut sines = String::new();
        for number in 0..2000 {
            writeln!(sines, "    ({number}, {:.6}),", f64::from(number).sin()).unwrap();
        }
        let mut tests = String::new();
        for number in 0..400 {
            writeln!(
                tests,
                "    #[test]\n    fn case_{number}() {{\n        check(0, 0);\n    }}\n"
            )
            .unwrap();
        }
        let table = format!("| a | b |\n{}", "|---|---|\n".repeat(300));
        let page = format!("{}end", "\n".repeat(600)).repeat(4);
        for text in [zeros, rule, sines, tests, table, page] {
            assert!(!repeats(&text), "{}", &text[..60]);
        }
        let source = include_str!("repetition.rs");
        assert!(!repeats(source));
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter(
            start in ".{0,300}",
            piece in ".{1,60}",
            times in 1_usize..400,
            cut in 1_usize..700,
        ) {
            let text = format!("{start}{}", piece.repeat(times));
            let mut cutter = Repetition::default();
            let mut noticed = false;
            let mut rest = text.as_str();
            while !rest.is_empty() && !noticed {
                let mut end = cut.min(rest.len());
                while !rest.is_char_boundary(end) { end += 1; }
                noticed = cutter.take(&rest[..end]);
                rest = &rest[end..];
            }
            prop_assert_eq!(noticed, repeats(&text));
        }
    }
}
