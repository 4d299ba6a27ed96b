//! Tests of the data folder: what it refuses and says, and who owns it.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// Opens `path` and compares the refusal, in which the temporary folder is written as `TMP`.
#[track_caller]
fn check_refused(root: &Path, path: &Path, expected: &str) {
    let refused = DataFolder::open(path).unwrap_err().to_string();
    assert_eq!(refused.replace(root.to_str().unwrap(), "TMP"), expected);
}

#[test]
fn a_new_folder_is_private_with_all_above_it() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("share/ai-dev-factory");
    let folder = DataFolder::open(&path).unwrap();
    assert_eq!(folder, DataFolder::open(&path).unwrap());
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
    let names = [
        folder.database(),
        folder.lock(),
        folder.socket(),
        folder.settings_file(),
        folder.blobs(),
        folder.project(ProjectId(3)),
        folder.run(RunId(7)),
    ];
    let expected = [
        "platform.db",
        "owner.lock",
        "control.sock",
        "factory.toml",
        "blobs",
        "projects/3",
        "runs/7",
    ];
    assert_eq!(names, expected.map(|name| path.join(name)));
}

#[test]
fn what_is_made_inside_is_private() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(&root.path().join("data")).unwrap();
    folder.make_folder(&folder.run(RunId(1))).unwrap();
    assert_eq!(mode(&folder.run(RunId(1))), 0o700);
    folder.open_file(&folder.settings_file()).unwrap();
    assert_eq!(mode(&folder.settings_file()), 0o600);

    let link = root.path().join("link");
    symlink(folder.settings_file(), &link).unwrap();
    let refused = folder.open_file(&link).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!("cannot open the file `{}`", link.display())
    );
}

#[test]
fn a_folder_that_others_may_use_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    fs::create_dir(&path).unwrap();
    for bits in [0o755, 0o710, 0o701, 0o770] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        let expected = format!(
            "the data folder `TMP/data` is open to others (mode {bits:03o}); close it with `chmod 700 'TMP/data'`"
        );
        check_refused(root.path(), &path, &expected);
        assert_eq!(mode(&path), bits);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o500)).unwrap();
    let expected =
        "you may not use the data folder `TMP/data` (mode 500); open it with `chmod 700 'TMP/data'`";
    check_refused(root.path(), &path, expected);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    DataFolder::open(&path).unwrap();
}

#[test]
fn what_is_no_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("file");
    fs::write(&path, "").unwrap();
    let expected = "the data folder `TMP/file` is no folder; name another with --data-dir";
    check_refused(root.path(), &path, expected);
    check_refused(
        root.path(),
        &path.join("below"),
        "cannot make the data folder `TMP/file/below`",
    );
}

#[test]
fn another_users_folder_or_link_is_refused() {
    let user = rustix::process::geteuid().as_raw();
    refuse_foreign(Path::new("/data"), user, user).unwrap();
    let refused = refuse_foreign(Path::new("/data"), 12, 34).unwrap_err();
    let expected = "the data folder `/data` belongs to user 12, not to you (user 34); name one of your own";
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn a_link_of_ones_own_is_followed_to_the_real_folder() {
    let root = tempfile::tempdir().unwrap();
    let real = root.path().join("real");
    let link = root.path().join("link");
    symlink(&real, &link).unwrap();
    DataFolder::open(&link).unwrap_err();
    let folder = DataFolder::open(&real).unwrap();
    assert_eq!(DataFolder::open(&link).unwrap(), folder);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o755)).unwrap();
    let expected =
        "the data folder `TMP/real` is open to others (mode 755); close it with `chmod 700 'TMP/real'`";
    check_refused(root.path(), &link, expected);
}

#[test]
fn one_owner_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(&root.path().join("data")).unwrap();
    let lock = OwnerLock::acquire(&folder).unwrap();
    assert_eq!(mode(&folder.lock()), 0o600);
    let refused = OwnerLock::acquire(&folder).unwrap_err();
    let expected = format!(
        "the data folder `{}` is in use by process {}; use that one, or stop it first",
        folder.path().display(),
        std::process::id()
    );
    assert_eq!(refused.to_string(), expected);
    drop(lock);
    OwnerLock::acquire(&folder).unwrap();
}

#[test]
fn a_child_program_does_not_keep_the_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(&root.path().join("data")).unwrap();
    let lock = OwnerLock::acquire(&folder).unwrap();
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    drop(lock);
    let again = OwnerLock::acquire(&folder);
    child.kill().unwrap();
    child.wait().unwrap();
    again.unwrap();
}

#[test]
fn the_lock_is_gone_with_a_killed_owner() {
    let root = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(&root.path().join("data")).unwrap();
    // Another program that holds the same kind of lock on the same file.
    let mut owner = std::process::Command::new("flock")
        .args(["--exclusive", "--no-fork"])
        .arg(folder.lock())
        .args(["sh", "-c", "echo held; exec sleep 60"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 5];
    io::Read::read_exact(&mut owner.stdout.take().unwrap(), &mut said).unwrap();
    let refused = OwnerLock::acquire(&folder).unwrap_err();
    assert!(
        matches!(refused, DataFolderError::Owned { pid: None, .. }),
        "{refused:?}"
    );
    owner.kill().unwrap();
    owner.wait().unwrap();
    OwnerLock::acquire(&folder).unwrap();
}
