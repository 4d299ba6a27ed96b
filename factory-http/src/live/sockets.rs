//! Events over a WebSocket.

use std::time::Duration;

use factory_core::Factory;
use factory_core::feed::Told;
use factory_core::model::RunId;
use futures_util::{FutureExt as _, SinkExt, StreamExt};
use poem::web::websocket::{CloseCode, Message, WebSocket, WebSocketConfig, WebSocketStream};
use poem::web::{Data, FromRequest as _};
use poem::{IntoResponse, Request, RequestBody, Response, handler};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::bounds::{
    GATHER, HEARTBEAT, MOST_GATHERED, MOST_HEARD, MOST_MESSAGES, MOST_UNWRITTEN, PATIENCE, WRITE_BUFFER,
};
use super::place::Place;
use super::{Close, Live, frames};
use crate::guard::{Principal, SOCKET_PROTOCOL, Viewer};
use crate::observe::{LiveClient, LiveKind};

/// Follows one run.
#[handler]
pub(super) async fn of_run(
    request: &Request,
    Viewer(principal): Viewer,
    Data(factory): Data<&Factory>,
    Data(live): Data<&Live>,
) -> poem::Result<Response> {
    let place = Place::in_run(factory, request).await?;
    upgrade(request, place, principal, factory, live).await
}

/// Follows all runs.
#[handler]
pub(super) async fn of_all(
    request: &Request,
    Viewer(principal): Viewer,
    Data(factory): Data<&Factory>,
    Data(live): Data<&Live>,
) -> poem::Result<Response> {
    let place = Place::in_all(factory, request).await?;
    upgrade(request, place, principal, factory, live).await
}

async fn upgrade(
    request: &Request,
    place: Place,
    principal: Principal,
    factory: &Factory,
    live: &Live,
) -> poem::Result<Response> {
    let socket = WebSocket::from_request(request, &mut RequestBody::default()).await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(4 << 10)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MOST_UNWRITTEN)
        .max_message_size(Some(MOST_HEARD))
        .max_frame_size(Some(MOST_HEARD));
    let (factory, live) = (factory.clone(), live.clone());
    let upgraded = socket
        .protocols([SOCKET_PROTOCOL])
        .config(config)
        .on_upgrade(move |socket| async move {
            let joined = live.join(LiveKind::Socket);
            Session {
                socket,
                place,
                factory,
                principal,
                live,
                gathered: None,
                heard: 0,
                _joined: joined,
            }
            .run()
            .await;
        });
    Ok(upgraded.into_response())
}

/// One client's connection.
struct Session {
    socket: WebSocketStream,
    place: Place,
    factory: Factory,
    principal: Principal,
    live: Live,
    /// Pieces of a reply that wait to be sent together, and since when.
    gathered: Option<(RunId, String, Instant)>,
    /// How many messages the client sent since the last heartbeat.
    heard: u32,
    _joined: LiveClient,
}

/// Why a session goes no further.
enum Over {
    /// The socket is to be closed.
    Close(Close),
    /// The client is gone.
    Gone,
}

impl Session {
    async fn run(mut self) {
        let over = match self.tell().await {
            Err(over) => over,
            Ok(never) => match never {},
        };
        let Over::Close(close) = over else { return };
        let bye = frames::json(&frames::Bye::new(close, self.place.cursor()));
        let code = CloseCode::from(close.code());
        let farewell = async {
            self.socket.send(Message::Text(bye)).await?;
            self.socket
                .send(Message::Close(Some((code, close.reason().to_owned()))))
                .await?;
            self.socket.close().await
        };
        // One that does not read hears nothing of it either.
        let _ = timeout(Duration::from_secs(2), farewell).await;
    }

