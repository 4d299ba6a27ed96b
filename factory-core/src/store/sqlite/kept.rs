//! Rows that are kept in memory, so that the reads that come most often neither wait for a thread nor touch the disk.
//!
//! One process owns the database, and one thread of it writes: that thread tells what it changes before it commits and
//! what there is once it has committed, and only then are the writes answered. In between the rows concerned are read from
//! the database. What a reader has read may have become old while it was on its way here; a row says by its numbers
//! which of two is newer, so that an old one never takes the place of a new one.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Fence, Project, ProjectId, Run, RunId, Seq};

/// About how many bytes of runs make a generation; two of them are kept.
const GENERATION_BYTES: usize = 16 << 20;

/// How many projects are kept, and how many names that lead to one or to none.
const MOST_PROJECTS: usize = 256;

/// Longer names are nobody's.
const LONGEST_NAME: usize = 400;

/// What a write changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The rows of runs, in the order in which they were written.
    pub(super) runs: Vec<Arc<Run>>,
    /// Whether projects are changed.
    pub(super) projects: bool,
    /// Whether any row may be changed.
    pub(super) everything: bool,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.runs.is_empty() && !self.projects && !self.everything
    }
}

/// A moment at which a reader began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    generation: u64,
    project_writes: u64,
}

/// Which of two rows of a run is newer: every write but two adds an event, and those two only take something away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    last_seq: Seq,
    fence: Fence,
    is_unclaimed: bool,
    is_without_project: bool,
}

impl Version {
    pub(super) fn new(last_seq: Seq, fence: Fence, is_claimed: bool, has_project: bool) -> Self {
        Self {
            last_seq,
            fence,
            is_unclaimed: !is_claimed,
            is_without_project: !has_project,
        }
    }

    fn of(run: &Run) -> Self {
        Self::new(
            run.last_seq,
            run.fence,
            run.claim.is_some(),
            run.project_id.is_some(),
        )
    }
}

/// What a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// This project.
    Project(Arc<Project>),
    /// No project has it.
    Nothing,
}

/// The rows. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    /// Runs that were asked for or written of late, and those of the time before: whatever nobody asks for goes with its
    /// generation.
    young: HashMap<RunId, Arc<Run>>,
    old: HashMap<RunId, Arc<Run>>,
    young_bytes: usize,
    generation: u64,
    /// Runs that are being committed.
    changing: HashSet<RunId>,
    projects: HashMap<ProjectId, Arc<Project>>,
    names: HashMap<String, Option<ProjectId>>,
    project_writes: u64,
    projects_change: bool,
    everything_changes: bool,
    closed: bool,
}

impl Kept {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        // What is kept was true when it was put here; a panic elsewhere does not make it wrong.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the moment, to be asked for before a read begins.
    pub(super) fn begin(&self) -> Begun {
        let rows = self.rows();
        Begun {
            generation: rows.generation,
            project_writes: rows.project_writes,
        }
    }

    /// Returns the run as it is stored now, if it is kept.
    pub(super) fn run(&self, id: RunId) -> Option<Arc<Run>> {
        let mut rows = self.rows();
        if !rows.may_keep(id) {
            return None;
        }
        if let Some(run) = rows.young.get(&id) {
            return Some(Arc::clone(run));
        }
        let run = rows.old.remove(&id)?;
        rows.put(Arc::clone(&run));
        Some(run)
    }

    /// Returns the run if its row is kept in this version. Nothing is said of whether that is the newest.
    pub(super) fn run_of(&self, id: RunId, version: Version) -> Option<Arc<Run>> {
        let rows = self.rows();
        let run = rows.young.get(&id).or_else(|| rows.old.get(&id))?;
        (Version::of(run) == version).then(|| Arc::clone(run))
    }

