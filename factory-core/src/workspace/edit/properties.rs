//! What holds for all texts: the parsers never panic, what is written comes back, an edit lands where it was quoted.

#![expect(clippy::format_collect, reason = "in tests the plain form reads best")]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::tests::{path, replaced, replacement};
use super::*;

fn rendered(edits: &[FileEdit]) -> String {
    let mut text = "*** Begin Patch\n".to_owned();
    for edit in edits {
        match edit {
            FileEdit::Create { path, content, .. } => {
                let _ = writeln!(text, "*** Add File: {path}");
                text.extend(content.lines().map(|line| format!("+{line}\n")));
            }
            FileEdit::Delete { path } => {
                let _ = writeln!(text, "*** Delete File: {path}");
            }
            FileEdit::Patch {
                path, move_to, hunks, ..
            } => {
                let _ = writeln!(text, "*** Update File: {path}");
                text.extend(move_to.iter().map(|to| format!("*** Move to: {to}\n")));
                for hunk in hunks {
                    let _ = writeln!(
                        text,
                        "@@{}",
                        hunk.anchors
                            .iter()
                            .map(|anchor| format!(" {anchor}"))
                            .collect::<String>()
                    );
                    text.extend(hunk.lines.iter().map(|line| match line {
                        HunkLine::Context(line) => format!(" {line}\n"),
                        HunkLine::Removed(line) => format!("-{line}\n"),
                        HunkLine::Added(line) => format!("+{line}\n"),
                    }));
                    text += if hunk.at_end { "*** End of File\n" } else { "" };
                }
            }
            _ => unreachable!("not generated"),
        }
    }
    text + "*** End Patch\n"
}

fn hunk() -> impl Strategy<Value = Hunk> {
    let line = (0..3, "[ -~é]{0,12}").prop_map(|(sign, line)| match sign {
        0 => HunkLine::Context(line),
        1 => HunkLine::Removed(line),
        _ => HunkLine::Added(line),
    });
    let lines = (proptest::collection::vec(line, 0..5), "[a-z]{1,5}").prop_map(|(mut lines, last)| {
        lines.push(HunkLine::Added(last));
        lines
    });
    (proptest::option::of("[a-z(){}]{1,8}"), lines, any::<bool>()).prop_map(|(anchor, lines, at_end)| Hunk {
        anchors: anchor.into_iter().collect(),
        lines,
        at_end,
    })
}

fn file_edit() -> impl Strategy<Value = FileEdit> {
    let name = || "[a-z]{1,4}(/[a-z]{1,4})?".prop_map(|name| path(&name));
    let moving = proptest::option::of(name());
    prop_oneof![
        (name(), "([ -~]{0,9}\n){1,4}").prop_map(|(path, content)| FileEdit::Create {
            path,
            content,
            executable: None
        }),
        name().prop_map(|path| FileEdit::Delete { path }),
        (name(), moving, proptest::collection::vec(hunk(), 1..4)).prop_map(|(path, move_to, hunks)| {
            FileEdit::Patch {
                path,
                move_to,
                hunks,
                executable: None,
            }
        }),
    ]
}

/// Answers that are right in one of the formats, about the files `f` and `g.py`.
fn right_answer() -> impl Strategy<Value = String> {
    let lines = || proptest::collection::vec("[ \t]{0,3}[a-c#.]{0,3}", 1..5);
    let joined = |lines: &[String], sign: &str| {
        lines
            .iter()
            .map(|line| format!("{sign}{line}\n"))
            .collect::<String>()
    };
    prop_oneof![
        lines().prop_map(move |new| format!("g.py\n```python\n{}```\n", joined(&new, ""))),
        (lines(), lines()).prop_map(move |(old, new)| format!(
            "File: f\n<<<<<<< SEARCH\n{}=======\n{}>>>>>>> REPLACE\n",
            joined(&old, ""),
            joined(&new, "")
        )),
        (lines(), lines()).prop_map(move |(old, new)| format!(
            "*** Begin Patch\n*** Update File: f\n@@\n{}{}*** End Patch\n",
            joined(&old, "-"),
            joined(&new, "+")
        )),
        (lines(), lines()).prop_map(move |(old, new)| format!(
            "```diff\n--- a/f\n+++ b/f\n@@ -1,2 +3,4 @@\n{}{}```\n",
            joined(&old, "-"),
            joined(&new, "+")
        )),
    ]
}

