//! A task as a folder: `task.toml` with the goal, the repository's files, and the files of the hidden verification.
//!
//! Tasks are small and are read whole, so that what is hashed is what is used.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Deserialize;

use super::EvaluationError;
use crate::factory::LaidFile;
use crate::model::BlobId;
use crate::workspace::RepoPath;

/// The file that makes a folder a task.
pub const TASK_FILE: &str = "task.toml";

/// The folder of the files that the work begins with.
const REPOSITORY: &str = "repository";

/// The folder of the files that are laid over a result before it is verified.
const VERIFICATION: &str = "verify";

/// The folder of the files that solve the task when they are laid over the repository.
const SOLUTION: &str = "solution";

/// The largest file of a task: 1 MiB.
const MAX_FILE: u64 = 1 << 20;

/// The most files of a task.
const MAX_FILES: usize = 1000;

/// A task: a repository, a goal, checks that the model knows, and a verification that it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The name: that of its folder.
    pub name: String,
    /// What is to be reached.
    pub goal: String,
    /// What it is written in, for the table.
    pub language: String,
    /// Commands that install what the checks need, without network.
    pub setup: Vec<String>,
    /// The checks of the project.
    pub checks: Vec<String>,
    /// The commands that decide whether a result that passes the checks is right.
    pub verify: Vec<String>,
    /// The files that the work begins with.
    pub repository: Vec<LaidFile>,
    /// The files that are laid over a result before it is verified.
    pub verification: Vec<LaidFile>,
    /// The files that solve it, laid over the repository; empty where none are given.
    pub solution: Vec<LaidFile>,
    /// A hash of all of it but the solution, which no run sees.
    pub content: String,
}

/// The shape of `task.toml`. What is not known is refused, so that a slip of the pen is seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskFile {
    goal: String,
    language: String,
    #[serde(default)]
    setup: Vec<String>,
    checks: Vec<String>,
    verify: Vec<String>,
}

impl Task {
    /// Reads the tasks of a folder in the order of their names: the folder itself where it is a task, else the tasks in
    /// it. With `patterns`, those alone of which a pattern matches the name. Blocks.
    pub fn read_all(folder: &Path, patterns: &[String]) -> Result<Vec<Self>, EvaluationError> {
        let wanted = pattern_set(patterns)?;
        let mut folders = Vec::new();
        if folder.join(TASK_FILE).exists() {
            folders.push(folder.to_owned());
        } else {
            for entry in list(folder)? {
                if entry.join(TASK_FILE).exists() {
                    folders.push(entry);
                } else if entry.is_dir() && entry.join(REPOSITORY).exists() {
                    return Err(bad(&entry, format!("has no {TASK_FILE}")));
                }
            }
        }
        let mut tasks = Vec::new();
        for folder in folders {
            let name = name_of(&folder)?;
            if patterns.is_empty() || wanted.is_match(&name) {
                tasks.push(Self::read(&folder, name)?);
            }
        }
        if tasks.is_empty() {
            return Err(EvaluationError::NoTasks {
                folder: folder.to_owned(),
                patterns: patterns.to_vec(),
            });
        }
        Ok(tasks)
    }

    fn read(folder: &Path, name: String) -> Result<Self, EvaluationError> {
        let path = folder.join(TASK_FILE);
        let text = fs::read_to_string(&path).map_err(EvaluationError::io("read", &path))?;
        let file: TaskFile =
            toml::from_str(&text).map_err(|error| bad(&path, error.to_string().trim_end().to_owned()))?;
        if file.goal.trim().is_empty() {
            return Err(bad(&path, "the goal is empty".to_owned()));
        }
        for (key, commands) in [("checks", &file.checks), ("verify", &file.verify)] {
            if commands.iter().all(|command| command.trim().is_empty()) {
                return Err(bad(&path, format!("`{key}` names no command")));
            }
        }
        let repository = files_below(&folder.join(REPOSITORY))?;
        if repository.is_empty() {
            return Err(bad(&folder.join(REPOSITORY), "has no files".to_owned()));
        }
        let optional = |name: &str| {
            let folder = folder.join(name);
            if folder.exists() {
                files_below(&folder)
            } else {
                Ok(Vec::new())
            }
        };
        let verification = optional(VERIFICATION)?;
        Ok(Self {
            name,
            content: hash(&text, &repository, &verification),
            goal: file.goal,
            language: file.language,
            setup: file.setup,
            checks: file.checks,
            verify: file.verify,
            repository,
            verification,
            solution: optional(SOLUTION)?,
        })
    }
}

