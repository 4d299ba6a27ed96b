//! Planned files put into the checkout, and put there again after a crash.

use crate::model::BlobId;
use crate::model::payload::PlannedWrite;
use crate::workspace::edit::PlannedFile;
use crate::workspace::{Executable, Files, FilesError, LandingError, RepoPath, replace_all};

/// How an interrupted write was settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Every file is as it was meant to be.
    Done,
    /// This file holds neither what was there nor what was to be there, or that content is not stored. Nothing was
    /// changed by settling.
    Disturbed(String),
}

impl From<&PlannedFile> for PlannedWrite {
    fn from(file: &PlannedFile) -> Self {
        let hash = |content: &Option<Vec<u8>>| content.as_deref().map(BlobId::of);
        Self {
            path: file.path.to_string(),
            before: hash(&file.before),
            after: hash(&file.after),
            executable: file.executable,
        }
    }
}

/// Puts the planned files into the checkout, all or none: where one cannot be written, those before it are put back.
/// Doing it again changes nothing.
pub fn write(files: &Files, writes: &[PlannedFile]) -> Result<(), LandingError> {
    replace_all(files, writes)
}

/// Completes writes that were journalled and perhaps interrupted. A file that holds the new content is done, one that
/// holds the old is written from `content`; anything else stops it before anything is changed.
pub fn settle(
    files: &Files,
    writes: &[PlannedWrite],
    content: &dyn Fn(&BlobId) -> Option<Vec<u8>>,
) -> Result<Settled, FilesError> {
    let mut open = Vec::new();
    for write in writes {
        let Ok(path) = RepoPath::parse(&write.path) else {
            return Ok(Settled::Disturbed(write.path.clone()));
        };
        files
            .remove_leftovers_beside(&path)
            .or_else(tolerate_disturbance)?;
        let present = match files.hash(&path) {
            Ok(present) => present,
            Err(error @ (FilesError::Io { .. } | FilesError::StorageFull { .. })) => return Err(error),
            Err(_) => return Ok(Settled::Disturbed(write.path.clone())),
        };
        let is_done = present == write.after && is_mode_right(files, &path, write)?;
        if is_done {
            continue;
        }
        if present != write.before && present != write.after {
            return Ok(Settled::Disturbed(write.path.clone()));
        }
        let after = match &write.after {
            None => None,
            Some(id) => match content(id) {
                Some(bytes) => Some(bytes),
                None => return Ok(Settled::Disturbed(write.path.clone())),
            },
        };
        open.push((path, after, write.executable));
    }
    for (path, after, executable) in open {
        match after {
            Some(bytes) => files.write(&path, &bytes, Executable::from(executable))?,
            None => files.delete(&path)?,
        }
    }
    Ok(Settled::Done)
}

/// What stands in the way is found again, and told, when the file itself is looked at.
fn tolerate_disturbance(error: FilesError) -> Result<usize, FilesError> {
    match error {
        FilesError::Io { .. } => Err(error),
        _ => Ok(0),
    }
}

fn is_mode_right(files: &Files, path: &RepoPath, write: &PlannedWrite) -> Result<bool, FilesError> {
    if write.after.is_none() {
        return Ok(true);
    }
    Ok(files.read(path, 0)?.executable == write.executable)
}
