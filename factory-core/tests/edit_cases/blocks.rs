//! Search and replace blocks: clean ones, sloppy ones, and ones that must not be applied.

use super::{Before, Case};

const CALC: &[Before] = &[(
    "calc.py",
    b"def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n",
)];
const TWO: &[Before] = &[
    ("a.txt", b"one\ntwo\nthree\n"),
    ("src/b.rs", b"fn main() {\n    run();\n}\n"),
];
const NESTED: &[Before] = &[(
    "m.py",
    b"class A:\n    def f(self):\n        if x:\n            return 1\n        return 2\n",
)];
const TABS: &[Before] = &[("main.go", b"func main() {\n\tif x {\n\t\trun()\n\t}\n}\n")];
const QUOTES: &[Before] = &[(
    "t.md",
    "It\u{2019}s \u{201c}fine\u{201d} \u{2013} really.\nend\n".as_bytes(),
)];
const README: &[Before] = &[("README.md", b"Title\n=====\n\nText\n")];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a clean block",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "prose around it",
        files: TWO,
        answer: "I change one line.\n\na.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n\nThat is all.\n",
    },
    Case {
        name: "in a fence below its path",
        files: TWO,
        answer: "a.txt\n```\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n```\n",
    },
    Case {
        name: "in a fence with its path inside",
        files: TWO,
        answer: "```\na.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n```\n",
    },
    Case {
        name: "in a fence whose info string is its path",
        files: TWO,
        answer: "```rust src/b.rs\n<<<<<<< SEARCH\n    run();\n=======\n    go();\n>>>>>>> REPLACE\n```\n",
    },
    Case {
        name: "in a fence without an end",
        files: TWO,
        answer: "a.txt\n```\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "the path as a heading",
        files: TWO,
        answer: "### `src/b.rs`\n<<<<<<< SEARCH\n    run();\n=======\n    go();\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "the path in bold with a colon",
        files: TWO,
        answer: "**src/b.rs**:\n\n<<<<<<< SEARCH\n    run();\n=======\n    go();\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "the path labelled",
        files: TWO,
        answer: "File: src/b.rs\n<<<<<<< SEARCH\n    run();\n=======\n    go();\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "the path behind the mark",
        files: TWO,
        answer: "<<<<<<< SEARCH a.txt\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "two blocks of one file",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\none\n=======\n1\n>>>>>>> REPLACE\n<<<<<<< SEARCH\nthree\n=======\n3\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "two files, interleaved",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\none\n=======\n1\n>>>>>>> REPLACE\nsrc/b.rs\n<<<<<<< SEARCH\n    run();\n=======\n    go();\n>>>>>>> REPLACE\na.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "five signs",
        files: TWO,
        answer: "a.txt\n<<<<< SEARCH\ntwo\n=====\n2\n>>>>> REPLACE\n",
    },
    Case {
        name: "nine signs, one mark shorter",
        files: TWO,
        answer: "a.txt\n<<<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>>> REPLACE\n",
    },
    Case {
        name: "three signs",
        files: TWO,
        answer: "a.txt\n<<< SEARCH\ntwo\n===\n2\n>>> REPLACE\n",
    },
    Case {
        name: "twelve signs",
        files: TWO,
        answer: "a.txt\n<<<<<<<<<<<< SEARCH\ntwo\n============\n2\n>>>>>>>>>>>> REPLACE\n",
    },
    Case {
        name: "marks in small letters",
        files: TWO,
        answer: "a.txt\n<<<<<<< search\ntwo\n=======\n2\n>>>>>>> replace\n",
    },
    Case {
        name: "marks with a second half",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH >>>>>>>\ntwo\n=======\n2\n>>>>>>> REPLACE <<<<<<<\n",
    },
    Case {
        name: "marks of dashes and plus signs",
        files: TWO,
        answer: "a.txt\n------- SEARCH\ntwo\n=======\n2\n+++++++ REPLACE\n",
    },
    Case {
        name: "ORIGINAL and UPDATED",
        files: TWO,
        answer: "a.txt\n<<<<<<< ORIGINAL\ntwo\n=======\n2\n>>>>>>> UPDATED\n",
    },
    Case {
        name: "line ends of Windows in the answer",
        files: TWO,
        answer: "a.txt\r\n<<<<<<< SEARCH\r\ntwo\r\n=======\r\n2\r\n>>>>>>> REPLACE\r\n",
    },
    Case {
        name: "marks that are indented",
        files: TWO,
        answer: "  a.txt\n  <<<<<<< SEARCH\ntwo\n  =======\n2\n  >>>>>>> REPLACE\n",
    },
    Case {
        name: "part of a line",
        files: TWO,
        answer: "src/b.rs\n<<<<<<< SEARCH\nrun()\n=======\ngo()\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "lines that go",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "an empty search makes a file",
        files: TWO,
        answer: "new.txt\n<<<<<<< SEARCH\n=======\nhello\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "an empty search of a file that holds something",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\n=======\nhello\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "an empty search of an empty file",
        files: &[("e.txt", b"")],
        answer: "e.txt\n<<<<<<< SEARCH\n=======\nhello\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "trailing spaces quoted wrong",
        files: &[("a.txt", b"one  \ntwo\t\n")],
        answer: "a.txt\n<<<<<<< SEARCH\none\ntwo\n=======\none\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "indentation left out",
        files: NESTED,
        answer: "m.py\n<<<<<<< SEARCH\nif x:\n    return 1\nreturn 2\n=======\nif x:\n    return 10\nreturn 20\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "indentation too deep",
        files: NESTED,
        answer: "m.py\n<<<<<<< SEARCH\n                return 1\n            return 2\n=======\n                return 1\n            return 3\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "spaces for tabs",
        files: TABS,
        answer: "main.go\n<<<<<<< SEARCH\n    if x {\n        run()\n    }\n=======\n    if x {\n        run()\n        stop()\n    }\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "spaces for tabs at a depth not quoted",
        files: TABS,
        answer: "main.go\n<<<<<<< SEARCH\n    if x {\n=======\n  while x {\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "plain quotes for typographic ones",
        files: QUOTES,
        answer: "t.md\n<<<<<<< SEARCH\nIt's \"fine\" - really.\nend\n=======\nIt's \"fine\" - really.\nEND\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "a blank line too many in both texts",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\n\ntwo\n=======\n\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "a heading's underline inside",
        files: README,
        answer: "README.md\n<<<<<<< SEARCH\nTitle\n=====\n=======\nTitle 2\n=====\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "a comparison above it",
        files: TWO,
        answer: "Note that a <<<<<<< b is odd.\n\na.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "an explanation with code beside it",
        files: TWO,
        answer: "The line\n```python\nx = 1\n```\nis wrong.\n\na.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "ambiguous",
        files: CALC,
        answer: "calc.py\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "ambiguous until more is quoted",
        files: CALC,
        answer: "calc.py\n<<<<<<< SEARCH\ndef add(a, b):\n    return a - b\n=======\ndef add(a, b):\n    return a + b\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "not there",
        files: CALC,
        answer: "calc.py\n<<<<<<< SEARCH\ndef mul(a, b):\n    return a * b\n=======\nx\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "nearly there",
        files: CALC,
        answer: "calc.py\n<<<<<<< SEARCH\ndef add(a, c):\n    return a - b\n=======\nx\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "of a file that is not there",
        files: TWO,
        answer: "c.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "one good, one bad: neither",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\nsrc/b.rs\n<<<<<<< SEARCH\nnowhere\n=======\nx\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "overlapping",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\none\ntwo\n=======\n1\n>>>>>>> REPLACE\n<<<<<<< SEARCH\ntwo\nthree\n=======\n3\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "that changes nothing",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\ntwo\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "without its path",
        files: TWO,
        answer: "<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "with its path in a sentence alone",
        files: TWO,
        answer: "Now change a.txt as follows.\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "without its divider",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\ntwo\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "with two dividers",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n=======\n3\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "cut before its end",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n",
    },
    Case {
        name: "cut in its second block",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n<<<<<<< SEARCH\none\n",
    },
    Case {
        name: "an end alone",
        files: TWO,
        answer: ">>>>>>> REPLACE\n",
    },
    Case {
        name: "a block begun twice",
        files: TWO,
        answer: "a.txt\n<<<<<<< SEARCH\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "of a path that climbs",
        files: TWO,
        answer: "../a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "of git's own folder",
        files: TWO,
        answer: ".git/config\n<<<<<<< SEARCH\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "of an absolute path",
        files: TWO,
        answer: "/etc/passwd\n<<<<<<< SEARCH\n=======\n2\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "an answer without any edit",
        files: TWO,
        answer: "I would change the second line.\n",
    },
    Case {
        name: "an empty answer",
        files: TWO,
        answer: "",
    },
];
