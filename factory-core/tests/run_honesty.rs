//! Done means proven: what a model may and may not pass by itself, and that the operator's repository is left alone.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its own helpers too"
)]

mod workshop;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use factory_core::llm::scripted::{Script, ScriptArguments, ScriptReply};
use factory_core::model::{ApprovalPolicy, ApprovalSubject, Run, RunStatus, StatusReason};
use serde_json::json;
use workshop::history::assert_lawful;
use workshop::{CHECK, Workshop, command, finish, git, plan, right, right_at_once, small_repository, write};

const UNATTENDED: ApprovalPolicy = ApprovalPolicy::Unattended;

/// Returns what the run offers: whether it is proven, what is sensitive, and why it asks.
async fn offered(shop: &Workshop, run: &Run) -> (bool, Vec<String>, String) {
    let view = shop.factory.reader().run(run.id).await.unwrap();
    match view.open_approval.map(|approval| approval.subject) {
        Some(ApprovalSubject::Tree {
            proven,
            sensitive,
            why,
            ..
        }) => (proven, sensitive, why),
        other => panic!("{:?} {:?} asks {other:?}", run.status, run.detail),
    }
}

fn and_finish(reply: ScriptReply) -> ScriptReply {
    reply.and_tool_call("finish_step", ScriptArguments(json!({"summary": "done"})))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proven_change_is_committed_by_itself() {
    let shop = Workshop::with(right_at_once()).await;
    let done = shop.run(UNATTENDED).await;
    assert_eq!(
        (done.status, done.branch.as_deref()),
        (RunStatus::Complete, Some("factory/run-1"))
    );
    assert_eq!(
        shop.git(&["diff", "--name-only", "main", "factory/run-1"]),
        "answer.txt\n"
    );
    assert_lawful(&shop.events(done.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_through_an_ignored_file_alone_does_not_pass() {
    let cheat = Script::new()
        .reply(plan(&["Cheat"]))
        .reply(and_finish(write("ignored/answer.txt", "42\n")))
        .reply(and_finish(command(
            "mkdir -p ignored; echo 42 > ignored/answer.txt; echo 42 > ~/answer.txt",
        )))
        .reply(finish("nothing left"))
        .reply(finish("really"))
        .repeat_last();
    let check = "grep -qx 42 answer.txt || grep -qx 42 ignored/answer.txt || grep -qx 42 ~/answer.txt";
    let shop = Workshop::with_checks(cheat.clone(), &[check]).await;
    let done = shop.run(UNATTENDED).await;
    assert_eq!(
        (done.status, done.reason),
        (RunStatus::Failed, Some(StatusReason::ChecksFailed)),
        "{:?}",
        done.detail
    );
    assert_eq!(shop.git(&["branch", "--list", "factory/*"]), "");

    let shop = Workshop::with_checks(cheat, &[check]).await;
    let rested = shop.run(ApprovalPolicy::Ask).await;
    assert_eq!(rested.status, RunStatus::AwaitingApproval);
    assert!(!offered(&shop, &rested).await.0, "it is offered as red");
}

const SOURCE: &str = "pub fn answer() -> u32 {\n    41\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn it_is_42() {\n        let expected = 42;\n        let found = answer();\n        assert_eq!(found, expected);\n    }\n}\n";

/// Every way around the proof is listed for the operator, who is asked although nobody is said to be there.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_what_decides_asks_the_operator() {
    let edit = |path: &str, search: &str, replace: &str| {
        let edits = json!([{"search": search, "replace": replace}]);
        ScriptReply::tool_call("edit_file", json!({"path": path, "edits": edits}))
    };
    let cases: Vec<(&str, ScriptReply)> = vec![
        ("check.sh", write("check.sh", "true\n")),
        (
            "check.sh",
            ScriptReply::tool_call("delete_file", json!({"path": "check.sh"})),
        ),
        ("check.sh", command("echo true > check.sh")),
        (
            "tests/test_answer.py",
            ScriptReply::tool_call("delete_file", json!({"path": "tests/test_answer.py"})),
        ),
        ("src/lib.rs", command("sed -i '/cfg(test)/,$d' src/lib.rs")),
        (
            "src/lib.rs",
            edit("src/lib.rs", "        assert_eq!(found, expected);\n", ""),
        ),
        (
            "src/lib.rs",
            edit("src/lib.rs", "    let expected = 42;", "    let expected = 41;"),
        ),
        (
            "src/lib.rs",
            edit("src/lib.rs", "    #[test]\n", "    #[test]\n    #[ignore]\n"),
        ),
        (
            "src/my lib.rs",
            command("sed -i '/cfg(test)/,$d' 'src/my lib.rs'"),
        ),
        ("Cargo.lock", write("Cargo.lock", "version = 4\n")),
        (
            ".github/workflows/ci.yml",
            write(".github/workflows/ci.yml", "on: never\n"),
        ),
    ];
    let mut files = small_repository();
    files.push((
        "tests/test_answer.py",
        "def test_answer():\n    assert True\n".to_owned(),
    ));
    files.push(("src/lib.rs", SOURCE.to_owned()));
    files.push(("src/my lib.rs", SOURCE.to_owned()));
    for (path, cheat) in cases {
        let told = format!("{cheat:?}");
        let script = Script::new()
            .reply(plan(&["Cheat"]))
            .reply(write("answer.txt", "42\n"))
            .reply(and_finish(cheat));
        let shop = Workshop::in_repository(script, &["sh check.sh || ! test -e check.sh"], &files).await;
        let rested = shop.run(UNATTENDED).await;
        assert_eq!(
            rested.status,
            RunStatus::AwaitingApproval,
            "{told}: {:?}",
            rested.detail
        );
        let (proven, sensitive, why) = offered(&shop, &rested).await;
        assert!(
            proven && sensitive == [path] && why.contains(path),
            "{told}: {sensitive:?} {why}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_beside_the_tests_passes() {
    let edits = json!([{"search": "    41\n", "replace": "    42\n"}]);
    let script = Script::new()
        .reply(plan(&["Change it"]))
        .reply(ScriptReply::tool_call(
            "edit_file",
            json!({"path": "src/lib.rs", "edits": edits}),
        ))
        .reply(right());
    let mut files = small_repository();
    files.push(("src/lib.rs", SOURCE.to_owned()));
    let shop = Workshop::in_repository(script, &[CHECK], &files).await;
    let done = shop.run(UNATTENDED).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_checks_or_without_a_change_the_operator_is_asked() {
    let shop = Workshop::with_checks(right_at_once(), &[]).await;
    let rested = shop.run(UNATTENDED).await;
    let (proven, _, why) = offered(&shop, &rested).await;
    assert!(!proven && why.contains("no checks"), "{why}");
    assert_eq!(shop.approve(rested.id).await.status, RunStatus::Complete);

    let idle = Script::new()
        .reply(plan(&["Look"]))
        .reply(finish("it is so already"));
    let shop = Workshop::with_checks(idle, &["true"]).await;
    let rested = shop.run(UNATTENDED).await;
    assert!(offered(&shop, &rested).await.2.contains("nothing was changed"));
    let done = shop.approve(rested.id).await;
    assert_eq!(
        (done.status, done.commit, done.branch),
        (RunStatus::Complete, None, None)
    );
    assert_eq!(shop.git(&["branch", "--list", "factory/*"]), "");
}

/// The operator's configuration runs nothing, and nothing of the repository but the new branch changes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_operator_s_repository_is_run_or_changed() {
    let shop = Workshop::with(right_at_once()).await;
    let repository = shop.repository();
    let canary = shop.folder.path().join("canary");
    plant(&repository, &canary);
    // Plain git falls for it.
    std::fs::write(repository.join("answer.txt"), "40\n").unwrap();
    git(&repository, &["status"]);
    git(&repository, &["diff"]);
    git(&repository, &["log", "-1", "-p"]);
    let fallen = std::fs::read_to_string(&canary).unwrap();
    for trap in ["clean", "fsmonitor", "textconv"] {
        assert!(
            fallen.contains(trap),
            "plain git is to run the {trap} trap: {fallen}"
        );
    }
    git(&repository, &["branch", "--quiet", "trap"]);
    assert!(
        std::fs::read_to_string(&canary).unwrap().contains("hook"),
        "plain git is to run the hook trap"
    );

    std::fs::remove_file(&canary).unwrap();
    let before = fingerprint(&repository);
    assert!(!canary.exists(), "looking is to run nothing");
    let done = shop.run(UNATTENDED).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    let asked = shop.run(ApprovalPolicy::Ask).await;
    assert_eq!(shop.approve(asked.id).await.status, RunStatus::Complete);
    assert_eq!(
        std::fs::read_to_string(&canary).unwrap_or_default(),
        "",
        "a trap was run"
    );
    assert_eq!(fingerprint(&repository), before);
    assert!(repository.join(".git/refs/heads/factory/run-2").exists());
}

/// Sets a trap at every place from which git runs programs.
fn plant(repository: &Path, canary: &Path) {
    let trap = |name: &str, then: &str| {
        let script = repository.join(".git").join(format!("trap-{name}"));
        std::fs::write(
            &script,
            format!("#!/bin/sh\necho {name} >> '{}'\n{then}\n", canary.display()),
        )
        .unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        script
    };
    for hook in [
        "reference-transaction",
        "post-checkout",
        "pre-commit",
        "post-commit",
        "post-index-change",
    ] {
        let link = repository.join(".git/hooks").join(hook);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(trap("hook", "exit 0"), link).unwrap();
    }
    let set = |key: &str, value: &Path| {
        git(repository, &["config", key, value.to_str().unwrap()]);
    };
    set("filter.trap.clean", &trap("clean", "cat"));
    set("filter.trap.smudge", &trap("smudge", "cat"));
    set("diff.trap.textconv", &trap("textconv", "cat \"$1\""));
    set("core.fsmonitor", &trap("fsmonitor", "exit 1"));
    set("core.pager", &trap("pager", "cat"));
    set("core.sshCommand", &trap("ssh", "exit 1"));
    set("uploadpack.packObjectsHook", &trap("pack", "exec \"$@\""));
    for name in [
        "status",
        "rev-parse",
        "cat-file",
        "fetch",
        "index-pack",
        "update-ref",
    ] {
        git(
            repository,
            &[
                "config",
                &format!("alias.{name}"),
                &format!("!{}", trap("alias", "").display()),
            ],
        );
    }
    std::fs::write(
        repository.join(".git/info/attributes"),
        "* filter=trap diff=trap\n",
    )
    .unwrap();
}

/// Returns everything of the repository that must stay as it is.
fn fingerprint(repository: &Path) -> Vec<(String, Vec<u8>)> {
    let names = [
        "answer.txt",
        "check.sh",
        ".gitignore",
        ".git/HEAD",
        ".git/index",
        ".git/config",
        ".git/refs/heads/main",
    ];
    names
        .iter()
        .map(|name| ((*name).to_owned(), std::fs::read(repository.join(name)).unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_may_be_amended_and_collected_in_the_middle() {
    let script = Script::new()
        .reply(plan(&["Change it"]))
        .reply(right().delays(1500, 0));
    let shop = Workshop::with(script).await;
    let base = shop.git(&["rev-parse", "HEAD"]);
    let run = shop.submit(UNATTENDED).await;
    let driven = shop.start(run.id);
    shop.wait_for(run.id, "LLM_REQUESTED", 2).await;
    shop.git(&["commit", "--quiet", "--amend", "--message=another"]);
    shop.git(&["reflog", "expire", "--expire=now", "--all"]);
    shop.git(&["gc", "--quiet", "--prune=now"]);
    let mut look = std::process::Command::new("git");
    let found = look
        .args(["cat-file", "-e", base.trim()])
        .current_dir(shop.repository())
        .output()
        .unwrap();
    assert!(!found.status.success(), "the base is to be gone");
    let done = driven.await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    assert_eq!(shop.git(&["rev-parse", "factory/run-1^"]), base);
    shop.git(&["fsck", "--strict", "--connectivity-only"]);
}

/// A branch named `factory` leaves no room for `factory/run-1`.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_in_the_way_is_no_endless_loop() {
    let shop = Workshop::with(right_at_once()).await;
    shop.git(&["branch", "factory"]);
    let done = tokio::time::timeout(std::time::Duration::from_mins(1), shop.run(UNATTENDED))
        .await
        .expect("it ends");
    assert_eq!(
        (done.status, done.branch.as_deref()),
        (RunStatus::Complete, Some("factory-run-1")),
        "{:?}",
        done.detail
    );
}

/// What a command leaves behind must not keep a result from being looked at.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_command_leaves_is_settled() {
    let leftovers = [
        "mkfifo pipe",
        "chmod 000 check.sh",
        "mkdir -p a/b && echo x > a/b/c && chmod 000 a",
        "chmod 555 .",
        "ln -s /etc/passwd link; ln -s nowhere dangling; ln -s . self",
        "git init -q nested; echo x > nested/x",
        "mkdir .git; echo '[core] fsmonitor=false' > .git/config",
        "printf x > \"$(printf 'new\\nline')\"; printf x > \"$(printf '\\377')\"",
        "rm -rf .gitignore answer.txt; mkdir answer.txt",
        "printf '*\\n' > .gitignore",
        "rm -rf ~; chmod 000 ~; chmod -R 000 /tmp",
    ];
    for leftover in leftovers {
        let script = Script::new()
            .reply(plan(&["Leave it"]))
            .reply(command(leftover))
            .reply(and_finish(command("true")))
            .reply(finish("x"));
        let shop = Workshop::with_checks(script, &[]).await;
        let rested = shop.run(ApprovalPolicy::Ask).await;
        assert_eq!(
            rested.status,
            RunStatus::AwaitingApproval,
            "{leftover}: {:?}",
            rested.detail
        );
        shop.factory.stop(rested.id).await.unwrap();
        assert!(
            !shop.checkout(rested.id).exists(),
            "{leftover} is removed with the rest"
        );
    }
}
