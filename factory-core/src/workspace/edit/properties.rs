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
}
