//! The forms in which a secret may turn up, and the search for them.

use std::path::PathBuf;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Returns a secret as it stands, and as tools write it.
pub(crate) fn disguises(secret: &str) -> Vec<String> {
    let bytes = |form: fn(u8) -> String| secret.bytes().map(form).collect::<Vec<_>>().concat();
    vec![
        secret.to_owned(),
        secret.chars().rev().collect(),
        bytes(|byte| format!("{byte:02x}")),
        bytes(|byte| format!("{byte:02X}")),
        bytes(|byte| format!("%{byte:02X}")),
        secret.replace('/', "%2F").replace('+', "%2B"),
        STANDARD.encode(secret).trim_end_matches('=').to_owned(),
        URL_SAFE.encode(secret).trim_end_matches('=').to_owned(),
        STANDARD
            .encode(format!("Bearer {secret}"))
            .trim_end_matches('=')
            .to_owned(),
    ]
}

/// Where secrets were looked for, and where they were found.
pub(crate) struct Search {
    finder: AhoCorasick,
    forms: Vec<String>,
    pub(crate) found: Vec<String>,
    pub(crate) bytes: usize,
}

impl Search {
    pub(crate) fn new(secrets: &[String]) -> Self {
        let mut forms: Vec<String> = secrets.iter().flat_map(|secret| disguises(secret)).collect();
        // What a cut in the middle would leave.
        forms.extend(secrets.iter().map(|secret| secret[..12].to_owned()));
        Self {
            finder: AhoCorasick::new(&forms).unwrap(),
            forms,
            found: Vec::new(),
            bytes: 0,
        }
    }

    /// Looks through some bytes.
    pub(crate) fn look(&mut self, place: &str, bytes: &[u8]) {
        self.bytes += bytes.len();
        if let Some(hit) = self.finder.find(bytes) {
            let around = &bytes[hit.start().saturating_sub(80)..(hit.end() + 40).min(bytes.len())];
            let around = String::from_utf8_lossy(around).into_owned();
            let form = &self.forms[hit.pattern().as_usize()];
            self.found.push(format!("{place}: {form} in …{around}…"));
        }
    }

    /// Looks through every file below a folder but these.
    pub(crate) fn look_below(&mut self, folder: &std::path::Path, but: &[PathBuf]) {
        for (file, bytes) in crate::support::files(folder) {
            self.look(&file.display().to_string(), file.display().to_string().as_bytes());
            if !but.contains(&file) {
                self.look(&file.display().to_string(), &bytes);
            }
        }
    }
}
