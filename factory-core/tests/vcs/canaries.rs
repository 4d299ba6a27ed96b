//! Programs that tell when they were run, behind every setting and hook of a repository.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::fixture::{Fixture, write};

/// Programs that leave a file named after themselves when they are run.
pub(crate) struct Canaries {
    folder: PathBuf,
}

impl Canaries {
    pub(crate) fn new(fixture: &Fixture) -> Self {
        let folder = fixture.path().join("canaries");
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    /// Makes a program that sings `name` and then does `then`.
    pub(crate) fn program(&self, name: &str, then: &str) -> String {
        let program = self.folder.join(format!("{name}.sh"));
        write_program(
            &program,
            &format!(": > {}/{name}.sang\n{then}", self.folder.display()),
        );
        program.to_str().unwrap().to_owned()
    }

    /// Returns who has sung since the last question.
    pub(crate) fn sang(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "sang") {
                names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
                fs::remove_file(&path).unwrap();
            }
        }
        names.sort();
        names
    }

    pub(crate) fn configure(&self, fixture: &Fixture, repository: &Path) {
        let set = |name: &str, value: &str| {
            let status = fixture
                .plain_in(repository)
                .args(["config", name, value])
                .status()
                .unwrap();
            assert!(status.success(), "{name}");
        };
        for (key, then) in [
            ("core.fsmonitor", "printf '0\\0/\\0'"),
            ("core.pager", "cat"),
            ("core.editor", "true"),
            ("core.sshCommand", "false"),
            ("core.askPass", "false"),
            ("core.gitProxy", "false"),
            ("core.alternateRefsCommand", "true"),
            ("diff.external", "true"),
            ("diff.evil.command", "true"),
            ("diff.evil.textconv", "cat \"$1\""),
            ("filter.evil.clean", "cat"),
            ("filter.evil.smudge", "cat"),
            ("filter.process.process", "false"),
            ("merge.evil.driver", "true"),
            ("gpg.program", "false"),
            ("gpg.ssh.program", "false"),
            ("uploadpack.packObjectsHook", "exec \"$@\""),
            ("sequence.editor", "true"),
            ("trailer.x.command", "true"),
            ("interactive.diffFilter", "cat"),
            ("man.viewer", "true"),
        ] {
            set(key, &self.program(key, then));
        }
        for name in ["cat-file", "update-ref", "pack-objects", "canary"] {
            set(
                &format!("alias.{name}"),
                &format!("!{}", self.program(&format!("alias.{name}"), "true")),
            );
        }
        // Hooks by configuration, which newer gits know.
        set("hook.evil.command", &self.program("hook.evil", "true"));
        set("hook.evil.event", "reference-transaction");
        set(
            "credential.helper",
            &format!("!{}", self.program("credential.helper", "true")),
        );
        set("commit.gpgSign", "true");
        set("log.showSignature", "true");
        set("url.ext::sh.insteadOf", "https://example.org/");
        set("protocol.ext.allow", "always");
        set("submodule.recurse", "true");
        let included = self.folder.join("included");
        write(
            &included,
            format!("[alias]\n\tincluded = !{}\n", self.program("included", "true")),
        );
        set("include.path", included.to_str().unwrap());
    }

    pub(crate) fn add_hooks(&self, folder: &Path) {
        for hook in [
            "applypatch-msg",
            "pre-commit",
            "pre-merge-commit",
            "prepare-commit-msg",
            "commit-msg",
            "post-commit",
            "pre-rebase",
            "post-checkout",
            "post-merge",
            "pre-push",
            "pre-receive",
            "update",
            "post-receive",
            "post-update",
            "reference-transaction",
            "pre-auto-gc",
            "post-rewrite",
            "post-index-change",
            "fsmonitor-watchman",
            "sendemail-validate",
            "push-to-checkout",
            "proc-receive",
        ] {
            let program = self.program(&format!("hook-{hook}"), "cat > /dev/null; true");
            fs::create_dir_all(folder).unwrap();
            symlink(program, folder.join(hook)).unwrap();
        }
    }
}

/// Writes a program by a process of its own: a descriptor of ours that another thread's child inherits would make
/// the program "busy" for a moment.
pub(crate) fn write_program(file: &Path, script: &str) {
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let mut writer = std::process::Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(file)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    write!(writer.stdin.take().unwrap(), "#!/bin/sh\n{script}\n").unwrap();
    assert!(writer.wait().unwrap().success());
}

/// A repository whose every setting and hook is a canary, with attributes that name them.
pub(crate) fn hostile(fixture: &Fixture) -> Canaries {
    let canaries = Canaries::new(fixture);
    fixture.write(
        ".gitattributes",
        "*.e filter=evil diff=evil merge=evil\n*.p filter=process\n",
    );
    fixture.write("x.e", "one\n");
    fixture.write("y.p", "one\n");
    fixture.commit_all("Second");
    canaries.configure(fixture, &fixture.repository());
    canaries.add_hooks(&fixture.repository().join(".git/hooks"));
    canaries
}
