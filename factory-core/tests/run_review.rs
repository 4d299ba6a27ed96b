//! What a reviewer sees and says: comments, decisions by number, checks, checkpoints, and differences in parts.

mod workshop;

use factory_core::Error;
use factory_core::factory::{DiffRange, StepState, Verdict};
use factory_core::llm::scripted::{Script, ScriptArguments};
use factory_core::model::{
    Actor, ApprovalPolicy, Comment, DecisionKind, EventKind, RunStatus, Seq, Side, Verb,
};
use factory_core::store::{Page, StoreError};
use serde_json::json;
use workshop::history::{all, assert_lawful};
use workshop::{Workshop, finish, plan, right, right_at_once, write};

fn on_line(path: &str, line: u32, text: &str) -> Comment {
    Comment {
        path: Some(path.to_owned()),
        line: Some(line),
        text: text.to_owned(),
        ..Comment::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_on_an_offer_go_out_with_its_rejection_once_and_in_order() {
    let script = right_at_once()
        .reply(
            write("note.txt", "noted\n").expect_contains(
                "on answer.txt line 1: is it not 43?\n\nThe operator directs:\nbe brief\n\nThe operator directs:\n\
                 on the changes: well done\n\nThe operator looked at the result and rejected it:\nsee my comments",
            ),
        )
        .reply(finish("noted").expect_absent("43"));
    let shop = Workshop::with(script).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    let ann = shop.factory.acting_as("ann");
    let said = [
        on_line("answer.txt", 1, " is it not 43?\n"),
        Comment {
            text: "well done".to_owned(),
            ..Comment::default()
        },
    ];
    ann.comment(run.id, said[0].clone()).await.unwrap();
    shop.factory.direct(run.id, "be brief").await.unwrap();
    ann.comment(run.id, said[1].clone()).await.unwrap();
    let rested = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(
        rested.status,
        RunStatus::AwaitingApproval,
        "a comment is no decision"
    );
    shop.factory.reject(run.id, "see my comments").await.unwrap();
    let rested = shop.factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);

    let comments = shop
        .factory
        .reader()
        .comments(run.id, Page::first(10))
        .await
        .unwrap();
    let texts: Vec<_> = comments.iter().map(|view| view.comment.text.as_str()).collect();
    assert_eq!(texts, ["is it not 43?", "well done"]);
    assert_eq!(comments[0].by, Actor::Operator("ann".to_owned()));
    let second = Page::after(comments[0].seq, 1);
    assert_eq!(
        shop.factory.reader().comments(run.id, second).await.unwrap(),
        comments[1..]
    );
    let events = shop.events(run.id).await;
    assert_lawful(&events);
    let delivered = all(&events, |kind| match kind {
        EventKind::DirectiveDelivered(delivered) => Some(delivered.directives.clone()),
        _ => None,
    });
    assert_eq!(delivered.concat().len(), 3);
    assert!(delivered.concat().contains(&comments[0].seq));

    shop.factory.stop(run.id).await.unwrap();
    let late = shop.factory.comment(run.id, said[0].clone()).await.unwrap_err();
    assert!(late.to_string().contains("cannot be commented on"), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_without_a_place_of_its_own_is_refused() {
    let shop = Workshop::with(right_at_once()).await;
    let run = shop.submit(ApprovalPolicy::Ask).await;
    let bad = [
        on_line("answer.txt", 0, "x"),
        on_line("/etc/passwd", 1, "x"),
        on_line("a\nb", 1, "x"),
        on_line("", 1, "x"),
        on_line("answer.txt", 1, "  "),
        Comment {
            line: Some(1),
            side: Side::Old,
            text: "x".to_owned(),
            ..Comment::default()
        },
    ];
    for comment in bad {
        let refused = shop.factory.comment(run.id, comment.clone()).await;
        assert!(
            matches!(refused, Err(Error::BadInput(_))),
            "{comment:?}: {refused:?}"
        );
    }
    assert_eq!(shop.types(run.id).await, ["RUN_CREATED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_decided_by_its_number_once() {
    let script = right_at_once()
        .reply(write("note.txt", "noted\n"))
        .reply(finish("noted"));
    let shop = Workshop::with(script).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    let reader = shop.factory.reader();
    let inbox = reader.open_approvals(None, Page::first(10)).await.unwrap();
    let first = inbox[0].id;
    assert_eq!((inbox.len(), inbox[0].run_id), (1, run.id));

    let answer = Verdict::Answer {
        text: "yes".to_owned(),
    };
    let refused = shop.factory.decide(first, answer).await.unwrap_err();
    assert!(refused.allowed().unwrap().contains(&Verb::Approve), "{refused:?}");
    let other = Verdict::Approve {
        tree: Some("0".repeat(40).parse().unwrap()),
        message: None,
    };
    let refused = shop.factory.decide(first, other).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })), "{refused:?}");
    let no = Verdict::Reject {
        because: "not yet".to_owned(),
    };
    shop.factory.decide(first, no).await.unwrap();
    shop.factory.drive(run.id).await.unwrap();

    let yes = Verdict::Approve {
        tree: None,
        message: None,
    };
    let late = shop.factory.decide(first, yes.clone()).await.unwrap_err();
    assert!(late.to_string().contains("was rejected already"), "{late}");
    let second = reader.open_approvals(Some(run.id), Page::first(1)).await.unwrap()[0].id;
    shop.factory.decide(second, yes.clone()).await.unwrap();
    assert_eq!(
        shop.factory.drive(run.id).await.unwrap().status,
        RunStatus::Complete
    );
    let decided = reader.approval(second).await.unwrap().decision.unwrap();
    assert_eq!(decided.kind, DecisionKind::Approved);
    let nobody = shop
        .factory
        .decide(factory_core::model::ApprovalId(99), yes)
        .await;
    assert!(matches!(nobody, Err(Error::Store(StoreError::NotFound { .. }))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_a_stopped_run_is_no_longer_asked() {
    let shop = Workshop::with(right_at_once()).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    let asked = shop
        .factory
        .reader()
        .open_approvals(None, Page::first(1))
        .await
        .unwrap();
    shop.factory.stop(run.id).await.unwrap();
    let yes = Verdict::Approve {
        tree: None,
        message: None,
    };
    let refused = shop.factory.decide(asked[0].id, yes).await.unwrap_err();
    assert!(matches!(refused, Error::NotAllowed { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_checks_checkpoints_and_differences_are_shown_in_parts() {
    let long: String = (0..2000).fold(String::new(), |text, number| format!("{text}line {number}\n"));
    let script = Script::new()
        .reply(plan(&[
            "Write a long file",
            "Write two more",
            "Change the answer",
        ]))
        .reply(
            write("long.txt", &long)
                .and_tool_call("finish_step", ScriptArguments(json!({"summary": "wrote it"}))),
        )
        .reply(
            write("two.txt", "two\n")
                .and_tool_call(
                    "write_file",
                    ScriptArguments(json!({"path": "three*.txt", "content": "three\n"})),
                )
                .and_tool_call("finish_step", ScriptArguments(json!({"summary": "wrote them"}))),
        )
        .reply(right());
    let shop = Workshop::with(script).await;
    let run = shop.run(ApprovalPolicy::Ask).await;
    let reader = shop.factory.reader();
    let steps = reader.plan(run.id).await.unwrap();
    assert_eq!(steps.len(), 3);
    assert!(steps.iter().all(|step| step.state == StepState::Finished));
    let checks = reader.checks(run.id, Page::first(10)).await.unwrap();
    assert_eq!(checks.len(), 1);
    assert!(checks[0].check.green && reader.blob(&checks[0].check.results[0].output).await.is_ok());
    let kept = reader.checkpoints(run.id, Page::first(2)).await.unwrap();
    assert_eq!((kept.len(), kept[1].checkpoint.checkpoint), (2, 2));
    let rest = reader
        .checkpoints(run.id, Page::after(kept[1].seq, 2))
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(
        reader
            .checkpoints(run.id, Page::after(Seq(u64::from(u32::MAX)), 2))
            .await
            .unwrap(),
        []
    );

    let names = |files: &[factory_core::vcs::FileDiff]| -> Vec<String> {
        files.iter().map(|file| file.path.clone()).collect()
    };
    let whole = DiffRange::default();
    let first = reader.diff_files(run.id, whole, Page::first(3)).await.unwrap();
    assert_eq!(names(&first.files), ["answer.txt", "long.txt", "three*.txt"]);
    assert_eq!(
        (first.files[1].added, first.files[1].removed),
        (Some(2000), Some(0))
    );
    let page = Page::after("three*.txt".to_owned(), 3);
    let second = reader.diff_files(run.id, whole, page).await.unwrap();
    assert_eq!(names(&second.files), ["two.txt"]);

    let range = DiffRange {
        from: Some(1),
        to: Some(2),
    };
    let between = reader.diff_between(run.id, range).await.unwrap();
    assert_eq!(names(&between.diff.files), ["three*.txt", "two.txt"]);
    let beyond = DiffRange {
        from: Some(9),
        to: None,
    };
    let beyond = reader.diff_between(run.id, beyond).await;
    assert!(matches!(beyond, Err(Error::Store(StoreError::NotFound { .. }))));

    // In parts that end with whole lines, the text is the same as at once.
    let all_of_it = reader.diff(run.id).await.unwrap().diff.text;
    let (mut offset, mut text, mut parts) = (0, String::new(), 0);
    loop {
        let part = reader
            .diff_of_file(run.id, whole, "long.txt", offset, 4096)
            .await
            .unwrap();
        assert!(part.text.len() <= 4096 && part.text.ends_with('\n'));
        text.push_str(&part.text);
        parts += 1;
        match part.next {
            Some(next) => offset = next,
            None => break,
        }
    }
    assert!(parts > 3 && text.starts_with("diff --git a/long.txt") && all_of_it.contains(&text));
    let star = reader
        .diff_of_file(run.id, whole, "three*.txt", 0, 4096)
        .await
        .unwrap();
    assert!(star.text.contains("+three") && star.next.is_none());
    for absent in ["check.sh", "t*", "", "../answer.txt"] {
        let none = reader.diff_of_file(run.id, whole, absent, 0, 4096).await;
        assert!(
            matches!(none, Err(Error::Store(StoreError::NotFound { .. }))),
            "{absent}: {none:?}"
        );
    }
}
