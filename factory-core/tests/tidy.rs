//! Holds the house in order: imports point one way, every file says what it is, no file grows past its ceiling.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file longer than this must be split.
const CEILING: usize = 800;

/// The floors of the library, lowest first. A module may use those of its own floor and of the floors below.
const FLOORS: &[&[&str]] = &[
    &["model"],
    &[
        "chain",
        "context",
        "data_folder",
        "environment",
        "event_bus",
        "gate",
        "llm",
        "model_notes",
        "sandbox",
        "settings",
        "spans",
        "store",
        "syntax",
        "tools",
        "vcs",
        "workspace",
    ],
    &["scheduler"],
    &["agent", "error", "journal"],
    &["factory"],
    &["evaluation", "feed", "testing", "lib"],
];

/// What the library must not know.
const STRANGERS: &[&str] = &["poem", "pyo3", "clap", "figment", "indicatif", "anyhow"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the workspace")
        .to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn all_files() -> Vec<PathBuf> {
    let root = workspace();
    let folders = [
        "factory-core/src",
        "factory-core/tests",
        "factory-http/src",
        "factory-http/tests",
        "examples",
    ];
    let files: Vec<_> = folders
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .collect();
    assert!(
        files.len() > 50,
        "the sources were not found below {}",
        root.display()
    );
    files
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    let silent: Vec<_> = all_files()
        .into_iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            !text
                .lines()
                .next()
                .is_some_and(|line| line.starts_with("//! ") && line.len() > 12)
        })
        .collect();
    assert!(
        silent.is_empty(),
        "these files do not begin with `//! ` and a sentence: {silent:#?}"
    );
}

#[test]
fn no_file_passes_the_ceiling() {
    let long: Vec<_> = all_files()
        .into_iter()
        .filter_map(|path| {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            (lines > CEILING).then_some((path, lines))
        })
        .collect();
    assert!(
        long.is_empty(),
        "these files have more than {CEILING} lines: {long:#?}"
    );
}

#[test]
fn imports_point_one_way() {
    let source = workspace().join("factory-core/src");
    let floors: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, modules)| modules.iter().map(move |module| (*module, floor)))
        .collect();
    let mut wrong = Vec::new();
    for path in rust_files(&source) {
        let inside = path.strip_prefix(&source).unwrap();
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            // A module's tests may use what they like.
            continue;
        }
        let module = inside
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .replace(".rs", "");
        let Some(&floor) = floors.get(module.as_str()) else {
            panic!("module `{module}` stands on no floor; add it to FLOORS");
        };
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, used) in uses(&text) {
            // An item at the crate's root is what `lib.rs` shows again; modules name each other directly.
            let allowed = floors.get(used.as_str()).is_some_and(|used| *used <= floor);
            if !allowed {
                wrong.push(format!("{}:{number}: `{module}` uses `{used}`", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the modules of this crate that a file names, with their lines. Tests within a file may use what they like.
fn uses(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.contains("#[cfg(test)]")
            && text
                .lines()
                .nth(number + 1)
                .is_some_and(|next| next.ends_with('{'))
        {
            break;
        }
        let trimmed = line.trim_start();
        if trimmed.starts_with("//") {
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == '$') {
                continue;
            }
            let name: String = line[at + 7..]
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect();
            if !name.is_empty() && line[at + 7 + name.len()..].starts_with("::") {
                found.push((number + 1, name));
            }
        }
    }
    found
}

#[test]
fn the_library_knows_no_front_end() {
    let manifest = std::fs::read_to_string(workspace().join("factory-core/Cargo.toml")).unwrap();
    for stranger in STRANGERS {
        assert!(
            !manifest.contains(&format!("\n{stranger}")),
            "factory-core depends on {stranger}"
        );
    }
}

#[test]
fn uses_are_found_where_they_are() {
    let text = "use crate::model::Run;\n// crate::agent::x\nlet a = crate::store::open();\n#[cfg(test)]\nmod tests {\nuse crate::factory::F;\n}\n";
    assert_eq!(uses(text), [(1, "model".to_owned()), (3, "store".to_owned())]);
}
