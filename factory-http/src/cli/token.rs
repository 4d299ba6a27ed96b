//! `factory token`: who may ask the server, and with what right.

use std::time::Duration;

use clap::{Args, Subcommand};
use factory_core::factory::credentials::{IssuedCredential, Listed, NewToken};
use factory_core::model::{BudgetLimit, CredentialId, Role};
use serde_json::json;

use super::watch::with_session;
use super::{Context, expect_answer};
use crate::control::{Answer, CredentialRequest, Request};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::amount::parse_time;
use crate::render::{credentials as screen, output, sanitize};

#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes a token for another program or person, and shows it this once
    Add(Add),
    /// Lists the tokens and browser sessions that hold
    List(List),
    /// Takes a token back, with the sessions of that name; what they have open ends
    Revoke(Revoke),
    /// Replaces a token by another of the same name and role; yours where none is named
    Rotate(Rotate),
}

#[derive(Debug, Args)]
struct Add {
    /// Its name, under which events are recorded
    name: String,
    /// What it allows: viewer (look), operator (file and steer runs), admin (set what commands run, and where)
    #[arg(long, value_parser = parse_role, default_value = "operator")]
    role: Role,
    /// After how long it lapses, as 12h or 30d, or `never`
    #[arg(long, value_name = "TIME", value_parser = parse_lifetime, default_value = "never")]
    expires: Lifetime,
}

#[derive(Debug, Args)]
struct List {
    /// Also those that lapsed, were revoked or were used up
    #[arg(long)]
    all: bool,
    /// Those after this number: the next page
    #[arg(long, value_name = "NUMBER")]
    after: Option<CredentialId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The token's name, or the number of a token or session
    #[arg(value_name = "NAME")]
    reference: String,
}

#[derive(Debug, Args)]
struct Rotate {
    /// The token's name
    name: Option<String>,
}

/// How long a token holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lifetime {
    Never,
    After(Duration),
}

impl Token {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        match self.command {
            None => {
                let answer = ask(context, CredentialRequest::OwnerToken).await?;
                let token = expect_answer!(answer, OwnerToken)?;
                let value = json!({"token": token});
                context.output.show(&value, || token.expose().to_owned())?;
            }
            Some(Command::Add(add)) => {
                let new = NewToken {
                    name: add.name,
                    role: add.role,
                    expires_in: match add.expires {
                        Lifetime::Never => None,
                        Lifetime::After(time) => Some(time),
                    },
                };
                let issued = ask(context, CredentialRequest::Add { new }).await?;
                show_issued(context, &*expect_answer!(issued, Issued)?)?;
            }
            Some(Command::Rotate(rotate)) => {
                let issued = ask(context, CredentialRequest::Rotate { name: rotate.name }).await?;
                show_issued(context, &*expect_answer!(issued, Issued)?)?;
            }
            Some(Command::List(list)) => show_list(context, list).await?,
            Some(Command::Revoke(revoke)) => {
                let reference = revoke.reference;
                let revoked = ask(context, CredentialRequest::Revoke { reference }).await?;
                let revoked = expect_answer!(revoked, Credentials)?;
                context
                    .output
                    .show(&json!({"revoked": revoked}), || screen::revoked(&revoked))?;
            }
        }
        Ok(Exit::Complete)
    }
}

async fn show_list(context: &mut Context, list: List) -> Result<(), Failure> {
    let which = if list.all { Listed::All } else { Listed::Holding };
    let request = CredentialRequest::List {
        which,
        after: list.after,
        limit: list.limit,
    };
    let found = expect_answer!(ask(context, request).await?, Credentials)?;
    let more = (found.len() == list.limit as usize)
        .then(|| found.last().map(|credential| credential.id))
        .flatten();
    let factory = context.factory();
    context
        .output
        .show(&json!({"items": found, "next_after": more}), || {
            if found.is_empty() {
                return format!("no token yet; `{factory} token add NAME` makes one");
            }
            let more = more.map(|last| format!("\nmore: {factory} token list --after {last}"));
            screen::table(&found) + &more.unwrap_or_default()
        })
}

/// Shows the secret alone on standard output, where a script can take it.
fn show_issued(context: &mut Context, issued: &IssuedCredential) -> Result<(), Failure> {
    context
        .output
        .show(issued, || issued.secret.expose().to_owned())?;
    if context.output.form() == output::Form::Text {
        output::remark(&sanitize::line(&screen::issued(&issued.credential)));
    }
    Ok(())
}

async fn ask(context: &mut Context, request: CredentialRequest) -> Result<Answer, Failure> {
    let request = Request::Credentials { request };
    with_session(context, async |_, session| session.ask(request).await).await
}

fn parse_role(text: &str) -> Result<Role, String> {
    text.parse()
        .map_err(|error: factory_core::model::InvalidId| error.to_string())
}

fn parse_lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime::Never);
    }
    match parse_time(text) {
        Ok(BudgetLimit::AtMost(milliseconds @ 1..)) => {
            Ok(Lifetime::After(Duration::from_millis(milliseconds)))
        }
        _ => Err(format!("`{text}` is not a time such as 12h or 30d, nor `never`")),
    }
}
