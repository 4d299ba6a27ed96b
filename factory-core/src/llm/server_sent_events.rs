//! Server-sent events out of bytes as they come.
//!
//! Pure and incremental: the network cuts where it likes, also inside a character or between `\r` and `\n`, and the
//! events must not depend on it. So the parser buffers bytes, and only a whole line becomes text.

/// An event of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSentEvent {
    /// The event's name; empty if the server gave none.
    pub name: String,
    /// The data; several `data` lines are joined by line feeds.
    pub data: String,
}

/// A line, or the data of one event, is longer than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of the stream is longer than {limit} bytes")]
pub struct LineTooLong {
    /// The most bytes.
    pub limit: usize,
}

/// Cuts a byte stream into events.
#[derive(Debug)]
pub struct EventParser {
    limit: usize,
    line: Vec<u8>,
    /// The last byte was `\r`: a `\n` that follows belongs to the same line ending.
    after_carriage_return: bool,
    at_first_line: bool,
    name: String,
    data: Option<String>,
}

impl EventParser {
    /// Returns a parser that takes lines, and data of an event, of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            after_carriage_return: false,
            at_first_line: true,
            name: String::new(),
            data: None,
        }
    }

    /// Takes more bytes and appends the events that they complete to `events`.
    ///
    /// Events before a line that is too long are appended too, so the result does not depend on where the bytes were
    /// cut. After an error the stream is lost, and the parser is of no more use.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<ServerSentEvent>) -> Result<(), LineTooLong> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if self.after_carriage_return {
                self.after_carriage_return = false;
                if first == b'\n' {
                    rest = &rest[1..];
                    continue;
                }
            }
            let end = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r');
            let piece = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + piece.len() > self.limit {
                return Err(self.too_long());
            }
            self.line.extend_from_slice(piece);
            let Some(end) = end else { return Ok(()) };
            self.after_carriage_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            self.take_line(events)?;
        }
        Ok(())
    }

    /// Takes the end of the stream. A last event whose closing blank line is missing still counts, because servers
    /// that close the connection right after their last line exist.
    pub fn finish(mut self) -> Result<Option<ServerSentEvent>, LineTooLong> {
        let mut events = Vec::new();
        if !self.line.is_empty() {
            self.take_line(&mut events)?;
        }
        self.dispatch(&mut events);
        Ok(events.pop())
    }

    fn take_line(&mut self, events: &mut Vec<ServerSentEvent>) -> Result<(), LineTooLong> {
        let bytes = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&bytes);
        let line = if std::mem::take(&mut self.at_first_line) {
            text.strip_prefix('\u{feff}').unwrap_or(&text)
        } else {
            &text
        };
        if line.is_empty() {
            self.dispatch(events);
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.add_data(value)?,
            "event" => value.clone_into(&mut self.name),
            // Older llama.cpp servers report a failure in a field of this name.
            "error" => {
                "error".clone_into(&mut self.name);
                self.add_data(value)?;
            }
            // A comment (the field is empty), `id`, `retry`, or a field that nobody knows.
            _ => {}
        }
        Ok(())
    }

    fn add_data(&mut self, value: &str) -> Result<(), LineTooLong> {
        match &mut self.data {
            Some(data) => {
                if data.len() + value.len() >= self.limit {
                    return Err(self.too_long());
                }
                data.push('\n');
                data.push_str(value);
            }
            None => self.data = Some(value.to_owned()),
        }
        Ok(())
    }

    fn dispatch(&mut self, events: &mut Vec<ServerSentEvent>) {
        let name = std::mem::take(&mut self.name);
        if let Some(data) = self.data.take() {
            events.push(ServerSentEvent { name, data });
        }
    }

    fn too_long(&self) -> LineTooLong {
        LineTooLong { limit: self.limit }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parses the pieces; the result says what came out and how it ended.
    fn parse(pieces: &[&[u8]], limit: usize) -> (Vec<(String, String)>, Result<(), LineTooLong>) {
        let mut parser = EventParser::new(limit);
        let mut events = Vec::new();
        let mut result = Ok(());
        for piece in pieces {
            result = parser.push(piece, &mut events);
            if result.is_err() {
                break;
            }
        }
        if result.is_ok() {
            match parser.finish() {
                Ok(last) => events.extend(last),
                Err(error) => result = Err(error),
            }
        }
        let events = events.into_iter().map(|event| (event.name, event.data)).collect();
        (events, result)
    }

    fn check(text: &str, expect: &[(&str, &str)]) {
        let expect: Vec<(String, String)> = expect
            .iter()
            .map(|(name, data)| ((*name).to_owned(), (*data).to_owned()))
            .collect();
        assert_eq!(parse(&[text.as_bytes()], 1024), (expect, Ok(())));
    }

    #[test]
    fn a_blank_line_ends_an_event() {
        check("data: a\n\ndata:b\n\n", &[("", "a"), ("", "b")]);
        check(
            "event: error\ndata: {}\n\ndata: x\n\n",
            &[("error", "{}"), ("", "x")],
        );
    }

    #[test]
    fn every_line_ending_is_taken() {
        check("data: a\r\ndata: b\r\n\r\n", &[("", "a\nb")]);
        check("data: a\rdata: b\r\r", &[("", "a\nb")]);
        check("data: a\n\r\ndata: b\r\n\n", &[("", "a"), ("", "b")]);
    }

    #[test]
    fn comments_and_unknown_fields_are_ignored() {
        check(
            ": ping\n\n: ping\nid: 1\nretry: 5\nnonsense\ndata: a\n\n",
            &[("", "a")],
        );
        check("\u{feff}data: a\n\n", &[("", "a")]);
        check("event: lonely\n\ndata: a\n\n", &[("", "a")]);
    }

    #[test]
    fn the_last_event_counts_without_its_blank_line() {
        check("data: a\n\ndata: b\n", &[("", "a"), ("", "b")]);
        check("data: a\n\ndata: b", &[("", "a"), ("", "b")]);
        check("", &[]);
    }

    #[test]
    fn an_error_field_is_an_error_event() {
        check("error: {\"code\":500}\n\n", &[("error", "{\"code\":500}")]);
    }

    #[test]
    fn only_one_space_belongs_to_the_field() {
        check("data:  a \n\n", &[("", " a ")]);
        check("data\n\n", &[("", "")]);
    }

    #[test]
    fn a_line_without_an_end_is_cut_off_at_the_limit() {
        let long = [b'x'; 65];
        assert_eq!(
            parse(&[b"data: a\n\n", &long], 64),
            (
                vec![(String::new(), "a".to_owned())],
                Err(LineTooLong { limit: 64 })
            )
        );
        assert_eq!(parse(&[&[b'x'; 64]], 64), (vec![], Ok(())));
    }

    #[test]
    fn many_data_lines_are_bounded_together() {
        let text = "data: 0123456789\n".repeat(10);
        assert_eq!(
            parse(&[text.as_bytes()], 64),
            (vec![], Err(LineTooLong { limit: 64 }))
        );
    }

    /// Bytes that look enough like a stream that all branches are visited, also those that break it.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"data: ".to_vec()),
            Just(b"data:{\"a\":\"\xc3\xa4\xf0\x9f\x8e\x88\"}".to_vec()),
            Just(b"event: error".to_vec()),
            Just(b": ping".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"\r".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\n\n".to_vec()),
            Just("\u{feff}".as_bytes().to_vec()),
            Just(b"data: [DONE]".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..24),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_events_do_not_depend_on_the_cuts(
            bytes in streams(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
            limit in prop_oneof![Just(1024_usize), 8..64_usize],
        ) {
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            places.extend([0, bytes.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = parse(&[&bytes], limit);
            prop_assert_eq!(&parse(&pieces, limit), &whole);
            prop_assert_eq!(&parse(&single, limit), &whole);
        }
    }
}
