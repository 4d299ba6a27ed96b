//! Projects: registering a repository, what is suggested for it, and trying it on its base.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::{AddProject, CommandReport, Factory, ProjectAdded, ProjectChange, Reader, SetupReport, commands};
use crate::agent::{self, Place};
use crate::environment::{self, Suggestion};
use crate::error::Error;
use crate::model::{CommitId, NewProject, Project, ProjectId, ProjectSettings, TreeId};
use crate::store::{Page, StoreError};
use crate::vcs::{RepositoryFacts, Signature, VcsError};

/// The longest project name in characters.
const MAX_NAME: usize = 100;

/// The files beside the lock files that commands are suggested from.
const BUILD_FILES: [&str; 8] = [
    "Makefile",
    "makefile",
    "GNUmakefile",
    "pytest.ini",
    "tox.ini",
    "conftest.py",
    "tests/conftest.py",
    "justfile",
];

/// The most bytes of a file that is read to suggest commands.
const MAX_READ: usize = 256 << 10;

impl Reader {
    /// Returns projects in the order of their numbers.
    pub async fn projects(&self, page: Page<ProjectId>) -> Result<Vec<Project>, Error> {
        Ok(self.store.projects(page).await?)
    }

    /// Returns the project with this number.
    pub async fn project_by_id(&self, id: ProjectId) -> Result<Project, Error> {
        Ok(self.store.project(id).await?)
    }

    /// Returns the project that `reference` names: by name, by number, or by the path of its repository.
    pub async fn project(&self, reference: &str) -> Result<Project, Error> {
        match self.store.project_by_name(reference).await {
            Err(StoreError::NotFound { .. }) => {}
            found => return Ok(found?),
        }
        if let Ok(id) = reference.parse::<ProjectId>() {
            match self.store.project(id).await {
                Err(StoreError::NotFound { .. }) => {}
                found => return Ok(found?),
            }
        }
        if let Ok(place) = self.vcs.locate(Path::new(reference)).await {
            let covers = |project: &Project| {
                let whole = project.settings.folder.is_none();
                whole
                    || place
                        .folder
                        .as_deref()
                        .is_some_and(|folder| project.settings.covers(folder))
            };
            let mut here = self.projects_at(&place.root).await?;
            here.retain(covers);
            // The innermost project that holds the folder is meant.
            let depth = |project: &Project| project.settings.folder.as_ref().map_or(0, String::len);
            if let Some(project) = here.into_iter().max_by_key(depth) {
                return Ok(project);
            }
        }
        Err(Error::UnknownProject(reference.chars().take(200).collect()))
    }

    /// Returns the projects in the repository: the whole of it, and folders of it.
    async fn projects_at(&self, root: &Path) -> Result<Vec<Project>, Error> {
        let mut page = Page::first(Page::<ProjectId>::MAX);
        let mut found = Vec::new();
        loop {
            let projects = self.store.projects(page).await?;
            let last = projects.last().map(|project| project.id);
            found.extend(projects.into_iter().filter(|project| project.local_path == root));
            match last {
                Some(last) => page = Page::after(last, Page::<ProjectId>::MAX),
                None => return Ok(found),
            }
        }
    }
}

impl Reader {
    /// Checks that the folder that the project is stands in the tree.
    pub(super) async fn check_folder(&self, project: &Project, tree: &TreeId) -> Result<(), Error> {
        let Some(folder) = &project.settings.folder else {
            return Ok(());
        };
        let store = crate::agent::store_of(&self.folder.project(project.id));
        if self.vcs.has_folder(&store, tree, folder).await? {
            return Ok(());
        }
        Err(Error::BadInput(format!(
            "the commit to start from has no folder `{folder}`; commit it first, or name a base that has it"
        )))
    }
}

