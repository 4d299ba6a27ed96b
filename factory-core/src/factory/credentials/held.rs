//! The credentials that hold, in memory, by the hash of their secret.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use super::SESSION_IDLE;
use super::views::acting_name;
use crate::journal::Journal;
use crate::model::{Credential, CredentialId, CredentialKind, Role, SecretHash, Timestamp};

/// How often it is looked for what has lapsed. What is asked anew is refused from the very moment on; this is for what
/// is open.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Whoever showed a credential that holds.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The credential's number.
    pub id: CredentialId,
    /// What the credential is for.
    pub kind: CredentialKind,
    /// Under which name the holder acts.
    pub name: Arc<str>,
    /// What the holder may do.
    pub role: Role,
    /// When the credential was made.
    pub created_at: Timestamp,
    /// When it lapses by itself.
    pub expires_at: Option<Timestamp>,
    /// Cancelled once the credential no longer holds.
    pub ended: CancellationToken,
    pub(super) hash: SecretHash,
}

#[derive(Debug)]
struct Held {
    holder: Holder,
    page_hash: Option<SecretHash>,
    /// When a session was used last, in seconds since 1970. Not stored: a restart counts as a use.
    last_used: AtomicI64,
}

impl Held {
    fn holds_at(&self, now: Timestamp) -> bool {
        let in_time = self.holder.expires_at.is_none_or(|expires| now < expires);
        let idle = seconds(now).saturating_sub(self.last_used.load(Ordering::Relaxed));
        let in_use =
            self.holder.kind != CredentialKind::Session || idle < SESSION_IDLE.as_secs().cast_signed();
        in_time && in_use && !self.holder.ended.is_cancelled()
    }
}

/// The credentials that hold.
#[derive(Debug, Default)]
pub(super) struct HeldCredentials {
    by_hash: RwLock<HashMap<SecretHash, Arc<Held>>>,
}

impl HeldCredentials {
    /// Returns who holds this token.
    pub(super) fn with_token(&self, token: &str, now: Timestamp) -> Option<Holder> {
        let held = self.find(token, now)?;
        matches!(held.holder.kind, CredentialKind::Owner | CredentialKind::Token).then(|| held.holder.clone())
    }

    /// Returns who holds this session.
    pub(super) fn with_session(&self, cookie: &str, page: &str, now: Timestamp) -> Option<Holder> {
        let held = self.find(cookie, now)?;
        let page_hash = held.page_hash?;
        let same = SecretHash::of(page).as_bytes().ct_eq(page_hash.as_bytes());
        if held.holder.kind != CredentialKind::Session || !bool::from(same) {
            return None;
        }
        held.last_used.store(seconds(now), Ordering::Relaxed);
        Some(held.holder.clone())
    }

    /// The map is searched by the hash, of which a guesser can steer nothing: how long it takes says nothing of the
    /// secret. What is found is compared in constant time all the same.
    fn find(&self, secret: &str, now: Timestamp) -> Option<Arc<Held>> {
        let hash = SecretHash::of(secret);
        let held = self.read().get(&hash).cloned()?;
        let same = hash.as_bytes().ct_eq(held.holder.hash.as_bytes());
        (bool::from(same) && held.holds_at(now)).then_some(held)
    }

    /// Returns the tokens of that name; the owner's is none of them.
    pub(super) fn tokens_named(&self, name: &str) -> impl Iterator<Item = Holder> + use<> {
        let tokens: Vec<_> = self
            .holders()
            .filter(|holder| holder.kind == CredentialKind::Token && *holder.name == *name)
            .collect();
        tokens.into_iter()
    }

    /// Returns everybody.
    pub(super) fn holders(&self) -> impl Iterator<Item = Holder> + use<> {
        let holders: Vec<_> = self.read().values().map(|held| held.holder.clone()).collect();
        holders.into_iter()
    }

    pub(super) fn len(&self) -> usize {
        self.read().len()
    }

    pub(super) fn add(&self, credential: &Credential, operator: &str, now: Timestamp) {
        self.write()
            .insert(credential.hash, Arc::new(held(credential, operator, now)));
    }

    /// Ends a credential and what its holder has open.
    pub(super) fn end(&self, hash: &SecretHash) {
        if let Some(held) = self.write().remove(hash) {
            held.holder.ended.cancel();
        }
    }

    /// Takes what the store says holds. What is known already goes on.
    pub(super) fn replace(&self, holding: &[Credential], operator: &str, now: Timestamp) {
        let mut by_hash = self.write();
        let mut before = std::mem::take(&mut *by_hash);
        for credential in holding {
            let known = before.remove(&credential.hash);
            by_hash.insert(
                credential.hash,
                known.unwrap_or_else(|| Arc::new(held(credential, operator, now))),
            );
        }
        for gone in before.into_values() {
            gone.holder.ended.cancel();
        }
    }

    /// Ends what has lapsed.
    pub(super) fn lapse(&self, now: Timestamp) {
        self.write().retain(|_, held| {
            let holds = held.holds_at(now);
            if !holds {
                held.holder.ended.cancel();
            }
            holds
        });
    }

    /// Ends what lapses from now on, for as long as the credentials are there.
    pub(super) fn end_what_lapses(self: &Arc<Self>, journal: &Journal) {
        let credentials: Weak<Self> = Arc::downgrade(self);
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut wait = LOOK_AGAIN;
            loop {
                tokio::time::sleep(wait).await;
                let Some(credentials) = credentials.upgrade() else {
                    return;
                };
                let now = journal.now();
                credentials.lapse(now);
                // The machine's clock goes on while it sleeps and timers do not, so that no wait is long.
                let next = credentials.holders().filter_map(|holder| holder.expires_at).min();
                wait = next.map_or(LOOK_AGAIN, |next| next.since(now).min(LOOK_AGAIN));
                wait = wait.max(Duration::from_millis(10));
            }
        });
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<SecretHash, Arc<Held>>> {
        // The map is changed by single calls, so a panic elsewhere leaves it whole.
        self.by_hash.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<SecretHash, Arc<Held>>> {
        self.by_hash.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn held(credential: &Credential, operator: &str, now: Timestamp) -> Held {
    Held {
        holder: Holder {
            id: credential.id,
            kind: credential.kind,
            name: acting_name(credential, operator).into(),
            role: credential.role,
            created_at: credential.created_at,
            expires_at: credential.expires_at,
            ended: CancellationToken::new(),
            hash: credential.hash,
        },
        page_hash: credential.page_hash,
        last_used: AtomicI64::new(seconds(now)),
    }
}

fn seconds(moment: Timestamp) -> i64 {
    moment.to_offset_date_time().unix_timestamp()
}
