//! The documents that describe the API. Each is made when it is first asked for, which takes longer than starting the
//! whole server, and is then kept: they are the same for everybody, and say nothing that is not public.

use std::sync::LazyLock;

use poem::http::StatusCode;
use poem::{Endpoint, Request, Response};

use crate::problem::Problem;
use crate::{api, async_api, docs, openapi};

/// A document, as an endpoint that serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    /// The operations, for programs.
    OpenApi,
    /// The sockets and event streams, for programs.
    AsyncApi,
    /// The operations, for people.
    Page,
}

impl Document {
    /// Returns its text, which is made by the first call.
    fn text(self) -> &'static str {
        static OPEN_API: LazyLock<String> = LazyLock::new(|| openapi::document(&api::service()).to_string());
        static ASYNC_API: LazyLock<String> = LazyLock::new(|| async_api::document().to_string());
        static PAGE: LazyLock<String> = LazyLock::new(|| docs::page(&openapi::document(&api::service())));
        match self {
            Self::OpenApi => &OPEN_API,
            Self::AsyncApi => &ASYNC_API,
            Self::Page => &PAGE,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::OpenApi | Self::AsyncApi => "application/json",
            Self::Page => "text/html; charset=utf-8",
        }
    }
}

impl Endpoint for Document {
    type Output = Response;

    async fn call(&self, _request: Request) -> poem::Result<Response> {
        let document = *self;
        let text = tokio::task::spawn_blocking(move || document.text());
        let text = text.await.map_err(|error| {
            let detail = "the document could not be made";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).because(error.to_string())
        })?;
        Ok(Response::builder().content_type(document.media_type()).body(text))
    }
}
