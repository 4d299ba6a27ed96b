//! Checkouts: what is laid comes back byte by byte, and a snapshot sees every change.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use factory_core::vcs::Vcs;

use crate::fixture::{Fixture, files, make_fifo, write};

#[tokio::test]
async fn attributes_do_not_change_a_byte() {
    let fixture = Fixture::new();
    // Stored as they are: git's own `add` would have converted them.
    fixture.plain(&["config", "core.autocrlf", "false"]);
    for (path, content) in [
        ("crlf.txt", &b"a\r\nb\r\n"[..]),
        ("mixed.txt", b"a\nb\r\n\xff\xfe"),
        ("ident.c", b"$Id$ and $Id: 1234 $\n"),
        ("wide.utf16", b"\xff\xfea\0\n\0"),
    ] {
        fixture.write(path, content);
    }
    fixture.commit_all("Files");
    fixture.write(
        ".gitattributes",
        "* text=auto eol=crlf\n*.c ident crlf\n*.utf16 text working-tree-encoding=UTF-16\nmixed.txt text eol=lf filter=x\n",
    );
    fixture.plain(&["update-index", "--add", "--cacheinfo", &{
        let id = fixture.plain(&["hash-object", "-w", "--no-filters", ".gitattributes"]);
        format!("100644,{id},.gitattributes")
    }]);
    fixture.plain(&["commit", "--quiet", "-m", "Attributes"]);
    let tree = fixture.fetch_and_lay().await;
    let mut expected = files(&fixture.repository());
    expected.retain(|path, _| !path.starts_with(b".git/") && path != b".git");
    assert_eq!(files(&fixture.checkout().dir), expected);
    assert_eq!(fixture.snapshot().await.0, tree);
    // With an index that knows nothing, every file is read again.
    fs::remove_file(fixture.checkout().index).unwrap();
    assert_eq!(fixture.snapshot().await.0, tree);
}

