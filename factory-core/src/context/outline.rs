//! What a file defines, a line each: the signatures of its functions, types and methods.

use std::ops::Range;

use crate::syntax::{Language, Unit, UnitKind, outline};
use crate::workspace::RepoPath;

/// The longest signature that is shown, in bytes.
const MAX_SIGNATURE: usize = 160;
/// How many lines a signature may run over.
const MAX_SIGNATURE_LINES: usize = 8;
/// How many definitions of a file are kept.
const MAX_SYMBOLS: usize = 5000;
/// How deep types within types are followed.
const MAX_DEPTH: usize = 3;

/// A definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Its name, as `add` or `Stack.push` or `impl Display for Stack`.
    pub name: String,
    /// How it is declared, in one line and without its body.
    pub signature: String,
    /// How many types it stands in.
    pub depth: usize,
    /// Where it stands in the text, with its comments.
    pub range: Range<usize>,
    /// Whether there are members of it behind it.
    pub is_container: bool,
}

/// What a file defines, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The definitions.
    pub symbols: Vec<Symbol>,
}

impl Outline {
    /// Takes a file apart; none where its language is not known, or the text is none that can be looked at. Blocks.
    pub fn of(path: &RepoPath, text: &str) -> Option<Self> {
        let language = Language::of(path)?;
        let units = outline(language, text)?;
        let mut symbols = Vec::new();
        collect(language, text, &units, 0, &mut symbols);
        Some(Self { symbols })
    }

    /// Returns whether one of the names is defined: a function, a type or a method.
    pub fn defines(&self, names: &[String]) -> bool {
        self.defining(names).next().is_some()
    }

    /// Returns the definitions of the names.
    pub fn defining<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Symbol> {
        self.symbols
            .iter()
            .filter(move |symbol| names.iter().any(|name| symbol.is_called(name)))
    }
}

impl Symbol {
    /// Returns whether this is its name: `push` for `Stack.push`, `Stack` for `impl Stack`, in any case of letters.
    fn is_called(&self, name: &str) -> bool {
        let plain = self.name.rsplit([' ', '.', ':']).next().unwrap_or(&self.name);
        let plain = plain.split('<').next().unwrap_or(plain);
        plain.eq_ignore_ascii_case(name) || self.name.eq_ignore_ascii_case(name)
    }
}

fn collect(language: Language, text: &str, units: &[Unit], depth: usize, symbols: &mut Vec<Symbol>) {
    for unit in units {
        if symbols.len() == MAX_SYMBOLS {
            return;
        }
        if unit.kind != UnitKind::Definition || unit.name.is_empty() || unit.name == "__main__" {
            continue;
        }
        let declared = text.get(unit.signature..unit.range.end).unwrap_or_default();
        if !is_worth_showing(language, declared, unit, depth) {
            continue;
        }
        symbols.push(Symbol {
            name: unit.name.clone(),
            signature: signature(language, declared),
            depth,
            range: unit.range.clone(),
            is_container: !unit.members.is_empty(),
        });
        if depth < MAX_DEPTH && !is_tests_of_rust(language, unit) {
            collect(language, text, &unit.members, depth + 1, symbols);
        }
    }
}

/// Data within types, and plain variables of scripts, say little for their room.
fn is_worth_showing(language: Language, declared: &str, unit: &Unit, depth: usize) -> bool {
    let calls = || declared.lines().next().unwrap_or_default().contains('(') || declared.contains("=>");
    match language {
        Language::Shell => calls() && !declared.contains("=(") || declared.starts_with("function"),
        Language::Python | Language::Ruby => {
            let first = declared.split_whitespace().next().unwrap_or_default();
            let is_constant = || depth == 0 && unit.name.chars().all(|character| !character.is_lowercase());
            matches!(first, "def" | "class" | "async" | "module") || is_constant()
        }
        Language::Java | Language::JavaScript | Language::TypeScript | Language::Tsx if depth > 0 => calls(),
        Language::JavaScript => !unit.name.contains('.') || calls(),
        Language::Rust => !(declared.ends_with(';') && declared.split(' ').any(|word| word == "mod")),
        Language::C | Language::Cpp => {
            let is_guard = declared.starts_with("#define") && declared.split_whitespace().count() < 3;
            !is_guard && (depth == 0 || calls())
        }
        _ => true,
    }
}

fn is_tests_of_rust(language: Language, unit: &Unit) -> bool {
    language == Language::Rust && unit.name == "tests"
}

/// Returns how something is declared, on one line: up to its body, or to its value where it has one.
fn signature(language: Language, declared: &str) -> String {
    let mut joined = String::new();
    let mut open = 0_usize;
    for line in declared.lines().take(MAX_SIGNATURE_LINES) {
        let line = line.trim();
        if line.starts_with(')') {
            // What closes the list needs no comma before it on one line.
            joined.truncate(joined.trim_end_matches(',').len());
        } else if !joined.is_empty() && !joined.ends_with('(') {
            joined.push(' ');
        }
        joined.push_str(line);
        for character in line.chars() {
            match character {
                '(' | '[' => open += 1,
                ')' | ']' => open = open.saturating_sub(1),
                _ => {}
            }
        }
        if open == 0 || joined.len() > MAX_SIGNATURE {
            break;
        }
    }
    let body = match language {
        Language::Python | Language::Ruby => joined.as_str(),
        _ => without_body(&joined),
    };
    let body =
        body.trim_end_matches(|character: char| character.is_whitespace() || "{;:=([".contains(character));
    let body: String = body
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    if body.len() <= MAX_SIGNATURE {
        return body;
    }
    format!("{}…", &body[..body.floor_char_boundary(MAX_SIGNATURE)])
}

