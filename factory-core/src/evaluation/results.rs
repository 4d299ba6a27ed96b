//! The results file: one JSON object a line, each on disk before the next task begins. What it holds is not done again.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::outcome::{Figures, Outcome};
use super::{EvaluationError, Task, Terms};
use crate::factory::Factory;
use crate::model::{Protocol, RunId, Timestamp};

/// The largest results file that is read: 64 MiB.
const MAX_FILE: u64 = 64 << 20;

/// How each line begins, by which one that was cut off is told from another's text.
const LINE_BEGINS: &[u8] = b"{\"task\":\"";

/// What a result holds for: it is not measured again while all of this is the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The task's name.
    pub task: String,
    /// The hash of what the task is.
    pub content: String,
    /// The model.
    pub model: String,
    /// The seed that the model was given.
    pub seed: Option<u64>,
    /// How the model was to be asked, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// How many calls it could have.
    pub calls_at_most: u64,
    /// Whether results that asked although they were proven were approved.
    pub approve_proven: bool,
    /// The version of the words that it was given.
    pub prompt: String,
}

impl Key {
    /// Returns the key of a task under these terms.
    pub fn new(task: &Task, terms: &Terms) -> Self {
        Self {
            task: task.name.clone(),
            content: task.content.clone(),
            model: terms.model.clone(),
            seed: terms.seed,
            protocol: terms.protocol,
            calls_at_most: terms.calls,
            approve_proven: terms.approve_proven,
            prompt: Factory::prompt_version(),
        }
    }
}

/// A task's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it holds for.
    #[serde(flatten)]
    pub key: Key,
    /// What the task is written in.
    pub language: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in words.
    pub detail: Option<String>,
    /// What it took.
    #[serde(flatten)]
    pub figures: Figures,
    /// The run, in the data folder of the evaluation.
    pub run: RunId,
    /// When the run came to rest.
    pub at: Timestamp,
}

/// The results that there are, and the file that keeps them.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    records: Vec<Record>,
}

impl Results {
    /// Reads the file, which may be missing. A last line that a crash cut off is taken away; any other line that is no
    /// result is an error, because the file may be something else. Blocks.
    pub fn open(path: &Path) -> Result<Self, EvaluationError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(EvaluationError::io("make the folder", folder))?;
        }
        let records = match read(path)? {
            None => Vec::new(),
            Some(content) => {
                let records = parse(path, &content.lines)?;
                if content.is_torn {
                    cut(path, content.lines.len() as u64)?;
                }
                records
            }
        };
        Ok(Self {
            path: path.to_owned(),
            records,
        })
    }

    /// Reads the results of a file that must be there, and changes nothing. Blocks.
    pub fn read(path: &Path) -> Result<Vec<Record>, EvaluationError> {
        let missing = || EvaluationError::io("read", path)(std::io::ErrorKind::NotFound.into());
        let content = read(path)?.ok_or_else(missing)?;
        parse(path, &content.lines)
    }

    /// Returns the newest settled result for the key.
    pub fn settled(&self, key: &Key) -> Option<&Record> {
        let mut newest = self.records.iter().rev();
        newest.find(|record| record.key == *key && record.outcome.is_settled())
    }

    /// Adds a result; it is on disk when this returns.
    pub(super) async fn append(&mut self, record: Record) -> Result<(), EvaluationError> {
        let mut line = serde_json::to_string(&record).expect("a record has only string keys");
        line.push('\n');
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            let new = !path.exists();
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                Some(folder) if new => File::open(folder)?.sync_all(),
                _ => Ok(()),
            }
        });
        let written = written
            .await
            .unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
        written.map_err(EvaluationError::io("write", &self.path))?;
        self.records.push(record);
        Ok(())
    }
}

/// What a results file holds.
struct Content {
    /// The whole lines.
    lines: String,
    /// Whether a line follows that a crash cut off.
    is_torn: bool,
}

