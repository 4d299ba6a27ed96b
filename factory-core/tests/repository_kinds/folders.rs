//! Kinds by where the registered path leads.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};

use factory_core::model::ApprovalPolicy;

use crate::bench::{Bench, Kind};

pub(crate) fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind::new("a linked working tree", |bench| {
            bench.small();
            let linked = bench.at("linked");
            bench.git(&[
                "worktree",
                "add",
                "--quiet",
                "-b",
                "other",
                linked.to_str().unwrap(),
            ]);
            linked
        }),
        Kind::new("a bare repository", bare),
        Kind::new("a working tree of a bare repository", |bench| {
            let path = bare(bench);
            let linked = bench.at("linked");
            let arguments = [
                "--git-dir=.",
                "worktree",
                "add",
                "--quiet",
                linked.to_str().unwrap(),
                "main",
            ];
            crate::workshop::git(&path, &arguments);
            linked
        }),
        Kind::new("a path through a link", |bench| {
            bench.small();
            symlink("repository", bench.at("link")).unwrap();
            bench.at("link")
        }),
        Kind::new("a folder called `-x y'z`", |bench| {
            let path = bench.small();
            let named = bench.at("-x y'z");
            fs::rename(path, &named).unwrap();
            named
        }),
        Kind::new("no repository", |bench| {
            fs::create_dir(bench.at("folder")).unwrap();
            bench.at("folder")
        }),
        Kind {
            writes: &[("services/it's api/answer.txt", "42\n")],
            ..Kind::new("a folder of a repository", |bench| {
                mono(bench);
                bench.at("repository/services/it's api")
            })
        },
        Kind {
            writes: &[("README", "changed\n"), ("services/it's api/answer.txt", "42\n")],
            approval: ApprovalPolicy::Unattended,
            ..Kind::new(
                "a folder of a repository, changed outside as well, unattended",
                |bench| {
                    mono(bench);
                    bench.at("repository/services/it's api")
                },
            )
        },
        Kind::new("a folder of a repository that no commit has", |bench| {
            bench.small();
            bench.write("new/file", "");
            bench.at("repository/new")
        }),
        Kind::new("the repository of an initialised submodule", |bench| {
            bench.small();
            fs::rename(bench.at("repository"), bench.at("module")).unwrap();
            crate::trees::with_submodule(bench);
            bench.at("repository/module")
        }),
    ];
    // Only root can give a repository away.
    if rustix::process::geteuid().is_root() {
        kinds.push(Kind::new("another user's repository", |bench| {
            let path = bench.small();
            chown(path.join(".git"), Some(12_345), None).unwrap();
            assert_eq!(path.join(".git").metadata().unwrap().uid(), 12_345);
            path
        }));
    }
    kinds
}

fn bare(bench: &Bench) -> std::path::PathBuf {
    bench.small();
    bench.git_in("", &["clone", "--quiet", "--bare", "repository", "bare.git"]);
    fs::remove_dir_all(bench.at("repository")).unwrap();
    bench.at("bare.git")
}

/// Two services in one repository; the check of each looks only at its own folder.
fn mono(bench: &Bench) {
    bench.small();
    let files = crate::workshop::small_repository();
    for (name, content) in &files {
        bench.write(&format!("services/it's api/{name}"), content);
        bench.write(&format!("services/web/{name}"), content);
    }
    bench.write("README", "");
    bench.commit("Services");
}
