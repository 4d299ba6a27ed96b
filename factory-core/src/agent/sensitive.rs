//! Finds the changes that a reviewer must see first and that rule out committing by itself: whatever decides whether
//! a result counts as proven. A model that weakens the proof must not pass by it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::Regex;

use crate::model::ProjectSettings;
use crate::vcs::{ChangeKind, Diff};

/// Tests, check scripts, lock files and CI files, by path, in any letter case.
const PATTERNS: &[&str] = &[
    "**/{test,tests,spec,specs,__tests__,__snapshots__,testdata,fixtures}/**",
    "**/{test_*,*_test.*,*_tests.*,*.test.*,*.spec.*,*_spec.*,tests.rs,test.rs,conftest.py,*.snap}",
    "**/{Cargo.lock,package-lock.json,npm-shrinkwrap.json,yarn.lock,pnpm-lock.yaml,uv.lock,poetry.lock,Pipfile.lock}",
    "**/{go.sum,composer.lock,Gemfile.lock,flake.lock}",
    "{.github,.gitlab,.forgejo,.gitea,.circleci,.ci,.buildkite}/**",
    "{.gitlab-ci.yml,.travis.yml,Jenkinsfile,azure-pipelines.yml,.pre-commit-config.yaml,.woodpecker.yml}",
    "**/{Makefile,GNUmakefile,makefile,justfile,Justfile,Taskfile.yml,tox.ini,noxfile.py,pytest.ini,setup.cfg}",
    "**/{package.json,pyproject.toml,Cargo.toml,build.rs,.npmrc,.gitattributes,.gitignore,.gitmodules}",
    "**/{.cargo,.config}/**",
    "**/{jest,vitest,karma,playwright,cypress,babel}.config.*",
];

static PATHS: LazyLock<GlobSet> = LazyLock::new(|| {
    let mut set = GlobSetBuilder::new();
    for pattern in PATTERNS {
        let glob = GlobBuilder::new(pattern)
            .case_insensitive(true)
            .literal_separator(true)
            .build();
        set.add(glob.expect("the patterns are constants and a test builds them"));
    }
    set.build()
        .expect("the patterns are constants and a test builds them")
});

/// What a test begins with, wherever the file lies.
const TEST_BEGINS: &str = r"#\[(\w+::)*test\b|#\[cfg\(test\)|mod tests?\b|(async )?def test_|class Test|func Test|(it|test|describe)\(|@Test\b";

/// A line from which on a part of the file is tests.
static OPENS_TESTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(r"^\s*({TEST_BEGINS})")).expect("the pattern is a constant and a test builds it")
});

/// A line that was part of a test, were it removed.
static TEST_LINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!(
        r"^\s*({TEST_BEGINS}|(debug_)?assert|expect\(|self\.assert)"
    ))
    .expect("the pattern is a constant and a test builds it")
});

/// A line that lets a test be passed over, were it added.
static SKIPS_TESTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(#\[ignore|#\[cfg_attr\(.*ignore|@(unittest\.|pytest\.mark\.)?(skip|xfail)|pytest\.skip|(it|test|describe)\.(skip|only|todo)|x(it|test|describe)\(|t\.Skip|@(Disabled|Ignore)\b)")
        .expect("the pattern is a constant and a test builds it")
});

/// Returns the changed paths that a reviewer must see first. `commands` are the check commands: a file that one of
/// them names is a check script. What lies outside of the project's folder counts too: no check of the project may
/// have looked at it.
pub(super) fn sensitive_paths(diff: &Diff, commands: &[String], project: &ProjectSettings) -> Vec<String> {
    let changed_tests = files_with_changed_tests(&diff.text);
    diff.files
        .iter()
        .filter(|file| {
            !project.covers(&file.path)
                || decides(&file.path, commands)
                || changed_tests.contains(&file.path)
                // What the text no longer shows cannot be cleared.
                || (diff.truncated && file.kind != ChangeKind::Added)
        })
        .map(|file| file.path.clone())
        .collect()
}

/// Returns whether the file at a path, by its name alone, is one that decides whether a result is proven.
pub(super) fn decides(path: &str, commands: &[String]) -> bool {
    PATHS.is_match(path) || commands.iter().any(|command| names(command, path))
}

/// Whether a check command names the file.
fn names(command: &str, path: &str) -> bool {
    command
        .split(|c: char| c.is_whitespace() || "\"'=;|&()<>".contains(c))
        .map(|word| word.trim_start_matches("./"))
        // The command may change the folder first.
        .any(|word| {
            path == word
                || path
                    .strip_suffix(word)
                    .is_some_and(|folder| !word.is_empty() && folder.ends_with('/'))
        })
}

/// Returns the paths of which a test was changed or removed. Tests that are wholly new weaken nothing.
fn files_with_changed_tests(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut path = String::new();
    let mut in_hunk = false;
    let mut in_tests = false;
    for line in text.lines() {
        if line.starts_with("diff --git ") {
            in_hunk = false;
            path.clear();
        } else if let Some(hunk) = line.strip_prefix("@@ ") {
            in_hunk = true;
            // After the second mark stands the line under which the hunk lies.
            in_tests = hunk
                .split_once("@@ ")
                .is_some_and(|(_, heading)| OPENS_TESTS.is_match(heading));
        } else if !in_hunk {
            if let Some(name) = line.strip_prefix("--- ") {
                path = old_path(name);
            }
        } else {
            let (mark, content) = line.split_at_checked(1).unwrap_or((" ", ""));
            let is_of_tests = match mark {
                "-" => in_tests || TEST_LINE.is_match(content),
                "+" => in_tests || SKIPS_TESTS.is_match(content),
                _ => false,
            };
            if is_of_tests {
                found.insert(path.clone());
            }
            in_tests |= mark == " " && OPENS_TESTS.is_match(content);
        }
    }
    found
}

