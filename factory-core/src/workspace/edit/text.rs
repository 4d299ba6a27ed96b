//! A file's text with its line ends set aside, so that matching sees `\n` alone and writing gives back what was there.
//!
//! Bytes that are not UTF-8, as in a file of an older encoding, are kept as characters that nobody writes, and written
//! back as they were: lines beside them can be edited.

use std::borrow::Cow;
use std::ops::Range;

/// The mark that some editors put before UTF-8 text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What the bytes that are not UTF-8 are kept as: this and the byte. Private characters at the very end of Unicode.
const RAW: u32 = 0x0010_ff00;

/// A text with its line ends set aside.
#[derive(Debug)]
pub(super) struct Text {
    marked: bool,
    encoding: Encoding,
    /// The text, each line ended by `\n` alone.
    normal: String,
    /// Where in `normal` a `\n` stands that is `\r\n` in the file, ascending.
    carriage_returns: Vec<usize>,
    is_mostly_crlf: bool,
    lines: Vec<Range<usize>>,
}

/// How a file's text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    /// UTF-8 with some bytes that are none.
    MostlyUtf8,
    /// ASCII, and bytes whose meaning is not known.
    Unknown,
}

/// Why bytes are no text that can be edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoText {
    Utf16,
    Binary,
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
    /// Takes a file's content.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NoText> {
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(NoText::Utf16);
        }
        let (text, encoding) = if let Ok(text) = std::str::from_utf8(bytes) {
            (Cow::Borrowed(text), Encoding::Utf8)
        } else {
            let (text, encoding) = with_raw_bytes(bytes).ok_or(NoText::Binary)?;
            (Cow::Owned(text), encoding)
        };
        let (marked, text) = match text.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) => (true, rest),
            None => (false, &*text),
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
        let is_mostly_crlf = 2 * carriage_returns.len() > normal.matches('\n').count();
        Ok(Self {
            marked,
            encoding,
            normal,
            carriage_returns,
            is_mostly_crlf,
            lines,
        })
    }

    /// Returns how the text is encoded.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Returns whether the file begins with a mark of its encoding.
    pub(super) fn is_marked(&self) -> bool {
        self.marked
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
        self.is_mostly_crlf
    }

    /// Returns whether some lines end with `\r\n` and some with `\n`.
    pub(super) fn has_mixed_ends(&self) -> bool {
        !self.carriage_returns.is_empty() && self.carriage_returns.len() < self.normal.matches('\n').count()
    }

    /// Returns whether the line `index` ends with `\r\n`.
    pub(super) fn ends_with_crlf(&self, index: usize) -> bool {
        self.is_crlf(self.lines[index].end)
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
        if self.encoding == Encoding::Utf8 {
            output.into_bytes()
        } else {
            with_bytes_again(&output)
        }
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

/// Returns whether the character stands for a byte that is not UTF-8.
pub(super) fn is_raw(character: char) -> bool {
    u32::from(character) >= RAW + 0x80
}

/// Returns the line as it is shown to others, who know nothing of raw bytes.
pub(super) fn shown(line: &str) -> String {
    line.chars()
        .map(|character| match character {
            raw if is_raw(raw) => char::REPLACEMENT_CHARACTER,
            plain => plain,
        })
        .collect()
}

/// Returns the text with each byte that is not UTF-8 as a raw character; none where it is a binary file, or the
/// characters are taken.
fn with_raw_bytes(bytes: &[u8]) -> Option<(String, Encoding)> {
    if bytes.contains(&0) {
        return None;
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 4);
    let mut encoding = Encoding::Unknown;
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_ascii() {
            encoding = Encoding::MostlyUtf8;
            if chunk.valid().contains(is_raw) {
                return None;
            }
        }
        text.push_str(chunk.valid());
        let raw = |byte: &u8| char::from_u32(RAW + u32::from(*byte));
        text.extend(chunk.invalid().iter().filter_map(raw));
    }
    Some((text, encoding))
}

fn with_bytes_again(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(u32::from(character).wrapping_sub(RAW)) {
            Ok(byte) if is_raw(character) => bytes.push(byte),
            _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
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
