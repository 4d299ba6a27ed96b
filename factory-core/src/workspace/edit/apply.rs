//! Replacements and hunks applied to one file's content: each is looked for in the file as it is, then all are made.

use similar::{Algorithm, DiffOp};

use crate::workspace::RepoPath;

use super::elision::refuse_elision;
use super::error::{Candidate, EditError};
use super::matching::{Matcher, Place, Tier};
use super::nearest::nearest;
use super::text::{Encoding, NoText, Splice, Text, is_raw, shown, with_plain_ends};
use super::{Hunk, HunkLine, MAX_FILE, MAX_HUNKS, Replacement};

/// How many places an ambiguous edit names.
const SHOWN_CANDIDATES: usize = 5;
/// The longest texts whose common lines are looked for.
const MOST_COMPARED_LINES: usize = 600;

/// A line of the new text.
enum NewLine {
    /// The file's own, by its place in the quotation.
    Kept(usize),
    Given(String),
}

/// One edit of a file.
struct Edit<'a> {
    path: &'a RepoPath,
    text: &'a Text,
    matcher: &'a Matcher<'a>,
    number: usize,
    of: usize,
}

/// Returns the content with the replacements made.
pub(super) fn replacements(path: &RepoPath, bytes: &[u8], all: &[Replacement]) -> Result<Vec<u8>, EditError> {
    let text = parse(path, bytes, all.len())?;
    let matcher = Matcher::new(text.lines());
    let mut splices = Vec::new();
    for (number, replacement) in (1..).zip(all) {
        let edit = Edit {
            path,
            text: &text,
            matcher: &matcher,
            number,
            of: all.len(),
        };
        splices.push((number, replacement_splice(&edit, replacement)?));
    }
    finish(path, &text, splices)
}

/// Returns the content with the hunks applied.
pub(super) fn hunks(path: &RepoPath, bytes: &[u8], all: &[Hunk]) -> Result<Vec<u8>, EditError> {
    let text = parse(path, bytes, all.len())?;
    let matcher = Matcher::new(text.lines());
    let mut splices = Vec::new();
    let mut cursor = 0;
    for (number, hunk) in (1..).zip(all) {
        let edit = Edit {
            path,
            text: &text,
            matcher: &matcher,
            number,
            of: all.len(),
        };
        let (splice, next) = hunk_splice(&edit, hunk, cursor)?;
        cursor = next;
        splices.push((number, splice));
    }
    finish(path, &text, splices)
}

fn parse(path: &RepoPath, bytes: &[u8], count: usize) -> Result<Text, EditError> {
    if bytes.len() > MAX_FILE {
        return Err(EditError::TooLarge {
            path: path.clone(),
            bytes: bytes.len(),
        });
    }
    if count > MAX_HUNKS {
        return Err(EditError::TooMany {
            path: path.clone(),
            count,
        });
    }
    if count == 0 {
        return Err(EditError::format(format!("there is no edit of `{path}` in it")));
    }
    Text::parse(bytes).map_err(|problem| match problem {
        NoText::Binary => EditError::NotText { path: path.clone() },
        NoText::Utf16 => EditError::Encoding {
            path: path.clone(),
            detail: "is UTF-16 text, which is not edited; convert it to UTF-8 by a command first",
        },
    })
}

fn finish(path: &RepoPath, text: &Text, mut splices: Vec<(usize, Splice)>) -> Result<Vec<u8>, EditError> {
    splices.sort_by_key(|(number, splice)| (splice.range.start, splice.range.end, *number));
    for pair in splices.windows(2) {
        let [(first, one), (second, other)] = pair else {
            continue;
        };
        if other.range.start < one.range.end {
            return Err(EditError::Overlap {
                path: path.clone(),
                first: *first.min(second),
                second: *first.max(second),
            });
        }
    }
    let mut merged = Vec::<Splice>::new();
    for (_, splice) in splices {
        match merged.last_mut() {
            // Neighbouring lines that go are one part, or the line end between them would be taken by neither.
            Some(last)
                if last.drops_lines && splice.drops_lines && last.range.end + 1 == splice.range.start =>
            {
                last.range.end = splice.range.end;
            }
            _ => merged.push(splice),
        }
    }
    let splices: Vec<Splice> = merged.into_iter().map(|splice| widened(text, splice)).collect();
    Ok(text.spliced(&splices))
}

