//! Finds the changes that a reviewer must see first and that rule out committing by itself: whatever decides whether
//! a result counts as proven. A model that weakens the proof must not pass by it.

use std::sync::LazyLock;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::Regex;

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

/// A removed line that was part of a test, wherever the file lies.
static TEST_LINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^-\s*(#\[(\w+::)*test\b|#\[cfg\(test\)|mod tests?\b|(async )?def test_|class Test|func Test|(it|test|describe)\(|(debug_)?assert|expect\(|@Test\b|self\.assert)")
        .expect("the pattern is a constant and a test builds it")
});

/// Returns the changed paths that a reviewer must see first. `commands` are the check commands: a file that one of
/// them names is a check script.
pub(super) fn sensitive_paths(diff: &Diff, commands: &[String]) -> Vec<String> {
    let removed_tests = files_with_removed_tests(&diff.text);
    let named = |path: &str| {
        commands.iter().any(|command| {
            command
                .split(|c: char| c.is_whitespace() || "\"'=;|&()<>".contains(c))
                .any(|word| word.trim_start_matches("./") == path)
        })
    };
    diff.files
        .iter()
        .filter(|file| {
            PATHS.is_match(&file.path)
                || named(&file.path)
                || removed_tests.iter().any(|path| *path == file.path)
                // What the text no longer shows cannot be cleared.
                || (diff.truncated && file.kind != ChangeKind::Added)
        })
        .map(|file| file.path.clone())
        .collect()
}

fn files_with_removed_tests(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("--- a/") {
            current = path;
        } else if !line.starts_with("---") && TEST_LINE.is_match(line) && found.last() != Some(&current) {
            found.push(current);
        }
    }
    found
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
    }

    #[test]
    fn a_removed_test_inside_a_source_file_is_seen() {
        let text = "--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -1,3 +1,1 @@\n-    #[test]\n-    fn adds() {}\n+x\n\
                    --- a/src/other.rs\n+++ b/src/other.rs\n@@ -1 +1 @@\n-let a = 1;\n+    #[test]\n";
        assert_eq!(
            sensitive_paths(&diff(&["src/lib.rs", "src/other.rs"], text), &[]),
            ["src/lib.rs"]
        );
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
