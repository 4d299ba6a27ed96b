//! Planned files put beneath a folder, all of them or none.
//!
//! Each file is replaced whole by [`Files::write`]. Where one of several cannot be written, those before it are put back
//! as they were. A process that dies in between leaves some files new and some old; whoever must survive that journals
//! the plan first, as a run does.

use super::edit::{MAX_FILE, PlannedFile};
use super::{Executable, Files, FilesError, RepoPath};

/// Why planned files were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandingError {
    /// A file is not as it was when the edits were planned. Nothing was changed.
    #[error("`{path}` was changed by something else in the meantime, so nothing was changed; read it again")]
    Disturbed {
        /// The file.
        path: RepoPath,
    },
    /// A file could not be looked at or written. Everything is as it was.
    #[error("{0}; nothing was changed")]
    Refused(#[source] FilesError),
    /// A file could not be written, and some that were could not be put back.
    #[error(
        "{source}; these files stay changed, because they could not be put back either: {}",
        .changed.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
    )]
    Half {
        /// Why it stopped.
        #[source]
        source: FilesError,
        /// The files that hold the new content.
        changed: Vec<RepoPath>,
    },
}

impl LandingError {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Disturbed { .. } => "file_disturbed",
            Self::Refused(error) | Self::Half { source: error, .. } => error.code(),
        }
    }

    /// Returns the code where the refusal is one for safety.
    pub fn denial(&self) -> Option<&'static str> {
        match self {
            Self::Disturbed { .. } => None,
            Self::Refused(error) | Self::Half { source: error, .. } => error.denial(),
        }
    }

    /// Returns whether the disk, or the quota, is full.
    pub fn is_storage_full(&self) -> bool {
        matches!(
            self,
            Self::Refused(FilesError::StorageFull { .. })
                | Self::Half {
                    source: FilesError::StorageFull { .. },
                    ..
                }
        )
    }
}

/// Writes and deletes the planned files in their order, all or none. Fails before the first of them where one is not as
/// the plan says that it was.
pub fn land(files: &Files, planned: &[PlannedFile]) -> Result<(), LandingError> {
    for file in planned {
        let present = files
            .read_for_write(&file.path, MAX_FILE)
            .map_err(LandingError::Refused)?;
        if present.map(|content| content.bytes) != file.before {
            return Err(LandingError::Disturbed {
                path: file.path.clone(),
            });
        }
    }
    replace_all(files, planned)
}

/// Writes and deletes the files in their order, and puts them back where one fails. What is there before is not looked
/// at.
pub(crate) fn replace_all(files: &Files, planned: &[PlannedFile]) -> Result<(), LandingError> {
    let modes: Vec<bool> = planned
        .iter()
        .map(|file| is_executable(files, &file.path))
        .collect();
    for (index, file) in planned.iter().enumerate() {
        if let Err(source) = put(files, &file.path, file.after.as_deref(), file.executable) {
            // What failed may have been done by half of its steps, so it is put back like those before it.
            let begun = planned[..=index].iter().zip(&modes).rev();
            let changed: Vec<RepoPath> = begun
                .filter(|(file, was_executable)| put_back(files, file, **was_executable).is_err())
                .map(|(file, _)| file.path.clone())
                .collect();
            return Err(if changed.is_empty() {
                LandingError::Refused(source)
            } else {
                LandingError::Half { source, changed }
            });
        }
    }
    Ok(())
}

fn put(files: &Files, path: &RepoPath, content: Option<&[u8]>, executable: bool) -> Result<(), FilesError> {
    match content {
        Some(content) => files.write(path, content, Executable::from(executable)),
        None => files.delete(path),
    }
}

/// Gives a file its old content again. One that was never reached, or holds what somebody else wrote meanwhile, is left
/// alone.
fn put_back(files: &Files, file: &PlannedFile, was_executable: bool) -> Result<(), FilesError> {
    let present = match files.read_for_write(&file.path, MAX_FILE) {
        Ok(present) => present.map(|content| content.bytes),
        // Where it cannot be read it was not written either.
        Err(_) if file.before.is_none() => return Ok(()),
        Err(error) => return Err(error),
    };
    let is_mode_right = file.before.is_none() || is_executable(files, &file.path) == was_executable;
    if (present == file.before && is_mode_right) || (present != file.after && present != file.before) {
        return Ok(());
    }
    put(files, &file.path, file.before.as_deref(), was_executable)
}

