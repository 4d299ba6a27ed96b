//! Where the control socket stands and who may be at its ends: this user alone.
//!
//! The folder is 0700 and the socket 0600. Both ends still ask the kernel who the other is, because a socket file says
//! nothing of who listens there.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tokio::net::{UnixListener, UnixSocket, UnixStream};

use crate::failure::Failure;

/// The socket's name in the data folder.
const NAME: &str = "control.sock";

/// The longest path that the kernel takes as a socket's address, with room for the terminating zero.
const MAX_ADDRESS: usize = 107;

/// What stands where the socket should.
#[derive(Debug)]
pub(super) enum Reached {
    /// Somebody of this user's listens.
    Speaking(UnixStream),
    /// Nothing is there.
    Absent,
    /// A socket that nobody listens at; its owner is dead.
    Dead,
}

/// Returns the socket's path.
pub(super) fn path(data_folder: &Path) -> PathBuf {
    data_folder.join(NAME)
}

/// Connects to the owner, if there is one that speaks. Refuses what another user put there.
pub(super) async fn connect(data_folder: &Path) -> Result<Reached, Failure> {
    let path = path(data_folder);
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Reached::Absent),
        Err(error) => {
            return Err(Failure::caused(
                format!("cannot look at `{}`", path.display()),
                &error,
            ));
        }
        Ok(metadata) => check_file(&path, &metadata)?,
    }
    let address = Address::of(data_folder)?;
    let stream = match UnixStream::connect(&address.path).await {
        Ok(stream) => stream,
        // Reset: the listener went away between the call and its acceptance.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
            ) =>
        {
            return Ok(Reached::Dead);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Reached::Absent),
        Err(error) => {
            return Err(Failure::caused(
                format!("cannot connect to `{}`", path.display()),
                &error,
            ));
        }
    };
    let peer = stream
        .peer_cred()
        .map_err(|error| Failure::caused(format!("cannot tell who serves `{}`", path.display()), &error))?;
    if peer.uid() != own_uid() {
        return Err(Failure::failed(format!(
            "`{}` is served by user {}, not by you (user {})",
            path.display(),
            peer.uid(),
            own_uid()
        ))
        .with_remedy("nothing was sent to it; find out who put it there"));
    }
    Ok(Reached::Speaking(stream))
}

/// Listens, in the place of a dead owner if need be. Only whoever holds the data folder's lock may call it.
pub(super) fn listen(data_folder: &Path) -> Result<UnixListener, Failure> {
    let path = path(data_folder);
    let cannot = |error: &io::Error| Failure::caused(format!("cannot serve `{}`", path.display()), error);
    check_folder(data_folder)?;
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(&error)),
        Ok(metadata) => {
            check_owner(&path, &metadata)?;
            // The lock is ours, so whoever listened here is gone.
            std::fs::remove_file(&path).map_err(|error| cannot(&error))?;
        }
    }
    let address = Address::of(data_folder)?;
    let socket = UnixSocket::new_stream().map_err(|error| cannot(&error))?;
    // Linux gives the file the socket's own mode, so there is no moment with a wider one.
    rustix::fs::fchmod(socket.as_fd(), Mode::RUSR | Mode::WUSR).map_err(|error| cannot(&error.into()))?;
    socket.bind(&address.path).map_err(|error| cannot(&error))?;
    let listener = socket.listen(128).map_err(|error| cannot(&error))?;
    let metadata = std::fs::symlink_metadata(&path).map_err(|error| cannot(&error))?;
    check_file(&path, &metadata)?;
    Ok(listener)
}

/// Takes the socket away, so that nobody meets a dead one.
pub(super) fn remove(data_folder: &Path) {
    if let Err(error) = std::fs::remove_file(path(data_folder)) {
        tracing::debug!(%error, "the control socket could not be removed");
    }
}

/// Returns whether the user at the other end is this one.
pub(super) fn is_own_peer(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own_uid())
}

/// Returns the effective user of this process.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The socket's address: its path, or the same place by way of an open folder where the path is too long.
struct Address {
    path: PathBuf,
    _folder: Option<rustix::fd::OwnedFd>,
}

