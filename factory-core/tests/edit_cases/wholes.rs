//! Whole files in fences below their paths, as weak models write them.

use super::{Before, Case};

const CALC: &[Before] = &[("calc.py", b"def add(a, b):\n    return a - b\n")];
const LABELLED: &[Before] = &[("calc.py", b"# calc.py\ndef add(a, b):\n    return a - b\n")];
const NONE: &[Before] = &[];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a path line and a fence",
        files: CALC,
        answer: "calc.py\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a blank line between them",
        files: CALC,
        answer: "calc.py\n\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "two blank lines between them",
        files: CALC,
        answer: "calc.py\n\n\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "the path in the info string",
        files: CALC,
        answer: "```python calc.py\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "the path behind a colon in the info string",
        files: CALC,
        answer: "```python:calc.py\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "the path as the info string",
        files: CALC,
        answer: "```calc.py\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "the path as the info string's title",
        files: CALC,
        answer: "```python title=\"calc.py\"\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a heading above the fence",
        files: CALC,
        answer: "### calc.py\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a bold path above the fence",
        files: CALC,
        answer: "**calc.py**\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a labelled path above the fence",
        files: CALC,
        answer: "File: calc.py\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a bold label above the fence",
        files: CALC,
        answer: "**File:** `calc.py`\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a numbered path above the fence",
        files: CALC,
        answer: "1. `calc.py`:\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a path with a remark above the fence",
        files: CALC,
        answer: "#### calc.py (updated)\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "the path in a first comment",
        files: CALC,
        answer: "```python\n# calc.py\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "the path in a first comment that the file has",
        files: LABELLED,
        answer: "```python\n# calc.py\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a path above and in a first comment",
        files: CALC,
        answer: "calc.py\n```python\n# calc.py\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a first comment of slashes",
        files: NONE,
        answer: "```rust\n// src/x.rs\nfn x() {}\n```\n",
    },
    Case {
        name: "a first comment of markup",
        files: NONE,
        answer: "```html\n<!-- web/index.html -->\n<p>x</p>\n```\n",
    },
    Case {
        name: "a first comment in what knows none",
        files: NONE,
        answer: "```json\n// package.json\n{}\n```\n",
    },
    Case {
        name: "a first comment that is a module's name",
        files: NONE,
        answer: "```python\n# os.path\nimport os\n```\n",
    },
    Case {
        name: "a file in a new folder",
        files: NONE,
        answer: "src/deep/x.rs\n```rust\nfn x() {}\n```\n",
    },
    Case {
        name: "several files",
        files: CALC,
        answer: "calc.py\n```python\ndef add(a, b):\n    return a + b\n```\n\ntest_calc.py\n```python\nfrom calc import add\nassert add(1, 2) == 3\n```\n",
    },
    Case {
        name: "several files with prose and commands",
        files: CALC,
        answer: "First the code.\n\n`calc.py`\n```python\ndef add(a, b):\n    return a + b\n```\n\nThen run it:\n\n```bash\npython calc.py\n```\n",
    },
    Case {
        name: "a fence without a language",
        files: CALC,
        answer: "calc.py\n```\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a fence of tildes",
        files: CALC,
        answer: "calc.py\n~~~python\ndef add(a, b):\n    return a + b\n~~~\n",
    },
    Case {
        name: "a longer fence around fences",
        files: NONE,
        answer: "README.md\n````markdown\n# T\n```\nrun\n```\n````\n",
    },
    Case {
        name: "fences with a language within a fence as long",
        files: NONE,
        answer: "README.md\n```markdown\n# T\n```bash\nrun\n```\nend\n```\n",
    },
    Case {
        name: "bare fences within a fence as long",
        files: NONE,
        answer: "README.md\n```markdown\n# T\n```\nrun\n```\nend\n```\n",
    },
    Case {
        name: "fences of tildes within backticks",
        files: NONE,
        answer: "README.md\n```markdown\n# T\n~~~\nrun\n~~~\n```\n",
    },
    Case {
        name: "a documentation comment with a fence",
        files: NONE,
        answer: "src/x.rs\n```rust\n/// ```\n/// x();\n/// ```\nfn x() {}\n```\n",
    },
    Case {
        name: "a docstring with an indented fence",
        files: NONE,
        answer: "x.py\n```python\ndef f():\n    \"\"\"\n    ```\n    f()\n    ```\n    \"\"\"\n```\n",
    },
    Case {
        name: "a fence in a list",
        files: NONE,
        answer: "1. `x.py`:\n   ```python\n   def f():\n       pass\n   ```\n",
    },
    Case {
        name: "Markdown that quotes a block",
        files: NONE,
        answer: "docs/edit.md\n````markdown\nWrite:\n```\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```\n````\n",
    },
    Case {
        name: "an empty file",
        files: NONE,
        answer: "pkg/__init__.py\n```python\n```\n",
    },
    Case {
        name: "a Makefile",
        files: NONE,
        answer: "Makefile\n```makefile\nall:\n\techo hi\n```\n",
    },
    Case {
        name: "a file that may have a space",
        files: NONE,
        answer: "`my notes.txt`\n```\nx\n```\n",
    },
    Case {
        name: "a patch file given whole",
        files: NONE,
        answer: "fix.patch\n```diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```\n",
    },
    Case {
        name: "the same file twice, alike",
        files: CALC,
        answer: "calc.py\n```\nx = 1\n```\n\ncalc.py\n```\nx = 1\n```\n",
    },
    Case {
        name: "the same file twice, unlike",
        files: CALC,
        answer: "calc.py\n```\nx = 1\n```\n\ncalc.py\n```\nx = 2\n```\n",
    },
    Case {
        name: "a file whole and in blocks",
        files: CALC,
        answer: "calc.py\n```\nx = 1\n```\n\ncalc.py\n<<<<<<< SEARCH\ndef add(a, b):\n=======\ndef plus(a, b):\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "one file whole, another in blocks",
        files: CALC,
        answer: "x.py\n```\nx = 1\n```\n\ncalc.py\n<<<<<<< SEARCH\ndef add(a, b):\n=======\ndef plus(a, b):\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "code without a path",
        files: CALC,
        answer: "```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "code below a sentence with a path",
        files: CALC,
        answer: "In `calc.py`, the bug is here:\n```python\n    return a - b\n```\n",
    },
    Case {
        name: "code below a word",
        files: CALC,
        answer: "Example:\n```python\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "code below a framework's name",
        files: CALC,
        answer: "Node.js:\n```js\nrun()\n```\n",
    },
    Case {
        name: "code that cites lines of a file",
        files: CALC,
        answer: "```12:15:calc.py\n    return a - b\n```\n",
    },
    Case {
        name: "one file named, one not",
        files: CALC,
        answer: "calc.py\n```python\ndef add(a, b):\n    return a + b\n```\n\n```python\nimport calc\n```\n",
    },
    Case {
        name: "commands alone",
        files: CALC,
        answer: "Run this:\n```bash\nrm -rf x\n```\n",
    },
    Case {
        name: "a script without a path",
        files: CALC,
        answer: "```bash\n#!/bin/sh\necho 1\n```\n",
    },
    Case {
        name: "a fence that does not end",
        files: CALC,
        answer: "calc.py\n```python\ndef add(a, b):\n    return a + b\n",
    },
    Case {
        name: "a second fence that does not end",
        files: CALC,
        answer: "x.py\n```python\nx = 1\n```\ncalc.py\n```python\ndef add",
    },
    Case {
        name: "a fence begun before the other's end",
        files: NONE,
        answer: "```python a.py\nx = 1\n```python b.py\ny = 1\n```\n",
    },
    Case {
        name: "a file outside",
        files: NONE,
        answer: "../x.py\n```python\nx = 1\n```\n",
    },
    Case {
        name: "a file of the system",
        files: NONE,
        answer: "/etc/passwd\n```\nx\n```\n",
    },
    Case {
        name: "a file in the home",
        files: NONE,
        answer: "~/.bashrc\n```\nx\n```\n",
    },
    Case {
        name: "a hook",
        files: NONE,
        answer: ".git/hooks/pre-commit\n```sh\nx\n```\n",
    },
    Case {
        name: "a hook in another spelling",
        files: NONE,
        answer: "sub/.GIT/hooks/pre-commit\n```sh\nx\n```\n",
    },
    Case {
        name: "a file as it is",
        files: CALC,
        answer: "calc.py\n```python\ndef add(a, b):\n    return a - b\n```\n",
    },
    Case {
        name: "files that collide",
        files: NONE,
        answer: "a.txt\n```\nx\n```\nA.txt\n```\ny\n```\n",
    },
    Case {
        name: "a file and one below it",
        files: NONE,
        answer: "a/b\n```\nx\n```\na/b/c.txt\n```\ny\n```\n",
    },
    Case {
        name: "Markdown that quotes a block in a fence as long",
        files: NONE,
        answer: "docs/edit.md\n```markdown\nWrite:\n```text\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n```\nend\n```\n",
    },
    Case {
        name: "a block in a fence below a text's path and a remark",
        files: &[("a.md", b"one\n")],
        answer: "a.md\n```\nfix the number:\n<<<<<<< SEARCH\none\n=======\n1\n>>>>>>> REPLACE\n```\n",
    },
    Case {
        name: "a block in a fence below a program's path and a comment",
        files: CALC,
        answer: "calc.py\n```python\n# fix\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n```\n",
    },
    Case {
        name: "a file of the name of a language",
        files: NONE,
        answer: "```makefile\nall:\n```\n",
    },
    Case {
        name: "code in a line is no fence",
        files: CALC,
        answer: "Use ```x = 1``` here.\ncalc.py\n```\nx = 1\n```\n",
    },
    Case {
        name: "a file that is not UTF-8 yet is not there",
        files: NONE,
        answer: "caf\u{e9}/na\u{ef}ve.py\n```\nx = 1\n```\n",
    },
    Case {
        name: "line ends of Windows in a whole answer",
        files: CALC,
        answer: "calc.py\r\n```python\r\nx = 1\r\n```\r\n",
    },
    Case {
        name: "an uncommon ending with a label",
        files: NONE,
        answer: "File: a.qqq\n```\nx\n```\n",
    },
    Case {
        name: "an uncommon ending without a label",
        files: NONE,
        answer: "a.qqq\n```\nx\n```\n",
    },
    Case {
        name: "a transcript of a terminal beside a file",
        files: CALC,
        answer: "calc.py\n```\nx = 1\n```\n\nThen:\n\n```\n$ python calc.py\n1\n```\n",
    },
];
