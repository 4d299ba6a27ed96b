//! A file's text within a budget: whole if it fits, otherwise its head and what is in question, visibly cut.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

/// What is kept free for the line that says what is left out.
const GAP: usize = 40;
/// The longest line that is shown whole in an excerpt, in bytes.
const MAX_LINE: usize = 400;
/// How many of the first lines come before anything else is filled in: imports, headings, a script's first line.
const HEAD: usize = 8;
/// How far around a line in question the text is shown at most.
const AROUND: usize = 40;
/// How many lines are looked at to fill the budget.
const MAX_CONSIDERED: usize = 20_000;

/// What of a file is in question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Focus {
    /// Lines, from 1, the most important first.
    pub lines: Vec<usize>,
    /// Parts, in bytes, the most important first: definitions.
    pub parts: Vec<Range<usize>>,
}

/// Whether lines are shown with their numbers. A model that edits must not see them: it would copy them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// The text alone.
    Without,
    /// A number before each line.
    With,
}

/// A file's text as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The text; ends with a line end unless it is empty.
    pub text: String,
    /// Whether it is the whole file.
    pub whole: bool,
}

/// Returns the text within `budget` bytes.
pub fn excerpt(text: &str, focus: &Focus, budget: usize, numbering: Numbering) -> Excerpt {
    let lines: Vec<&str> = text.lines().collect();
    let width = match numbering {
        Numbering::Without => 0,
        Numbering::With => lines.len().to_string().len() + 2,
    };
    if text.len() + 1 + lines.len() * width <= budget {
        let mut shown = String::with_capacity(budget.min(text.len() + 1));
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            push_number(&mut shown, number, width);
            shown.push_str(line);
        }
        if !shown.is_empty() && !shown.ends_with('\n') {
            shown.push('\n');
        }
        return Excerpt {
            text: shown,
            whole: true,
        };
    }
    let mut chosen = Chosen {
        lines: &lines,
        width,
        places: BTreeSet::new(),
        cost: GAP,
        budget,
    };
    choose(&mut chosen, text, focus);
    Excerpt {
        text: chosen.render(),
        whole: false,
    }
}

struct Chosen<'a> {
    lines: &'a [&'a str],
    width: usize,
    places: BTreeSet<usize>,
    /// The bytes of the chosen lines and of the gaps between them.
    cost: usize,
    budget: usize,
}

impl Chosen<'_> {
    /// Takes a line if there is room for it; returns whether it is taken now or was before.
    fn take(&mut self, place: usize) -> bool {
        let Some(line) = self.lines.get(place) else {
            return false;
        };
        if self.places.contains(&place) {
            return true;
        }
        let above = place
            .checked_sub(1)
            .is_none_or(|above| self.places.contains(&above));
        let below = place + 1 == self.lines.len() || self.places.contains(&(place + 1));
        let joins = usize::from(above) + usize::from(below);
        let own = self.width + shown_length(line) + 1;
        // A line apart makes a gap, one that closes a gap saves its room.
        let cost = (self.cost + own + GAP).saturating_sub(joins * GAP);
        if cost > self.budget {
            return false;
        }
        self.cost = cost;
        self.places.insert(place);
        true
    }

    fn render(&self) -> String {
        let mut shown = String::new();
        let mut next = 0;
        for place in &self.places {
            self.gap(&mut shown, next..*place);
            push_number(&mut shown, place + 1, self.width);
            push_line(&mut shown, self.lines[*place]);
            next = place + 1;
        }
        self.gap(&mut shown, next..self.lines.len());
        shown
    }

    fn gap(&self, shown: &mut String, left_out: Range<usize>) {
        let count = left_out.len();
        if count == 0 || shown.len() + GAP > self.budget {
            return;
        }
        let noun = if count == 1 { "line" } else { "lines" };
        let _ = writeln!(shown, "[… {count} {noun} left out …]");
    }
}

