//! Which names are taken: of revisions, of branches, and of files that some file system reads as `.git`.
//!
//! Git's own rules allow shell syntax and direction marks in a ref. What exists is used verbatim, as no shell ever sees
//! it; what the factory makes itself follows a narrower rule.

use crate::vcs::VcsError;

/// The longest name that is looked at.
const LONGEST: usize = 200;

/// Checks the name of a revision that an operator or a model gave: a branch, a tag, a hash or `HEAD`, and nothing that
/// git would compute (`@{-1}`, `a..b`, `:/text`, `HEAD~1`) or take for an option.
pub(super) fn check_revision(name: &str) -> Result<(), VcsError> {
    let computed = ["..", "@{"].iter().any(|part| name.contains(part)) || name == "@";
    let refused = name.chars().any(|c| {
        c.is_control() || is_invisible(c) || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\')
    });
    if name.is_empty() || name.len() > LONGEST || name.starts_with('-') || computed || refused {
        return Err(VcsError::BadRefName(shown(name)));
    }
    Ok(())
}

/// Checks the name of a branch that the factory makes, without `refs/heads/`.
pub(super) fn check_branch(name: &str) -> Result<(), VcsError> {
    let like_a_hash = matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if name == "HEAD" || name.starts_with("refs/") || like_a_hash {
        return Err(VcsError::BadRefName(shown(name)));
    }
    check_path(name)
}

/// Checks the name of a hidden ref of the store, without `refs/factory/`.
pub(super) fn check_hidden(name: &str) -> Result<(), VcsError> {
    // What `fetch` holds is kept apart, so that no other name can take its place.
    if name == "base" || name.starts_with("base/") {
        return Err(VcsError::BadRefName(shown(name)));
    }
    check_path(name)
}

fn check_path(name: &str) -> Result<(), VcsError> {
    let component = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && !part.ends_with('.')
            && !part.to_ascii_lowercase().ends_with(".lock")
            && !part.contains("..")
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '#' | '=' | ','))
    };
    if name.len() <= LONGEST && name.split('/').all(component) {
        Ok(())
    } else {
        Err(VcsError::BadRefName(shown(name)))
    }
}

/// Tells whether some file system takes the name for `.git`: by case, by ignored characters (HFS+), by trailing dots,
/// spaces and streams or the short name (NTFS).
pub(super) fn reads_as_git(component: &[u8]) -> bool {
    let text = String::from_utf8_lossy(component);
    let visible: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .flat_map(char::to_lowercase)
        .collect();
    let rest = visible
        .strip_prefix(".git")
        .or_else(|| visible.strip_prefix("git~1"));
    rest.is_some_and(|rest| {
        let end = rest.find([':', '\\']).unwrap_or(rest.len());
        rest[..end].chars().all(|c| matches!(c, ' ' | '.'))
    })
}

/// Characters without a width of their own, which HFS+ ignores in names, and direction marks.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn shown(name: &str) -> String {
    name.chars()
        .take(80)
        .collect::<String>()
        .escape_debug()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_computed_names_and_marks_are_no_revisions() {
        for name in [
            "",
            "-x",
            "--output=pwn",
            "--upload-pack=cmd",
            "-Ocmd",
            "--exec=cmd",
            "-c",
            "@{-1}",
            "main@{1}",
            "@",
            "a..b",
            "a...b",
            "^main",
            "main^",
            "HEAD~1",
            ":/text",
            "main:file",
            "refs/heads/../x",
            "a b",
            "a\nb",
            "a\0b",
            "x\u{202e}y",
        ] {
            assert!(check_revision(name).is_err(), "{name}");
            assert!(check_branch(name).is_err(), "{name}");
        }
        for name in [
            "main",
            "HEAD",
            "v1.0",
            "feature/ä",
            "$(id)",
            "a`b`",
            "a;b",
            "a|b",
            "refs/tags/x",
            "abcdef1",
        ] {
            assert!(check_revision(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn our_own_refs_follow_the_narrower_rule() {
        for name in [
            "HEAD",
            "refs/heads/x",
            "$(id)",
            "a`b`",
            "a;b",
            "a|b",
            "a.lock",
            "a/.b",
            "a//b",
            "/a",
            "a/",
            "a.",
            "a/-b",
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        ] {
            assert!(check_branch(name).is_err(), "{name}");
        }
        for name in ["factory/run-1", "factory-run-1", "größe/1", "a.b", "issue#4"] {
            assert!(check_branch(name).is_ok(), "{name}");
        }
        assert!(check_hidden("run-1/step-2").is_ok());
        assert!(check_hidden("base/x").is_err());
    }

    #[test]
    fn what_some_file_system_reads_as_git_is_known() {
        for name in [
            ".git",
            ".GIT",
            ".Git ",
            ".git.",
            ".git. .",
            "git~1",
            "GIT~1",
            ".git::$INDEX_ALLOCATION",
            ".g\u{200c}it",
        ] {
            assert!(reads_as_git(name.as_bytes()), "{name}");
        }
        for name in [".gitignore", ".github", "git", ".gitx", "git~2", "x.git", ""] {
            assert!(!reads_as_git(name.as_bytes()), "{name}");
        }
    }
}
