//! Differences of trees, and single files of them.

use std::fs;
use std::os::unix::fs::symlink;

use factory_core::vcs::{ChangeKind, Diff, FileDiff, Vcs};

use crate::fixture::{Fixture, write};

#[tokio::test]
async fn a_difference_lists_files_and_shows_text() {
    let fixture = Fixture::new();
    fixture.write(".gitattributes", "*.rs -diff\n*.txt diff=evil binary\n");
    fixture.commit_all("Second");
    let old = fixture.fetch_and_lay().await;
    let dir = fixture.checkout().dir;
    write(&dir.join("a.txt"), "one\n2\n");
    write(&dir.join("new"), "\0binary");
    fs::remove_file(dir.join("src/b.rs")).unwrap();
    symlink("x", dir.join("src/b.rs")).unwrap();
    let (new, _) = fixture.snapshot().await;
    let file = |path: &str, kind, modes: [&str; 2], counts: Option<(u64, u64)>| FileDiff {
        path: path.into(),
        kind,
        old_mode: modes[0].into(),
        new_mode: modes[1].into(),
        added: counts.map(|(added, _)| added),
        removed: counts.map(|(_, removed)| removed),
    };
    let diff = fixture.git.diff(&fixture.store(), &old, &new, &[]).await.unwrap();
    assert_eq!(
        diff.files,
        [
            file("a.txt", ChangeKind::Modified, ["100644", "100644"], Some((1, 1))),
            file("new", ChangeKind::Added, ["000000", "100644"], None),
            file(
                "src/b.rs",
                ChangeKind::TypeChanged,
                ["100644", "120000"],
                Some((1, 1))
            ),
        ]
    );
    assert!(
        diff.text.contains("Binary files /dev/null and b/new differ"),
        "{}",
        diff.text
    );
    assert!(!diff.truncated);
    let one = fixture
        .git
        .diff(&fixture.store(), &old, &new, &["a.txt".into()])
        .await
        .unwrap();
    let expected = Diff {
        files: vec![diff.files[0].clone()],
        text: "diff --git a/a.txt b/a.txt\nindex 814f4a422927..99b356dcd03d 100644\n--- a/a.txt\n+++ b/a.txt\n@@ -1,2 \
               +1,2 @@\n one\n-two\n+2\n"
            .into(),
        truncated: false,
    };
    assert_eq!(one, expected);
    let none = fixture
        .git
        .diff(&fixture.store(), &old, &new, &["*.txt".into()])
        .await
        .unwrap();
    assert_eq!((none.files, none.text), (vec![], String::new()));
}

#[tokio::test]
async fn a_long_difference_is_cut_after_a_line_and_says_so() {
    let fixture = Fixture::new();
    let old = fixture.fetch_and_lay().await;
    write(
        &fixture.checkout().dir.join("long"),
        "0123456789\n".repeat(500_000),
    );
    let (new, _) = fixture.snapshot().await;
    let diff = fixture.git.diff(&fixture.store(), &old, &new, &[]).await.unwrap();
    assert!(diff.truncated && diff.text.len() <= Diff::MAX_TEXT && diff.text.len() > Diff::MAX_TEXT - 20);
    assert!(diff.text.ends_with("\n+0123456789\n"));
    assert_eq!(diff.files[0].added, Some(500_000));
    let content = fixture
        .git
        .read_file(&fixture.store(), &new, "long", 15)
        .await
        .unwrap();
    assert_eq!(content.unwrap(), b"0123456789\n0123");
    for path in ["gone", "src", "", "/long", "../long", "src/../long"] {
        assert_eq!(
            fixture
                .git
                .read_file(&fixture.store(), &new, path, 15)
                .await
                .unwrap(),
            None,
            "{path}"
        );
    }
}
