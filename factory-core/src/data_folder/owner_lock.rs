//! The lock by which one process owns a data folder, gone with the process however it ends.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::{DataFolder, DataFolderError};

/// How often, and at what distance, a lock file is read in which its owner has not yet written its pid.
const READINGS: u32 = 5;
const BETWEEN_READINGS: Duration = Duration::from_millis(20);

/// The ownership of a data folder. Dropping it gives the folder up.
///
/// It is the kernel's lock on an open file, so that `kill -9` releases it. The file itself stays: removing it would let two
/// processes lock two files of one name. The descriptor is closed on exec, so that no child keeps the folder.
#[derive(Debug)]
pub struct OwnerLock {
    file: File,
}

impl OwnerLock {
    /// Takes the folder, or says in [`DataFolderError::Owned`] who has it. Blocks for a tenth of a second at most.
    pub fn acquire(folder: &DataFolder) -> Result<Self, DataFolderError> {
        let path = folder.lock();
        let mut file = folder.open_file(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(DataFolderError::Owned {
                    pid: owner_pid(&mut file),
                    path: folder.path().to_owned(),
                });
            }
            Err(error) => return Err(DataFolderError::io("lock the file", &path)(error.into())),
        }
        write_pid(&mut file).map_err(DataFolderError::io("write the file", &path))?;
        Ok(Self { file })
    }
}

impl Drop for OwnerLock {
    fn drop(&mut self) {
        // Both may fail without harm: an old pid is read only while somebody has the lock, and closing the file unlocks
        // it too. Said explicitly because a child that is just being started may hold the descriptor a moment longer.
        let _ = self.file.set_len(0);
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Returns the pid in the lock file. An owner that has just locked it needs a moment to write it.
fn owner_pid(file: &mut File) -> Option<u32> {
    for reading in 0..READINGS {
        if reading > 0 {
            std::thread::sleep(BETWEEN_READINGS);
        }
        let mut text = String::new();
        let read = file
            .rewind()
            .and_then(|()| file.take(32).read_to_string(&mut text));
        if read.is_ok()
            && let Some(pid) = text.strip_suffix('\n').and_then(|text| text.parse().ok())
        {
            return Some(pid);
        }
    }
    None
}
