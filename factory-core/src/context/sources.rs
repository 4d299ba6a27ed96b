//! Reading and taking apart a checkout's files within bounds, each at most once.

use std::collections::HashMap;

use super::index::{FileId, FileIndex};
use super::outline::Outline;
use super::role::Role;
use crate::syntax::Language;
use crate::workspace::Files;

/// What one survey may take: 5000 files and 64 MiB read, 600 files and 8 MiB taken apart.
const MOST: Work = Work {
    files_read: 5000,
    bytes_read: 64 << 20,
    files_parsed: 600,
    bytes_parsed: 8 << 20,
};
/// How much of that the search for names may take, in percent; the rest is for what is shown.
const SEARCHING: usize = 60;
/// How many files may take too long to be taken apart before no more are.
const MOST_SLOW: usize = 4;
/// The longest file that is searched and taken apart; what is longer is hardly written by hand.
const MAX_FILE: usize = 256 << 10;
/// The longest file that is excerpted: 2 MiB.
const MAX_EXCERPTED: usize = 2 << 20;
/// A file with a NUL in its beginning is no text.
const LOOKED_AT: usize = 8 << 10;

/// What a survey took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// How many files were read.
    pub files_read: usize,
    /// How many bytes were read.
    pub bytes_read: usize,
    /// How many files were taken apart.
    pub files_parsed: usize,
    /// How many bytes were taken apart.
    pub bytes_parsed: usize,
}

impl Work {
    /// Returns whether this is within `percent` of the bounds.
    fn is_within(&self, percent: usize) -> bool {
        let within = |took: usize, most: usize| took <= most / 100 * percent;
        within(self.files_read, MOST.files_read)
            && within(self.bytes_read, MOST.bytes_read)
            && within(self.files_parsed, MOST.files_parsed)
            && within(self.bytes_parsed, MOST.bytes_parsed)
    }
}

/// A file's text.
pub(super) struct Text {
    pub(super) text: String,
    /// Whether it is the whole file and was valid UTF-8.
    pub(super) faithful: bool,
}

/// The files of a checkout, read within the bounds of one survey.
pub(super) struct Sources<'a> {
    files: &'a Files,
    index: &'a FileIndex,
    roles: Vec<Role>,
    stopped: &'a dyn Fn() -> bool,
    outlines: HashMap<FileId, Option<Outline>>,
    work: Work,
    /// How many files took too long.
    slow: usize,
    complete: bool,
}

impl<'a> Sources<'a> {
    pub(super) fn new(files: &'a Files, index: &'a FileIndex, stopped: &'a dyn Fn() -> bool) -> Self {
        Self {
            files,
            index,
            roles: index.paths().iter().map(Role::of).collect(),
            stopped,
            outlines: HashMap::new(),
            work: Work::default(),
            slow: 0,
            complete: true,
        }
    }

    pub(super) fn index(&self) -> &'a FileIndex {
        self.index
    }

    pub(super) fn role(&self, id: FileId) -> Role {
        self.roles[id]
    }

    pub(super) fn work(&self) -> Work {
        self.work
    }

    /// Returns whether nothing was left out because of a bound or because it was stopped.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Returns whether the search for names may go on.
    pub(super) fn may_search(&mut self) -> bool {
        let may = self.work.is_within(SEARCHING) && !(self.stopped)();
        self.complete &= may;
        may
    }

    /// Returns the text of a file for searching; none where it is none, too long, or the bounds are reached.
    pub(super) fn text(&mut self, id: FileId) -> Option<String> {
        let read = self.read(id, MAX_FILE)?;
        read.faithful.then_some(read.text)
    }

    /// Returns the text of a file for showing, as far as it is one.
    pub(super) fn text_to_show(&mut self, id: FileId) -> Option<Text> {
        self.read(id, MAX_EXCERPTED)
    }

    /// Returns what a file defines.
    pub(super) fn outline(&mut self, id: FileId) -> Option<&Outline> {
        if !self.outlines.contains_key(&id) {
            let text = Language::of(self.index.path(id)).and_then(|_| self.text(id));
            self.take_apart(id, text.as_deref());
        }
        self.outlines.get(&id)?.as_ref()
    }

    /// Returns what a file defines whose text is read already.
    pub(super) fn outline_of(&mut self, id: FileId, text: &str) -> Option<&Outline> {
        if !self.outlines.contains_key(&id) {
            self.take_apart(id, Some(text).filter(|text| text.len() <= MAX_FILE));
        }
        self.outlines.get(&id)?.as_ref()
    }

    fn take_apart(&mut self, id: FileId, text: Option<&str>) {
        let outline = text.and_then(|text| {
            let after = Work {
                files_parsed: self.work.files_parsed + 1,
                bytes_parsed: self.work.bytes_parsed + text.len(),
                ..self.work
            };
            if self.slow == MOST_SLOW || !self.may_take(after) {
                return None;
            }
            self.work = after;
            let path = self.index.path(id);
            let outline = Outline::of(path, text);
            if outline.is_none() && Language::of(path).is_some() {
                self.slow += 1;
                self.complete = false;
            }
            outline
        });
        self.outlines.insert(id, outline);
    }

    fn may_take(&mut self, after: Work) -> bool {
        let may = after.is_within(100) && !(self.stopped)();
        self.complete &= may;
        may
    }

    fn read(&mut self, id: FileId, limit: usize) -> Option<Text> {
        if self.role(id) == Role::Binary {
            return None;
        }
        let after = Work {
            files_read: self.work.files_read + 1,
            bytes_read: self.work.bytes_read + limit,
            ..self.work
        };
        if !self.may_take(after) {
            return None;
        }
        self.work.files_read += 1;
        // What vanished or cannot be opened is told of when the model asks for it.
        let content = self.files.read(self.index.path(id), limit).ok()?;
        self.work.bytes_read += content.bytes.len();
        if content.bytes[..content.bytes.len().min(LOOKED_AT)].contains(&0) {
            return None;
        }
        Some(match String::from_utf8(content.bytes) {
            Ok(text) => Text {
                text,
                faithful: !content.truncated,
            },
            Err(error) => Text {
                text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
                faithful: false,
            },
        })
    }
}
