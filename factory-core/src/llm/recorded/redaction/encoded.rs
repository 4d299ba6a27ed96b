//! Secrets within an encoded text: base64 or hexadecimal whose content holds what looks like one.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::GeneralPurposeConfig;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use regex::{Captures, Regex};

use super::{Removed, marker, patterns};

static BASE64: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Za-z0-9+/_-]{24,}={0,2}").expect("the pattern is well-formed"));
static HEXADECIMAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:[0-9a-f]{2}){16,}|(?:[0-9A-F]{2}){16,}").expect("the pattern is well-formed")
});

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Returns the text without encoded texts that hold a secret.
pub(super) fn replace(text: &str, removed: &mut Removed) -> String {
    let mut kind = |encoded: &str, content: Option<String>| {
        let secret = content.and_then(|content| patterns::secrets(&content).into_iter().next());
        secret.map_or_else(
            || encoded.to_owned(),
            |(kind, _)| {
                removed.add(kind);
                marker(kind)
            },
        )
    };
    let text = HEXADECIMAL.replace_all(text, |found: &Captures<'_>| {
        kind(&found[0], hexadecimal(&found[0]))
    });
    let text = BASE64.replace_all(&text, |found: &Captures<'_>| kind(&found[0], base64(&found[0])));
    text.into_owned()
}

fn base64(text: &str) -> Option<String> {
    let text = text.trim_end_matches('=');
    // What stands around it may be of its alphabet, so that its groups begin elsewhere.
    (0..4).find_map(|skipped| {
        let text = text.get(skipped..)?;
        let whole = &text[..text.len() - usize::from(text.len() % 4 == 1)];
        let bytes = STANDARD.decode(whole).or_else(|_| URL_SAFE.decode(whole)).ok()?;
        let content = String::from_utf8_lossy(&bytes).into_owned();
        (!patterns::secrets(&content).is_empty()).then_some(content)
    })
}

fn hexadecimal(text: &str) -> Option<String> {
    let bytes = text.as_bytes().chunks_exact(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Option<Vec<u8>> = bytes.collect();
    Some(String::from_utf8_lossy(&bytes?).into_owned())
}
