//! What looks like a secret: the shapes that providers give to their keys, and values under telling names.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{HOME, MARKER, Removed, marker};

/// The shortest text that chance can have made.
const RANDOM_LENGTH: usize = 16;

/// A shape: its kind, and a pattern whose group `secret` is what is taken out; `lead` stays.
struct Shape {
    kind: &'static str,
    pattern: Regex,
    /// Whether what was found has to look random as well.
    is_loose: bool,
}

/// What may stand before a token: its text's begin, no letter, or an escape of JSON.
const LEAD: &str = r"(?P<lead>^|[^A-Za-z0-9_]|\\[nrt])";

/// What separates the lines of a key: ends of lines, as they stand or escaped, quotes, and a listing's line numbers.
const BETWEEN: &str = r#"(?:\\+[nr]|[\s"'`+,|>:;]|\b\d{1,6}[\t|: ])*"#;

static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let shape = |kind, pattern: &str, is_loose| Shape {
        kind,
        pattern: Regex::new(pattern).expect("the patterns are well-formed"),
        is_loose,
    };
    let token = |kind, pattern: &str| shape(kind, &format!("{LEAD}(?P<secret>{pattern})"), false);
    let loose = |kind, pattern: &str| shape(kind, &format!("{LEAD}(?P<secret>{pattern})"), true);
    let begin = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
    let end = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
    let headers = r"(?:(?:Proc-Type|DEK-Info|Version|Comment):[^\n\\]*)?";
    let body = format!(r"(?:{BETWEEN}{headers}{BETWEEN}[A-Za-z0-9+/=]{{16,}})+");
    let last = format!(r"(?:{BETWEEN}[A-Za-z0-9+/=]{{1,80}})?{BETWEEN}");
    vec![
        shape(
            "private key",
            &format!(
                "(?P<lead>)(?P<secret>{begin}{body}(?:{last}{end}|{BETWEEN}[A-Za-z0-9+/=]{{1,15}}\\z)?)"
            ),
            false,
        ),
        // The begin may have been cut off.
        shape(
            "private key",
            &format!(
                "(?P<lead>)(?P<secret>(?:[A-Za-z0-9+/=]{{16,}}{BETWEEN})+(?:[A-Za-z0-9+/=]{{1,80}})?{BETWEEN}{end})"
            ),
            false,
        ),
        token("aws key", r"(?:AKIA|ASIA)[0-9A-Z]{16}"),
        token(
            "github token",
            r"gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}",
        ),
        token("gitlab token", r"glpat-[A-Za-z0-9_-]{20,}"),
        token("slack token", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
        token("stripe key", r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
        loose("api key", r"sk-[A-Za-z0-9_-]{16,}"),
        loose("api key", r"(?:hf|npm)_[A-Za-z0-9]{30,}"),
        token("api key", r"AIza[0-9A-Za-z_-]{35}"),
        token("api key", r"pypi-[A-Za-z0-9_-]{50,}"),
        token(
            "web token",
            r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        ),
        shape(
            "authorization",
            r"(?i)(?P<lead>\b(?:authorization|x-api-key)\\*[\x22']?\s*[:=]\s*\\*[\x22']?(?:bearer|basic|token)\s+)(?P<secret>[A-Za-z0-9+/=_.~-]{8,})",
            false,
        ),
        shape(
            "authorization",
            r"(?P<lead>\b[Bb]earer\s+)(?P<secret>[A-Za-z0-9+/=_.~-]{16,})",
            true,
        ),
        shape(
            "credentials",
            r"(?P<lead>\b[A-Za-z][A-Za-z0-9+.-]{1,20}://)(?P<secret>[^\s/@:\x22'<>{}$%\[\]\\]*:[^\s/@\x22'<>{}$\[\]\\]+)@",
            false,
        ),
        shape(
            "credentials",
            r"(?P<lead>\bhttps?://)(?P<secret>[A-Za-z0-9_-]{16,})@",
            true,
        ),
    ]
});

