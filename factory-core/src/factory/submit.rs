//! Filing a run: everything that can be wrong with it is found before it is stored.

use std::collections::HashMap;
use std::path::Path;

use super::{Factory, Submit, commands};
use crate::error::Error;
use crate::llm::spec::of_file;
use crate::model::payload::RunCreated;
use crate::model::{CommitId, EventKind, NewEvent, Project, ProjectId, Run, RunSpec};
use crate::store::NewRun;

/// The commits that the refs of projects lead to, as far as one filing has asked.
type Bases = HashMap<(ProjectId, Option<String>), CommitId>;

impl Factory {
    /// Files a run as QUEUED and starts nothing. The commit that it starts from is resolved and copied now, so that
    /// nothing that happens to the repository later changes what the run works on.
    ///
    /// [`Error::BadInput`] for a goal that is empty or longer than [`Submit::MAX_GOAL`],
    /// [`Error::UnknownProject`], [`Error::Llm`] for a model that cannot be opened, [`Error::Vcs`] for a ref that
    /// leads nowhere. In all of these nothing is stored.
    pub async fn submit(&self, submit: Submit) -> Result<Run, Error> {
        let new = self.ready(submit, &mut Bases::new()).await?;
        self.create(new).await
    }

    /// Files runs as [`Factory::submit`] does, all of them or none, at most [`Submit::MAX_AT_ONCE`]. An error that is
    /// about one of them says about which.
    pub async fn submit_all(&self, submits: Vec<Submit>) -> Result<Vec<Run>, Error> {
        if submits.is_empty() {
            return Err(Error::BadInput(
                "there is no goal among what is to be filed".to_owned(),
            ));
        }
        if submits.len() > Submit::MAX_AT_ONCE {
            return Err(Error::BadInput(format!(
                "{} goals are more than the {} that are filed at once",
                submits.len(),
                Submit::MAX_AT_ONCE
            )));
        }
        let mut bases = Bases::new();
        let mut new = Vec::with_capacity(submits.len());
        for (place, submit) in submits.into_iter().enumerate() {
            let ready = self.ready(submit, &mut bases).await;
            new.push(ready.map_err(|error| Error::InList {
                place,
                source: Box::new(error),
            })?);
        }
        Ok(self.inner.journal.create(new, self.once_key()).await?)
    }

    /// Finds everything that can be wrong with a goal, and returns what is to be stored.
    async fn ready(&self, submit: Submit, bases: &mut Bases) -> Result<NewRun, Error> {
        let project = self.inner.reader.project(&submit.project).await?;
        let spec = match &submit.spec.origin {
            Some(origin) => self.continued(&project, &submit, origin).await?,
            // A caller names a ref and never a commit: the factory resolves it.
            None => RunSpec {
                base: None,
                ..submit.spec.clone()
            },
        };
        self.ready_of(&project, submit.goal, spec, submit.priority, bases)
            .await
    }

    /// Files a run of a project. Where the spec has no base, its ref is resolved.
    pub(super) async fn file(
        &self,
        project: &Project,
        goal: String,
        spec: RunSpec,
        priority: i64,
    ) -> Result<Run, Error> {
        let new = self
            .ready_of(project, goal, spec, priority, &mut Bases::new())
            .await?;
        self.create(new).await
    }

    async fn create(&self, new: NewRun) -> Result<Run, Error> {
        let filed = self.inner.journal.create(vec![new], self.once_key()).await?;
        let filed = filed.into_iter().next();
        filed.ok_or_else(|| Error::Internal("no run was filed".to_owned()))
    }

    async fn ready_of(
        &self,
        project: &Project,
        goal: String,
        mut spec: RunSpec,
        priority: i64,
        bases: &mut Bases,
    ) -> Result<NewRun, Error> {
        let goal = checked_goal(&goal)?;
        commands::check("check", spec.checks.as_deref().unwrap_or_default())?;
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
        self.inner.reader.models.open(&spec.model)?;
        let base = if let Some(base) = spec.base.take() {
            self.inner.reader.take_in(project, &base).await?;
            base
        } else {
            let name = spec.base_ref.as_ref().or(project.settings.base_ref.as_ref());
            let place = (project.id, name.cloned());
            if let Some(base) = bases.get(&place) {
                base.clone()
            } else {
                let name = place.1.as_deref().unwrap_or("HEAD");
                let base = self.inner.reader.base(project, name).await?;
                bases.insert(place, base.clone());
                base
            }
        };
        self.hold_start(project, &spec).await?;
        spec.base = Some(base);
        let created = RunCreated {
            project_id: project.id,
            goal: goal.clone(),
            spec: spec.clone(),
        };
        Ok(NewRun {
            project_id: project.id,
            goal,
            spec,
            priority,
            event: NewEvent::by(self.operator(), EventKind::from(created)),
            at: self.inner.journal.now(),
        })
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