/// Whole lines that go take a line end with them.
fn widened(text: &Text, mut splice: Splice) -> Splice {
    if splice.drops_lines {
        if splice.range.end < text.normal().len() {
            splice.range.end += 1;
        } else {
            splice.range.start = splice.range.start.saturating_sub(1);
        }
    }
    splice
}

fn replacement_splice(edit: &Edit<'_>, replacement: &Replacement) -> Result<Splice, EditError> {
    let normal = edit.text.normal();
    let search = with_plain_ends(&replacement.search);
    let replace = with_plain_ends(&replacement.replace);
    refuse_elision(edit.path, normal, Some(&search), &replace)?;
    if search.trim().is_empty() {
        return if normal.trim().is_empty() && edit.of == 1 {
            Ok(Splice::of(0..normal.len(), replace))
        } else {
            Err(edit.no_place())
        };
    }
    let quoted: Vec<&str> = lines_of(&search);
    let given: Vec<&str> = lines_of(&replace);
    let whole_lines = edit.matcher.exact_places(&quoted);
    if whole_lines.is_empty() {
        let (search, replace) = match search.strip_suffix('\n') {
            Some(stripped) => (stripped, replace.strip_suffix('\n').unwrap_or(&replace)),
            None => (&search[..], &replace[..]),
        };
        if let Some(splice) = part_splice(edit, search, replace)? {
            return Ok(splice);
        }
    }
    let places = edit.matcher.places(&quoted);
    if places.is_empty()
        && let Some((quoted, given)) = without_blank_border(&quoted, &given)
    {
        let place = edit.only_one(quoted, edit.matcher.places(quoted))?;
        return edit.splice(quoted, &place, &new_lines(quoted, given, place.tier));
    }
    let place = edit.only_one(&quoted, places)?;
    let new_lines = new_lines(&quoted, &given, place.tier);
    edit.splice(&quoted, &place, &new_lines)
}

/// Takes blank lines off that both texts have at their beginning or end, and that the file perhaps has not; none where
/// there are no such lines.
fn without_blank_border<'q, 'l>(
    mut quoted: &'q [&'l str],
    mut given: &'q [&'l str],
) -> Option<(&'q [&'l str], &'q [&'l str])> {
    let is_blank = |line: &str| line.trim().is_empty();
    let all = quoted.len();
    while let ([one, rest @ ..], [other, others @ ..]) = (quoted, given)
        && is_blank(one)
        && is_blank(other)
    {
        (quoted, given) = (rest, others);
    }
    while let ([rest @ .., one], [others @ .., other]) = (quoted, given)
        && is_blank(one)
        && is_blank(other)
    {
        (quoted, given) = (rest, others);
    }
    let says_a_place = quoted.iter().any(|line| !is_blank(line));
    (quoted.len() < all && says_a_place).then_some((quoted, given))
}

/// A part of the text that occurs once, not on the borders of lines.
fn part_splice(edit: &Edit<'_>, search: &str, replace: &str) -> Result<Option<Splice>, EditError> {
    let normal = edit.text.normal();
    let Some(first) = normal.find(search) else {
        return Ok(None);
    };
    let step = search.chars().next().map_or(1, char::len_utf8);
    let mut starts = vec![first];
    while starts.len() <= SHOWN_CANDIDATES {
        let after = starts[starts.len() - 1] + step;
        let Some(next) = normal[after..].find(search) else {
            break;
        };
        starts.push(after + next);
    }
    if starts.len() > 1 {
        return Err(edit.ambiguous(starts.into_iter().map(|start| edit.text.line_at(start))));
    }
    edit.refuse_text(replace)?;
    Ok(Some(Splice::of(first..first + search.len(), replace.to_owned())))
}

