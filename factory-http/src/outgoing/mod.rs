//! What the factory tells others by itself: signed webhooks, and a command of the operator's, when a run waits, is parked,
//! failed or is complete.
//!
//! Each receiver has a task, a place in the events of all runs that outlives the process, and a short line of what is to be
//! told. What happened is told at least once, in the order of its run. A receiver that is away, or refuses, is tried again
//! and again, and nobody else waits for it: neither runs nor other receivers.

mod command;
mod hook;
mod ledger;
mod line;
mod notice;
#[cfg(test)]
mod tests;
mod webhook;

use std::path::Path;
use std::time::Duration;

use factory_core::Factory;
use factory_core::llm::server::Secret;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::hook::Hook;
use self::ledger::{Ledger, Ledgers, Standing};
use self::line::Line;
use self::notice::Teller;
use self::webhook::Webhook;
use crate::failure::Failure;

pub(crate) use command::NotifyCommand;
pub(crate) use line::Pace;
pub(crate) use notice::Occasion;
pub(crate) use webhook::WebhookUrl;

/// Who is told of what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The notify command, if there is one, and when it is run.
    pub(crate) notify: Option<(NotifyCommand, Vec<Occasion>)>,
    /// The webhooks.
    pub(crate) webhooks: Vec<WebhookSettings>,
    /// How failures are tried again.
    pub(crate) pace: Pace,
    /// Where the console is reached, for links; none where nobody said.
    pub(crate) public_url: Option<String>,
}

/// One webhook.
#[derive(Debug, Clone)]
pub(crate) struct WebhookSettings {
    /// Its name: letters, digits, `-` and `_`.
    pub(crate) name: String,
    /// Where it is sent.
    pub(crate) url: WebhookUrl,
    /// What it is signed with, or why that cannot be read.
    pub(crate) secret: Result<Secret, String>,
    /// When it is sent.
    pub(crate) on: Vec<Occasion>,
}

impl Settings {
    /// Returns what must be shown to nobody.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.webhooks.iter().filter_map(|hook| hook.secret.as_ref().ok())
    }
}

/// What became of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// The receiver took it.
    Told,
    /// The receiver is there and did not take it.
    Refused { why: String, at_least: Duration },
    /// The receiver is not there, or has too much to do.
    Unanswered { why: String, at_least: Duration },
}

/// Who is told.
#[derive(Debug)]
enum Receiver {
    Webhook(Webhook),
    Command(NotifyCommand),
}

impl Receiver {
    async fn tell(&self, notice: &notice::Notice) -> Outcome {
        match self {
            Self::Webhook(webhook) => webhook.tell(notice).await,
            Self::Command(command) => command.tell(notice).await,
        }
    }

    /// Returns who it is, for the log.
    fn shown(&self) -> String {
        match self {
            Self::Webhook(webhook) => webhook.origin(),
            Self::Command(command) => command.program.display().to_string(),
        }
    }
}

/// The receivers' tasks. Dropping it ends them at once, as a crash would.
#[derive(Debug)]
#[must_use]
pub(crate) struct Outgoing {
    tasks: JoinSet<()>,
    ending: CancellationToken,
}

impl Outgoing {
    /// Ends the tasks and waits for it: what is on its way has a moment to arrive, and how far each came is kept.
    pub(crate) async fn ended(mut self) {
        self.ending.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Begins to tell what happens, each receiver from where it was; a new one is told what happens from now on. Goes on until
/// `ending`. Fails where a receiver cannot be used as it is set, or its ledger cannot be read.
pub(crate) async fn start(
    factory: &Factory,
    data_folder: &Path,
    settings: &Settings,
    ending: &CancellationToken,
) -> Result<Outgoing, Failure> {
    let mut receivers = Vec::new();
    for hook in &settings.webhooks {
        let made = hook
            .secret
            .clone()
            .and_then(|secret| Webhook::new(hook.url.clone(), secret))
            .map_err(|problem| Failure::usage(format!("webhook.{}: {problem}", hook.name)))?;
        receivers.push((
            format!("webhook.{}", hook.name),
            Receiver::Webhook(made),
            hook.on.clone(),
        ));
    }
    if let Some((command, on)) = &settings.notify {
        receivers.push((
            "notify".to_owned(),
            Receiver::Command(command.clone()),
            on.clone(),
        ));
    }
    start_all(factory, data_folder, settings, receivers, ending).await
}

async fn start_all(
    factory: &Factory,
    data_folder: &Path,
    settings: &Settings,
    receivers: Vec<(String, Receiver, Vec<Occasion>)>,
    ending: &CancellationToken,
) -> Result<Outgoing, Failure> {
    let names: Vec<String> = receivers.iter().map(|(name, ..)| name.clone()).collect();
    let (ledgers, teller) = open_ledgers(data_folder, settings, names).await?;
    let newest = factory.reader().newest_event().await?;
    let (mut tasks, ending) = (JoinSet::new(), ending.child_token());
    let mut hooks = Vec::new();
    for ((name, receiver, on), (ledger, standing)) in receivers.into_iter().zip(ledgers) {
        let standing = match standing {
            // One that is ahead of the store was written beside another database.
            Some(standing) if standing.cursor <= newest => standing,
            _ => {
                let standing = Standing::new(newest, Vec::new());
                begin(&ledger, &standing).await?;
                standing
            }
        };
        hooks.push(Hook {
            name,
            on,
            receiver,
            teller: teller.clone(),
            factory: factory.clone(),
            ledger,
            line: Line::new(settings.pace.clone(), standing.waiting),
            cursor: standing.cursor,
            feed: None,
            unwritten: 0,
            failing: false,
        });
    }
    for hook in hooks {
        tasks.spawn(hook.run(ending.clone()));
    }
    Ok(Outgoing { tasks, ending })
}

/// A ledger, and what stands in it.
type Opened = (Ledger, Option<Standing>);

async fn open_ledgers(
    data_folder: &Path,
    settings: &Settings,
    names: Vec<String>,
) -> Result<(Vec<Opened>, Teller), Failure> {
    let (data_folder, public_url) = (data_folder.to_owned(), settings.public_url.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ledgers = Ledgers::open(&data_folder, &names)?;
        let factory = ledgers.factory()?;
        let opened = names
            .into_iter()
            .map(|name| {
                let ledger = ledgers.of(name);
                ledger.read().map(|standing| (ledger, standing))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok((opened, Teller { factory, public_url }))
    });
    opened
        .await
        .map_err(|error| Failure::caused("internal error", &error))?
}

/// Notes where a new receiver begins, before anything can happen that it would miss in a crash.
async fn begin(ledger: &Ledger, standing: &Standing) -> Result<(), Failure> {
    let (ledger, standing) = (ledger.clone(), standing.clone());
    let written = tokio::task::spawn_blocking(move || ledger.write(&standing)).await;
    written
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| Failure::caused("what is told to others cannot be noted", &error))
}
