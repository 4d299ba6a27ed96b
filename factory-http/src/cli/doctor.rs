//! `factory doctor`: what works here, on one screen.

use clap::Args;
use factory_core::factory::Finding;

use super::watch::with_session;
use super::{Context, expect_answer};
use crate::control::{Request, has_database, own_uid};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::table;

#[derive(Debug, Args)]
pub(super) struct Doctor {}

impl Doctor {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let mut findings = match ask(context).await {
            Ok(findings) => findings,
            // That the data folder cannot be opened is what the operator wants to be told here.
            Err(failure) => vec![cannot_open(failure)],
        };
        if own_uid() == 0 && !findings.iter().any(|finding| finding.subject == "user") {
            findings.push(Finding {
                subject: "user".to_owned(),
                ok: true,
                found: "you are root: a hole in the sandbox would be a hole in the whole machine".to_owned(),
                remedy: Some("work as an ordinary user".to_owned()),
            });
        }
        context.output.show(&findings, || table::findings(&findings))?;
        let healthy = findings.iter().all(|finding| finding.ok);
        Ok(if healthy { Exit::Complete } else { Exit::Failed })
    }
}

async fn ask(context: &mut Context) -> Result<Vec<Finding>, Failure> {
    let answer = if has_database(&context.settings) {
        context.look(Request::Doctor).await?
    } else {
        // The first look at a new machine also shows whether the data folder can be made.
        with_session(context, async |_, session| session.ask(Request::Doctor).await).await?
    };
    expect_answer!(answer, Findings)
}

fn cannot_open(failure: Failure) -> Finding {
    let mut found = failure.message;
    for cause in failure.causes {
        found.push_str(": ");
        found.push_str(&cause);
    }
    Finding {
        subject: "data folder".to_owned(),
        ok: false,
        found,
        remedy: failure.remedy,
    }
}
