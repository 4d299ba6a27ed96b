//! What names a file, and what only looks like it.

use super::*;

#[track_caller]
fn check(found: Option<String>, expected: &str) {
    assert_eq!(found.unwrap_or_default(), expected);
}

#[test]
fn a_line_that_is_a_path_names_a_file() {
    for line in [
        "src/x.rs",
        "`src/x.rs`",
        "**src/x.rs**",
        "**`src/x.rs`**",
        "### src/x.rs",
        "### `src/x.rs`:",
        "File: src/x.rs",
        "**File:** `src/x.rs`",
        "**File: src/x.rs**",
        "File `src/x.rs`:",
        "filename: src/x.rs",
        "1. `src/x.rs`",
        "- src/x.rs:",
        "src/x.rs (new file)",
        "#### 2. src/x.rs (updated)",
        "> src/x.rs",
        "__src/x.rs__",
        "New file: src/x.rs",
        "Path: \"src/x.rs\"",
        "* **src/x.rs**:",
    ] {
        check(on_line(line), "src/x.rs");
    }
    for (line, name) in [
        ("Makefile", "Makefile"),
        ("### Dockerfile:", "Dockerfile"),
        ("File: run", "run"),
        (".gitignore", ".gitignore"),
        ("`my notes.txt`", "my notes.txt"),
        ("`next.js`", "next.js"),
        ("../x.rs", "../x.rs"),
        ("bin/tool:", "bin/tool"),
    ] {
        check(on_line(line), name);
    }
}

#[test]
fn a_line_that_says_more_names_none() {
    for line in [
        "",
        "Here is `calc.py`:",
        "In src/x.rs, the bug is this:",
        "Example:",
        "Node.js:",
        "os.path",
        "e.g.",
        "See https://x.dev/a.py",
        "https://x.dev/a.py",
        "version 1.2",
        "1.2",
        "and so on...",
        "Then run it:",
        "`main`:",
        "src/:",
        "Explanation",
        "a = b.c",
        "```python",
        "src/a.rs and src/b.rs",
        "src/x.rs:10-20",
        "what about calc.py?",
    ] {
        check(on_line(line), "");
    }
}

#[test]
fn an_info_string_names_a_file() {
    for (info, name) in [
        ("python calc.py", "calc.py"),
        ("python:calc.py", "calc.py"),
        ("calc.py", "calc.py"),
        ("python title=\"a/calc.py\"", "a/calc.py"),
        ("js {file=x.js}", "x.js"),
        ("src/x.rs", "src/x.rs"),
        ("rust", ""),
        ("c++", ""),
        ("rust,ignore", ""),
        ("12:15:src/x.rs", ""),
        ("application/json", ""),
        ("text/x-python a.py", "a.py"),
        ("rust:src/x.rs:10-20", ""),
        ("python linenums", ""),
        ("Dockerfile", "Dockerfile"),
        ("dockerfile", ""),
        ("makefile", ""),
        ("Makefile", "Makefile"),
    ] {
        check(in_info(info), name);
    }
}

#[test]
fn a_first_comment_names_a_file() {
    for (line, name) in [
        ("# calc.py", "calc.py"),
        ("// src/x.rs", "src/x.rs"),
        ("/* a.css */", "a.css"),
        ("<!-- index.html -->", "index.html"),
        ("-- schema.sql", "schema.sql"),
        ("# File: run", "run"),
        ("// file: src/x", "src/x"),
        ("\"\"\"calc.py\"\"\"", "calc.py"),
        ("{/* App.jsx */}", "App.jsx"),
        ("# Makefile", "Makefile"),
        ("; setup.ini", "setup.ini"),
        ("# os.path", ""),
        ("# and/or", ""),
        ("#!/usr/bin/env", ""),
        ("#include <a.h>", ""),
        ("// a note about x.rs", ""),
        ("import x.py", ""),
        ("calc.py", ""),
    ] {
        check(in_comment(line), name);
    }
}
