//! What a file holds and must keep: line ends, marks, a missing last end, foreign bytes, its mode.

use super::{Before, Case};

const CRLF: &[Before] = &[("a.txt", b"one\r\ntwo\r\nthree\r\n")];
const MIXED: &[Before] = &[("a.txt", b"one\r\ntwo\nthree\r\nfour\n")];
const MARKED: &[Before] = &[("a.txt", b"\xef\xbb\xbfone\ntwo\n")];
const OPEN: &[Before] = &[("a.txt", b"one\ntwo")];
const LATIN: &[Before] = &[("a.txt", b"caf\xe9\none\ntwo\n")];
const MOSTLY: &[Before] = &[("a.txt", b"caf\xc3\xa9\nbad \xff byte\ntwo\n")];
const UTF16: &[Before] = &[("a.txt", b"\xff\xfeo\0n\0e\0")];
const BINARY: &[Before] = &[("a.bin", b"\x7fELF\0\xff\xfe\n")];
const PROGRAM: &[Before] = &[("run.sh", b"#!/bin/sh\necho 1\n")];
const OLD_MAC: &[Before] = &[("a.txt", b"one\rtwo\rthree\r")];

pub(super) const CASES: &[Case] = &[
    Case { name: "CRLF in a block", files: CRLF, answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n2b\n>>>>>>> REPLACE\n" },
    Case { name: "CRLF in a patch", files: CRLF, answer: "*** Begin Patch\n*** Update File: a.txt\n one\n-two\n+2\n*** End Patch\n" },
    Case { name: "CRLF in a diff", files: CRLF, answer: "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+1\n" },
    Case { name: "CRLF in a whole file", files: CRLF, answer: "a.txt\n```\none\n2\nthree\n```\n" },
    Case { name: "CRLF at a new last line", files: CRLF, answer: "*** Begin Patch\n*** Update File: a.txt\n@@\n+four\n*** End of File\n*** End Patch\n" },
    Case { name: "mixed ends in a block", files: MIXED, answer: "a.txt\n<<<<<<< SEARCH\nthree\n=======\n3\n3b\n>>>>>>> REPLACE\n" },
    Case { name: "mixed ends over two lines", files: MIXED, answer: "a.txt\n<<<<<<< SEARCH\none\ntwo\n=======\n1\n2\n>>>>>>> REPLACE\n" },
    Case { name: "mixed ends in a whole file", files: MIXED, answer: "a.txt\n```\none\n2\nthree\nfour\n```\n" },
    Case { name: "a mark in a block", files: MARKED, answer: "a.txt\n<<<<<<< SEARCH\none\n=======\n1\n>>>>>>> REPLACE\n" },
    Case { name: "a mark in a whole file", files: MARKED, answer: "a.txt\n```\n1\ntwo\n```\n" },
    Case { name: "no last end in a block", files: OPEN, answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n" },
    Case { name: "no last end in a whole file", files: OPEN, answer: "a.txt\n```\none\n2\n```\n" },
    Case { name: "no last end and a line more", files: OPEN, answer: "*** Begin Patch\n*** Update File: a.txt\n two\n+three\n*** End Patch\n" },
    Case { name: "no last end and the last line gone", files: OPEN, answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n>>>>>>> REPLACE\n" },
    Case { name: "a foreign byte beside the edit", files: LATIN, answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n" },
    Case { name: "a foreign byte in a line that stays", files: LATIN, answer: "a.txt\n<<<<<<< SEARCH\ncaf\u{fffd}\none\n=======\ncaf\u{fffd}\n1\n>>>>>>> REPLACE\n" },
    Case { name: "a foreign byte in a line that goes", files: LATIN, answer: "a.txt\n<<<<<<< SEARCH\ncaf\u{fffd}\none\n=======\ncoffee\none\n>>>>>>> REPLACE\n" },
    Case { name: "a foreign byte that would be lost", files: LATIN, answer: "a.txt\n<<<<<<< SEARCH\none\n=======\ncaf\u{fffd}s\n>>>>>>> REPLACE\n" },
    Case { name: "letters beyond ASCII into an unknown encoding", files: LATIN, answer: "a.txt\n<<<<<<< SEARCH\none\n=======\nun\u{e9}\n>>>>>>> REPLACE\n" },
    Case { name: "letters beyond ASCII into what is mostly UTF-8", files: MOSTLY, answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\nd\u{e9}ux\n>>>>>>> REPLACE\n" },
    Case { name: "a private letter that stands for a byte", files: MOSTLY, answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n\u{10ffff}\n>>>>>>> REPLACE\n" },
    Case { name: "foreign bytes in a patch", files: MOSTLY, answer: "*** Begin Patch\n*** Update File: a.txt\n bad \u{fffd} byte\n-two\n+2\n*** End Patch\n" },
    Case { name: "foreign bytes in a whole file that lost them", files: LATIN, answer: "a.txt\n```\ncaf\u{fffd}\none\n2\n```\n" },
    Case { name: "foreign bytes in a whole file of other letters", files: LATIN, answer: "a.txt\n```\ncaf\u{e9}\none\n2\n```\n" },
    Case { name: "foreign bytes in a whole file of ASCII", files: LATIN, answer: "a.txt\n```\ncoffee\none\n2\n```\n" },
    Case { name: "UTF-16", files: UTF16, answer: "a.txt\n<<<<<<< SEARCH\none\n=======\n1\n>>>>>>> REPLACE\n" },
    Case { name: "a binary file", files: BINARY, answer: "File: a.bin\n<<<<<<< SEARCH\nELF\n=======\nelf\n>>>>>>> REPLACE\n" },
    Case { name: "a program in a block", files: PROGRAM, answer: "run.sh\n<<<<<<< SEARCH\necho 1\n=======\necho 2\n>>>>>>> REPLACE\n" },
    Case { name: "a program whole", files: PROGRAM, answer: "run.sh\n```sh\n#!/bin/sh\necho 2\n```\n" },
    Case { name: "a program that moves", files: PROGRAM, answer: "*** Begin Patch\n*** Update File: run.sh\n*** Move to: bin/run\n*** End Patch\n" },
    Case { name: "ends of old machines", files: OLD_MAC, answer: "a.txt\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n" },
    Case { name: "a form feed and a tab", files: &[("a.c", b"\x0c\nint x;\t\nint y;\n")], answer: "a.c\n<<<<<<< SEARCH\nint y;\n=======\nint z;\n>>>>>>> REPLACE\n" },
    Case { name: "an empty file filled", files: &[("a.txt", b"")], answer: "a.txt\n```\nx\n```\n" },
    Case { name: "a long line", files: &[("a.txt", b"x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x y\n")], answer: "a.txt\n<<<<<<< SEARCH\nx y\n=======\nx z\n>>>>>>> REPLACE\n" },
];
