//! Each language taken apart into its named parts.

use super::*;

fn outline(units: &[Unit]) -> String {
    let mut parts = Vec::new();
    for unit in units {
        let mark = match unit.kind {
            UnitKind::Import => "import".to_owned(),
            UnitKind::Comment => "comment".to_owned(),
            UnitKind::Statement => "statement".to_owned(),
            UnitKind::Definition => unit.name.clone(),
        };
        parts.push(if unit.members.is_empty() {
            mark
        } else {
            format!("{mark}({})", outline(&unit.members))
        });
    }
    parts.join(" ")
}

fn check(language: Language, text: &str, expect: Option<&str>) {
    let found = units(language, text);
    assert_eq!(found.as_deref().map(outline).as_deref(), expect, "{text}");
}

#[test]
fn each_language_is_taken_apart() {
    check(
        Language::Python,
        "\"\"\"Doc.\"\"\"\nimport os\nfrom a import b\n\nX = 1\n\n\n@cached\ndef f(a):\n    return a\n\n\nclass C:\n    \"\"\"Doc.\"\"\"\n\n    def m(self):\n        pass\n\n\nif __name__ == \"__main__\":\n    f(1)\n",
        Some("statement import import X f C(statement m) __main__"),
    );
    check(
        Language::JavaScript,
        "import a from 'a';\nconst b = require('b');\nexport function f() {}\nexport default class C { m() {} }\nmodule.exports = { f };\nf();\n",
        Some("import b f C(m) module.exports statement"),
    );
    check(
        Language::TypeScript,
        "interface A { x: number }\ntype B = A;\nexport const f = (a: A): number => a.x;\nenum E { X }\n",
        Some("A B f E"),
    );
    check(
        Language::C,
        "#ifndef A_H\n#define A_H\n#include <stdio.h>\nstruct point { int x; };\nstatic int *f(int a)\n{\n    return 0;\n}\nint g(void);\n#endif\n",
        Some("A_H import point f g"),
    );
    check(
        Language::Rust,
        "use std::fmt;\n\n/// Doc.\n#[derive(Debug)]\npub struct A;\n\nimpl A {\n    fn m(&self) {}\n}\n\nimpl fmt::Display for A {}\nfn main() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn t() {}\n}\n",
        Some("import A impl A(m) impl fmt::Display for A main tests(t)"),
    );
    check(
        Language::Go,
        "package a\n\nimport \"fmt\"\n\ntype T struct{}\n\nfunc (t *T) M() {}\n\nfunc F() {}\n",
        Some("import import T T.M F"),
    );
    check(
        Language::Shell,
        "#!/bin/sh\n\nx=1\nf() {\n  echo\n}\nf\n",
        Some("comment x f statement"),
    );
    check(
        Language::Java,
        "package a;\nimport b.C;\npublic class A {\n  int x;\n  void m() {}\n}\n",
        Some("import import A(x m)"),
    );
    check(
        Language::Ruby,
        "require 'a'\nclass A\n  def m\n  end\nend\ndef f\nend\n",
        Some("statement A(m) f"),
    );
    check(
        Language::Cpp,
        "class A { public: void m(); };\nint f() { return 1; }\n",
        Some("A(statement m) f"),
    );
}

#[test]
fn what_belongs_to_a_definition_is_part_of_it() {
    let text = "// Apart.\n\n/// Doc.\n#[inline]\nfn f() {}\n";
    let found = units(Language::Rust, text).unwrap();
    let ranges: Vec<&str> = found.iter().map(|unit| &text[unit.range.clone()]).collect();
    assert_eq!(ranges, ["// Apart.", "/// Doc.\n#[inline]\nfn f() {}"]);
    assert_eq!(&text[found[1].signature..], "fn f() {}\n");
}

#[test]
fn a_text_with_errors_is_not_taken_apart() {
    check(Language::Python, "def f(:\n", None);
    check(Language::Rust, "fn f( {}", None);
    check(Language::Python, "", Some(""));
}

#[test]
fn a_text_with_errors_is_outlined_as_far_as_it_is_understood() {
    let text = "def f(a):\n    return (\n\ndef g(b):\n    pass\n";
    let found = super::outline(Language::Python, text).unwrap();
    assert!(found.iter().any(|unit| unit.name == "g"), "{found:?}");
    let whole = "fn f() {}\n";
    assert_eq!(
        super::outline(Language::Rust, whole),
        units(Language::Rust, whole)
    );
}

#[test]
fn a_file_is_known_by_its_name() {
    for (name, expect) in [
        ("a/b.py", Some(Language::Python)),
        ("x.H", Some(Language::C)),
        ("a.tsx", Some(Language::Tsx)),
        ("Makefile", None),
        ("py", None),
        (".py", Some(Language::Python)),
    ] {
        assert_eq!(Language::of_name(name), expect, "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_taken_apart_without_panic(text in r#"(def |class |fn |\{|\}|\(|\)|:|\n|    |"|'|//|#|@|é|x|=|;)*"#) {
        for language in [Language::Python, Language::Rust, Language::JavaScript, Language::C, Language::Shell] {
            for unit in units(language, &text).unwrap_or_default() {
                assert!(text.get(unit.range).is_some());
            }
        }
    }
}
