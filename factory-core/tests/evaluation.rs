//! Evaluations with a scripted model: what becomes of a task, and what an interruption leaves.

#![expect(clippy::unwrap_used, reason = "tests may fail loudly")]

mod workshop;

use std::path::{Path, PathBuf};

use factory_core::Factory;
use factory_core::evaluation::{
    End, EvaluationError, Outcome, Progress, Record, Results, Task, Terms, evaluate,
};
use factory_core::llm::scripted::{Script, ScriptArguments, ScriptReply};
use factory_core::model::Budget;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use workshop::{finish, plan, right_at_once, write};

/// A folder of tasks, an evaluation's own folder, and a factory in it.
struct Bench {
    folder: tempfile::TempDir,
    factory: Factory,
    terms: Terms,
}

/// What happened and how it ended.
#[derive(Debug)]
struct Told {
    progress: Vec<String>,
    records: Vec<Record>,
    end: Result<End, EvaluationError>,
}

impl Bench {
    async fn new(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let factory = workshop::open(folder.path(), script).await;
        let terms = Terms {
            model: "script".to_owned(),
            calls: 8,
            seed: None,
            protocol: None,
            approve_proven: false,
            budget: Budget::default(),
        };
        Self {
            folder,
            factory,
            terms,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lays a task whose check wants 42 in `answer.txt` and whose verification is `verify`.
    fn task(&self, name: &str, verify: &str) {
        let task = self.path("tasks").join(name);
        lay(
            &task.join("task.toml"),
            &format!(
                "goal = \"Make the answer 42\"\nlanguage = \"text\"\nchecks = [\"sh check.sh\"]\nverify = [{verify:?}]\n"
            ),
        );
        lay(&task.join("repository/answer.txt"), "41\n");
        lay(&task.join("repository/check.sh"), "grep -qx 42 answer.txt\n");
        lay(
            &task.join("verify/verify.sh"),
            "cmp answer.txt expected/answer.txt\n",
        );
        lay(&task.join("verify/expected/answer.txt"), "42\n");
    }

    async fn evaluate(&self) -> Told {
        self.evaluate_until(&CancellationToken::new(), |_| false).await
    }

    async fn evaluate_until(
        &self,
        stop: &CancellationToken,
        cancels: impl Fn(&Progress<'_>) -> bool,
    ) -> Told {
        let tasks = Task::read_all(&self.path("tasks"), &[]).unwrap();
        let mut results = Results::open(&self.path("results.jsonl")).unwrap();
        let mut progress = Vec::new();
        let mut records = Vec::new();
        let repositories = self.path("repositories");
        let end = evaluate(
            &self.factory,
            &tasks,
            &self.terms,
            &mut results,
            &repositories,
            stop,
            |told| {
                if cancels(&told) {
                    stop.cancel();
                }
                progress.push(match told {
                    Progress::Begun(task) => format!("begun {}", task.name),
                    Progress::GoneOn(task) => format!("gone on {}", task.name),
                    Progress::Kept(record) => format!("kept {} {}", record.key.task, record.outcome),
                    Progress::Finished(record) => format!("finished {} {}", record.key.task, record.outcome),
                });
                if let Progress::Finished(record) | Progress::Kept(record) = told {
                    records.push(record.clone());
                }
            },
        );
        let end = end.await;
        Told {
            progress,
            records,
            end,
        }
    }
}

fn lay(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// The right answer beside a further file.
fn right_and(path: &str, content: &str) -> Script {
    Script::new().reply(plan(&["Change it"])).reply(
        write("answer.txt", "42\n")
            .and_tool_call(
                "write_file",
                ScriptArguments(json!({"path": path, "content": content})),
            )
            .and_tool_call("finish_step", ScriptArguments(json!({"summary": "changed"}))),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_ends_as_its_run_and_the_verification_say() {
    const VERIFY: &str = "sh verify.sh";
    let wrong = Script::new()
        .reply(plan(&["Change it"]))
        .reply(
            write("answer.txt", "43\n")
                .and_tool_call("finish_step", ScriptArguments(json!({"summary": "changed"}))),
        )
        .reply(finish("it is right"))
        .repeat_last();
    let cases: Vec<(&str, Script, &str, Outcome, &str)> = vec![
        ("right", right_at_once(), VERIFY, Outcome::Solved, ""),
        (
            "unverified",
            right_at_once(),
            "test -e VERSION",
            Outcome::Wrong,
            "`test -e VERSION`: exit code 1: ",
        ),
        (
            "red",
            wrong,
            VERIFY,
            Outcome::RedChecks,
            "the checks stayed red after 4 rounds",
        ),
        (
            "cheat",
            right_and("check.sh", "true\n"),
            VERIFY,
            Outcome::Asks,
            "proven, but it changes what decides about it",
        ),
        (
            "in-the-way",
            right_and("verify.sh/x", ""),
            VERIFY,
            Outcome::Wrong,
            "",
        ),
        (
            "speechless",
            Script::new()
                .reply(ScriptReply::text("I would change the answer."))
                .repeat_last(),
            VERIFY,
            Outcome::NotUnderstood,
            "",
        ),
        (
            "lost",
            Script::new()
                .reply(plan(&["Read it"]))
                .reply(ScriptReply::tool_call("read_file", json!({"path": "answer.txt"})))
                .repeat_last(),
            VERIFY,
            Outcome::Stuck,
            "the model repeats the same",
        ),
        (
            "silent",
            Script::new().reply(plan(&["Change it"])),
            VERIFY,
            Outcome::ModelFailed,
            "",
        ),
    ];
    for (name, script, verify, outcome, detail) in cases {
        let bench = Bench::new(script).await;
        bench.task(name, verify);
        let told = bench.evaluate().await;
        assert!(matches!(told.end, Ok(End::Whole)), "{name}: {told:?}");
        let record = &told.records[0];
        assert_eq!(record.outcome, outcome, "{name}: {record:?}");
        let said = record.detail.as_deref().unwrap_or_default();
        assert!(said.contains(detail), "{name}: {said}");
        assert_eq!(
            Results::read(&bench.path("results.jsonl")).unwrap(),
            told.records,
            "{name}"
        );
        bench.factory.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_is_told_with_what_went_wrong() {
    let script = Script::new()
        .reply(plan(&["Change it"]))
        .reply(ScriptReply::tool_call(
            "edit_file",
            json!({"path": "answer.txt", "edits": [{"search": "40", "replace": "42"}]}),
        ))
        .reply(ScriptReply::tool_call("no_such_tool", json!({})))
        .reply(ScriptReply::tool_call("list_files", json!({})));
    let mut bench = Bench::new(script).await;
    bench.terms.calls = 4;
    bench.task("t", "true");
    let record = bench.evaluate().await.records.remove(0);
    let figures = record.figures;
    assert_eq!(record.outcome, Outcome::Budget, "{record:?}");
    assert_eq!(
        (
            figures.calls,
            figures.tools,
            figures.failed_tools,
            figures.failed_edits,
            figures.red_rounds
        ),
        (4, 2, 2, 1, 0)
    );
    assert!(figures.tokens() > 0 && figures.interruptions == 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proven_result_that_asks_is_approved_where_that_is_said() {
    let mut bench = Bench::new(right_and("tests/more.sh", "true\n")).await;
    bench.task("t", "sh verify.sh");
    assert_eq!(bench.evaluate().await.records[0].outcome, Outcome::Asks);
    bench.terms.approve_proven = true;
    let told = bench.evaluate().await;
    assert_eq!(told.progress, ["begun t", "finished t solved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_its_result_is_not_done_again_until_it_changes() {
    let mut bench = Bench::new(right_at_once()).await;
    bench.task("a", "sh verify.sh");
    bench.task("b", "sh verify.sh");
    let stop = CancellationToken::new();
    let first = |told: &Progress<'_>| matches!(told, Progress::Finished(_));
    let told = bench.evaluate_until(&stop, first).await;
    assert!(matches!(told.end, Ok(End::Interrupted)), "{told:?}");
    assert_eq!(told.progress, ["begun a", "finished a solved"]);
    let told = bench.evaluate().await;
    assert_eq!(told.progress, ["kept a solved", "begun b", "finished b solved"]);
    assert_eq!(
        bench.evaluate().await.progress,
        ["kept a solved", "kept b solved"]
    );
    lay(
        &bench.path("tasks/a/verify/expected/answer.txt"),
        "something else\n",
    );
    assert_eq!(
        bench.evaluate().await.progress,
        ["begun a", "finished a wrong", "kept b solved"]
    );
    bench.terms.seed = Some(7);
    assert_eq!(
        bench.evaluate().await.progress[..2],
        ["begun a", "finished a wrong"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_half_done_is_gone_on_with() {
    // The second reply takes longer than the test waits, and is cut.
    let script = Script::new().reply(plan(&["Change it"])).reply(
        write("answer.txt", "42\n")
            .and_tool_call("finish_step", ScriptArguments(json!({"summary": "changed"})))
            .delays(3_000, 0),
    );
    let bench = Bench::new(script).await;
    bench.task("t", "sh verify.sh");
    let stop = CancellationToken::new();
    let mut events = bench.factory.subscribe();
    let cut = async {
        // Once the model was asked for the second time.
        let mut asked = 0;
        while asked < 2 {
            if let Ok(Some(factory_core::event_bus::Notice::Stored(event))) = events.next().await {
                asked += u32::from(event.event().kind.type_name() == "LLM_REQUESTED");
            }
        }
        stop.cancel();
    };
    let (told, ()) = tokio::join!(bench.evaluate_until(&stop, |_| false), cut);
    assert!(matches!(told.end, Ok(End::Interrupted)), "{told:?}");
    assert_eq!(told.progress, ["begun t"]);
    let told = bench.evaluate().await;
    assert_eq!(told.progress, ["gone on t", "finished t solved"]);
    let figures = told.records[0].figures;
    assert_eq!(
        (figures.calls, figures.failed_calls, figures.interruptions),
        (2, 1, 1)
    );
}
