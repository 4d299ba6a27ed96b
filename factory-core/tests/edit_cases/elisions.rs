//! Answers that leave parts out, and honest ones that only look like it.

use super::{Before, Case};

const LIST: &[Before] = &[(
    "list.txt",
    b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n21\n22\n23\n24\n25\n26\n27\n28\n29\n30\n",
)];
const CALC: &[Before] = &[(
    "calc.py",
    b"def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n",
)];
const STUB: &[Before] = &[(
    "calc.pyi",
    b"def add(a: int, b: int) -> int: ...\ndef sub(a: int, b: int) -> int: ...\n",
)];
const JS: &[Before] = &[("x.js", b"const a = 1;\nconst b = 2;\nconst c = 3;\n")];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a whole file that leaves the rest out",
        files: CALC,
        answer: "calc.py\n```python\ndef add(a, b):\n    return a + b\n\n# ... rest of the code unchanged ...\n```\n",
    },
    Case {
        name: "a whole file that keeps existing code",
        files: CALC,
        answer: "calc.py\n```python\n# ... existing code ...\ndef add(a, b):\n    return a + b\n```\n",
    },
    Case {
        name: "a whole file of half its length",
        files: LIST,
        answer: "list.txt\n```\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n```\n",
    },
    Case {
        name: "a whole file of most of its length",
        files: LIST,
        answer: "list.txt\n```\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n```\n",
    },
    Case {
        name: "a block that leaves the middle out",
        files: CALC,
        answer: "calc.py\n<<<<<<< SEARCH\ndef add(a, b):\n=======\ndef add(a, b):\n    # ... existing code ...\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "a patch that leaves the rest out",
        files: CALC,
        answer: "*** Begin Patch\n*** Update File: calc.py\n@@\n-def add(a, b):\n+def plus(a, b):\n+    # rest of the function remains the same\n*** End Patch\n",
    },
    Case {
        name: "a new file that leaves the rest out",
        files: CALC,
        answer: "new.js\n```js\nconst x = 1;\n// rest of the implementation\n```\n",
    },
    Case {
        name: "dots alone where lines go",
        files: JS,
        answer: "x.js\n```js\nconst a = 9;\n// ...\n```\n",
    },
    Case {
        name: "dots alone where lines come",
        files: JS,
        answer: "x.js\n```js\nconst a = 1;\nconst b = 2;\nconst c = 3;\n// ...\nconst d = 4;\n```\n",
    },
    Case {
        name: "bare dots where lines go",
        files: JS,
        answer: "x.js\n<<<<<<< SEARCH\nconst a = 1;\nconst b = 2;\nconst c = 3;\n=======\nconst a = 9;\n...\n>>>>>>> REPLACE\n",
    },
    Case {
        name: "a stub's dots",
        files: STUB,
        answer: "calc.pyi\n```python\ndef add(a: int, b: int) -> int: ...\n\nclass C:\n    ...\n```\n",
    },
    Case {
        name: "spread and ranges",
        files: JS,
        answer: "x.js\n```js\nconst { a, ...rest } = o;\nconst b = [...existing];\nfor (const c of [...rest]) {}\n```\n",
    },
    Case {
        name: "an ellipsis in prose",
        files: &[("t.md", b"Wait.\n")],
        answer: "t.md\n```markdown\nWait... the rest is silence.\nAnd so on ...\n```\n",
    },
    Case {
        name: "a comment about the rest",
        files: JS,
        answer: "x.js\n```js\n// the rest parameter\nconst a = (...rest) => rest;\nconst b = 2;\n```\n",
    },
    Case {
        name: "an elision that the file has",
        files: &[("x.js", b"// ... existing code ...\nconst a = 1;\n")],
        answer: "x.js\n```js\n// ... existing code ...\nconst a = 2;\n```\n",
    },
    Case {
        name: "an elision in a search",
        files: CALC,
        answer: "calc.py\n<<<<<<< SEARCH\ndef add(a, b):\n    # ...\n=======\ndef plus(a, b):\n    # ...\n>>>>>>> REPLACE\n",
    },
];