/// Returns a task's name, which becomes a part of file names.
fn name_of(folder: &Path) -> Result<String, EvaluationError> {
    // The folder may be given as `.`, which has no name.
    let whole = folder
        .canonicalize()
        .map_err(EvaluationError::io("find", folder))?;
    let name = whole
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.is_empty() || name.len() > 60 || !name.chars().all(is_plain) {
        let problem = "is no name of a task: it has 1 to 60 letters, digits, `-`, `_` or `.`";
        return Err(bad(folder, problem.to_owned()));
    }
    Ok(name.to_owned())
}

fn pattern_set(patterns: &[String]) -> Result<GlobSet, EvaluationError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = Glob::new(pattern).map_err(|error| EvaluationError::BadPattern {
            pattern: pattern.clone(),
            problem: error.kind().to_string(),
        })?;
        set.add(glob);
    }
    set.build().map_err(|error| EvaluationError::BadPattern {
        pattern: patterns.join(" "),
        problem: error.to_string(),
    })
}

/// Returns what lies in a folder, sorted.
fn list(folder: &Path) -> Result<Vec<PathBuf>, EvaluationError> {
    let entries = fs::read_dir(folder).map_err(EvaluationError::io("read the folder", folder))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(
            entry
                .map_err(EvaluationError::io("read the folder", folder))?
                .path(),
        );
    }
    paths.sort();
    Ok(paths)
}

