//! Where in a file the quoted lines stand: in tiers, of which the first that finds anything decides.

use unicode_normalization::UnicodeNormalization;

use super::indent::Shift;

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

/// Returns the places of `quoted` in `file`, all found in the same tier. Takes time in proportion to both.
pub(super) fn places(file: &[&str], quoted: &[&str]) -> Vec<Place> {
    let exact = exact_places(file, quoted);
    if !exact.is_empty() {
        return exact;
    }
    let trailing = compared(file, quoted, Tier::TrailingSpace, |line| {
        line.trim_end().to_owned()
    });
    if !trailing.is_empty() {
        return trailing;
    }
    let indented = compared(file, quoted, Tier::Indentation, |line| line.trim().to_owned());
    if !indented.is_empty() {
        return indented;
    }
    compared(file, quoted, Tier::Unicode, look_alike)
}

/// Returns the places of the very lines.
pub(super) fn exact_places(file: &[&str], quoted: &[&str]) -> Vec<Place> {
    occurrences(file, quoted)
        .map(|line| Place {
            line,
            tier: Tier::Exact,
            shift: Shift::None,
        })
        .take(MOST_PLACES)
        .collect()
}

/// Returns whether two lines are the same but for what the freest tier forgives.
pub(super) fn look_alike(line: &str) -> String {
    line.trim()
        .nfkc()
        .map(|character| match character {
            '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{b4}' => '\'',
            '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{ab}' | '\u{bb}' => '"',
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            character if character.is_whitespace() => ' ',
            character => character,
        })
        .filter(|character| !matches!(character, '\u{200b}' | '\u{feff}' | '\u{ad}'))
        .collect::<String>()
        .trim()
        .to_owned()
}

fn compared(file: &[&str], quoted: &[&str], tier: Tier, key: impl Fn(&str) -> String) -> Vec<Place> {
    let file_keys: Vec<String> = file.iter().map(|line| key(line)).collect();
    let quoted_keys: Vec<String> = quoted.iter().map(|line| key(line)).collect();
    occurrences(&file_keys, &quoted_keys)
        .take(MOST_PLACES)
        .filter_map(|line| {
            let shift = match tier {
                Tier::Exact | Tier::TrailingSpace => Shift::None,
                Tier::Indentation | Tier::Unicode => {
                    Shift::between(quoted.iter().copied().zip(file[line..].iter().copied()))?
                }
            };
            Some(Place { line, tier, shift })
        })
        .collect()
}

/// Knuth, Morris and Pratt's search, because a hostile quotation must not take quadratic time.
fn occurrences<'a, T: PartialEq>(file: &'a [T], quoted: &'a [T]) -> impl Iterator<Item = usize> + 'a {
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
