//! Lines that stand for something left out, as lazy models write them.
//!
//! Such a line is a comment, or stands behind dots, and speaks of a rest or of what exists. Code such as `...rest,`,
//! comments that merely speak of a rest, a stub's `...` and prose are none. A line that the old content has too is
//! never one.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::RegexSet;

use crate::workspace::RepoPath;

use super::error::{EditError, shown_line};

/// Longer lines are none.
const LONGEST: usize = 200;

/// Lines that are elisions wherever they stand.
static ELISIONS: LazyLock<RegexSet> = LazyLock::new(|| {
    const SIGN: &str = r#"(?://+!?|\#+|--+|/\*+|\*+|<!--+|;+|%+|"{3}|'{3}|\(\*?|\[|\{/\*|\{\#|\{\{!(?:--)?|<%\#|REM\b|'|"|!)"#;
    const DOTS: &str = r"(?:\.{3,}|\u{2026})";
    const LEFT: &str = r"(?:existing|remaining|unchanged|previous|original|other|more)";
    const PART: &str = r"(?:code|files?|functions?|class(?:es)?|implementations?|methods?|modules?|contents?|document|body|imports?|tests?|logic|lines?|script|program|component|styles?|rules?|markup|html|jsx|config(?:uration)?|definitions?|routes?|fields?|properties|handlers?|variables|constants|setup)";
    const SAME: &str = r"(?:unchanged|untouched|omitted|(?:the )?same|as (?:before|is|above|it was)|not (?:shown|changed)|remains?|stays?|(?:goes )?here)";
    const BREVITY: &str = r"(?: for (?:brevity|clarity|simplicity))";
    RegexSet::new([
        // `// ... existing code ...`
        format!(r"(?i)^\s*(?:{SIGN}\s*[\[(<]?\s*{DOTS}|[\[(<]?{DOTS}\s)\s*[\[(]?(?:\w+ ){{0,4}}(?:rest|remainder|{LEFT}|omitted|same as (?:before|above)|snip(?:ped)?|no changes?)\b.{{0,60}}$"),
        // `# rest of the code`
        format!(r"(?i)^\s*{SIGN}\s*[\[(<]?(?:the |keep (?:the )?|leave (?:the )?|todo:? |add (?:the )?|insert (?:the )?|include (?:the )?|paste (?:the )?)?(?:rest|remainder) of (?:the |this |your |my )?(?:\w+ )?{PART}\b.{{0,40}}$"),
        // `[rest of file unchanged]`
        format!(r"(?i)^\W*(?:REM )?(?:the )?(?:rest|remainder)(?: of [\w ]{{1,40}}?)?(?: (?:is|are|remains?|stays?))? {SAME}{BREVITY}?\W*$"),
        // `// other methods remain unchanged`
        format!(r"(?i)^\s*{SIGN}\s*[\[(<]?(?:all )?(?:the |your |our )?{LEFT}(?: \w+){{1,3}}?(?: (?:is|are|remains?|stays?))? {SAME}{BREVITY}?\W*$"),
        // `# everything else stays the same`
        format!(r"(?i)^\s*{SIGN}\s*[\[(<]?(?:{PART}|everything else)(?: (?:is|are|remains?|stays?))? (?:unchanged|the same|same as (?:before|above)|as before)\W*$"),
        // `// existing code...`
        format!(r"(?i)^\s*{SIGN}\s*[\[(<]?(?:the |your )?{LEFT} {PART}\s*[\])>]?\s*{DOTS}\W*$"),
        // `/* [existing code] */`, `# (previous code)`
        format!(r"(?i)^\s*{SIGN}\s*[\[(<](?:the |your )?{LEFT} {PART}(?: here)?[\])>]\W*$"),
        // `// unchanged`, `# omitted for brevity`, `// same as before`
        format!(r"(?i)^\s*{SIGN}\s*[\[(<]?(?:(?:{PART}|rest) )?(?:unchanged|omitted{BREVITY}?|same as (?:before|above)|as before|no changes? (?:here|below|above)|snip(?:ped)?)[\])>]?\s*{DOTS}?\W*$"),
        // `// keep existing code`
        format!(r"(?i)^\s*{SIGN}\s*(?:keep|leave|retain|preserve) (?:all )?(?:the |your )?(?:existing|original|previous|current) (?:code|implementation)\b(?: (?:here|unchanged|as is))?\W*$"),
        // `<snip>`, `[snip]`
        r"(?i)^\s*[<\[(]\s*snip(?:ped)?\s*[>\])]\s*$".to_owned(),
        // `code omitted for brevity`
        format!(r"(?i)^\W*(?:{PART} )?(?:omitted|elided|truncated|shortened){BREVITY}\W*$"),
    ])
    .expect("the patterns are constant")
});

/// Lines of dots alone: elisions where less is given than is replaced, honest where more is.
static BARE_DOTS: LazyLock<RegexSet> = LazyLock::new(|| {
    RegexSet::new([
        r"^\s*(?://+|#+|--+|;+|%+)\s*(?:\.{3,}|\u{2026}|\[\s*(?:\.{3}|\u{2026})\s*\])\s*$",
        r"^\s*(?:/\*+|\{/\*|<!--+|\(\*)\s*(?:\.{3,}|\u{2026})\s*(?:\*+/|\*/\}|--+>|\*\))\s*$",
        r"^\s*(?:\.{4,}|\u{2026}|\[\s*(?:\.{3}|\u{2026})\s*\])\s*$",
    ])
    .expect("the patterns are constant")
});

/// A `...` that stands alone, which only Python means.
const DOTS: &str = "...";

