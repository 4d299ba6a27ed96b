//! Evaluations: a line for each task as it ends, the table of one evaluation, and several beside each other.

use std::collections::HashSet;

use factory_core::evaluation::{Comparison, Outcome, Record, Sample, Totals};

use super::amount::{count, milliseconds, number};
use super::sanitize;
use super::table::columns;

/// How many characters of a reason are shown in a table.
const REASON: usize = 80;

/// Returns a task's result as one line.
pub(crate) fn line(record: &Record) -> String {
    let mark = if record.outcome == Outcome::Solved {
        '✓'
    } else {
        '✗'
    };
    let figures = &record.figures;
    format!(
        "{mark} {}: {}, {}, {}, {}",
        sanitize::line(&record.key.task),
        record.outcome,
        count(figures.calls, "call"),
        count(figures.tokens(), "token"),
        milliseconds(figures.work_ms),
    )
}

/// Returns the results of one evaluation as a table, with what they took in all.
pub(crate) fn table(records: &[Record]) -> String {
    let rows = records.iter().map(|record| {
        let figures = &record.figures;
        vec![
            sanitize::line(&record.key.task).into_owned(),
            sanitize::short(&record.language, 12),
            record.outcome.to_string(),
            number(figures.calls),
            number(figures.tokens()),
            milliseconds(figures.work_ms),
            record.run.to_string(),
            trouble(record),
        ]
    });
    let headings = [
        "TASK", "LANGUAGE", "OUTCOME", "CALLS", "TOKENS", "TIME", "RUN", "WHY",
    ];
    format!("{}\n\n{}", columns(&headings, rows), totals(&Totals::of(records)))
}

/// Returns what went wrong: the reason, and the figures that tell how the model failed.
fn trouble(record: &Record) -> String {
    let figures = &record.figures;
    let counted = [
        (figures.idle_replies, "idle reply", "idle replies"),
        (figures.cut_replies, "cut reply", "cut replies"),
        (figures.failed_edits, "failed edit", "failed edits"),
        (
            figures.failed_tools - figures.failed_edits.min(figures.failed_tools),
            "failed tool call",
            "failed tool calls",
        ),
        (figures.red_rounds, "red round", "red rounds"),
        (figures.failed_calls, "failed call", "failed calls"),
        (figures.interruptions, "interruption", "interruptions"),
    ];
    let mut parts: Vec<_> = counted
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{} {}", number(count), if count == 1 { one } else { many }))
        .collect();
    // Whatever ends with a reason of its own says so; a budget or red checks are said by the outcome.
    let is_told = !matches!(record.outcome, Outcome::Budget | Outcome::RedChecks);
    parts.extend(
        record
            .detail
            .as_deref()
            .filter(|_| is_told)
            .map(|detail| sanitize::short(detail, REASON)),
    );
    parts.join("; ")
}

/// Returns in one line how many are solved, how the others ended, and what it took.
pub(crate) fn totals(totals: &Totals) -> String {
    let mut failures: Vec<_> = totals
        .outcomes
        .iter()
        .filter(|(outcome, _)| **outcome != Outcome::Solved)
        .collect();
    failures.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let failures: Vec<_> = failures
        .into_iter()
        .map(|(outcome, count)| format!("{outcome} {}", number(*count)))
        .collect();
    let failures = if failures.is_empty() {
        String::new()
    } else {
        format!(" ({})", failures.join(", "))
    };
    format!(
        "solved {} of {}{failures}; {}, {}, {}",
        number(totals.solved()),
        number(totals.samples),
        count(totals.calls, "call"),
        count(totals.tokens, "token"),
        milliseconds(totals.work_ms),
    )
}

