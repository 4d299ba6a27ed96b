//! The part of a file that is most like lines that were not found, so that the next try can quote it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::Nearest;
use super::matching::look_alike;
use super::text::shown;

/// The most lines that are shown.
const MOST_LINES: usize = 12;
/// The most comparisons of lines; beyond, nothing is shown.
const MOST_WORK: usize = 4_000_000;
/// How alike a line must be to be worth showing, of 1.
const LEAST_LIKENESS: f64 = 0.5;

/// Returns the lines of `file` that are most like `quoted`; none where nothing is.
pub(super) fn nearest(file: &[&str], quoted: &[&str]) -> Option<Nearest> {
    let keys: Vec<Cow<'_, str>> = quoted.iter().map(|line| look_alike(line)).collect();
    let line = most_equal_lines(file, &keys).or_else(|| most_alike_line(file, &keys))?;
    let end = file.len().min(line + quoted.len().clamp(1, MOST_LINES));
    Some(Nearest {
        line: line + 1,
        lines: file[line..end].iter().map(|line| shown(line)).collect(),
    })
}

/// The place where the most lines agree.
fn most_equal_lines(file: &[&str], quoted: &[Cow<'_, str>]) -> Option<usize> {
    if file.len().saturating_mul(quoted.len()) > MOST_WORK {
        return None;
    }
    let file: Vec<Cow<'_, str>> = file.iter().map(|line| look_alike(line)).collect();
    let equal_from = |start: usize| {
        let pairs = file[start..].iter().zip(quoted);
        pairs
            .filter(|(file, quoted)| file == quoted && file.len() > 2)
            .count()
    };
    let best = (0..file.len()).rev().max_by_key(|start| equal_from(*start))?;
    (equal_from(best) > 0).then_some(best)
}

/// The line that is most like the longest quoted one.
fn most_alike_line(file: &[&str], quoted: &[Cow<'_, str>]) -> Option<usize> {
    let (offset, longest) = quoted.iter().enumerate().max_by_key(|(_, line)| line.len())?;
    let wanted = pairs_of(longest);
    if wanted.is_empty() || file.iter().map(|line| line.len()).sum::<usize>() > MOST_WORK {
        return None;
    }
    let mut best = (LEAST_LIKENESS, None);
    for (index, line) in file.iter().enumerate() {
        let likeness = likeness(&wanted, &pairs_of(&look_alike(line)));
        if likeness > best.0 {
            best = (likeness, Some(index));
        }
    }
    best.1.map(|index| index.saturating_sub(offset))
}

fn pairs_of(line: &str) -> HashSet<(char, char)> {
    line.chars().zip(line.chars().skip(1)).collect()
}

/// Dice's coefficient of the neighbouring letters.
#[expect(clippy::cast_precision_loss, reason = "a rank needs no precision")]
fn likeness(one: &HashSet<(char, char)>, other: &HashSet<(char, char)>) -> f64 {
    let common = one.intersection(other).count();
    2.0 * common as f64 / (one.len() + other.len()).max(1) as f64
}
