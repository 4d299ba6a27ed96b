//! The owner's token: in a file of the data folder that its owner alone reads, so that one's own programs need no setup.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{Credentials, IssuedCredential};
use crate::error::Error;
use crate::model::{CredentialKind, CredentialSecret, Role};

/// The most bytes that the file may have.
const MAX_BYTES: u64 = 256;

impl Credentials {
    /// Returns the owner's token: the one in the file, or a new one where the file has none that holds.
    pub async fn owner_token(&self) -> Result<CredentialSecret, Error> {
        let _changing = self.inner.changing.lock().await;
        let path = self.inner.token_file.clone();
        let kept = blocking("read the owner's token from", path, read).await?;
        if let Some(secret) = kept
            && let Some(holder) = self.authenticate(secret.expose())
            && holder.kind == CredentialKind::Owner
        {
            return Ok(secret);
        }
        Ok(self.replace_owner_token().await?.secret)
    }

    /// Makes another owner's token. The order matters where the process dies on the way: the new one is stored before
    /// the file names it, and the file names it before the old ones end.
    pub(super) async fn replace_owner_token(&self) -> Result<IssuedCredential, Error> {
        let old: Vec<_> = self
            .inner
            .held
            .holders()
            .filter(|holder| holder.kind == CredentialKind::Owner)
            .collect();
        let operator = std::sync::Arc::clone(&self.inner.operator);
        let issued = self
            .make(CredentialKind::Owner, &operator, Role::Admin, None)
            .await?;
        let secret = issued.secret.clone();
        let path = self.inner.token_file.clone();
        blocking("write the owner's token to", path, move |path| {
            write(path, &secret)
        })
        .await?;
        for holder in old {
            self.take_back(holder.id, &holder.hash).await?;
        }
        Ok(issued)
    }
}

async fn blocking<T: Send + 'static>(
    action: &'static str,
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let task =
        tokio::task::spawn_blocking(move || work(&path).map_err(|source| Error::Io { action, path, source }));
    task.await.map_err(|error| Error::Internal(error.to_string()))?
}

/// Returns what the file holds; nothing where it is not there, or is not private any more.
fn read(path: &Path) -> io::Result<Option<CredentialSecret>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).expect("open flags fit an int"))
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    if !found.is_file() || found.mode() & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            "the file of the owner's token is no private file; another token takes its place"
        );
        return Ok(None);
    }
    let mut text = String::new();
    match file.take(MAX_BYTES).read_to_string(&mut text) {
        Ok(_) => Ok(Some(CredentialSecret::new(text.trim()))),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the file in one step: whoever reads it finds the old token or the new one.
fn write(path: &Path, secret: &CredentialSecret) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Temporary files are made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".token-").tempfile_in(folder)?;
    writeln!(file, "{}", secret.expose())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}
