//! The owner's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use factory_core::Factory;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::activity::Activity;
use super::console_url::ConsoleUrl;
use super::execute::execute;
use super::follow::Streamed;
use super::frame::{self, Ask, Frame, Hello};
use super::request::Request;
use super::socket;
use crate::failure::Failure;

/// How many clients are served at once; more wait to be taken.
const MAX_CLIENTS: usize = 256;

/// How many streamed events wait for a client that reads slowly.
const MAX_WAITING_EVENTS: usize = 64;

/// How long clients are given to hear that the owner ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// A control socket that is being served.
#[derive(Debug)]
pub(super) struct Server {
    task: JoinHandle<()>,
    data_folder: PathBuf,
}

impl Server {
    /// Serves the factory that owns `data_folder` until `activity` is closed.
    pub(super) fn start(
        factory: Factory,
        console: ConsoleUrl,
        activity: Activity,
        data_folder: &Path,
    ) -> Result<Self, Failure> {
        let listener = socket::listen(data_folder)?;
        Ok(Self {
            task: tokio::spawn(accept(listener, factory, console, activity)),
            data_folder: data_folder.to_owned(),
        })
    }

    /// Takes the socket away and lets the clients go. The activity must be closed.
    pub(super) async fn end(self) {
        socket::remove(&self.data_folder);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the control socket's server broke off");
        }
    }
}

async fn accept(listener: UnixListener, factory: Factory, console: ConsoleUrl, activity: Activity) {
    let seats = Arc::new(Semaphore::new(MAX_CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        let seat = tokio::select! {
            () = activity.closed() => break,
            seat = Arc::clone(&seats).acquire_owned() => seat.expect("the semaphore is never closed"),
        };
        let stream = tokio::select! {
            () = activity.closed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, say: the next attempt may do, but not at once.
                    tracing::warn!(%error, "a client could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        if !socket::is_own_peer(&stream) {
            tracing::warn!("another user's process was turned away from the control socket");
            continue;
        }
        let (factory, console, activity) = (factory.clone(), console.clone(), activity.clone());
        clients.spawn(async move {
            let _seat = seat;
            if let Err(error) = converse(stream, factory, console, activity).await {
                tracing::debug!(%error, "a client went away");
            }
        });
        while clients.try_join_next().is_some() {}
    }
    drop(listener);
    let farewell = async { while clients.join_next().await.is_some() {} };
    if timeout(FAREWELL, farewell).await.is_err() {
        clients.abort_all();
    }
}

/// Serves one client: greetings, one request, its answer.
async fn converse(
    stream: UnixStream,
    factory: Factory,
    console: ConsoleUrl,
    activity: Activity,
) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let Some(hello) = timeout(frame::GREETING_DEADLINE, frame::read_line::<Hello>(&mut reader)).await??
    else {
        return Ok(());
    };
    frame::write_line(&mut writer, &Hello::ours()).await?;
    if hello.refusal().is_some() {
        return Ok(());
    }
    let asked = timeout(frame::GREETING_DEADLINE, frame::read_line::<Ask>(&mut reader)).await?;
    let request = match asked {
        Ok(Some(ask)) => ask.request,
        Ok(None) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let failure = Failure::caused("the request cannot be read", &error);
            return frame::write_line(&mut writer, &Frame::Failed(failure)).await;
        }
        Err(error) => return Err(error),
    };
    // Whoever only follows does not keep the owner from ending.
    let busy = match request {
        Request::Follow { .. } => None,
        _ => match activity.begin() {
            Some(busy) => Some(busy),
            None => return frame::write_line(&mut writer, &Frame::Closing).await,
        },
    };
    frame::write_line(&mut writer, &Frame::Accepted).await?;
    let (sink, events) = mpsc::channel(MAX_WAITING_EVENTS);
    // A task of its own, so that what was begun is done whether or not the client stays to hear of it.
    let work = tokio::spawn(async move { execute(&factory, &console, request, sink, busy).await });
    attend(reader, writer, events, work, &activity).await
}

/// Tells a client of its request until it is answered, the client goes, or the owner ends.
async fn attend(
    mut reader: BufReader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    mut events: mpsc::Receiver<Streamed>,
    mut work: JoinHandle<Result<super::Answer, Failure>>,
    activity: &Activity,
) -> io::Result<()> {
    let mut alive = tokio::time::interval(frame::ALIVE_EVERY);
    let mut one = [0];
    let result = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => {
                frame::write_line(&mut writer, &Frame::from(event)).await?;
            }
            result = &mut work => break result,
            () = activity.closed() => return frame::write_line(&mut writer, &Frame::Closing).await,
            // A client says nothing more; that it can be read means that it is gone.
            _ = reader.read(&mut one) => return Ok(()),
            _ = alive.tick() => frame::write_line(&mut writer, &Frame::Alive).await?,
        }
    };
    // The work has ended, and with it the events' source.
    while let Some(event) = events.recv().await {
        frame::write_line(&mut writer, &Frame::from(event)).await?;
    }
    let answered = result
        .map_err(|error| Failure::caused("the request broke off", &error))
        .and_then(|answer| answer)
        .and_then(|answer| {
            frame::answer_frames(answer)
                .map_err(|error| Failure::caused("the answer cannot be written", &error))
        });
    match answered {
        Ok(frames) => {
            for frame in frames {
                frame::write_line(&mut writer, &frame).await?;
            }
            Ok(())
        }
        Err(failure) => frame::write_line(&mut writer, &Frame::Failed(failure)).await,
    }
}
