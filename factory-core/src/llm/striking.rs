//! Strikes secrets out of a server's words, in whatever usual form they come.
//!
//! A model server that was given a key may send it back: in an error, in a reply, in a name. What it sends is stored and
//! shown, so the key is struck from it first, as it stands and in the forms that tools write: reversed, hexadecimal,
//! base64 and percent-encoded. A server that wants to hide it better can; this is no wall against the server, which
//! has the key anyway, but against its words.

use aho_corasick::{AhoCorasick, Input, MatchKind};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;

use super::server::Secret;

/// What stands where a secret stood.
const STRUCK: &str = "[key]";

/// The shortest text that is struck. Shorter ones are ordinary words, and striking those would change what a model
/// says.
const SHORTEST: usize = 8;

/// The texts to strike.
#[derive(Debug, Clone)]
pub(super) struct Striking {
    finder: AhoCorasick,
    forms: Vec<String>,
}

impl Striking {
    /// Returns what strikes these secrets; none where there is nothing to strike.
    pub(super) fn new(secrets: &[Secret]) -> Option<Self> {
        let mut forms: Vec<String> = secrets.iter().flat_map(forms).collect();
        forms.retain(|form| form.len() >= SHORTEST);
        forms.sort();
        forms.dedup();
        if forms.is_empty() {
            return None;
        }
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&forms)
            // It fails where the forms together have billions of bytes; a header cannot.
            .ok()?;
        Some(Self { finder, forms })
    }

    /// Returns the text without the secrets.
    pub(super) fn strike(&self, text: &str) -> String {
        let mut struck = String::with_capacity(text.len());
        self.finder.replace_all_with(text, &mut struck, |_, _, struck| {
            struck.push_str(STRUCK);
            true
        });
        struck
    }

    /// Returns the text without the secrets. In JSON they are found behind escapes as well.
    pub(super) fn strike_json(&self, text: &str) -> String {
        if text.contains('\\')
            && let Ok(mut value) = serde_json::from_str(text)
            && self.strike_value(&mut value)
        {
            return value.to_string();
        }
        self.strike(text)
    }

    /// Strikes the texts within a value, names included. Returns whether there was anything to strike.
    fn strike_value(&self, value: &mut serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(text) => {
                let found = self.finder.is_match(text.as_str());
                if found {
                    *text = self.strike(text);
                }
                found
            }
            // Each is looked at, also after one was found.
            serde_json::Value::Array(values) => values
                .iter_mut()
                .fold(false, |found, value| self.strike_value(value) | found),
            serde_json::Value::Object(map) => {
                let mut found = false;
                let entries: Vec<_> = std::mem::take(map).into_iter().collect();
                for (name, mut value) in entries {
                    found |= self.strike_value(&mut value) | self.finder.is_match(name.as_str());
                    map.insert(self.strike(&name), value);
                }
                found
            }
            _ => false,
        }
    }

    /// Returns how many bytes at the end of a text may be the beginning of a secret that goes on.
    fn unfinished(&self, text: &str) -> usize {
        let longest = self.forms.iter().map(String::len).max().unwrap_or(0);
        let most = (longest.saturating_sub(1)).min(text.len());
        (1..=most)
            .rev()
            .find(|&length| {
                let start = text.len() - length;
                text.is_char_boundary(start)
                    && self
                        .forms
                        .iter()
                        .any(|form| form.len() > length && form.starts_with(&text[start..]))
            })
            .unwrap_or(0)
    }
}

/// A text that comes in pieces. What may be the beginning of a secret is held back until it is known.
#[derive(Debug, Default)]
pub(super) struct Held(String);

impl Held {
    /// Takes a piece, and returns what can be shown by now.
    pub(super) fn push(&mut self, striking: &Striking, piece: &str) -> String {
        self.0.push_str(piece);
        let mut shown = String::new();
        let mut from = 0;
        let open = loop {
            let open = self.0.len() - striking.unfinished(&self.0[from..]);
            // A secret that begins where another one may begin, or after that, is not known yet to be one.
            match striking.finder.find(Input::new(&self.0).range(from..)) {
                Some(found) if found.start() < open => {
                    shown.push_str(&self.0[from..found.start()]);
                    shown.push_str(STRUCK);
                    from = found.end();
                }
                _ => break open,
            }
        };
        shown.push_str(&self.0[from..open]);
        self.0.drain(..open);
        shown
    }

    /// Returns what was held back, when nothing more comes.
    pub(super) fn finish(&mut self, striking: &Striking) -> String {
        striking.strike(&std::mem::take(&mut self.0))
    }
}

/// Returns the forms in which a secret is looked for. A header's value after its scheme is a secret of its own.
fn forms(secret: &Secret) -> Vec<String> {
    let whole = secret.expose();
    let credential = whole.rsplit(' ').next().filter(|last| *last != whole);
    let texts = [Some(whole), credential].into_iter().flatten();
    texts
        .filter(|text| text.len() >= SHORTEST)
        .flat_map(forms_of)
        .collect()
}

