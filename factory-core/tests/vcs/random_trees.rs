//! Random trees come back byte by byte.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use factory_core::vcs::Vcs;
use proptest::prelude::*;

use crate::fixture::{Fixture, files, write};

/// What a random file is.
#[derive(Debug, Clone)]
enum Kind {
    File(Vec<u8>),
    Program(Vec<u8>),
    Link(String),
}

fn random_tree() -> impl Strategy<Value = Vec<(String, Kind)>> {
    let component = prop::sample::select(vec![
        "a",
        "b",
        "ä ö",
        "c\nd",
        "-e",
        "*",
        "\u{1f600}",
        "F",
        "f",
        ".gitattributes",
    ]);
    let path = prop::collection::vec(component, 1..4).prop_map(|parts| parts.join("/"));
    let content = prop_oneof![
        Just(Vec::new()),
        Just(b"* text=auto eol=crlf ident\r\n$Id: x$\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..50),
    ];
    let kind = prop_oneof![
        3 => content.clone().prop_map(Kind::File),
        1 => content.prop_map(Kind::Program),
        1 => prop::sample::select(vec!["a", "../..", "/etc", "gone"]).prop_map(|target| Kind::Link(target.into())),
    ];
    prop::collection::vec((path, kind), 0..12)
}

/// Writes the files; what an earlier one stands in the way of is passed over.
fn materialise(dir: &Path, tree: &[(String, Kind)]) {
    fs::create_dir_all(dir).unwrap();
    for (path, kind) in tree {
        let file = dir.join(path);
        let blocked = file
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != dir)
            .any(|folder| folder.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()));
        if blocked || file.symlink_metadata().is_ok() {
            continue;
        }
        match kind {
            Kind::File(content) => write(&file, content),
            Kind::Program(content) => {
                write(&file, content);
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
            }
            Kind::Link(target) => {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                symlink(target, &file).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Two random states after each other: each snapshot, laid elsewhere and laid back, is the same bytes and tree.
    #[test]
    fn random_trees_come_back_byte_by_byte(first in random_tree(), second in random_tree()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new();
            fixture.fetch_and_lay().await;
            let dir = fixture.checkout().dir;
            let copy = fixture.checkout_named("copy");
            for state in [first, second] {
                fs::remove_dir_all(&dir).unwrap();
                materialise(&dir, &state);
                let (tree, left_out) = fixture.snapshot().await;
                assert_eq!(left_out, []);
                if copy.dir.exists() {
                    // What the first state had and the second has not would stay.
                    fs::remove_dir_all(&copy.dir).unwrap();
                }
                fixture.git.lay(&fixture.store(), &tree, &copy).await.unwrap();
                assert_eq!(files(&copy.dir), files(&dir));
                let again = fixture.git.snapshot(&fixture.store(), &copy).await.unwrap();
                assert_eq!(again.tree, tree);
            }
        });
    }
}
