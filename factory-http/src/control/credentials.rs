//! Tokens and login links, asked for over the control socket: whoever may open it owns the data folder.

use factory_core::Factory;
use factory_core::model::{CredentialSecret, Timestamp};
use factory_core::store::Page;
use serde::{Deserialize, Serialize};

use super::console_url::ConsoleUrl;
use super::request::{Answer, CredentialRequest};
use crate::failure::Failure;

/// A link that opens one browser session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoginLink {
    /// The page, without the code.
    page: String,
    /// What stands behind `#`.
    code: CredentialSecret,
    /// Until when it is good.
    pub(crate) expires_at: Option<Timestamp>,
}

impl LoginLink {
    /// Returns the link, to be shown to whoever asked for it. The code is in the part that browsers do not send.
    pub(crate) fn expose(&self) -> String {
        format!("{}#{}", self.page, self.code.expose())
    }
}

pub(super) async fn execute(
    factory: &Factory,
    console: &ConsoleUrl,
    request: CredentialRequest,
) -> Result<Answer, Failure> {
    let credentials = factory.credentials().await?;
    Ok(match request {
        CredentialRequest::OwnerToken => Answer::OwnerToken(credentials.owner_token().await?),
        CredentialRequest::List { which, after, limit } => {
            Answer::Credentials(credentials.list(which, Page { after, limit }).await?)
        }
        CredentialRequest::Add { new } => Answer::Issued(Box::new(credentials.issue(new).await?)),
        CredentialRequest::Revoke { reference } => Answer::Credentials(credentials.revoke(&reference).await?),
        CredentialRequest::Rotate { name } => {
            Answer::Issued(Box::new(credentials.rotate(name.as_deref()).await?))
        }
        CredentialRequest::Login => {
            let Some(url) = console.get() else {
                return Err(
                    Failure::failed("no server runs here that a browser could log in to").with_remedy(
                        "`factory serve` starts it; then say `factory login` again in another terminal",
                    ),
                );
            };
            let made = credentials.make_login_code().await?;
            Answer::LoginLink(Box::new(LoginLink {
                page: format!("{url}/login"),
                code: made.secret,
                expires_at: made.credential.expires_at,
            }))
        }
    })
}