fn forms_of(text: &str) -> Vec<String> {
    let each = |form: &dyn Fn(u8) -> String| text.bytes().map(form).collect::<Vec<_>>().concat();
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let unless_unreserved = |byte: u8, form: String| {
        if is_unreserved(byte) {
            char::from(byte).to_string()
        } else {
            form
        }
    };
    let mut forms = vec![
        text.to_owned(),
        text.chars().rev().collect(),
        each(&|byte| format!("{byte:02x}")),
        each(&|byte| format!("{byte:02X}")),
        each(&|byte| format!("%{byte:02x}")),
        each(&|byte| format!("%{byte:02X}")),
        each(&|byte| unless_unreserved(byte, format!("%{byte:02x}"))),
        each(&|byte| unless_unreserved(byte, format!("%{byte:02X}"))),
    ];
    for letters in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        let engine = GeneralPurpose::new(letters, NO_PAD);
        forms.extend((0..3).map(|offset| base64_within(&engine, text, offset)));
    }
    forms
}

/// Returns the letters that a text has in base64 where `offset` bytes of something else stand before it, modulo three,
/// and anything after it.
fn base64_within(engine: &GeneralPurpose, text: &str, offset: usize) -> String {
    let mut bytes = vec![0; offset];
    bytes.extend_from_slice(text.as_bytes());
    let encoded = engine.encode(&bytes);
    let begin = (offset * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    encoded[begin..end].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "sk-live/Hunter2+\"q\"";

    fn striking() -> Striking {
        Striking::new(&[Secret::new(KEY), Secret::new("Basic dXNlcjpwYXNzd29yZA==")]).unwrap()
    }

    /// The forms in which a text may come back, made by other means than the code's own.
    fn disguises(key: &str) -> Vec<String> {
        let standard = base64::engine::general_purpose::STANDARD;
        let url_safe = base64::engine::general_purpose::URL_SAFE;
        let bytes = |form: fn(u8) -> String| key.bytes().map(form).collect::<Vec<_>>().concat();
        vec![
            key.to_owned(),
            key.chars().rev().collect(),
            bytes(|byte| format!("{byte:02X}")),
            bytes(|byte| format!("{byte:02x}")),
            bytes(|byte| format!("%{byte:02X}")),
            standard.encode(key),
            url_safe.encode(key),
            standard.encode(format!("Bearer {key}")),
            standard.encode(format!("a{key}b")),
            standard.encode(format!("ab{key}bc")),
        ]
    }

    #[test]
    fn no_form_of_a_key_is_left() {
        let striking = striking();
        for disguise in disguises(KEY) {
            let struck = striking.strike(&format!("it is {disguise}, see?"));
            assert!(struck.contains(STRUCK), "{disguise} is left in {struck}");
            assert!(
                struck.starts_with("it is ") && struck.ends_with(", see?"),
                "{struck}"
            );
        }
        assert_eq!(
            striking.strike("user dXNlcjpwYXNzd29yZA== came"),
            "user [key] came"
        );
        assert_eq!(striking.strike("nothing here"), "nothing here");
    }

    #[test]
    fn short_texts_are_words() {
        assert!(Striking::new(&[Secret::new("dev"), Secret::new("")]).is_none());
        assert!(Striking::new(&[]).is_none());
    }

    #[test]
    fn escapes_of_json_hide_nothing() {
        let striking = striking();
        let escaped: Vec<String> = KEY.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let escaped = escaped.concat();
        let json = format!("{{\"path\":\"x\",\"more\":[\"a {escaped} b\"],\"{escaped}\":1}}");
        let struck: serde_json::Value = serde_json::from_str(&striking.strike_json(&json)).unwrap();
        assert_eq!(
            struck,
            serde_json::json!({"path": "x", "more": ["a [key] b"], "[key]": 1})
        );
        // What holds none stays as it was written, to the byte.
        let json = r#"{ "text" : "a\nb" }"#;
        assert_eq!(striking.strike_json(json), json);
    }

    proptest! {
        #[test]
        fn pieces_are_struck_like_the_whole(
            parts in prop::collection::vec(prop_oneof![
                Just(KEY.to_owned()),
                Just(KEY[..9].to_owned()),
                Just(KEY[4..].to_owned()),
                prop::sample::select(disguises(KEY)),
                "[ a-zäsk-]{0,6}",
            ], 0..8),
            cuts in prop::collection::vec(1_usize..9, 1..40),
        ) {
            let striking = striking();
            let whole: String = parts.concat();
            let characters: Vec<char> = whole.chars().collect();
            let mut cuts = cuts.iter().cycle();
            let (mut held, mut shown, mut at) = (Held::default(), String::new(), 0);
            while at < characters.len() {
                let next = (at + cuts.next().unwrap()).min(characters.len());
                let piece: String = characters[at..next].iter().collect();
                shown += &held.push(&striking, &piece);
                at = next;
            }
            shown += &held.finish(&striking);
            prop_assert_eq!(&shown, &striking.strike(&whole));
            prop_assert!(!shown.contains(KEY));
        }
    }

    #[test]
    fn no_more_is_held_back_than_may_be_a_key() {
        let striking = striking();
        let mut held = Held::default();
        assert_eq!(held.push(&striking, "It is so."), "It is so.");
        assert_eq!(held.push(&striking, " and sk-li"), " and ");
        assert_eq!(held.push(&striking, "ne"), "sk-line");
        assert_eq!(held.finish(&striking), "");
    }
}
