//! How a command reaches a factory: by becoming the owner of the data folder, as a client of the owner, or, where it
//! only reads, beside whoever owns it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_core::model::Event;
use factory_core::store::StoreError;
use factory_core::{Error, Factory, Reader, Settings};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::activity::Activity;
use super::client::{Asked, Client};
use super::console_url::ConsoleUrl;
use super::execute::{execute, read};
use super::follow::{Sink, Streamed};
use super::request::{Answer, Request};
use super::server::Server;
use crate::failure::{Failure, FailureKind};

/// How long an owner may take from its lock to its socket, and from the end of its socket to the end of its lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a run's driver waits for another owner to end before it takes the run over.
const PATIENCE_WITH_A_RUN: Duration = Duration::from_mins(1);

/// How long what is going on may take to come to rest at the end: less than service managers wait before they kill.
const PATIENCE_AT_THE_END: Duration = Duration::from_secs(20);

/// The pause between two attempts.
const RETRY: Duration = Duration::from_millis(50);

/// How many streamed events wait to be shown.
const MAX_WAITING_EVENTS: usize = 64;

/// This process as the data folder's owner: it has the lock and serves the socket.
#[derive(Debug)]
struct Owner {
    factory: Factory,
    activity: Activity,
    server: Server,
}

/// A command's way to the factory, found when it is first needed and found again when it is lost.
#[derive(Debug)]
pub(crate) struct Session {
    settings: Settings,
    owner: Option<Owner>,
    client_of: Option<u32>,
    console: ConsoleUrl,
}

/// A way to ask, beside whatever else is being asked. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    /// In this process.
    Here(Box<Here>),
    /// Over the control socket of this data folder.
    There(PathBuf),
}

/// The factory in this process.
#[derive(Debug, Clone)]
pub(crate) struct Here {
    factory: Factory,
    activity: Activity,
    console: ConsoleUrl,
}

impl Link {
    /// Asks once.
    pub(crate) async fn ask(&self, request: Request, sink: Sink) -> Result<Asked, Failure> {
        match self {
            Self::Here(here) => {
                let Some(busy) = here.activity.begin() else {
                    return Ok(Asked::NotBegun);
                };
                Box::pin(execute(&here.factory, &here.console, request, sink, Some(busy)))
                    .await
                    .map(Asked::Answered)
            }
            Self::There(data_folder) => match Client::connect(data_folder).await? {
                Some(client) => client.ask(request, &sink).await,
                None => Ok(Asked::NotBegun),
            },
        }
    }
}

