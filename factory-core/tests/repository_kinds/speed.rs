//! How long the parts of a run take in large repositories, and what is copied of them; run by hand on a quiet machine,
//! as times prove nothing on a busy one:
//! `cargo test -p factory-core --test repository_kinds speed -- --ignored --nocapture`.

use std::io::Write as _;
use std::time::Instant;

use factory_core::Factory;
use factory_core::factory::{AddProject, ApproveTree, Submit};
use factory_core::model::{ApprovalPolicy, ApprovalSubject, RunId, RunSpec, RunStatus, Seq};
use factory_core::store::Page;

use crate::bench::{Bench, Kind};
use crate::{large, workshop};

/// How many files of the old history there are, and how large each is: 2 GB that no file of the tip is.
const FAT: (usize, usize) = (40, 50 << 20);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints times, and proves nothing"]
async fn a_run_in_fifty_thousand_files() {
    let bench = Bench::new();
    let kind = Kind::new("50,000 files", large::many_files);
    let (factory, run) = timed_run(&bench, &kind).await;
    let events = factory
        .reader()
        .events(run, Page::after(Seq(0), 500))
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints times and sizes, and needs 5 GB of disk"]
async fn a_history_of_two_gigabytes() {
    let bench = Bench::new();
    let kind = Kind::new("2 GB of history", |bench| {
        let path = bench.small();
        bench.git(&["config", "core.compression", "0"]);
        bench.import_from(|input| {
            let mut state = 0x9e37_79b9_7f4a_7c15_u64;
            let mut noise = vec![0; FAT.1];
            for number in 0..FAT.0 {
                for word in noise.chunks_mut(8) {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    word.copy_from_slice(&state.to_le_bytes()[..word.len()]);
                }
                writeln!(
                    input,
                    "commit refs/heads/main\ncommitter Op <op@example.org> {number} +0000"
                )
                .unwrap();
                writeln!(input, "data <<END\nFat {number}\nEND").unwrap();
                if number == 0 {
                    writeln!(input, "from refs/heads/main^0").unwrap();
                }
                writeln!(input, "M 100644 inline fat\ndata {}", noise.len()).unwrap();
                input.write_all(&noise).unwrap();
                input.write_all(b"\n").unwrap();
            }
            writeln!(
                input,
                "commit refs/heads/main\ncommitter Op <op@example.org> 99 +0000"
            )
            .unwrap();
            writeln!(input, "data <<END\nLean\nEND\nD fat").unwrap();
        });
        path
    });
    let (factory, _) = timed_run(&bench, &kind).await;
    println!("the operator's repository: {} bytes", bench.size("operator"));
    println!(
        "what the factory keeps of it: {} bytes",
        bench.size("data/projects")
    );
    factory.shutdown().await;
}

/// Makes the repository, works on a run in it to its end, and prints how long each part takes.
async fn timed_run(bench: &Bench, kind: &Kind) -> (Factory, RunId) {
    let begun = Instant::now();
    let path = (kind.make)(bench);
    println!("(the repository was made in {:.2?})", begun.elapsed());
    let factory = bench.open(kind).await;
    let timed = |what: &str, begun: Instant| println!("{what}: {:.2?}", begun.elapsed());

    let begun = Instant::now();
    let add = AddProject {
        path: path.clone(),
        checks: Some(vec![workshop::CHECK.to_owned()]),
        setup: Some(Vec::new()),
        ..AddProject::default()
    };
    factory.add_project(add).await.unwrap();
    timed("project add", begun);

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
    timed("submit", begun);

    let begun = Instant::now();
    let rested = factory.drive(run.id).await.unwrap();
    assert_eq!(rested.status, RunStatus::AwaitingApproval, "{:?}", rested.detail);
    timed("from the claim to the question", begun);

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
    timed("from the approval to the branch", begun);
    (factory, run.id)
}
