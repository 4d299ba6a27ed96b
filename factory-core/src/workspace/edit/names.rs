//! Which file a model means by what it writes around a block: a line of its own above it, the fence's info string, or
//! a first comment. Only what names a file and nothing else counts; a path within a sentence is never taken for one.

use std::sync::LazyLock;

use regex::Regex;

use super::error::shown_line;
use super::fence::fence;
use super::lines::Line;

/// The longest line that is looked at for a name.
const MAX_LINE: usize = 400;
/// How many blank lines may stand between a whole file's name and its fence.
const MAX_BLANKS: usize = 1;

/// Names without a dot that are files, not words.
const BARE_NAMES: &str = "\
    AUTHORS BUILD Brewfile CHANGELOG CODEOWNERS CONTRIBUTING COPYING Caddyfile Containerfile Dockerfile \
    Doxyfile Fastfile GNUmakefile Gemfile Jenkinsfile Justfile Kconfig LICENSE Makefile NOTICE Pipfile \
    Podfile Procfile README Rakefile Tiltfile VERSION Vagrantfile WORKSPACE gradlew justfile makefile";

/// Endings by which a name without a folder is known as a file's.
const ENDINGS: &str = "\
    adoc asm astro awk bash bat bazel bib bzl c cc cfg cjs clj cljs cmake cmd conf config cpp cr cs \
    csproj css csv cts cxx d dart diff edn ejs el elm env erb erl ex exs fish fs fsx gd gitignore gleam \
    go gql gradle graphql groovy h hbs hcl hh hpp hrl hs html htm hxx in ini ipynb java jinja jl js json \
    json5 jsonc jsonl jsx kt kts less lisp lock log lua m mako markdown md mdx mjs mk ml mli mm mod mts \
    nim nix patch php pl pm po prisma properties proto ps1 pug purs py pyi pyx r rb re rkt rs rst s sass \
    sbt scala scm scss sh sln sol sql star styl sum sv svelte svg swift tcl tex tf tfvars thrift toml ts \
    tsv tsx txt typ v vb vhd vim vue wat wit xhtml xml xsd yaml yml zig zsh";

/// Names of frameworks that look like files.
static FRAMEWORK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:node|vue|next|nuxt|react|express|three|d3|p5|ember|backbone|angular|nest|deno)\.js$")
        .expect("the pattern is constant")
});

/// What introduces a name: `File:`, `Filename:`, `New file:`, `Path:`.
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:(?:new|updated|modified|changed|complete|full) )?(?:file ?name|file ?path|file|path)\s*(?::|(\s)`)[*\s]*")
        .expect("the pattern is constant")
});

/// What may stand behind a name: `(new)`, `(updated file)`.
static REMARK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\s*\((?:new|updated|modified|changed|complete|full|existing|unchanged)(?: file)?\)$")
        .expect("the pattern is constant")
});

/// A comment that holds one word, in the dress of any usual language, perhaps with a label.
static COMMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^\s*(?://+!?|#|--|;+|%+|/\*+|<!--|\{/\*|\(\*|"{3}|'{3}|@rem|REM|')\s*((?i:file ?name|file ?path|file|path)\s*:\s*)?(\S+?)\s*(?:\*+/|-->|\*/\}|\*\)|"{3}|'{3})?\s*$"#)
        .expect("the pattern is constant")
});

/// A pair of an info string: `title="src/x.rs"`.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)\b(?:title|file|filename|filepath|path|name)\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s"'}]+))"#,
    )
    .expect("the pattern is constant")
});

/// Returns the path on the last line with text, or in the opening of a code fence.
pub(super) fn above_block(prose: &[Line<'_>]) -> Option<String> {
    let mut with_text = prose.iter().rev().filter(|line| !line.is_blank());
    let line = with_text.next()?;
    if let Some(fence) = fence(line.text) {
        return in_info(fence.info).or_else(|| on_line(with_text.next()?.text));
    }
    on_line(line.text)
}

/// Returns the path on the line right above a fence.
pub(super) fn above_fence(prose: &[Line<'_>]) -> Option<String> {
    let blanks = prose.iter().rev().take_while(|line| line.is_blank()).count();
    let line = prose.iter().rev().nth(blanks)?;
    (blanks <= MAX_BLANKS).then(|| on_line(line.text)).flatten()
}

/// Returns the path that a line is, without a heading's and a listing's ornaments.
pub(super) fn on_line(line: &str) -> Option<String> {
    if line.len() > MAX_LINE || fence(line).is_some() {
        return None;
    }
    let line = without_list_mark(line.trim());
    let line = line.trim_start_matches(['#', '*', '-', '>', ' ', '_']);
    let line = line.trim_end_matches([':', '*', ' ', '_']);
    let line = REMARK.replace(line, "");
    let line = line.trim_end_matches([':', '*', ' ', '_']);
    let (rest, is_labelled) = match LABEL.captures(line) {
        Some(found) => {
            let quoted = usize::from(found.get(1).is_some());
            let end = found.get(0).map_or(0, |whole| whole.end() - quoted);
            (&line[end.min(line.len())..], true)
        }
        None => (without_list_mark(line), false),
    };
    let inner = rest
        .trim_matches(['*', ' '])
        .trim_matches(['`', '"', '\''])
        .trim_matches('*');
    let is_quoted = rest.contains('`');
    file_name(inner, is_labelled, is_quoted)
}

