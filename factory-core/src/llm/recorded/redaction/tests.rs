//! What is taken out, what stays, and that nothing of a planted secret is left in any form.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Tokens are put together here, so that no scanner takes this file for a leak.
fn token(begin: &str, rest: &str) -> String {
    format!("{begin}{rest}")
}

#[track_caller]
fn check(text: &str, expect: &str) {
    let redaction = Redaction::of_any_machine();
    let mut removed = Removed::default();
    let once = redaction.json_text(text, &mut removed);
    assert_eq!(once, expect);
    assert_eq!(removed.counts().is_empty(), text == expect, "{removed:?}");
    assert_eq!(redaction.json_text(&once, &mut removed), once, "twice is once");
}

fn private_key(line_end: &str) -> String {
    let lines = [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW",
        "QyNTUxOQAAACBGm8d1cl+jHVKRrnC/DYgBF3ZTG+UJqYtY1mEHzW1ZkAAAAJgAc0+lAHNP",
        "pQAA==",
        "-----END OPENSSH PRIVATE KEY-----",
    ];
    lines.join(line_end)
}

#[test]
fn the_shapes_of_keys_are_known() {
    let rest = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
    let upper = "A1B2C3D4E5F6G7H8";
    let cases = [
        (token("AKIA", upper), "aws key"),
        (token("ghp_", rest), "github token"),
        (token("github_pat_", rest), "github token"),
        (token("glpat-", rest), "gitlab token"),
        (token("sk-", rest), "api key"),
        (token("sk-ant-api03-", rest), "api key"),
        (token("hf_", rest), "api key"),
        (token("xoxb-", "123456789012-abcdefghijkl"), "slack token"),
        (token("sk_live_", rest), "stripe key"),
        (
            token(
                "eyJhbGciOiJIUzI1NiJ9.",
                "eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            ),
            "web token",
        ),
        (private_key("\n"), "private key"),
        (private_key("\r\n"), "private key"),
        (private_key("\\n"), "private key"),
    ];
    for (secret, kind) in cases {
        let marker = format!("[removed: {kind}]");
        check(&secret, &marker);
        check(
            &format!("use {secret}, and go on\n"),
            &format!("use {marker}, and go on\n"),
        );
        check(&format!("x = '{secret}'"), &format!("x = '{marker}'"));
        check(&format!("a\\n{secret}\\n"), &format!("a\\n{marker}\\n"));
    }
}

#[test]
fn a_key_that_was_cut_is_one() {
    let key = private_key("\n");
    let (begin, end) = key.split_at(120);
    check(begin, "[removed: private key]");
    check(
        &format!("…\n{end}\nafter\n"),
        "…\n[removed: private key]\nafter\n",
    );
}

#[test]
fn values_under_telling_names_are_taken_out() {
    let random = "q7Zp2LxV9sT4bN8mKd3R";
    let cases = [
        ("password=hunter2", "password=[removed: password]"),
        (
            "DB_PASSWORD=correcthorse\nNEXT=1",
            "DB_PASSWORD=[removed: password]\nNEXT=1",
        ),
        (
            r#"{"password":"correct1"}"#,
            r#"{"password":"[removed: password]"}"#,
        ),
        (
            r#"login("ann", password="correct-horse")"#,
            r#"login("ann", password="[removed: password]")"#,
        ),
        (
            "passphrase: 'correct horse battery'",
            "passphrase: '[removed: password]'",
        ),
        (
            "Authorization: Bearer abcdefghijk",
            "Authorization: Bearer [removed: authorization]",
        ),
        (
            "postgres://ann:pw@db.example/x",
            "postgres://[removed: credentials]@db.example/x",
        ),
        (
            "https://ann:p%40w@host/x?y",
            "https://[removed: credentials]@host/x?y",
        ),
        ("cd /home/ann/code", "cd ~/code"),
        ("/Users/ann.b/x:/home/bob", "~/x:~"),
    ];
    for (text, expect) in cases {
        check(text, expect);
    }
    for name in [
        "token",
        "API_KEY",
        "client_secret",
        "aws.secret.key",
        "private-key",
    ] {
        check(&format!("{name}={random}"), &format!("{name}=[removed: secret]"));
        check(
            &format!("{name}: \"{random}\","),
            &format!("{name}: \"[removed: secret]\","),
        );
        check(
            &format!("{{\"{name}\":\"{random}\"}}"),
            &format!("{{\"{name}\":\"[removed: secret]\"}}"),
        );
    }
    check(
        &json!({"path": ".env", "content": format!("A=1\nTOKEN={random}\n")}).to_string(),
        &json!({"path": ".env", "content": "A=1\nTOKEN=[removed: secret]\n"}).to_string(),
    );
}

#[test]
fn a_secret_within_an_encoded_text_is_found() {
    let secret = token("ghp_", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let text = format!("the token is {secret}, keep it");
    let hexadecimal = hexadecimal_of(&text);
    check(
        &format!("echo {}\n", STANDARD.encode(&text)),
        "echo [removed: github token]\n",
    );
    check(&format!("echo {hexadecimal}\n"), "echo [removed: github token]\n");
}

#[test]
fn honest_code_stays() {
    let lines = [
        "let password = read_password()?;",
        "password: String,",
        "    pub password: Option<Secret>,",
        "def login(user, password=None):",
        "connect(host, password=password)",
        "password = getpass.getpass(\"Password: \")",
        "<input type=\"password\" name=\"password\" placeholder=\"Password\">",
        "{\"password\": {\"type\": \"string\"}}",
        "\"password\": \"string\",",
        "password=\"${DB_PASSWORD}\"",
        "PASSWORD=$1",
        "password: ********",
        "if (password.length < 8) throw new Error(\"password is too short\");",
        "self.token = self.tokens.next();",
        "token: &'a str,",
        "let token = lexer.next_token();",
        "max_tokens=4096, stop=None",
        "token = Token::Identifier(name)",
        "for key in sorted(d, key=lambda item: item.id2):",
        "key = \"created_at_descending_2\"",
        "const key = `user:${id}:profile`;",
        "\"key\": \"background_color_primary_dark\"",
        "[dependencies]\nserde = { version = \"1.0.229\", features = [\"derive\"] }",
        "checksum = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"",
        "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "https://docs.rs/serde/1.0.0/serde/de/trait.Deserialize.html",
        "git@github.com:owner/repository.git",
        "see https://example.org/a:b@c",
        "postgres://{user}:{password}@{host}/db",
        "if text.contains(\"-----BEGIN RSA PRIVATE KEY-----\") { return Err(Found); }",
        "<div class=\"sk-circle sk-fading-circle-animation-delay-long\">",
        "import xoxo; AKIA is a prefix; ghp_ too",
        "/home/ is where homes are; /homepage/index is none",
        "assert_eq!(secret, expected_secret);",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "fn a_very_long_function_name_that_goes_on_and_on_and_on_and_on() {}",
        "src/llm/recorded/redaction/patterns_and_more_words.rs:123:45",
        "secret: &Secret, key_header: KeyHeader::ApiKey,",
        "# password: see the vault",
        "The password is not stored; the token expires after 30 days.",
    ];
    for line in lines {
        check(line, line);
    }
}

#[test]
fn what_this_machine_knows_is_taken_out_in_any_form() {
    let mut known = Known::default();
    known.secret("model key", "correct-horse-battery");
    known.variable("CI_TOKEN", "value-of-it");
    known.variable("EDITOR", "vim-of-ann");
    known.path("/srv/ann/repository", "[repository]");
    known.home("/srv/ann");
    known.name("ann");
    known.name("root");
    let redaction = Redaction::with(&known);
    let cases = [
        ("key correct-horse-battery!", "key [removed: model key]!"),
        ("yrettab-esroh-tcerroc", "[removed: model key]"),
        ("correct-horse-battery".len().to_string().as_str(), "21"),
        ("value-of-it vim-of-ann", "[removed: variable] vim-of-~"),
        ("/srv/ann/repository/x /srv/ann/y", "[repository]/x ~/y"),
        ("ann, anna and root", "~, anna and root"),
    ]
    .map(|(text, expect)| (text.to_owned(), expect));
    for (text, expect) in cases {
        assert_eq!(redaction.text(&text, &mut Removed::default()), expect);
    }
    assert_eq!(format!("{known:?}").find("horse"), None);
}

#[test]
fn what_was_collected_is_found_elsewhere() {
    let secret = "q7Zp2LxV9sT4bN8mKd3R";
    let mut collector = Collector::default();
    collector.look_at(&json!({"content": format!("API_TOKEN={secret}\npassword=hunter2\n")}));
    let mut known = Known::default();
    collector.tell(&mut known);
    let redaction = Redaction::with(&known);
    let mut removed = Removed::default();
    assert_eq!(
        redaction.text(&format!("it is {secret}."), &mut removed),
        "it is [removed: secret]."
    );
    assert_eq!(
        redaction.text("hunter2 is a name", &mut removed),
        "hunter2 is a name"
    );
    assert_eq!(removed.counts().get("secret"), Some(&1));
}

/// Returns the forms in which something could still be read.
fn readable(secret: &str) -> Vec<String> {
    let hexadecimal = hexadecimal_of(secret);
    let mut forms = vec![secret.to_owned(), hexadecimal.to_uppercase(), hexadecimal];
    for offset in 0..3 {
        let encoded = STANDARD.encode([&vec![0; offset], secret.as_bytes()].concat());
        // The characters that are the secret's alone.
        let end = (offset + secret.len()) * 8 / 6;
        forms.push(encoded[(offset * 8).div_ceil(6)..end].to_owned());
    }
    forms
}

proptest! {
    #[test]
    fn nothing_of_a_planted_secret_is_left(
        secret in "[A-Za-z0-9!#%&*+,./:;<=>?@^_{|}~-]{8,48}",
        before in "[ -~\\n]{0,40}",
        after in "[ -~\\n]{0,40}",
        form in 0..4,
    ) {
        let mut known = Known::default();
        known.secret("model key", &secret);
        let redaction = Redaction::with(&known);
        let whole = format!("{before}{secret}{after}");
        let text = match form {
            0 => whole,
            1 => STANDARD.encode(whole),
            2 => hexadecimal_of(&whole),
            _ => json!({"content": whole, "list": [{"text": secret}]}).to_string(),
        };
        let redacted = redaction.json_text(&text, &mut Removed::default());
        let decoded = serde_json::from_str::<Value>(&redacted).map(|value| format!("{value:?}")).unwrap_or_default();
        for readable in readable(&secret) {
            prop_assert!(!redacted.contains(&readable), "{redacted:?} holds {readable:?}");
            prop_assert!(!decoded.contains(&readable), "{decoded:?} holds {readable:?}");
        }
    }

    #[test]
    fn taking_out_twice_is_taking_out_once(
        text in "(?:[ -~\\n]|password|token|secret|api_key|[=:\"']|ghp_[a-zA-Z0-9]{30}|sk-[a-z0-9]{20}|AKIA[A-Z0-9]{16}|://|@|/home/|-----BEGIN PRIVATE KEY-----|-----END PRIVATE KEY-----|[A-Za-z0-9+/]{20,40}|\\\\n){0,24}",
    ) {
        let redaction = Redaction::of_any_machine();
        let once = redaction.json_text(&text, &mut Removed::default());
        let mut removed = Removed::default();
        let twice = redaction.json_text(&once, &mut removed);
        prop_assert_eq!(&twice, &once, "{:?}", removed);
    }

    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,200}") {
        let mut collector = Collector::default();
        collector.look_at(&Value::String(text.clone()));
        Redaction::of_any_machine().json_text(&text, &mut Removed::default());
    }
}

fn hexadecimal_of(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "{byte:02x}");
        all
    })
}
