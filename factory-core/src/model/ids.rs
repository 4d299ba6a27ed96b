//! Identifiers as types of their own, so that a run's number is never taken for a project's.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The text is no identifier of the kind named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct InvalidId {
    /// What was given, shortened.
    pub text: String,
    /// What would have been accepted.
    pub expected: &'static str,
}

impl InvalidId {
    pub(super) fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text
                .chars()
                .take(80)
                .collect::<String>()
                .escape_debug()
                .to_string(),
            expected,
        }
    }
}

macro_rules! integer_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                match text.parse::<i64>() {
                    Ok(number) if number > 0 => Ok(Self(number)),
                    _ => Err(InvalidId::new(text, $expected)),
                }
            }
        }
    };
}

integer_id! {
    /// A project's number, never used again after the project is removed.
    ProjectId, "a project's number"
}
integer_id! {
    /// A run's number, never used again.
    RunId, "a run's number"
}
integer_id! {
    /// An event's number over all runs. Says nothing of order; [`Seq`] does.
    EventId, "an event's number"
}
integer_id! {
    /// An approval record's number.
    ApprovalId, "an approval's number"
}
integer_id! {
    /// A credential's number, never used again.
    CredentialId, "a credential's number"
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Returns the number after this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// An event's place within its run: 1, 2, 3 … without a gap, in commit order. 0 stands before the first.
    Seq
}
counter! {
    /// Grows with each claim of a run. A writer with an older fence has lost the run and is refused.
    Fence
}

/// A step's number within its run's plan, from 1. A revised plan never reuses a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names the process (and node) that works on a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $($length:literal)|+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the lower-case hexadecimal text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                if hex && matches!(text.len(), $($length)|+) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId::new(text, $expected))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
                super::schema::hexadecimal($expected, &[$($length),+])
            }
        }
    };
}

hex_id! {
    /// A git commit's full hash (SHA-1 or SHA-256 repositories).
    CommitId, "a full commit hash", 40 | 64
}
hex_id! {
    /// A git tree's full hash. What a reviewer approves.
    TreeId, "a full tree hash", 40 | 64
}
hex_id! {
    /// The SHA-256 of a stored text: messages, replies, outputs and file contents are kept once under it.
    BlobId, "a SHA-256 hash", 64
}

impl BlobId {
    /// Returns the id under which `content` is stored.
    pub fn of(content: &[u8]) -> Self {
        use fmt::Write as _;
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(content) {
            write!(hex, "{byte:02x}").expect("writing to a String cannot fail");
        }
        Self(hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_strictly() {
        assert_eq!("7".parse::<RunId>(), Ok(RunId(7)));
        for text in ["0", "-1", "", "1 ", "x", "99999999999999999999"] {
            let error = text.parse::<RunId>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` is not a run's number"));
        }
        assert!("ABCDEF".parse::<TreeId>().is_err());
        assert!(
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
                .parse::<TreeId>()
                .is_ok()
        );
    }

    #[test]
    fn a_blob_is_named_by_its_sha256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(BlobId::of(b"abc").as_str(), expected);
    }
}