/// Cuts a body that stands on the line of its signature, as `fn f() { 1 }` has.
fn without_body(line: &str) -> &str {
    let mut open = 0_usize;
    for (at, character) in line.char_indices() {
        match character {
            '(' | '[' => open += 1,
            ')' | ']' => open = open.saturating_sub(1),
            '{' if open == 0 && at > 0 => return &line[..at],
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expect: &[&str]) {
        let outline = Outline::of(&RepoPath::parse(path).unwrap(), text).unwrap();
        let lines: Vec<String> = outline
            .symbols
            .iter()
            .map(|symbol| format!("{}{}", "  ".repeat(symbol.depth), symbol.signature))
            .collect();
        assert_eq!(lines, expect, "{path}");
    }

    #[test]
    fn each_language_is_shown_by_its_signatures() {
        check(
            "a.py",
            "import os\n\nLIMIT = 3\nTABLE = {\n    1: 2,\n}\nthing = 4\n\n\n@cached\ndef add(\n    a: int,\n    b: int = 2,\n) -> int:\n    return a + b\n\n\nclass Stack(Base):\n    size = 1\n\n    async def push(self, item):\n        pass\n\n\nif __name__ == '__main__':\n    add(1)\n",
            &[
                "LIMIT = 3",
                "TABLE",
                "def add(a: int, b: int = 2) -> int",
                "class Stack(Base)",
                "  async def push(self, item)",
            ],
        );
        check(
            "a.rs",
            "//! Doc.\nmod b;\nuse std::fmt;\n/// Doc.\n#[derive(Debug)]\npub struct A { x: u8 }\nimpl fmt::Display for A {\n    fn fmt(&self) -> R { Ok(()) }\n}\npub const MOST: usize = 5;\npub(crate) fn f<T>(a: [u8; 2]) -> T\nwhere T: Copy {\n}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn t() {}\n}\n",
            &[
                "pub struct A",
                "impl fmt::Display for A",
                "  fn fmt(&self) -> R",
                "pub const MOST: usize = 5",
                "pub(crate) fn f<T>(a: [u8; 2]) -> T",
                "mod tests",
            ],
        );
        check(
            "a.ts",
            "import x from 'y';\nexport interface P { a: number }\nexport const f = (a: number): number => a;\nexport default class C extends D {\n  private n = 1;\n  get(x: string): void { go(); }\n}\ntype T = { a: 1 };\n",
            &[
                "interface P",
                "const f = (a: number): number => a",
                "class C extends D",
                "  get(x: string): void",
                "type T",
            ],
        );
        check(
            "a.go",
            "package a\n\ntype T struct {\n\tx int\n}\n\nfunc (t *T) M(a int) error {\n\treturn nil\n}\n",
            &["type T struct", "func (t *T) M(a int) error"],
        );
        check(
            "a.h",
            "#ifndef A_H\n#define A_H\n#define MAX 4\nstruct p { int x; };\nint g(int a,\n      int b);\nstatic int *f(void)\n{\n  return 0;\n}\n#endif\n",
            &[
                "#define MAX 4",
                "struct p",
                "int g(int a, int b)",
                "static int *f(void)",
            ],
        );
        check(
            "A.java",
            "package a;\npublic class A {\n  private int x;\n  public int get(int i) throws E {\n    return x;\n  }\n}\n",
            &["public class A", "  public int get(int i) throws E"],
        );
        check(
            "a.rb",
            "module M\n  class A < B\n    def m(x)\n    end\n  end\nend\n",
            &["module M", "  class A < B", "    def m(x)"],
        );
        check("a.sh", "#!/bin/sh\nX=1\nlog() { echo; }\n", &["log()"]);
    }

    #[test]
    fn a_file_with_errors_is_shown_as_far_as_it_is_understood() {
        check(
            "a.py",
            "def f(a):\n    return (\n\ndef g(b):\n    pass\n",
            &["def f(a)", "def g(b)"],
        );
        check(
            "a.rs",
            "fn f() { let x = ; }\n}}}\nfn h(a: u8) {}\n",
            &["fn f()", "fn h(a: u8)"],
        );
    }

    #[test]
    fn a_name_is_found_in_its_forms() {
        let text = "pub struct Stack;\nimpl Stack {\n    fn push(&self) {}\n}\n";
        let outline = Outline::of(&RepoPath::parse("a.rs").unwrap(), text).unwrap();
        for (name, expect) in [("Stack", 2), ("push", 1), ("PUSH", 1), ("pus", 0)] {
            assert_eq!(outline.defining(&[name.to_owned()]).count(), expect, "{name}");
        }
        assert_eq!(Outline::of(&RepoPath::parse("a.txt").unwrap(), text), None);
    }
}
