//! The commits that runs start from: where refs lead at this moment, and which commits lie in the factory's own store.
//!
//! Whoever files a run is to get the ref as it stands no earlier than the call, so that an answer that is on its way
//! already is not for them. But all who ask while one is on its way can have the next one together: however many
//! file at once, a ref is looked up one time after another.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::Reader;
use crate::agent::store_of;
use crate::error::Error;
use crate::model::{CommitId, Project, ProjectId};

/// How many commits are remembered as good to start from.
const MOST: usize = 4096;

/// Where a ref leads is asked for a repository and a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    project: ProjectId,
    repository: PathBuf,
    name: String,
}

/// What those who wait hear.
#[derive(Debug)]
enum Answer {
    Commit(CommitId),
    Failed(Box<Error>),
    /// It failed, and another one has heard why: ask alone.
    Alone,
}

type Asking = HashMap<Place, Vec<oneshot::Sender<Answer>>>;

/// The lookups that are on their way, and what was found out. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Bases {
    /// A place stands here while it is being looked up, with those who wait for the next answer.
    asking: Arc<Mutex<Asking>>,
    /// Commits that have the project's folder. Neither the commit's files nor the folder ever change.
    whole: Arc<Mutex<HashSet<(ProjectId, CommitId)>>>,
}

impl Reader {
    /// Returns the commit that the ref leads to now or a moment later, once it lies in the factory's own store.
    pub(super) async fn base(&self, project: &Project, name: &str) -> Result<CommitId, Error> {
        let place = Place {
            project: project.id,
            repository: project.local_path.clone(),
            name: name.to_owned(),
        };
        match self.ask(project, place).await {
            Ok(Answer::Commit(commit)) => Ok(commit),
            Ok(Answer::Failed(error)) => Err(*error),
            Ok(Answer::Alone) => self.look_up(project, name).await,
            Err(_) => Err(Error::Internal(
                "a ref's lookup ended without an answer".to_owned(),
            )),
        }
    }

    fn ask(&self, project: &Project, place: Place) -> oneshot::Receiver<Answer> {
        let (sender, answer) = oneshot::channel();
        match lock(&self.bases.asking).entry(place.clone()) {
            Entry::Occupied(mut asking) => {
                asking.get_mut().push(sender);
                return answer;
            }
            Entry::Vacant(place) => {
                place.insert(vec![sender]);
            }
        }
        // In a task of its own: whoever asked first may go away, and the others wait all the same.
        let lookups = Lookups {
            reader: self.clone(),
            project: project.clone(),
            place,
            entered: true,
        };
        tokio::spawn(lookups.run());
        answer
    }

    async fn look_up(&self, project: &Project, name: &str) -> Result<CommitId, Error> {
        let base = self.vcs.resolve(&project.local_path, name).await?;
        self.take_in(project, &base).await?;
        Ok(base)
    }

    /// Copies a commit into the factory's own store, and refuses one without the project's folder.
    pub(super) async fn take_in(&self, project: &Project, base: &CommitId) -> Result<(), Error> {
        let store = store_of(&self.folder.project(project.id));
        self.vcs.fetch(&store, &project.local_path, base).await?;
        let place = (project.id, base.clone());
        if lock(&self.bases.whole).contains(&place) {
            return Ok(());
        }
        let tree = self.vcs.tree_of(&store, base).await?;
        self.check_folder(project, &tree).await?;
        let mut whole = lock(&self.bases.whole);
        if whole.len() >= MOST {
            // Those that still matter are found out again.
            whole.clear();
        }
        whole.insert(place);
        Ok(())
    }
}

/// Looks one place up again and again, as long as somebody waits for it.
#[derive(Debug)]
struct Lookups {
    reader: Reader,
    project: Project,
    place: Place,
    /// Whether the place stands in the map for this one.
    entered: bool,
}

impl Lookups {
    async fn run(mut self) {
        while let Some(waiting) = self.next() {
            let found = self.reader.look_up(&self.project, &self.place.name).await;
            answer(waiting, found);
        }
    }

    /// Returns those who wait, and none once there are none: whoever comes then begins anew.
    fn next(&mut self) -> Option<Vec<oneshot::Sender<Answer>>> {
        let mut asking = lock(&self.reader.bases.asking);
        let waiting = asking.get_mut(&self.place).map(std::mem::take)?;
        if waiting.is_empty() {
            asking.remove(&self.place);
            self.entered = false;
            return None;
        }
        Some(waiting)
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        if self.entered {
            // It panicked, or the runtime ends: nobody is to wait for an answer that does not come.
            lock(&self.reader.bases.asking).remove(&self.place);
        }
    }
}

/// Tells the answer to all. An error is told to one; the others find out for themselves what they are to be told.
fn answer(waiting: Vec<oneshot::Sender<Answer>>, found: Result<CommitId, Error>) {
    let mut found = found.map_err(|error| Some(Box::new(error)));
    for sender in waiting {
        let answer = match &mut found {
            Ok(commit) => Answer::Commit(commit.clone()),
            Err(error) => error.take().map_or(Answer::Alone, Answer::Failed),
        };
        // Whoever went away needs no answer.
        let _ = sender.send(answer);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both are whole after every statement, so a panic elsewhere has not harmed them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
