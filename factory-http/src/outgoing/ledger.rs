//! How far a receiver was told, kept in a file of its own in the data folder.
//!
//! What stands in the file is always true of some moment: everything up to `cursor` was told or given up, but for what
//! `waiting` names. What was told after that moment is told again after a crash, and nothing is left out.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use factory_core::model::EventId;
use serde::{Deserialize, Serialize};

use super::line::Item;
use crate::failure::Failure;

/// The shape of the file.
const VERSION: u32 = 1;

/// How far a receiver was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    v: u32,
    /// The newest event that was looked at.
    pub(super) cursor: EventId,
    /// What was looked at and not told yet, oldest first.
    pub(super) waiting: Vec<Item>,
}

impl Standing {
    pub(super) fn new(cursor: EventId, waiting: Vec<Item>) -> Self {
        Self {
            v: VERSION,
            cursor,
            waiting,
        }
    }
}

/// The folder of these files, below the data folder.
#[derive(Debug, Clone)]
pub(super) struct Ledgers {
    folder: PathBuf,
}

/// The file of one receiver.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    path: PathBuf,
}

impl Ledgers {
    /// Opens the folder, made where it is missing. Forgets the receivers that are not among `names`: one that comes back
    /// later begins with what happens then, and not with what it missed. Blocks.
    pub(super) fn open(data_folder: &Path, names: &[&str]) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = data_folder.join("outgoing");
        let cannot =
            |error: std::io::Error| Failure::caused(format!("`{}` cannot be used", folder.display()), &error);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(cannot)?;
        for entry in std::fs::read_dir(&folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let known = name.is_some_and(|name| name == SELF || names.iter().any(|n| name == file_name(n)));
            if !known {
                std::fs::remove_file(&path).map_err(cannot)?;
            }
        }
        Ok(Self { folder })
    }

    /// Returns the file of a receiver.
    pub(super) fn of(&self, name: &str) -> Ledger {
        Ledger {
            path: self.folder.join(file_name(name)),
        }
    }

    /// Returns the name by which this factory's notices are told from those of others: made up once. Blocks.
    pub(super) fn factory(&self) -> Result<String, Failure> {
        let path = self.folder.join(SELF);
        if let Ok(name) = std::fs::read_to_string(&path)
            && name.len() == 16
            && name.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Ok(name);
        }
        let cannot = |error: &dyn std::error::Error| {
            Failure::caused(format!("`{}` cannot be written", path.display()), error)
        };
        let number = getrandom::u64().map_err(|error| cannot(&error))?;
        let name = format!("{number:016x}");
        write(&path, name.as_bytes()).map_err(|error| cannot(&error))?;
        Ok(name)
    }
}

/// The file that holds the factory's own name.
const SELF: &str = "factory";

fn file_name(name: &str) -> String {
    format!("{name}.json")
}

impl Ledger {
    /// Returns what stands in the file; none where there is no file. Blocks.
    pub(super) fn read(&self) -> Result<Option<Standing>, Failure> {
        let shown = self.path.display();
        let remedy = "remove it; what happens from then on will be told";
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::caused(format!("`{shown}` cannot be read"), &error)),
        };
        let standing: Standing = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::caused(format!("`{shown}` does not say what was told"), &error).with_remedy(remedy)
        })?;
        if standing.v != VERSION {
            let message = format!("`{shown}` was written by another version of the factory");
            return Err(Failure::failed(message).with_remedy(remedy));
        }
        Ok(Some(standing))
    }

    /// Replaces what stands in the file, whole or not at all, and durably. Blocks.
    pub(super) fn write(&self, standing: &Standing) -> std::io::Result<()> {
        let text = serde_json::to_vec(standing).map_err(std::io::Error::other)?;
        write(&self.path, &text)
    }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use factory_core::model::RunId;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_others_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let ledgers = Ledgers::open(folder.path(), &["webhook.a", "webhook.b"]).unwrap();
        let name = ledgers.factory().unwrap();
        let waiting = vec![Item {
            event: EventId(3),
            run: RunId(1),
        }];
        let standing = Standing::new(EventId(7), waiting);
        for hook in ["webhook.a", "webhook.b"] {
            assert_eq!(ledgers.of(hook).read().unwrap(), None);
            ledgers.of(hook).write(&standing).unwrap();
        }
        let file = folder.path().join("outgoing/webhook.a.json");
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let ledgers = Ledgers::open(folder.path(), &["webhook.a"]).unwrap();
        assert_eq!(ledgers.factory().unwrap(), name);
        assert_eq!(ledgers.of("webhook.a").read().unwrap(), Some(standing));
        assert_eq!(ledgers.of("webhook.b").read().unwrap(), None);
    }

    #[test]
    fn a_file_that_says_nothing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledgers::open(folder.path(), &["notify"]).unwrap().of("notify");
        for text in ["", "{}", r#"{"v":2,"cursor":1,"waiting":[]}"#] {
            std::fs::write(&ledger.path, text).unwrap();
            let failure = ledger.read().unwrap_err();
            assert!(failure.message.contains("outgoing/notify.json"), "{failure:?}");
            assert!(failure.remedy.is_some());
        }
    }
}
