//! Where in a file the quoted lines stand: in tiers, of which the first that finds anything decides.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

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
    /// The lines as each tier compares them, made when a quotation first needs it.
    tiers: [OnceCell<Keys<'a>>; 4],
}

/// The lines as a tier compares them.
#[derive(Debug)]
struct Keys<'a> {
    lines: Vec<Cow<'a, str>>,
    /// Where each of them stands.
    places: HashMap<Cow<'a, str>, Vec<usize>>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(file: Vec<&'a str>) -> Self {
        Self {
            file,
            tiers: [const { OnceCell::new() }; 4],
        }
    }

    /// Returns the file's lines.
    pub(super) fn file(&self) -> &[&'a str] {
        &self.file
    }

    /// Returns the places of `quoted` in the file, all found in the same tier. Takes time in proportion to both at most.
    pub(super) fn places(&self, quoted: &[&str]) -> Vec<Place> {
        [Tier::Exact, Tier::TrailingSpace, Tier::Indentation, Tier::Unicode]
            .into_iter()
            .map(|tier| self.places_in(tier, quoted))
            .find(|places| !places.is_empty())
            .unwrap_or_default()
    }

    /// Returns the places of the very lines.
    pub(super) fn exact_places(&self, quoted: &[&str]) -> Vec<Place> {
        self.places_in(Tier::Exact, quoted)
    }

    fn places_in(&self, tier: Tier, quoted: &[&str]) -> Vec<Place> {
        let keys = self.tiers[tier as usize].get_or_init(|| Keys::of(tier, &self.file));
        let wanted: Vec<Cow<'_, str>> = quoted.iter().map(|line| tier.key(line)).collect();
        keys.occurrences(&wanted)
            .into_iter()
            .filter_map(|line| {
                let shift = match tier {
                    Tier::Exact | Tier::TrailingSpace => Shift::None,
                    // The indentation must differ in one way.
                    Tier::Indentation | Tier::Unicode => {
                        let there = self.file[line..].iter().copied();
                        Shift::between(quoted.iter().copied().zip(there))?
                    }
                };
                Some(Place { line, tier, shift })
            })
            .collect()
    }
}

impl Tier {
    fn key(self, line: &str) -> Cow<'_, str> {
        match self {
            Self::Exact => Cow::Borrowed(line),
            Self::TrailingSpace => Cow::Borrowed(line.trim_end()),
            Self::Indentation => Cow::Borrowed(line.trim()),
            Self::Unicode => look_alike(line),
        }
    }
}

impl<'a> Keys<'a> {
    fn of(tier: Tier, file: &[&'a str]) -> Self {
        let lines: Vec<Cow<'a, str>> = file.iter().map(|line| tier.key(line)).collect();
        let mut places = HashMap::<Cow<'a, str>, Vec<usize>>::new();
        for (index, line) in lines.iter().enumerate() {
            places.entry(line.clone()).or_default().push(index);
        }
        Self { lines, places }
    }

    /// Returns where the wanted lines stand: around the rarest of them, unless that one is frequent.
    fn occurrences(&self, wanted: &[Cow<'_, str>]) -> Vec<usize> {
        let mut rarest: Option<(usize, &[usize])> = None;
        for (offset, line) in wanted.iter().enumerate() {
            let Some(places) = self.places.get(line) else {
                return Vec::new();
            };
            if rarest.is_none_or(|(_, known)| places.len() < known.len()) {
                rarest = Some((offset, places));
            }
        }
        let Some((offset, places)) = rarest else {
            return Vec::new();
        };
        if places.len().saturating_mul(wanted.len()) > self.lines.len() {
            return occurrences(&self.lines, wanted).take(MOST_PLACES).collect();
        }
        let starts = places.iter().filter_map(|place| place.checked_sub(offset));
        let fits = |start: &usize| {
            self.lines
                .get(*start..*start + wanted.len())
                .is_some_and(|there| there == wanted)
        };
        starts.filter(fits).take(MOST_PLACES).collect()
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
fn occurrences<'a>(file: &'a [Cow<'_, str>], quoted: &'a [Cow<'_, str>]) -> impl Iterator<Item = usize> + 'a {
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
