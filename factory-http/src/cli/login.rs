//! `factory login`: a link that opens the console in a browser.

use clap::Args;
use serde_json::json;

use super::watch::with_session;
use super::{Context, expect_answer};
use crate::control::{CredentialRequest, Request};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::credentials as screen;

#[derive(Debug, Args)]
pub(super) struct Login {
    /// Also shows the link as a QR code, for a phone
    #[arg(long)]
    qr: bool,
}

impl Login {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let request = Request::Credentials {
            request: CredentialRequest::Login,
        };
        let answer = with_session(context, async |_, session| session.ask(request).await).await?;
        let link = expect_answer!(answer, LoginLink)?;
        let url = link.expose();
        let code = if self.qr { Some(screen::qr(&url)?) } else { None };
        let value = json!({"url": url, "expires_at": link.expires_at});
        context.output.show(&value, || {
            let drawn = code.map(|code| format!("{code}\n")).unwrap_or_default();
            format!("{drawn}{url}\nIt opens one session, within ten minutes.")
        })?;
        Ok(Exit::Complete)
    }
}
