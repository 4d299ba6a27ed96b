//! Who may ask: tokens, login codes and browser sessions, made, looked up and taken back.
//!
//! What holds is kept in memory beside the store, so that looking a secret up is a hash and one look into a map, and so
//! that taking one back acts at once, on what its holder has open too. The store is what survives.

mod held;
mod owner_token;
mod secret;
#[cfg(test)]
mod tests;
mod views;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use self::held::HeldCredentials;
use super::Factory;
use crate::error::Error;
use crate::journal::Journal;
use crate::model::{
    Credential, CredentialId, CredentialKind, NewCredential, NewSession, Role, SecretHash, Timestamp,
};
use crate::store::{CredentialFilter, Page, Redemption};

pub use held::Holder;
pub use views::{CodeRefused, CredentialView, IssuedCredential, NewToken, OpenedSession};

/// How long a login code may wait to be redeemed.
pub const LOGIN_CODE_WITHIN: Duration = Duration::from_mins(10);

/// How long a browser session lasts at most.
pub const SESSION_LASTS: Duration = Duration::from_hours(30 * 24);

/// How long a browser session may go unused.
pub const SESSION_IDLE: Duration = Duration::from_hours(7 * 24);

/// The most credentials that hold at the same time.
const MAX_HELD: usize = 2000;

/// The longest name in characters.
const MAX_NAME: usize = 64;

/// The credentials of a factory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Credentials {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    journal: Journal,
    operator: Arc<str>,
    token_file: std::path::PathBuf,
    held: Arc<HeldCredentials>,
    /// Held while credentials are made or taken back, so that the store and the memory change alike.
    changing: Mutex<()>,
}

impl Factory {
    /// Returns the credentials, read from the store when they are first asked for.
    pub async fn credentials(&self) -> Result<&Credentials, Error> {
        let load = async || {
            let reader = &self.inner.reader;
            let credentials = Credentials {
                inner: Arc::new(Inner {
                    journal: self.inner.journal.clone(),
                    operator: reader.settings.operator.as_str().into(),
                    token_file: reader.folder.token_file(),
                    held: Arc::default(),
                    changing: Mutex::default(),
                }),
            };
            credentials.refresh().await?;
            credentials.inner.held.end_what_lapses(&self.inner.journal);
            Ok(credentials)
        };
        self.inner.credentials.get_or_try_init(load).await
    }
}

impl Credentials {
    /// Returns who holds this token at this moment. Asks neither the store nor any other task.
    pub fn authenticate(&self, token: &str) -> Option<Holder> {
        self.inner.held.with_token(token, self.now())
    }

    /// Returns who holds this session at this moment: both secrets, the cookie's and the page's, must be its own. Counts
    /// as a use of the session.
    pub fn authenticate_session(&self, cookie: &str, page: &str) -> Option<Holder> {
        self.inner.held.with_session(cookie, page, self.now())
    }

    /// Returns who the operator is: the name of the owner's token, of login codes and of their sessions.
    pub fn operator(&self) -> &str {
        &self.inner.operator
    }

    /// Reads from the store what holds, and ends what no longer does. Needed again only where another process
    /// changes credentials too.
    pub async fn refresh(&self) -> Result<(), Error> {
        let _changing = self.inner.changing.lock().await;
        let holding = self.stored(CredentialFilter::HoldingAt(self.now())).await?;
        self.inner
            .held
            .replace(&holding, &self.inner.operator, self.now());
        Ok(())
    }

    /// Makes a token. [`Error::BadInput`] where the name cannot be used, [`Error::NameTaken`] where it is the operator's
    /// or that of a token that holds.
    pub async fn issue(&self, new: NewToken) -> Result<IssuedCredential, Error> {
        let _changing = self.inner.changing.lock().await;
        self.check_name(&new.name)?;
        if self.inner.held.tokens_named(&new.name).next().is_some() {
            return Err(Error::NameTaken(format!(
                "there is a token `{0}` already; take another name, or `factory token rotate {0}` replaces it",
                new.name
            )));
        }
        let expires_at = new.expires_in.map(|lifetime| self.now().after(lifetime));
        self.make(CredentialKind::Token, &new.name, new.role, expires_at)
            .await
    }