    /// Keeps a row that was read.
    pub(super) fn keep_run(&self, run: Arc<Run>, begun: Begun) {
        let mut rows = self.rows();
        // A newer row that was put here since may be gone with its generation by now.
        if !rows.may_keep(run.id) || rows.generation > begun.generation + 1 {
            return;
        }
        let before = rows.young.get(&run.id).or_else(|| rows.old.get(&run.id));
        let is_newer =
            before.is_none_or(|before| Version::of(&run).cmp(&Version::of(before)) == Ordering::Greater);
        if is_newer {
            rows.put(run);
        }
    }

    /// Returns the project with this number, if it is kept.
    pub(super) fn project(&self, id: ProjectId) -> Option<Arc<Project>> {
        self.rows().projects.get(&id).cloned()
    }

    /// Returns what is known of a name, if anything is.
    pub(super) fn project_by_name(&self, name: &str) -> Option<Named> {
        let rows = self.rows();
        match rows.names.get(name)? {
            Some(id) => rows
                .projects
                .get(id)
                .map(|project| Named::Project(Arc::clone(project))),
            None => Some(Named::Nothing),
        }
    }

    /// Keeps a project that was read.
    pub(super) fn keep_project(&self, project: Arc<Project>, begun: Begun) {
        let mut rows = self.rows();
        if !rows.may_keep_projects(begun) {
            return;
        }
        rows.names.insert(project.name.clone(), Some(project.id));
        rows.projects.insert(project.id, project);
    }

    /// Keeps that no project has this name.
    pub(super) fn keep_no_project(&self, name: &str, begun: Begun) {
        let mut rows = self.rows();
        if name.len() <= LONGEST_NAME && rows.may_keep_projects(begun) {
            rows.names.insert(name.to_owned(), None);
        }
    }

    /// Is told before a commit what it changes.
    pub(super) fn before(&self, changes: &Changes) {
        if changes.is_empty() {
            return;
        }
        let mut rows = self.rows();
        for run in &changes.runs {
            rows.young.remove(&run.id);
            rows.old.remove(&run.id);
            rows.changing.insert(run.id);
        }
        if changes.projects || changes.everything {
            rows.forget_projects();
            rows.projects_change = true;
        }
        if changes.everything {
            rows.forget_runs();
            rows.everything_changes = true;
        }
    }

    /// Is told after a commit what it has changed, before anybody hears of it.
    pub(super) fn after(&self, changes: Changes) {
        if changes.is_empty() {
            return;
        }
        let mut rows = self.rows();
        rows.changing.clear();
        if changes.everything {
            // Also what the other requests of the same commit have written may be changed.
            rows.forget_runs();
        } else {
            for run in changes.runs {
                rows.put(run);
            }
        }
        if changes.projects || changes.everything {
            // Whoever has read one while it was written may not keep it either.
            rows.forget_projects();
        }
        (rows.projects_change, rows.everything_changes) = (false, false);
    }

    /// Is told that a commit failed: nobody knows for sure what is stored.
    pub(super) fn failed(&self) {
        let mut rows = self.rows();
        rows.changing.clear();
        rows.forget_runs();
        rows.forget_projects();
        (rows.projects_change, rows.everything_changes) = (false, false);
    }

    /// Returns what keeps nothing: where another process writes, nothing that is kept stays true.
    pub(super) fn nothing() -> Self {
        let kept = Self::default();
        kept.close();
        kept
    }

    /// Lets everything go and keeps nothing any more.
    pub(super) fn close(&self) {
        let mut rows = self.rows();
        rows.forget_runs();
        rows.forget_projects();
        rows.closed = true;
    }
}

impl Rows {
    fn may_keep(&self, id: RunId) -> bool {
        !self.closed && !self.everything_changes && !self.changing.contains(&id)
    }

    fn may_keep_projects(&mut self, begun: Begun) -> bool {
        if self.closed || self.projects_change || self.project_writes != begun.project_writes {
            return false;
        }
        if self.projects.len() >= MOST_PROJECTS || self.names.len() >= MOST_PROJECTS {
            // Those that still matter come back with the next read.
            self.projects.clear();
            self.names.clear();
        }
        true
    }

