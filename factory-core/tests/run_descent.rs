//! Runs that are made of others: the same goal again, on from a checkpoint, from another's result.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod workshop;

use std::path::PathBuf;

use factory_core::factory::{ApproveTree, DiffRange, Submit};
use factory_core::llm::scripted::{Script, ScriptArguments};
use factory_core::model::{
    ApprovalPolicy, Descent, EventKind, Origin, Run, RunId, RunSpec, RunStatus, Seq, Verb,
};
use factory_core::store::Page;
use factory_core::{Error, Factory};
use serde_json::json;
use workshop::history::assert_lawful;
use workshop::{Workshop, finish, git, plan, right, right_at_once, write};

/// A first step that leaves `one.txt`, a second that leaves the right answer.
fn two_steps() -> Script {
    Script::new()
        .reply(plan(&["Write one", "Change the answer"]))
        .reply(
            write("one.txt", "one\n")
                .and_tool_call("finish_step", ScriptArguments(json!({"summary": "wrote it"}))),
        )
        .reply(right())
}

/// The same factory with another script for its model.
async fn again(shop: &Workshop, script: Script) -> Factory {
    shop.factory.shutdown().await;
    workshop::open(shop.folder.path(), script).await
}

async fn checkpoint(factory: &Factory, run: RunId, number: usize) -> Seq {
    let kept = factory.reader().checkpoints(run, Page::first(10)).await.unwrap();
    kept[number - 1].seq
}

async fn history(factory: &Factory, run: RunId) -> Vec<factory_core::model::Event> {
    factory.reader().events(run, Page::first(500)).await.unwrap()
}

async fn changed(factory: &Factory, run: RunId) -> Vec<String> {
    let files = factory
        .reader()
        .diff_files(run, DiffRange::default(), Page::first(10))
        .await
        .unwrap();
    files.files.into_iter().map(|file| file.path).collect()
}

async fn approve(factory: &Factory, run: RunId) -> Run {
    let diff = factory.reader().diff(run).await.unwrap();
    let tree = diff.tree.unwrap();
    factory
        .approve(run, ApproveTree { tree, message: None })
        .await
        .unwrap();
    factory.drive(run).await.unwrap()
}

