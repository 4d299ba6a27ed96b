//! Blobs that are too large for the database: one file each beside it, named by the hash of its content.
//!
//! A file is whole and on disk before the transaction that names it begins. A file that no row names (its commit was
//! refused) is harmless: nothing serves it, and the next commit of the same content takes it as it is. It is never
//! deleted here, because another commit may be about to name it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::super::{Blob, StoreError};
use super::failure::file_error;
use crate::model::BlobId;

/// A content up to this size stands in the database itself.
const INLINE_BYTES: usize = 1024 * 1024;

/// The folder of blob files.
#[derive(Debug, Clone)]
pub(super) struct BlobFiles {
    folder: PathBuf,
}

impl BlobFiles {
    /// Returns the blob files of `database`.
    pub(super) fn beside(database: &Path) -> Self {
        Self {
            folder: database.with_file_name("blobs"),
        }
    }

    /// Returns whether the blob is kept in a file.
    pub(super) fn takes(blob: &Blob) -> bool {
        blob.content().len() > INLINE_BYTES
    }

    /// Puts the blob on disk. A file that is there already is trusted only after it was compared.
    pub(super) fn keep(&self, blob: &Blob) -> Result<(), StoreError> {
        let path = self.path(blob.id());
        if fs::read(&path).is_ok_and(|found| found == blob.content()) {
            return Ok(());
        }
        write_whole(&path, blob.content()).map_err(|error| file_error(error, "store a blob's file"))
    }

    /// Returns the content under `id`, proven by its hash.
    pub(super) fn read(&self, id: &BlobId) -> Result<Vec<u8>, StoreError> {
        let path = self.path(id);
        let damaged = |what: &str| {
            StoreError::Unusable(format!(
                "the blob file `{}` {what}; restore it from a backup",
                path.display()
            ))
        };
        match fs::read(&path) {
            Ok(content) if BlobId::of(&content) == *id => Ok(content),
            Ok(_) => Err(damaged("is damaged")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged("is missing")),
            Err(error) => Err(file_error(error, "read a blob's file")),
        }
    }

    fn path(&self, id: &BlobId) -> PathBuf {
        self.folder.join(&id.as_str()[..2]).join(id.as_str())
    }
}

fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().expect("a blob's path has a folder");
    let above = folder.parent().expect("a blob's folder lies in the blob folder");
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // tempfile makes its files private (0600), and removes them when something fails on the way.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    for folder in [folder, above] {
        File::open(folder)?.sync_all()?;
    }
    match above.parent() {
        Some(root) => File::open(root)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_blob_is_kept_once_and_proven_when_read() {
        let folder = tempfile::tempdir().unwrap();
        let files = BlobFiles::beside(&folder.path().join("platform.db"));
        let blob = Blob::new(vec![7; INLINE_BYTES + 1]);
        assert!(BlobFiles::takes(&blob) && !BlobFiles::takes(&Blob::new(vec![7; INLINE_BYTES])));
        files.keep(&blob).unwrap();
        files.keep(&blob).unwrap();
        assert_eq!(files.read(blob.id()).unwrap(), blob.content());

        let path = files.path(blob.id());
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 1);
        fs::write(&path, "rot").unwrap();
        let expected = format!(
            "the blob file `{}` is damaged; restore it from a backup",
            path.display()
        );
        assert_eq!(files.read(blob.id()).unwrap_err().to_string(), expected);
        files.keep(&blob).unwrap();
        assert_eq!(files.read(blob.id()).unwrap(), blob.content());

        fs::remove_file(&path).unwrap();
        let expected = format!(
            "the blob file `{}` is missing; restore it from a backup",
            path.display()
        );
        assert_eq!(files.read(blob.id()).unwrap_err().to_string(), expected);
    }
}
