//! What is a path, what is none, and why.

use proptest::prelude::*;

use super::*;

fn code(text: &str) -> &'static str {
    match RepoPath::parse(text) {
        Ok(_) => "ok",
        Err(error) => error.code(),
    }
}

#[test]
fn ordinary_names_are_paths() {
    for text in [
        "a",
        "src/main.rs",
        ".gitignore",
        ".github/workflows/ci.yml",
        ".gitmodules",
        "..a",
        "a..b/...",
        "routes/$id.tsx",
        "$lang/page.tsx",
        "~backup",
        "a~1",
        "git~x",
        "legit",
        "x.git",
        "Foo::Bar.3pm",
        "with space/ä日本.txt",
        "👩\u{200d}💻.md",
        "100%/a",
    ] {
        assert_eq!(RepoPath::parse(text).map(String::from).as_deref(), Ok(text));
    }
    assert_eq!(RepoPath::parse("./src/a.rs").unwrap().as_str(), "src/a.rs");
}

#[test]
fn each_problem_has_its_code() {
    for (expected, texts) in [
        ("path_empty", &[""][..]),
        (
            "path_escape",
            &[
                "..",
                "../x",
                "a/../../x",
                "./../x",
                "a//..//../x",
                "a/..",
                "/x",
                "//x",
                "~",
                "~/x",
                "~root/x",
                "$HOME/x",
                "${HOME}/x",
                "%USERPROFILE%/x",
                "$HOME",
                "file:///etc/passwd",
                "https://h/x",
                "C:\\x",
                "c:/x",
                "C:x",
                "\\\\srv\\x",
                "\\x",
                "a\\..\\..\\x",
            ],
        ),
        (
            "git_directory",
            &[
                ".git",
                ".git/config",
                "a/.git/b",
                ".GIT/config",
                ".Git",
                ".git ",
                ".git.",
                ".git. . ",
                "GIT~1",
                "git~2/x",
                "gi7eba~1",
                ".git::$INDEX_ALLOCATION",
                ".git:x/config",
                ".g\u{200c}it",
                ".git\u{feff}",
                "\u{ff0e}git",
                ".gi\u{ad}t",
                "a\\.git\\b",
                "./.git",
            ],
        ),
        (
            "path_control_character",
            &[
                "a\0b",
                "a\nb",
                "a\rb",
                "a\x1b[2J",
                "a\u{202e}b",
                "a\u{2066}b",
                "a\u{7f}",
                "a\u{85}",
                "\t",
            ],
        ),
        ("path_malformed", &["a//b", "a/", "a/./b", ".", "./", "a\\b"]),
        (
            "path_reserved",
            &[".ai-dev-factory-tmp-1-2", "a/.ai-dev-factory-tmp-x/b"],
        ),
    ] {
        for text in texts {
            assert_eq!(code(text), expected, "{text:?}");
        }
    }
    assert_eq!(code(&"a".repeat(255)), "ok");
    assert_eq!(code(&"a".repeat(256)), "path_too_long");
    assert_eq!(code(&"a/".repeat(2500)), "path_too_long");
}

#[test]
fn the_message_is_escaped_and_says_the_way_out() {
    let error = RepoPath::parse("a\u{1b}[2J\u{202e}b").unwrap_err();
    assert_eq!(
        error.to_string(),
        r"`a\u{1b}[2J\u{202e}b` has a control or direction character; use a name without"
    );
    assert!(
        RepoPath::parse(&"x/../".repeat(5000))
            .unwrap_err()
            .to_string()
            .len()
            < 400
    );
}

#[test]
fn case_and_normalisation_collide() {
    let key = |text: &str| RepoPath::parse(text).unwrap().collision_key();
    assert_eq!(key("Src/README.md"), key("src/readme.MD"));
    assert_eq!(key("caf\u{e9}"), key("cafe\u{301}"));
    assert_eq!(key("Straße"), key("STRASSE"));
    assert_eq!(key("ΣΑΣ"), key("σας"));
    assert_ne!(key("a"), key("b"));
}

#[test]
fn parents_and_names() {
    let path = RepoPath::parse("a/b/c").unwrap();
    assert_eq!(path.file_name(), "c");
    assert_eq!(path.parent().unwrap().as_str(), "a/b");
    assert_eq!(RepoPath::parse("a").unwrap().parent(), None);
    assert!(path.is_below(&RepoPath::parse("a").unwrap()));
    assert!(
        !RepoPath::parse("proj-evil/x")
            .unwrap()
            .is_below(&RepoPath::parse("proj").unwrap())
    );
}

#[test]
fn serde_goes_through_the_parser() {
    assert!(serde_json::from_str::<RepoPath>(r#""../x""#).is_err());
    let path: RepoPath = serde_json::from_str(r#""a/b""#).unwrap();
    assert_eq!(serde_json::to_string(&path).unwrap(), r#""a/b""#);
}

proptest! {
    #[test]
    fn whatever_parses_is_a_plain_path(text in any::<String>()) {
        check_plain(&text)?;
    }

    #[test]
    fn whatever_parses_of_hostile_pieces_is_a_plain_path(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("."), Just(".."), Just("/"), Just("\\"), Just(".git"), Just("GIT~1"), Just("~"), Just("C:"),
                Just("a"), Just("\u{200c}"), Just(" "), Just("\0"), Just("./"), Just("$HOME"), Just("://"),
            ],
            0..8,
        )
    ) {
        check_plain(&pieces.concat())?;
    }
}

fn check_plain(text: &str) -> Result<(), TestCaseError> {
    let Ok(path) = RepoPath::parse(text) else {
        return Ok(());
    };
    prop_assert_eq!(RepoPath::parse(path.as_str()), Ok(path.clone()));
    let plain = std::path::Path::new(path.as_str())
        .components()
        .all(|component| matches!(component, std::path::Component::Normal(_)));
    prop_assert!(plain);
    prop_assert!(!path.as_str().chars().any(char::is_control));
    prop_assert!(!path.components().any(|name| name.eq_ignore_ascii_case(".git")));
    Ok(())
}