fn hunk_splice(edit: &Edit<'_>, hunk: &Hunk, cursor: usize) -> Result<(Splice, usize), EditError> {
    let file = edit.matcher.file();
    let mut quoted = Vec::new();
    let mut new_lines = Vec::new();
    let mut removed = String::new();
    let mut added = String::new();
    for line in &hunk.lines {
        match line {
            HunkLine::Context(line) => {
                new_lines.push(NewLine::Kept(quoted.len()));
                quoted.push(line.as_str());
            }
            HunkLine::Removed(line) => {
                removed.extend([line, "\n"]);
                quoted.push(line.as_str());
            }
            HunkLine::Added(line) => {
                added.extend([line, "\n"]);
                new_lines.push(NewLine::Given(line.clone()));
            }
        }
    }
    refuse_elision(edit.path, edit.text.normal(), Some(&removed), &added)?;
    if quoted.is_empty() {
        let after = insertion_line(edit, hunk)?;
        edit.refuse_text(&added)?;
        return Ok((
            inserted(edit.text, after, &new_lines),
            after.map_or(0, |line| line + 1),
        ));
    }
    let mut places = edit.matcher.places(&quoted);
    if places.is_empty()
        && let Some(narrower) = without_blank_context(hunk)
    {
        return hunk_splice(edit, &narrower, cursor);
    }
    if hunk.at_end {
        let at_end = |place: &Place| place.line + quoted.len() == file.len();
        if places.iter().any(at_end) {
            places.retain(at_end);
        }
    }
    if !hunk.anchors.is_empty() && places.len() > 1 {
        places = after_anchors(file, &hunk.anchors, places);
    }
    if places.len() > 1 && hunk.anchors.is_empty() {
        // Hunks stand in the file's order: one place below the last hunk is the one that is meant.
        let below: Vec<Place> = places
            .iter()
            .filter(|place| place.line >= cursor)
            .cloned()
            .collect();
        if below.len() == 1 && cursor > 0 {
            places = below;
        }
    }
    let place = edit.only_one(&quoted, places)?;
    let splice = edit.splice(&quoted, &place, &new_lines)?;
    Ok((splice, place.line + quoted.len()))
}

/// Returns the hunk without the blank context at its borders, which models write between hunks; none where there is
/// none, or where nothing else says a place.
fn without_blank_context(hunk: &Hunk) -> Option<Hunk> {
    let is_blank = |line: &HunkLine| matches!(line, HunkLine::Context(line) if line.trim().is_empty());
    let first = hunk.lines.iter().position(|line| !is_blank(line))?;
    let last = hunk.lines.iter().rposition(|line| !is_blank(line))?;
    let lines = &hunk.lines[first..=last];
    let says_a_place = lines.iter().any(|line| !matches!(line, HunkLine::Added(_)));
    (lines.len() < hunk.lines.len() && says_a_place).then(|| Hunk {
        anchors: hunk.anchors.clone(),
        lines: lines.to_vec(),
        at_end: hunk.at_end,
    })
}

/// Keeps the first place below each spot where all anchors stand, one below the other.
fn after_anchors(file: &[&str], anchors: &[String], places: Vec<Place>) -> Vec<Place> {
    let mut kept = Vec::<Place>::new();
    for spot in anchor_spots(file, anchors) {
        if let Some(place) = places.iter().find(|place| place.line >= spot)
            && !kept.contains(place)
        {
            kept.push(place.clone());
        }
    }
    if kept.is_empty() { places } else { kept }
}

/// Returns the lines at which the last anchor stands, the others above it.
fn anchor_spots(file: &[&str], anchors: &[String]) -> Vec<usize> {
    let mut spots = Vec::new();
    let mut next = 0;
    for (index, line) in file.iter().enumerate() {
        let wanted = anchors.get(next).map_or("", |anchor| anchor.trim());
        if line.trim() == wanted {
            next += 1;
            if next == anchors.len() {
                spots.push(index);
                // The outer anchors hold on; the last one may come again.
                next -= 1;
            }
        }
    }
    spots
}

/// Where a hunk of new lines alone goes: below its anchor, or at the file's end. None is before the first line.
fn insertion_line(edit: &Edit<'_>, hunk: &Hunk) -> Result<Option<usize>, EditError> {
    let file = edit.matcher.file();
    if hunk.anchors.is_empty() {
        return if hunk.at_end || file.is_empty() {
            Ok(file.len().checked_sub(1))
        } else {
            Err(edit.no_place())
        };
    }
    match anchor_spots(file, &hunk.anchors)[..] {
        [spot] => Ok(Some(spot)),
        [] => {
            let anchors: Vec<&str> = hunk.anchors.iter().map(String::as_str).collect();
            Err(edit.not_found(&anchors[anchors.len() - 1..]))
        }
        ref several => Err(edit.ambiguous(several.iter().copied())),
    }
}

fn inserted(text: &Text, after: Option<usize>, new_lines: &[NewLine]) -> Splice {
    let given = new_lines.iter().filter_map(|line| match line {
        NewLine::Given(line) => Some(line.as_str()),
        NewLine::Kept(_) => None,
    });
    let given = given.collect::<Vec<_>>().join("\n");
    match after {
        Some(line) => {
            let end = text.line(line).end;
            Splice::of(end..end, format!("\n{given}"))
        }
        None => Splice::of(0..0, format!("{given}\n")),
    }
}

