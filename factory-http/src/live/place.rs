//! Where a client wants to be told from, and what it is told about.

use std::collections::HashMap;

use factory_core::feed::Feed;
use factory_core::model::{Event, EventId, RunId, Seq};
use factory_core::{Error, Factory, Reader};
use poem::Request;
use poem::http::StatusCode;

use crate::api::cursor;
use crate::problem::Problem;

/// The list that a cursor over all runs belongs to.
const ALL: &str = "events";

/// What is followed, and whether the end of the run ends it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) feed: Feed,
    /// The run, where it is one run's feed.
    pub(super) run: Option<RunId>,
    /// Whether it goes on when the run is final.
    pub(super) stays: bool,
    /// The newest event that is stored, as a cursor.
    pub(super) head: String,
    /// Whether the run may have ended since it was last looked at.
    may_be_final: bool,
}

impl Place {
    /// Finds the place in a run's events that the request asks for. A run that is not there, and a cursor that is none, are
    /// refused before anything is streamed.
    pub(super) async fn in_run(factory: &Factory, request: &Request) -> Result<Self, Problem> {
        let run = request.raw_path_param("run_id").and_then(|run| run.parse().ok());
        let run: RunId = run.ok_or_else(|| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_path",
                "`run_id` in the path is no run's number",
            )
            .at("path:run_id", "not a number")
        })?;
        let asked = asked(request)?;
        let after = match asked.after {
            None => Seq(0),
            Some(text) => Seq(text
                .parse()
                .map_err(|_| bad_cursor("`after` is the number of an event"))?),
        };
        let row = factory.reader().row(run).await?;
        if after > row.last_seq {
            return Err(bad_cursor("the run has no such event yet"));
        }
        Ok(Self {
            feed: factory.follow(run, after),
            run: Some(run),
            stays: asked.stays,
            head: row.last_seq.to_string(),
            may_be_final: true,
        })
    }

    /// Finds the place in all runs' events that the request asks for; without a cursor it is now.
    pub(super) async fn in_all(factory: &Factory, request: &Request) -> Result<Self, Problem> {
        let newest = factory.reader().newest_event().await?;
        let after = match asked(request)?.after {
            None => newest,
            Some(text) => EventId(cursor::read(ALL, &text)?),
        };
        if after > newest {
            return Err(bad_cursor("there is no such event yet"));
        }
        Ok(Self {
            feed: factory.follow_all(after),
            run: None,
            stays: true,
            head: cursor::write(ALL, newest),
            may_be_final: false,
        })
    }

    /// Takes note of an event that is being told.
    pub(super) fn note(&mut self, event: &Event) {
        self.may_be_final |= event.kind.transition().is_some();
    }

    /// Returns whether the run is final and everything was told, where that ends the stream.
    pub(super) async fn is_over(&mut self, reader: &Reader) -> Result<bool, Error> {
        let Some(run) = self.run.filter(|_| !self.stays && self.may_be_final) else {
            return Ok(false);
        };
        let row = reader.row(run).await?;
        self.may_be_final = row.status.is_final();
        Ok(row.status.is_final() && row.last_seq <= self.feed.last_seq())
    }

    /// Returns the cursor after what was told so far.
    pub(super) fn cursor(&self) -> String {
        match self.run {
            Some(_) => self.feed.last_seq().to_string(),
            None => cursor::write(ALL, self.feed.last_id()),
        }
    }
}

struct Asked {
    after: Option<String>,
    stays: bool,
}

/// Reads the cursor: a browser's `Last-Event-ID`, which it sends when it connects again, or `after`.
fn asked(request: &Request) -> Result<Asked, Problem> {
    let query: HashMap<String, String> = request
        .params()
        .map_err(|_| bad_cursor("the query cannot be read"))?;
    let last = request.headers().get("last-event-id");
    let last = last
        .map(|value| value.to_str().map(str::to_owned))
        .transpose()
        .map_err(|_| bad_cursor("`Last-Event-ID` is no text"))?;
    Ok(Asked {
        after: last.or_else(|| query.get("after").cloned()),
        stays: query.get("stay").is_some_and(|stay| stay == "true"),
    })
}

fn bad_cursor(why: &str) -> Problem {
    let detail = format!("the cursor cannot be used: {why}; give one that this stream gave out, or none");
    Problem::new(StatusCode::BAD_REQUEST, "bad_cursor", detail).at("query:after", why)
}