/// Returns the path in a `---` line: git ends one with spaces by a tab, and quotes one with other special characters.
fn old_path(name: &str) -> String {
    let Some(quoted) = name.strip_prefix("\"a/").and_then(|rest| rest.strip_suffix('"')) else {
        let plain = name.strip_prefix("a/").unwrap_or_default();
        return plain.strip_suffix('\t').unwrap_or(plain).to_owned();
    };
    let mut bytes = Vec::new();
    let mut rest = quoted.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(digit @ b'0'..=b'3') => {
                let lower =
                    [rest.next(), rest.next()].map(|digit| digit.unwrap_or(b'0').wrapping_sub(b'0') & 7);
                bytes.push(((digit - b'0') << 6) | (lower[0] << 3) | lower[1]);
            }
            Some(b't') => bytes.push(b'\t'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vcs::FileDiff;

    fn diff(paths: &[&str], text: &str) -> Diff {
        let file = |path: &&str| FileDiff {
            path: (*path).to_owned(),
            kind: ChangeKind::Modified,
            old_mode: "100644".to_owned(),
            new_mode: "100644".to_owned(),
            added: Some(1),
            removed: Some(1),
        };
        Diff {
            files: paths.iter().map(file).collect(),
            text: text.to_owned(),
            truncated: false,
        }
    }

    /// In a project that is a whole repository.
    fn sensitive_paths(diff: &Diff, commands: &[String]) -> Vec<String> {
        super::sensitive_paths(diff, commands, &ProjectSettings::default())
    }

    #[test]
    fn whatever_decides_the_proof_is_sensitive() {
        let sensitive = [
            "tests/a.rs",
            "pkg/tests/deep/a.py",
            "src/test_x.py",
            "a_test.go",
            "ui/x.test.tsx",
            "Cargo.lock",
            "web/package-lock.json",
            ".github/workflows/ci.yml",
            "Makefile",
            "sub/Makefile",
            "conftest.py",
            "Tests/A.cs",
            ".cargo/config.toml",
        ];
        let plain = [
            "src/lib.rs",
            "README.md",
            "src/contest.rs",
            "latest/a.txt",
            "src/testing.rs",
        ];
        let all: Vec<&str> = sensitive.iter().chain(&plain).copied().collect();
        assert_eq!(sensitive_paths(&diff(&all, ""), &[]), sensitive);
    }

    #[test]
    fn a_file_that_a_check_names_is_a_check_script() {
        let commands = ["sh ./run.sh --fast".to_owned()];
        assert_eq!(
            sensitive_paths(&diff(&["run.sh", "other.sh"], ""), &commands),
            ["run.sh"]
        );
        let commands = ["cd ci-tools && ./run.sh".to_owned()];
        assert_eq!(
            sensitive_paths(&diff(&["ci-tools/run.sh", "rerun.sh"], ""), &commands),
            ["ci-tools/run.sh"]
        );
    }

    #[test]
    fn what_lies_outside_of_the_projects_folder_is_seen() {
        let project = ProjectSettings {
            folder: Some("api".to_owned()),
            ..ProjectSettings::default()
        };
        let diff = diff(&["api/a.rs", "api-2/a.rs", "a.rs"], "");
        assert_eq!(
            super::sensitive_paths(&diff, &[], &project),
            ["api-2/a.rs", "a.rs"]
        );
    }

    #[test]
    fn a_changed_test_inside_a_source_file_is_seen() {
        let changed = [
            "@@ -1,3 +1,1 @@\n-    #[test]\n-    fn adds() {}\n+x\n",
            "@@ -9,3 +9,3 @@ mod tests {\n     fn adds() {\n-        let expected = 42;\n+        let expected = 41;\n",
            "@@ -9,3 +9,3 @@ fn before() {\n }\n #[cfg(test)]\n mod tests {\n+    fn vacuous() {}\n",
            "@@ -9,2 +9,3 @@\n fn x() {}\n+    #[ignore]\n",
            "@@ -3,2 +3,1 @@\n--- a/elsewhere.rs\n-assert!(true);\n",
        ];
        let unchanged = [
            "@@ -1 +1 @@\n-let a = 1;\n+    #[test]\n",
            "@@ -1,4 +1,4 @@\n-    41\n+    42\n }\n #[cfg(test)]\n",
            "@@ -9,1 +9,4 @@ fn x() {\n }\n+#[cfg(test)]\n+mod tests {\n+    #[test]\n",
        ];
        let names = [
            ("src/lib.rs", "a/src/lib.rs"),
            ("my lib.rs", "a/my lib.rs\t"),
            ("\"é.rs", r#""a/\"\303\251.rs""#),
        ];
        for (path, written) in names {
            let text = |hunk: &str| format!("diff --git x y\nindex 1..2\n--- {written}\n+++ z\n{hunk}");
            for hunk in changed {
                assert_eq!(
                    sensitive_paths(&diff(&[path], &text(hunk)), &[]),
                    [path],
                    "{hunk}"
                );
            }
            for hunk in unchanged {
                assert_eq!(
                    sensitive_paths(&diff(&[path], &text(hunk)), &[]),
                    [""; 0],
                    "{hunk}"
                );
            }
        }
    }

    #[test]
    fn what_a_cut_diff_does_not_show_is_not_cleared() {
        let cut = Diff {
            truncated: true,
            ..diff(&["src/lib.rs"], "")
        };
        assert_eq!(sensitive_paths(&cut, &[]), ["src/lib.rs"]);
    }
}
