//! What is asked and told about credentials.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Credential, CredentialId, CredentialKind, CredentialSecret, Role, Timestamp};

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewToken {
    /// Under which name its holder acts: a letter, then letters, digits, `.`, `_`, `-` and `@`, at most 64.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// After how long it lapses; none for never.
    #[serde(default)]
    pub expires_in: Option<Duration>,
}

/// A credential as it is shown: without its hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CredentialView {
    /// Its number.
    pub id: CredentialId,
    /// What it is for.
    pub kind: CredentialKind,
    /// Under which name its holder acts.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it lapses by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// When a login code was redeemed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeemed_at: Option<Timestamp>,
    /// Whether it may be used now.
    pub holds: bool,
}

impl CredentialView {
    pub(super) fn new(credential: &Credential, operator: &str, now: Timestamp) -> Self {
        Self {
            id: credential.id,
            kind: credential.kind,
            name: acting_name(credential, operator).to_owned(),
            role: credential.role,
            created_at: credential.created_at,
            expires_at: credential.expires_at,
            revoked_at: credential.revoked_at,
            redeemed_at: credential.redeemed_at,
            holds: credential.holds_at(now),
        }
    }
}

/// Returns under which name the holder acts. The owner's token goes with the settings, and not with the name that the
/// operator had when it was made.
pub(super) fn acting_name<'a>(credential: &'a Credential, operator: &'a str) -> &'a str {
    match credential.kind {
        CredentialKind::Owner => operator,
        _ => &credential.name,
    }
}

/// A credential that was just made, with the secret, which is shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedCredential {
    /// What was made.
    pub credential: CredentialView,
    /// Its secret.
    pub secret: CredentialSecret,
}

/// A browser session that was just opened, with its two secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedSession {
    /// The session.
    pub credential: CredentialView,
    /// For the cookie.
    pub cookie: CredentialSecret,
    /// For the page, which sends it with every request.
    pub page: CredentialSecret,
}

/// Why a login code opened no session. Whoever has the code is told, because only whom it was made for has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeRefused {
    /// There is no such code.
    #[error("there is no such login code; `factory login` makes one")]
    Unknown,
    /// It was redeemed before.
    #[error(
        "this login code was used already; if that was not you, `factory token list` shows the sessions and `factory \
         token revoke NUMBER` ends one; `factory login` makes a new code"
    )]
    Used,
    /// It lapsed, or was taken back.
    #[error("this login code is no longer good; `factory login` makes a new one")]
    Over,
}