#[tokio::test]
async fn a_snapshot_sees_every_kind_of_change() {
    let fixture = Fixture::new();
    fixture.write("gone", "x");
    fixture.write("file-to-folder", "x");
    fixture.write("folder-to-file/x", "x");
    fixture.write("folder-to-link/x", "x");
    fixture.write("hidden-link/x", "x");
    fixture.write("file-to-link", "x");
    fixture.write("mode", "x");
    fixture.write("to-fifo", "x");
    fixture.write(".gitignore", "*.log\n/hidden-link\n");
    fixture.plain(&["add", "--force", "hidden-link/x"]);
    fixture.commit_all("Second");
    let base = fixture.fetch_and_lay().await;
    assert_eq!(fixture.snapshot().await, (base, vec![]));

    let dir = fixture.checkout().dir;
    fs::remove_file(dir.join("gone")).unwrap();
    fs::remove_file(dir.join("file-to-folder")).unwrap();
    write(&dir.join("file-to-folder/y"), "y");
    fs::remove_dir_all(dir.join("folder-to-file")).unwrap();
    write(&dir.join("folder-to-file"), "y");
    let outside = fixture.path().join("outside");
    write(&outside.join("x"), "x");
    for link in ["folder-to-link", "hidden-link"] {
        fs::remove_dir_all(dir.join(link)).unwrap();
        symlink(&outside, dir.join(link)).unwrap();
    }
    fs::remove_file(dir.join("file-to-link")).unwrap();
    symlink("a.txt", dir.join("file-to-link")).unwrap();
    fs::set_permissions(dir.join("mode"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_file(dir.join("to-fifo")).unwrap();
    make_fifo(&dir.join("to-fifo"));
    write(&dir.join("x.log"), "ignored");
    write(&dir.join("set-up"), "excluded");
    write(&fixture.checkout().excludes, "/set-up\n");
    write(&dir.join("new\nline ä"), "");
    write(&dir.join(OsStr::from_bytes(b"\xff")), "");
    write(&dir.join("-x"), "");
    write(&dir.join(":(glob)*"), "");
    // Same size, same time: only the change time tells.
    let old = fs::metadata(dir.join("a.txt")).unwrap().modified().unwrap();
    fs::write(dir.join("a.txt"), "six\ntwo\n").unwrap();
    fs::File::options()
        .write(true)
        .open(dir.join("a.txt"))
        .unwrap()
        .set_modified(old)
        .unwrap();

    let (tree, left_out) = fixture.snapshot().await;
    assert_eq!(
        left_out,
        [("to-fifo".to_owned(), "neither a file nor a link".to_owned())]
    );
    assert_eq!(
        fixture.list(&tree),
        [
            "100644 -x",
            "100644 .gitignore",
            "100644 :(glob)*",
            "100644 a.txt",
            "100644 file-to-folder/y",
            "120000 file-to-link",
            "100644 folder-to-file",
            "120000 folder-to-link",
            "100755 mode",
            "100644 new\nline ä",
            "100644 src/b.rs",
            "100644 \u{fffd}",
        ]
    );
    let content = fixture
        .git
        .read_file(&fixture.store(), &tree, "a.txt", 100)
        .await
        .unwrap();
    assert_eq!(content.unwrap(), b"six\ntwo\n");
    assert_eq!(fixture.snapshot().await.0, tree);
}

#[tokio::test]
async fn laying_replaces_what_stands_in_the_way_and_leaves_the_rest() {
    let fixture = Fixture::new();
    fixture.write("folder/x", "x");
    fixture.write("deep/folder/x", "x");
    symlink("a.txt", fixture.repository().join("link")).unwrap();
    fixture.commit_all("Second");
    let tree = fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    let clean = files(&dir);

    let outside = fixture.path().join("outside");
    write(&outside.join("x"), "untouched");
    write(&outside.join("folder/x"), "untouched");
    fs::remove_dir_all(dir.join("folder")).unwrap();
    symlink(&outside, dir.join("folder")).unwrap();
    fs::remove_dir_all(dir.join("deep")).unwrap();
    symlink(&outside, dir.join("deep")).unwrap();
    fs::remove_file(dir.join("a.txt")).unwrap();
    symlink(outside.join("x"), dir.join("a.txt")).unwrap();
    fs::remove_dir_all(dir.join("src")).unwrap();
    write(&dir.join("src"), "a file");
    fs::remove_file(dir.join("link")).unwrap();
    write(&dir.join("link/inner/y"), "a folder");
    fs::set_permissions(dir.join("link/inner"), fs::Permissions::from_mode(0o000)).unwrap();
    fixture
        .git
        .lay(&fixture.store(), &tree, &fixture.checkout())
        .await
        .unwrap();
    assert_eq!(files(&dir), clean);
    assert_eq!(fs::read_to_string(outside.join("x")).unwrap(), "untouched");
    assert_eq!(fs::read_to_string(outside.join("folder/x")).unwrap(), "untouched");

    write(&dir.join("other"), "stays");
    fs::write(&fixture.checkout().index, "no index").unwrap();
    fixture
        .git
        .lay(&fixture.store(), &tree, &fixture.checkout())
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(dir.join("other")).unwrap(), "stays");
    assert_eq!(
        fixture
            .git
            .untracked(&fixture.store(), &fixture.checkout())
            .await
            .unwrap(),
        ["other"]
    );
}

#[tokio::test]
async fn untracked_paths_are_the_top_most_ones() {
    let fixture = Fixture::new();
    fixture.write(".gitignore", "*.log\n");
    fixture.commit_all("Second");
    fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    for path in [
        "target/debug/x",
        "src/new dir/y",
        "x.log",
        "src/z.log",
        "node_modules/a/b",
    ] {
        write(&dir.join(path), "");
    }
    write(&fixture.checkout().excludes, "/node_modules\n");
    let untracked = fixture
        .git
        .untracked(&fixture.store(), &fixture.checkout())
        .await
        .unwrap();
    assert_eq!(untracked, ["src/new dir", "target"]);
}
