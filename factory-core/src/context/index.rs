//! The files of a checkout, found by their paths, the ends of their paths, and their names.

use std::collections::HashMap;

use crate::workspace::RepoPath;

/// Where a file stands in an index.
pub(super) type FileId = usize;

/// How many files of one name are looked through for the one that is meant.
const MOST_ALIKE: usize = 4096;

/// The files of a checkout by path and by name.
#[derive(Debug, Default)]
pub struct FileIndex {
    paths: Vec<RepoPath>,
    by_name: HashMap<String, Vec<FileId>>,
}

impl FileIndex {
    /// Indexes the paths, in whatever order they come.
    pub fn new(paths: impl IntoIterator<Item = RepoPath>) -> Self {
        let mut paths: Vec<RepoPath> = paths.into_iter().collect();
        paths.sort_unstable();
        paths.dedup();
        let mut by_name: HashMap<String, Vec<FileId>> = HashMap::new();
        for (id, path) in paths.iter().enumerate() {
            by_name.entry(path.file_name().to_owned()).or_default().push(id);
        }
        Self { paths, by_name }
    }

    /// Returns how many files there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Returns the paths in their order.
    pub fn paths(&self) -> &[RepoPath] {
        &self.paths
    }

    pub(super) fn path(&self, id: FileId) -> &RepoPath {
        &self.paths[id]
    }

    /// Returns the file at exactly this path.
    pub(super) fn exact(&self, path: &str) -> Option<FileId> {
        self.paths.binary_search_by(|known| known.as_str().cmp(path)).ok()
    }

    /// Returns whether any file is called so.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Returns the one file whose path ends with `end`, by whole components; none where there are none or several.
    pub(super) fn ending(&self, end: &str) -> Option<FileId> {
        if let Some(id) = self.exact(end) {
            return Some(id);
        }
        let name = end.rsplit('/').next()?;
        let alike = self.by_name.get(name)?;
        let mut fitting = alike.iter().take(MOST_ALIKE).filter(|id| {
            let path = self.path(**id).as_str();
            path.strip_suffix(end).is_some_and(|before| before.ends_with('/'))
        });
        let first = fitting.next()?;
        (alike.len() <= MOST_ALIKE && fitting.next().is_none()).then_some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_the_end_of_its_path_if_there_is_one_alone() {
        let index = FileIndex::new(
            [
                "src/a/mod.rs",
                "src/b/mod.rs",
                "mod.py",
                "x/mod.py",
                "src/b/c.rs",
                "src/b/c.rs",
            ]
            .map(|path| RepoPath::parse(path).unwrap()),
        );
        assert_eq!(index.len(), 5);
        for (end, expect) in [
            ("mod.rs", None),
            ("a/mod.rs", Some("src/a/mod.rs")),
            ("mod.py", Some("mod.py")),
            ("c.rs", Some("src/b/c.rs")),
            ("rs", None),
            ("", None),
        ] {
            let found = index.ending(end).map(|id| index.path(id).as_str());
            assert_eq!(found, expect, "{end}");
        }
    }
}