fn is_executable(files: &Files, path: &RepoPath) -> bool {
    files.read(path, 0).is_ok_and(|content| content.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(path: &str, before: Option<&str>, after: Option<&str>) -> PlannedFile {
        let bytes = |text: &str| text.as_bytes().to_vec();
        PlannedFile {
            path: RepoPath::parse(path).unwrap(),
            before: before.map(bytes),
            after: after.map(bytes),
            executable: false,
        }
    }

    /// A folder with the files given, each of one line.
    fn folder(names: &[&str]) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "old\n").unwrap();
        }
        let files = Files::open(dir.path()).unwrap();
        (dir, files)
    }

    /// The folder's files with what they hold and whether they are programs.
    fn shown(dir: &tempfile::TempDir) -> String {
        let listing = Files::open(dir.path()).unwrap().list(None, 100).unwrap();
        let files = Files::open(dir.path()).unwrap();
        let lines = listing.entries.iter().map(|entry| {
            let content = files.read(&RepoPath::parse(&entry.shown).unwrap(), 100).unwrap();
            let mode = if content.executable { "*" } else { "" };
            format!("{}{mode}={}", entry.shown, content.bytes.escape_ascii())
        });
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn all_files_land() {
        let (dir, files) = folder(&["a", "gone/b"]);
        let plan = [
            planned("a", Some("old\n"), Some("new\n")),
            planned("gone/b", Some("old\n"), None),
            planned("x/y/z", None, Some("made\n")),
        ];
        land(&files, &plan).unwrap();
        assert_eq!(shown(&dir), r"a=new\n x/y/z=made\n");
        assert!(!dir.path().join("gone").exists());
    }

    /// A file where the plan wants a folder makes the last write fail, when all others are done.
    #[test]
    fn where_the_last_file_fails_all_are_as_they_were() {
        let (dir, files) = folder(&["a", "tool", "gone/b", "wall"]);
        let tool = RepoPath::parse("tool").unwrap();
        files.write(&tool, b"old\n", Executable::Yes).unwrap();
        let before = shown(&dir);
        let plan = [
            planned("a", Some("old\n"), Some("new\n")),
            planned("tool", Some("old\n"), Some("old\n")),
            planned("gone/b", Some("old\n"), None),
            planned("x/y/z", None, Some("made\n")),
            planned("wall/c", None, Some("never\n")),
        ];
        assert_eq!(
            land(&files, &plan).unwrap_err().code(),
            "not_a_folder",
            "seen before anything is written"
        );
        assert_eq!(shown(&dir), before);
        // As where the folder turns bad between the comparison and the write.
        let error = replace_all(&files, &plan).unwrap_err();
        assert!(matches!(error, LandingError::Refused(_)), "{error}");
        assert_eq!(shown(&dir), before);
        assert!(!dir.path().join("x").exists());
    }

    /// What somebody else wrote in the meantime is theirs.
    #[test]
    fn putting_back_spares_what_others_wrote() {
        let (dir, files) = folder(&["a"]);
        let file = planned("a", Some("before\n"), Some("after\n"));
        put_back(&files, &file, false).unwrap();
        assert_eq!(shown(&dir), r"a=old\n");
    }

    #[test]
    fn what_is_not_as_planned_stops_it_before_anything_changes() {
        let (dir, files) = folder(&["a", "b"]);
        let plan = [
            planned("a", Some("old\n"), Some("new\n")),
            planned("b", Some("other\n"), Some("new\n")),
        ];
        let error = land(&files, &plan).unwrap_err();
        assert_eq!(error.code(), "file_disturbed");
        assert_eq!(shown(&dir), r"a=old\n b=old\n");
    }
}