impl Factory {
    /// Registers a repository, or a folder of one as a project of its own. With `try_now`, setup and checks are run once on its base; how that went is told and
    /// does not decide whether the project is registered.
    pub async fn add_project(&self, add: AddProject) -> Result<ProjectAdded, Error> {
        let reader = &self.inner.reader;
        commands::check("setup", add.setup.as_deref().unwrap_or_default())?;
        commands::check("check", add.checks.as_deref().unwrap_or_default())?;
        let path = absolute(&add.path)?;
        let (facts, initialised) = match reader.vcs.inspect(&path).await {
            Err(VcsError::NotARepository(_)) if add.init => {
                self.refuse_to_hold_ourselves(&path)?;
                let by = Signature {
                    name: "AI Dev Factory".to_owned(),
                    email: "factory@localhost".to_owned(),
                    at: self.inner.journal.now(),
                };
                (reader.vcs.init(&path, &by).await?, true)
            }
            facts => (facts?, false),
        };
        let folder = reader.vcs.locate(&path).await?.folder;
        let whole = folder
            .as_ref()
            .map_or(facts.root.clone(), |folder| facts.root.join(folder));
        let others = reader.projects_at(&facts.root).await?;
        if let Some(other) = others.iter().find(|other| other.settings.folder == folder) {
            return Err(Error::BadInput(format!(
                "`{}` is registered already, as project `{}`",
                whole.display(),
                other.name
            )));
        }
        let name = checked_name(add.name.as_deref(), &whole)?;
        let base = match &add.base_ref {
            Some(name) => reader.vcs.resolve(&facts.root, name).await?,
            None => reader.vcs.resolve(&facts.root, "HEAD").await?,
        };
        let new = NewProject {
            name,
            local_path: facts.root.clone(),
            settings: ProjectSettings {
                base_ref: add.base_ref,
                setup: add.setup.clone().unwrap_or_default(),
                setup_network: add.setup_network,
                checks: add.checks.clone().unwrap_or_default(),
                folder,
                instructions: None,
            },
            created_at: self.inner.journal.now(),
        };
        let mut project = self.inner.journal.store().create_project(new).await?;
        let finished = self
            .finish_adding(&mut project, &base, &facts, add.setup, add.checks, add.try_now)
            .await;
        match finished {
            Ok((notes, setup, checks)) => Ok(ProjectAdded {
                project,
                initialised,
                notes,
                setup,
                checks,
            }),
            Err(error) => {
                // A project that could not be made whole is not left behind; its name is free again.
                self.inner.journal.store().remove_project(project.id).await?;
                Err(error)
            }
        }
    }

    async fn finish_adding(
        &self,
        project: &mut Project,
        base: &CommitId,
        facts: &RepositoryFacts,
        setup: Option<Vec<String>>,
        checks: Option<Vec<String>>,
        try_now: bool,
    ) -> Result<(Vec<String>, Option<SetupReport>, Vec<CommandReport>), Error> {
        let ground = self.inner.reader.ground(project.clone()).await;
        super::make_folder(ground.root.clone()).await?;
        ground.vcs.fetch(&ground.store(), &facts.root, base).await?;
        let tree = ground.vcs.tree_of(&ground.store(), base).await?;
        self.inner.reader.check_folder(project, &tree).await?;
        let suggestion = self.suggestion(project, base).await?;
        let mut notes = facts.notes.clone();
        if let Some(folder) = &project.settings.folder {
            let root = facts.root.display();
            notes.push(format!(
                "the project is the folder `{folder}` of `{root}`: setup, checks and commands run in it, the agent sees \
                 the whole repository, and a change outside of the folder is never committed unasked; `factory project \
                 add {root}` registers the whole"
            ));
        }
        if facts.maybe_dirty {
            notes.push(
                "the working tree may have uncommitted changes; runs start from commits alone".to_owned(),
            );
        }
        if setup.is_none() || checks.is_none() {
            notes.extend(suggestion.notes);
        }
        if project.settings.setup_network == crate::model::SetupNetwork::Host {
            notes.extend(
                self.inner
                    .reader
                    .surroundings()
                    .await
                    .registry_notes
                    .iter()
                    .cloned(),
            );
        }
        project.settings.setup = setup.unwrap_or(suggestion.setup);
        project.settings.checks = checks.unwrap_or(suggestion.checks);
        if project.settings.checks.is_empty() {
            notes.push(format!(
                "no checks are known, so nothing can be proven and every result asks for approval; `factory project set {} --check CMD` declares one",
                project.name
            ));
        }
        *project = self.inner.journal.store().update_project(project.clone()).await?;
        if !try_now {
            return Ok((notes, None, Vec::new()));
        }
        let (setup, checks) = self.try_on_base(project, base).await?;
        Ok((notes, setup, checks))
    }

    /// Looks at the base's files and suggests commands.
    async fn suggestion(&self, project: &Project, base: &CommitId) -> Result<Suggestion, Error> {
        let ground = self.inner.reader.ground(project.clone()).await;
        let tree = ground.vcs.tree_of(&ground.store(), base).await?;
        let mut files = HashMap::new();
        for name in environment::LOCK_FILES.iter().chain(&BUILD_FILES) {
            let path = match &project.settings.folder {
                Some(folder) => format!("{folder}/{name}"),
                None => (*name).to_owned(),
            };
            if let Some(content) = ground
                .vcs
                .read_file(&ground.store(), &tree, &path, MAX_READ)
                .await?
            {
                files.insert(*name, String::from_utf8_lossy(&content).into_owned());
            }
        }
        Ok(environment::suggest(&|name: &str| files.get(name).cloned()))
    }