    fn put(&mut self, run: Arc<Run>) {
        let bytes = weight(&run);
        if self.young_bytes + bytes > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
            self.generation += 1;
        }
        // A row that takes the place of another counts anew: the generation ends a little earlier.
        self.young_bytes += bytes;
        self.old.remove(&run.id);
        self.young.insert(run.id, run);
    }

    fn forget_runs(&mut self) {
        self.young = HashMap::new();
        self.old = HashMap::new();
        self.young_bytes = 0;
        // No reader that is on its way may keep what it has read.
        self.generation += 2;
    }

    fn forget_projects(&mut self) {
        self.projects.clear();
        self.names.clear();
        self.project_writes += 1;
    }
}

/// Returns about how many bytes a row takes.
fn weight(run: &Run) -> usize {
    let checks: usize = run.spec.checks.iter().flatten().map(String::len).sum();
    let start = run.spec.origin.as_ref().and_then(|origin| origin.start.as_ref());
    let titles: usize = start
        .iter()
        .flat_map(|start| start.done.iter().chain(&start.left))
        .map(String::len)
        .sum();
    let detail = run.detail.as_ref().map_or(0, String::len);
    1024 + run.goal.len() + detail + checks + titles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Claim, NewEvent, ProjectSettings, RunSpec, Timestamp, WorkerId, payload};
    use crate::store::NewRun;
    use crate::store::rules::filed_run;

    fn run(id: i64, last_seq: u64) -> Arc<Run> {
        let new = NewRun {
            project_id: ProjectId(1),
            goal: "x".to_owned(),
            spec: RunSpec::default(),
            priority: 0,
            event: NewEvent::system(payload::RunResumed {}),
            at: Timestamp::UNKNOWN,
        };
        Arc::new(Run {
            last_seq: Seq(last_seq),
            ..filed_run(RunId(id), &new)
        })
    }

    fn claimed(id: i64, last_seq: u64) -> Arc<Run> {
        let claim = Claim {
            worker: WorkerId("w".to_owned()),
            fence: Fence(0),
            since: Timestamp::UNKNOWN,
        };
        Arc::new(Run {
            claim: Some(claim),
            ..Run::clone(&run(id, last_seq))
        })
    }

    fn written(runs: &[&Arc<Run>]) -> Changes {
        Changes {
            runs: runs.iter().map(|&run| Arc::clone(run)).collect(),
            ..Changes::default()
        }
    }

    fn write(kept: &Kept, run: &Arc<Run>) {
        kept.before(&written(&[run]));
        kept.after(written(&[run]));
    }

    #[test]
    fn what_was_read_never_takes_the_place_of_what_was_written_since() {
        let kept = Kept::default();
        let begun = kept.begin();
        write(&kept, &run(1, 2));
        kept.keep_run(run(1, 1), begun);
        assert_eq!(kept.run(RunId(1)), Some(run(1, 2)));
        // The end of a claim adds no event.
        write(&kept, &claimed(1, 3));
        write(&kept, &run(1, 3));
        kept.keep_run(claimed(1, 3), begun);
        assert_eq!(kept.run(RunId(1)), Some(run(1, 3)));
        // Nor is an old row kept where the new one has made way for others.
        write(&kept, &run(2, 5));
        for _ in 0..2 {
            kept.rows().young_bytes = GENERATION_BYTES;
            write(&kept, &run(3, 1));
        }
        assert_eq!(kept.run(RunId(2)), None);
        kept.keep_run(run(2, 4), begun);
        assert_eq!(kept.run(RunId(2)), None);
        kept.keep_run(run(2, 5), kept.begin());
        assert_eq!(kept.run(RunId(2)), Some(run(2, 5)));
    }

    #[test]
    fn while_a_row_is_committed_it_is_read_from_the_database() {
        let kept = Kept::default();
        write(&kept, &run(1, 1));
        let changes = written(&[&run(1, 2), &run(1, 3)]);
        kept.before(&changes);
        assert_eq!(kept.run(RunId(1)), None);
        kept.keep_run(run(1, 1), kept.begin());
        assert_eq!(kept.run(RunId(1)), None);
        kept.after(changes);
        assert_eq!(kept.run(RunId(1)), Some(run(1, 3)));
        // A commit that failed may be stored all the same.
        let begun = kept.begin();
        kept.before(&written(&[&run(1, 4)]));
        kept.failed();
        kept.keep_run(run(1, 3), begun);
        assert_eq!(kept.run(RunId(1)), None);
        kept.keep_run(run(1, 4), kept.begin());
        assert_eq!(kept.run(RunId(1)), Some(run(1, 4)));
    }

    #[test]
    fn runs_that_nobody_asks_for_make_way() {
        let kept = Kept::default();
        for id in 1..=3 {
            write(&kept, &run(id, 1));
        }
        kept.rows().young_bytes = GENERATION_BYTES;
        write(&kept, &run(4, 1));
        assert_eq!(kept.run(RunId(2)), Some(run(2, 1)));
        kept.rows().young_bytes = GENERATION_BYTES;
        write(&kept, &run(5, 1));
        let left: Vec<bool> = (1..=5).map(|id| kept.run(RunId(id)).is_some()).collect();
        assert_eq!(left, [false, true, false, true, true]);
        kept.close();
        assert_eq!(kept.run(RunId(5)), None);
        write(&kept, &run(6, 1));
        assert_eq!(kept.run(RunId(6)), None);
    }

    #[test]
    fn a_list_takes_a_row_in_the_stored_version_alone() {
        let kept = Kept::default();
        write(&kept, &claimed(1, 3));
        let of = |last_seq, is_claimed| {
            let version = Version::new(Seq(last_seq), Fence(0), is_claimed, true);
            kept.run_of(RunId(1), version).is_some()
        };
        assert_eq!(
            [of(3, true), of(3, false), of(2, true), of(4, true)],
            [true, false, false, false]
        );
    }

    #[test]
    fn projects_are_kept_until_one_is_written() {
        let kept = Kept::default();
        let project = Arc::new(Project {
            id: ProjectId(1),
            name: "shop".to_owned(),
            local_path: "/srv/shop".into(),
            settings: ProjectSettings::default(),
            created_at: Timestamp::UNKNOWN,
        });
        let change = || Changes {
            projects: true,
            ..Changes::default()
        };
        let begun = kept.begin();
        kept.keep_project(Arc::clone(&project), begun);
        kept.keep_no_project("1", begun);
        assert_eq!(kept.project(ProjectId(1)), Some(Arc::clone(&project)));
        assert_eq!(
            kept.project_by_name("shop"),
            Some(Named::Project(Arc::clone(&project)))
        );
        assert_eq!(kept.project_by_name("1"), Some(Named::Nothing));
        assert_eq!(kept.project_by_name("2"), None);
        write(&kept, &run(1, 1));
        assert!(kept.project(ProjectId(1)).is_some());
        kept.before(&change());
        kept.keep_project(Arc::clone(&project), kept.begin());
        assert_eq!(kept.project(ProjectId(1)), None);
        let during = kept.begin();
        kept.after(change());
        for late in [begun, during] {
            kept.keep_project(Arc::clone(&project), late);
            kept.keep_no_project("1", late);
        }
        assert_eq!(
            (kept.project(ProjectId(1)), kept.project_by_name("1")),
            (None, None)
        );
    }

    #[test]
    fn a_removed_project_lets_every_row_go() {
        let kept = Kept::default();
        let begun = kept.begin();
        write(&kept, &run(1, 1));
        let change = || Changes {
            everything: true,
            ..written(&[&run(2, 1)])
        };
        kept.before(&change());
        kept.keep_run(run(1, 1), kept.begin());
        assert_eq!(kept.run(RunId(1)), None);
        kept.after(change());
        kept.keep_run(run(1, 1), begun);
        assert_eq!((kept.run(RunId(1)), kept.run(RunId(2))), (None, None));
    }
}
