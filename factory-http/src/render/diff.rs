//! A difference of two trees, what a reviewer should see first in front, and never cut silently.

use factory_core::factory::RunDiff;
use factory_core::vcs::{ChangeKind, FileDiff};

use super::amount::{count, number};
use super::sanitize;

/// Returns the whole difference: what to look at first, the files, the text.
pub(crate) fn whole(diff: &RunDiff, sensitive: &[String], colours: bool) -> String {
    if diff.diff.files.is_empty() {
        return format!("run {} has changed nothing yet", diff.run_id);
    }
    let mut lines = sensitive_note(sensitive);
    lines.push(stat(&diff.diff.files));
    if let Some(warning) = truncation(diff) {
        lines.push(warning);
    }
    lines.push(String::new());
    lines.extend(diff.diff.text.lines().map(|line| text_line(line, colours)));
    lines.extend(truncation(diff));
    lines.join("\n")
}

/// Returns the files with their counts and the sum.
pub(crate) fn stat(files: &[FileDiff]) -> String {
    let mut lines: Vec<_> = files.iter().map(file_line).collect();
    let sum = |count: fn(&FileDiff) -> Option<u64>| files.iter().filter_map(count).sum();
    lines.push(format!(
        "{} changed, {} added, {} removed",
        count(files.len() as u64, "file"),
        count(sum(|file| file.added), "line"),
        count(sum(|file| file.removed), "line"),
    ));
    lines.join("\n")
}

/// Returns the lines that name what a reviewer should see first.
pub(crate) fn sensitive_note(sensitive: &[String]) -> Vec<String> {
    if sensitive.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["look at these first; they decide what is proven:".to_owned()];
    lines.extend(
        sensitive
            .iter()
            .map(|path| format!("  ! {}", sanitize::line(path))),
    );
    lines
}

fn truncation(diff: &RunDiff) -> Option<String> {
    diff.diff.truncated.then(|| {
        format!(
            "!!! THIS DIFF IS CUT after {} bytes: not everything that would be committed is shown !!!",
            number(diff.diff.text.len() as u64)
        )
    })
}

fn file_line(file: &FileDiff) -> String {
    let kind = match file.kind {
        ChangeKind::Added => 'A',
        ChangeKind::Modified => 'M',
        ChangeKind::Deleted => 'D',
        ChangeKind::TypeChanged => 'T',
    };
    let counts = match (file.added, file.removed) {
        (Some(added), Some(removed)) => format!("+{added} -{removed}"),
        _ => "binary".to_owned(),
    };
    let mode_changed = file.kind == ChangeKind::Modified && file.old_mode != file.new_mode;
    let mode = match file.new_mode.as_str() {
        "120000" => " (symbolic link)".to_owned(),
        "160000" => " (submodule)".to_owned(),
        new if mode_changed => format!(" (mode {} → {new})", file.old_mode),
        "100755" if file.kind == ChangeKind::Added => " (executable)".to_owned(),
        _ => String::new(),
    };
    format!("  {kind} {}  {counts}{mode}", sanitize::line(&file.path))
}

fn text_line(line: &str, colours: bool) -> String {
    let safe = sanitize::block(line);
    let colour = match line.as_bytes() {
        _ if !colours => None,
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'd', b'i', b'f', b'f', ..] => Some("1"),
        [b'+', ..] => Some("32"),
        [b'-', ..] => Some("31"),
        [b'@', b'@', ..] => Some("36"),
        _ => None,
    };
    match colour {
        Some(colour) => format!("\u{1b}[{colour}m{safe}\u{1b}[0m"),
        None => safe.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples::TREE;

    fn diff(truncated: bool) -> RunDiff {
        let file = |path: &str, kind: &str, modes: [&str; 2], counts: Option<[u64; 2]>| {
            serde_json::json!({
                "path": path, "kind": kind, "old_mode": modes[0], "new_mode": modes[1],
                "added": counts.map(|counts| counts[0]), "removed": counts.map(|counts| counts[1]),
            })
        };
        serde_json::from_value(serde_json::json!({
            "run_id": 1, "base": TREE, "tree": TREE,
            "diff": {
                "files": [
                    file("src/a\u{1b}[2J.sh", "modified", ["100644", "100755"], Some([1, 1])),
                    file("logo.png", "added", ["000000", "100644"], None),
                    file("link", "added", ["000000", "120000"], Some([1, 0])),
                ],
                "text": "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-old\r\n+new \u{1b}]0;x\u{7}\n",
                "truncated": truncated,
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_reviewer_sees_everything_and_the_terminal_obeys_nothing() {
        insta::assert_snapshot!(whole(&diff(false), &["tests/run.sh".to_owned()], false), @r"
        look at these first; they decide what is proven:
          ! tests/run.sh
          M src/a\x1b[2J.sh  +1 -1 (mode 100644 → 100755)
          A logo.png  binary
          A link  +1 -0 (symbolic link)
        3 files changed, 2 lines added, 1 line removed

        diff --git a/a b/a
        --- a/a
        +++ b/a
        @@ -1 +1 @@
        -old
        +new \x1b]0;x\x07
        ");
    }

    #[test]
    fn a_cut_is_said_before_and_after() {
        let text = whole(&diff(true), &[], false);
        assert_eq!(text.matches("!!! THIS DIFF IS CUT").count(), 2);
    }

    #[test]
    fn colours_are_ours_alone() {
        assert_eq!(
            text_line("+new \u{1b}[2J", true),
            "\u{1b}[32m+new \\x1b[2J\u{1b}[0m"
        );
    }
}