/// Takes lines in the order of their worth until the budget is used up.
fn choose(chosen: &mut Chosen<'_>, text: &str, focus: &Focus) {
    let count = chosen.lines.len();
    let starts = line_starts(text);
    let line_at = |offset: usize| starts.partition_point(|start| *start <= offset).saturating_sub(1);
    let wanted: Vec<usize> = focus
        .lines
        .iter()
        .filter_map(|line| line.checked_sub(1))
        .filter(|place| *place < count)
        .collect();
    for place in &wanted {
        chosen.take(*place);
    }
    for part in &focus.parts {
        // A definition's beginning says most; its rest follows as far as there is room.
        for place in line_at(part.start)..=line_at(part.end.saturating_sub(1)).min(count.saturating_sub(1)) {
            if !chosen.take(place) {
                break;
            }
        }
    }
    for place in 0..HEAD.min(count) {
        chosen.take(place);
    }
    for distance in 1..=AROUND {
        for place in &wanted {
            if let Some(above) = place.checked_sub(distance) {
                chosen.take(above);
            }
            chosen.take(place + distance);
        }
    }
    for place in 0..count.min(MAX_CONSIDERED) {
        if !chosen.take(place) {
            return;
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect()
}

/// The length of a line as it is shown.
fn shown_length(line: &str) -> usize {
    if line.len() <= MAX_LINE {
        line.len()
    } else {
        MAX_LINE + GAP
    }
}

fn push_line(shown: &mut String, line: &str) {
    if line.len() <= MAX_LINE {
        shown.push_str(line);
        shown.push('\n');
    } else {
        let end = line.floor_char_boundary(MAX_LINE);
        let _ = writeln!(shown, "{} [… {} more bytes]", &line[..end], line.len() - end);
    }
}

fn push_number(shown: &mut String, number: usize, width: usize) {
    if width > 0 {
        let _ = write!(shown, "{number:>digits$}: ", digits = width - 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: usize) -> String {
        let lines: Vec<String> = (1..=lines).map(|line| format!("line {line}\n")).collect();
        lines.concat()
    }

    fn check(text: &str, focus: &Focus, budget: usize, expect: &str) {
        let found = excerpt(text, focus, budget, Numbering::Without);
        assert_eq!(found.text, expect);
        assert!(found.text.len() <= budget);
    }

    #[test]
    fn a_small_file_is_shown_whole() {
        for (given, expect) in [("", ""), ("a", "a\n"), ("a\r\nb\n", "a\r\nb\n")] {
            let found = excerpt(given, &Focus::default(), 100, Numbering::Without);
            assert_eq!((found.text.as_str(), found.whole), (expect, true));
        }
        let numbered = excerpt(&text(10), &Focus::default(), 1000, Numbering::With);
        assert!(numbered.text.starts_with(" 1: line 1\n") && numbered.text.ends_with("10: line 10\n"));
    }

    #[test]
    fn a_large_file_is_cut_around_what_is_in_question() {
        check(
            &text(1000),
            &Focus::default(),
            90,
            "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\n[… 993 lines left out …]\n",
        );
        let focus = Focus {
            lines: vec![500, 0, 5000],
            parts: vec![],
        };
        check(
            &text(1000),
            &focus,
            160,
            "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\n[… 490 lines left out …]\nline 499\nline 500\n[… 500 lines left out …]\n",
        );
        let text = text(1000);
        let start = text.find("line 700").unwrap();
        let focus = Focus {
            lines: vec![],
            parts: std::iter::once(start..start + 17).collect(),
        };
        check(
            &text,
            &focus,
            140,
            "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\n[… 693 lines left out …]\nline 700\nline 701\n[… 299 lines left out …]\n",
        );
    }

    #[test]
    fn a_long_line_is_cut_visibly() {
        let long = format!("{}\nb\n", "x".repeat(10_000));
        let found = excerpt(&long, &Focus::default(), 600, Numbering::Without);
        assert_eq!(
            found.text,
            format!("{} [… 9600 more bytes]\nb\n", "x".repeat(400))
        );
        assert!(!found.whole);
    }

    proptest::proptest! {
        #[test]
        fn no_excerpt_passes_its_budget(
            text in "([a-zé🚀]{0,30}\r?\n|x{300,900}\n?|\u{0}){0,60}",
            lines in proptest::collection::vec(0_usize..200, 0..6),
            part in (0_usize..3000, 0_usize..3000),
            budget in 0_usize..3000,
            numbered: bool,
        ) {
            let focus = Focus { lines, parts: std::iter::once(part.0..part.1).collect() };
            let numbering = if numbered { Numbering::With } else { Numbering::Without };
            let found = excerpt(&text, &focus, budget, numbering);
            proptest::prop_assert!(found.text.len() <= budget);
        }
    }
}