impl Session {
    /// Returns a session on the data folder that `settings` name. Nothing is opened yet.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            owner: None,
            client_of: None,
            console: ConsoleUrl::default(),
        }
    }

    /// Says where browsers reach this process, for the links that it gives out. The first word counts.
    pub(crate) fn announce_console(&self, url: String) {
        self.console.announce(url);
    }

    /// Returns whether this process is the owner by now.
    pub(crate) fn is_owner(&self) -> bool {
        self.owner.is_some()
    }

    /// Returns the process that was found as the owner last, where it is another one.
    pub(crate) fn client_of(&self) -> Option<u32> {
        self.client_of
    }

    /// Returns the factory, where this process is the owner.
    pub(crate) fn factory(&self) -> Option<Factory> {
        self.owner.as_ref().map(|owner| owner.factory.clone())
    }

    /// Becomes the owner, or fails where another process is. One that speaks to nobody is waited for: it is about to end, or
    /// was killed and a child of its, not begun yet, holds what it held.
    pub(crate) async fn own(&mut self) -> Result<(), Failure> {
        if self.owner.is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Box::pin(Factory::open(self.settings.clone())).await {
                Ok(factory) => {
                    self.take(factory).await?;
                    return Ok(());
                }
                Err(error @ Error::Owned { .. }) => {
                    let speaks = Client::connect(&self.settings.data_folder).await?.is_some();
                    if speaks || Instant::now() >= deadline {
                        return Err(error.into());
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns a way to whoever owns the data folder: this process, if nobody else does.
    pub(crate) async fn link(&mut self) -> Result<Link, Failure> {
        self.link_within(PATIENCE).await
    }

    /// Returns a way for a run that must go on, waiting for an owner that is about to end.
    pub(crate) async fn link_for_run(&mut self) -> Result<Link, Failure> {
        self.link_within(PATIENCE_WITH_A_RUN).await
    }

    /// Asks, of the next owner where the first one ends. What may have been done is never asked twice.
    pub(crate) async fn ask(&mut self, request: Request) -> Result<Answer, Failure> {
        loop {
            let link = self.link().await?;
            let (sink, _events) = mpsc::channel(1);
            match link.ask(request.clone(), sink).await? {
                Asked::Answered(answer) => return Ok(answer),
                Asked::NotBegun => tokio::time::sleep(RETRY).await,
                Asked::Lost if request.can_be_repeated() => tokio::time::sleep(RETRY).await,
                Asked::Lost => {
                    return Err(Failure::new(
                        FailureKind::Lost,
                        "the owner of the data folder ended before it answered; whether it was done is unknown",
                    )
                    .with_remedy("`factory list` and `factory show RUN` tell how things stand"));
                }
            }
        }
    }

    /// Returns how many clients' requests this owner still carries out.
    pub(crate) fn busy(&self) -> usize {
        self.owner.as_ref().map_or(0, |owner| owner.activity.busy())
    }

    /// Takes no more requests if none is being carried out. Returns whether no more are taken.
    pub(crate) fn close_if_idle(&self) -> bool {
        self.owner
            .as_ref()
            .is_none_or(|owner| owner.activity.close_if_idle())
    }

    /// Waits until no client's request is being carried out; no more are taken then.
    pub(crate) async fn idle(&self) {
        if let Some(owner) = &self.owner {
            owner.activity.close_when_idle().await;
        }
    }

    /// Ends: clients are let go, what is going on is recorded, unfinished runs go back to the queue, the lock is free.
    pub(crate) async fn close(self) {
        let Some(owner) = self.owner else {
            return;
        };
        owner.activity.close();
        owner.server.end().await;
        let left = owner.factory.shutdown_within(PATIENCE_AT_THE_END).await;
        for run in left {
            tracing::warn!(%run, "what the run was doing is broken off; the next start goes on with it");
        }
    }

    async fn link_within(&mut self, patience: Duration) -> Result<Link, Failure> {
        if let Some(owner) = &self.owner {
            return Ok(Link::Here(Box::new(Here {
                factory: owner.factory.clone(),
                activity: owner.activity.clone(),
                console: self.console.clone(),
            })));
        }
        let deadline = Instant::now() + patience;
        loop {
            // Opening and carrying out are large, and the futures around them are moved about.
            match Box::pin(Factory::open(self.settings.clone())).await {
                Ok(factory) => {
                    let here = self.take(factory).await?;
                    return Ok(Link::Here(Box::new(here)));
                }
                Err(error @ Error::Owned { .. }) => {
                    if let Some(client) = Client::connect(&self.settings.data_folder).await? {
                        self.client_of = Some(client.owner());
                        return Ok(Link::There(self.settings.data_folder.clone()));
                    }
                    // Between its lock and its socket an owner is met by nobody; one that embeds the library never is.
                    if Instant::now() >= deadline {
                        return Err(error.into());
                    }
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Serves a factory that was just opened.
    async fn take(&mut self, factory: Factory) -> Result<Here, Failure> {
        let activity = Activity::default();
        let server = match Server::start(
            factory.clone(),
            self.console.clone(),
            activity.clone(),
            &self.settings.data_folder,
        ) {
            Ok(server) => server,
            Err(failure) => {
                factory.shutdown().await;
                return Err(failure);
            }
        };
        self.client_of = None;
        self.owner = Some(Owner {
            factory: factory.clone(),
            activity: activity.clone(),
            server,
        });
        Ok(Here {
            factory,
            activity,
            console: self.console.clone(),
        })
    }
}

/// Carries a reading request out: by the owner if it speaks, beside it otherwise.
pub(crate) async fn look(
    settings: &Settings,
    request: Request,
    mut on_event: impl FnMut(Event),
) -> Result<Answer, Failure> {
    let ask = async |sink: Sink| {
        if let Some(client) = Client::connect(&settings.data_folder).await?
            && let Asked::Answered(answer) = client.ask(request.clone(), &sink).await?
        {
            return Ok(answer);
        }
        if !has_database(settings) {
            return Err(nothing_yet(&settings.data_folder));
        }
        match Reader::open(settings.clone()).await {
            Err(Error::Store(StoreError::Older { .. })) => {
                read_as_owner(settings, request.clone(), &sink).await
            }
            reader => Box::pin(read(&reader?, request.clone(), &sink)).await,
        }
    };
    let on_streamed = |streamed| {
        if let Streamed::Event(event) = streamed {
            on_event(*event);
        }
    };
    stream(ask, on_streamed).await
}

/// Reads a database that an older factory made: opening it as its owner keeps a copy and brings it up to date. Nothing
/// starts by that.
async fn read_as_owner(settings: &Settings, request: Request, sink: &Sink) -> Result<Answer, Failure> {
    let factory = Factory::open(settings.clone()).await?;
    let answer = read(factory.reader(), request, sink).await;
    factory.shutdown().await;
    answer
}

/// Carries a streaming request out and hands on what it streams as it comes.
pub(crate) async fn stream<T>(
    ask: impl AsyncFnOnce(Sink) -> Result<T, Failure>,
    mut on_event: impl FnMut(Streamed),
) -> Result<T, Failure> {
    let (sink, mut events) = mpsc::channel(MAX_WAITING_EVENTS);
    let asked = ask(sink);
    tokio::pin!(asked);
    let result = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => on_event(event),
            result = &mut asked => break result,
        }
    };
    while let Ok(event) = events.try_recv() {
        on_event(event);
    }
    result
}

/// Returns whether there is a database to be read. One that is named by a URL is assumed to be there.
pub(crate) fn has_database(settings: &Settings) -> bool {
    match settings
        .database
        .as_deref()
        .map(|url| url.strip_prefix("sqlite:"))
    {
        None => settings.data_folder.join("platform.db").exists(),
        Some(Some(path)) => Path::new(path).exists(),
        Some(None) => true,
    }
}

fn nothing_yet(data_folder: &Path) -> Failure {
    Failure::usage(format!("there is no factory in `{}` yet", data_folder.display())).with_remedy(
        "`factory project add PATH` begins one, `factory demo` shows the whole job on a small repository",
    )
}
