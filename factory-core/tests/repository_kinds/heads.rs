//! Kinds by where `HEAD` stands and what lies in index and working tree.

use std::fs;

use crate::bench::{Bench, Kind};

pub(crate) fn kinds() -> Vec<Kind> {
    vec![
        Kind::new("a plain repository", Bench::small),
        Kind::new("detached HEAD, on a commit that no branch has", |bench| {
            let path = bench.small();
            bench.git(&["checkout", "--quiet", "--detach"]);
            bench.write("more", "more");
            bench.commit("Detached");
            path
        }),
        Kind::new("modified, staged and untracked files", |bench| {
            let path = bench.small();
            bench.write("staged", "staged");
            bench.git(&["add", "staged"]);
            bench.write("staged", "staged, then changed");
            bench.write("answer.txt", "the operator's own");
            bench.write("untracked", "untracked");
            path
        }),
        Kind::new("a conflicted merge in progress", |bench| {
            let path = bench.small();
            bench.git(&["checkout", "--quiet", "-b", "other"]);
            bench.write("answer.txt", "theirs\n");
            bench.commit("Theirs");
            bench.git(&["checkout", "--quiet", "main"]);
            bench.write("answer.txt", "41 or so\n");
            bench.commit("Ours");
            bench.fails(&["merge", "--quiet", "other"]);
            assert!(path.join(".git/MERGE_HEAD").exists());
            path
        }),
        Kind::new("a rebase in progress", |bench| {
            let path = bench.small();
            bench.git(&["checkout", "--quiet", "-b", "other"]);
            bench.write("answer.txt", "theirs\n");
            bench.commit("Theirs");
            bench.git(&["checkout", "--quiet", "main"]);
            bench.write("answer.txt", "41 or so\n");
            bench.commit("Ours");
            bench.fails(&["rebase", "--quiet", "other"]);
            assert!(path.join(".git/rebase-merge").exists());
            path
        }),
        Kind::new("an index that another git has locked", |bench| {
            let path = bench.small();
            bench.write(".git/index.lock", "");
            path
        }),
        Kind::new("no commit", |bench| {
            fs::create_dir(bench.at("repository")).unwrap();
            bench.git(&["init", "--quiet"]);
            bench.at("repository")
        }),
        Kind::new("HEAD on a branch without a commit", |bench| {
            let path = bench.small();
            bench.git(&["checkout", "--quiet", "--orphan", "fresh"]);
            path
        }),
        Kind {
            base: Some("main"),
            ..Kind::new("HEAD on a branch without a commit, with a base", |bench| {
                let path = bench.small();
                bench.git(&["checkout", "--quiet", "--orphan", "fresh"]);
                path
            })
        },
        Kind::new("hooks, filters and a file system monitor", |bench| {
            let path = bench.small();
            let touch = format!("touch {}; cat", bench.at("touched").display());
            for (name, value) in [
                ("filter.touch.clean", touch.as_str()),
                ("filter.touch.smudge", &touch),
                ("core.fsmonitor", &touch),
                ("diff.touch.textconv", &touch),
            ] {
                bench.git(&["config", name, value]);
            }
            for hook in [
                "reference-transaction",
                "post-checkout",
                "pre-commit",
                "post-index-change",
            ] {
                let file = path.join(".git/hooks").join(hook);
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(&file, format!("#!/bin/sh\n{touch}\n")).unwrap();
                make_executable(&file);
            }
            bench.write(".git/info/attributes", "* filter=touch diff=touch\n");
            let _plain_git_runs_them = fs::remove_file(bench.at("touched"));
            path
        }),
    ]
}

fn make_executable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}
