//! Paths that must be denied, each beside a harmless one that must work. Every way to a file is tried with each: the
//! tools, the handle beneath them, and the appliers of edits.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use factory_core::llm::ToolCall;
use factory_core::tools::{self, Prepared};
use factory_core::workspace::edit::parse_patch;
use factory_core::workspace::{Executable, Files, RepoPath};
use serde_json::{Value, json};

/// A checkout beside a folder that nobody may touch.
struct Ground {
    dir: tempfile::TempDir,
    files: Files,
}

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["proj/src", "proj-evil", "outside"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for (name, text) in [
            ("proj/src/a.txt", "inside\n"),
            ("outside/secret", "secret\n"),
            ("proj-evil/x", "evil\n"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let files = Files::open(&dir.path().join("proj")).unwrap();
        Self { dir, files }
    }

    fn proj(&self, name: &str) -> PathBuf {
        self.dir.path().join("proj").join(name)
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    /// Calls a tool and carries out what it prepares; the code of the denial, `refused`, or `done`.
    fn call(&self, name: &str, arguments: &Value) -> &'static str {
        let call = ToolCall {
            id: "1".to_owned(),
            name: name.to_owned(),
            arguments: arguments.to_string(),
        };
        match tools::prepare(&self.files, &|_| 0, &call) {
            Prepared::Refused(refusal) => {
                assert!(
                    !refusal.text.chars().any(|c| c.is_control() && c != '\n'),
                    "{:?}",
                    refusal.text
                );
                assert_eq!(refusal.summary.lines().count(), 1);
                refusal.denied.unwrap_or("refused")
            }
            Prepared::Write(request) => match tools::write(&self.files, &request.files) {
                Ok(()) => "done",
                Err(error) => error.denial().unwrap_or("refused"),
            },
            Prepared::Read(request) => {
                let outcome = tools::read(&self.files, &request);
                assert!(!outcome.text.contains("secret\n"), "{}", outcome.text);
                outcome
                    .denied
                    .unwrap_or(if outcome.ok { "done" } else { "refused" })
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Tries every tool that changes a path, and returns the answers that differ.
    fn every_tool(&self, path: &str) -> Vec<&'static str> {
        let enveloped =
            |section: &str| json!({ "patch": format!("*** Begin Patch\n{section}\n*** End Patch") });
        let mut answers = vec![
            self.call("write_file", &json!({"path": path, "content": "x"})),
            self.call(
                "edit_file",
                &json!({"path": path, "edits": [{"search": "secret", "replace": "x"}]}),
            ),
            self.call("delete_file", &json!({"path": path})),
            self.call("move_file", &json!({"from": path, "to": "moved"})),
            self.call("move_file", &json!({"from": "src/a.txt", "to": path})),
        ];
        // A patch is made of lines, and its names are trimmed: what cannot be written in it is not tried in it.
        if !path.contains(['\n', '\r']) && path.trim() == path {
            for section in [
                format!("*** Add File: {path}\n+x"),
                format!("*** Delete File: {path}"),
                format!("*** Update File: {path}\n-secret\n+x"),
                format!("*** Update File: src/a.txt\n*** Move to: {path}\n-inside\n+x"),
            ] {
                answers.push(self.call("apply_patch", &enveloped(&section)));
            }
        }
        answers.sort_unstable();
        answers.dedup();
        answers
    }

    /// Tries every tool that looks at a path, and returns the answers that differ.
    fn every_reader(&self, path: &str) -> Vec<&'static str> {
        let mut answers = vec![
            self.call("read_file", &json!({"path": path})),
            self.call("search", &json!({"pattern": "s", "path": path})),
            self.call("list_files", &json!({"path": path})),
        ];
        answers.sort_unstable();
        answers.dedup();
        answers
    }

    /// Fails unless everything outside, and the one file inside, is as it was made.
    fn assert_untouched(&self) {
        assert_eq!(names(self.dir.path()), ["outside", "proj", "proj-evil"]);
        assert_eq!(names(&self.outside()), ["secret"]);
        assert_eq!(text(&self.outside().join("secret")), "secret\n");
        let mode = std::fs::metadata(self.outside().join("secret"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0);
        assert_eq!(text(&self.dir.path().join("proj-evil/x")), "evil\n");
        assert_eq!(text(&self.proj("src/a.txt")), "inside\n");
    }
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

#[test]
fn h01_h02_h14_h15_paths_that_lead_out() {
    let ground = Ground::new();
    let evil = ground.dir.path().join("proj-evil/x").display().to_string();
    let plain = r"../x a/../../x ./../x a//..//../x src/../../outside/secret /etc/cron.d/x ~/x $HOME/x \\srv\x ..\x
        file:///etc/passwd C:\x C:x ../proj-evil/x proj/../../proj-evil/x /factory/checkout/../x
        /factory/checkout-evil/x";
    for bad in plain.split_whitespace().chain([&evil[..]]) {
        // In a patch the sandbox's own prefix is not taken off, which refuses it all the same.
        assert_eq!(ground.every_tool(bad), ["path_escape"], "{bad}");
        assert_eq!(ground.every_reader(bad), ["path_escape"], "{bad}");
    }
    ground.assert_untouched();
    assert_eq!(names(&ground.proj("")), ["src"]);
}

#[test]
fn h01_h02_h14_harmless_twins() {
    let ground = Ground::new();
    let plain = "x ./y a/b/x etc/cron.d/x home~/x routes/$id.tsx file/etc/passwd proj-evil/x ..x/...y";
    for good in plain.split_whitespace() {
        assert_eq!(
            ground.call("write_file", &json!({"path": good, "content": "x"})),
            "done",
            "{good}"
        );
        assert_eq!(text(&ground.proj(good.trim_start_matches("./"))), "x", "{good}");
        assert_eq!(
            ground.call("delete_file", &json!({"path": good})),
            "done",
            "{good}"
        );
    }
    ground.assert_untouched();
}

#[test]
fn h03_h15_a_link_is_not_written_over_nor_through() {
    let ground = Ground::new();
    symlink(ground.outside(), ground.proj("link")).unwrap();
    symlink(ground.outside().join("secret"), ground.proj("file-link")).unwrap();
    symlink(ground.outside().join("absent"), ground.proj("dangling")).unwrap();
    symlink("../outside/secret", ground.proj("relative")).unwrap();
    symlink("src", ground.proj("inner")).unwrap();
    for bad in [
        "link/secret",
        "link/new",
        "link",
        "file-link",
        "dangling",
        "relative",
        "inner/a.txt",
        "inner",
    ] {
        assert_eq!(ground.every_tool(bad), ["symlink"], "{bad}");
    }
    for bad in ["link/secret", "file-link", "relative"] {
        assert_eq!(
            ground.call("read_file", &json!({"path": bad})),
            "path_escape",
            "{bad}"
        );
    }
    assert_eq!(ground.call("list_files", &json!({"path": "link"})), "symlink");
    assert_eq!(
        ground.call("search", &json!({"pattern": "secret"})),
        "done",
        "what is behind links is not searched"
    );
    assert_eq!(std::fs::read_link(ground.proj("link")).unwrap(), ground.outside());
    assert_eq!(
        std::fs::read_link(ground.proj("dangling")).unwrap(),
        ground.outside().join("absent")
    );
    // The harmless twins: a link that stays inside is read, the real file is written.
    assert_eq!(ground.call("read_file", &json!({"path": "inner/a.txt"})), "done");
    ground.assert_untouched();
    assert_eq!(
        ground.call("write_file", &json!({"path": "src/a.txt", "content": "new"})),
        "done"
    );
}

#[test]
fn h04_chains_and_loops_of_links_end() {
    let ground = Ground::new();
    symlink("loop-b", ground.proj("loop-a")).unwrap();
    symlink("loop-a", ground.proj("loop-b")).unwrap();
    symlink("a.txt", ground.proj("src/chain-0")).unwrap();
    for number in 1..=41 {
        symlink(
            format!("chain-{}", number - 1),
            ground.proj(&format!("src/chain-{number}")),
        )
        .unwrap();
    }
    for bad in ["loop-a", "loop-a/x", "src/chain-41"] {
        assert_eq!(ground.every_tool(bad), ["symlink"], "{bad}");
        assert_eq!(
            ground.call("read_file", &json!({"path": bad})),
            "symlink_loop",
            "{bad}"
        );
        let error = ground.files.read(&path(bad), 10).unwrap_err().to_string();
        assert_eq!(error, format!("`{bad}`: too many levels of symbolic links"));
    }
    assert_eq!(ground.call("read_file", &json!({"path": "src/chain-5"})), "done");
    ground.assert_untouched();
}

#[test]
fn h06_a_folder_swapped_for_a_link_leads_nowhere() {
    let ground = Ground::new();
    std::fs::create_dir(ground.proj("dir")).unwrap();
    std::fs::write(ground.proj("dir/kept"), "").unwrap();
    symlink(ground.outside(), ground.proj("swap")).unwrap();
    let proj = std::fs::File::open(ground.proj("")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                rustix::fs::renameat_with(&proj, "dir", &proj, "swap", flags).unwrap();
            }
        });
        for round in 0..3000 {
            let name = path(&format!("dir/new-{}", round % 7));
            if let Err(error) = ground.files.write(&name, b"x", Executable::Keep) {
                // Not asserted within the scope: a panic here would leave the other thread running.
                if !matches!(error.code(), "symlink" | "moved" | "path_escape" | "not_a_folder") {
                    eprintln!("unexpected: {error}");
                    std::process::abort();
                }
            }
            if ground.files.read(&path("dir/secret"), 10).is_ok() {
                eprintln!("read outside");
                std::process::abort();
            }
            let _ = ground.files.delete(&path("dir/secret"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    ground.assert_untouched();
}

#[test]
fn h07_a_folder_moved_away_leads_nowhere() {
    let ground = Ground::new();
    let away = tempfile::tempdir().unwrap();
    std::fs::create_dir(ground.proj("dir")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (inside, moved) = (ground.proj("dir"), away.path().join("dir"));
            while !stop.load(Ordering::Relaxed) {
                let _ = std::fs::rename(&inside, &moved);
                // Where the checkout made a folder of its own meanwhile, that one stays.
                if std::fs::rename(&moved, &inside).is_err() {
                    let _ = std::fs::remove_dir_all(&moved);
                }
            }
        });
        for _ in 0..500 {
            let _ = ground.files.write(&path("dir/new"), b"x", Executable::Keep);
        }
        stop.store(true, Ordering::Relaxed);
    });
    ground.assert_untouched();
}

#[test]
fn h09_what_is_no_file_is_refused_at_once() {
    let ground = Ground::new();
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        ground.proj("fifo"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    let _listener = UnixListener::bind(ground.proj("socket")).unwrap();
    symlink("/proc/self/environ", ground.proj("magic")).unwrap();
    symlink("/dev/zero", ground.proj("zero")).unwrap();
    symlink("fifo", ground.proj("fifo-link")).unwrap();
    for bad in ["fifo", "socket"] {
        assert_eq!(ground.every_tool(bad), ["refused"], "{bad}");
        assert_eq!(
            ground.call("read_file", &json!({"path": bad})),
            "refused",
            "{bad}"
        );
        assert_eq!(
            ground.files.read(&path(bad), 10).unwrap_err().code(),
            "not_a_file"
        );
        assert_eq!(ground.files.hash(&path(bad)).unwrap_err().code(), "not_a_file");
    }
    assert_eq!(
        ground.files.read(&path("fifo-link"), 10).unwrap_err().code(),
        "not_a_file"
    );
    for bad in ["magic", "zero"] {
        assert_eq!(
            ground.call("read_file", &json!({"path": bad})),
            "path_escape",
            "{bad}"
        );
        assert_eq!(ground.every_tool(bad), ["symlink"], "{bad}");
    }
    assert_eq!(
        ground.call("search", &json!({"pattern": "x"})),
        "done",
        "a pipe is not waited for"
    );
    assert_eq!(ground.call("list_files", &json!({})), "done");
    std::fs::write(ground.proj("plain"), "x").unwrap();
    assert_eq!(ground.call("read_file", &json!({"path": "plain"})), "done");
    // Devices and magic links by their own names, where the folder itself is theirs.
    let devices = Files::open(Path::new("/dev")).unwrap();
    assert_eq!(devices.read(&path("zero"), 10).unwrap_err().code(), "not_a_file");
    let process = Files::open(Path::new("/proc/self")).unwrap();
    assert!(process.read(&path("root/etc/passwd"), 10).is_err());
    assert!(process.read(&path("cwd/Cargo.toml"), 10).is_err());
    ground.assert_untouched();
}

#[test]
fn h11_control_characters_and_long_names() {
    let ground = Ground::new();
    for bad in ["a\0b", "a\nb", "a\rb", "a\u{1b}[2Jb", "a\u{202e}b", "a\u{85}b"] {
        assert_eq!(ground.every_tool(bad), ["path_control_character"], "{bad:?}");
        assert_eq!(ground.every_reader(bad), ["path_control_character"], "{bad:?}");
    }
    for bad in [&"n".repeat(256), &"n/".repeat(2500)] {
        assert_eq!(ground.every_tool(bad), ["refused"]);
    }
    let lone_surrogate = ToolCall {
        id: "1".to_owned(),
        name: "write_file".to_owned(),
        arguments: r#"{"path":"a\ud800b","content":""}"#.to_owned(),
    };
    assert!(matches!(
        tools::prepare(&ground.files, &|_| 0, &lone_surrogate),
        Prepared::Refused(_)
    ));
    assert_eq!(names(&ground.proj("")), ["src"]);
    for good in ["n".repeat(255), "日本/ä b.txt".to_owned()] {
        assert_eq!(
            ground.call("write_file", &json!({"path": good, "content": "x"})),
            "done"
        );
    }
    ground.assert_untouched();
}

#[test]
fn h12_names_that_read_as_git() {
    let ground = Ground::new();
    std::fs::create_dir(ground.proj(".git")).unwrap();
    std::fs::write(ground.proj(".git/config"), "[core]\n").unwrap();
    let plain = "\
        .git|.git/config|.GIT/config|.Git|.git |.git.|GIT~1|git~1/config|.git::$INDEX_ALLOCATION|\
        .git::$INDEX_ALLOCATION/config|.g\u{200c}it|.git\u{feff}/x|src/.git/hooks/pre-commit|./.git/HEAD";
    for bad in plain.split('|') {
        assert_eq!(ground.every_tool(bad), ["git_directory"], "{bad}");
        assert_eq!(ground.every_reader(bad), ["git_directory"], "{bad}");
    }
    assert_eq!(text(&ground.proj(".git/config")), "[core]\n");
    assert_eq!(
        ground.files.list(None, 10).unwrap().entries.len(),
        1,
        "what git owns is not listed"
    );
    for good in ".gitignore .github/x git git~x a.git .gitattributes".split(' ') {
        assert_eq!(
            ground.call("write_file", &json!({"path": good, "content": "x"})),
            "done",
            "{good}"
        );
    }
    ground.assert_untouched();
}

#[test]
fn h17_hostile_patches_change_nothing() {
    let ground = Ground::new();
    let huge = format!(
        "*** Begin Patch\n*** Update File: src/a.txt\nGIT binary patch\n{}",
        "z".repeat(5 << 20)
    );
    let update = |body: &str| format!("*** Begin Patch\n*** Update File: src/a.txt\n{body}\n*** End Patch");
    let add = |name: &str| format!("*** Add File: {name}\n+x\n");
    for (patch, code) in [
        (
            "--- /dev/null\n+++ ../../x\n@@ -0,0 +1 @@\n+x\n".to_owned(),
            "path_escape",
        ),
        (
            "diff --git a/src/a.txt b/x\nrename from src/a.txt\nrename to /abs\n".to_owned(),
            "path_escape",
        ),
        (
            "diff --git a/src/a.txt b/src/a.txt\nold mode 100644\nnew mode 120000\n".to_owned(),
            "refused",
        ),
        (
            "--- a/src/a.txt\n+++ b/.git/config\n@@ -1 +1 @@\n-inside\n+x\n".to_owned(),
            "refused",
        ),
        (
            "--- a/.git/config\n+++ b/.git/config\n@@ -1 +1 @@\n-inside\n+x\n".to_owned(),
            "git_directory",
        ),
        (
            format!("*** Begin Patch\n{}{}*** End Patch", add("good"), add("../../x")),
            "path_escape",
        ),
        (update("*** Move to: /abs\n-inside\n+x"), "path_escape"),
        (update("new mode 120000\n-inside\n+/etc/passwd"), "refused"),
        (huge, "refused"),
        (
            update("@@ -1,9223372036854775808 +1,9223372036854775808 @@\n-absent\n+x"),
            "refused",
        ),
        (update("@@\n-inside\n+x\n@@\n-inside\n+y"), "refused"),
        (
            format!(
                "{}\n*** Begin Patch\n{}*** End Patch",
                update("-inside\n+x"),
                add("y")
            ),
            "refused",
        ),
        (
            "*** Begin Patch\n*** Update File: src/a.txt\n-inside\n+x\n*** Upd".to_owned(),
            "refused",
        ),
        (
            format!(
                "*** Begin Patch\n{}*** Update File: absent\n-a\n+b\n*** End Patch",
                add("good")
            ),
            "refused",
        ),
    ] {
        assert_eq!(
            ground.call("apply_patch", &json!({ "patch": patch })),
            code,
            "{}",
            &patch[..patch.len().min(99)]
        );
        assert_eq!(names(&ground.proj("")), ["src"]);
        ground.assert_untouched();
    }
    let many = update(&"@@\n-a\n+b\n".repeat(100_000));
    assert!(
        parse_patch(&many)
            .unwrap_err()
            .to_string()
            .contains("more than 500 hunks")
    );
    // The harmless twin: wrong line numbers do not matter.
    let twin = update("@@ -77,5 +80,9 @@\n-inside\n+x");
    assert_eq!(ground.call("apply_patch", &json!({ "patch": twin })), "done");
    assert_eq!(text(&ground.proj("src/a.txt")), "x\n");
}
