//! Reads a recording's file. Nothing in it is believed: sizes are bounded, what one line says of another is looked at,
//! and every error names the line.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Deserialize;

use super::file::{Call, FILE_BYTES, FORMAT, Header, LINE_BYTES, Line, RecordedMessage, Text, VERSION};

/// How to get a recording, for the error of someone whose file is none.
const HINT: &str = "a recording is a file that `factory export RUN` wrote";

/// A recording that was read.
#[derive(Debug)]
pub struct Recording {
    /// What is said first.
    pub header: Header,
    pub(super) calls: Vec<Call>,
    /// How many messages the prompt of each call has.
    pub(super) lengths: Vec<usize>,
    texts: HashMap<String, Text>,
}

/// The part of the first line that every version of the format has.
#[derive(Deserialize)]
struct First {
    recording: Origin,
}

#[derive(Deserialize)]
struct Origin {
    format: String,
    version: u32,
    factory: String,
}

impl Recording {
    /// Reads the file, or says what is wrong with it. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        // Opening a named pipe would wait for a writer, for ever.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(path)
            .map_err(|error| format!("cannot be opened: {error}; give the path of an existing file"))?;
        let metadata = file
            .metadata()
            .map_err(|error| format!("cannot be looked at: {error}"))?;
        if !metadata.is_file() {
            return Err("is not a regular file; give the path of a recording".to_owned());
        }
        if metadata.len() > FILE_BYTES {
            return Err(format!(
                "has {} bytes, and at most {FILE_BYTES} are read",
                metadata.len()
            ));
        }
        // It may grow while it is read.
        Self::read(BufReader::new(file.take(FILE_BYTES)))
    }

    /// Reads a recording, or says what is wrong with it.
    pub fn read(mut from: impl BufRead) -> Result<Self, String> {
        let first = next_line(&mut from, 1)?.ok_or_else(|| format!("is empty; {HINT}"))?;
        let header = header(&first)?;
        let mut recording = Self {
            header,
            calls: Vec::new(),
            lengths: Vec::new(),
            texts: HashMap::new(),
        };
        let (mut number, mut events) = (1_u64, 0_u64);
        loop {
            number += 1;
            let Some(bytes) = next_line(&mut from, number)? else {
                return Err(format!(
                    "breaks off after line {}: its last line says no end, so it was cut; export the run again",
                    number - 1
                ));
            };
            let line = serde_json::from_slice(&bytes)
                .map_err(|error| format!("line {number} cannot be read: {error}; export the run again"))?;
            match line {
                Line::Recording(_) => return Err(format!("line {number} begins a second recording")),
                Line::Text(text) => {
                    recording.texts.insert(text.id.clone(), text);
                }
                Line::Event(_) => events += 1,
                Line::Call(call) => recording
                    .add(*call)
                    .map_err(|why| format!("line {number}: {why}"))?,
                Line::End(end) => {
                    let calls = recording.calls.len() as u64;
                    if (end.calls, end.events) != (calls, events) {
                        return Err(format!(
                            "line {number} tells of {} calls and {} events, and {calls} and {events} are there",
                            end.calls, end.events
                        ));
                    }
                    if next_line(&mut from, number + 1)?.is_some_and(|line| !line.trim_ascii().is_empty()) {
                        return Err(format!("goes on after its end in line {number}"));
                    }
                    return Ok(recording);
                }
            }
        }
    }

    fn add(&mut self, call: Call) -> Result<(), String> {
        let before = self.lengths.last().copied().unwrap_or_default();
        if call.kept > before {
            return Err(format!(
                "call {} keeps {} messages of the call before, which has {before}",
                call.call, call.kept
            ));
        }
        if let Some(message) = call
            .messages
            .iter()
            .find(|message| !self.texts.contains_key(&message.text))
        {
            return Err(format!(
                "call {} names the text {:?}, which stands nowhere before",
                call.call, message.text
            ));
        }
        self.lengths.push(call.kept + call.messages.len());
        self.calls.push(call);
        Ok(())
    }

    /// Returns the messages of a call's prompt.
    pub(super) fn prompt(&self, place: usize) -> Vec<&RecordedMessage> {
        let mut prompt = Vec::new();
        let mut wanted = self.lengths[place];
        // From the end to the beginning: each call says what is its own, and the rest is of those before.
        for call in self.calls[..=place].iter().rev() {
            if wanted > call.kept {
                let own = &call.messages[..wanted - call.kept];
                prompt.extend(own.iter().rev());
                wanted = call.kept;
            }
            if wanted == 0 {
                break;
            }
        }
        prompt.reverse();
        prompt
    }

    /// Returns a message's text.
    pub(super) fn text(&self, message: &RecordedMessage) -> &Text {
        &self.texts[&message.text]
    }
}

fn header(line: &[u8]) -> Result<Header, String> {
    let Ok(First { recording: first }) = serde_json::from_slice(line) else {
        return Err(format!("is no recording; {HINT}"));
    };
    if first.format != FORMAT {
        return Err(format!(
            "is of the format {:?}, not {FORMAT}; {HINT}",
            first.format
        ));
    }
    if first.version > VERSION || first.version == 0 {
        return Err(format!(
            "is of version {} of its format, and this factory reads version {VERSION}; use factory {} or newer",
            first.version, first.factory
        ));
    }
    match serde_json::from_slice(line) {
        Ok(Line::Recording(header)) => Ok(*header),
        Ok(_) => Err(format!("is no recording; {HINT}")),
        Err(error) => Err(format!("line 1 cannot be read: {error}; export the run again")),
    }
}

fn next_line(from: &mut impl BufRead, number: u64) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    from.take(LINE_BYTES + 1)
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("line {number} cannot be read: {error}"))?;
    if line.len() as u64 > LINE_BYTES {
        return Err(format!("line {number} is longer than {LINE_BYTES} bytes; {HINT}"));
    }
    Ok((!line.is_empty()).then_some(line))
}
