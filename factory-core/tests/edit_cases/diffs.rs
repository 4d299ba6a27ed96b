//! Unified diffs, whose line numbers nobody believes.

use super::{Before, Case};

const TWO: &[Before] = &[
    ("a.txt", b"one\ntwo\nthree\n"),
    (
        "src/b.rs",
        b"fn one() {\n    run();\n}\n\nfn two() {\n    run();\n}\n",
    ),
];
const TOOL: &[Before] = &[("tool.sh", b"#!/bin/sh\necho 1\n"), ("plain", b"x\n")];
const DASHES: &[Before] = &[("q.sql", b"-- first\nselect 1;\n")];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "a clean diff",
        files: TWO,
        answer: "diff --git a/a.txt b/a.txt\nindex 1234567..89abcde 100644\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
    },
    Case {
        name: "a diff with wrong line numbers",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n@@ -40,7 +41,99 @@ nowhere\n one\n-two\n+2\n three\n",
    },
    Case {
        name: "a diff without line numbers",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n@@ ... @@\n-two\n+2\n",
    },
    Case {
        name: "a diff without a hunk's header",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n one\n-two\n+2\n",
    },
    Case {
        name: "a diff without prefixes",
        files: TWO,
        answer: "--- a.txt\n+++ a.txt\n@@ -1 +1 @@\n-two\n+2\n",
    },
    Case {
        name: "a diff with times",
        files: TWO,
        answer: "--- a.txt\t2024-01-01 00:00:00\n+++ a.txt\t2024-01-02 00:00:00\n@@ -1 +1 @@\n-two\n+2\n",
    },
    Case {
        name: "a diff with one prefix",
        files: TWO,
        answer: "--- a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-two\n+2\n",
    },
    Case {
        name: "a diff with its second name alone",
        files: TWO,
        answer: "+++ b/a.txt\n@@ -1 +1 @@\n-two\n+2\n",
    },
    Case {
        name: "a diff in a fence with prose",
        files: TWO,
        answer: "This does it:\n\n```diff\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n```\n\nAnd that was it.\n",
    },
    Case {
        name: "a diff with prose below a blank line",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-two\n+2\n\nThat was it.\n",
    },
    Case {
        name: "a diff with prose right below",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-two\n+2\nThat was it.\n",
    },
    Case {
        name: "a diff of two files",
        files: TWO,
        answer: "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-two\n+2\ndiff --git a/src/b.rs b/src/b.rs\n--- a/src/b.rs\n+++ b/src/b.rs\n@@ -1 +1 @@\n-fn one() {\n+fn uno() {\n",
    },
    Case {
        name: "a diff of two files without git's line",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n@@ -2 +2 @@\n-two\n+2\n\n--- a/src/b.rs\n+++ b/src/b.rs\n@@ -1 +1 @@\n-fn one() {\n+fn uno() {\n",
    },
    Case {
        name: "a diff with blank lines between hunks",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+1\n\n@@ -3 +3 @@\n-three\n+3\n",
    },
    Case {
        name: "a diff whose empty context has no space",
        files: TWO,
        answer: "--- a/src/b.rs\n+++ b/src/b.rs\n@@ -3,3 +3,3 @@\n }\n\n-fn two() {\n+fn dos() {\n",
    },
    Case {
        name: "a diff that makes a file",
        files: TWO,
        answer: "diff --git a/c.txt b/c.txt\nnew file mode 100644\n--- /dev/null\n+++ b/c.txt\n@@ -0,0 +1,2 @@\n+hello\n+world\n",
    },
    Case {
        name: "a diff that makes a program",
        files: TWO,
        answer: "diff --git a/run b/run\nnew file mode 100755\n--- /dev/null\n+++ b/run\n@@ -0,0 +1 @@\n+#!/bin/sh\n",
    },
    Case {
        name: "a diff that makes a file without a last line end",
        files: TWO,
        answer: "--- /dev/null\n+++ b/c.txt\n@@ -0,0 +1 @@\n+hello\n\\ No newline at end of file\n",
    },
    Case {
        name: "a diff that makes an empty file",
        files: TWO,
        answer: "diff --git a/c.txt b/c.txt\nnew file mode 100644\nindex 0000000..e69de29\n",
    },
    Case {
        name: "a diff that makes a file that is there",
        files: TWO,
        answer: "--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+hello\n",
    },
    Case {
        name: "a diff that fills a file that is not there",
        files: TWO,
        answer: "--- a/c.txt\n+++ b/c.txt\n@@ -0,0 +1 @@\n+hello\n",
    },
    Case {
        name: "a diff that deletes a file",
        files: TWO,
        answer: "diff --git a/a.txt b/a.txt\ndeleted file mode 100644\n--- a/a.txt\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n",
    },
    Case {
        name: "a diff that moves a file",
        files: TWO,
        answer: "diff --git a/a.txt b/z.txt\nsimilarity index 100%\nrename from a.txt\nrename to z.txt\n",
    },
    Case {
        name: "a diff that moves and changes a file",
        files: TWO,
        answer: "diff --git a/a.txt b/z.txt\nsimilarity index 80%\nrename from a.txt\nrename to z.txt\n--- a/a.txt\n+++ b/z.txt\n@@ -2 +2 @@\n-two\n+2\n",
    },
    Case {
        name: "a diff that makes a file a program",
        files: TOOL,
        answer: "diff --git a/plain b/plain\nold mode 100644\nnew mode 100755\n",
    },
    Case {
        name: "a diff that makes a program a file",
        files: TOOL,
        answer: "diff --git a/tool.sh b/tool.sh\nold mode 100755\nnew mode 100644\n--- a/tool.sh\n+++ b/tool.sh\n@@ -2 +2 @@\n-echo 1\n+echo 2\n",
    },
    Case {
        name: "a diff that makes a link",
        files: TOOL,
        answer: "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n",
    },
    Case {
        name: "a binary diff",
        files: TOOL,
        answer: "diff --git a/x.png b/x.png\nGIT binary patch\nliteral 10\nzzzz\n",
    },
    Case {
        name: "a diff that copies",
        files: TOOL,
        answer: "diff --git a/plain b/other\ncopy from plain\ncopy to other\n",
    },
    Case {
        name: "a diff of two names",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/z.txt\n@@ -2 +2 @@\n-two\n+2\n",
    },
    Case {
        name: "a diff of removed dashes",
        files: DASHES,
        answer: "--- a/q.sql\n+++ b/q.sql\n@@ -1,2 +1,2 @@\n--- first\n+-- second\n select 1;\n",
    },
    Case {
        name: "a diff that does not fit",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n zero\n-two\n+2\n",
    },
    Case {
        name: "a diff that fits two places",
        files: TWO,
        answer: "--- a/src/b.rs\n+++ b/src/b.rs\n@@ -6 +6 @@\n-    run();\n+    go();\n",
    },
    Case {
        name: "a diff without context",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n@@ -3,0 +4 @@\n+four\n",
    },
    Case {
        name: "a diff without a line",
        files: TWO,
        answer: "--- a/a.txt\n+++ b/a.txt\n",
    },
    Case {
        name: "a hunk without its file",
        files: TWO,
        answer: "@@ -2 +2 @@\n-two\n+2\n",
    },
    Case {
        name: "a hunk in a fence below its path",
        files: TWO,
        answer: "`a.txt`\n```diff\n one\n-two\n+2\n```\n",
    },
    Case {
        name: "a hunk in a fence without its path",
        files: TWO,
        answer: "```diff\n-two\n+2\n```\n",
    },
    Case {
        name: "a diff that climbs",
        files: TWO,
        answer: "--- /dev/null\n+++ b/../../x\n@@ -0,0 +1 @@\n+x\n",
    },
    Case {
        name: "a diff that moves to an absolute path",
        files: TWO,
        answer: "diff --git a/a.txt b/x\nrename from a.txt\nrename to /abs\n",
    },
    Case {
        name: "a diff of git's own folder",
        files: TWO,
        answer: "--- a/.git/config\n+++ b/.git/config\n@@ -1 +1 @@\n-a\n+b\n",
    },
    Case {
        name: "a diff that names no file",
        files: TWO,
        answer: "--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-a\n+b\n",
    },
    Case {
        name: "a diff in two hunks of ascending places",
        files: &[("x", b"a\nb\na\nb\nq\n")],
        answer: "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-a\n+1\n b\n a\n@@ -5 +5 @@\n-q\n+Q\n",
    },
];
