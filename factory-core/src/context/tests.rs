//! The whole of it over real files.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::*;
use crate::workspace::{Files, RepoPath};

/// A small repository in several languages.
const REPOSITORY: &[(&str, &str)] = &[
    ("README.md", "# Ledger\n\nReads orders.\n"),
    ("Makefile", "check:\n\tpython -m pytest\n"),
    (
        "ledger/orders.py",
        "\"\"\"Orders.\"\"\"\nimport decimal\n\nfrom ledger.money import Money\n\nLIMIT = 100\n\n\nclass Order:\n    def __init__(self, customer, price):\n        self.customer = customer\n\n    @property\n    def total(self) -> Money:\n        return self.price\n\n\ndef parse_orders(path):\n    return []\n",
    ),
    (
        "ledger/money.py",
        "class Money:\n    def plus(self, other):\n        return self\n",
    ),
    ("ledger/__init__.py", ""),
    (
        "ledger/report.py",
        "from ledger.orders import parse_orders\n\n\ndef render(orders):\n    return parse_orders(orders)\n",
    ),
    (
        "tests/test_orders.py",
        "from ledger.orders import parse_orders\n\n\ndef test_empty_lines_are_passed_over():\n    assert parse_orders('a') == []\n",
    ),
    ("tests/test_money.py", "def test_plus():\n    pass\n"),
    (
        "web/src/api.ts",
        "export interface Row { a: number }\nexport async function load(url: string): Promise<Row[]> {\n  return [];\n}\n",
    ),
    ("web/package-lock.json", "{}\n"),
    (
        "web/node_modules/left/index.js",
        "module.exports = function parse_orders() {};\n",
    ),
    (
        "native/ring.h",
        "#ifndef R\n#define R\nint ring_put(struct ring *ring, int value);\n#endif\n",
    ),
    ("native/broken.rs", "pub fn good(a: u8) -> u8 { a }\nfn ( {{{\n"),
    ("scripts/run.sh", "#!/bin/sh\nstart() {\n  echo\n}\nstart\n"),
    ("docs/manual.txt", "Long.\n"),
    ("assets/logo.png", "\u{0}PNG"),
    (".env", "SECRET=1\n"),
];

fn lay(files: &[(&str, &str)]) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let files = Files::open(folder.path()).unwrap();
    (folder, files)
}

fn look(files: &Files, goal: &str, failing: &str, budget: usize) -> Survey {
    let checks = ["python -m pytest tests/test_orders.py".to_owned()];
    let request = SurveyRequest {
        goal,
        checks: &checks,
        failing,
        budget,
    };
    let found = survey(files, &request, &|| false).unwrap();
    assert!(found.text().len() <= budget);
    assert_eq!(
        survey(files, &request, &|| false).unwrap(),
        found,
        "it is the same each time"
    );
    found
}

fn shown(survey: &Survey) -> Vec<&str> {
    survey
        .blocks
        .iter()
        .filter_map(|block| block.file.as_ref())
        .map(RepoPath::as_str)
        .collect()
}

#[test]
fn a_small_repository_is_mapped_and_what_is_in_question_is_shown() {
    let (_folder, files) = lay(REPOSITORY);
    let found = look(
        &files,
        "Let `parse_orders` pass over empty lines; write docs/changes.md",
        "",
        6000,
    );
    insta::assert_snapshot!(found.text());
    assert!(found.complete);
    assert_eq!(found.named, [RepoPath::parse("tests/test_orders.py").unwrap()]);
    assert_eq!(found.absent, [RepoPath::parse("docs/changes.md").unwrap()]);
}

