//! Whole runs through the façade: a scripted model, real git, real sandbox.

mod workshop;

use factory_core::factory::{AddProject, ApproveTree, Submit};
use factory_core::llm::scripted::{Script, ScriptArguments, ScriptReply};
use factory_core::llm::{EndReason, LlmError};
use factory_core::model::{ApprovalPolicy, EventKind, RunSpec, RunStatus};
use factory_core::store::{Page, RunFilter};
use factory_core::vcs::VcsError;
use factory_core::{Error, Factory, Settings};
use serde_json::json;
use workshop::history::{all, assert_lawful, count, names};
use workshop::{Workshop, finish, git, host, make_repository, right, right_at_once, write, wrong_then_right};

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_becomes_an_approved_commit() {
    let shop = Workshop::with(wrong_then_right()).await;
    let before = shop.git(&["rev-parse", "HEAD"]);
    let run = shop.submit(ApprovalPolicy::Ask).await;
    let rested = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    insta::assert_snapshot!(shop.types(run.id).await.join("\n"));
    let tree = shop.offered(run.id).await;
    shop.factory
        .approve(
            run.id,
            ApproveTree {
                tree: tree.clone(),
                message: None,
            },
        )
        .await
        .unwrap();
    let done = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    assert_eq!(done.branch.as_deref(), Some("factory/run-1"));
    assert_eq!(
        shop.git(&["rev-parse", "factory/run-1^{tree}"]).trim(),
        tree.as_str()
    );
    assert_eq!(shop.git(&["show", "factory/run-1:answer.txt"]), "42\n");
    assert_eq!(shop.git(&["rev-parse", "factory/run-1^"]), before);
    assert_eq!(shop.git(&["rev-parse", "HEAD"]), before);
    assert_eq!(shop.git(&["status", "--porcelain"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_tree_that_is_offered_can_be_approved_and_only_once() {
    let shop = Workshop::with(right_at_once()).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    let tree = shop.offered(run.id).await;
    let other = shop.git(&["rev-parse", "HEAD^{tree}"]).trim().parse().unwrap();
    let wrong = shop
        .factory
        .approve(
            run.id,
            ApproveTree {
                tree: other,
                message: None,
            },
        )
        .await;
    assert!(matches!(wrong, Err(Error::Conflict { .. })), "{wrong:?}");
    let message = Some("Answer rightly\n\nAs Ann says.".to_owned());
    let approve = ApproveTree { tree, message };
    // Of many who approve at once one is the first.
    let tries = (0..8).map(|_| shop.factory.approve(run.id, approve.clone()));
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(
        answers.iter().filter(|answer| answer.is_ok()).count(),
        1,
        "{answers:?}"
    );
    let refused = |answer: &Result<_, Error>| {
        matches!(
            answer,
            Err(Error::Conflict { .. } | Error::NotAllowed { .. }) | Ok(_)
        )
    };
    assert!(answers.iter().all(refused), "{answers:?}");
    assert_eq!(
        shop.factory.drive(run.id).await.unwrap().status,
        RunStatus::Complete
    );
    assert_eq!(
        shop.git(&["log", "-1", "--format=%B", "factory/run-1"]).trim(),
        "Answer rightly\n\nAs Ann says."
    );
    assert_eq!(count(&shop.events(run.id).await, "APPROVAL_DECIDED"), 1);
    assert!(matches!(
        shop.factory.approve(run.id, approve).await,
        Err(Error::NotAllowed { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_goes_on_with_its_reason() {
    let script = right_at_once()
        .reply(write("why.txt", "because\n").expect_contains("say why in why.txt"))
        .reply(finish("said why"));
    let shop = Workshop::with(script).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    let first = shop.offered(run.id).await;
    assert!(matches!(
        shop.factory.reject(run.id, "  ").await,
        Err(Error::BadInput(_))
    ));
    shop.factory.reject(run.id, "say why in why.txt").await.unwrap();
    let rested = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    assert_ne!(shop.offered(run.id).await, first);
    let stale = shop
        .factory
        .approve(
            run.id,
            ApproveTree {
                tree: first,
                message: None,
            },
        )
        .await;
    assert!(matches!(stale, Err(Error::Conflict { .. })), "{stale:?}");
    assert_eq!(shop.approve(run.id).await.status, RunStatus::Complete);
    let events = shop.events(run.id).await;
    assert_eq!(
        (count(&events, "CHECK_FINISHED"), assert_lawful(&events)),
        (2, RunStatus::Complete)
    );
    assert_eq!(shop.git(&["show", "factory/run-1:why.txt"]), "because\n");
}

/// Whatever a model says, the answer is a value and the run goes on.
#[tokio::test(flavor = "multi_thread")]
async fn bad_replies_are_data() {
    let many = (0..60).fold(ScriptReply::default(), |reply, number| {
        reply.and_tool_call(
            "read_file",
            ScriptArguments(json!({"path": "answer.txt", "offset": number + 1})),
        )
    });
    let script = Script::new()
        .reply(ScriptReply::text(
            "Here is what I do:\n1. Look at it\n2. Change it\n",
        ))
        .reply(ScriptReply::tool_call("launch_rockets", json!({"at": "noon"})))
        .reply(
            ScriptReply::default()
                .and_tool_call("read_file", ScriptArguments::raw("{\"path\": "))
                .expect_contains("no tool `launch_rockets`"),
        )
        .reply(ScriptReply::default().and_tool_call("read_file", ScriptArguments::raw("[1]")))
        .reply(many)
        .reply(ScriptReply::text("half of a sente").end(EndReason::Length))
        .reply(ScriptReply::text("").expect_contains("was cut"))
        .reply(ScriptReply::text("I think so").expect_contains("called no tool"))
        // The step was taken for done; the next begins, and nothing old is said.
        .reply(
            right()
                .expect_contains("Step 2 of 2")
                .expect_absent("called no tool"),
        );
    let shop = Workshop::with(script).await;
    let done = shop.run(ApprovalPolicy::Unattended).await;
    let events = shop.events(done.id).await;
    assert_eq!(
        done.status,
        RunStatus::Complete,
        "{:?} {}",
        done.detail,
        names(&events)
    );
    assert_eq!(count(&events, "TOOL_FINISHED"), 3 + 60 + 2);
    let plans = all(&events, |kind| match kind {
        EventKind::PlanGenerated(generated) => Some((generated.implied, generated.plan.steps.len())),
        _ => None,
    });
    assert_eq!(plans, [(false, 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_without_a_plan_gets_one_and_a_cut_list_is_none() {
    let cut = ScriptReply::text("1. Look\n2. Chan").end(EndReason::Length);
    let shop = Workshop::with(
        Script::new()
            .reply(cut)
            .reply(right().expect_contains("was cut"))
            .reply(finish("done")),
    )
    .await;
    let done = shop.run(ApprovalPolicy::Unattended).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    let events = shop.events(done.id).await;
    let plans = all(&events, |kind| match kind {
        EventKind::PlanGenerated(generated) => Some(generated.implied),
        _ => None,
    });
    assert_eq!(plans, [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_filed_is_not_stored() {
    let shop = Workshop::with(right_at_once()).await;
    let empty = shop.folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    git(&empty, &["init", "--quiet", "--initial-branch=main"]);
    let no_script = shop.folder.path().join("no-script.json");
    std::fs::write(&no_script, "{}").unwrap();
    let with = |change: &dyn Fn(&mut Submit)| {
        let spec = RunSpec {
            model: "script".to_owned(),
            ..RunSpec::default()
        };
        let mut submit = Submit {
            project: shop.project.name.clone(),
            goal: "Make it so".to_owned(),
            spec,
            priority: 0,
        };
        change(&mut submit);
        shop.factory.submit(submit)
    };
    let answer = with(&|submit| submit.goal = " \n".to_owned()).await;
    assert!(matches!(answer, Err(Error::BadInput(_))), "{answer:?}");
    let answer = with(&|submit| submit.goal = "x".repeat(1 << 20)).await;
    assert!(matches!(answer, Err(Error::BadInput(_))));
    let answer = with(&|submit| submit.project = "nobody".to_owned()).await;
    assert!(matches!(answer, Err(Error::UnknownProject(_))), "{answer:?}");
    let answer = with(&|submit| submit.project = no_script.display().to_string()).await;
    assert!(matches!(answer, Err(Error::UnknownProject(_))), "{answer:?}");
    let answer = with(&|submit| submit.spec.base_ref = Some("no-such-branch".to_owned())).await;
    assert!(
        matches!(answer, Err(Error::Vcs(VcsError::UnknownRevision { .. }))),
        "{answer:?}"
    );
    let answer = with(&|submit| submit.spec.base_ref = Some("--upload-pack=x".to_owned())).await;
    assert!(matches!(answer, Err(Error::Vcs(_))), "{answer:?}");
    for path in [
        no_script.clone(),
        shop.folder.path().to_owned(),
        shop.folder.path().join("missing"),
    ] {
        let answer = with(&|submit| submit.spec.model = format!("scripted:{}", path.display())).await;
        assert!(
            matches!(answer, Err(Error::Llm(LlmError::Script { .. }))),
            "{answer:?}"
        );
    }
    let answer = with(&|submit| submit.spec.model = "no such thing".to_owned()).await;
    assert!(
        matches!(answer, Err(Error::Llm(LlmError::Unusable { .. }))),
        "{answer:?}"
    );
    let add = |path| {
        shop.factory.add_project(AddProject {
            path,
            ..AddProject::default()
        })
    };
    let answer = add(empty).await;
    assert!(
        matches!(answer, Err(Error::Vcs(VcsError::Empty(_)))),
        "{answer:?}"
    );
    let answer = add(no_script).await;
    assert!(
        matches!(answer, Err(Error::Vcs(_) | Error::BadInput(_))),
        "{answer:?}"
    );
    let runs = shop
        .factory
        .reader()
        .runs(RunFilter::default(), Page::first(9))
        .await
        .unwrap();
    assert_eq!(runs, []);
    assert_eq!(
        shop.factory
            .reader()
            .projects(Page::first(9))
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_became_empty_takes_no_runs() {
    let shop = Workshop::with(right_at_once()).await;
    std::fs::remove_dir_all(shop.repository()).unwrap();
    make_repository(&shop.repository(), &[("a", String::new())]);
    shop.git(&["checkout", "--quiet", "--orphan", "fresh"]);
    let spec = RunSpec {
        model: "script".to_owned(),
        ..RunSpec::default()
    };
    let submit = Submit {
        project: shop.project.name.clone(),
        goal: "Make it so".to_owned(),
        spec,
        priority: 0,
    };
    let answer = shop.factory.submit(submit).await;
    assert!(
        matches!(&answer, Err(Error::Vcs(VcsError::Unborn { branch, .. })) if branch == "fresh"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_has_one_owner() {
    let shop = Workshop::with(right_at_once()).await;
    let again = Factory::open(Settings::new(shop.folder.path().join("data"), host())).await;
    match again {
        Err(Error::Owned { pid, folder }) => {
            assert_eq!(
                (pid, folder),
                (
                    Some(std::process::id()),
                    shop.folder.path().join("data").canonicalize().unwrap()
                )
            );
        }
        other => panic!("{other:?}"),
    }
    shop.factory.shutdown().await;
    workshop::open(shop.folder.path(), right_at_once()).await;
}
