//! Suggests setup and check commands from the files of a repository's top folder. Pure: it reads through a closure, so
//! that a git tree serves as well as a folder.

use regex::Regex;

/// What could be run; the operator decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suggestion {
    /// Commands that install what the project needs.
    pub setup: Vec<String>,
    /// Commands that prove a result.
    pub checks: Vec<String>,
    /// The files that decide what setup installs.
    pub lock_files: Vec<String>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

/// Every file that may decide what a setup installs, for projects with commands of the operator's own.
pub const LOCK_FILES: [&str; 18] = [
    "Cargo.lock",
    "Cargo.toml",
    "go.mod",
    "go.sum",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "package.json",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pyproject.toml",
    "requirements-dev.txt",
    "requirements.txt",
    "rust-toolchain",
    "rust-toolchain.toml",
    "setup.cfg",
    "setup.py",
    "uv.lock",
    "yarn.lock",
];

/// Suggests commands; `read` returns a file of the top folder, or none.
pub fn suggest(read: &dyn Fn(&str) -> Option<String>) -> Suggestion {
    let mut suggestion = Suggestion::default();
    cargo(read, &mut suggestion);
    npm(read, &mut suggestion);
    python(read, &mut suggestion);
    go(read, &mut suggestion);
    make(read, &mut suggestion);
    suggestion.lock_files = LOCK_FILES
        .into_iter()
        .filter(|name| read(name).is_some())
        .map(str::to_owned)
        .collect();
    suggestion
}

fn cargo(read: &dyn Fn(&str) -> Option<String>, suggestion: &mut Suggestion) {
    if read("Cargo.toml").is_none() {
        return;
    }
    match read("Cargo.lock") {
        Some(lock) if lock.contains("source = ") => suggestion.setup.push("cargo fetch --locked".to_owned()),
        Some(_) => {}
        None => suggestion.setup.push("cargo fetch".to_owned()),
    }
    suggestion.checks.push("cargo test --offline".to_owned());
}

fn npm(read: &dyn Fn(&str) -> Option<String>, suggestion: &mut Suggestion) {
    let Some(manifest) = read("package.json") else {
        return;
    };
    let Ok(manifest) = serde_json::from_str::<serde_json::Value>(&manifest) else {
        suggestion.notes.push("`package.json` is no JSON".to_owned());
        return;
    };
    let depends = ["dependencies", "devDependencies", "optionalDependencies"]
        .iter()
        .any(|kind| {
            manifest[kind]
                .as_object()
                .is_some_and(|packages| !packages.is_empty())
        });
    let other = [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn")]
        .into_iter()
        .find(|(lock, _)| read(lock).is_some());
    if read("package-lock.json").is_some() || read("npm-shrinkwrap.json").is_some() {
        suggestion.setup.push("npm ci".to_owned());
    } else if let Some((lock, program)) = other {
        suggestion.notes.push(format!(
            "`{lock}` is {program}'s; name its install command as setup"
        ));
    } else if depends {
        suggestion.setup.push("npm install".to_owned());
    }
    let test = manifest["scripts"]["test"].as_str().unwrap_or_default();
    if !test.is_empty() && !test.contains("no test specified") {
        suggestion.checks.push("npm test".to_owned());
    }
}

fn python(read: &dyn Fn(&str) -> Option<String>, suggestion: &mut Suggestion) {
    let project = read("pyproject.toml");
    let is_package = project.as_ref().is_some_and(|text| text.contains("[project]"))
        || read("setup.py").is_some()
        || read("setup.cfg").is_some_and(|text| text.contains("[metadata]"));
    let requirements: Vec<&str> = ["requirements.txt", "requirements-dev.txt"]
        .into_iter()
        .filter(|name| read(name).is_some())
        .collect();
    if project.is_none() && !is_package && requirements.is_empty() {
        return;
    }
    if read("uv.lock").is_some() {
        suggestion.setup.push("uv sync --locked".to_owned());
    } else {
        if read("poetry.lock").is_some() {
            suggestion
                .notes
                .push("`poetry.lock` is poetry's; name its install command as setup".to_owned());
        }
        let mut install = ".venv/bin/pip install".to_owned();
        for name in &requirements {
            install.extend([" -r ", name]);
        }
        if is_package {
            let extra = project.as_deref().and_then(test_extra);
            install.push_str(&extra.map_or(" -e .".to_owned(), |extra| format!(" -e '.[{extra}]'")));
        }
        let mut named = requirements
            .iter()
            .filter_map(|name| read(name))
            .chain(project.clone());
        if !named.any(|text| names_pytest(&text)) {
            install.push_str(" pytest");
        }
        suggestion.setup.push("python3 -m venv .venv".to_owned());
        suggestion.setup.push(install);
    }
    suggestion.checks.push(".venv/bin/python -m pytest -q".to_owned());
}

/// Whether pytest itself is among the packages that the text lists, and not one of its plugins alone.
fn names_pytest(text: &str) -> bool {
    let requirement = Regex::new(r#"(?m)(^|["'\s])pytest(["'\s\[<>=!~;]|$)"#)
        .expect("the pattern is a literal that a test compiles");
    requirement.is_match(text)
}

/// Returns the extra of `[project.optional-dependencies]` that tests need.
fn test_extra(project: &str) -> Option<&'static str> {
    let (_, extras) = project.split_once("[project.optional-dependencies]")?;
    let mut names = extras
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once('=')?.0.trim()));
    let known = ["test", "tests", "testing", "dev"];
    names.find_map(|name| known.into_iter().find(|known| *known == name))
}

fn go(read: &dyn Fn(&str) -> Option<String>, suggestion: &mut Suggestion) {
    if read("go.mod").is_none() {
        return;
    }
    if read("go.sum").is_some() {
        suggestion.setup.push("go mod download".to_owned());
    }
    suggestion.checks.push("go test ./...".to_owned());
}

