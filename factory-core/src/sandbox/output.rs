//! A command's output in bounded memory: its head, its tail, and how much is left out between them.
//!
//! A command can print gigabytes, without a single line break, in no encoding at all. What is kept does not depend on
//! any of that.

use std::collections::VecDeque;

/// Keeps the first and the last bytes of a stream.
#[derive(Debug)]
pub(super) struct OutputEnds {
    /// How many bytes are kept at either end.
    each: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl OutputEnds {
    /// Keeps at most `each` bytes of the beginning and as many of the end.
    pub(super) fn new(each: usize) -> Self {
        Self {
            each,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.each - self.head.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(self.each)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.each);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// Returns how many bytes came in all.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the text: all of it, or both ends with a line between that says how much is left out. A character that
    /// the cut would split is left out whole.
    pub(super) fn into_text(mut self) -> String {
        let kept = (self.head.len() + self.tail.len()) as u64;
        if kept == self.total {
            self.head.extend(self.tail);
            return String::from_utf8_lossy(&self.head).into_owned();
        }
        let head = &self.head[..self.head.len() - split_at_end(&self.head)];
        let tail = self.tail.make_contiguous();
        let tail = &tail[tail
            .iter()
            .take(3)
            .take_while(|byte| is_continuation(**byte))
            .count()..];
        let left_out = self.total - (head.len() + tail.len()) as u64;
        format!(
            "{}\n[... {left_out} bytes left out ...]\n{}",
            String::from_utf8_lossy(head),
            String::from_utf8_lossy(tail)
        )
    }
}

/// Returns how many bytes at the end begin a character without finishing it.
fn split_at_end(bytes: &[u8]) -> usize {
    let last = &bytes[bytes.len().saturating_sub(4)..];
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len() - error.valid_up_to(),
        // The four bytes may themselves begin within a character: look past its rest.
        Err(_) => {
            let begin = last.iter().take_while(|byte| is_continuation(**byte)).count();
            match std::str::from_utf8(&last[begin..]) {
                Err(error) if error.error_len().is_none() => last.len() - begin - error.valid_up_to(),
                _ => 0,
            }
        }
        Ok(_) => 0,
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::OutputEnds;

    fn check(each: usize, chunks: &[&[u8]], expect: &str) {
        let mut ends = OutputEnds::new(each);
        for chunk in chunks {
            ends.push(chunk);
        }
        assert_eq!(ends.into_text(), expect);
    }

    #[test]
    fn all_is_kept_up_to_both_ends() {
        check(4, &[], "");
        check(4, &[b"abc"], "abc");
        check(4, &[b"abcd", b"efgh"], "abcdefgh");
    }

    #[test]
    fn the_middle_is_left_out_visibly() {
        check(4, &[b"abcdefghi"], "abcd\n[... 1 bytes left out ...]\nfghi");
        check(2, &[b"abc", b"defg", b"h"], "ab\n[... 4 bytes left out ...]\ngh");
        check(0, &[b"abc"], "\n[... 3 bytes left out ...]\n");
    }

    #[test]
    fn no_character_is_split_by_the_cut() {
        check(4, &["äöüäöü".as_bytes()], "äö\n[... 4 bytes left out ...]\nöü");
        check(5, &["äöüäöü".as_bytes()], "äö\n[... 4 bytes left out ...]\nöü");
        check(3, &["a😀😀b".as_bytes()], "a\n[... 8 bytes left out ...]\nb");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        check(8, &[&[0xff, b'a', 0xfe]], "\u{fffd}a\u{fffd}");
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(bytes: Vec<u8>, each in 0_usize..20, chunk in 1_usize..9) {
            let mut whole = OutputEnds::new(each);
            whole.push(&bytes);
            let mut parts = OutputEnds::new(each);
            bytes.chunks(chunk).for_each(|part| parts.push(part));
            prop_assert!(parts.head.len() <= each && parts.tail.len() <= each);
            prop_assert_eq!(parts.total(), bytes.len() as u64);
            prop_assert_eq!(whole.into_text(), parts.into_text());
        }
    }
}