#[test]
fn the_order_follows_from_what_is_named() {
    let (_folder, files) = lay(REPOSITORY);
    for (goal, failing, expect) in [
        // What a goal names, with what it imports and its test.
        (
            "Fix ledger/report.py",
            "",
            &["ledger/report.py", "tests/test_orders.py", "ledger/orders.py"][..],
        ),
        // A traceback.
        (
            "Make it green",
            "  File \"/workspace/ledger/money.py\", line 3, in plus\nTypeError",
            &[
                "ledger/money.py",
                "tests/test_orders.py",
                "ledger/orders.py",
                "tests/test_money.py",
            ],
        ),
        // A word that a definition is called like, beside the check's own file.
        (
            "The render should be in colour",
            "",
            &["tests/test_orders.py", "ledger/report.py", "ledger/orders.py"],
        ),
        // A secret is shown by name alone, unless the operator names it.
        (
            "Look at .env",
            "",
            &[".env", "tests/test_orders.py", "ledger/orders.py"],
        ),
    ] {
        let found = look(&files, goal, failing, 20_000);
        let shown = shown(&found);
        assert_eq!(&shown[..expect.len().min(shown.len())], expect, "{goal}");
    }
    let quiet = look(&files, "Be better", "", 20_000);
    assert!(!shown(&quiet).contains(&".env"), "{:?}", shown(&quiet));
}

#[test]
fn what_is_shown_whole_is_said_to_be_and_nothing_else() {
    let functions: Vec<String> = (0..3000)
        .map(|line| format!("def f{line}():\n    return {line}\n\n"))
        .collect();
    let long = functions.concat();
    let (folder, files) = lay(&[("a.py", &long), ("b.py", "x = 1\n"), ("c.py", "y = '\u{0}'\n")]);
    fs::write(folder.path().join("d.py"), b"z = '\xff'\n").unwrap();
    let found = look(
        &files,
        "Change a.py, b.py, c.py and d.py; f2000 is wrong: `f2000`",
        "a.py:4000: bad",
        4000,
    );
    assert_eq!(shown(&found), ["a.py", "b.py", "d.py"]);
    assert_eq!(found.whole, [RepoPath::parse("b.py").unwrap()]);
    let text = &found.blocks[1].text;
    assert!(text.contains("def f2000():\n    return 2000\n"), "{text}");
    assert!(
        text.contains("    return 1333\n") && text.contains("lines left out"),
        "{text}"
    );
}

#[test]
fn a_stopped_survey_says_what_it_knows() {
    let (_folder, files) = lay(REPOSITORY);
    let request = SurveyRequest {
        goal: "Fix `parse_orders` in ledger/orders.py",
        checks: &[],
        failing: "",
        budget: 4000,
    };
    let found = survey(&files, &request, &|| true).unwrap();
    assert!(!found.complete);
    assert_eq!((found.work.files_read, found.work.files_parsed), (0, 0));
    assert!(found.text().contains("ledger/orders.py\n"), "{}", found.text());
}

#[test]
fn an_empty_repository_is_said_to_be_empty() {
    let (_folder, files) = lay(&[]);
    let found = look(&files, "Create hello.txt", "", 1000);
    assert!(
        found
            .text()
            .ends_with("Not there yet: hello.txt.\n\nThe repository has no files.\n"),
        "{}",
        found.text()
    );
}

/// Names and bytes that nobody should use.
fn lay_hostile(folder: &Path) {
    let names: [&[u8]; 9] = [
        b"\xff\xfe.py",
        b"a\nb.py",
        b"`fence`.md",
        "\u{202e}evil.py".as_bytes(),
        b"-rf.py",
        b"$(id).sh",
        b"[x](y).md",
        b"def f():.py",
        &[b'n'; 250],
    ];
    let contents: [&[u8]; 5] = [
        b"```\n````````\n```",
        &[b'('; 5000],
        b"def \xc3\x28 f(:\n\t\r\r\n",
        &[0xf0; 3000],
        b"class class class {{{{{ fn fn ((((",
    ];
    for (place, name) in names.iter().enumerate() {
        let path = folder.join(std::ffi::OsStr::from_bytes(name));
        fs::write(path, contents[place % contents.len()]).unwrap();
    }
    for (place, content) in contents.iter().enumerate() {
        for ending in ["py", "rs", "ts", "c", "cpp", "go", "java", "rb", "sh"] {
            fs::write(folder.join(format!("hostile{place}.{ending}")), content).unwrap();
        }
    }
    let deep = folder.join("d/".repeat(60));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("deep.py"), "def deep(): pass\n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link.py")).unwrap();
}

