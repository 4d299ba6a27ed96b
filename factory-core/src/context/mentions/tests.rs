//! What goals, commands and the outputs of the usual tools name.

use super::*;

const FILES: &[&str] = &[
    "Makefile",
    "README.md",
    "calc/__init__.py",
    "calc/core.py",
    "cmd/server/main.go",
    "cmd/tool/main.go",
    "docs/user guide.md",
    "lib/ring.c",
    "lib/ring.h",
    "run.sh",
    "src/lib.rs",
    "src/parser.rs",
    "src/parser/tests.rs",
    "tests/test_calc.py",
    "web/app/[id]/page.tsx",
    "web/src/api.ts",
    "web/src/api.test.ts",
    "web/src/util/index.ts",
    "java/src/main/java/org/example/Shelf.java",
    "文档.md",
];

fn index() -> FileIndex {
    FileIndex::new(FILES.iter().map(|path| RepoPath::parse(path).unwrap()))
}

fn places(found: &Mentions) -> Vec<String> {
    let place = |mention: &Mention| {
        let lines: Vec<String> = mention.lines.iter().map(|line| format!(":{line}")).collect();
        format!("{}{}", mention.path, lines.concat())
    };
    found.files.iter().map(place).collect()
}

/// Files as `path:lines`, then absent ones as `+path`.
fn check(text: &str, expect: &[&str]) {
    let found = mentions(text, &index());
    let absent = found.absent.iter().map(|path| format!("+{path}"));
    let all: Vec<String> = places(&found).into_iter().chain(absent).collect();
    assert_eq!(all, expect, "{text}");
}

#[test]
fn a_goal_names_files() {
    check("", &[]);
    check("Make it faster.", &[]);
    check(
        "Fix src/parser.rs, then README.md.",
        &["src/parser.rs", "README.md"],
    );
    check(
        "In `core.py` the sum is wrong (see test_calc.py).",
        &["calc/core.py", "tests/test_calc.py"],
    );
    check("main.go is too long", &[]);
    check("server/main.go is too long", &["cmd/server/main.go"]);
    check("Mend the page web/app/[id]/page.tsx!", &["web/app/[id]/page.tsx"]);
    check("请修改src/lib.rs文件", &["src/lib.rs"]);
    check("请修改 文档.md。", &["文档.md"]);
    check("Extend \"docs/user guide.md\" by a page", &["docs/user guide.md"]);
    check("./run.sh and ../lib/ring.h", &["run.sh", "lib/ring.h"]);
    check(
        "the calc module and `crate::parser`",
        &["src/parser.rs", "calc/__init__.py"],
    );
    check("lib\\ring.c", &["lib/ring.c"]);
}

#[test]
fn a_goal_names_files_that_are_not_there() {
    check("create hello.txt", &["+hello.txt"]);
    check(
        "Add src/new/thing.rs and tests for it in tests/test_thing.py; use Node.js 20.1 and os.path, e.g. for v1.2.",
        &["+src/new/thing.rs", "+tests/test_thing.py"],
    );
    check("Read https://example.org/docs/a.md and example.org/b.md", &[]);
    check("Write a Dockerfile, not *.txt", &["+Dockerfile"]);
    check(
        "../../etc/passwd.txt and /etc/hosts.txt and .git/config.toml",
        &[],
    );
    check("创建hello.py文件", &["+hello.py"]);
}

#[test]
fn a_command_names_files() {
    check(
        "python -m pytest tests/test_calc.py::test_add -q",
        &["tests/test_calc.py"],
    );
    check("sh run.sh", &["run.sh"]);
    check(
        "python -m unittest tests.test_calc.TestAdd.test_one",
        &["tests/test_calc.py"],
    );
    check("python -c 'import calc.core'", &["calc/core.py"]);
    check("cc -o ring lib/ring.c && ./ring", &["lib/ring.c"]);
}