    /// Returns credentials in the order of their numbers, without their secrets.
    pub async fn list(&self, which: Listed, page: Page<CredentialId>) -> Result<Vec<CredentialView>, Error> {
        let filter = match which {
            Listed::All => CredentialFilter::All,
            Listed::Holding => CredentialFilter::HoldingAt(self.now()),
        };
        let found = self.inner.journal.store().credentials(filter, page).await?;
        Ok(found.iter().map(|credential| self.view(credential)).collect())
    }

    /// Takes back the credential with this number, or the token of this name with all sessions and codes of that name,
    /// and returns them. What their holders have open ends now, whether or not the store can say so too.
    /// [`Error::UnknownToken`] where there is none, [`Error::BadInput`] for the owner's token, which can only be replaced.
    pub async fn revoke(&self, reference: &str) -> Result<Vec<CredentialView>, Error> {
        let _changing = self.inner.changing.lock().await;
        let number = reference.parse::<CredentialId>().ok();
        let mut found = self.stored(CredentialFilter::HoldingAt(self.now())).await?;
        found.retain(|credential| match number {
            Some(id) => credential.id == id,
            None => credential.name == reference && credential.kind != CredentialKind::Owner,
        });
        if found
            .iter()
            .any(|credential| credential.kind == CredentialKind::Owner)
            || (found.is_empty() && *self.inner.operator == *reference)
        {
            return Err(Error::BadInput(
                "the owner's token cannot be taken back; `factory token rotate` replaces it".to_owned(),
            ));
        }
        if found.is_empty() {
            let shown: String = reference.chars().take(80).collect();
            return Err(Error::UnknownToken(format!(
                "no token `{}` holds; `factory token list` shows those that do",
                shown.escape_debug()
            )));
        }
        let mut revoked = Vec::new();
        for credential in found {
            revoked.push(self.take_back(credential.id, &credential.hash).await?);
        }
        Ok(revoked)
    }

    /// Ends a session by what its holder was found to be.
    pub async fn log_out(&self, holder: &Holder) -> Result<(), Error> {
        let _changing = self.inner.changing.lock().await;
        self.take_back(holder.id, &holder.hash).await?;
        Ok(())
    }

    /// Replaces a token: another of the same name and role that lasts as long as the first was to last. The old one
    /// no longer holds. Without a name the owner's, whose file is written anew. [`Error::UnknownToken`] where no token of
    /// this name holds.
    pub async fn rotate(&self, name: Option<&str>) -> Result<IssuedCredential, Error> {
        let _changing = self.inner.changing.lock().await;
        let Some(name) = name else {
            return self.replace_owner_token().await;
        };
        let Some(old) = self.inner.held.tokens_named(name).next() else {
            let shown: String = name.chars().take(80).collect();
            return Err(Error::UnknownToken(format!(
                "no token `{}` holds; `factory token add NAME` makes one",
                shown.escape_debug()
            )));
        };
        let now = self.now();
        let expires_at = old
            .expires_at
            .map(|expires| now.after(expires.since(old.created_at)));
        let issued = self
            .make(CredentialKind::Token, name, old.role, expires_at)
            .await?;
        self.take_back(old.id, &old.hash).await?;
        Ok(issued)
    }

    /// Makes a code that opens one browser session of the operator, once, within [`LOGIN_CODE_WITHIN`].
    pub async fn make_login_code(&self) -> Result<IssuedCredential, Error> {
        let _changing = self.inner.changing.lock().await;
        let expires_at = self.now().after(LOGIN_CODE_WITHIN);
        let operator = Arc::clone(&self.inner.operator);
        self.make(
            CredentialKind::LoginCode,
            &operator,
            Role::Admin,
            Some(expires_at),
        )
        .await
    }