#[test]
fn no_budget_is_passed_whatever_lies_there() {
    let folder = tempfile::tempdir().unwrap();
    lay_hostile(folder.path());
    let files = Files::open(folder.path()).unwrap();
    let goal = "Fix hostile0.py, hostile1.rs, hostile2.ts, `fence`.md, deep.py, link.py and `fn`; def f";
    for budget in (0..600).step_by(41).chain((600..20_000).step_by(2500)) {
        let request = SurveyRequest {
            goal,
            checks: &[],
            failing: "hostile3.c:1:1: no",
            budget,
        };
        let found = survey(&files, &request, &|| false).unwrap();
        assert!(
            found.text().len() <= budget,
            "{} for {budget}",
            found.text().len()
        );
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn any_small_repository_fits_its_budget(
        files in proptest::collection::btree_map(
            "(src/|tests/|a b/|é/)?[a-zA-Z_.\\[é`-]{1,12}\\.(py|rs|js|c|sh|rb|md)",
            "(def f\\(a\\):|class A|fn g\\(|\\{|\\}|\n|    |import a|`{1,5}|\"|é|\\PC){0,40}",
            0..8,
        ),
        goal in "([a-z_.]{1,12}\\.(py|rs)| |`f`|class A|\\PC){0,12}",
        budget in 0_usize..3000,
    ) {
        let (folder, opened) = lay(&[]);
        for (path, text) in &files {
            let path = folder.path().join(path);
            let _ = fs::create_dir_all(path.parent().unwrap());
            let _ = fs::write(path, text);
        }
        let request = SurveyRequest { goal: &goal, checks: &[], failing: "", budget };
        let found = survey(&opened, &request, &|| false).unwrap();
        proptest::prop_assert!(found.text().len() <= budget);
    }
}

/// Lays `packages` times a thousand files and looks at them.
fn check_bounds(packages: usize) {
    let folder = tempfile::tempdir().unwrap();
    for package in 0..packages {
        for module in 0..10 {
            let place = folder.path().join(format!("pkg{package}/mod{module}"));
            fs::create_dir_all(&place).unwrap();
            for file in 0..100 {
                // Half of them are hits of the search.
                let text = if file % 2 == 0 {
                    "def needle(): pass\n"
                } else {
                    "x = 1\n"
                };
                fs::write(place.join(format!("file{file}.py")), text).unwrap();
            }
        }
    }
    let files = Files::open(folder.path()).unwrap();
    let request = SurveyRequest {
        goal: "Change `needle` in pkg1/mod3/file5.py and `other`",
        checks: &[],
        failing: "",
        budget: 24_000,
    };
    let found = survey(&files, &request, &|| false).unwrap();
    assert!(found.text().len() <= 24_000);
    assert!(!found.complete);
    let work = found.work;
    assert!(work.files_read <= 5000 && work.files_parsed <= 600, "{work:?}");
    assert!(
        work.bytes_read <= 64 << 20 && work.bytes_parsed <= 8 << 20,
        "{work:?}"
    );
    assert_eq!(shown(&found)[0], "pkg1/mod3/file5.py");
    if packages > 10 {
        assert!(
            found.text().contains("more folders …]"),
            "what is left out is said"
        );
    }
}

#[test]
fn two_thousand_files_are_looked_at_within_bounds() {
    check_bounds(2);
}

#[test]
#[ignore = "lays fifty thousand files"]
fn fifty_thousand_files_are_looked_at_within_bounds() {
    check_bounds(50);
}
