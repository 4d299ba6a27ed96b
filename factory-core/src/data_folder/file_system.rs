//! Which file systems a data folder may not lie on: those where another machine's locks and shared memory are not ours.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The magic numbers of `statfs(2)` of network file systems, and their names.
///
/// 9p is among them: it carries Windows drives into WSL2 and host folders into virtual machines, and gives no shared memory
/// that SQLite's log could rely on.
const REMOTE: [(u32, &str); 12] = [
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x0000_564C, "NCP"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "kAFS"),
    (0x7375_7245, "Coda"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x0116_1970, "GFS2"),
];

/// The magic number of everything that a program serves through FUSE.
const FUSE: u32 = 0x6573_5546;

/// Words in the type of a FUSE mount that reaches over a network. Others (virtiofs, ntfs-3g, gocryptfs, overlays) stand on
/// a disk of this machine and are taken.
const REMOTE_FUSE: [&str; 16] = [
    "sshfs",
    "rclone",
    "s3fs",
    "s3ql",
    "goofys",
    "gcsfuse",
    "blobfuse",
    "glusterfs",
    "ceph",
    "davfs",
    "curlftpfs",
    "gvfs",
    "juicefs",
    "seaweedfs",
    "nfs",
    "smb",
];

/// Returns the kind of network file system that `folder` lies on; none where it is local.
pub(super) fn remote_kind(folder: &Path) -> io::Result<Option<String>> {
    // The magic number has 32 bits; wider fields hold it sign-extended on some machines.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the low 32 bits are the magic number"
    )]
    let magic = rustix::fs::statfs(folder)?.f_type as u32;
    let mount = if magic == FUSE {
        let device = fs::metadata(folder)?.dev();
        mount_type(&fs::read_to_string("/proc/self/mountinfo")?, device)
    } else {
        None
    };
    Ok(judge(magic, mount.as_deref()))
}

/// Returns the kind of network file system that the magic number and the mount's type tell of.
fn judge(magic: u32, mount: Option<&str>) -> Option<String> {
    if let Some((_, name)) = REMOTE.iter().find(|(remote, _)| *remote == magic) {
        return Some((*name).to_owned());
    }
    let mount = mount.filter(|_| magic == FUSE)?;
    let remote = REMOTE_FUSE.iter().any(|word| mount.contains(word));
    remote.then(|| mount.to_owned())
}

/// Returns the type of the mount with that device number, as `fuse.sshfs`.
fn mount_type(mountinfo: &str, device: u64) -> Option<String> {
    let wanted = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    mountinfo.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let found = place.split(' ').nth(2)? == wanted;
        found.then(|| kind.split(' ').next().map(str::to_owned)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_from_local_ones() {
        let cases = [
            (0xEF53, None, None),
            (0x9123_683E, None, None),
            (0x0102_1994, None, None),
            (0x794C_7630, None, None),
            (0x6969, None, Some("NFS")),
            (0xFF53_4D42, None, Some("CIFS")),
            (0x0102_1997, None, Some("9p")),
            (FUSE, Some("fuse.sshfs"), Some("fuse.sshfs")),
            (FUSE, Some("fuse.rclone"), Some("fuse.rclone")),
            (FUSE, Some("virtiofs"), None),
            (FUSE, Some("fuseblk"), None),
            (FUSE, None, None),
        ];
        for (magic, mount, expected) in cases {
            assert_eq!(judge(magic, mount).as_deref(), expected, "{magic:x} {mount:?}");
        }
    }

    #[test]
    fn a_mount_is_found_by_its_device() {
        let mountinfo = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            90 21 0:52 / /home/ann/far\\040away rw,nosuid - fuse.sshfs ann@host:/ rw,user_id=1000\n";
        let device = |major, minor| rustix::fs::makedev(major, minor);
        assert_eq!(
            mount_type(mountinfo, device(0, 52)).as_deref(),
            Some("fuse.sshfs")
        );
        assert_eq!(mount_type(mountinfo, device(8, 1)).as_deref(), Some("ext4"));
        assert_eq!(mount_type(mountinfo, device(8, 2)), None);
    }

    #[test]
    fn the_folder_of_temporary_files_is_local() {
        assert_eq!(remote_kind(&std::env::temp_dir()).unwrap(), None);
    }
}
