//! Secrets from the operating system's source of randomness.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::Error;
use crate::model::CredentialSecret;

/// What tokens begin with, so that scanners for leaked secrets know one when they see it.
const TOKEN_PREFIX: &str = "aidf_";

/// Returns a secret of 256 bits, of letters, digits, `-` and `_`.
pub(super) fn random() -> Result<CredentialSecret, Error> {
    prefixed("")
}

/// Returns a secret of 256 bits as tokens are written.
pub(super) fn token() -> Result<CredentialSecret, Error> {
    prefixed(TOKEN_PREFIX)
}

fn prefixed(prefix: &str) -> Result<CredentialSecret, Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)
        .map_err(|error| Error::Internal(format!("the operating system gives no random numbers: {error}")))?;
    Ok(CredentialSecret::new(format!(
        "{prefix}{}",
        URL_SAFE_NO_PAD.encode(bits)
    )))
}
