//! Differences in pages: which files differ, so many at a time, and the text of one of them, so many bytes at a time.
//! Neither needs more memory than its page, however large the difference is.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Git;
use super::diff::{MOST_PATHS, raw_entry, unreadable};
use super::tree::can_be_in_a_tree;
use crate::model::TreeId;
use crate::vcs::{FileDiff, FilePatch, VcsError};

/// A file that differs, with its path as git has it.
struct Changed {
    path: Vec<u8>,
    file: FileDiff,
}

impl Git {
    pub(super) async fn changed_page(
        &self,
        store: &Path,
        (old, new): (&TreeId, &TreeId),
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<FileDiff>, VcsError> {
        let mut changed = self.list_changed(store, (old, new), &[]).await?;
        changed.sort_by(|a, b| a.file.path.cmp(&b.file.path));
        let start = changed.partition_point(|one| after.is_some_and(|after| one.file.path.as_str() <= after));
        let mut end = changed.len().min(start.saturating_add(limit));
        // Names that are no UTF-8 may look alike; a page ends between two that do not.
        while end > start && end < changed.len() && changed[end].file.path == changed[end - 1].file.path {
            end += 1;
        }
        changed.truncate(end);
        let mut page = changed.split_off(start);
        self.count_lines(store, (old, new), &mut page).await?;
        Ok(page.into_iter().map(|one| one.file).collect())
    }

    pub(super) async fn patch_of_file(
        &self,
        store: &Path,
        (old, new): (&TreeId, &TreeId),
        path: &str,
        offset: u64,
        limit: usize,
    ) -> Result<Option<FilePatch>, VcsError> {
        if !can_be_in_a_tree(path) {
            return Ok(None);
        }
        // A name that is no UTF-8 is known by how it is shown, and looked for among all.
        let narrowed = [path.as_bytes().to_vec()];
        let narrowed = if path.contains('\u{fffd}') {
            &[][..]
        } else {
            &narrowed
        };
        let mut found = self.list_changed(store, (old, new), narrowed).await?;
        found.retain(|one| one.file.path == path);
        found.truncate(1);
        self.count_lines(store, (old, new), &mut found).await?;
        let Some(one) = found.pop() else {
            return Ok(None);
        };
        // Where a folder took the file's place, or the other way round, what lies below it is part of the text.
        let text = self
            .diff_call(store, "compare a file")?
            .args([
                "--patch",
                "--no-color",
                "--unified=3",
                "--src-prefix=a/",
                "--dst-prefix=b/",
            ])
            .args([old.as_str(), new.as_str(), "--"])
            .arg(OsStr::from_bytes(&one.path))
            .skip(offset)
            .cut_at(limit)
            .run()
            .await?;
        if text.code != Some(0) && !text.cut {
            return Err(VcsError::Failed {
                action: "compare a file".into(),
                detail: String::from_utf8_lossy(&text.stderr)
                    .trim()
                    .chars()
                    .take(500)
                    .collect(),
            });
        }
        let kept = if text.cut {
            whole_part(&text.stdout)
        } else {
            &text.stdout[..]
        };
        Ok(Some(FilePatch {
            file: one.file,
            text: String::from_utf8_lossy(kept).into_owned(),
            offset,
            next: text.cut.then_some(offset + kept.len() as u64),
        }))
    }

    async fn list_changed(
        &self,
        store: &Path,
        (old, new): (&TreeId, &TreeId),
        paths: &[Vec<u8>],
    ) -> Result<Vec<Changed>, VcsError> {
        let output = self
            .diff_call(store, "list changed files")?
            .args(["--raw", "-z", "--abbrev=4"])
            .args([old.as_str(), new.as_str(), "--"])
            .args(paths.iter().map(|path| OsStr::from_bytes(path)))
            .output()
            .await?;
        let mut changed = Vec::new();
        let mut fields = output.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        while let Some(meta) = fields.next() {
            let path = fields.next().ok_or_else(unreadable)?;
            changed.push(Changed {
                file: raw_entry(&String::from_utf8_lossy(meta), path)?,
                path: path.to_owned(),
            });
        }
        Ok(changed)
    }

    /// Fills in how many lines were added and removed, which needs the files to be read.
    async fn count_lines(
        &self,
        store: &Path,
        (old, new): (&TreeId, &TreeId),
        changed: &mut [Changed],
    ) -> Result<(), VcsError> {
        let mut counts: HashMap<Vec<u8>, (Option<u64>, Option<u64>)> = HashMap::new();
        let mut rest = &*changed;
        while !rest.is_empty() {
            let mut size = 0;
            let fitting = rest.iter().take_while(|one| {
                size += one.path.len() + 8;
                size <= MOST_PATHS
            });
            let (group, others) = rest.split_at(fitting.count().max(1));
            rest = others;
            let output = self
                .diff_call(store, "count changed lines")?
                .args(["--numstat", "-z"])
                .args([old.as_str(), new.as_str(), "--"])
                .args(group.iter().map(|one| OsStr::from_bytes(&one.path)))
                .output()
                .await?;
            for line in output.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
                let mut parts = line.splitn(3, |byte| *byte == b'\t');
                let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse().ok();
                let count = (number(), number());
                counts.insert(parts.next().ok_or_else(unreadable)?.to_owned(), count);
            }
        }
        for one in changed {
            (one.file.added, one.file.removed) = counts.remove(&one.path).unwrap_or_default();
        }
        Ok(())
    }
}

/// Returns the part of a cut text that ends with a whole line, or where there is none with a whole character.
fn whole_part(text: &[u8]) -> &[u8] {
    if let Some(end) = text.iter().rposition(|byte| *byte == b'\n') {
        return &text[..=end];
    }
    match std::str::from_utf8(text) {
        // Nothing is wrong but that the last character is not all there.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => &text[..error.valid_up_to()],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_ends_with_a_whole_line_or_character() {
        for (text, expected) in [
            (&b"a\nb\nc"[..], &b"a\nb\n"[..]),
            ("aä".as_bytes(), "aä".as_bytes()),
            (&"aä".as_bytes()[..2], b"a"),
            (b"a\xff\xff", b"a\xff\xff"),
            (&"ä".as_bytes()[..1], &"ä".as_bytes()[..1]),
            (b"", b""),
        ] {
            assert_eq!(whole_part(text), expected);
        }
    }
}
