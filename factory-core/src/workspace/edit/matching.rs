//! Where in a file the quoted lines stand: in tiers, of which the first that finds anything decides.

use std::borrow::Cow;
use std::cell::OnceCell;

use unicode_normalization::UnicodeNormalization;

use super::indent::Shift;
use super::text::is_raw;

/// How many places are looked at before the search gives up as hopelessly ambiguous.
const MOST_PLACES: usize = 100;

/// How freely the lines were compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Exact,
    TrailingSpace,
    Indentation,
    Unicode,
}

/// A place where the quoted lines stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The index of the first line.
    pub(super) line: usize,
    pub(super) tier: Tier,
    pub(super) shift: Shift,
}

/// The lines of a file, ready to be compared many times.
#[derive(Debug)]
pub(super) struct Matcher<'a> {
    file: Vec<&'a str>,
    without_trailing_space: OnceCell<Vec<&'a str>>,
    trimmed: OnceCell<Vec<&'a str>>,
    look_alikes: OnceCell<Vec<Cow<'a, str>>>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(file: Vec<&'a str>) -> Self {
        Self {
            file,
            without_trailing_space: OnceCell::new(),
            trimmed: OnceCell::new(),
            look_alikes: OnceCell::new(),
        }
    }

    /// Returns the file's lines.
    pub(super) fn file(&self) -> &[&'a str] {
        &self.file
    }

    /// Returns the places of `quoted` in the file, all found in the same tier. Takes time in proportion to both.
    pub(super) fn places(&self, quoted: &[&str]) -> Vec<Place> {
        let exact = self.exact_places(quoted);
        if !exact.is_empty() {
            return exact;
        }
        let keys: Vec<&str> = quoted.iter().map(|line| line.trim_end()).collect();
        let file = self
            .without_trailing_space
            .get_or_init(|| self.file.iter().map(|line| line.trim_end()).collect());
        let trailing: Vec<Place> = occurrences(file, &keys)
            .take(MOST_PLACES)
            .map(|line| Place {
                line,
                tier: Tier::TrailingSpace,
                shift: Shift::None,
            })
            .collect();
        if !trailing.is_empty() {
            return trailing;
        }
        let keys: Vec<&str> = quoted.iter().map(|line| line.trim()).collect();
        let file = self
            .trimmed
            .get_or_init(|| self.file.iter().map(|line| line.trim()).collect());
        let indented = self.shifted(occurrences(file, &keys), quoted, Tier::Indentation);
        if !indented.is_empty() {
            return indented;
        }
        let keys: Vec<Cow<'_, str>> = quoted.iter().map(|line| look_alike(line)).collect();
        let file = self
            .look_alikes
            .get_or_init(|| self.file.iter().map(|line| look_alike(line)).collect());
        self.shifted(occurrences(file, &keys), quoted, Tier::Unicode)
    }

    /// Returns the places of the very lines.
    pub(super) fn exact_places(&self, quoted: &[&str]) -> Vec<Place> {
        occurrences(&self.file, quoted)
            .take(MOST_PLACES)
            .map(|line| Place {
                line,
                tier: Tier::Exact,
                shift: Shift::None,
            })
            .collect()
    }

    /// Keeps the places where the indentation differs in one way.
    fn shifted(&self, lines: impl Iterator<Item = usize>, quoted: &[&str], tier: Tier) -> Vec<Place> {
        lines
            .take(MOST_PLACES)
            .filter_map(|line| {
                let there = self.file[line..].iter().copied();
                let shift = Shift::between(quoted.iter().copied().zip(there))?;
                Some(Place { line, tier, shift })
            })
            .collect()
    }
}

/// Returns the line without what the freest tier forgives.
pub(super) fn look_alike(line: &str) -> Cow<'_, str> {
    let line = line.trim();
    if line.is_ascii() {
        return Cow::Borrowed(line);
    }
    let plain: String = line
        .nfkc()
        .map(|character| match character {
            '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{b4}' => '\'',
            '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => '"',
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            character if is_raw(character) => char::REPLACEMENT_CHARACTER,
            character if character.is_whitespace() => ' ',
            character => character,
        })
        .filter(|character| !matches!(character, '\u{200b}' | '\u{feff}' | '\u{ad}'))
        .collect();
    Cow::Owned(plain.trim().to_owned())
}

/// Knuth, Morris and Pratt's search, because a hostile quotation must not take quadratic time.
fn occurrences<'a, A, B>(file: &'a [A], quoted: &'a [B]) -> impl Iterator<Item = usize> + 'a
where
    A: PartialEq<B>,
    B: PartialEq,
{
    let mut fallback = vec![0; quoted.len()];
    let mut length = 0;
    for index in 1..quoted.len() {
        while length > 0 && quoted[index] != quoted[length] {
            length = fallback[length - 1];
        }
        length += usize::from(quoted[index] == quoted[length]);
        fallback[index] = length;
    }
    let mut matched = 0;
    file.iter().enumerate().filter_map(move |(index, line)| {
        if quoted.is_empty() {
            return None;
        }
        while matched > 0 && (matched == quoted.len() || *line != quoted[matched]) {
            matched = fallback[matched - 1];
        }
        matched += usize::from(*line == quoted[matched]);
        (matched == quoted.len()).then(|| index + 1 - quoted.len())
    })
}
