//! `factory run --file`: a file of goals, one JSON object a line, filed all or none.

use std::io::Read;
use std::path::Path;

use factory_core::factory::Submit;
use factory_core::model::{BudgetLimit, Run, Seq};
use serde::Deserialize;

use super::run::absolute_model;
use super::watch::{self, with_session};
use super::{Context, expect_answer};
use crate::control::{Request, Session};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::amount::{parse_count, parse_time};
use crate::render::output::{self, Form};

/// The largest file of goals.
const MOST_BYTES: u64 = 64 << 20;

/// How many bad lines are named.
const MOST_NAMED: usize = 10;

/// One line of the file. What it leaves out is as the command line says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    goal: String,
    model: Option<String>,
    base: Option<String>,
    priority: Option<i64>,
    checks: Option<Vec<String>>,
    budget: Option<LineBudget>,
}

/// Bounds as the flags `--budget-…` write them; counts may be numbers as well.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineBudget {
    calls: Option<Amount>,
    tokens: Option<Amount>,
    time: Option<String>,
    turns: Option<Amount>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(u64),
    Text(String),
}

impl Amount {
    fn limit(self) -> Result<BudgetLimit, String> {
        match self {
            Self::Number(number) => Ok(BudgetLimit::AtMost(number)),
            Self::Text(text) => parse_count(&text),
        }
    }
}

/// Files the goals of `file`, each like `common` but for what its line says, and works on them one after the other.
pub(super) async fn run(
    context: &mut Context,
    file: &Path,
    common: Submit,
    detach: bool,
) -> Result<Exit, Failure> {
    let path = file.to_owned();
    let text = tokio::task::spawn_blocking(move || read(&path));
    let text = text
        .await
        .map_err(|error| Failure::caused("reading the goals broke off", &error))??;
    let submits = parse(&text, &common)?;
    with_session(context, async |context, session| {
        let filed = expect_answer!(session.ask(Request::SubmitAll { submits }).await?, Runs)?;
        if detach {
            return detached(context, session, &filed).await;
        }
        work(context, session, &filed).await
    })
    .await
}

/// Works on the runs in turn. What is left when Ctrl-C comes stays in the queue.
async fn work(context: &mut Context, session: &mut Session, filed: &[Run]) -> Result<Exit, Failure> {
    let interrupts = context.interrupts()?;
    let mut exit = Exit::Complete;
    for (place, run) in filed.iter().enumerate() {
        output::remark(&format!("run {} ({} of {})", run.id, place + 1, filed.len()));
        let rested = watch::to_rest(context, session, run.id, Seq(0)).await?;
        if exit == Exit::Complete {
            exit = rested;
        }
        if interrupts.came() {
            let left = filed.len() - place - 1;
            if left > 0 {
                output::remark(&format!("{left} more wait in the queue"));
            }
            break;
        }
    }
    Ok(exit)
}

async fn detached(context: &mut Context, session: &mut Session, filed: &[Run]) -> Result<Exit, Failure> {
    let started = !session.is_owner();
    if started {
        for run in filed {
            session.ask(Request::Start { run: run.id }).await?;
        }
    }
    if context.output.form() == Form::Json {
        context.output.show(&filed, String::new)?;
        return Ok(Exit::Complete);
    }
    let factory = context.factory();
    for run in filed {
        context
            .output
            .text(&super::answering::detached(run.id, started, &factory))?;
    }
    Ok(Exit::Complete)
}

fn read(path: &Path) -> Result<String, Failure> {
    let cannot = |error: std::io::Error| {
        let what = match error.kind() {
            std::io::ErrorKind::InvalidData => "is no text: it is not UTF-8",
            _ => "cannot be read",
        };
        let mut failure = Failure::caused(format!("`{}` {what}", path.display()), &error);
        failure.kind = crate::failure::FailureKind::Usage;
        failure
    };
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(MOST_BYTES + 1)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text))
    };
    read.map_err(cannot)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Failure::usage(format!(
            "`{}` is longer than {MOST_BYTES} bytes",
            path.display()
        )));
    }
    Ok(text)
}