/// Where the quotation was not exact, lines that it shares with the new text stay as the file has them.
fn new_lines(quoted: &[&str], given: &[&str], tier: Tier) -> Vec<NewLine> {
    let as_given =
        |range: std::ops::Range<usize>| given[range].iter().map(|line| NewLine::Given((*line).to_owned()));
    if tier == Tier::Exact || quoted.len().max(given.len()) > MOST_COMPARED_LINES {
        return as_given(0..given.len()).collect();
    }
    let mut lines = Vec::new();
    for operation in similar::capture_diff_slices(Algorithm::Myers, quoted, given) {
        match operation {
            DiffOp::Equal { old_index, len, .. } => {
                lines.extend((old_index..old_index + len).map(NewLine::Kept));
            }
            DiffOp::Delete { .. } => {}
            DiffOp::Insert {
                new_index, new_len, ..
            }
            | DiffOp::Replace {
                new_index, new_len, ..
            } => {
                lines.extend(as_given(new_index..new_index + new_len));
            }
        }
    }
    lines
}

/// Returns the lines; a line end at the end begins no further one.
fn lines_of(text: &str) -> Vec<&str> {
    if text.is_empty() {
        return Vec::new();
    }
    text.strip_suffix('\n').unwrap_or(text).split('\n').collect()
}

impl Edit<'_> {
    fn only_one(&self, quoted: &[&str], mut places: Vec<Place>) -> Result<Place, EditError> {
        match places.len() {
            0 => Err(self.not_found(quoted)),
            1 => Ok(places.remove(0)),
            _ => Err(self.ambiguous(places.iter().map(|place| place.line))),
        }
    }

    fn splice(&self, quoted: &[&str], place: &Place, new_lines: &[NewLine]) -> Result<Splice, EditError> {
        let file = self.matcher.file();
        let mut lines = Vec::with_capacity(new_lines.len());
        for line in new_lines {
            lines.push(match line {
                NewLine::Kept(index) => file[place.line + index].to_owned(),
                NewLine::Given(line) => {
                    self.refuse_text(line)?;
                    place.shift.apply(line).ok_or_else(|| self.not_found(quoted))?
                }
            });
        }
        let last = self.text.line(place.line + quoted.len() - 1);
        let range = self.text.line(place.line).start..last.end;
        Ok(Splice {
            drops_lines: lines.is_empty(),
            ..Splice::of(range, lines.join("\n"))
        })
    }

    /// Refuses new text that a file which is not all UTF-8 cannot take without a guess.
    fn refuse_text(&self, given: &str) -> Result<(), EditError> {
        let encoding = self.text.encoding();
        let refused = |detail| {
            Err(EditError::Encoding {
                path: self.path.clone(),
                detail,
            })
        };
        if encoding == Encoding::Utf8 || given.is_ascii() {
            return Ok(());
        }
        if given.contains(|character| character == char::REPLACEMENT_CHARACTER || is_raw(character)) {
            return refused(
                "is not UTF-8, and the new text has `\u{fffd}` where its bytes could not be shown; edit only the lines without",
            );
        }
        if encoding == Encoding::Unknown {
            return refused(
                "is not UTF-8, so it is not known how characters beyond ASCII are to be written; convert it by a command first, or write ASCII",
            );
        }
        Ok(())
    }

    fn not_found(&self, quoted: &[&str]) -> EditError {
        let first = quoted.iter().find(|line| !line.trim().is_empty());
        EditError::NotFound {
            path: self.path.clone(),
            number: self.number,
            of: self.of,
            search: first.copied().unwrap_or_default().to_owned(),
            nearest: nearest(self.matcher.file(), quoted),
        }
    }

    fn ambiguous(&self, lines: impl Iterator<Item = usize>) -> EditError {
        let file = self.matcher.file();
        let mut candidates: Vec<Candidate> = lines
            .map(|line| Candidate {
                line: line + 1,
                text: shown(file[line]),
            })
            .take(SHOWN_CANDIDATES + 1)
            .collect();
        let more = candidates.len() > SHOWN_CANDIDATES;
        candidates.truncate(SHOWN_CANDIDATES);
        EditError::Ambiguous {
            path: self.path.clone(),
            number: self.number,
            of: self.of,
            candidates,
            more,
        }
    }

    fn no_place(&self) -> EditError {
        EditError::NoPlace {
            path: self.path.clone(),
            number: self.number,
            of: self.of,
        }
    }
}