/// Returns evaluations beside each other: what the columns are, each task's outcomes, and what each took. A task of
/// which not every column solved the same share is marked.
pub(crate) fn comparison(comparison: &Comparison) -> String {
    let names: Vec<_> = (0..comparison.columns.len()).map(column_name).collect();
    let legend = names.iter().zip(&comparison.columns).map(|(name, column)| {
        vec![
            name.clone(),
            sanitize::line(&column.source).into_owned(),
            sanitize::short(&column.model, 48),
            sanitize::short(&column.prompt, 16),
            number(column.calls_at_most),
            if column.approve_proven { "if proven" } else { "no" }.to_owned(),
        ]
    });
    let legend = columns(
        &["", "RESULTS", "MODEL", "PROMPT", "CALLS AT MOST", "APPROVED"],
        legend,
    );
    let mut headings = vec!["TASK"];
    headings.extend(names.iter().map(String::as_str));
    headings.push("");
    let tasks = comparison.tasks.iter().map(|task| {
        let samples = comparison
            .columns
            .iter()
            .map(|column| column.samples.get(task).map_or(&[][..], Vec::as_slice));
        let cells: Vec<_> = samples.clone().map(cell).collect();
        let shares: HashSet<_> = samples.filter_map(solved_share).collect();
        let differs = shares.len() > 1;
        let mut row = vec![sanitize::line(task).into_owned()];
        row.extend(cells);
        row.push(if differs { "≠" } else { "" }.to_owned());
        row
    });
    let total = |name: &str, of: &dyn Fn(&Totals) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(comparison.columns.iter().map(|column| of(&column.totals)));
        row.push(String::new());
        row
    };
    let share = |totals: &Totals| format!("{} of {}", number(totals.solved()), number(totals.samples));
    let totals = [
        vec![String::new(); headings.len()],
        total("solved", &share),
        total("calls", &|totals| number(totals.calls)),
        total("tokens", &|totals| number(totals.tokens)),
        total("time", &|totals| milliseconds(totals.work_ms)),
    ];
    format!("{legend}\n\n{}", columns(&headings, tasks.chain(totals)))
}

/// Returns A, B, … Z, A1, B1, ….
fn column_name(place: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(place % 26).unwrap_or_default());
    match place / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

fn cell(samples: &[Sample]) -> String {
    match samples {
        [] => "-".to_owned(),
        [sample] => sample.outcome.to_string(),
        samples => format!("solved {} of {}", solved(samples), samples.len()),
    }
}

fn solved(samples: &[Sample]) -> usize {
    let solved = samples.iter().filter(|sample| sample.outcome == Outcome::Solved);
    solved.count()
}

/// Returns how many thousandths of the samples are solved; none where there are none.
fn solved_share(samples: &[Sample]) -> Option<usize> {
    (solved(samples) * 1000).checked_div(samples.len())
}

#[cfg(test)]
mod tests {
    use factory_core::evaluation::compare;
    use serde_json::json;

    use super::*;

    fn record(task: &str, seed: Option<u64>, outcome: &str, detail: Option<&str>) -> Record {
        serde_json::from_value(json!({
            "task": task, "content": "c", "model": "ollama:small", "seed": seed, "calls_at_most": 8,
            "approve_proven": false, "prompt": "0123456789ab", "language": "python", "outcome": outcome,
            "detail": detail, "calls": 3, "prompt_tokens": 4000, "completion_tokens": 321, "work_ms": 61_000,
            "failed_tools": 3, "failed_edits": 1, "red_rounds": u64::from(outcome == "red_checks"),
            "run": 7, "at": "2026-01-31T12:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn an_evaluation_is_a_table_and_a_sum() {
        let records = [
            record("a", None, "solved", None),
            record("b\u{1b}[2J", None, "red_checks", Some("the checks stayed red")),
            record(
                "c",
                None,
                "wrong",
                Some("`sh verify.sh`: exit code 1: \u{1b}]0;x"),
            ),
        ];
        insta::assert_snapshot!(line(&records[1]));
        insta::assert_snapshot!(table(&records));
    }

    #[test]
    fn evaluations_stand_beside_each_other() {
        let one = vec![
            record("a", None, "solved", None),
            record("b", None, "red_checks", None),
            record("c", None, "solved", None),
        ];
        let other = vec![
            record("a", Some(1), "solved", None),
            record("a", Some(2), "budget", None),
            record("b", Some(1), "red_checks", None),
        ];
        let files = [("one.jsonl".to_owned(), one), ("other.jsonl".to_owned(), other)];
        insta::assert_snapshot!(comparison(&compare(&files)));
    }

    #[test]
    fn columns_have_short_names() {
        let names: Vec<_> = [0, 1, 25, 26, 53].into_iter().map(column_name).collect();
        assert_eq!(names, ["A", "B", "Z", "A1", "B2"]);
    }
}
