//! Blocks below a file's name: what they are taken for, and what becomes of the file.

use super::*;

fn after(path: &str, before: &str, given: &str) -> String {
    let path = RepoPath::parse(path).unwrap();
    match meaning(&path, before.as_bytes(), given) {
        Ok(Meaning::Whole) => "(whole)".to_owned(),
        Ok(Meaning::Parts(bytes)) => String::from_utf8(bytes).unwrap(),
        Err(error) => format!("({})", error.code()),
    }
}

fn check(path: &str, before: &str, given: &str, expect: &str) {
    assert_eq!(after(path, before, given), expect, "{path}: {given}");
}

const CALC: &str = "\"\"\"Sums.\"\"\"\n\nimport sys\n\n\ndef sub(a, b):\n    return a - b\n\n\nif __name__ == \"__main__\":\n    print(sub(2, 1))\n";

#[test]
fn a_new_function_is_added_before_the_main_part() {
    check(
        "calc.py",
        CALC,
        "def add(a, b):\n    return a + b\n",
        "\"\"\"Sums.\"\"\"\n\nimport sys\n\n\ndef sub(a, b):\n    return a - b\n\n\ndef add(a, b):\n    return a + b\n\n\nif __name__ == \"__main__\":\n    print(sub(2, 1))\n",
    );
}

#[test]
fn a_function_takes_the_place_of_the_one_of_its_name() {
    check(
        "calc.py",
        CALC,
        "import os\nimport sys\n\ndef sub(a, b):\n    \"\"\"Less.\"\"\"\n    return a-b\n",
        "\"\"\"Sums.\"\"\"\n\nimport sys\nimport os\n\n\ndef sub(a, b):\n    \"\"\"Less.\"\"\"\n    return a-b\n\n\nif __name__ == \"__main__\":\n    print(sub(2, 1))\n",
    );
}

#[test]
fn a_file_that_names_everything_is_whole() {
    check("calc.py", CALC, CALC, "(whole)");
    check("calc.py", "x = 1\n", "x = 2\ny = 3\n", "(whole)");
    check("run.sh", "#!/bin/sh\necho a\n", "#!/bin/sh\necho b\n", "(whole)");
    check("notes.md", "# A\n", "# B\n", "(whole)");
    check("broken.py", "def f(:\n", "def f():\n    pass\n", "(whole)");
}

#[test]
fn a_statement_of_its_own_is_no_part() {
    check("calc.py", CALC, "print(1)\n", "(edit_leaves_out)");
    check(
        "calc.py",
        CALC,
        "def add(a, b):\n    return a + b\n\nprint(add(1, 2))\n",
        "(edit_leaves_out)",
    );
    check(
        "calc.py",
        CALC,
        "def add(a, b:\n    return a + b\n",
        "(edit_unreadable)",
    );
}

#[test]
fn a_method_is_found_in_its_class() {
    let before = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n\n\nclass B:\n    def h(self):\n        return 3\n";
    let expect = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        if True:\n            return 22\n\n\nclass B:\n    def h(self):\n        return 3\n";
    check(
        "a.py",
        before,
        "def g(self):\n    if True:\n        return 22\n",
        expect,
    );
    check(
        "a.py",
        before,
        "class A:\n    def g(self):\n        if True:\n            return 22\n",
        expect,
    );
    check(
        "a.py",
        before,
        "    def g(self):\n        if True:\n            return 22\n",
        expect,
    );
    let twice = before.replace("def h", "def g");
    check("a.py", &twice, "def g(self):\n    return 0\n", "(edit_ambiguous)");
}

#[test]
fn a_new_method_joins_its_class() {
    let before = "class A:\n    def f(self):\n        return 1\n\n\nX = A()\n";
    check(
        "a.py",
        before,
        "class A:\n    def g(self):\n        return 2\n",
        "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n\n\nX = A()\n",
    );
}

#[test]
fn other_languages_are_merged_alike() {
    check(
        "util.c",
        "#include \"util.h\"\n\n/* The larger. */\nint max(int a, int b)\n{\n    return a;\n}\n\nint min(int a, int b)\n{\n    return b;\n}\n",
        "#include \"util.h\"\n\nint max(int a, int b)\n{\n    return a > b ? a : b;\n}\n",
        "#include \"util.h\"\n\n/* The larger. */\nint max(int a, int b)\n{\n    return a > b ? a : b;\n}\n\nint min(int a, int b)\n{\n    return b;\n}\n",
    );
    check(
        "text.js",
        "function words(text) {\n  return [];\n}\n\nmodule.exports = { words };\n",
        "function longest(text) {\n  return '';\n}\n",
        "function words(text) {\n  return [];\n}\n\nfunction longest(text) {\n  return '';\n}\n\nmodule.exports = { words };\n",
    );
    check(
        "text.js",
        "function words(text) {\n  return [];\n}\n\nmodule.exports = { words };\n",
        "function longest(text) {\n  return '';\n}\n\nmodule.exports = { words, longest };\n",
        "function words(text) {\n  return [];\n}\n\nfunction longest(text) {\n  return '';\n}\n\nmodule.exports = { words, longest };\n",
    );
    check(
        "a.rs",
        "struct A;\n\nimpl A {\n    fn f(&self) -> u8 {\n        1\n    }\n\n    fn g(&self) -> u8 {\n        2\n    }\n}\n\n#[cfg(test)]\nmod tests {}\n",
        "impl A {\n    fn g(&self) -> u8 {\n        3\n    }\n}\n\nfn new() -> A {\n    A\n}\n",
        "struct A;\n\nimpl A {\n    fn f(&self) -> u8 {\n        1\n    }\n\n    fn g(&self) -> u8 {\n        3\n    }\n}\n\nfn new() -> A {\n    A\n}\n\n#[cfg(test)]\nmod tests {}\n",
    );
}

#[test]
fn what_is_not_named_stays_byte_for_byte() {
    check(
        "calc.py",
        "def a():\r\n\treturn 1  \r\n\r\n\r\ndef b():\r\n\treturn 2",
        "def b():\n\treturn 3\n",
        "def a():\r\n\treturn 1  \r\n\r\n\r\ndef b():\r\n\treturn 3",
    );
}