/// A right answer with some of its pieces gone, doubled, moved, or replaced by others.
fn broken_answer() -> impl Strategy<Value = String> {
    let answers = proptest::collection::vec(right_answer(), 1..4);
    let pieces = prop_oneof![
        Just("```"),
        Just("````\n"),
        Just("~~~\n"),
        Just("\n"),
        Just("\r\n"),
        Just("+"),
        Just("-"),
        Just("@@"),
        Just("=======\n"),
        Just("<<<<<<< SEARCH\n"),
        Just(">>>>>>> REPLACE\n"),
        Just("*** End Patch\n"),
        Just("+++ b/f\n"),
        Just("g.py\n"),
        Just("é"),
        Just("\u{feff}"),
        Just("\0"),
        Just("../x\n"),
        Just("# ... existing code ...\n"),
        Just("*** Move to: h\n"),
        Just("\\"),
    ];
    let change = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        proptest::option::of(pieces),
    );
    (answers, proptest::collection::vec(change, 0..6)).prop_map(|(answers, changes)| {
        let mut text = answers.concat();
        for (from, to, piece) in changes {
            let place = |index: prop::sample::Index, text: &str| {
                text.floor_char_boundary(index.index(text.len() + 1))
            };
            let (one, other) = (place(from, &text), place(to, &text));
            match piece {
                Some(piece) => text.insert_str(one, piece),
                None if one < other && other - one < 40 => text.replace_range(one..other, ""),
                None => {
                    let line = text[one..]
                        .split_inclusive('\n')
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    text.insert_str(other, &line);
                }
            }
        }
        text
    })
}

/// Pieces of files of any encoding and any line ends.
const ABOVE: &[&[u8]] = &[
    b"\xff\xfe",
    b"\r\n",
    b"\n",
    b"caf\xe9\t",
    "\u{e9}".as_bytes(),
    b"x ",
];
const BELOW: &[&[u8]] = &[b"\xff", b"\r\n", b"\n", b"\r", "\u{fffd}".as_bytes(), b" y"];

fn pieces(of: &'static [&'static [u8]]) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop::sample::select(of), 0..8).prop_map(|pieces| pieces.concat())
}

fn source_lines() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[ \t]{0,4}[a-c]{0,2}", 1..12)
}

