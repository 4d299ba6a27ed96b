//! What the files of a checkout do, and what they refuse. The hostile cases stand in `tests/hostile_paths.rs`.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn checkout() -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    (dir, files)
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

fn listed(files: &Files, folder: Option<&str>) -> Vec<String> {
    let folder = folder.map(path);
    let listing = files.list(folder.as_ref(), 1000).unwrap();
    listing.entries.into_iter().map(|entry| entry.shown).collect()
}

#[test]
fn what_is_written_is_read_hashed_and_deleted() {
    let (dir, files) = checkout();
    let name = path("a/b/c.txt");
    assert_eq!(files.hash(&name).unwrap(), None);
    assert_eq!(files.read_for_write(&name, 100).unwrap(), None);
    files.write(&name, b"hello", Executable::Keep).unwrap();
    let expected = FileContent {
        bytes: b"hello".to_vec(),
        executable: false,
        truncated: false,
        total: 5,
    };
    assert_eq!(files.read(&name, 100).unwrap(), expected);
    assert_eq!(files.read_for_write(&name, 5).unwrap(), Some(expected));
    assert_eq!(files.hash(&name).unwrap(), Some(BlobId::of(b"hello")));
    let cut = FileContent {
        bytes: b"he".to_vec(),
        executable: false,
        truncated: true,
        total: 5,
    };
    assert_eq!(files.read(&name, 2).unwrap(), cut);
    assert_eq!(files.read_for_write(&name, 2).unwrap_err().code(), "too_large");
    files.delete(&name).unwrap();
    files.delete(&name).unwrap();
    assert_eq!(files.hash(&name).unwrap(), None);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "empty folders go too"
    );
}

#[test]
fn the_mode_is_kept_and_the_executable_bit_is_set() {
    let (dir, files) = checkout();
    let name = path("run.sh");
    let mode = || {
        std::fs::metadata(dir.path().join("run.sh"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    files.write(&name, b"1", Executable::No).unwrap();
    assert_eq!(mode(), 0o644);
    files.write(&name, b"2", Executable::Yes).unwrap();
    assert_eq!(mode(), 0o755);
    files.write(&name, b"3", Executable::Keep).unwrap();
    assert_eq!(mode(), 0o755);
    std::fs::set_permissions(dir.path().join("run.sh"), std::fs::Permissions::from_mode(0o4640)).unwrap();
    files.write(&name, b"4", Executable::Yes).unwrap();
    assert_eq!(mode(), 0o750, "what would run as its owner does not stay so");
    files.write(&name, b"5", Executable::No).unwrap();
    assert_eq!(mode(), 0o640);
}

#[test]
fn a_name_that_collides_is_not_created() {
    let (_dir, files) = checkout();
    files.write(&path("src/Main.rs"), b"", Executable::Keep).unwrap();
    for other in ["src/main.rs", "SRC/main.rs", "Src/other/x.rs"] {
        let written = files.write(&path(other), b"x", Executable::Keep).unwrap_err();
        assert_eq!(written.code(), "path_collision", "{other}");
        let planned = files.read_for_write(&path(other), 10).unwrap_err();
        assert_eq!(planned.to_string(), written.to_string());
    }
    files
        .write(&path("src/Main.rs"), b"again", Executable::Keep)
        .unwrap();
    files.write(&path("src/main2.rs"), b"", Executable::Keep).unwrap();
    assert_eq!(listed(&files, None), ["src/Main.rs", "src/main2.rs"]);
}

#[test]
fn a_file_is_no_folder_and_a_folder_no_file() {
    let (_dir, files) = checkout();
    files.write(&path("a/b"), b"", Executable::Keep).unwrap();
    for (name, code) in [("a", "not_a_file"), ("a/b/c", "not_a_folder")] {
        assert_eq!(
            files
                .write(&path(name), b"", Executable::Keep)
                .unwrap_err()
                .code(),
            code
        );
        assert_eq!(files.read_for_write(&path(name), 10).unwrap_err().code(), code);
        assert_eq!(files.read(&path(name), 10).unwrap_err().code(), code);
        assert_eq!(files.delete(&path(name)).unwrap_err().code(), code);
    }
}

#[test]
fn listings_leave_out_what_git_ignores() {
    let (dir, files) = checkout();
    for (name, text) in [
        (".gitignore", "target/\n*.log\n!keep.log\n/only-top\n"),
        ("src/.gitignore", "generated\n"),
        ("src/a.rs", ""),
        ("src/generated/x.rs", ""),
        ("src/only-top", ""),
        ("only-top", ""),
        ("target/debug/x", ""),
        ("a.log", ""),
        ("deep/keep.log", ""),
        ("setup/cache", ""),
        (".github/ci.yml", ""),
    ] {
        files
            .write(&path(name), text.as_bytes(), Executable::Keep)
            .unwrap();
    }
    std::fs::create_dir(dir.path().join("src/.git")).unwrap();
    std::fs::write(dir.path().join("src/.git/config"), "").unwrap();
    let files = files.with_excludes("setup/\n");
    let all = [
        ".github/ci.yml",
        ".gitignore",
        "deep/keep.log",
        "src/.gitignore",
        "src/a.rs",
        "src/only-top",
    ];
    assert_eq!(listed(&files, None), all);
    assert_eq!(
        listed(&files, Some("src")),
        ["src/.gitignore", "src/a.rs", "src/only-top"]
    );
    assert_eq!(
        listed(&files, Some("target")),
        ["target/debug/x"],
        "what is named is listed"
    );
    assert_eq!(
        files.list(Some(&path("absent")), 5).unwrap_err().code(),
        "not_found"
    );
    let two = files.list(None, 2).unwrap();
    assert_eq!((two.entries.len(), two.truncated), (2, true));
}

#[test]
fn a_name_that_is_no_path_is_listed_escaped() {
    use std::os::unix::ffi::OsStrExt as _;
    let (dir, files) = checkout();
    std::fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"a\xff")), "").unwrap();
    std::fs::write(dir.path().join("b\n"), "").unwrap();
    let expected = [r"a\xff", r"b\n"].map(|shown| Entry {
        shown: shown.to_owned(),
        path: None,
        kind: EntryKind::File,
    });
    assert_eq!(files.list(None, 10).unwrap().entries, expected);
}

#[test]
fn leftovers_of_a_crash_are_removed_and_nothing_else() {
    let (dir, files) = checkout();
    files.write(&path("a/b.txt"), b"", Executable::Keep).unwrap();
    let put = |name: &str| std::fs::write(dir.path().join(name), "x").unwrap();
    put(".ai-dev-factory-tmp-12-3");
    put("a/.ai-dev-factory-tmp-12-4");
    put("a/.ai-dev-factory-tmp-mine");
    std::fs::create_dir(dir.path().join(".ai-dev-factory-tmp-1-1")).unwrap();
    assert_eq!(files.remove_leftovers_beside(&path("a/x")).unwrap(), 1);
    assert_eq!(files.remove_leftovers_beside(&path("absent/x")).unwrap(), 0);
    assert_eq!(files.remove_leftovers().unwrap(), 1);
    assert_eq!(files.remove_leftovers().unwrap(), 0);
    assert_eq!(listed(&files, None), ["a/.ai-dev-factory-tmp-mine", "a/b.txt"]);
}

#[test]
fn a_missing_checkout_is_named() {
    let error = Files::open(Path::new("/nonexistent/checkout")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot open the checkout `/nonexistent/checkout`"
    );
}
