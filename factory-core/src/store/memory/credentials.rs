//! Credentials in memory: one map by number, looked through for everything else.

use std::collections::BTreeMap;

use super::super::{Redemption, StoreError, rules};
use crate::model::{Credential, CredentialId, NewCredential, NewSession, SecretHash, Timestamp};

/// The credentials of a [`MemoryStore`](super::MemoryStore).
#[derive(Debug, Default)]
pub(super) struct StoredCredentials {
    by_id: BTreeMap<CredentialId, Credential>,
    last: i64,
}

impl StoredCredentials {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.by_id.values()
    }

    pub(super) fn by_hash(&self, hash: &SecretHash) -> Result<&Credential, StoreError> {
        let found = self.iter().find(|credential| credential.hash == *hash);
        found.ok_or_else(rules::no_such_credential)
    }

    pub(super) fn add(&mut self, new: NewCredential) -> Result<Credential, StoreError> {
        if self.by_hash(&new.hash).is_ok() {
            return Err(rules::credential_exists(&new.name));
        }
        self.last += 1;
        let credential = rules::credential(CredentialId(self.last), new);
        self.by_id.insert(credential.id, credential.clone());
        Ok(credential)
    }

    pub(super) fn revoke(&mut self, id: CredentialId, at: Timestamp) -> Result<Credential, StoreError> {
        let found = self.by_id.get_mut(&id);
        let credential = found.ok_or_else(|| rules::not_found("credential", &id))?;
        credential.revoked_at.get_or_insert(at);
        Ok(credential.clone())
    }

    pub(super) fn redeem(
        &mut self,
        code: &SecretHash,
        session: NewSession,
        at: Timestamp,
    ) -> Result<Redemption, StoreError> {
        let Ok(code) = self.by_hash(code).cloned() else {
            return Ok(Redemption::Unknown);
        };
        if let Some(refused) = rules::refused_code(&code, at) {
            return Ok(refused);
        }
        let opened = self.add(rules::session_of(&code, session, at))?;
        let opened = Credential {
            page_hash: Some(session.page_hash),
            ..opened
        };
        self.by_id.insert(opened.id, opened.clone());
        self.by_id.insert(
            code.id,
            Credential {
                redeemed_at: Some(at),
                ..code
            },
        );
        Ok(Redemption::Opened(opened))
    }
}