impl Address {
    fn of(data_folder: &Path) -> Result<Self, Failure> {
        use std::os::fd::AsRawFd;
        let path = path(data_folder);
        if path.as_os_str().len() <= MAX_ADDRESS {
            return Ok(Self { path, _folder: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(data_folder, flags, Mode::empty()).map_err(|error| {
            Failure::caused(
                format!("cannot open `{}`", data_folder.display()),
                &io::Error::from(error),
            )
        })?;
        Ok(Self {
            path: format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd()).into(),
            _folder: Some(folder),
        })
    }
}

fn check_folder(folder: &Path) -> Result<(), Failure> {
    let metadata = std::fs::metadata(folder)
        .map_err(|error| Failure::caused(format!("cannot look at `{}`", folder.display()), &error))?;
    let mode = metadata.mode() & 0o777;
    if metadata.uid() != own_uid() {
        return Err(Failure::failed(format!(
            "the data folder `{}` belongs to user {}, not to you (user {})",
            folder.display(),
            metadata.uid(),
            own_uid()
        )));
    }
    if mode & 0o077 != 0 {
        return Err(Failure::failed(format!(
            "the data folder `{}` is open to others (mode {mode:o})",
            folder.display()
        ))
        .with_remedy(format!("`chmod 700 '{}'`", folder.display())));
    }
    Ok(())
}

fn check_owner(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Failure> {
    if metadata.uid() != own_uid() {
        return Err(Failure::failed(format!(
            "`{}` belongs to user {}, not to you (user {})",
            path.display(),
            metadata.uid(),
            own_uid()
        ))
        .with_remedy("nothing was sent to it; find out who put it there, then remove it"));
    }
    if !metadata.file_type().is_socket() {
        return Err(Failure::failed(format!("`{}` is not a socket", path.display()))
            .with_remedy("move it away; the factory keeps its control socket there"));
    }
    Ok(())
}

fn check_file(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Failure> {
    check_owner(path, metadata)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o177 != 0 {
        return Err(
            Failure::failed(format!("`{}` is open to others (mode {mode:o})", path.display())).with_remedy(
                format!("nothing was sent to it; `chmod 600 '{}'`", path.display()),
            ),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let private = std::fs::Permissions::from_mode(0o700);
        tempfile::Builder::new().permissions(private).tempdir().unwrap()
    }

    async fn refusal(folder: &Path) -> String {
        connect(folder).await.unwrap_err().message
    }

    #[tokio::test]
    async fn an_own_socket_is_spoken_to_and_is_for_its_owner_alone() {
        let folder = folder();
        assert!(matches!(connect(folder.path()).await.unwrap(), Reached::Absent));
        let _listener = listen(folder.path()).unwrap();
        let mode = std::fs::metadata(path(folder.path())).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let Reached::Speaking(stream) = connect(folder.path()).await.unwrap() else {
            panic!("a listening socket must be spoken to");
        };
        assert!(is_own_peer(&stream));
    }

    #[tokio::test]
    async fn a_dead_owners_socket_is_not_spoken_to_and_is_replaced() {
        let folder = folder();
        drop(listen(folder.path()).unwrap());
        assert!(matches!(connect(folder.path()).await.unwrap(), Reached::Dead));
        let _listener = listen(folder.path()).unwrap();
        assert!(matches!(
            connect(folder.path()).await.unwrap(),
            Reached::Speaking(_)
        ));
    }

    #[tokio::test]
    async fn a_socket_that_others_may_use_is_refused() {
        let folder = folder();
        let _listener = listen(folder.path()).unwrap();
        let socket = path(folder.path());
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(
            refusal(folder.path()).await,
            format!("`{}` is open to others (mode 666)", socket.display())
        );
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_refused_and_not_removed() {
        let folder = folder();
        let socket = path(folder.path());
        std::fs::write(&socket, "mine").unwrap();
        let expected = format!("`{}` is not a socket", socket.display());
        assert_eq!(refusal(folder.path()).await, expected);
        assert_eq!(listen(folder.path()).unwrap_err().message, expected);
        assert_eq!(std::fs::read_to_string(&socket).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_link_to_a_socket_is_refused() {
        let (folder, other) = (folder(), folder());
        let _listener = listen(other.path()).unwrap();
        std::os::unix::fs::symlink(path(other.path()), path(folder.path())).unwrap();
        let expected = format!("`{}` is not a socket", path(folder.path()).display());
        assert_eq!(refusal(folder.path()).await, expected);
    }

    #[tokio::test]
    async fn another_users_socket_is_refused_and_not_removed() {
        let folder = folder();
        let _listener = listen(folder.path()).unwrap();
        let socket = path(folder.path());
        if std::os::unix::fs::chown(&socket, Some(65534), None).is_err() {
            // Only root can give a file away. Without that, another user's file is one that root made.
            assert_ne!(own_uid(), 0, "root must be able to give a file away");
            let metadata = std::fs::metadata("/etc/passwd").unwrap();
            assert!(check_owner(&socket, &metadata).is_err());
            return;
        }
        let expected = format!(
            "`{}` belongs to user 65534, not to you (user 0)",
            socket.display()
        );
        assert_eq!(refusal(folder.path()).await, expected);
        assert_eq!(listen(folder.path()).unwrap_err().message, expected);
        assert!(socket.exists());
    }

    #[tokio::test]
    async fn a_folder_that_others_may_enter_is_not_served_in() {
        let folder = folder();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(
            listen(folder.path()).unwrap_err().message,
            format!(
                "the data folder `{}` is open to others (mode 755)",
                folder.path().display()
            )
        );
    }

    #[tokio::test]
    async fn a_path_longer_than_an_address_works() {
        let outer = folder();
        let folder = outer.path().join("x".repeat(150));
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        let _listener = listen(&folder).unwrap();
        assert!(path(&folder).exists());
        assert!(matches!(connect(&folder).await.unwrap(), Reached::Speaking(_)));
    }
}