    async fn tell(&mut self) -> Result<std::convert::Infallible, Over> {
        let hello = frames::Hello::new(self.place.cursor(), self.place.head.clone());
        self.send(frames::json(&hello)).await?;
        self.flush().await?;
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        loop {
            self.tell_stored().await?;
            self.end_if_final().await?;
            let gathered_until = self.gathered.as_ref().map(|(.., since)| *since + GATHER);
            let (ending, ended) = (self.live.ending.clone(), self.principal.ended.clone());
            tokio::select! {
                biased;
                () = ending.cancelled() => return Err(Over::Close(Close::Restart)),
                () = ended.cancelled() => return Err(Over::Close(Close::Unauthenticated)),
                message = self.socket.next() => self.hear(message.as_ref())?,
                _ = heartbeat.tick() => {
                    self.heard = 0;
                    self.send(frames::heartbeat()).await?;
                    self.flush().await?;
                }
                () = sleep_until(gathered_until.unwrap_or_else(Instant::now)), if gathered_until.is_some() => {
                    self.send_gathered().await?;
                    self.flush().await?;
                }
                told = self.place.feed.next() => match told.map_err(|error| failed(&error))? {
                    Some(told) => self.pass_on(told).await?,
                    None => return Err(Over::Close(Close::Restart)),
                },
            }
        }
    }

    /// Tells what is stored by now, and whether meanwhile the session is to end.
    async fn tell_stored(&mut self) -> Result<(), Over> {
        let mut told = false;
        loop {
            if self.live.ending.is_cancelled() {
                return Err(Over::Close(Close::Restart));
            }
            if self.principal.ended.is_cancelled() {
                return Err(Over::Close(Close::Unauthenticated));
            }
            let next = self
                .place
                .feed
                .next_stored()
                .await
                .map_err(|error| failed(&error))?;
            let Some(published) = next else { break };
            self.send_gathered().await?;
            self.place.note(published.event());
            let frame = frames::event(&published, &self.place.cursor());
            self.send(frame).await?;
            told = true;
        }
        if told {
            self.flush().await?;
        }
        Ok(())
    }

    /// Passes on what came, and what is there already after it, before it is written out.
    async fn pass_on(&mut self, told: Told) -> Result<(), Over> {
        let mut next = Some(told);
        while let Some(told) = next {
            match told {
                Told::Event(published) => {
                    self.send_gathered().await?;
                    self.place.note(published.event());
                    let frame = frames::event(&published, &self.place.cursor());
                    self.send(frame).await?;
                }
                Told::Delta { run_id, text } => self.gather(run_id, &text),
            }
            next = match self.place.feed.next().now_or_never() {
                Some(Ok(told)) => told,
                Some(Err(error)) => return Err(failed(&error)),
                None => None,
            };
        }
        self.flush().await
    }

    /// Ends where the run is final and everything was told.
    async fn end_if_final(&mut self) -> Result<(), Over> {
        match self.place.is_over(self.factory.reader()).await {
            Ok(true) => Err(Over::Close(Close::Final)),
            Ok(false) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }

    fn gather(&mut self, run_id: RunId, text: &str) {
        let (_, gathered, _) = self
            .gathered
            .get_or_insert_with(|| (run_id, String::new(), Instant::now()));
        let room = MOST_GATHERED.saturating_sub(gathered.len());
        gathered.push_str(&text[..text.floor_char_boundary(room)]);
    }

    async fn send_gathered(&mut self) -> Result<(), Over> {
        match self.gathered.take() {
            Some((run_id, text, _)) => self.send(frames::delta(run_id, &text)).await,
            None => Ok(()),
        }
    }

    fn hear(&mut self, message: Option<&std::io::Result<Message>>) -> Result<(), Over> {
        match message {
            None | Some(Err(_) | Ok(Message::Close(_))) => Err(Over::Gone),
            Some(Ok(_)) => {
                self.heard += 1;
                if self.heard > MOST_MESSAGES {
                    return Err(Over::Close(Close::Chatter));
                }
                Ok(())
            }
        }
    }

    async fn send(&mut self, frame: String) -> Result<(), Over> {
        within_patience(self.socket.feed(Message::Text(frame))).await
    }

    async fn flush(&mut self) -> Result<(), Over> {
        within_patience(self.socket.flush()).await
    }
}

async fn within_patience(writing: impl Future<Output = std::io::Result<()>>) -> Result<(), Over> {
    match timeout(PATIENCE, writing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Over::Gone),
        Err(_) => Err(Over::Close(Close::TooSlow)),
    }
}

fn failed(error: &factory_core::Error) -> Over {
    tracing::error!(error = %factory_core::chain(error), "a socket cannot be told");
    Over::Close(Close::Internal)
}
