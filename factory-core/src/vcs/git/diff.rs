//! What differs between two trees: the list of files, complete, and the text, bounded.

use std::path::Path;
use std::time::Duration;

use super::Git;
use super::command::Call;
use crate::model::TreeId;
use crate::vcs::{ChangeKind, Diff, FileDiff, VcsError};

/// How long comparing may take.
const DEADLINE: Duration = Duration::from_mins(2);
/// The most bytes of paths that one call is given; more are asked for in several calls.
pub(super) const MOST_PATHS: usize = 64 << 10;

impl Git {
    pub(super) async fn diff_trees(
        &self,
        store: &Path,
        old: &TreeId,
        new: &TreeId,
        paths: &[String],
    ) -> Result<Diff, VcsError> {
        if let Some(path) = paths.iter().find(|path| path.is_empty() || path.contains('\0')) {
            return Err(VcsError::BadTreePath {
                path: path.escape_debug().to_string(),
                why: "it names nothing".into(),
            });
        }
        let mut diff = Diff {
            files: Vec::new(),
            text: String::new(),
            truncated: false,
        };
        for paths in in_groups(paths) {
            let room = Diff::MAX_TEXT - diff.text.len();
            let list = self
                .diff_call(store, "list changed files")?
                .args(["--raw", "--numstat", "-z", "--abbrev=4"])
                .args([old.as_str(), new.as_str(), "--"])
                .args(paths);
            let text = self
                .diff_call(store, "compare files")?
                .args([
                    "--patch",
                    "--no-color",
                    "--unified=3",
                    "--src-prefix=a/",
                    "--dst-prefix=b/",
                ])
                .args([old.as_str(), new.as_str(), "--"])
                .args(paths)
                .cut_at(room + 1);
            let (list, text) = tokio::try_join!(list.output(), text.output())?;
            diff.files.extend(parse_files(&list)?);
            if !diff.truncated {
                let (text, truncated) = cut_at_line(&text, room);
                diff.text.push_str(&text);
                diff.truncated = truncated;
            }
        }
        diff.files.sort_by(|a, b| a.path.cmp(&b.path));
        diff.files.dedup();
        Ok(diff)
    }

    pub(super) fn diff_call(&self, store: &Path, action: &'static str) -> Result<Call, VcsError> {
        let call = self.call_in_store(store, action)?.deadline(DEADLINE);
        // Between trees a submodule is a hash and nothing else; its change must be seen.
        Ok(call.args([
            "diff-tree",
            "-r",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            "--ignore-submodules=none",
            "--submodule=short",
        ]))
    }
}

/// Splits the paths so that each group fits on a command line. No paths at all are one group: everything.
fn in_groups(paths: &[String]) -> Vec<&[String]> {
    let mut groups = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (at, path) in paths.iter().enumerate() {
        if size + path.len() > MOST_PATHS && at > start {
            groups.push(&paths[start..at]);
            (start, size) = (at, 0);
        }
        size += path.len() + 8;
    }
    groups.push(&paths[start..]);
    groups
}

/// Reads the two lists of `--raw --numstat -z`: `:mode mode hash hash status`, path; then `added removed path`.
fn parse_files(output: &[u8]) -> Result<Vec<FileDiff>, VcsError> {
    let mut files = Vec::new();
    let mut counted = 0;
    let mut fields = output.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    while let Some(field) = fields.next() {
        let text = String::from_utf8_lossy(field);
        if text.starts_with(':') {
            files.push(raw_entry(&text, fields.next().ok_or_else(unreadable)?)?);
        } else {
            // The counts come in the order of the list.
            let mut parts = text.splitn(3, '\t');
            let file: &mut FileDiff = files.get_mut(counted).ok_or_else(unreadable)?;
            file.added = parts.next().and_then(|count| count.parse().ok());
            file.removed = parts.next().and_then(|count| count.parse().ok());
            counted += 1;
        }
    }
    Ok(files)
}

/// Reads `:mode mode hash hash status` and the path that follows it.
pub(super) fn raw_entry(meta: &str, path: &[u8]) -> Result<FileDiff, VcsError> {
    let mut parts = meta.strip_prefix(':').ok_or_else(unreadable)?.split(' ');
    let mut part = || parts.next().ok_or_else(unreadable);
    let (old_mode, new_mode, _, _, status) = (part()?, part()?, part()?, part()?, part()?);
    Ok(FileDiff {
        path: String::from_utf8_lossy(path).into_owned(),
        kind: match status {
            "A" => ChangeKind::Added,
            "D" => ChangeKind::Deleted,
            "T" => ChangeKind::TypeChanged,
            _ => ChangeKind::Modified,
        },
        old_mode: old_mode.to_owned(),
        new_mode: new_mode.to_owned(),
        added: None,
        removed: None,
    })
}

pub(super) fn unreadable() -> VcsError {
    VcsError::Failed {
        action: "list changed files".into(),
        detail: "the list cannot be read".into(),
    }
}

/// Returns the text, at most `room` bytes of it and then cut after a whole line, and whether it is cut.
fn cut_at_line(text: &[u8], room: usize) -> (String, bool) {
    let lossy = String::from_utf8_lossy(text);
    if text.len() <= room && lossy.len() <= room {
        return (lossy.into_owned(), false);
    }
    // Replacement characters are longer than what they replace, so the bound is taken after them.
    let mut end = lossy.len().min(room);
    while !lossy.is_char_boundary(end) {
        end -= 1;
    }
    let end = lossy[..end].rfind('\n').map_or(0, |at| at + 1);
    (lossy[..end].to_owned(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_after_a_whole_line() {
        let cut = |text: &[u8], room| cut_at_line(text, room);
        assert_eq!(cut(b"ab\ncd\n", 6), ("ab\ncd\n".to_owned(), false));
        assert_eq!(cut(b"ab\ncd\n", 5), ("ab\n".to_owned(), true));
        assert_eq!(cut(b"ab\ncd\n", 2), (String::new(), true));
        assert_eq!(cut(b"a\n\xff\xff\n", 5), ("a\n".to_owned(), true));
        assert_eq!(cut("ä\nü".as_bytes(), 4), ("ä\n".to_owned(), true));
    }

    #[test]
    fn paths_are_grouped_to_fit_a_command_line() {
        assert_eq!(in_groups(&[]), [&[] as &[String]]);
        let paths = vec!["x".repeat(MOST_PATHS / 2); 4];
        let sizes: Vec<_> = in_groups(&paths).iter().map(|group| group.len()).collect();
        assert_eq!(sizes, [1, 1, 1, 1]);
        let sizes: Vec<_> = in_groups(&vec!["x".to_owned(); 10])
            .iter()
            .map(|group| group.len())
            .collect();
        assert_eq!(sizes, [10]);
    }
}
