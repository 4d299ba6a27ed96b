//! A model's answer read for the edits in it, whichever of our formats they are in.
//!
//! What is read is what is there: marks may be sloppy, line numbers wrong, fences nested, prose around and between. No
//! repair invents anything: a block that does not say its file, that may be cut, or that can be read in two ways makes
//! an error of the whole answer.

use std::ops::Range;

use crate::workspace::RepoPath;

use super::error::EditError;
use super::fence::{Fence, end_of_fence, fence};
use super::lines::{Line, after_blanks, lines_of, range_of};
use super::unified::Surroundings;
use super::{
    EditFormat, FileEdit, MAX_FILES, PlannedFile, ReadFile, names, patch, plan, search_replace, unified,
};

/// The most edits of one answer.
const MAX_EDITS: usize = 2000;

/// How often each line is looked at for the ends of fences, on average: an answer is read in time in proportion to it.
const MOST_LOOKS: usize = 32;

/// An edit found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEdit {
    /// What it says.
    pub edit: FileEdit,
    /// The format that it was in.
    pub format: EditFormat,
    /// Where it stands in the text, in bytes.
    pub range: Range<usize>,
    /// The first line of a whole file that was taken for its name, as `# calc.py`, and is not in the content. It comes
    /// back where the file has that line already.
    pub label: Option<String>,
}

/// Returns every edit of the text, in the order in which they stand there: patches in their envelope, search and
/// replace blocks, unified diffs, and whole files in fences below their paths. Fenced code without a path is an error,
/// [`EditError::NoPath`], unless it can be none of the answer's edits: commands to be typed, or code shown beside edits
/// of another format. Where an answer was cut, a block, a patch or a file shows it, but not a diff outside of a fence:
/// its format has no end.
pub fn edits_in(text: &str) -> Result<Vec<FoundEdit>, EditError> {
    Scan::new(text, None)?.edits()
}

/// Like [`edits_in`], for an answer to the question for one file: what does not say its file is of that one, if there is
/// one such block alone.
pub fn edits_about(text: &str, path: &RepoPath) -> Result<Vec<FoundEdit>, EditError> {
    Scan::new(text, Some(path))?.edits()
}

/// Returns the edits as they are planned: those of one file in one format together, in the order of first mention.
/// `read` shows what there is, so that what a fence cannot say, such as a missing last line end, stays as it is.
pub fn file_edits(found: Vec<FoundEdit>, read: &ReadFile<'_>) -> Result<Vec<FileEdit>, EditError> {
    let mut edits = Vec::<FileEdit>::new();
    for found in found {
        let edit = match found.edit {
            FileEdit::Whole {
                path,
                content,
                executable,
            } => FileEdit::Whole {
                content: as_it_was(&path, content, found.label, read)?,
                path,
                executable,
            },
            edit => edit,
        };
        if edits.contains(&edit) && matches!(edit, FileEdit::Whole { .. }) {
            continue;
        }
        if let Some(edit) = merge(&mut edits, edit) {
            edits.push(edit);
        }
    }
    Ok(edits)
}

/// Returns what the text's edits make of the files that `read` shows. See [`edits_in`] and [`plan()`].
pub fn plan_answer(text: &str, read: &ReadFile<'_>) -> Result<Vec<PlannedFile>, EditError> {
    plan(&file_edits(edits_in(text)?, read)?, read)
}

/// Adds the edit to one of the same file and kind; gives it back where there is none.
fn merge(edits: &mut [FileEdit], edit: FileEdit) -> Option<FileEdit> {
    match edit {
        FileEdit::Replace { path, replacements } => {
            for known in edits {
                if let FileEdit::Replace {
                    path: known,
                    replacements: all,
                } = known
                    && *known == path
                {
                    all.extend(replacements);
                    return None;
                }
            }
            Some(FileEdit::Replace { path, replacements })
        }
        FileEdit::Patch {
            path,
            move_to: None,
            hunks,
            executable: None,
        } => {
            for known in edits {
                if let FileEdit::Patch {
                    path: known,
                    move_to: None,
                    hunks: all,
                    executable: None,
                } = known
                    && *known == path
                {
                    all.extend(hunks);
                    return None;
                }
            }
            Some(FileEdit::Patch {
                path,
                move_to: None,
                hunks,
                executable: None,
            })
        }
        edit => Some(edit),
    }
}

fn as_it_was(
    path: &RepoPath,
    mut content: String,
    label: Option<String>,
    read: &ReadFile<'_>,
) -> Result<String, EditError> {
    let Some(current) = read(path)? else {
        return Ok(content);
    };
    if let Some(label) = label {
        let first = current
            .bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let first = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        if first.trim_ascii_end() == label.trim_end().as_bytes() {
            content.insert_str(0, &format!("{label}\n"));
        }
    }
    if !current.bytes.is_empty() && !current.bytes.ends_with(b"\n") && content.ends_with('\n') {
        content.pop();
    }
    Ok(content)
}

