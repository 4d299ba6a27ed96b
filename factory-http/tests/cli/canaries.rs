//! A repository whose every way to run a program is a canary: each is seen to fire under plain git, and none does in a
//! whole run; and of the repository nothing changes but the new branch.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{CHECK, Place, code, files, path, told};

/// Every hook that git knows.
const HOOKS: [&str; 27] = [
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "proc-receive",
    "push-to-checkout",
    "reference-transaction",
    "sendemail-validate",
    "update",
    "p4-changelist",
    "p4-pre-submit",
    "p4-prepare-changelist",
];

/// Writes a program that says its name in the folder of what was fired, and passes its input through.
fn canary(place: &Place, name: &str) -> PathBuf {
    let program = place.path("canaries").join(name);
    let fired = place.path("fired").join(name);
    let text = format!(
        "#!/bin/sh\necho fired >> '{}'\n[ ! -t 0 ] && cat || true\n",
        fired.display()
    );
    std::fs::write(&program, text).unwrap();
    executable(&program);
    program
}

fn executable(program: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Returns which canaries have fired since this was asked last.
fn fired(place: &Place) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(place.path("fired")).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        std::fs::remove_file(entry.path()).unwrap();
    }
    names.sort();
    names
}

/// Sets canaries wherever the repository's configuration names a program.
fn set_canaries(place: &Place) {
    for folder in ["canaries", "fired"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    let hooks = place.repository().join(".git/hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for hook in HOOKS {
        let text = std::fs::read(canary(place, hook)).unwrap();
        std::fs::write(hooks.join(hook), text).unwrap();
        executable(&hooks.join(hook));
    }
    let set = |key: &str, name: &str| {
        let program = canary(place, name);
        place.git(&["config", key, path(&program)]);
    };
    set("filter.bird.clean", "clean");
    set("filter.bird.smudge", "smudge");
    set("diff.bird.textconv", "textconv");
    set("diff.external", "external");
    set("core.fsmonitor", "fsmonitor");
    set("core.pager", "pager");
    set("core.editor", "editor");
    set("core.sshCommand", "ssh");
    set("gpg.program", "gpg");
    set("merge.bird.driver", "merge-driver");
    set("uploadpack.packObjectsHook", "pack-objects");
    let shell = format!("!{}", canary(place, "alias").display());
    for alias in ["st", "hash", "show-ref2"] {
        place.git(&["config", &format!("alias.{alias}"), &shell]);
    }
    place.git(&["config", "commit.gpgSign", "true"]);
    std::fs::write(
        place.repository().join(".gitattributes"),
        "*.md filter=bird diff=bird merge=bird\n",
    )
    .unwrap();
}

/// Everything of the repository but refs of the factory and the objects that came with them.
fn state(place: &Place) -> (BTreeMap<PathBuf, Vec<u8>>, String) {
    let objects = place.repository().join(".git/objects");
    let ours = |file: &Path| {
        let text = file.to_string_lossy();
        text.contains(".git/refs/heads/factory") || text.contains(".git/logs/refs/heads/factory")
    };
    let mut kept = files(&place.repository());
    kept.retain(|file, _| !file.starts_with(&objects) && !ours(file));
    let refs = std::process::Command::new("git")
        .arg("-C")
        .arg(place.repository())
        .args(["-c", "core.fsmonitor=false", "for-each-ref"])
        .output()
        .unwrap();
    let refs = String::from_utf8(refs.stdout).unwrap();
    let refs = refs.lines().filter(|line| !line.contains("refs/heads/factory/"));
    (kept, refs.collect::<Vec<_>>().join("\n"))
}

#[test]
fn nothing_of_the_repository_runs_and_nothing_of_it_changes() {
    let place = Place::with_project();
    let model = place.model("quick", "true");
    set_canaries(&place);
    // Each kind is seen to fire, or its silence would prove nothing.
    let plain = |arguments: &[&str]| {
        std::process::Command::new("git")
            .arg("-C")
            .arg(place.repository())
            .args(["-c", "user.name=Ann", "-c", "user.email=ann@localhost"])
            .args(arguments)
            .output()
            .unwrap()
    };
    plain(&["add", "--all"]);
    plain(&["commit", "--no-gpg-sign", "-m", "With attributes"]);
    std::fs::write(place.repository().join("README.md"), "# Changed\n").unwrap();
    plain(&["diff"]);
    plain(&["diff", "--no-ext-diff"]);
    plain(&["checkout", "--", "README.md"]);
    plain(&["st"]);
    plain(&["commit", "--allow-empty", "-m", "Signed"]);
    let seen = fired(&place);
    for name in [
        "alias",
        "clean",
        "commit-msg",
        "external",
        "fsmonitor",
        "gpg",
        "post-commit",
        "post-index-change",
        "pre-commit",
        "prepare-commit-msg",
        "reference-transaction",
        "smudge",
        "textconv",
    ] {
        assert!(
            seen.iter().any(|fired| fired == name),
            "{name} did not fire under plain git: {seen:?}"
        );
    }
    std::fs::write(place.repository().join("uncommitted.txt"), "mine\n").unwrap();
    let before = state(&place);
    fired(&place);

    let run = place.factory(&["run", "sample", "goal", "--model", &model, "--yes"]);
    assert_eq!(code(&run), 0, "{}", told(&run));
    for arguments in [
        &["diff", "1"][..],
        &["show", "1"],
        &["project", "show", "sample"],
        &["doctor"],
        &["project", "set", "sample", "--check", CHECK, "--check", "true"],
    ] {
        // The model of runs that name none is what doctor looks at.
        let output = place
            .command(arguments)
            .env("FACTORY_MODEL", &model)
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{arguments:?}: {}", told(&output));
    }
    assert_eq!(fired(&place), Vec::<String>::new());
    let after = state(&place);
    assert_eq!(after.1, before.1);
    let changed: Vec<_> = after
        .0
        .iter()
        .filter(|(file, content)| before.0.get(*file) != Some(content))
        .map(|(file, _)| file)
        .collect();
    assert_eq!(changed, Vec::<&PathBuf>::new());
    assert_eq!(after.0.len(), before.0.len(), "nothing is taken away");
    let branch = place.repository().join(".git/refs/heads/factory/run-1");
    assert!(branch.exists());
}
