//! Filing a run: everything that can be wrong with it is found before it is stored.

use std::path::Path;

use super::{Factory, Submit};
use crate::error::Error;
use crate::llm::spec::of_file;
use crate::model::payload::RunCreated;
use crate::model::{EventKind, NewEvent, Project, Run, RunSpec};
use crate::store::NewRun;

impl Factory {
    /// Files a run as QUEUED and starts nothing. The commit that it starts from is resolved and copied now, so that
    /// nothing that happens to the repository later changes what the run works on.
    ///
    /// [`Error::BadInput`] for a goal that is empty or longer than [`Submit::MAX_GOAL`],
    /// [`Error::UnknownProject`], [`Error::Llm`] for a model that cannot be opened, [`Error::Vcs`] for a ref that
    /// leads nowhere. In all of these nothing is stored.
    pub async fn submit(&self, submit: Submit) -> Result<Run, Error> {
        let project = self.inner.reader.project(&submit.project).await?;
        let spec = match &submit.spec.origin {
            Some(origin) => self.continued(&project, &submit, origin).await?,
            // A caller names a ref and never a commit: the factory resolves it.
            None => RunSpec {
                base: None,
                ..submit.spec.clone()
            },
        };
        self.file(&project, submit.goal, spec, submit.priority).await
    }

    /// Files a run of a project. Where the spec has no base, its ref is resolved.
    pub(super) async fn file(
        &self,
        project: &Project,
        goal: String,
        mut spec: RunSpec,
        priority: i64,
    ) -> Result<Run, Error> {
        let goal = checked_goal(&goal)?;
        if let Some((begin, file)) = of_file(&spec.model) {
            // The run may be resumed from another folder.
            let absolute = std::path::absolute(Path::new(file));
            let absolute = absolute.map_err(|source| Error::Io {
                action: "find the model's file",
                path: file.into(),
                source,
            })?;
            spec.model = format!("{begin}{}", absolute.display());
        }
        let reader = &self.inner.reader;
        reader.models.open(&spec.model)?;
        let repository = &project.local_path;
        let base = if let Some(base) = spec.base.take() {
            base
        } else {
            let name = spec.base_ref.as_deref().or(project.settings.base_ref.as_deref());
            reader.vcs.resolve(repository, name.unwrap_or("HEAD")).await?
        };
        let store = crate::agent::store_of(&reader.folder.project(project.id));
        reader.vcs.fetch(&store, repository, &base).await?;
        let tree = reader.vcs.tree_of(&store, &base).await?;
        reader.check_folder(project, &tree).await?;
        self.hold_start(project, &spec).await?;
        spec.base = Some(base);
        let created = RunCreated {
            project_id: project.id,
            goal: goal.clone(),
            spec: spec.clone(),
        };
        let new = NewRun {
            project_id: project.id,
            goal,
            spec,
            priority,
            event: NewEvent::by(self.operator(), EventKind::from(created)),
            at: self.inner.journal.now(),
        };
        Ok(self.inner.journal.create(new).await?)
    }
}

fn checked_goal(goal: &str) -> Result<String, Error> {
    let goal = goal.trim();
    if goal.is_empty() {
        return Err(Error::BadInput(
            "the goal is empty; say in a sentence what is to be reached".to_owned(),
        ));
    }
    if goal.len() > Submit::MAX_GOAL {
        return Err(Error::BadInput(format!(
            "the goal has {} bytes and at most {} are taken; put long material into a file of the repository and name it in the goal",
            goal.len(),
            Submit::MAX_GOAL
        )));
    }
    if goal.contains('\0') {
        return Err(Error::BadInput("the goal contains a NUL character".to_owned()));
    }
    Ok(goal.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_some_text_of_bounded_length() {
        assert_eq!(checked_goal("  fix it\n").unwrap(), "fix it");
        for bad in [
            String::new(),
            " \n".to_owned(),
            "x".repeat(Submit::MAX_GOAL + 1),
            "a\0b".to_owned(),
        ] {
            assert!(matches!(checked_goal(&bad), Err(Error::BadInput(_))));
        }
    }
}
