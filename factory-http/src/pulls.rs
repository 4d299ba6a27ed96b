//! Models that are being got onto their servers: jobs that go on whoever asks, and can be asked after.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use factory_core::Reader;
use factory_core::llm::catalogue::PullProgress;
use poem::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::problem::Problem;

/// How many may go on at once.
const MOST_AT_ONCE: usize = 4;

/// How many are remembered, those that go on included.
const MOST_REMEMBERED: usize = 100;

/// How a pull stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PullState {
    /// It goes on.
    Pulling,
    /// The model can be used.
    Done,
    /// It did not work; `failure` says why.
    Failed,
    /// It was stopped.
    Cancelled,
}

/// A model that is being got, or was.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Pull {
    /// Its number, until the server is started again.
    pub(crate) id: u64,
    /// The model, as it was asked for.
    pub(crate) model: String,
    /// How it stands.
    pub(crate) state: PullState,
    /// How far it is, in the server's words and bytes.
    pub(crate) progress: PullProgress,
    /// Why it failed.
    pub(crate) failure: Option<String>,
}

#[derive(Debug)]
struct Job {
    pull: Pull,
    cancel: CancellationToken,
}

#[derive(Debug, Default)]
struct Jobs {
    last_id: u64,
    jobs: VecDeque<Job>,
}

/// The pulls of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulls(Arc<Mutex<Jobs>>);

impl Pulls {
    /// Begins to get a model, or returns the pull that does so already.
    pub(crate) fn begin(&self, reader: &Reader, model: String) -> Result<Pull, Problem> {
        let mut jobs = self.lock();
        let going = |job: &&Job| job.pull.state == PullState::Pulling;
        if let Some(job) = jobs.jobs.iter().filter(going).find(|job| job.pull.model == model) {
            return Ok(job.pull.clone());
        }
        if jobs.jobs.iter().filter(going).count() >= MOST_AT_ONCE {
            let detail =
                format!("{MOST_AT_ONCE} models are being got already; wait for one of them, or stop one");
            return Err(Problem::new(StatusCode::CONFLICT, "too_many_pulls", detail));
        }
        while jobs.jobs.len() >= MOST_REMEMBERED {
            let Some(oldest) = jobs
                .jobs
                .iter()
                .position(|job| job.pull.state != PullState::Pulling)
            else {
                break;
            };
            jobs.jobs.remove(oldest);
        }
        jobs.last_id += 1;
        let pull = Pull {
            id: jobs.last_id,
            model,
            state: PullState::Pulling,
            progress: PullProgress::default(),
            failure: None,
        };
        let cancel = CancellationToken::new();
        jobs.jobs.push_back(Job {
            pull: pull.clone(),
            cancel: cancel.clone(),
        });
        drop(jobs);
        let (pulls, reader, id, model) = (self.clone(), reader.clone(), pull.id, pull.model.clone());
        tokio::spawn(async move {
            let tell = |progress| pulls.change(id, |pull| pull.progress = progress);
            let pulled = tokio::select! {
                pulled = reader.pull_model(&model, &tell) => Some(pulled),
                () = cancel.cancelled() => None,
            };
            pulls.change(id, |pull| match pulled {
                None => pull.state = PullState::Cancelled,
                Some(Ok(_)) => pull.state = PullState::Done,
                Some(Err(error)) => {
                    let failure = Failure::from(error);
                    pull.state = PullState::Failed;
                    pull.failure = Some([vec![failure.message], failure.causes].concat().join(": "));
                }
            });
        });
        Ok(pull)
    }

    /// Returns all that are remembered, the newest last.
    pub(crate) fn all(&self) -> Vec<Pull> {
        self.lock().jobs.iter().map(|job| job.pull.clone()).collect()
    }

    /// Returns one.
    pub(crate) fn get(&self, id: u64) -> Result<Pull, Problem> {
        let jobs = self.lock();
        let found = jobs.jobs.iter().find(|job| job.pull.id == id);
        found.map(|job| job.pull.clone()).ok_or_else(|| no_such(id))
    }

    /// Stops one. One that has ended stays as it is.
    pub(crate) fn cancel(&self, id: u64) -> Result<(), Problem> {
        let jobs = self.lock();
        let found = jobs.jobs.iter().find(|job| job.pull.id == id);
        found.map(|job| job.cancel.cancel()).ok_or_else(|| no_such(id))
    }

    /// Stops all, because the server ends.
    pub(crate) fn end(&self) {
        for job in &self.lock().jobs {
            job.cancel.cancel();
        }
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Pull)) {
        if let Some(job) = self.lock().jobs.iter_mut().find(|job| job.pull.id == id) {
            change(&mut job.pull);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_such(id: u64) -> Problem {
    let detail = format!("no pull {id}; `GET /models/pulls` lists those of this server since its start");
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
}
