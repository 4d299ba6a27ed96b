//! A file's text with its line ends set aside, so that matching sees `\n` alone and writing gives back what was there.

use std::ops::Range;

/// The mark that some editors put before UTF-8 text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A text with its line ends set aside.
#[derive(Debug)]
pub(super) struct Text {
    marked: bool,
    /// The text, each line ended by `\n` alone.
    normal: String,
    /// Where in `normal` a `\n` stands that is `\r\n` in the file, ascending.
    carriage_returns: Vec<usize>,
    lines: Vec<Range<usize>>,
}

/// A part of the text and what comes in its place, with `\n` line ends.
#[derive(Debug)]
pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
    /// Whether the part is whole lines and nothing comes in their place.
    pub(super) drops_lines: bool,
}

impl Splice {
    pub(super) fn of(range: Range<usize>, text: String) -> Self {
        Self {
            range,
            text,
            drops_lines: false,
        }
    }
}

impl Text {
    /// Takes a file's content; none where it is not UTF-8.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (marked, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut normal = String::with_capacity(text.len());
        let mut carriage_returns = Vec::new();
        let mut lines = Vec::new();
        for piece in text.split_inclusive('\n') {
            let start = normal.len();
            let (line, ended) = match piece.strip_suffix('\n') {
                Some(line) => (line.strip_suffix('\r').unwrap_or(line), true),
                None => (piece, false),
            };
            normal.push_str(line);
            lines.push(start..normal.len());
            if ended {
                if piece.ends_with("\r\n") {
                    carriage_returns.push(normal.len());
                }
                normal.push('\n');
            }
        }
        Some(Self {
            marked,
            normal,
            carriage_returns,
            lines,
        })
    }

    /// Returns the text with `\n` line ends.
    pub(super) fn normal(&self) -> &str {
        &self.normal
    }

    /// Returns the lines without their ends.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.lines.iter().map(|line| &self.normal[line.clone()]).collect()
    }

    /// Returns where the line `index` stands, without its end.
    pub(super) fn line(&self, index: usize) -> Range<usize> {
        self.lines[index].clone()
    }

    /// Returns the index of the line that holds `offset`.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        self.lines
            .partition_point(|line| line.start <= offset)
            .saturating_sub(1)
    }

    /// Returns whether most lines end with `\r\n`.
    pub(super) fn is_mostly_crlf(&self) -> bool {
        2 * self.carriage_returns.len() > self.normal.matches('\n').count()
    }

    /// Returns the content with the parts replaced. The splices are in order and do not overlap. New lines end as the
    /// first one that they replace, else as most of the file.
    pub(super) fn spliced(&self, splices: &[Splice]) -> Vec<u8> {
        let mut output = String::with_capacity(self.normal.len() + self.carriage_returns.len());
        if self.marked {
            output.push_str(BYTE_ORDER_MARK);
        }
        let mut done = 0;
        for splice in splices {
            let start = splice.range.start.max(done);
            self.copy(done..start, &mut output);
            let crlf = match self.normal[start..splice.range.end.max(start)].find('\n') {
                Some(offset) => self.is_crlf(start + offset),
                None => self.is_mostly_crlf(),
            };
            push_with_ends(&splice.text, crlf, &mut output);
            done = splice.range.end.max(start);
        }
        self.copy(done..self.normal.len(), &mut output);
        output.into_bytes()
    }

    fn copy(&self, range: Range<usize>, output: &mut String) {
        let mut from = range.start;
        let first = self
            .carriage_returns
            .partition_point(|offset| *offset < range.start);
        for &offset in self.carriage_returns[first..]
            .iter()
            .take_while(|offset| **offset < range.end)
        {
            output.push_str(&self.normal[from..offset]);
            output.push('\r');
            from = offset;
        }
        output.push_str(&self.normal[from..range.end]);
    }

    fn is_crlf(&self, offset: usize) -> bool {
        self.carriage_returns.binary_search(&offset).is_ok()
    }
}

/// Returns `text` with `\n` line ends.
pub(super) fn with_plain_ends(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn push_with_ends(text: &str, crlf: bool, output: &mut String) {
    if crlf {
        output.push_str(&text.replace('\n', "\r\n"));
    } else {
        output.push_str(text);
    }
}