/// Returns the path in a fence's info string: ```` ```python calc.py ````, ```` ```python:calc.py ````.
pub(super) fn in_info(info: &str) -> Option<String> {
    if info.len() > MAX_LINE {
        return None;
    }
    if let Some(found) = PAIR.captures(info) {
        let value = (1..=3).find_map(|group| found.get(group))?;
        return file_name(value.as_str(), true, true);
    }
    let mut words = info.split_whitespace();
    let first = words.next()?;
    if let Some((language, path)) = first.split_once(':')
        && language.starts_with(|sign: char| sign.is_ascii_alphabetic())
    {
        return file_name(path, true, true);
    }
    let is_language = matches!(first.split_once('/'), Some(("text" | "application", _)))
        || matches!(first, "asp.net" | "vb.net" | "c/c++" | "html/css");
    if is_language {
        return words.next().and_then(|word| file_name(word, false, true));
    }
    let last = words.last().unwrap_or(first);
    // `makefile` alone is the language, `Makefile` the file.
    if last == first && !last.contains(['.', '/']) && last.starts_with(|sign: char| sign.is_ascii_lowercase())
    {
        return None;
    }
    file_name(last.trim_matches(['`', '"', '\'', '(', ')']), false, true)
}

/// Returns the path that a comment is.
pub(super) fn in_comment(line: &str) -> Option<String> {
    if line.len() > MAX_LINE || line.trim_start().starts_with("#!") {
        return None;
    }
    let found = COMMENT.captures(line)?;
    let name = found.get(2)?.as_str();
    let is_labelled = found.get(1).is_some();
    let known = has_known_ending(name) || is_bare_name(last_of(name));
    (is_labelled || known)
        .then(|| file_name(name, is_labelled, false))
        .flatten()
}

/// Whether the language of a fence is one that is typed or printed, not kept in a file.
pub(super) fn is_shown_only(info: &str) -> bool {
    let language = info.split_whitespace().next().unwrap_or_default();
    matches!(
        language.to_ascii_lowercase().as_str(),
        "bash"
            | "sh"
            | "shell"
            | "zsh"
            | "fish"
            | "console"
            | "terminal"
            | "shell-session"
            | "shellsession"
            | "sh-session"
            | "powershell"
            | "ps1"
            | "cmd"
            | "bat"
            | "output"
            | "mermaid"
    )
}

/// Whether the file is one of running text, which may quote any of our formats.
pub(super) fn is_running_text(path: &str) -> bool {
    matches!(
        ending(path).as_str(),
        "md" | "markdown" | "mdx" | "rst" | "txt" | "adoc"
    )
}

/// Whether the file holds a patch itself.
pub(super) fn is_patch_file(path: &str) -> bool {
    matches!(ending(path).as_str(), "patch" | "diff")
}

fn ending(path: &str) -> String {
    last_of(path)
        .rsplit_once('.')
        .map_or_else(String::new, |(_, ending)| ending.to_ascii_lowercase())
}

/// `- `, `1. `, `2) `.
fn without_list_mark(line: &str) -> &str {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    match line.as_bytes().get(digits) {
        Some(b'.' | b')') if digits > 0 && line[digits + 1..].starts_with(' ') => {
            line[digits + 1..].trim_start()
        }
        _ => line,
    }
}

/// Returns the name if it can be none but a file's: with a folder, with an ending that is known, or one that is known
/// whole. A label says that it is one.
fn file_name(name: &str, is_labelled: bool, is_quoted: bool) -> Option<String> {
    let is_plain = !name.is_empty()
        && !name.contains(['`', '<', '>', '|', '(', ')', '*', '=', ',', ';', '"', ':'])
        && !name.contains("://")
        && !name.ends_with(['.', '!', '?', '/'])
        && (!name.contains(char::is_whitespace) || (is_quoted && has_known_ending(name)));
    let is_file = is_labelled
        || name.contains('/')
        || is_bare_name(name)
        || (name.starts_with('.') && name.len() > 1)
        || (has_known_ending(name) && (is_quoted || !FRAMEWORK.is_match(name)));
    (is_plain && is_file).then(|| shown_line(name))
}

fn last_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn is_bare_name(name: &str) -> bool {
    BARE_NAMES.split_whitespace().any(|known| known == name)
}

fn has_known_ending(name: &str) -> bool {
    let ending = ending(name);
    ENDINGS.split_whitespace().any(|known| known == ending)
}

#[cfg(test)]
mod tests;
