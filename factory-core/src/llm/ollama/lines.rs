//! JSON objects out of bytes as they come, one on a line.
//!
//! The network cuts where it likes, also inside a character, so only a whole line is read.

use std::collections::VecDeque;

use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::Value;

use crate::llm::LlmError;
use crate::llm::transport::{ReplyBytes, Transport};

/// The objects of a stream. The first error is its end.
pub(super) type Lines = BoxStream<'static, Result<Value, LlmError>>;

/// Cuts bytes into lines of bounded length.
#[derive(Debug)]
struct LineCutter {
    limit: usize,
    line: Vec<u8>,
}

/// A line is longer than allowed.
#[derive(Debug, PartialEq, Eq)]
struct TooLong;

impl LineCutter {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
        }
    }

    /// Takes more bytes and appends the lines that they complete, also those before one that is too long.
    fn push(&mut self, bytes: &[u8], lines: &mut VecDeque<Vec<u8>>) -> Result<(), TooLong> {
        let mut pieces = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if self.line.len() + piece.len() > self.limit {
                return Err(TooLong);
            }
            self.line.extend_from_slice(piece);
            if pieces.peek().is_some() {
                lines.push_back(std::mem::take(&mut self.line));
            }
        }
        Ok(())
    }

    /// Returns what stands after the last line's end.
    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.line)
    }
}

struct Reading {
    transport: Transport,
    bytes: ReplyBytes,
    cutter: LineCutter,
    ready: VecDeque<Vec<u8>>,
    /// What comes after the lines that are ready.
    end: Option<Result<(), LlmError>>,
}

/// Reads the objects of a stream.
pub(super) fn lines(transport: &Transport, bytes: ReplyBytes) -> Lines {
    let reading = Reading {
        cutter: LineCutter::new(transport.bounds().line_bytes),
        transport: transport.clone(),
        bytes,
        ready: VecDeque::new(),
        end: None,
    };
    stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await? {
            Ok(object) => Some((Ok(object), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Value, LlmError>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Some(serde_json::from_slice(&line).map_err(|error| {
                    self.transport
                        .bad_reply(format!("a line of the stream is no JSON: {error}"))
                }));
            }
            if let Some(end) = self.end.take() {
                return end.err().map(Err);
            }
            self.read().await;
        }
    }

    async fn read(&mut self) {
        match self.bytes.next().await {
            Some(Ok(bytes)) => {
                if self.cutter.push(&bytes, &mut self.ready) == Err(TooLong) {
                    let limit = self.transport.bounds().line_bytes;
                    let detail = format!("a line of the stream is longer than {limit} bytes");
                    self.end = Some(Err(self.transport.bound_passed(detail)));
                }
            }
            Some(Err(error)) => self.end = Some(Err(error)),
            None => {
                self.ready.push_back(self.cutter.finish());
                self.end = Some(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts the text at every place into pieces of one length, for each length, and compares the lines.
    fn check(text: &str, expect: &[&str]) {
        for length in 1..=text.len() {
            let mut cutter = LineCutter::new(16);
            let mut lines = VecDeque::new();
            for piece in text.as_bytes().chunks(length) {
                cutter.push(piece, &mut lines).unwrap();
            }
            lines.push_back(cutter.finish());
            let lines: Vec<String> = lines
                .into_iter()
                .map(|line| String::from_utf8(line).unwrap())
                .collect();
            assert_eq!(lines, expect, "pieces of {length}");
        }
    }

    #[test]
    fn lines_do_not_depend_on_where_the_bytes_were_cut() {
        check("a\nb\n", &["a", "b", ""]);
        check("{\"ä\":\"🎈\"}\r\n\nlast", &["{\"ä\":\"🎈\"}\r", "", "last"]);
        check("0123456789abcdef\n", &["0123456789abcdef", ""]);
    }

    #[test]
    fn a_line_has_a_greatest_length_however_it_comes() {
        for length in 1..=19 {
            let mut cutter = LineCutter::new(16);
            let mut lines = VecDeque::new();
            let result = b"a\n0123456789abcdefg"
                .chunks(length)
                .try_for_each(|piece| cutter.push(piece, &mut lines));
            assert_eq!((result, lines.len()), (Err(TooLong), 1), "pieces of {length}");
        }
    }
}
