//! `factory list`: runs, newest first.

use std::collections::BTreeMap;

use clap::Args;
use factory_core::model::{RunId, RunStatus};
use serde_json::json;

use super::run::project_reference;
use super::{Context, expect_answer};
use crate::control::Request;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::table;

#[derive(Debug, Args)]
pub(super) struct List {
    /// Those with this status, as PAUSED or `AWAITING_APPROVAL`
    #[arg(long, value_parser = parse_status)]
    status: Option<RunStatus>,
    /// Those of this project: its name, its number, or the path of its repository
    #[arg(long)]
    project: Option<String>,
    /// Those older than this run: the next page
    #[arg(long, value_name = "RUN")]
    after: Option<RunId>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

impl List {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        let project = self.project.as_deref().map(project_reference).transpose()?;
        let filtered = project.is_some() || self.status.is_some() || self.after.is_some();
        let request = Request::Runs {
            project,
            status: self.status,
            after: self.after,
            limit: self.limit,
        };
        let runs = expect_answer!(context.look(request).await?, Runs)?;
        let names = project_names(context).await?;
        let more = (runs.len() == self.limit as usize)
            .then(|| runs.last().map(|run| run.id))
            .flatten();
        let factory = context.factory();
        let value = json!({"items": runs, "next_after": more});
        context.output.show(&value, || {
            if runs.is_empty() {
                return if filtered {
                    format!("no such run; `{factory} list` shows all")
                } else {
                    format!("no run yet; `{factory} run PROJECT \"what is to be done\"` files one")
                };
            }
            let name = |run: &factory_core::model::Run| names.get(&run.project_id?.0).cloned();
            let more = more.map(|last| format!("\nolder ones: {factory} list --after {last}"));
            table::runs(&runs, name) + &more.unwrap_or_default()
        })?;
        Ok(Exit::Complete)
    }
}

async fn project_names(context: &Context) -> Result<BTreeMap<i64, String>, Failure> {
    let request = Request::Projects {
        after: None,
        limit: 500,
    };
    let projects = expect_answer!(context.look(request).await?, Projects)?;
    Ok(projects
        .into_iter()
        .map(|project| (project.id.0, project.name))
        .collect())
}

fn parse_status(text: &str) -> Result<RunStatus, String> {
    let statuses = RunStatus::ALL.map(RunStatus::as_str).join(", ");
    text.to_uppercase()
        .replace('-', "_")
        .parse()
        .map_err(|_| format!("`{text}` is not a status; there are {statuses}"))
}