/// A name, a sign that gives it a value, and the value: quoted, or up to a space.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?P<lead>(?P<name>[A-Za-z][A-Za-z0-9_.-]{0,60})\\*["']?(?P<sign>\s{0,8}(?:=>|:=|=|:)\s{0,8}))(?:(?P<quote>\\*["'])(?P<quoted>[^"'\\\n]{4,512})|(?P<bare>[^\s"'`\\,;(){}\[\]<>$&|]{4,512}))"#,
    )
    .expect("the pattern is well-formed")
});

static ANY_HOME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?P<lead>^|[^A-Za-z0-9._~-])/(?:home|Users)/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
        .expect("the pattern is well-formed")
});

/// Returns the text without what looks like a secret, and without names of homes.
pub(super) fn replace(text: &str, removed: &mut Removed) -> String {
    let mut text = text.to_owned();
    for shape in SHAPES.iter() {
        if !shape.pattern.is_match(&text) {
            continue;
        }
        let replaced = shape.pattern.replace_all(&text, |found: &Captures<'_>| {
            let secret = &found["secret"];
            if (shape.is_loose && !is_random(secret)) || is_placeholder(secret) {
                return found[0].to_owned();
            }
            removed.add(shape.kind);
            let whole = found.get(0).expect("what was found is there");
            let end = found.name("secret").expect("every shape has one").end();
            format!(
                "{}{}{}",
                &found["lead"],
                marker(shape.kind),
                &text[end..whole.end()]
            )
        });
        text = replaced.into_owned();
    }
    let text = ASSIGNMENT.replace_all(&text, |found: &Captures<'_>| match assigned(found) {
        None => found[0].to_owned(),
        Some((kind, _)) => {
            removed.add(kind);
            let quote = found.name("quote").map_or("", |quote| quote.as_str());
            format!("{}{quote}{}", &found["lead"], marker(kind))
        }
    });
    let text = ANY_HOME.replace_all(&text, |found: &Captures<'_>| {
        removed.add("home");
        format!("{}{HOME}", &found["lead"])
    });
    text.into_owned()
}

/// Returns the secrets in a text that are not words, so that looking for them elsewhere finds nothing else.
pub(super) fn secrets(text: &str) -> BTreeSet<(&'static str, String)> {
    let mut secrets = BTreeSet::new();
    for shape in SHAPES.iter() {
        for found in shape.pattern.captures_iter(text) {
            let secret = &found["secret"];
            if (shape.is_loose && !is_random(secret)) || is_placeholder(secret) {
                continue;
            }
            let telling = match shape.kind {
                // A user's name is no secret.
                "credentials" => secret.split_once(':').map_or(secret, |(_, password)| password),
                _ => secret,
            };
            if shape.kind != "credentials" || is_random(telling) {
                secrets.insert((shape.kind, telling.to_owned()));
            }
        }
    }
    for found in ASSIGNMENT.captures_iter(text) {
        if let Some((kind, secret)) = assigned(&found)
            && is_random(secret)
        {
            secrets.insert((kind, secret.to_owned()));
        }
    }
    secrets
}

/// Returns the kind and the value of an assignment that gives a secret to a name.
fn assigned<'a>(found: &Captures<'a>) -> Option<(&'static str, &'a str)> {
    let name = found.name("name")?.as_str();
    let secret = if let Some(quoted) = found.name("quoted") {
        let quoted = quoted.as_str();
        is_secret(name, quoted).then_some(quoted)
    } else {
        let bare = found
            .name("bare")?
            .as_str()
            .trim_end_matches(['.', ':', '!', '?']);
        let bare = found.name("bare")?.as_str().get(..bare.len())?;
        let is_tight = !found.name("sign")?.as_str().contains(char::is_whitespace);
        is_bare_secret(name, bare, is_tight).then_some(found.name("bare")?.as_str())
    };
    secret.map(|secret| (kind_of(name), secret))
}

/// How telling a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// Of a password.
    Password,
    /// Of something that is a secret if it looks random.
    Secret,
    /// Of nothing.
    Nothing,
}