/// Refuses new text with a line that stands for something left out, unless the old content has that line too.
/// `replaced` is what the new text takes the place of; none where it takes no place.
pub(super) fn refuse_elision(
    path: &RepoPath,
    before: &str,
    replaced: Option<&str>,
    after: &str,
) -> Result<(), EditError> {
    let shrinks = replaced.is_some_and(|replaced| with_text(after) < with_text(replaced));
    let knows_dots = matches!(path.file_name().rsplit_once('.'), Some((_, "py" | "pyi")));
    let is_elision = |line: &str| {
        line.len() < LONGEST
            && (ELISIONS.is_match(line)
                || (shrinks && (BARE_DOTS.is_match(line) || (!knows_dots && line.trim() == DOTS))))
    };
    let mut suspects = (1..)
        .zip(after.lines())
        .filter(|(_, line)| is_elision(line))
        .peekable();
    if suspects.peek().is_none() {
        return Ok(());
    }
    let known: HashSet<&str> = before.lines().map(str::trim).collect();
    match suspects.find(|(_, line)| !known.contains(line.trim())) {
        None => Ok(()),
        Some((line, text)) => Err(EditError::Elided {
            path: path.clone(),
            line,
            text: shown_line(text.trim()),
        }),
    }
}

/// Returns how many lines of the text are not blank.
pub(super) fn with_text(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(name: &str, replaced: Option<&str>, line: &str) -> bool {
        let path = RepoPath::parse(name).unwrap();
        refuse_elision(&path, "", replaced, line).is_err()
    }

    #[test]
    fn lines_that_stand_for_others_are_known_in_every_dress() {
        for lazy in [
            "// ... existing code ...",
            "# ... existing code ...",
            "/* ... existing code ... */",
            "<!-- ... existing content ... -->",
            "-- ... existing code ...",
            ";; ... existing code ...",
            "% ... existing code ...",
            "{/* ... existing JSX ... */}",
            "(* ... existing code ... *)",
            "{# ... existing blocks ... #}",
            "{{!-- ... existing markup ... --}}",
            "<%# ... existing markup ... %>",
            "REM ... existing code ...",
            "' ... existing code ...",
            "\" ... existing settings ...",
            "! ... existing code ...",
            "... existing code ...",
            "\u{2026} existing code \u{2026}",
            "[... existing code ...]",
            "// [... rest of the file ...]",
            "# ... (rest of the function)",
            "// ... more methods",
            "    // ... other handlers ...",
            "# rest of your code here",
            "// Keep the rest of the code",
            "// TODO: rest of the implementation",
            "# Add the rest of your code here",
            "<!-- rest of the document -->",
            "rest unchanged",
            "the rest of the file remains the same",
            "# the remainder of the module is unchanged",
            "REM rest of the script is unchanged",
            "// other methods remain unchanged",
            "# existing imports stay the same",
            "// your existing code here",
            "# everything else stays the same",
            "// code unchanged",
            "// existing code...",
            "/* [existing styles] */",
            "# (previous code)",
            "// unchanged",
            "# unchanged ...",
            "// omitted for brevity",
            "// implementation omitted for brevity",
            "# ... omitted ...",
            "// same as before",
            "// no changes below",
            "// ... no changes ...",
            "// keep existing code",
            "# keep your existing implementation as is",
            "<snip>",
            "// snip",
            "[code omitted for clarity]",
        ] {
            assert!(is_refused("f", None, lazy), "{lazy}");
        }
    }

    #[test]
    fn honest_lines_pass() {
        for honest in [
            "...",
            "    ...",
            "def f(self) -> int: ...",
            "@overload",
            "for i in 0..n {",
            "let [first, ..] = x;",
            "Point { x, .. }",
            "...rest,",
            "  ...existing,",
            "const { a, ...rest } = b;",
            "fn f(...) {}",
            "printf(\"...\");",
            "// rest of the arguments",
            "// the rest parameter",
            "let rest = 1;",
            "return rest",
            "# the remaining time is shown",
            "// existing users keep their password",
            "// keep existing files",
            "// Keep existing connections alive.",
            "# Other",
            "// Other helpers",
            "// More about this in the manual.",
            "// ...",
            "# ...",
            "/// Returns the rest of the line.",
            "Wait... it is not over yet.",
            "And so on, and so on ...",
            "He left... and the rest is silence.",
            "- existing code is never touched by this rule, whatever it says",
            "The existing code is unchanged.",
            "print('... done')",
            "// see also: ...",
            "git diff main...feature",
            "[...new Set(values)]",
            "* unchanged since 1.0, which had it",
            "// The previous line is a comment.",
            "# Original author: somebody",
            "/* Other browsers */",
            "'existing' => 'unchanged',",
            "// lines",
            "same as before: 3",
            "; other settings",
        ] {
            assert!(!is_refused("f.py", None, honest), "{honest}");
        }
    }

    #[test]
    fn dots_alone_are_elisions_where_less_is_given_than_was_there() {
        let there = "a\nb\nc\n";
        for dots in [
            "// ...",
            "# ...",
            "/* ... */",
            "<!-- ... -->",
            "{/* ... */}",
            "// [...]",
            "[...]",
            "\u{2026}",
            "...",
        ] {
            assert!(is_refused("f.js", Some(there), dots), "{dots}");
            assert!(
                !is_refused("f.js", Some("a\n"), &format!("{dots}\nb\n")),
                "{dots}"
            );
        }
        assert!(!is_refused("f.pyi", Some(there), "def f(): \n    ...\n"));
    }

    #[test]
    fn what_was_there_before_may_stay() {
        let path = RepoPath::parse("f").unwrap();
        let line = "# ... existing code ...";
        assert!(refuse_elision(&path, &format!("  {line}\n"), None, line).is_ok());
    }
}
