//! Results beside each other: which tasks were solved under which terms, and what that took.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::outcome::{Figures, Outcome};
use super::results::{Key, Record};

/// Results beside each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The tasks, by name.
    pub tasks: Vec<String>,
    /// One column for each file and, within it, for each model, prompt and bound.
    pub columns: Vec<Column>,
}

/// What one file holds for one model under the same terms. Several seeds are several samples of each task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// The file.
    pub source: String,
    /// The model.
    pub model: String,
    /// The version of the words that it was given.
    pub prompt: String,
    /// How many calls it could have.
    pub calls_at_most: u64,
    /// Whether results that asked although they were proven were approved.
    pub approve_proven: bool,
    /// The samples of each task.
    pub samples: BTreeMap<String, Vec<Sample>>,
    /// What all samples took.
    pub totals: Totals,
}

/// A task's result with one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The seed.
    pub seed: Option<u64>,
    /// What became of the task.
    pub outcome: Outcome,
}

/// What a column's samples took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// How many samples there are.
    pub samples: u64,
    /// How many samples ended in each way.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Model calls that were answered.
    pub calls: u64,
    /// Tokens sent and received.
    pub tokens: u64,
    /// Milliseconds of work.
    pub work_ms: u64,
}

impl Totals {
    /// Returns what these results took.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut totals = Self::default();
        for record in records {
            totals.add(record.outcome, &record.figures);
        }
        totals
    }

    fn add(&mut self, outcome: Outcome, figures: &Figures) {
        self.samples += 1;
        *self.outcomes.entry(outcome).or_default() += 1;
        self.calls += figures.calls;
        self.tokens += figures.tokens();
        self.work_ms += figures.work_ms;
    }

    /// Returns how many samples are solved.
    pub fn solved(&self) -> u64 {
        self.outcomes.get(&Outcome::Solved).copied().unwrap_or_default()
    }
}

/// Puts the results of several files, each with its name, beside each other. Where a file has several results for the
/// same, the newest counts; of a task that was changed meanwhile, those of the state that was measured last.
pub fn compare(files: &[(String, Vec<Record>)]) -> Comparison {
    let mut columns = Vec::new();
    for (source, records) in files {
        let mut newest: BTreeMap<&Key, &Record> = BTreeMap::new();
        let mut current: BTreeMap<(&str, Terms<'_>), &str> = BTreeMap::new();
        let mut order: Vec<Terms<'_>> = Vec::new();
        for record in records {
            let terms = terms(&record.key);
            if !order.contains(&terms) {
                order.push(terms);
            }
            current.insert((&record.key.task, terms), &record.key.content);
            newest.insert(&record.key, record);
        }
        for wanted in order {
            let chosen = newest.values().filter(|record| {
                let key = &record.key;
                let state = current.get(&(key.task.as_str(), wanted));
                terms(key) == wanted && state == Some(&key.content.as_str())
            });
            columns.push(column(source, wanted, chosen.copied()));
        }
    }
    let tasks: BTreeSet<String> = columns
        .iter()
        .flat_map(|column| column.samples.keys().cloned())
        .collect();
    Comparison {
        tasks: tasks.into_iter().collect(),
        columns,
    }
}

/// The terms that a column is for: model, prompt, calls at most, approval.
type Terms<'a> = (&'a str, &'a str, u64, bool);

fn terms(key: &Key) -> Terms<'_> {
    (&key.model, &key.prompt, key.calls_at_most, key.approve_proven)
}

fn column<'a>(source: &str, terms: Terms<'_>, records: impl Iterator<Item = &'a Record> + Clone) -> Column {
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for record in records.clone() {
        let sample = Sample {
            seed: record.key.seed,
            outcome: record.outcome,
        };
        samples.entry(record.key.task.clone()).or_default().push(sample);
    }
    let (model, prompt, calls_at_most, approve_proven) = terms;
    Column {
        source: source.to_owned(),
        model: model.to_owned(),
        prompt: prompt.to_owned(),
        calls_at_most,
        approve_proven,
        samples,
        totals: Totals::of(records),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::results::tests::record;

    #[test]
    fn the_newest_result_of_the_newest_state_counts_and_seeds_are_samples() {
        let with = |task: &str, content: &str, seed: Option<u64>, outcome| {
            let mut record = record(task, "m", outcome);
            record.key.content = content.to_owned();
            record.key.seed = seed;
            record
        };
        let one = vec![
            with("a", "old", None, Outcome::Solved),
            with("a", "new", None, Outcome::ModelUnavailable),
            with("a", "new", None, Outcome::Wrong),
            with("b", "new", Some(2), Outcome::Solved),
            with("b", "new", Some(1), Outcome::Budget),
        ];
        let other = vec![
            record("c", "m", Outcome::Stuck),
            record("c", "n", Outcome::Solved),
        ];
        let comparison = compare(&[("one".to_owned(), one), ("other".to_owned(), other)]);
        assert_eq!(comparison.tasks, ["a", "b", "c"]);
        let shown: Vec<_> = comparison
            .columns
            .iter()
            .map(|column| {
                let outcomes: Vec<_> = column
                    .samples
                    .iter()
                    .map(|(task, samples)| {
                        let outcomes = samples.iter().map(|sample| sample.outcome.as_str());
                        format!("{task}: {}", outcomes.collect::<Vec<_>>().join(", "))
                    })
                    .collect();
                let totals = &column.totals;
                format!(
                    "{} {} {:?} {}/{} {}",
                    column.source,
                    column.model,
                    outcomes,
                    totals.solved(),
                    totals.samples,
                    totals.calls
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"one m ["a: wrong", "b: budget, solved"] 1/3 9"#,
                r#"other m ["c: stuck"] 0/1 3"#,
                r#"other n ["c: solved"] 1/1 3"#,
            ]
        );
    }
}
