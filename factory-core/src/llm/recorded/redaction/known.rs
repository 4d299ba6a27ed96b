//! What this machine knows to be nobody else's business: its keys, its paths, its operator's name.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use regex::Regex;

use super::{HOME, Removed, marker, patterns};

/// The shortest secret that is looked for. Shorter ones are ordinary words.
const SHORTEST: usize = 6;

/// The shortest value of a variable that is looked for.
const SHORTEST_VALUE: usize = 8;

/// The shortest name that is looked for.
const SHORTEST_NAME: usize = 3;

/// The shortest path that is looked for: `/a/b` at least.
const SHORTEST_PATH: usize = 4;

/// Users' names that tell of nobody, and are words of many texts.
const NOBODY: [&str; 22] = [
    "admin",
    "build",
    "builder",
    "ci",
    "code",
    "coder",
    "default",
    "dev",
    "developer",
    "docker",
    "git",
    "guest",
    "main",
    "nobody",
    "node",
    "operator",
    "root",
    "runner",
    "test",
    "ubuntu",
    "user",
    "vscode",
];

/// What this machine knows. Shows nothing of it.
#[derive(Default)]
pub struct Known {
    /// What is looked for literally, with its kind and what stands for it.
    literals: Vec<(String, &'static str, String)>,
    names: Vec<String>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Known({} literals)", self.literals.len())
    }
}

impl Known {
    /// Adds a secret. It is looked for as it stands and as tools write it: reversed, hexadecimal, base64,
    /// percent-encoded, escaped.
    pub fn secret(&mut self, kind: &'static str, secret: &str) {
        let whole = secret.trim();
        // A header's value after its scheme is a secret of its own, and so is each line of a key of many.
        let parts = whole.lines().chain(whole.rsplit(' ').next());
        let parts = parts.filter(|part| *part != whole && is_telling(part));
        for secret in parts.chain([whole]).filter(|secret| secret.len() >= SHORTEST) {
            let forms = forms(secret).into_iter();
            let forms = forms.filter(|form| form.len() >= SHORTEST);
            self.literals.extend(forms.map(|form| (form, kind, marker(kind))));
        }
    }

    /// Adds the value of a variable of the environment, if the variable's name is one of a secret.
    pub fn variable(&mut self, name: &str, value: &str) {
        if patterns::names_secret(name) && value.len() >= SHORTEST_VALUE {
            self.secret("variable", value);
        }
    }

    /// Adds a path, and what stands for it.
    pub fn path(&mut self, path: &str, stands: &str) {
        let path = path.trim_end_matches('/');
        if path.len() >= SHORTEST_PATH && path.starts_with('/') {
            self.literals.push((path.to_owned(), "path", stands.to_owned()));
        }
    }

    /// Adds the home of the operator.
    pub fn home(&mut self, home: &str) {
        let home = home.trim_end_matches('/');
        if home.len() >= SHORTEST_PATH {
            self.literals.push((home.to_owned(), "home", HOME.to_owned()));
        }
    }

    /// Adds a name of the operator. One that is an ordinary word tells of nobody and stays.
    pub fn name(&mut self, name: &str) {
        if name.chars().count() >= SHORTEST_NAME && !NOBODY.contains(&name.to_lowercase().as_str()) {
            self.names.push(name.to_owned());
        }
    }
}

/// A part of a secret that is one itself: a line of a key, a token after its scheme.
fn is_telling(part: &str) -> bool {
    part.len() >= 16 && !part.contains("-----")
}

/// Finds what is known.
#[derive(Debug)]
pub(super) struct Finder {
    literals: AhoCorasick,
    stand: Vec<(&'static str, String)>,
    names: Option<Regex>,
}

impl Finder {
    /// Returns what finds all that is known; none where nothing is.
    pub(super) fn new(known: &Known) -> Option<Self> {
        if known.literals.is_empty() && known.names.is_empty() {
            return None;
        }
        let literals = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(known.literals.iter().map(|(form, ..)| form))
            .expect("keys and paths have no billions of bytes");
        let names: Vec<String> = known.names.iter().map(|name| regex::escape(name)).collect();
        let names = (!names.is_empty()).then(|| {
            Regex::new(&format!(r"\b(?:{})\b", names.join("|"))).expect("escaped names are a pattern")
        });
        let stand = known.literals.iter();
        Some(Self {
            literals,
            stand: stand.map(|(_, kind, stands)| (*kind, stands.clone())).collect(),
            names,
        })
    }

    pub(super) fn replace(&self, text: &str, removed: &mut Removed) -> String {
        let mut replaced = String::with_capacity(text.len());
        self.literals
            .replace_all_with(text, &mut replaced, |found, _, replaced| {
                let (kind, stands) = &self.stand[found.pattern().as_usize()];
                removed.add(kind);
                replaced.push_str(stands);
                true
            });
        let Some(names) = &self.names else { return replaced };
        let replaced = names.replace_all(&replaced, |_: &regex::Captures<'_>| {
            removed.add("name");
            HOME
        });
        replaced.into_owned()
    }
}

/// Returns the forms in which a secret is looked for.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let lower = bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let escaped = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        secret.chars().rev().collect(),
        lower.to_uppercase(),
        lower,
        escaped.trim_matches('"').to_owned(),
        percent_encoded(bytes),
    ];
    for alphabet in [alphabet::STANDARD, alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(&alphabet, NO_PAD);
        forms.extend((0..3).map(|offset| base64_within(&engine, bytes, offset)));
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Returns the characters that the secret has in the base64 of a longer text, whatever stands around it, where it begins
/// `offset` bytes after a group.
fn base64_within(engine: &GeneralPurpose, secret: &[u8], offset: usize) -> String {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(secret);
    let encoded = engine.encode(&padded);
    // Characters with bits of what stands before or after are left out.
    let first = (offset * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    encoded.get(first..last).unwrap_or_default().to_owned()
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            text + &char::from(*byte).to_string()
        }
        byte => text + &format!("%{byte:02X}"),
    })
}
