//! How long the parts of a run take in a repository of 50,000 files; run by hand on a quiet machine, as times prove
//! nothing on a busy one:
//! `cargo test -p factory-core --test repository_kinds speed -- --ignored --nocapture`.

use std::time::Instant;

use factory_core::factory::{AddProject, ApproveTree, Submit};
use factory_core::model::{ApprovalPolicy, ApprovalSubject, RunSpec, RunStatus, Seq};
use factory_core::store::Page;

use crate::bench::{Bench, Kind};
use crate::{large, workshop};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints times, and proves nothing"]
async fn a_run_in_fifty_thousand_files() {
    let bench = Bench::new();
    let kind = Kind::new("50,000 files", large::many_files);
    let begun = Instant::now();
    let path = (kind.make)(&bench);
    println!("(the repository was made in {:.2?})", begun.elapsed());
    let factory = bench.open(&kind).await;
    let timed = async |what: &str, begun: Instant| println!("{what}: {:.2?}", begun.elapsed());

    let begun = Instant::now();
    let add = AddProject {
        path: path.clone(),
        checks: Some(vec![workshop::CHECK.to_owned()]),
        setup: Some(Vec::new()),
        ..AddProject::default()
    };
    factory.add_project(add).await.unwrap();
    timed("project add", begun).await;

    let begun = Instant::now();
    let spec = RunSpec {
        model: "script".to_owned(),
        approval: ApprovalPolicy::Ask,
        ..RunSpec::default()
    };
    let submit = Submit {
        project: path.display().to_string(),
        goal: "Make the answer 42".to_owned(),
        spec,
        priority: 0,
    };
    let run = factory.submit(submit).await.unwrap();
    timed("submit", begun).await;

    let begun = Instant::now();
    let rested = factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    timed("from the claim to the question", begun).await;

    let begun = Instant::now();
    let view = factory.reader().run(run.id).await.unwrap();
    let ApprovalSubject::Tree { tree, .. } = view.open_approval.unwrap().subject else {
        panic!("not a tree");
    };
    factory
        .approve(run.id, ApproveTree { tree, message: None })
        .await
        .unwrap();
    let done = factory.drive(run.id).await.unwrap();
    assert_eq!(done.status, RunStatus::Complete, "{:?}", done.detail);
    timed("from the approval to the branch", begun).await;

    let events = factory
        .reader()
        .events(run.id, Page::after(Seq(0), 500))
        .await
        .unwrap();
    for pair in events.windows(2) {
        let between = |event: &factory_core::model::Event| event.created_at.to_offset_date_time();
        let took = between(&pair[1]) - between(&pair[0]);
        println!(
            "    {:>6} ms before {}",
            took.whole_milliseconds(),
            pair[1].kind.type_name()
        );
    }
}