/// Reads the goals, or names the lines that are none.
fn parse(text: &str, common: &Submit) -> Result<Vec<Submit>, Failure> {
    let mut submits = Vec::new();
    let mut problems = Vec::new();
    // The factory counts the goals as the lines are counted, so a line without one is a slip.
    for (line, number) in text.trim_end().lines().zip(1..) {
        match parse_line(line, common) {
            Ok(submit) => submits.push(submit),
            Err(problem) => problems.push(format!("line {number}: {problem}")),
        }
    }
    if let Some(first) = problems.first() {
        let mut failure = Failure::usage(format!("nothing was filed: {first}"));
        failure.causes = problems.iter().skip(1).take(MOST_NAMED - 1).cloned().collect();
        let more = problems.len().saturating_sub(MOST_NAMED);
        if more > 0 {
            failure.causes.push(format!("and {more} more lines"));
        }
        return Err(failure.with_remedy(
            r#"each line is an object such as {"goal": "…", "model": "…", "base": "…", "priority": 1, "checks": ["…"], "budget": {"calls": 50, "tokens": "500k", "time": "1h", "turns": 50}}; all but the goal may be left out"#,
        ));
    }
    if submits.len() > Submit::MAX_AT_ONCE {
        return Err(Failure::usage(format!(
            "{} goals are more than the {} that are filed at once",
            submits.len(),
            Submit::MAX_AT_ONCE
        ))
        .with_remedy("file them in several parts"));
    }
    if submits.is_empty() {
        return Err(Failure::usage("there is no goal in the file"));
    }
    Ok(submits)
}

fn parse_line(line: &str, common: &Submit) -> Result<Submit, String> {
    if line.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    let line: Line = serde_json::from_str(line).map_err(|error| told(&error))?;
    let mut submit = common.clone();
    submit.goal = line.goal;
    if submit.goal.trim().is_empty() {
        return Err("the goal is empty".to_owned());
    }
    let spec = &mut submit.spec;
    if let Some(model) = line.model {
        spec.model = absolute_model(&model).map_err(|failure| failure.message)?;
    }
    spec.base_ref = line.base.or(spec.base_ref.take());
    spec.checks = line.checks.or(spec.checks.take());
    submit.priority = line.priority.unwrap_or(submit.priority);
    if let Some(budget) = line.budget {
        let or = |amount: Option<Amount>, common| amount.map_or(Ok(common), Amount::limit);
        spec.budget.calls = or(budget.calls, spec.budget.calls)?;
        spec.budget.tokens = or(budget.tokens, spec.budget.tokens)?;
        spec.budget.turns = or(budget.turns, spec.budget.turns)?;
        if let Some(time) = budget.time {
            spec.budget.work_ms = parse_time(&time)?;
        }
    }
    Ok(submit)
}

/// Returns what is wrong with a line's JSON; the parser's own line number would always be 1.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} (column {column})"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use factory_core::model::RunSpec;

    use super::*;

    fn common() -> Submit {
        Submit {
            project: "sample".to_owned(),
            goal: String::new(),
            spec: RunSpec {
                model: "m".to_owned(),
                checks: Some(vec!["make test".to_owned()]),
                ..RunSpec::default()
            },
            priority: 3,
        }
    }

    #[test]
    fn a_line_says_what_is_different() {
        let text = "{\"goal\": \"one\"}\n{\"goal\": \"two\", \"model\": \"x:y\", \"base\": \"v1\", \"priority\": -1, \
                    \"checks\": [], \"budget\": {\"calls\": 5, \"tokens\": \"2k\", \"time\": \"1m\", \"turns\": \"unlimited\"}}\n\n";
        let submits = parse(text, &common()).unwrap();
        assert_eq!(submits.len(), 2);
        assert_eq!((submits[0].goal.as_str(), submits[0].priority), ("one", 3));
        assert_eq!(submits[0].spec, common().spec);
        let spec = &submits[1].spec;
        assert_eq!((spec.model.as_str(), submits[1].priority), ("x:y", -1));
        assert_eq!(
            (spec.base_ref.as_deref(), spec.checks.as_deref()),
            (Some("v1"), Some(&[][..]))
        );
        assert_eq!(
            (
                spec.budget.calls,
                spec.budget.tokens,
                spec.budget.work_ms,
                spec.budget.turns
            ),
            (
                BudgetLimit::AtMost(5),
                BudgetLimit::AtMost(2000),
                BudgetLimit::AtMost(60_000),
                BudgetLimit::Unlimited
            )
        );
    }

    #[test]
    fn bad_lines_are_named_by_number() {
        let text = "{\"goal\": \"one\"}\n{\"goall\": \"two\"}\n\nno json\n{\"goal\": \" \"}\n\
                    {\"goal\": \"x\", \"budget\": {\"calls\": \"many\"}}";
        let failure = parse(text, &common()).unwrap_err();
        let said: Vec<&str> = std::iter::once(&failure.message)
            .chain(&failure.causes)
            .map(String::as_str)
            .collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        nothing was filed: line 2: unknown field `goall`, expected one of `goal`, `model`, `base`, `priority`, `checks`, `budget` (column 8)
        line 3: it is empty
        line 4: expected ident (column 2)
        line 5: the goal is empty
        line 6: `many` is not a number such as 100, 500k or 2M, nor `unlimited`
        ");
        let many = "x\n".repeat(20);
        let failure = parse(&many, &common()).unwrap_err();
        assert_eq!(
            failure.causes.last().map(String::as_str),
            Some("and 10 more lines")
        );
        assert!(parse(" \n", &common()).is_err());
    }
}