    /// Runs setup and checks on the base.
    async fn try_on_base(
        &self,
        project: &Project,
        base: &CommitId,
    ) -> Result<(Option<SetupReport>, Vec<CommandReport>), Error> {
        let ground = self.inner.reader.ground(project.clone()).await;
        let stop = CancellationToken::new();
        // Dropping this future, as a cancelled request does, ends what runs.
        let _ends = stop.clone().drop_guard();
        let tree = ground.vcs.tree_of(&ground.store(), base).await?;
        let begun = std::time::Instant::now();
        let prepared = ground.environment(&tree, &stop).await?;
        let setup = (!project.settings.setup.is_empty()).then(|| SetupReport {
            ok: prepared.ok,
            reused: prepared.reused,
            output: prepared.output.clone(),
            work_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        if !prepared.ok || project.settings.checks.is_empty() {
            return Ok((setup, Vec::new()));
        }
        let place = Place::new(ground.root.join("trial"));
        super::make_folder(place.root().to_owned()).await?;
        ground.lay(&place, &tree, prepared.layer.as_ref(), &stop).await?;
        let checked = ground.check(&place, &project.settings.checks, &stop).await?;
        let reports = checked.into_iter().map(CommandReport::from);
        let reports = reports.collect();
        if let Err(error) = agent::remove(place.root().to_owned()).await {
            tracing::warn!(project = %project.name, %error, "the trial's folder could not be removed");
        }
        Ok((setup, reports))
    }

    /// Refuses to make a repository of a folder that holds the data folder: its first commit would hold every secret of
    /// the factory, and it is sure to be a folder of much more than one project.
    fn refuse_to_hold_ourselves(&self, path: &Path) -> Result<(), Error> {
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if !real(self.inner.reader.folder.path()).starts_with(real(path)) {
            return Ok(());
        }
        Err(Error::BadInput(format!(
            "`{}` holds the factory's own data folder and is made no repository; name the project's own folder",
            path.display()
        )))
    }

    /// Changes a project's name or settings. Runs that are under way see the new settings with their next act.
    pub async fn change_project(&self, reference: &str, change: ProjectChange) -> Result<Project, Error> {
        let mut project = self.inner.reader.project(reference).await?;
        if let Some(name) = change.name {
            project.name = checked_name(Some(&name), &project.local_path)?;
        }
        if let Some(settings) = change.settings {
            commands::check("setup", &settings.setup)?;
            commands::check("check", &settings.checks)?;
            let reader = &self.inner.reader;
            if let Some(base) = &settings.base_ref {
                reader.vcs.resolve(&project.local_path, base).await?;
            }
            if settings.folder != project.settings.folder {
                // The project's store and its layers are those of the folder.
                return Err(Error::BadInput(
                    "a project's folder cannot be changed; register the other folder as a project of its own"
                        .to_owned(),
                ));
            }
            project.settings = settings;
        }
        Ok(self.inner.journal.store().update_project(project).await?)
    }

    /// Removes a project that no unfinished run needs, with the factory's own store of it. The operator's repository
    /// is not touched; finished runs keep their events.
    pub async fn remove_project(&self, reference: &str) -> Result<Project, Error> {
        let project = self.inner.reader.project(reference).await?;
        self.inner.journal.store().remove_project(project.id).await?;
        let root = self.inner.reader.folder.project(project.id);
        if let Err(error) = agent::remove(root).await {
            tracing::warn!(project = %project.name, %error, "the project's folder could not be removed whole");
        }
        Ok(project)
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    if path.as_os_str().is_empty() {
        return Err(Error::BadInput("the path is empty".to_owned()));
    }
    std::path::absolute(path).map_err(|source| Error::Io {
        action: "find",
        path: path.to_owned(),
        source,
    })
}

fn checked_name(name: Option<&str>, root: &Path) -> Result<String, Error> {
    let folder = root.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name
        .map(str::to_owned)
        .or(folder)
        .unwrap_or_else(|| "project".to_owned());
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::BadInput(format!(
            "`{}` is no project name; a name has 1 to {MAX_NAME} characters and no control characters (--name gives one)",
            name.chars().take(MAX_NAME).collect::<String>().escape_debug()
        )));
    }
    if name.parse::<ProjectId>().is_ok() {
        return Err(Error::BadInput(format!(
            "`{name}` is a number, which names a project by its id; give another name with --name"
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_after_its_folder_unless_told_otherwise() {
        let root = Path::new("/src/my project");
        assert_eq!(checked_name(None, root).unwrap(), "my project");
        assert_eq!(checked_name(Some(" x "), root).unwrap(), "x");
        for bad in ["", "7", "a\nb", &"x".repeat(101)] {
            assert!(checked_name(Some(bad), root).is_err(), "{bad:?}");
        }
    }
}
