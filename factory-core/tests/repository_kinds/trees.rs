//! Kinds by what the tree holds: what a run does not change comes out of it byte by byte.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::bench::{Bench, Kind};

/// What stands in a tree for a large file that Git LFS keeps elsewhere.
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

pub(crate) fn kinds() -> Vec<Kind> {
    vec![
        Kind::new("submodules, initialised", |bench| {
            module(bench);
            with_submodule(bench)
        }),
        Kind::new("submodules, not initialised", |bench| {
            module(bench);
            let path = with_submodule(bench);
            bench.git(&["submodule", "--quiet", "deinit", "--force", "--all"]);
            path
        }),
        Kind::new("Git LFS pointers", |bench| {
            let path = bench.small();
            bench.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
            bench.write("large.bin", POINTER);
            bench.git(&["add", "--all"]);
            bench.git(&["commit", "--quiet", "--message=Pointers"]);
            // As the operator sees it: the large file itself.
            bench.write("large.bin", vec![7; 12_345]);
            path
        })
        .afterwards(|bench| assert_eq!(bench.git(&["show", "factory/run-1:large.bin"]), POINTER)),
        Kind::new("names of every sort", |bench| {
            let path = bench.small();
            for name in NAMES {
                let file = path.join("names").join(OsStr::from_bytes(name));
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "x").unwrap();
            }
            bench.commit("Names");
            path
        })
        .afterwards(|bench| {
            let listed = bench.git(&["ls-tree", "-r", "--name-only", "factory/run-1", "names/"]);
            assert_eq!(listed.lines().count(), NAMES.len(), "{listed}");
        }),
        Kind::new("links, also such that lead nowhere or out", |bench| {
            let path = bench.small();
            for (name, target) in [
                ("here", "answer.txt"),
                ("nowhere", "gone"),
                ("out", "/etc/passwd"),
                ("up", ".."),
            ] {
                symlink(target, path.join(name)).unwrap();
            }
            bench.commit("Links");
            path
        }),
        Kind::new("line ends by attributes and core.autocrlf", |bench| {
            let path = bench.small();
            bench.git(&["config", "core.autocrlf", "true"]);
            bench.write(".gitattributes", "*.bat text eol=crlf\nraw.* -text\n");
            bench.write("run.bat", "one\r\ntwo\r\n");
            bench.write("raw.txt", "one\r\ntwo\n");
            bench.write("plain.txt", "one\r\ntwo\r\n");
            bench.commit("Line ends");
            path
        })
        .afterwards(|bench| {
            let show = |name: &str| bench.git(&["show", &format!("factory/run-1:{name}")]);
            assert_eq!(show("run.bat"), "one\ntwo\n");
            assert_eq!(show("raw.txt"), "one\r\ntwo\n");
            assert_eq!(show("plain.txt"), "one\ntwo\n");
        }),
        Kind::new(
            "core.fileMode=false, with programs that are not executable on disk",
            |bench| {
                let path = bench.small();
                bench.write("tool", "#!/bin/sh\n");
                fs::set_permissions(path.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
                bench.commit("Tool");
                bench.git(&["config", "core.fileMode", "false"]);
                fs::set_permissions(path.join("tool"), fs::Permissions::from_mode(0o644)).unwrap();
                path
            },
        )
        .afterwards(|bench| {
            let listed = bench.git(&["ls-tree", "factory/run-1", "tool"]);
            assert!(listed.starts_with("100755 "), "{listed}");
        }),
        Kind::new(
            "ignored files that are tracked, and a repository within",
            |bench| {
                let path = bench.small();
                bench.write("ignored/tracked", "x");
                bench.git(&["add", "--force", "ignored/tracked"]);
                bench.git(&["commit", "--quiet", "--message=Tracked"]);
                fs::create_dir(bench.at("repository/within")).unwrap();
                bench.git_in("repository/within", &["init", "--quiet"]);
                path
            },
        ),
    ]
}

/// Names with spaces, dashes, line ends, quotes, bytes that are no UTF-8, and one letter in both of its forms.
const NAMES: [&[u8]; 12] = [
    b"with space",
    b" leading",
    b"trailing ",
    b"-rf",
    b"--output=x",
    b"new\nline",
    b"quote\"and'both",
    b"back\\slash",
    b"not-utf8-\xff\xfe",
    "nfc-\u{e9}".as_bytes(),
    "nfd-e\u{301}".as_bytes(),
    b":(top)magic*?[x]",
];

fn module(bench: &Bench) {
    bench.small();
    fs::rename(bench.at("repository"), bench.at("module")).unwrap();
}

/// Makes a repository with the module as a submodule.
pub(crate) fn with_submodule(bench: &Bench) -> std::path::PathBuf {
    let path = bench.small();
    let module = bench.at("module");
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    let arguments: Vec<&str> = add
        .into_iter()
        .chain([module.to_str().unwrap(), "module"])
        .collect();
    bench.git(&arguments);
    bench.commit("Submodule");
    path
}