    /// Opens the session that a login code is for. The code is used up by it.
    pub async fn redeem(&self, code: &str) -> Result<Result<OpenedSession, CodeRefused>, Error> {
        let _changing = self.inner.changing.lock().await;
        let now = self.now();
        let (cookie, page) = (secret::random()?, secret::random()?);
        let session = NewSession {
            hash: cookie.hash(),
            page_hash: page.hash(),
            expires_at: now.after(SESSION_LASTS),
        };
        let code = SecretHash::of(code);
        let redeemed = self
            .inner
            .journal
            .store()
            .redeem_login_code(&code, session, now)
            .await?;
        let credential = match redeemed {
            Redemption::Opened(credential) => credential,
            Redemption::Unknown => return Ok(Err(CodeRefused::Unknown)),
            Redemption::Used => return Ok(Err(CodeRefused::Used)),
            Redemption::Over => return Ok(Err(CodeRefused::Over)),
        };
        self.inner.held.end(&code);
        self.inner.held.add(&credential, &self.inner.operator, now);
        tracing::info!(name = %credential.name, id = %credential.id, "a browser session was opened");
        Ok(Ok(OpenedSession {
            credential: self.view(&credential),
            cookie,
            page,
        }))
    }

    async fn make(
        &self,
        kind: CredentialKind,
        name: &str,
        role: Role,
        expires_at: Option<Timestamp>,
    ) -> Result<IssuedCredential, Error> {
        let now = self.now();
        self.inner.held.lapse(now);
        if self.inner.held.len() >= MAX_HELD {
            return Err(Error::BadInput(format!(
                "there are {MAX_HELD} tokens and sessions already; `factory token list` shows them, `factory token \
                 revoke NAME` ends what is no longer needed"
            )));
        }
        let secret = match kind {
            CredentialKind::Owner | CredentialKind::Token => secret::token()?,
            CredentialKind::LoginCode | CredentialKind::Session => secret::random()?,
        };
        let new = NewCredential {
            kind,
            name: name.to_owned(),
            role,
            hash: secret.hash(),
            created_at: now,
            expires_at,
        };
        let credential = self.inner.journal.store().add_credential(new).await?;
        self.inner.held.add(&credential, &self.inner.operator, now);
        tracing::info!(%kind, name, %role, id = %credential.id, "a credential was made");
        Ok(IssuedCredential {
            credential: self.view(&credential),
            secret,
        })
    }

    /// In memory first: what cannot be stored ends nevertheless.
    async fn take_back(&self, id: CredentialId, hash: &SecretHash) -> Result<CredentialView, Error> {
        self.inner.held.end(hash);
        let store = self.inner.journal.store();
        let credential = store.revoke_credential(id, self.now()).await?;
        tracing::info!(kind = %credential.kind, name = %credential.name, %id, "a credential was taken back");
        Ok(self.view(&credential))
    }

    /// Returns all that is stored and passes the filter.
    async fn stored(&self, filter: CredentialFilter) -> Result<Vec<Credential>, Error> {
        let mut page = Page::first(Page::<CredentialId>::MAX);
        let mut found: Vec<Credential> = Vec::new();
        loop {
            let next = self.inner.journal.store().credentials(filter, page).await?;
            let Some(last) = next.last().map(|credential| credential.id) else {
                return Ok(found);
            };
            found.extend(next);
            page = Page::after(last, Page::<CredentialId>::MAX);
        }
    }

    fn check_name(&self, name: &str) -> Result<(), Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
        let begins = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
        if !begins || name.len() > MAX_NAME || !name.chars().all(plain) {
            let shown: String = name.chars().take(80).collect();
            return Err(Error::BadInput(format!(
                "`{}` is no name of a token; it begins with a letter and has up to {MAX_NAME} letters, digits, dots, \
                 hyphens, underscores and @",
                shown.escape_debug()
            )));
        }
        if name.eq_ignore_ascii_case(&self.inner.operator) {
            return Err(Error::NameTaken(format!(
                "`{name}` is the operator's own name, under which events are recorded; take another"
            )));
        }
        Ok(())
    }

    fn view(&self, credential: &Credential) -> CredentialView {
        CredentialView::new(credential, &self.inner.operator, self.now())
    }

    fn now(&self) -> Timestamp {
        self.inner.journal.now()
    }
}

/// Which credentials a list is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listed {
    /// Those that hold now.
    Holding,
    /// All there ever were.
    All,
}
