//! Events as server-sent events: plain HTTP, which browsers and `curl` read, and which goes on by itself after a break.

use std::io;

use factory_core::Factory;
use factory_core::event_bus::Published;
use factory_core::feed::Told;
use futures_util::stream;
use poem::web::Data;
use poem::{Body, Request, Response, handler};
use tokio::time::{Instant, sleep_until};

use super::bounds::HEARTBEAT;
use super::place::Place;
use super::{Close, Live, frames};
use crate::guard::{Principal, Viewer};
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
    Ok(respond(place, principal, factory, live))
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
    Ok(respond(place, principal, factory, live))
}

fn respond(place: Place, principal: Principal, factory: &Factory, live: &Live) -> Response {
    let hello = frames::Hello::new(place.cursor(), place.head.clone());
    let opening = format!("retry: 2000\nevent: hello\ndata: {}\n\n", frames::json(&hello));
    let telling = Telling {
        place,
        factory: factory.clone(),
        principal,
        live: live.clone(),
        opening: Some(opening),
        over: false,
        _joined: live.join(LiveKind::Stream),
    };
    let parts = stream::unfold(telling, async |mut telling| {
        let part = telling.next().await?;
        Some((Ok::<_, io::Error>(part), telling))
    });
    Response::builder()
        .content_type("text/event-stream")
        .header("cache-control", "no-store")
        .header("x-accel-buffering", "no")
        .body(Body::from_bytes_stream(Box::pin(parts)))
}

/// One client's stream. A part is made when the connection can take it, so that a client that does not read holds one.
struct Telling {
    place: Place,
    factory: Factory,
    principal: Principal,
    live: Live,
    opening: Option<String>,
    over: bool,
    _joined: LiveClient,
}

impl Telling {
    /// Returns the next part of the stream; none at its end.
    async fn next(&mut self) -> Option<String> {
        if let Some(opening) = self.opening.take() {
            return Some(opening);
        }
        if self.over {
            return None;
        }
        match self.part().await {
            Ok(part) => Some(part),
            Err(close) => {
                self.over = true;
                let bye = frames::json(&frames::Bye::new(close, self.place.cursor()));
                Some(format!("event: bye\ndata: {bye}\n\n"))
            }
        }
    }

    async fn part(&mut self) -> Result<String, Close> {
        let heartbeat = Instant::now() + HEARTBEAT;
        if let Some(published) = self
            .place
            .feed
            .next_stored()
            .await
            .map_err(|error| failed(&error))?
        {
            return Ok(self.event(&published));
        }
        self.end_if_final().await?;
        let (ending, ended) = (self.live.ending.clone(), self.principal.ended.clone());
        tokio::select! {
            biased;
            () = ending.cancelled() => Err(Close::Restart),
            () = ended.cancelled() => Err(Close::Unauthenticated),
            () = sleep_until(heartbeat) => Ok(": heartbeat\n\n".to_owned()),
            told = self.place.feed.next() => match told.map_err(|error| failed(&error))? {
                Some(Told::Event(published)) => Ok(self.event(&published)),
                Some(Told::Delta { run_id, text }) => {
                    Ok(format!("event: delta\ndata: {}\n\n", frames::delta(run_id, &text)))
                }
                None => Err(Close::Restart),
            },
        }
    }

    fn event(&mut self, published: &Published) -> String {
        self.place.note(published.event());
        // JSON has no line breaks of its own, so that it is one line of data.
        format!(
            "id: {}\nevent: event\ndata: {}\n\n",
            self.place.cursor(),
            published.json()
        )
    }

    async fn end_if_final(&mut self) -> Result<(), Close> {
        match self.place.is_over(self.factory.reader()).await {
            Ok(true) => Err(Close::Final),
            Ok(false) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

fn failed(error: &factory_core::Error) -> Close {
    tracing::error!(error = %factory_core::chain(error), "a stream cannot be told");
    Close::Internal
}