/// Reads all files below a folder, sorted by path.
fn files_below(root: &Path) -> Result<Vec<LaidFile>, EvaluationError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in list(&folder)? {
            let facts = fs::symlink_metadata(&path).map_err(EvaluationError::io("look at", &path))?;
            if facts.is_dir() {
                folders.push(path);
                continue;
            }
            if !facts.is_file() {
                return Err(bad(&path, "is neither a file nor a folder".to_owned()));
            }
            if facts.len() > MAX_FILE || files.len() >= MAX_FILES {
                let problem =
                    format!("is too much for a task: it has at most {MAX_FILES} files of at most 1 MiB");
                return Err(bad(&path, problem));
            }
            let inside = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            files.push(LaidFile {
                path: RepoPath::parse(&inside).map_err(|error| bad(&path, error.to_string()))?,
                content: fs::read(&path).map_err(EvaluationError::io("read", &path))?,
                executable: facts.permissions().mode() & 0o100 != 0,
            });
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// Returns a hash in which no part can be taken for another.
fn hash(task: &str, repository: &[LaidFile], verification: &[LaidFile]) -> String {
    let mut whole = Vec::new();
    let mut add = |bytes: &[u8]| {
        whole.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        whole.extend_from_slice(bytes);
    };
    add(task.as_bytes());
    for files in [repository, verification] {
        add(&(files.len() as u64).to_le_bytes());
        for file in files {
            add(file.path.as_str().as_bytes());
            add(&file.content);
            add(&[u8::from(file.executable)]);
        }
    }
    BlobId::of(&whole).to_string()
}

fn bad(path: &Path, problem: String) -> EvaluationError {
    EvaluationError::BadTask {
        path: path.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "goal = \"Do it\"\nlanguage = \"text\"\nchecks = [\"true\"]\nverify = [\"true\"]\n";

    fn lay(root: &Path, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    fn read(files: &[(&str, &str)], patterns: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        lay(folder.path(), files);
        let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        match Task::read_all(folder.path(), &patterns) {
            Ok(tasks) => Ok(tasks.into_iter().map(|task| task.name).collect()),
            Err(error) => {
                let text = crate::chain::chain(&error);
                Err(text.replace(folder.path().to_str().unwrap(), "[folder]"))
            }
        }
    }

    #[test]
    fn tasks_are_found_by_name_in_order() {
        let files = [
            ("b/task.toml", GOOD),
            ("b/repository/x", ""),
            ("a-1/task.toml", GOOD),
            ("a-1/repository/x", ""),
            ("README.md", "not a task"),
        ];
        assert_eq!(read(&files, &[]).unwrap(), ["a-1", "b"]);
        assert_eq!(read(&files, &["a-*"]).unwrap(), ["a-1"]);
        assert_eq!(
            read(&files, &["c*", "d"]).unwrap_err(),
            "`[folder]` has no task that is named like c* or d"
        );
    }

    #[test]
    fn a_bad_task_is_told_with_its_file() {
        let cases: [(&[(&str, &str)], &str); 8] = [
            (
                &[],
                "`[folder]` has no tasks; a task is a folder with a task.toml",
            ),
            (
                &[("a/repository/x", "")],
                "the task `[folder]/a` cannot be used: has no task.toml",
            ),
            (
                &[(
                    "a/task.toml",
                    "goal = \"\"\nlanguage = \"x\"\nchecks = [\"true\"]\nverify = [\"true\"]",
                )],
                "the task `[folder]/a/task.toml` cannot be used: the goal is empty",
            ),
            (
                &[(
                    "a/task.toml",
                    "goal = \"g\"\nlanguage = \"x\"\nchecks = [\"true\"]\nverify = []",
                )],
                "the task `[folder]/a/task.toml` cannot be used: `verify` names no command",
            ),
            (
                &[("a/task.toml", GOOD)],
                "cannot read the folder `[folder]/a/repository`: No such file or directory (os error 2)",
            ),
            (
                &[("a/task.toml", GOOD), ("a/repository/.git/config", "")],
                "the task `[folder]/a/repository/.git/config` cannot be used: `.git/config` has a component that names git's own folder",
            ),
            (
                &[("two words/task.toml", GOOD), ("two words/repository/x", "")],
                "the task `[folder]/two words` cannot be used: is no name of a task: it has 1 to 60 letters, digits, `-`, `_` or `.`",
            ),
            (
                &[("a/task.toml", "goal = 1")],
                "the task `[folder]/a/task.toml` cannot be used: TOML parse error at line 1, column 8",
            ),
        ];
        for (files, expected) in cases {
            let told = read(files, &[]).unwrap_err();
            assert!(told.starts_with(expected), "{told}\n{expected}");
        }
        let told = read(&[("a/task.toml", &format!("{GOOD}check = \"x\"\n"))], &[]).unwrap_err();
        assert!(told.contains("unknown field `check`"), "{told}");
        assert!(
            read(&[("a/task.toml", GOOD)], &["["]).is_err(),
            "a pattern that is none"
        );
    }

    #[test]
    fn the_hash_is_of_all_that_a_run_meets() {
        let content = |files: &[(&str, &str)]| {
            let folder = tempfile::tempdir().unwrap();
            lay(
                folder.path(),
                &[
                    ("t/task.toml", GOOD),
                    ("t/repository/a", "1"),
                    ("t/verify/v", "2"),
                ],
            );
            lay(folder.path(), files);
            Task::read_all(folder.path(), &[]).unwrap()[0].content.clone()
        };
        let before = content(&[]);
        assert_eq!(before, content(&[("t/solution/a", "x")]));
        for change in [
            ("t/repository/a", "2"),
            ("t/repository/b", ""),
            ("t/verify/v", "3"),
            ("t/task.toml", &format!("{GOOD}# another\n")),
        ] {
            assert_ne!(before, content(&[change]), "{change:?}");
        }
    }
}