/// A Makefile usually calls what is suggested already, so it counts where nothing else does.
fn make(read: &dyn Fn(&str) -> Option<String>, suggestion: &mut Suggestion) {
    if !suggestion.checks.is_empty() {
        return;
    }
    let Some(makefile) = ["GNUmakefile", "makefile", "Makefile"].into_iter().find_map(read) else {
        return;
    };
    let has = |target: &str| {
        makefile.lines().any(|line| {
            line.strip_prefix(target)
                .map(str::trim_start)
                .and_then(|rest| rest.strip_prefix(':'))
                .is_some_and(|rest| !rest.starts_with('='))
        })
    };
    if let Some(target) = ["test", "check"].into_iter().find(|target| has(target)) {
        suggestion.checks.push(format!("make {target}"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Suggestion, suggest};

    fn check(files: &[(&str, &str)], setup: &[&str], checks: &[&str], lock_files: &[&str], notes: &[&str]) {
        let read = |wanted: &str| {
            files
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, content)| (*content).to_owned())
        };
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let expect = Suggestion {
            setup: owned(setup),
            checks: owned(checks),
            lock_files: owned(lock_files),
            notes: owned(notes),
        };
        assert_eq!(suggest(&read), expect, "{files:?}");
    }

    #[test]
    fn pytest_is_told_from_its_plugins() {
        for (text, expect) in [
            ("pytest", true),
            ("flask\npytest>=8\n", true),
            ("test = [\"pytest\"]", true),
            ("pytest-cov\n", false),
            ("mypytest\n", false),
        ] {
            assert_eq!(super::names_pytest(text), expect, "{text}");
        }
    }

    #[test]
    fn nothing_suggests_nothing() {
        check(&[], &[], &[], &[], &[]);
    }

    #[test]
    fn rust() {
        let manifest = ("Cargo.toml", "[package]\nname = \"a\"\n");
        let locked = ("Cargo.lock", "[[package]]\nsource = \"registry+x\"\n");
        let alone = ("Cargo.lock", "[[package]]\nname = \"a\"\n");
        let test = &["cargo test --offline"][..];
        check(&[manifest], &["cargo fetch"], test, &["Cargo.toml"], &[]);
        check(
            &[manifest, locked],
            &["cargo fetch --locked"],
            test,
            &["Cargo.lock", "Cargo.toml"],
            &[],
        );
        check(&[manifest, alone], &[], test, &["Cargo.lock", "Cargo.toml"], &[]);
    }

    #[test]
    fn node() {
        let tested = (
            "package.json",
            r#"{"scripts":{"test":"vitest"},"devDependencies":{"vitest":"1"}}"#,
        );
        let fresh = (
            "package.json",
            r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#,
        );
        check(&[tested], &["npm install"], &["npm test"], &["package.json"], &[]);
        check(
            &[tested, ("package-lock.json", "{}")],
            &["npm ci"],
            &["npm test"],
            &["package-lock.json", "package.json"],
            &[],
        );
        check(
            &[tested, ("yarn.lock", "")],
            &[],
            &["npm test"],
            &["package.json", "yarn.lock"],
            &["`yarn.lock` is yarn's; name its install command as setup"],
        );
        check(&[fresh], &[], &[], &["package.json"], &[]);
        check(
            &[("package.json", "{")],
            &[],
            &[],
            &["package.json"],
            &["`package.json` is no JSON"],
        );
    }

    #[test]
    fn python() {
        let test = &[".venv/bin/python -m pytest -q"][..];
        let venv = "python3 -m venv .venv";
        check(
            &[("requirements.txt", "flask==3\n")],
            &[venv, ".venv/bin/pip install -r requirements.txt pytest"],
            test,
            &["requirements.txt"],
            &[],
        );
        check(
            &[
                ("requirements.txt", "flask\n"),
                ("requirements-dev.txt", "pytest>=8\n"),
            ],
            &[
                venv,
                ".venv/bin/pip install -r requirements.txt -r requirements-dev.txt",
            ],
            test,
            &["requirements-dev.txt", "requirements.txt"],
            &[],
        );
        let project = "[project]\nname = \"a\"\n[project.optional-dependencies]\ntest = [\"pytest\"]\n";
        check(
            &[("pyproject.toml", project)],
            &[venv, ".venv/bin/pip install -e '.[test]'"],
            test,
            &["pyproject.toml"],
            &[],
        );
        check(
            &[("pyproject.toml", project), ("uv.lock", "")],
            &["uv sync --locked"],
            test,
            &["pyproject.toml", "uv.lock"],
            &[],
        );
    }

    #[test]
    fn go() {
        check(
            &[("go.mod", "module a")],
            &[],
            &["go test ./..."],
            &["go.mod"],
            &[],
        );
        check(
            &[("go.mod", "module a"), ("go.sum", "x")],
            &["go mod download"],
            &["go test ./..."],
            &["go.mod", "go.sum"],
            &[],
        );
    }

    #[test]
    fn make_counts_where_nothing_else_does() {
        check(
            &[("Makefile", "all:\n\ttrue\ntest: all\n\ttrue\n")],
            &[],
            &["make test"],
            &[],
            &[],
        );
        check(
            &[("Makefile", "check:\n\ttrue\n")],
            &[],
            &["make check"],
            &[],
            &[],
        );
        check(&[("Makefile", "test := 1\ntesting:\n")], &[], &[], &[], &[]);
        check(
            &[("Makefile", "test:\n"), ("go.mod", "module a")],
            &[],
            &["go test ./..."],
            &["go.mod"],
            &[],
        );
    }
}
