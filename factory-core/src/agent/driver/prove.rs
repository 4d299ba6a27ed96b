//! Proving a result: the checks run on the exact tree that is offered, in a second checkout that holds nothing else
//! but the setup's results. What the agent left beside the tree (ignored files, its home) is not there.

use std::time::Instant;

use tracing::Instrument as _;

use super::prepare::denied;
use super::{Driver, Then};
use crate::agent::ground::Checked;
use crate::agent::sensitive::sensitive_paths;
use crate::error::Error;
use crate::gate::Closing;
use crate::journal::Entry;
use crate::model::payload::{CheckFinished, CheckResult, CheckStarted};
use crate::model::{NewEvent, TreeId};
use crate::spans;
use crate::store::Blob;

/// How much of a failed setup's output is told, in bytes.
const SETUP_OUTPUT: usize = 4 << 10;

impl Driver {
    pub(super) async fn prove(&mut self) -> Result<Then, Error> {
        let store = self.equipment.ground.store();
        let vcs = self.equipment.ground.vcs.clone();
        let snapshot = vcs.snapshot(&store, &self.equipment.place().checkout()).await?;
        let commands = self.checks().to_vec();
        let started = CheckStarted {
            round: self.state.rounds + 1,
            tree: snapshot.tree.clone(),
            commands: commands.clone(),
        };
        let mut events = denied(&snapshot.left_out);
        events.push(NewEvent::system(started.clone()));
        let Some(pass) = self.intend(Entry::of(events)).await? else {
            return Ok(Then::GoOn);
        };
        drop(pass);
        let begun = Instant::now();
        let (results, outputs) = if commands.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            match self.run_checks(&snapshot.tree, &commands).await? {
                Some(ended) => ended,
                None => return Ok(Then::GoOn),
            }
        };
        let sensitive = match self.state.base_tree() {
            Some(base) => {
                let diff = vcs.diff(&store, base, &snapshot.tree, &[]).await?;
                sensitive_paths(&diff, &commands, &self.equipment.ground.project.settings)
            }
            None => Vec::new(),
        };
        let finished = CheckFinished {
            round: started.round,
            tree: snapshot.tree,
            green: !results.is_empty() && results.iter().all(|result| result.ok),
            results,
            sensitive,
            work_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.record(Entry::one(NewEvent::system(finished)).with_blobs(outputs))
            .await?;
        Ok(Then::GoOn)
    }

    /// Runs the commands on the tree. None where the round was not begun because of a pause, or killed by a stop: such
    /// a round proves nothing, and a run that goes on has it again.
    async fn run_checks(
        &self,
        tree: &TreeId,
        commands: &[String],
    ) -> Result<Option<(Vec<CheckResult>, Vec<Blob>)>, Error> {
        let ground = &self.equipment.ground;
        let proof = self.equipment.proof();
        let stop = self.gate.stopped();
        // The setup's results are those of the base: a result cannot bring its own.
        let base = self.state.base_tree().unwrap_or(tree);
        let prepared = ground.environment(base, stop).await?;
        if !prepared.ok {
            // Red for want of its setup would say nothing of the result.
            return Err(Error::Conflict {
                run: self.run,
                detail: format!(
                    "the kept result of the project's setup is gone, and the setup failed when it was run again:\n{}",
                    crate::tools::bounded(&prepared.output, SETUP_OUTPUT)
                ),
            });
        }
        super::prepare::make_folder(proof.root()).await?;
        ground.lay(&proof, tree, prepared.layer.as_ref(), stop).await?;
        let mut results = Vec::new();
        let mut outputs = Vec::new();
        for command in commands {
            // A pause lets a round end that has begun.
            let firmness = if results.is_empty() {
                Closing::Release
            } else {
                Closing::Stop
            };
            let Ok(pass) = self.gate.pass_below(firmness).await else {
                return Ok(None);
            };
            let running = ground.start_check(&proof, command).await?;
            drop(pass);
            let span = spans::check(self.state.rounds + 1, results.len() + 1);
            let outcome = running.wait(stop).instrument(span.clone()).await;
            if stop.is_cancelled() {
                return Ok(None);
            }
            let checked = Checked {
                command: command.clone(),
                outcome,
            };
            let (ok, work_ms) = (checked.ok(), checked.work_ms());
            spans::checked(&span, ok);
            let output = Blob::new(checked.outcome.output.into_bytes());
            results.push(CheckResult {
                command: checked.command,
                ok,
                ended: checked.outcome.exit.to_string(),
                output: output.id().clone(),
                work_ms,
            });
            outputs.push(output);
            if !ok {
                break;
            }
        }
        // What the checks left is of no use to anyone, and the next round makes the place anew if this fails.
        let _ = crate::agent::remove(proof.root().to_owned()).await;
        Ok(Some((results, outputs)))
    }
}
