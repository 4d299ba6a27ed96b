//! Patches in the `*** Begin Patch` envelope.

use super::{Before, Case};

const TWO: &[Before] = &[
    ("a.txt", b"one\ntwo\nthree\n"),
    (
        "src/b.rs",
        b"fn one() {\n    run();\n}\n\nfn two() {\n    run();\n}\n",
    ),
];
const TOOL: &[Before] = &[("tool.sh", b"#!/bin/sh\necho 1\n")];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a clean patch",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n@@\n one\n-two\n+2\n three\n*** End Patch\n",
    },
    Case {
        name: "a patch that adds, deletes and changes",
        files: TWO,
        answer: "*** Begin Patch\n*** Add File: new/c.txt\n+hello\n+\n+world\n*** Delete File: a.txt\n*** Update File: src/b.rs\n@@ fn two() {\n-    run();\n+    go();\n*** End Patch\n",
    },
    Case {
        name: "a patch in a fence with prose",
        files: TWO,
        answer: "Here is it:\n\n```diff\n*** Begin Patch\n*** Update File: a.txt\n@@\n-two\n+2\n*** End Patch\n```\nDone.\n",
    },
    Case {
        name: "a patch that moves and changes",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n*** Move to: b/a.txt\n@@\n-two\n+2\n*** End Patch\n",
    },
    Case {
        name: "a patch that only moves",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n*** Move to: c.txt\n*** End Patch\n",
    },
    Case {
        name: "a patch that moves onto a file",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n*** Move to: src/b.rs\n*** End Patch\n",
    },
    Case {
        name: "a patch without its end in a fence that ends",
        files: TWO,
        answer: "```\n*** Begin Patch\n*** Update File: a.txt\n@@\n-two\n+2\n```\n",
    },
    Case {
        name: "a patch without its end",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n@@\n-two\n+2\n",
    },
    Case {
        name: "a patch without its beginning",
        files: TWO,
        answer: "*** Update File: a.txt\n@@\n-two\n+2\n*** End Patch\n",
    },
    Case {
        name: "sections alone in a fence",
        files: TWO,
        answer: "```\n*** Update File: a.txt\n@@\n-two\n+2\n```\n",
    },
    Case {
        name: "two patches of two files",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n-two\n+2\n*** End Patch\n\nand\n\n*** Begin Patch\n*** Delete File: src/b.rs\n*** End Patch\n",
    },
    Case {
        name: "two patches of one file",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n-two\n+2\n*** End Patch\n*** Begin Patch\n*** Update File: a.txt\n-three\n+3\n*** End Patch\n",
    },
    Case {
        name: "a patch with wrong line numbers",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n@@ -77,9 +99,3 @@\n one\n-two\n+2\n*** End Patch\n",
    },
    Case {
        name: "a patch with backticks around its path",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: `a.txt`\n@@\n-two\n+2\n*** End Patch\n",
    },
    Case {
        name: "a patch with blank lines between its hunks",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+1\n\n@@\n-three\n+3\n\n*** End Patch\n",
    },
    Case {
        name: "a patch whose anchor tells two places apart",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: src/b.rs\n@@ fn one() {\n-    run();\n+    go();\n*** End Patch\n",
    },
    Case {
        name: "a patch that fits two places",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: src/b.rs\n@@\n-    run();\n+    go();\n*** End Patch\n",
    },
    Case {
        name: "a patch at the end of its file",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n@@\n+four\n*** End of File\n*** End Patch\n",
    },
    Case {
        name: "a patch that inserts below an anchor",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: src/b.rs\n@@ fn two() {\n+    wait();\n*** End Patch\n",
    },
    Case {
        name: "a patch that keeps a program a program",
        files: TOOL,
        answer: "*** Begin Patch\n*** Update File: tool.sh\n-echo 1\n+echo 2\n*** End Patch\n",
    },
    Case {
        name: "a patch with shifted indentation",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: src/b.rs\n@@ fn two() {\n-run();\n+go();\n*** End Patch\n",
    },
    Case {
        name: "a patch that adds a file that is there",
        files: TWO,
        answer: "*** Begin Patch\n*** Add File: a.txt\n+x\n*** End Patch\n",
    },
    Case {
        name: "a patch that deletes what is not there",
        files: TWO,
        answer: "*** Begin Patch\n*** Delete File: c.txt\n*** End Patch\n",
    },
    Case {
        name: "a patch that names a file twice",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n-two\n+2\n*** Delete File: a.txt\n*** End Patch\n",
    },
    Case {
        name: "a patch with a line without a sign",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n@@\none\n-two\n+2\n*** End Patch\n",
    },
    Case {
        name: "a patch whose new file has a line without a sign",
        files: TWO,
        answer: "*** Begin Patch\n*** Add File: c.txt\nhello\n*** End Patch\n",
    },
    Case {
        name: "a patch without a change",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n@@\n one\n*** End Patch\n",
    },
    Case {
        name: "a patch without a file",
        files: TWO,
        answer: "*** Begin Patch\n*** End Patch\n",
    },
    Case {
        name: "a patch with an unknown section",
        files: TWO,
        answer: "*** Begin Patch\n*** Rewrite File: a.txt\n+x\n*** End Patch\n",
    },
    Case {
        name: "a patch begun twice",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n-two\n+2\n*** Begin Patch\n*** Delete File: src/b.rs\n*** End Patch\n",
    },
    Case {
        name: "a patch that climbs",
        files: TWO,
        answer: "*** Begin Patch\n*** Add File: ../c.txt\n+x\n*** End Patch\n",
    },
    Case {
        name: "a patch of a hook",
        files: TWO,
        answer: "*** Begin Patch\n*** Add File: .git/hooks/post-checkout\n+x\n*** End Patch\n",
    },
    Case {
        name: "a patch and a block together",
        files: TWO,
        answer: "*** Begin Patch\n*** Update File: a.txt\n-two\n+2\n*** End Patch\n\nsrc/b.rs\n<<<<<<< SEARCH\nfn one() {\n=======\nfn uno() {\n>>>>>>> REPLACE\n",
    },
];
