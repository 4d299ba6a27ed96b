//! Kinds by where a repository's objects, refs and history are.

use std::fs;
use std::path::PathBuf;

use crate::bench::{Bench, Kind};

pub(crate) fn kinds() -> Vec<Kind> {
    vec![
        Kind::new("shallow clone", |bench| clone(bench, &["--depth=1"])),
        Kind::new("partial clone whose commit is there", |bench| {
            clone(bench, &["--filter=blob:none"])
        }),
        Kind::new("partial clone that lacks files", |bench| {
            clone(bench, &["--filter=blob:none", "--no-checkout"])
        }),
        Kind::new("partial clone that lacks folders", |bench| {
            clone(bench, &["--filter=tree:0", "--no-checkout"])
        }),
        Kind::new(
            "partial clone that lacked files, after what the message says",
            |bench| {
                let path = clone(bench, &["--filter=blob:none", "--no-checkout"]);
                bench.git(&["fetch", "--quiet", "--refetch", "--no-filter"]);
                // The server is gone since.
                fs::remove_dir_all(bench.at("server")).unwrap();
                path
            },
        ),
        Kind::new("sparse checkout", |bench| {
            let path = clone(bench, &["--sparse"]);
            assert!(!path.join("folder/file").exists());
            path
        }),
        Kind::new("borrowed objects (alternates)", |bench| {
            bench.small();
            fs::rename(bench.at("repository"), bench.at("lender")).unwrap();
            bench.git_in("", &["clone", "--quiet", "--shared", "lender", "repository"]);
            bench.at("repository")
        }),
        Kind::new("SHA-256 objects", |bench| {
            init(bench, &["--object-format=sha256"])
        }),
        Kind::new("a git directory elsewhere", |bench| {
            let apart = format!("--separate-git-dir={}", bench.at("apart.git").display());
            init(bench, &[&apart])
        }),
        Kind::new("replaced objects", |bench| {
            let path = bench.small();
            let base = bench.git(&["rev-parse", "HEAD"]);
            bench.write("answer.txt", "replaced\n");
            bench.commit("Replacement");
            let replacement = bench.git(&["rev-parse", "HEAD"]);
            bench.git(&["reset", "--quiet", "--hard", base.trim()]);
            bench.git(&["replace", base.trim(), replacement.trim()]);
            path
        })
        .afterwards(|bench| {
            // What the operator's own git shows is the replacement; what was worked on is what the hash says.
            let real = bench.git(&["--no-replace-objects", "show", "factory/run-1^:answer.txt"]);
            assert_eq!(real, "41\n");
        }),
        Kind::new("a grafted history", |bench| {
            let path = bench.small();
            bench.commit("Second");
            let head = bench.git(&["rev-parse", "HEAD"]);
            bench.write(".git/info/grafts", &head);
            path
        }),
        Kind::new("a corrupt object in the tree", |bench| {
            let path = bench.small();
            let id = bench.git(&["rev-parse", "HEAD:answer.txt"]);
            let object = format!(".git/objects/{}/{}", &id[..2], id[2..].trim());
            fs::remove_file(bench.at("repository").join(&object)).unwrap();
            path
        }),
    ]
}

/// Makes a server with two commits and clones it.
fn clone(bench: &Bench, options: &[&str]) -> PathBuf {
    bench.small();
    bench.write("folder/file", "in a folder\n");
    bench.commit("Second");
    fs::rename(bench.at("repository"), bench.at("server")).unwrap();
    bench.git_in("server", &["config", "uploadpack.allowFilter", "true"]);
    bench.git_in("server", &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let url = format!("file://{}", bench.at("server").display());
    let target = bench.at("repository");
    let mut arguments = vec!["clone", "--quiet"];
    arguments.extend(options);
    arguments.extend([url.as_str(), target.to_str().unwrap()]);
    bench.git_in("", &arguments);
    target
}

fn init(bench: &Bench, options: &[&str]) -> PathBuf {
    let path = bench.at("repository");
    fs::create_dir(&path).unwrap();
    let mut arguments = vec!["init", "--quiet", "--initial-branch=main"];
    arguments.extend(options);
    bench.git(&arguments);
    for (name, content) in crate::workshop::small_repository() {
        bench.write(name, content);
    }
    bench.commit("base");
    path
}
