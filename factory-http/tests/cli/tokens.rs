//! Tokens and login links from the command line, where no server runs.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{Place, code, told};

fn output_line(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone())
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn the_owners_token_is_made_once_and_lies_in_a_private_file() {
    let place = Place::new();
    let first = place.factory(&["token"]);
    assert_eq!(code(&first), 0, "{}", told(&first));
    let token = output_line(&first);
    assert!(token.starts_with("aidf_") && token.len() == 48, "{token}");
    assert_eq!(output_line(&place.factory(&["token"])), token);
    assert_eq!(place.json(&["token"])["token"], token.as_str());
    let file = place.path("data/token");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{token}\n"));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let rotated = place.factory(&["token", "rotate"]);
    assert_eq!(code(&rotated), 0, "{}", told(&rotated));
    let another = output_line(&place.factory(&["token"]));
    assert_eq!(output_line(&rotated), another);
    assert_ne!(another, token);
}

#[test]
fn tokens_are_added_listed_and_revoked() {
    let place = Place::new();
    let added = place.factory(&["token", "add", "ci", "--role", "viewer", "--expires", "30d"]);
    assert_eq!(code(&added), 0, "{}", told(&added));
    let secret = output_line(&added);
    let said = String::from_utf8_lossy(&added.stderr);
    assert!(
        said.contains("the token of `ci` (viewer, number 1), until "),
        "{said}"
    );
    assert!(!said.contains(&secret), "{said}");
    let items = |arguments: &[&str]| match &place.json(arguments)["items"] {
        Value::Array(items) => items.clone(),
        other => panic!("{other}"),
    };
    let listed = items(&["token", "list"]);
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["name"], &listed[0]["role"], &listed[0]["holds"]),
        (&"ci".into(), &"viewer".into(), &true.into())
    );
    assert!(listed[0].get("hash").is_none());
    place.check(
        &place.factory(&["token", "add", "ci"]),
        2,
        "error: there is a token `ci` already; take another name, or `factory token rotate ci` replaces it",
    );
    place.check(
        &place.factory(&["token", "revoke", "ci"]),
        0,
        "revoked: token 1 of `ci`",
    );
    place.check(
        &place.factory(&["token", "revoke", "ci"]),
        2,
        "error: no token `ci` holds; `factory token list` shows those that do",
    );
    assert_eq!(items(&["token", "list"]).len(), 0);
    assert_eq!(items(&["token", "list", "--all"]).len(), 1);
    // Nothing that is kept has the secret.
    for file in ["data/platform.db", "data/platform.db-wal"] {
        let kept = std::fs::read(place.path(file)).unwrap_or_default();
        let found = kept
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{file}");
    }
}

#[test]
fn a_login_without_a_server_says_what_to_do() {
    let place = Place::new();
    place.check(
        &place.factory(&["login"]),
        1,
        "error: no server runs here that a browser could log in to\n  way out: `factory serve` starts it; then say \
         `factory login` again in another terminal",
    );
    assert_eq!(
        place.json(&["token", "list", "--all"])["items"],
        Value::Array(vec![])
    );
}

#[test]
fn settings_of_the_server_that_cannot_be_used_are_named() {
    let place = Place::new();
    let made = place.factory(&["token"]);
    assert_eq!(code(&made), 0, "{}", told(&made));
    std::fs::write(place.path("data/factory.toml"), "[server]\nlisten = \"8000\"\n").unwrap();
    place.check(
        &place.factory(&["token"]),
        2,
        "error: server.listen: `8000` is not an address with a port, such as 127.0.0.1:8000, 0.0.0.0:8000 or \
         [::1]:8000\n  way out: mend `[place]/data/factory.toml`",
    );
}
