//! Takes out of texts what nobody else should see: keys and passwords, the operator's home and name.
//!
//! What looks like a secret is found in any text on any machine, so that a replay takes the same out of its prompts as
//! the export took out of the recorded ones. What only this machine knows, such as its own keys and paths, is taken out
//! by the export alone; where it stood, a replay accepts any text.
//!
//! A marker stands where something stood, `[removed: KIND]`, and `~` for a home. Taking out of a text that was taken out
//! of already changes nothing.

mod encoded;
mod known;
mod patterns;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub use self::known::Known;

/// What a marker begins with.
pub(super) const MARKER: &str = "[removed: ";

/// What stands for a home and for the operator's name.
pub(super) const HOME: &str = "~";

/// How deep a text of JSON within a text of JSON is looked into.
const DEPTH: usize = 4;

/// How often a text is looked through again. Each time finds less, so this is reached by texts made for it alone.
const ROUNDS: usize = 16;

/// How often something was taken out, by its kind. Never what it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed(BTreeMap<String, u64>);

impl Removed {
    /// Returns the counts by kind.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.0
    }

    fn add(&mut self, kind: &str) {
        *self.0.entry(kind.to_owned()).or_default() += 1;
    }
}

/// Takes things out of texts.
#[derive(Debug, Default)]
pub struct Redaction {
    known: Option<known::Finder>,
}

impl Redaction {
    /// Returns what takes out what looks like a secret on any machine.
    pub fn of_any_machine() -> Self {
        Self::default()
    }

    /// Returns what takes out this machine's own things as well.
    pub fn with(known: &Known) -> Self {
        Self {
            known: known::Finder::new(known),
        }
    }

    /// Returns the text without what nobody else should see, and counts what was taken out.
    pub fn text(&self, text: &str, removed: &mut Removed) -> String {
        again(text, |text| self.text_once(text, removed))
    }

    /// Returns a text that may be JSON, such as a tool's arguments, without what nobody else should see. In JSON things
    /// are found behind escapes as well. A text in which there is nothing to find stays as it is.
    pub fn json_text(&self, text: &str, removed: &mut Removed) -> String {
        again(text, |text| self.json_text_within(text, removed, DEPTH))
    }

    /// Takes things out of all texts of a value. A text under a name such as `password` is taken out whole.
    pub fn value(&self, value: &mut Value, removed: &mut Removed) {
        self.value_within(value, removed, DEPTH);
    }

    fn text_once(&self, text: &str, removed: &mut Removed) -> String {
        let text = patterns::replace(text, removed);
        let text = encoded::replace(&text, removed);
        match &self.known {
            Some(known) => known.replace(&text, removed),
            None => text,
        }
    }

    fn json_text_within(&self, text: &str, removed: &mut Removed, depth: usize) -> String {
        let is_json = text.trim_start().starts_with(['{', '[']) && !text.trim_start().starts_with(MARKER);
        if depth > 0
            && is_json
            && let Ok(mut value) = serde_json::from_str::<Value>(text)
        {
            let before = value.clone();
            self.value_within(&mut value, removed, depth - 1);
            return if value == before {
                text.to_owned()
            } else {
                value.to_string()
            };
        }
        self.text(text, removed)
    }

    fn value_within(&self, value: &mut Value, removed: &mut Removed, depth: usize) {
        match value {
            Value::String(text) => *text = self.json_text_within(text, removed, depth),
            Value::Array(values) => {
                for value in values {
                    self.value_within(value, removed, depth);
                }
            }
            Value::Object(map) => {
                // Names may hold something as well, so they are made anew.
                for (name, mut value) in std::mem::take(map) {
                    match &mut value {
                        Value::String(text) if patterns::is_secret(&name, text) => {
                            let kind = patterns::kind_of(&name);
                            removed.add(kind);
                            *text = marker(kind);
                        }
                        value => self.value_within(value, removed, depth),
                    }
                    map.insert(self.text(&name, removed), value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Collects the secrets that a run's texts show, so that they are found in other forms as well: encoded, or in pieces.
#[derive(Debug, Default)]
pub struct Collector {
    found: BTreeSet<(&'static str, String)>,
}

impl Collector {
    /// The most secrets that are kept. A text with more of them is no text with secrets.
    const MOST: usize = 1000;

    /// Looks at a text.
    pub fn look(&mut self, text: &str) {
        if self.found.len() < Self::MOST {
            self.found.extend(patterns::secrets(text));
        }
    }

    /// Looks at all texts of a value.
    pub fn look_at(&mut self, value: &Value) {
        match value {
            Value::String(text) => match serde_json::from_str::<Value>(text) {
                Ok(value @ (Value::Array(_) | Value::Object(_))) => self.look_at(&value),
                _ => self.look(text),
            },
            Value::Array(values) => values.iter().for_each(|value| self.look_at(value)),
            Value::Object(map) => {
                for (name, value) in map {
                    self.look(name);
                    match value {
                        Value::String(text)
                            if patterns::is_secret(name, text) && patterns::is_random(text) =>
                        {
                            self.found.insert((patterns::kind_of(name), text.clone()));
                        }
                        value => self.look_at(value),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Adds what was collected to what this machine knows.
    pub fn tell(self, known: &mut Known) {
        for (kind, secret) in self.found {
            known.secret(kind, &secret);
        }
    }
}

/// Takes out of a text until there is nothing more to find: what stood beside something that went may be found then.
fn again(text: &str, mut take_out: impl FnMut(&str) -> String) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let after = take_out(&text);
        if after == text {
            break;
        }
        text = after;
    }
    text
}

/// Returns what stands where something of this kind stood.
fn marker(kind: &str) -> String {
    format!("{MARKER}{kind}]")
}
