//! The demonstration's material: a small repository with a failing test, and what a model would say about it.
//!
//! It needs nothing but a POSIX shell. The scripted model errs once, so that the checks are seen to decide.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What the run is to reach.
pub(crate) const GOAL: &str =
    "Titles with punctuation or several spaces become ugly slugs. Make slug.sh pass tests/run.sh.";

/// The command that proves it.
pub(crate) const CHECK: &str = "sh tests/run.sh";

const README: &str =
    "# Slugs\n\n`sh slug.sh TITLE` prints what stands in the address of a page with that title.\n";

const SLUG: &str = r#"#!/bin/sh
# Prints the slug of a title.
printf '%s\n' "$1" | tr 'A-Z' 'a-z' | tr ' ' '-'
"#;

const TESTS: &str = r#"#!/bin/sh
# Proves slug.sh: exits 0 when every case holds.
failed=0
check() {
    actual=$(sh slug.sh "$1")
    if [ "$actual" = "$2" ]; then
        echo "ok      '$1' -> $actual"
    else
        echo "NOT OK  '$1' -> $actual, expected $2"
        failed=$((failed + 1))
    fi
}
check "Hello World" "hello-world"
check "Much   space" "much-space"
check "Release 1.0" "release-1-0"
check "What now?" "what-now"
[ "$failed" -eq 0 ] || { echo "$failed of 4 failed"; exit 1; }
"#;

/// The search and replace of the first edit, which forgets the hyphen that a final question mark leaves.
const FIRST_EDIT: (&str, &str) = ("| tr ' ' '-'", r"| tr -cs 'a-z0-9\n' '-'");

/// The search and replace of the second edit.
const SECOND_EDIT: (&str, &str) = (
    r"| tr -cs 'a-z0-9\n' '-'",
    r"| tr -cs 'a-z0-9\n' '-' | sed 's/^-//; s/-$//'",
);

/// Where everything of a demonstration is.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// All of it.
    pub(crate) folder: PathBuf,
    /// The repository.
    pub(crate) repository: PathBuf,
    /// The factory's data folder.
    pub(crate) data_folder: PathBuf,
    /// The model's script.
    pub(crate) script: PathBuf,
}

/// Lays the demonstration into `folder`, which must be empty or absent, or into a new temporary folder. Blocks.
pub(crate) fn lay(folder: Option<&Path>) -> io::Result<Place> {
    let folder = if let Some(folder) = folder {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if fs::read_dir(folder)?.next().is_some() {
            return Err(io::Error::new(
                io::ErrorKind::DirectoryNotEmpty,
                "the folder is not empty",
            ));
        }
        folder.canonicalize()?
    } else {
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new()
            .prefix("factory-demo-")
            .permissions(private)
            .tempdir()?;
        folder.keep().canonicalize()?
    };
    let place = Place {
        repository: folder.join("slugs"),
        data_folder: folder.join("data"),
        script: folder.join("script.json"),
        folder,
    };
    fs::create_dir_all(place.repository.join("tests"))?;
    fs::write(place.repository.join("README.md"), README)?;
    fs::write(place.repository.join("slug.sh"), SLUG)?;
    fs::write(place.repository.join("tests/run.sh"), TESTS)?;
    let script = serde_json::to_vec_pretty(&script())?;
    fs::write(&place.script, script)?;
    Ok(place)
}

/// Returns what the model says, reply by reply.
fn script() -> Value {
    let call = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    let edit = |(search, replace): (&str, &str)| {
        call(
            "edit_file",
            json!({"path": "slug.sh", "edits": [{"search": search, "replace": replace}]}),
        )
    };
    let finish = |summary: &str| call("finish_step", json!({"summary": summary}));
    let reply = |text: &str, calls: Vec<Value>| json!({"text": text, "tool_calls": calls});
    json!({"replies": [
        reply("I will look first and then change one line.", vec![
            call("update_plan", json!({"steps": ["Read slug.sh and its tests", "Mend slug.sh"]})),
        ]),
        reply("", vec![
            call("list_files", json!({})),
            call("read_file", json!({"path": "slug.sh"})),
            call("read_file", json!({"path": "tests/run.sh"})),
        ]),
        reply("", vec![finish("slug.sh turns each single space into a hyphen and keeps punctuation.")]),
        reply("Everything that is no letter or digit becomes one hyphen.", vec![edit(FIRST_EDIT)]),
        reply("", vec![finish("Runs of other characters are one hyphen now.")]),
        reply("The check is right: a final question mark leaves a hyphen.", vec![edit(SECOND_EDIT)]),
        reply("", vec![call("run_command", json!({"command": CHECK}))]),
        reply("", vec![finish("Hyphens at either end are cut off; all cases hold.")]),
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(repository: &Path) -> (bool, String) {
        let output = std::process::Command::new("sh")
            .args(["-c", CHECK])
            .current_dir(repository)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text.lines().last().unwrap().to_owned())
    }

    #[test]
    fn the_scripted_edits_fail_once_and_then_pass() {
        let folder = tempfile::tempdir().unwrap();
        let place = lay(Some(&folder.path().join("demo"))).unwrap();
        assert_eq!(check(&place.repository), (false, "3 of 4 failed".to_owned()));
        let slug = place.repository.join("slug.sh");
        let edit = |(search, replace): (&str, &str)| {
            let text = fs::read_to_string(&slug).unwrap();
            assert_eq!(text.matches(search).count(), 1, "{search}");
            fs::write(&slug, text.replace(search, replace)).unwrap();
        };
        edit(FIRST_EDIT);
        assert_eq!(check(&place.repository), (false, "1 of 4 failed".to_owned()));
        edit(SECOND_EDIT);
        assert_eq!(
            check(&place.repository),
            (true, "ok      'What now?' -> what-now".to_owned())
        );
    }

    #[test]
    fn a_folder_with_anything_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        let error = lay(Some(folder.path())).unwrap_err();
        assert_eq!(error.to_string(), "the folder is not empty");
    }
}
