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

#[cfg(test)]
mod tests {
    use factory_core::{HostEnvironment, Settings};

    use super::*;

    #[tokio::test]
    async fn a_login_link_leads_to_the_announced_console_and_opens_one_session() {
        let folder = tempfile::tempdir().unwrap();
        let host = HostEnvironment {
            variables: std::env::vars().collect(),
            home: folder.path().into(),
        };
        let factory = Factory::open(Settings::new(folder.path().join("data"), host))
            .await
            .unwrap();
        let console = ConsoleUrl::default();
        let refused = execute(&factory, &console, CredentialRequest::Login).await;
        assert!(refused.unwrap_err().remedy.unwrap().contains("factory serve"));
        console.announce("https://factory.example.org".to_owned());
        let answer = execute(&factory, &console, CredentialRequest::Login)
            .await
            .unwrap();
        assert!(!format!("{answer:?}").contains('#'), "{answer:?}");
        let Answer::LoginLink(link) = answer else {
            panic!("{answer:?}")
        };
        let link = link.expose();
        let code = link.strip_prefix("https://factory.example.org/login#").unwrap();
        assert_eq!(code.len(), 43);
        let credentials = factory.credentials().await.unwrap();
        assert!(credentials.redeem(code).await.unwrap().is_ok());
        assert!(credentials.redeem(code).await.unwrap().is_err());
        factory.shutdown().await;
    }
}