#[test]
fn failing_output_names_files_and_lines() {
    for (tool, text, expect) in [
        (
            "Python",
            "Traceback (most recent call last):\n  File \"/workspace/tests/test_calc.py\", line 3, in <module>\n    from calc import core\n  File \"/workspace/calc/core.py\", line 12, in add\n  File \"/usr/lib/python3.12/json/core.py\", line 7, in x\nTypeError: no",
            &["tests/test_calc.py:3", "calc/__init__.py", "calc/core.py:12"][..],
        ),
        (
            "pytest",
            "tests/test_calc.py:24: AssertionError\nFAILED tests/test_calc.py::test_add[a-1] - AssertionError: assert 1 == 2",
            &["tests/test_calc.py:24"],
        ),
        (
            "pytest collection",
            "ImportError while importing test module '/workspace/tests/test_calc.py'.\nE   ModuleNotFoundError: No module named 'calc.core'",
            &["tests/test_calc.py", "calc/core.py"],
        ),
        (
            "rustc",
            "error[E0308]: mismatched types\n  --> src/parser.rs:10:9\n   |\n10 |         1",
            &["src/parser.rs:10"],
        ),
        (
            "Rust panic",
            "thread 'parser::tests::reads' panicked at src/parser/tests.rs:44:5:\nassertion failed\n   2: core::panicking::panic\n             at /rustc/abc/library/core/src/lib.rs:1:2",
            &["src/parser/tests.rs:44"],
        ),
        (
            "Node",
            "Error: boom\n    at load (file:///workspace/web/src/api.ts:7:11)\n    at Object.<anonymous> (/workspace/web/src/api.test.ts:3:1)\n    at node:internal/modules:1:2\n    at x (/workspace/node_modules/a/README.md:1:1)",
            &["web/src/api.ts:7", "web/src/api.test.ts:3"],
        ),
        (
            "tsc",
            "web/src/api.ts(12,5): error TS2322: Type 'string' is not assignable.",
            &["web/src/api.ts:12"],
        ),
        (
            "jest",
            "Cannot find module './util' from 'web/src/api.test.ts'",
            &["web/src/util/index.ts", "web/src/api.test.ts"],
        ),
        (
            "go",
            "--- FAIL: TestAdd (0.00s)\n    server/main.go:19: got 1\n# example.org/x\n./cmd/tool/main.go:4:2: undefined: y",
            &["cmd/server/main.go:19", "cmd/tool/main.go:4"],
        ),
        (
            "gcc",
            "In file included from lib/ring.c:2:\nlib/ring.h:9:1: error: unknown type name 'sizet'",
            &["lib/ring.c:2", "lib/ring.h:9"],
        ),
        ("sh", "sh: run.sh: line 3: foo: not found", &["run.sh:3"]),
        ("dash", "run.sh: 7: foo: not found", &["run.sh:7"]),
        ("make", "make: *** [Makefile:5: all] Error 1", &["Makefile:5"]),
        (
            "Java",
            "\tat org.example.Shelf.find(Shelf.java:31)",
            &["java/src/main/java/org/example/Shelf.java:31"],
        ),
        ("diff", "--- a/src/lib.rs\n+++ b/src/lib.rs", &["src/lib.rs"]),
        (
            "absolute",
            "/workspace/README.md: bad\n/home/u/elsewhere/nothing.md: bad",
            &["README.md"],
        ),
    ] {
        let found = mentions(text, &index());
        assert_eq!(places(&found), expect, "{tool}");
    }
}

#[test]
fn identifiers_are_told_from_words() {
    let found = mentions(
        "Rename parse_orders to `parse`, let Shelf.find() and ShelfRepository use the shelves; NameError: name 'total' is not defined",
        &index(),
    );
    assert_eq!(
        found.symbols,
        [
            "parse_orders",
            "parse",
            "find",
            "ShelfRepository",
            "NameError",
            "total"
        ]
    );
    assert_eq!(found.words, ["rename", "shelf", "shelves", "name", "defined"]);
}

#[test]
fn the_common_words_are_in_order() {
    assert!(COMMON.is_sorted());
    assert!(is_common("Test") && !is_common("parser"));
}

#[test]
fn a_long_text_is_read_at_its_ends() {
    let text = format!("src/lib.rs\n{}\nREADME.md:3", "noise\n".repeat(200_000));
    check(&text, &["src/lib.rs", "README.md:3"]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in r#"(src/lib\.rs|:|\(|\)|"|'|`| line |[0-9]{1,30}|\\|//|\.\.?|é|文|\n|\[|\]|@|::|\PC)*"#) {
        let found = mentions(&text, &index());
        assert!(found.files.len() <= FILES.len());
    }
}
