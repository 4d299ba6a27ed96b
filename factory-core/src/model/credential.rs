//! Who may ask: tokens of programs, codes that open a browser session, and the sessions themselves.
//!
//! What is kept of a secret is its hash. Secrets have 256 random bits, so that a plain hash says nothing of them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CredentialId, InvalidId, Role, Timestamp};

/// What a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// The token of whoever owns the data folder, which lies in a file there.
    Owner,
    /// The token of a program or of another person.
    Token,
    /// A code that opens one browser session, once.
    LoginCode,
    /// A browser session: a cookie and a second secret that its page holds.
    Session,
}

impl CredentialKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Token, Self::LoginCode, Self::Session];

    /// Returns the word by which it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Token => "token",
            Self::LoginCode => "login_code",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Owner => "owner's token",
            Self::Token => "token",
            Self::LoginCode => "login code",
            Self::Session => "session",
        })
    }
}

impl FromStr for CredentialKind {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| InvalidId::new(text, "a kind of credential"))
    }
}

/// The SHA-256 of a secret. Stored and compared instead of the secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Returns the hash of a secret as it is sent.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Returns the hash itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for SecretHash {
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Enough to tell two apart.
        write!(f, "SecretHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// A secret on its way to whoever it was made for. It is shown once and kept nowhere, and no debug output has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CredentialSecret(String);

impl CredentialSecret {
    /// Returns the secret that is written like this.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, to be sent or shown to whom it was made for.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns its hash.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl fmt::Debug for CredentialSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialSecret(…)")
    }
}

/// What is kept of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its number.
    pub id: CredentialId,
    /// What it is for.
    pub kind: CredentialKind,
    /// Under which name its holder acts.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The hash of its secret. No two credentials have the same.
    pub hash: SecretHash,
    /// The hash of a session's second secret, which the page holds.
    pub page_hash: Option<SecretHash>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it lapses by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// When a login code was turned into a session.
    pub redeemed_at: Option<Timestamp>,
}

impl Credential {
    /// Returns whether it may be used at this moment.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none()
            && self.redeemed_at.is_none()
            && self.expires_at.is_none_or(|expires| now < expires)
    }
}

/// A credential to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// What it is for.
    pub kind: CredentialKind,
    /// Under which name its holder acts.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// The hash of its secret.
    pub hash: SecretHash,
    /// When it is made.
    pub created_at: Timestamp,
    /// When it lapses by itself.
    pub expires_at: Option<Timestamp>,
}

/// A session to be stored for the holder of a login code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSession {
    /// The hash of the cookie's secret.
    pub hash: SecretHash,
    /// The hash of the page's secret.
    pub page_hash: SecretHash,
    /// When it lapses by itself.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_debug_output_has_a_secret() {
        let secret = CredentialSecret::new("s3cret-of-somebody");
        let shown = format!("{secret:?} {:?}", secret.hash());
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.len() < 60, "a hash is shortened: {shown}");
        assert_eq!(secret.expose(), "s3cret-of-somebody");
    }

    #[test]
    fn kinds_come_back_from_their_words() {
        for kind in CredentialKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("cookie".parse::<CredentialKind>().is_err());
    }
}