/// Returns what the file holds, none where there is no file.
fn read(path: &Path) -> Result<Option<Content>, EvaluationError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(EvaluationError::io("read", path)(error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(EvaluationError::io("read", path))?;
    let bad = |line: usize, problem: &str| EvaluationError::BadResults {
        path: path.to_owned(),
        line,
        problem: problem.to_owned(),
    };
    if bytes.len() as u64 > MAX_FILE {
        return Err(bad(1, "the file is larger than 64 MiB"));
    }
    // A crash can cut a line anywhere, within a character too.
    let whole = bytes
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    let tail = bytes.split_off(whole);
    let lines = String::from_utf8(bytes).map_err(|_| bad(1, "the file is no text: it is not UTF-8"))?;
    let begun = tail.iter().zip(LINE_BEGINS).all(|(one, other)| one == other);
    if !begun {
        let line = lines.lines().count() + 1;
        return Err(bad(line, "the last line is no result and has no end"));
    }
    Ok(Some(Content {
        lines,
        is_torn: !tail.is_empty(),
    }))
}

fn parse(path: &Path, text: &str) -> Result<Vec<Record>, EvaluationError> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    let records = lines.map(|(number, line)| {
        serde_json::from_str(line).map_err(|error| EvaluationError::BadResults {
            path: path.to_owned(),
            line: number + 1,
            problem: error.to_string(),
        })
    });
    records.collect()
}

fn cut(path: &Path, length: u64) -> Result<(), EvaluationError> {
    let cut = OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_len(length).and_then(|()| file.sync_all()));
    cut.map_err(EvaluationError::io("mend", path))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::evaluation) fn record(task: &str, model: &str, outcome: Outcome) -> Record {
        Record {
            key: Key {
                task: task.to_owned(),
                content: "c0ffee".to_owned(),
                model: model.to_owned(),
                seed: None,
                protocol: None,
                calls_at_most: 8,
                approve_proven: false,
                prompt: "words".to_owned(),
            },
            language: "text".to_owned(),
            outcome,
            detail: None,
            figures: Figures {
                calls: 3,
                prompt_tokens: 1000,
                completion_tokens: 200,
                work_ms: 4000,
                ..Figures::default()
            },
            run: RunId(1),
            at: "2026-01-31T12:00:00Z".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn what_was_appended_is_found_again_and_a_torn_line_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/results.jsonl");
        let mut results = Results::open(&path).unwrap();
        let [one, two, three] = [
            ("a", Outcome::Wrong),
            ("a", Outcome::Solved),
            ("b", Outcome::ModelUnavailable),
        ]
        .map(|(task, outcome)| record(task, "m", outcome));
        for record in [&one, &two, &three] {
            results.append(record.clone()).await.unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        assert!(whole.starts_with(LINE_BEGINS));
        for torn in [0, 1, 5, 50] {
            let line_of_three = whole.split(|&byte| byte == b'\n').nth(2).unwrap();
            std::fs::write(&path, [&whole, &line_of_three[..torn]].concat()).unwrap();
            assert_eq!(Results::read(&path).unwrap().len(), 3);
            let results = Results::open(&path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{torn}");
            assert_eq!(results.settled(&one.key), Some(&two), "the newest counts");
            assert_eq!(results.settled(&three.key), None, "it is not settled");
            assert_eq!(
                results.settled(&Key {
                    seed: Some(1),
                    ..one.key.clone()
                }),
                None
            );
        }
    }

    #[test]
    fn a_file_that_is_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        for (text, expected) in [
            ("my notes\n", "line 1: expected value at line 1 column 1"),
            ("my notes", "line 1: the last line is no result and has no end"),
            ("{}\n", "line 1: missing field"),
        ] {
            std::fs::write(&path, text).unwrap();
            let told = Results::open(&path).unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert!(Results::read(&folder.path().join("missing")).is_err());
    }
}
