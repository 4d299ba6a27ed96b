//! `factory shell`: a shell in a run's sandbox, on a copy of its newest files.

use clap::Args;
use factory_core::Reader;
use factory_core::factory::Workbench;
use factory_core::model::RunId;
use factory_core::sandbox::Exit as Ended;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Context, expect_answer};
use crate::control::Request;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::output::{self, Form};
use crate::terminal::{Relay, own_streams};

/// What runs where there is a terminal: the best shell there is, as the leader of a session that has the terminal, so
/// that Ctrl-C and job control work.
const INTERACTIVE: &str = r#"
shell=/bin/sh; [ -x /bin/bash ] && shell=/bin/bash
unset CI
if command -v setsid >/dev/null 2>&1; then exec setsid -c "$shell" -i; fi
exec "$shell" -i
"#;

/// What runs where there is none: a shell that reads its commands.
const FED: &str = r"
shell=/bin/sh; [ -x /bin/bash ] && shell=/bin/bash
exec $shell -s
";

#[derive(Debug, Args)]
pub(super) struct Shell {
    /// The run's number; the run itself is never changed by what is done there
    run: RunId,
}

/// How a shell ended.
#[derive(Debug, Serialize)]
struct Said {
    run_id: RunId,
    /// The tree that was laid.
    tree: String,
    ok: bool,
    ended: String,
}

impl Shell {
    pub(super) async fn run(self, context: &mut Context) -> Result<Exit, Failure> {
        // Says in the usual words where there is no such run, and brings an old database up to date.
        expect_answer!(context.look(Request::Show { run: self.run }).await?, View)?;
        let reader = Reader::open(context.settings.clone()).await?;
        let workbench = reader.lay_workbench(self.run).await?;
        let tree = workbench.tree().to_string();
        output::remark(&format!(
            "a copy of run {}, tree {tree}; nothing that is done here reaches the run, and it is removed at the end",
            self.run
        ));
        if !workbench.is_set_up() {
            output::remark("the project's setup fails, so what it installs is not there");
        }
        let is_interactive = context.terminal.asks && context.output.form() == Form::Text;
        let ended = self.open(context, &workbench, is_interactive).await;
        workbench.clear().await;
        let ended = ended?;
        let ok = ended == Ended::Code(0);
        let said = Said {
            run_id: self.run,
            tree,
            ok,
            ended: ended.to_string(),
        };
        if context.output.form() == Form::Json {
            context.output.show(&said, String::new)?;
        } else if !ok && !is_interactive {
            output::remark(&format!("the shell ended: {}", said.ended));
        }
        // A person's last command says nothing of the session.
        Ok(if ok || is_interactive {
            Exit::Complete
        } else {
            Exit::Failed
        })
    }

    async fn open(
        &self,
        context: &mut Context,
        workbench: &Workbench,
        is_interactive: bool,
    ) -> Result<Ended, Failure> {
        let cannot = |error: std::io::Error| Failure::caused("the terminal cannot be passed on", &error);
        let interrupts = context.interrupts()?;
        let stop = CancellationToken::new();
        let stopped = {
            let stop = stop.clone();
            tokio::spawn(async move {
                interrupts.first().await;
                stop.cancel();
            })
        };
        let ended = if is_interactive {
            let term = context.environment.variable("TERM").unwrap_or("dumb");
            let script = format!("{}{INTERACTIVE}", variables(self.run, term));
            let (relay, streams) = Relay::make().map_err(cannot)?;
            let command = workbench.start(&script, streams).await?;
            relay.until(command.wait(&stop)).await.map_err(cannot)?
        } else {
            let streams = own_streams(context.output.form() == Form::Text).map_err(cannot)?;
            workbench.start(FED, streams).await?.wait(&stop).await
        };
        stopped.abort();
        Ok(ended)
    }
}

/// Returns the lines that tell the shell its terminal and its prompt.
fn variables(run: RunId, term: &str) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+' | '_');
    let term: String = term.chars().filter(|c| is_name(*c)).collect();
    format!("export TERM='{term}' PS1='run {run}:\\w\\$ '\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminals_name_is_no_script() {
        assert_eq!(
            variables(RunId(3), "xterm-256color'; touch x; '"),
            "export TERM='xterm-256colortouchx' PS1='run 3:\\w\\$ '\n"
        );
    }
}
