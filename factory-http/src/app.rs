//! Every route on one screen, and what stands before all of them.

use std::sync::Arc;

use factory_core::Factory;
use poem::endpoint::make_sync;
use poem::{Endpoint, EndpointExt as _, Request, Response, Route};

use crate::api::once::{self, InFlight};
use crate::api::{self, Defaults};
use crate::live::{self, Live};
use crate::observe::{self, Metrics, RouteTable};
use crate::openapi;
use crate::problem::Explained;
use crate::pulls::Pulls;
use crate::{async_api, docs};

/// What the routes are made of.
#[derive(Debug, Clone)]
pub(crate) struct App {
    /// The factory.
    pub(crate) factory: Factory,
    /// What runs are filed with where nothing is said.
    pub(crate) defaults: Defaults,
    /// The models that are being got.
    pub(crate) pulls: Pulls,
    /// Those who follow events.
    pub(crate) live: Live,
    /// What is counted.
    pub(crate) metrics: Metrics,
}

/// The API, and what is known of its routes.
pub(crate) struct Routes<E> {
    /// What answers.
    pub(crate) endpoint: E,
    /// Every route that it has.
    pub(crate) table: Arc<RouteTable>,
}

impl App {
    /// Returns the page that describes the API.
    pub(crate) fn docs() -> Arc<str> {
        docs::page(&openapi::document(&api::service())).into()
    }

    /// Returns the API: what stands in the document, the documents themselves, and the pages that show them.
    pub(crate) fn routes(&self) -> Routes<impl Endpoint<Output = Response> + use<>> {
        let service = api::service();
        let document = openapi::document(&service);
        let plain = ["/openapi.json", "/asyncapi.json", "/docs", "/metrics"];
        let table = plain
            .into_iter()
            .chain(live::PATHS)
            .fold(RouteTable::of(&document), |table, path| table.with(path, ["GET"]));
        let table = Arc::new(table);
        let text: Arc<str> = serde_json::to_string(&document)
            .expect("a document is JSON")
            .into();
        let page = Self::docs();
        let events: Arc<str> = async_api::document().to_string().into();
        let routes = live::routes(Route::new())
            .at("/openapi.json", make_sync(move |_| json(&text)))
            .at("/asyncapi.json", make_sync(move |_| json(&events)))
            .at("/docs", make_sync(move |_| html(&page)))
            .at(
                "/metrics",
                observe::endpoint(self.metrics.clone(), Arc::new(self.factory.clone())),
            )
            .nest("/", service)
            .data(self.factory.clone())
            .data(self.defaults.clone())
            .data(self.pulls.clone())
            .data(InFlight::default())
            .data(self.live.clone());
        let routes = routes.before(async |request: Request| {
            once::check(request.headers())?;
            Ok(request)
        });
        Routes {
            endpoint: Explained::new(routes, Arc::clone(&table)),
            table,
        }
    }
}

fn json(text: &Arc<str>) -> Response {
    Response::builder()
        .content_type("application/json")
        .body(text.to_string())
}

fn html(page: &str) -> Response {
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .body(page.to_owned())
}