/// A text on its way from the first line to the last.
struct Scan<'a> {
    lines: Vec<Line<'a>>,
    marks: patch::Marks,
    /// How many lines may still be looked at for the ends of fences.
    patience: usize,
    about: Option<&'a RepoPath>,
    /// The index of the next line.
    at: usize,
    /// Where the prose above that line begins.
    prose: usize,
    /// The fence around the edits that are read now.
    around: Option<Fence<'a>>,
    /// The file of the last search and replace block.
    last_path: Option<String>,
    found: Vec<FoundEdit>,
    /// Where code in a fence does not say its file.
    pathless: Vec<Range<usize>>,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str, about: Option<&'a RepoPath>) -> Result<Self, EditError> {
        let lines = lines_of(text)?;
        Ok(Self {
            marks: patch::Marks::of(&lines),
            patience: lines.len() * MOST_LOOKS,
            lines,
            about,
            at: 0,
            prose: 0,
            around: None,
            last_path: None,
            found: Vec::new(),
            pathless: Vec::new(),
        })
    }

    fn edits(mut self) -> Result<Vec<FoundEdit>, EditError> {
        while self.at < self.lines.len() {
            if self.found.len() > MAX_EDITS {
                return Err(EditError::format(format!(
                    "more than {MAX_EDITS} edits in one answer"
                )));
            }
            let line = self.lines[self.at];
            search_replace::refuse_lone_end(&line)?;
            if search_replace::begins_at(&line) {
                self.block()?;
            } else if patch::begins_at(&line) {
                self.patch()?;
            } else if unified::begins_at(&self.lines, self.at) {
                self.diff()?;
            } else if line.text.starts_with("@@ -") {
                return Err(unified::orphan(&line));
            } else if let Some(fence) = fence(line.text) {
                self.fence(fence)?;
            } else {
                self.at += 1;
            }
        }
        self.settle_pathless()?;
        if self.found.is_empty() {
            return Err(EditError::format(
                "there is no edit in it; write a file's path on a line of its own and below it its whole content in a fence, or search and replace blocks, or a patch",
            ));
        }
        let files = self.found.iter().map(|found| found.edit.paths().next());
        let files: std::collections::BTreeSet<_> = files.collect();
        if files.len() > MAX_FILES {
            return Err(EditError::format(format!(
                "{} files at once; at most {MAX_FILES} are changed together",
                files.len()
            )));
        }
        Ok(self.found)
    }

    fn add(&mut self, edit: FileEdit, format: EditFormat, range: Range<usize>) {
        self.found.push(FoundEdit {
            edit,
            format,
            range,
            label: None,
        });
    }

    /// Goes on below the lines that were read.
    fn go_on(&mut self, next: usize) {
        self.at = next;
        self.prose = next;
    }

    fn block(&mut self) -> Result<(), EditError> {
        let line = self.lines[self.at];
        let before = self.last_path.as_deref();
        let (block, next) = search_replace::block_at(&self.lines, self.at, self.prose, before)?;
        let path = match (&block.path, self.about) {
            (Some(name), _) => RepoPath::parse(name)?,
            (None, Some(path)) => path.clone(),
            (None, None) => return Err(EditError::NoPath { line: line.number }),
        };
        let edit = FileEdit::Replace {
            path,
            replacements: vec![block.replacement],
        };
        self.last_path = block.path;
        let range = range_of(&self.lines[self.at..next]);
        self.add(edit, EditFormat::SearchReplace, range);
        self.go_on(next);
        Ok(())
    }

    fn patch(&mut self) -> Result<(), EditError> {
        let begin = self.lines[self.at];
        let envelope = patch::envelope_at(&self.lines, &self.marks, self.at)?;
        if envelope.may_be_cut {
            return Err(patch::cut(&begin));
        }
        let sections = patch::sections(envelope.body)?;
        let next = envelope.next;
        for section in sections {
            self.add(section.edit, EditFormat::Patch, section.range);
        }
        self.go_on(next);
        Ok(())
    }

    fn diff(&mut self) -> Result<(), EditError> {
        let around = match self.around {
            Some(_) => Surroundings::Fence,
            None => Surroundings::Prose,
        };
        let (section, next) = unified::file_at(&self.lines, self.at, around)?;
        self.add(section.edit, EditFormat::UnifiedDiff, section.range);
        self.go_on(next);
        Ok(())
    }

    fn fence(&mut self, opening: Fence<'a>) -> Result<(), EditError> {
        let line = self.lines[self.at];
        if self.around.is_some_and(|around| around.is_ended_by(line.text)) {
            self.around = None;
            self.at += 1;
            return Ok(());
        }
        let end = end_of_fence(&self.lines, self.at);
        let looked_at = end.unwrap_or(self.lines.len()) - self.at;
        let Some(patience) = self.patience.checked_sub(looked_at) else {
            return Err(EditError::format(format!(
                "line {}: too many fences within fences; end each one",
                line.number
            )));
        };
        self.patience = patience;
        let Some(end) = end else {
            if self.holds_edits(self.at + 1, self.lines.len()) {
                self.around = Some(opening);
                self.at += 1;
                return Ok(());
            }
            return Err(EditError::Cut { line: line.number });
        };
        let inside = self.at + 1..end;
        let path =
            names::in_info(opening.info).or_else(|| names::above_fence(&self.lines[self.prose..self.at]));
        let is_patch_file = path.as_deref().is_some_and(names::is_patch_file);
        if !is_patch_file && self.is_around_edits(&inside, path.as_deref()) {
            self.around = Some(opening);
            self.at += 1;
            return Ok(());
        }
        let range = range_of(&self.lines[self.at..=end]);
        let is_diff = matches!(opening.info, "diff" | "patch" | "udiff");
        match path {
            Some(name) if is_diff && !is_patch_file => {
                let edit = unified::bare_hunks(&RepoPath::parse(&name)?, &self.lines[inside])?;
                self.add(edit, EditFormat::UnifiedDiff, range);
            }
            Some(name) => {
                let content = self.content(inside, opening.indent);
                self.add_whole(RepoPath::parse(&name)?, content, range, None);
            }
            None => self.without_path(opening, inside, range)?,
        }
        self.go_on(end + 1);
        Ok(())
    }

    /// Whether what a fence holds are edits in another format, not a file. A text may quote such edits in fences of its
    /// own.
    fn is_around_edits(&self, inside: &Range<usize>, path: Option<&str>) -> bool {
        if self.holds_edits(inside.start, inside.end) {
            return true;
        }
        let lines = &self.lines[inside.clone()];
        let may_quote =
            path.is_some_and(names::is_running_text) && lines.iter().any(|line| fence(line.text).is_some());
        !may_quote && lines.iter().any(search_replace::begins_at)
    }

    /// Whether the first lines of a fence begin edits in another format, perhaps below a path.
    fn holds_edits(&self, start: usize, end: usize) -> bool {
        let begins = |at: usize| {
            self.lines[..end].get(at).is_some_and(|line| {
                search_replace::begins_at(line)
                    || patch::begins_at(line)
                    || unified::begins_at(&self.lines[..end], at)
            })
        };
        let first = after_blanks(&self.lines[..end], start);
        begins(first)
            || self.lines[..end]
                .get(first)
                .is_some_and(|line| names::on_line(line.text).is_some())
                && begins(after_blanks(&self.lines[..end], first + 1))
    }

    /// A fence that no path stands above: its first line may be one, in a comment.
    fn without_path(
        &mut self,
        opening: Fence<'_>,
        inside: Range<usize>,
        range: Range<usize>,
    ) -> Result<(), EditError> {
        let first = self.lines[inside.clone()].first().copied();
        let named = first.and_then(|line| Some((line.text, names::in_comment(line.text)?)));
        if let Some((label, name)) = named {
            let content = self.content(inside.start + 1..inside.end, opening.indent);
            self.add_whole(
                RepoPath::parse(&name)?,
                content,
                range,
                Some(label.trim().to_owned()),
            );
            return Ok(());
        }
        let is_program = first.is_some_and(|line| line.text.trim_start().starts_with("#!"));
        // `$ ls` is a terminal, whatever language the fence has.
        let is_shown_only = names::is_shown_only(opening.info)
            || first.is_some_and(|line| line.text.trim_start().starts_with("$ "));
        if !is_shown_only || is_program {
            self.pathless.push(self.at..inside.end + 1);
        }
        Ok(())
    }

    fn add_whole(&mut self, path: RepoPath, content: String, range: Range<usize>, label: Option<String>) {
        self.found.push(FoundEdit {
            edit: FileEdit::Whole {
                path,
                content,
                executable: None,
            },
            format: EditFormat::Whole,
            range,
            label,
        });
    }

    /// Returns the lines, without the indentation that their fence has.
    fn content(&self, inside: Range<usize>, indent: usize) -> String {
        let mut content = String::new();
        for line in &self.lines[inside] {
            let own = line.text.len() - line.text.trim_start_matches([' ', '\t']).len();
            content.push_str(&line.text[own.min(indent)..]);
            content.push('\n');
        }
        content
    }

    /// Code without a path is the file that was asked for, or shown beside edits of another format; else it is an
    /// error.
    fn settle_pathless(&mut self) -> Result<(), EditError> {
        let Some(first) = self.pathless.first().cloned() else {
            return Ok(());
        };
        if let (Some(path), 1, true) = (self.about, self.pathless.len(), self.found.is_empty()) {
            let opening =
                fence(self.lines[first.start].text).expect("a fence opens there, or it were no block");
            let content = self.content(first.start + 1..first.end - 1, opening.indent);
            let range = range_of(&self.lines[first]);
            self.add_whole(path.clone(), content, range, None);
            return Ok(());
        }
        let only_parts = self.found.iter().all(|found| found.format != EditFormat::Whole);
        if only_parts && !self.found.is_empty() {
            return Ok(());
        }
        Err(EditError::NoPath {
            line: self.lines[first.start].number,
        })
    }
}

#[cfg(test)]
mod tests;