proptest! {
    #[test]
    fn no_text_breaks_the_parsers(text in any::<String>()) {
        let _ = parse_blocks(&text);
        let _ = parse_patch(&text);
    }

    #[test]
    fn no_bytes_and_no_pieces_break_the_parsers_or_the_plan(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("*** Begin Patch\n"), Just("*** End Patch\n"), Just("*** Update File: f\n"), Just("*** Add File: g\n"),
                Just("*** Delete File: f\n"), Just("*** Move to: h\n"), Just("@@ a\n"), Just("@@\n"), Just("-a\n"), Just("+b\n"),
                Just(" a\n"), Just("\n"), Just("*** End of File\n"), Just("<<<<<<< SEARCH\n"), Just("=======\n"),
                Just(">>>>>>> REPLACE\n"), Just("a\n"), Just("f.rs\n"), Just("é\r\n"),
            ],
            0..14,
        ),
        before in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let text = format!("{}{}", pieces.concat(), String::from_utf8_lossy(&bytes));
        let enveloped = format!("*** Begin Patch\n*** Update File: f\n{text}\n*** End Patch");
        let read = |_: &RepoPath| Ok(Some(Current { bytes: before.clone(), executable: false }));
        for edits in [
            parse_patch(&text),
            parse_patch(&enveloped),
            parse_blocks(&text).and_then(|blocks| into_edits(blocks, Some(&path("f")))),
        ].into_iter().flatten() {
            let _ = plan(&edits, &read);
        }
    }

    #[test]
    fn a_patch_comes_back_as_it_was_written(edits in proptest::collection::vec(file_edit(), 1..4)) {
        prop_assert_eq!(parse_patch(&rendered(&edits)).unwrap(), edits);
    }

    #[test]
    fn blocks_come_back_as_they_were_written(
        pairs in proptest::collection::vec(("([a-z <>=]{0,4}\n){0,4}", "([a-z <>=]{0,4}\n){0,4}"), 1..4)
    ) {
        let text: String = pairs
            .iter()
            .map(|(search, replace)| format!("src/x.rs\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"))
            .collect();
        let expected: Vec<Block> = pairs
            .iter()
            .map(|(search, replace)| Block { path: Some("src/x.rs".to_owned()), replacement: replacement(search, replace) })
            .collect();
        prop_assert_eq!(parse_blocks(&text).unwrap(), expected);
    }

    /// Whatever is quoted from the file, the edit replaces exactly that or is refused.
    #[test]
    fn a_quotation_is_replaced_where_it_stands_or_refused(
        lines in source_lines(),
        start in any::<prop::sample::Index>(),
        length in 1_usize..4,
        new in proptest::collection::vec("[x-z]{1,3}", 0..3),
        crlf in any::<bool>(),
        ended in any::<bool>(),
    ) {
        // An empty last line without an end is no line.
        let ended = ended || lines[lines.len() - 1].is_empty();
        let start = start.index(lines.len());
        let end = lines.len().min(start + length);
        // Blank lines alone say no place; what becomes of them has a test of its own.
        if lines[start..end].concat().trim().is_empty() {
            return Ok(());
        }
        // A file of one line without an end does not tell what its ends are.
        let ending = if crlf && (ended || lines.len() > 1) { "\r\n" } else { "\n" };
        let text = |lines: &[String]| {
            let joined = lines.join(ending);
            if ended && !lines.is_empty() { joined + ending } else { joined }
        };
        let block = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let expected = [&lines[..start], &new, &lines[end..]].concat();
        let edited = replaced(&text(&lines), &[(&block(&lines[start..end]), &block(&new))]);
        if let Ok(edited) = edited {
            prop_assert_eq!(edited, text(&expected));
        }
    }

    #[test]
    fn no_bytes_break_the_reading_of_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300), before in proptest::collection::vec(any::<u8>(), 0..60)) {
        let text = String::from_utf8_lossy(&bytes);
        let read = |_: &RepoPath| Ok(Some(Current { bytes: before.clone(), executable: false }));
        let _ = edits_in(&text);
        let _ = edits_about(&text, &path("f"));
        let _ = plan_answer(&text, &read);
        let fenced = format!("f.rs\n```\n{text}\n```\n");
        let _ = plan_answer(&fenced, &read);
    }

    /// Whatever is done to answers that were right, reading them ends, what is found lies in the text in order, and
    /// what is planned names only files that the answer names.
    #[test]
    fn broken_answers_are_read_or_refused(text in broken_answer(), before in proptest::collection::vec("[ \t]{0,3}[a-c#.]{0,3}\r?\n", 0..8)) {
        let before = before.concat();
        let read = |path: &RepoPath| Ok((path.as_str() == "f").then(|| Current { bytes: before.clone().into_bytes(), executable: false }));
        if let Ok(found) = edits_in(&text) {
            let mut end = 0;
            for found in &found {
                prop_assert!(found.range.start >= end && found.range.end <= text.len());
                prop_assert!(text.is_char_boundary(found.range.start) && text.is_char_boundary(found.range.end));
                end = found.range.end;
                for path in found.edit.paths() {
                    prop_assert!(text.contains(path.as_str()), "{path} stands nowhere in it");
                }
            }
            let paths: Vec<RepoPath> = found.iter().flat_map(|found| found.edit.paths().cloned().collect::<Vec<_>>()).collect();
            if let Ok(planned) = plan_answer(&text, &read) {
                for file in planned {
                    prop_assert!(paths.contains(&file.path));
                    prop_assert_eq!(file.before, read(&file.path).unwrap().map(|current| current.bytes));
                }
            }
        }
    }

    /// An edit that applies changes only what it names: all bytes before and behind the quoted lines are as they were,
    /// whatever bytes they are.
    #[test]
    fn what_is_not_named_stays_to_the_byte(
        above in pieces(ABOVE),
        below in pieces(BELOW),
        (old, new) in ("[a-c]{1,3}(\n[a-c]{1,3}){0,2}", "([d-f]{0,3}\n){1,3}"),
        crlf in any::<bool>(),
        kind in 0..3,
    ) {
        let ending = if crlf { "\r\n" } else { "\n" };
        let quoted = format!("START{old}\n");
        let mut before = above;
        // A mark of UTF-16 at the beginning is another matter.
        before.splice(0..0, *b".\n");
        if !before.ends_with(b"\n") {
            before.extend_from_slice(b"\n");
        }
        let start = before.len();
        before.extend_from_slice(quoted.replace('\n', ending).as_bytes());
        let end = before.len();
        before.extend_from_slice(&below);
        let signed = |text: &str, sign: &str| text.lines().map(|line| format!("{sign}{line}\n")).collect::<String>();
        let (minus, plus) = (signed(&quoted, "-"), signed(&new, "+"));
        let answer = match kind {
            0 => format!("File: f\n<<<<<<< SEARCH\n{quoted}=======\n{new}>>>>>>> REPLACE\n"),
            1 => format!("*** Begin Patch\n*** Update File: f\n{minus}{plus}*** End Patch\n"),
            _ => format!("```diff\n--- a/f\n+++ b/f\n@@ -9,9 +9,9 @@\n{minus}{plus}```\n"),
        };
        let read = |_: &RepoPath| Ok(Some(Current { bytes: before.clone(), executable: true }));
        let planned = plan_answer(&answer, &read).unwrap();
        prop_assert_eq!(planned.len(), 1);
        prop_assert!(planned[0].executable);
        let after = planned[0].after.as_deref().unwrap();
        prop_assert_eq!(&after[..start], &before[..start]);
        // The last line's own end stays with what is below it.
        prop_assert!(after.ends_with(&before[end..]));
    }
}