fn telling(name: &str) -> Telling {
    let lower = name.to_ascii_lowercase().replace(['-', '.'], "_");
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    if ends(&["password", "passwd", "passphrase", "passwort"])
        || matches!(lower.as_str(), "pwd" | "pass")
        || ends(&["_pwd", "_pass"])
    {
        Telling::Password
    } else if ends(&["secret", "token", "credential", "credentials"])
        || ends(&["key"]) && !ends(&["monkey", "turkey"])
    {
        Telling::Secret
    } else {
        Telling::Nothing
    }
}

/// Returns whether this is a name of a password or another secret.
pub(super) fn names_secret(name: &str) -> bool {
    telling(name) != Telling::Nothing
}

/// Returns the kind of a secret that has this name.
pub(super) fn kind_of(name: &str) -> &'static str {
    match telling(name) {
        Telling::Password => "password",
        _ => "secret",
    }
}

/// Returns whether a quoted value under this name is a secret.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    if is_placeholder(value) {
        return false;
    }
    match telling(name) {
        Telling::Password => {
            let has_space =
                value.contains(char::is_whitespace) && !name.to_ascii_lowercase().ends_with("passphrase");
            value.len() >= 4 && !has_space && !is_word_of_passwords(value)
        }
        Telling::Secret => is_random(value),
        Telling::Nothing => false,
    }
}

/// Returns whether a value that stands without quotes is a secret, and not code.
fn is_bare_secret(name: &str, value: &str, is_tight: bool) -> bool {
    if is_placeholder(value) {
        return false;
    }
    match telling(name) {
        Telling::Password => {
            let is_variable =
                name.chars().any(|letter| letter.is_ascii_uppercase()) && name == name.to_uppercase();
            let has_digit = value.chars().any(|letter| letter.is_ascii_digit());
            let has_sign = value.chars().any(|letter| "!#%*?@^~+".contains(letter));
            let looks_like_code = value.contains("::")
                || value.contains("->")
                || value.ends_with('.')
                || value.starts_with(['*', '&', '!', '=']);
            let is_settings = is_variable || is_tight;
            !looks_like_code
                && !is_word_of_passwords(value)
                && value.len() >= 6
                && (is_random(value) || is_settings && (has_digit || has_sign) || is_variable && is_tight)
        }
        Telling::Secret => is_random(value),
        Telling::Nothing => false,
    }
}

/// Words that stand for a password or name one, and are none.
fn is_word_of_passwords(value: &str) -> bool {
    let lower = value.to_lowercase();
    let word = lower.trim_matches(|letter: char| !letter.is_alphanumeric());
    let is_name = telling(word) != Telling::Nothing;
    is_name
        || matches!(
            word,
            "none"
                | "null"
                | "true"
                | "false"
                | "string"
                | "text"
                | "required"
                | "optional"
                | "hidden"
                | "username"
                | "undefined"
                | "nil"
                | "some"
                | "option"
                | "bytes"
                | "input"
                | "empty"
                | "invalid"
                | "error"
        )
}

/// What stands for a secret in templates and documents, or stood for one before.
fn is_placeholder(value: &str) -> bool {
    let first = value.chars().next().unwrap_or_default();
    value.contains(MARKER.trim_end())
        || value.starts_with("removed:")
        || matches!(first, '$' | '{' | '<' | '%' | '[' | '(' | '…' | HOME_CHARACTER)
        || value.contains("${")
        || value.contains("{{")
        || value.contains("...")
        || value
            .chars()
            .all(|letter| letter == first || "*.-_xX".contains(letter))
}

const HOME_CHARACTER: char = '~';

/// Returns whether a text looks as if chance had made it: letters and digits mixed, and many different ones.
pub(super) fn is_random(text: &str) -> bool {
    if text.len() < RANDOM_LENGTH
        || !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-.~".contains(&byte))
    {
        return false;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let changes = text
        .as_bytes()
        .windows(2)
        .filter(|pair| class(pair[0]) != class(pair[1]))
        .count();
    // Words joined by signs change their class rarely, and between letters and digits almost never.
    digits >= 2 && changes * 5 >= text.len() && entropy(text) >= 3.0
}

fn class(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        // Signs count as small letters, so that words that they join look no more random.
        _ => 2,
    }
}

/// Returns the bits that each character tells, by how often each one stands there.
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let told = counts.iter().filter(|count| **count > 0).map(|count| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    });
    told.sum()
}
