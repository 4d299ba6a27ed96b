//! Trying a result: commands in the sandbox on what a run committed, with further files laid over it.

use tokio_util::sync::CancellationToken;

use super::{CommandReport, Factory, LaidFile};
use crate::agent::{self, Place};
use crate::error::Error;
use crate::model::RunId;
use crate::workspace::{Executable, Files, FilesError};

impl Factory {
    /// Runs commands on the tree of the commit that the run published, up to the first that fails. `over` are files
    /// that are laid over the tree, in place of what stands there. It happens in a checkout of its own that is removed
    /// again; the run and the operator's repository are not touched.
    ///
    /// [`Error::Conflict`] where the run published no commit, or where a file cannot be laid over its tree.
    pub async fn try_commit(
        &self,
        run: RunId,
        over: Vec<LaidFile>,
        commands: &[String],
    ) -> Result<Vec<CommandReport>, Error> {
        let conflict = |detail: String| Error::Conflict { run, detail };
        let row = self.inner.reader.row(run).await?;
        let (Some(project), Some(base), Some(commit)) = (row.project_id, row.base_commit, row.commit) else {
            return Err(conflict("it published no commit that could be tried".to_owned()));
        };
        let project = self.inner.journal.store().project(project).await?;
        let ground = self.inner.reader.ground(project).await;
        let stop = CancellationToken::new();
        // Dropping this future ends what runs.
        let _ends = stop.clone().drop_guard();
        let base = ground.vcs.tree_of(&ground.store(), &base).await?;
        let tree = ground.vcs.tree_of(&ground.store(), &commit).await?;
        let prepared = ground.environment(&base, &stop).await?;
        let place = Place::new(ground.root.join(format!("try-{run}")));
        super::make_folder(place.root().to_owned()).await?;
        let tried = async {
            ground.lay(&place, &tree, prepared.layer.as_ref(), &stop).await?;
            lay_over(place.checkout().dir, over)
                .await?
                .map_err(|error| conflict(crate::chain::chain(&error)))?;
            ground.check(&place, commands, &stop).await
        };
        let tried = tried.await;
        if let Err(error) = agent::remove(place.root().to_owned()).await {
            tracing::warn!(run = %run, %error, "the folder of a trial could not be removed");
        }
        Ok(tried?.into_iter().map(CommandReport::from).collect())
    }
}

/// Writes the files beneath a held handle, so that a link in the tree leads nowhere else.
async fn lay_over(dir: std::path::PathBuf, over: Vec<LaidFile>) -> Result<Result<(), FilesError>, Error> {
    let laid = tokio::task::spawn_blocking(move || {
        let files = Files::open(&dir)?;
        over.iter()
            .try_for_each(|file| files.write(&file.path, &file.content, Executable::from(file.executable)))
    });
    laid.await.map_err(|error| Error::Internal(error.to_string()))
}