fn store(shop: &Workshop) -> PathBuf {
    shop.folder.path().join("data/projects/1/store.git")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_goes_on_from_the_checkpoint_and_answers_for_the_whole() {
    let shop = Workshop::with(two_steps()).await;
    let old = shop.run(ApprovalPolicy::Ask).await;
    let old = shop.factory.stop(old.id).await.unwrap();
    let before = shop.events(old.id).await;

    let script = Script::new()
        .reply(
            plan(&["Only the answer"])
                .expect_contains("An earlier run has worked on this")
                .expect_contains("- Write one (done)\n- Change the answer (to do)"),
        )
        .reply(right());
    let factory = again(&shop, script).await;
    let at = checkpoint(&factory, old.id, 1).await;
    let fork = factory.fork(old.id, at, None).await.unwrap();
    let origin = fork.spec.origin.clone().unwrap();
    assert_eq!(
        (origin.how, origin.run, origin.at),
        (Descent::Fork, old.id, Some(at))
    );
    assert_eq!((&fork.goal, fork.base()), (&old.goal, old.base()));
    let EventKind::RunCreated(created) = &history(&factory, fork.id).await[0].kind.clone() else {
        panic!("the first event is the filing");
    };
    assert_eq!(created.spec, fork.spec);

    // Whatever becomes of the old run, its work stays for the new one.
    let refs = git(
        &store(&shop),
        &["for-each-ref", "--format=%(refname)", "refs/factory/runs"],
    );
    for name in refs.lines() {
        git(&store(&shop), &["update-ref", "-d", name]);
    }
    git(&store(&shop), &["gc", "--quiet", "--prune=now"]);

    let rested = factory.drive(fork.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    assert_eq!(changed(&factory, fork.id).await, ["answer.txt", "one.txt"]);
    let done = approve(&factory, fork.id).await;
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    assert_eq!(shop.git(&["show", "factory/run-2:one.txt"]), "one\n");
    assert_eq!(shop.git(&["show", "factory/run-2:answer.txt"]), "42\n");
    assert_eq!(
        shop.git(&["rev-parse", "factory/run-2^"]).trim(),
        old.base().unwrap().to_string()
    );
    assert_lawful(&history(&factory, fork.id).await);
    assert_eq!(
        history(&factory, old.id).await,
        before,
        "the old run is only read"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_before_the_first_checkpoint_begins_as_its_run_began() {
    let shop = Workshop::with(two_steps()).await;
    let first = shop.run(ApprovalPolicy::Ask).await;
    let at = checkpoint(&shop.factory, first.id, 1).await;
    let early = shop
        .factory
        .fork(first.id, Seq(at.0 - 1), Some("Another goal".to_owned()))
        .await
        .unwrap();
    assert_eq!(early.goal, "Another goal");
    assert_eq!(early.spec.origin.unwrap().start, None);

    let second = shop.factory.fork(first.id, at, None).await.unwrap();
    let start = second.spec.origin.unwrap().start.unwrap();
    assert_eq!((start.run, start.checkpoint), (first.id, 1));
    let third = shop.factory.fork(second.id, Seq(1), None).await.unwrap();
    assert_eq!(third.spec.origin.unwrap().start, Some(start.clone()));
    shop.factory.stop(third.id).await.unwrap();
    let fourth = shop.factory.retry(third.id).await.unwrap();
    assert_eq!(fourth.spec.origin.unwrap().start, Some(start));

    let last = shop.factory.fork(first.id, first.last_seq, None).await.unwrap();
    let start = last.spec.origin.unwrap().start.unwrap();
    assert_eq!((start.checkpoint, start.done.len(), start.left.len()), (2, 2, 0));
    let beyond = shop.factory.fork(first.id, first.last_seq.next(), None).await;
    assert!(matches!(beyond, Err(Error::BadInput(_))), "{beyond:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_to_which_nothing_is_added_offers_the_earlier_work() {
    let shop = Workshop::with(two_steps()).await;
    let old = shop.run(ApprovalPolicy::Ask).await;
    let at = checkpoint(&shop.factory, old.id, 2).await;
    let fork = shop.factory.fork(old.id, at, None).await.unwrap();
    // All is done already: the agent says so, and the earlier work is what is offered.
    let script = Script::new().reply(plan(&["Look"])).reply(finish("it is there"));
    let factory = again(&shop, script).await;
    let rested = factory.drive(fork.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    assert_eq!(changed(&factory, fork.id).await, ["answer.txt", "one.txt"]);
    let kept = factory
        .reader()
        .checkpoints(fork.id, Page::first(10))
        .await
        .unwrap();
    assert_eq!(kept, [], "nothing was added to what it began with");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_does_the_same_from_the_same_commit() {
    let shop = Workshop::with(right_at_once()).await;
    let spec = RunSpec {
        model: "script".to_owned(),
        approval: ApprovalPolicy::Unattended,
        checks: Some(vec![workshop::CHECK.to_owned(), "true".to_owned()]),
        ..RunSpec::default()
    };
    let old = shop.submit_with(spec).await;
    let refused = shop.factory.retry(old.id).await.unwrap_err();
    assert!(refused.to_string().contains("cannot be retried"), "{refused}");
    assert!(refused.allowed().unwrap().contains(&Verb::Fork), "{refused:?}");
    shop.factory.stop(old.id).await.unwrap();
    let before = shop.events(old.id).await;
    std::fs::write(shop.repository().join("later.txt"), "later\n").unwrap();
    shop.git(&["add", "--all"]);
    shop.git(&["commit", "--quiet", "--message=later"]);

    let new = shop.factory.retry(old.id).await.unwrap();
    let expected = RunSpec {
        origin: Some(Origin {
            how: Descent::Retry,
            run: old.id,
            at: None,
            start: None,
        }),
        ..old.spec.clone()
    };
    assert_eq!(
        (new.spec, new.goal, new.priority),
        (expected, old.goal, old.priority)
    );
    let done = shop.factory.drive(new.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    assert_eq!(
        shop.git(&["rev-parse", "factory/run-2^"]).trim(),
        old.spec.base.unwrap().to_string()
    );
    assert_eq!(shop.events(old.id).await, before);
}

fn continuing(shop: &Workshop, run: RunId) -> Submit {
    Submit {
        project: shop.project.name.clone(),
        goal: "Add two".to_owned(),
        spec: RunSpec {
            model: "script".to_owned(),
            approval: ApprovalPolicy::Unattended,
            origin: Some(Origin::continuing(run)),
            ..RunSpec::default()
        },
        priority: 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_continues_anothers_commit_even_without_its_branch() {
    let shop = Workshop::with(right_at_once()).await;
    let old = shop.run(ApprovalPolicy::Ask).await;
    let early = shop.factory.submit(continuing(&shop, old.id)).await.unwrap_err();
    assert!(early.to_string().contains("cannot be continued"), "{early}");
    let old = shop.approve(old.id).await;
    let before = shop.events(old.id).await;
    shop.git(&["branch", "--quiet", "-D", "factory/run-1"]);
    shop.git(&["gc", "--quiet", "--prune=now"]);

    let script = Script::new()
        .reply(plan(&["Write two"]))
        .reply(write("two.txt", "two\n"))
        .reply(finish("wrote it"));
    let factory = again(&shop, script).await;
    let new = factory.submit(continuing(&shop, old.id)).await.unwrap();
    assert_eq!(new.spec.base, old.commit);
    let done = factory.drive(new.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    assert_eq!(shop.git(&["show", "factory/run-2:answer.txt"]), "42\n");
    assert_eq!(
        shop.git(&["rev-parse", "factory/run-2^"]).trim(),
        old.commit.unwrap().to_string()
    );
    assert_eq!(changed(&factory, new.id).await, ["two.txt"]);
    assert_eq!(history(&factory, old.id).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_start_is_refused_and_files_nothing() {
    let shop = Workshop::with(right_at_once()).await;
    let old = shop.run(ApprovalPolicy::Ask).await;
    let old = shop.approve(old.id).await;
    let elsewhere = shop.folder.path().join("elsewhere");
    workshop::make_repository(&elsewhere, &[("a.txt", "a\n".to_owned())]);
    let other = workshop::add_project(&shop.factory, &elsewhere, &[]).await;

    let mut based = continuing(&shop, old.id);
    based.spec.base_ref = Some("main".to_owned());
    let mut foreign = continuing(&shop, old.id);
    foreign.project = other.name;
    let mut forged = continuing(&shop, old.id);
    forged.spec.origin.as_mut().unwrap().how = Descent::Retry;
    for (submit, words) in [
        (based, "name no base beside it"),
        (foreign, "belongs to another project"),
        (forged, "verbs of their own"),
    ] {
        let refused = shop.factory.submit(submit).await.unwrap_err();
        assert!(matches!(refused, Error::BadInput(_)), "{refused:?}");
        assert!(refused.to_string().contains(words), "{refused}");
    }

    shop.factory.remove_project(&shop.project.name).await.unwrap();
    for refused in [
        shop.factory.fork(old.id, Seq(1), None).await,
        shop.factory.retry(old.id).await,
    ] {
        let refused = refused.unwrap_err();
        assert!(refused.to_string().contains("its project is gone"), "{refused}");
        assert_eq!(refused.allowed(), Some(&[][..]));
    }
    let filed = shop
        .factory
        .reader()
        .runs(factory_core::store::RunFilter::default(), Page::first(10));
    assert_eq!(filed.await.unwrap().len(), 1);
}
